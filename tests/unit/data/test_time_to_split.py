"""The setup time-to-split against a plain reimplementation of its rules, and against the counts of the real data."""

import numpy as np
import pytest
from support import interactions, interactions_of, small_split

from createrec.config import EvaluationConfig, FileConfig, TimeToSplitSetup, validate
from createrec.data.interactions import Interactions
from createrec.data.prepare import prepare
from createrec.data.registry import dataset
from createrec.data.split import TARGET_SEED, Split, split, statistics
from createrec.errors import ConfigError


def plain_rows(data):
    """Rows (time, place in the file, item) of each user, in order."""
    rows = [[] for _ in range(data.users)]
    for place, (user, item, time) in enumerate(zip(data.user, data.item, data.time, strict=True)):
        rows[user].append((int(time), place, int(item)))
    return [sorted(row) for row in rows]


def plain_split(rows, quantile):
    """One cut: the training rows of each user, and the cut."""
    cut = np.quantile([time for row in rows for time, *_ in row], quantile)
    before = [[one for one in row if one[0] <= cut] for row in rows]
    return [row if len(row) >= 2 else [] for row in before], cut


def plain_queries(rows, cut, target, without_history, draws):
    found = []
    for user, row in enumerate(rows):
        places = [place for place, (time, *_) in enumerate(row) if time > cut]
        if without_history == "next":
            places = [place for place in places if place > 0]
        if not places:
            continue
        place = {"last": places[-1], "first": places[0], "random": places[int(draws[user] * len(places))]}[target]
        if place > 0 or without_history == "ask":
            found.append((user, row[place][2], [item for *_, item in row[:place]]))
    return found


def as_tuples(queries):
    histories = np.split(queries.history, queries.offsets[1:-1])
    return [(u, t, h.tolist()) for u, t, h in zip(queries.user, queries.target, histories, strict=True)]


@pytest.mark.parametrize(("seed", "quantile"), [(0, 0.9), (1, 0.6)])
def test_split_and_queries_equal_a_plain_reimplementation(seed, quantile):
    data = interactions(users=60, items=200, seed=seed, times=25)
    made = split(data, TimeToSplitSetup(test_quantile=quantile, validation_users=None))
    rows = plain_rows(data)
    outer, cut = plain_split(rows, quantile)
    inner, inner_cut = plain_split(outer, 0.9)
    assert (made.test_cut, made.validation_cut) == (cut, inner_cut)
    assert made.train_validation_length.tolist() == [len(row) for row in outer]
    assert made.lengths("test")[0].tolist() == [len(row) for row in inner], "the tested model is not retrained"
    draws = np.random.default_rng(TARGET_SEED).random((3, made.users))
    for target in ("last", "first", "random"):
        for without_history in ("ask", "skip", "next"):
            evaluation = EvaluationConfig(target=target, without_history=without_history)
            for fold, known, when in (("validation", outer, inner_cut), ("test", rows, cut)):
                for draw in range(3):
                    expected = plain_queries(known, when, target, without_history, draws[draw])
                    assert as_tuples(made.queries(fold, evaluation, draw)) == expected
                    assert expected, "the made data asks nothing here"
    new = [len(row) == 0 for row in inner]
    asked = made.queries("test", EvaluationConfig()).user
    assert any(new[user] for user in asked), "the made data has no user whom training did not see"


def test_validation_asks_as_many_users_as_are_drawn_and_always_the_same():
    data = interactions(users=200, items=50, times=25)
    everyone = as_tuples(split(data, TimeToSplitSetup(validation_users=None)).queries("validation", EvaluationConfig()))
    few = split(data, TimeToSplitSetup(validation_users=10))
    drawn = as_tuples(few.queries("validation", EvaluationConfig()))
    assert len(drawn) == 10 < len(everyone)
    assert all(query in everyone for query in drawn)
    assert as_tuples(few.queries("validation", EvaluationConfig())) == drawn
    assert len(few.queries("test", EvaluationConfig())) > 10, "the test asks everyone"
    many = split(data, TimeToSplitSetup(validation_users=10_000))
    assert as_tuples(many.queries("validation", EvaluationConfig())) == everyone


def test_a_user_without_rows_before_the_cut_is_asked_about_from_the_second_row_on():
    old = [(0, item, item) for item in range(9)]
    rows = [*old, (1, 3, 20), (1, 4, 21), (1, 5, 22), (2, 6, 30)]
    made = split(interactions_of(rows, 3, 9), TimeToSplitSetup(test_quantile=0.6, validation_quantile=0.5))
    first = {way: EvaluationConfig(target="first", without_history=way) for way in ("ask", "skip", "next")}
    assert [query for query in as_tuples(made.queries("test", first["ask"])) if query[0]] == [(1, 3, []), (2, 6, [])]
    assert [query for query in as_tuples(made.queries("test", first["skip"])) if query[0]] == []
    assert [query for query in as_tuples(made.queries("test", first["next"])) if query[0]] == [(1, 4, [3])]


def test_the_switches_travel_with_the_split_and_are_in_its_hash(tmp_path):
    data = interactions()
    made = split(data, TimeToSplitSetup(validation_users=7))
    made.save(tmp_path / "split.safetensors")
    loaded = Split.load(tmp_path / "split.safetensors")
    assert (loaded.switches, loaded.hash) == (made.switches, made.hash)
    assert made.switches == {"retrain": False, "new_users": True, "validation_users": 7}
    hashes = {
        split(data, TimeToSplitSetup(**change)).hash for change in ({}, {"retrain": True}, {"validation_users": 3})
    }
    assert len(hashes) == 3
    assert small_split().switches == {"retrain": True, "new_users": False, "validation_users": None}


def test_new_users_and_a_minimum_exclude_each_other():
    with pytest.raises(ConfigError, match="set minimum_interactions to 1"):
        validate({"minimum_interactions": 3}, "setup", TimeToSplitSetup)


REAL = {
    "amazon-beauty": (20_341, 160_178, 6_110, 5_517, 12_101),
    "amazon-sports": (32_543, 239_317, 10_203, 9_272, 18_357),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_counts(mirror, tmp_path, name):
    entry = dataset(name)
    prepare(name, mirror / entry.file, tmp_path, file=FileConfig(reader=entry.reader), expected=entry.counts)
    made = split(Interactions.load(tmp_path / "interactions.parquet"), TimeToSplitSetup())
    users, rows, last, first, items = REAL[name]
    facts = statistics(made)
    assert (facts["train_users"], facts["train_interactions"], facts["items"]) == (users, rows, items)
    assert (facts["test_users"], facts["test_users_with_history"], facts["validation_users"]) == (last, first, 1024)
    # Their figures of `first` and `random` are multiples of one over this many queries, too (docs/validation.md).
    for target in ("first", "random"):
        assert len(made.queries("test", EvaluationConfig(target=target, without_history="next"))) == last
    assert len(made.queries("test", EvaluationConfig(target="first", without_history="skip"))) == first
