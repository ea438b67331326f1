"""The split against a plain reimplementation, and against the counts that the protocol gives for the real data."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support import interactions, interactions_of, small_split

from createrec.config import EvaluationConfig, FileConfig, LeaveOneOutSetup, TemporalSetup
from createrec.data.prepare import prepare
from createrec.data.registry import dataset
from createrec.data.split import TARGET_SEED, Split, split, statistics
from createrec.errors import DataError


def ordered_rows(data):
    """Rows (item, time) of each user by (time, place in the file), plainly."""
    rows = [[] for _ in range(data.users)]
    for place, (user, item, time) in enumerate(zip(data.user, data.item, data.time, strict=True)):
        rows[user].append((int(time), place, int(item)))
    return [[(item, time) for time, _, item in sorted(row)] for row in rows]


def linear_quantile(values, quantile):
    values = sorted(values)
    place = quantile * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def plain_lengths(rows, setup):
    """Training rows of each user for (validation, test), plainly."""
    if isinstance(setup, LeaveOneOutSetup):
        return [
            [len(row) - 2 if len(row) >= 3 else 0 for row in rows],
            [len(row) - 1 if len(row) >= 3 else 0 for row in rows],
        ]
    outer, inner = [], []
    for known, quantile, lengths in ((rows, setup.test_quantile, outer), (None, setup.validation_quantile, inner)):
        if known is None:
            known = [row[:length] for row, length in zip(rows, outer, strict=True)]
        enough = [row if len(row) >= setup.minimum_interactions else [] for row in known]
        cut = linear_quantile([time for row in enough for _, time in row], quantile)
        counts = [sum(time <= cut for _, time in row) for row in enough]
        lengths.extend(count if count >= 2 else 0 for count in counts)
    return [inner, outer]


def plain_queries(rows, learnt, known, evaluation, draws):
    """(user, target, history) of every query, plainly."""
    warm = {item for row, length in zip(rows, learnt, strict=True) for item, _ in row[:length]}
    queries = []
    for user, row in enumerate(rows):
        if not learnt[user]:
            continue
        row = row[: known[user]]
        places = [
            place for place in range(learnt[user], len(row)) if not evaluation.drop_cold_items or row[place][0] in warm
        ]
        if not places:
            continue
        place = {"last": places[-1], "first": places[0], "random": places[int(draws[user] * len(places))]}[
            evaluation.target
        ]
        target, time = row[place]
        history = [
            item
            for item, when in row[:place]
            if (item in warm or not evaluation.drop_cold_items) and (when < time or not evaluation.history_strict)
        ]
        queries.append((user, target, history))
    return queries


SWITCHES = [
    EvaluationConfig(target=target, history_strict=strict, drop_cold_items=drop)
    for target, strict, drop in product(("last", "first", "random"), (False, True), (False, True))
]


@pytest.mark.parametrize(
    "setup", [TemporalSetup(), TemporalSetup(test_quantile=0.5, validation_quantile=0.6), LeaveOneOutSetup()]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_split_and_queries_equal_a_plain_reimplementation(setup, seed):
    data = interactions(users=60, items=200, seed=seed, times=25)
    made = split(data, setup)
    rows = ordered_rows(data)
    assert made.items.tolist() == [item for row in rows for item, _ in row]
    assert made.times.tolist() == [time for row in rows for _, time in row]
    inner, outer = plain_lengths(rows, setup)
    assert made.train_length.tolist() == inner
    assert made.train_validation_length.tolist() == outer
    draws = np.random.default_rng(TARGET_SEED).random(made.users)
    everything = [len(row) for row in rows]
    for evaluation in SWITCHES:
        for fold, learnt, known in (("validation", inner, outer), ("test", outer, everything)):
            expected = plain_queries(rows, learnt, known, evaluation, draws)
            queries = made.queries(fold, evaluation)
            histories = np.split(queries.history, queries.offsets[1:-1])
            found = [(u, t, h.tolist()) for u, t, h in zip(queries.user, queries.target, histories, strict=True)]
            assert found == expected
            assert found, "the made data asks nothing here"


def test_the_made_data_reaches_the_hard_cases():
    made = split(interactions(users=60, items=200, times=25), TemporalSetup())
    queries = made.queries("test", EvaluationConfig())
    warm = set(made.items[made.training_rows("test")].tolist())
    assert any(target not in warm for target in queries.target)
    assert len(made.queries("test", EvaluationConfig(drop_cold_items=True))) < len(queries)
    counts = np.diff(made.offsets)
    assert (counts < 3).any()
    assert (made.train_validation_length[counts < 3] == 0).all()


def test_a_row_exactly_at_the_cut_is_training():
    # The 0.5 quantile of 1 2 3 4 5 is 3, the time of user 0's third row.
    data = interactions_of([(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)], 1, 5)
    made = split(data, TemporalSetup(test_quantile=0.5, minimum_interactions=1))
    assert made.test_cut == 3
    assert made.train_validation_length.tolist() == [3]


def test_the_cut_is_interpolated_linearly():
    data = interactions_of([(0, place, time) for place, time in enumerate((0, 10, 20, 40))], 1, 4)
    # 0.75 of the way over three gaps: 20 + 0.25 * 20
    assert split(data, TemporalSetup(test_quantile=0.75, minimum_interactions=1)).test_cut == 25


def test_the_second_row_decides_who_is_a_training_user():
    late = [(1, 3, 1), (1, 4, 9), (1, 5, 10)]  # one row before the cut
    early = [(0, 0, 1), (0, 1, 2), (0, 2, 10)]
    data = interactions_of(early + late, 2, 6)
    made = split(data, TemporalSetup(test_quantile=0.5, minimum_interactions=1))
    assert made.test_cut == 5.5
    assert made.train_validation_length.tolist() == [2, 0]


def test_training_ends_at_the_cut_and_every_target_lies_behind_it():
    made = small_split(seed=3)
    for fold, cut in (("test", made.test_cut), ("validation", made.validation_cut)):
        assert (made.times[made.training_rows(fold)] <= cut).all()
        for target in ("last", "first", "random"):
            queries = made.queries(fold, EvaluationConfig(target=target))
            for user, item in zip(queries.user, queries.target, strict=True):
                own = slice(made.offsets[user], made.offsets[user + 1])
                place = np.flatnonzero(made.items[own] == item)
                assert (made.times[own][place] > cut).all()
    assert made.validation_cut < made.test_cut


def test_a_validation_target_is_a_training_row_of_the_test():
    made = small_split(seed=4)
    queries = made.queries("validation", EvaluationConfig())
    for user, item in zip(queries.user, queries.target, strict=True):
        start = made.offsets[user]
        assert item in made.items[start : start + made.train_validation_length[user]]
    assert (made.lengths("validation")[1] == made.lengths("test")[0]).all()


def test_without_retraining_the_tests_questions_are_asked_of_the_train_rows():
    made = small_split(seed=4)
    for evaluation in (EvaluationConfig(), EvaluationConfig(target="first", history_strict=True)):
        ours, tests = made.queries("unretrained", evaluation), made.queries("test", evaluation)
        for name in ("user", "target", "history", "offsets"):
            assert np.array_equal(getattr(ours, name), getattr(tests, name))
    assert np.array_equal(made.training_rows("unretrained"), made.training_rows("validation"))
    warm = set(made.items[made.training_rows("unretrained")].tolist())
    assert set(made.queries("unretrained", EvaluationConfig(drop_cold_items=True)).target.tolist()) <= warm


def test_ties_keep_the_order_of_the_file():
    rows = [(0, item, 5) for item in (3, 1, 2, 0)]
    assert split(interactions_of(rows, 1, 4), LeaveOneOutSetup()).items.tolist() == [3, 1, 2, 0]


def test_rows_of_users_may_come_in_any_order():
    data = interactions(seed=5, shuffled=False)
    # A permutation that keeps each user's rows in their order: users are interleaved, nothing else.
    keys = np.random.default_rng(0).random(len(data))
    for user in range(data.users):
        keys[data.user == user] = np.sort(keys[data.user == user])
    order = np.argsort(keys)
    mixed = replace(data, user=data.user[order], item=data.item[order], time=data.time[order])
    assert not np.array_equal(mixed.user, data.user)
    assert split(mixed, TemporalSetup()).hash == split(data, TemporalSetup()).hash


def test_the_input_is_not_changed():
    data = interactions(seed=6)
    before = [part.copy() for part in (data.user, data.item, data.time)]
    made = split(data, TemporalSetup())
    made.queries("test", EvaluationConfig(drop_cold_items=True, history_strict=True))
    for part, old in zip((data.user, data.item, data.time), before, strict=True):
        assert np.array_equal(part, old)


def test_the_random_target_is_the_same_each_time():
    made = small_split()
    first, second = (made.queries("test", EvaluationConfig(target="random")) for _ in range(2))
    assert np.array_equal(first.target, second.target)


def test_save_and_load(tmp_path):
    for setup in (TemporalSetup(), LeaveOneOutSetup()):
        made = split(interactions(), setup)
        made.save(tmp_path / "split.safetensors")
        loaded = Split.load(tmp_path / "split.safetensors")
        for name in ("items", "times", "offsets", "train_length", "train_validation_length"):
            assert np.array_equal(getattr(loaded, name), getattr(made, name))
            assert getattr(loaded, name).dtype == np.int64
        assert (loaded.test_cut, loaded.validation_cut) == (made.test_cut, made.validation_cut)
        assert (loaded.item_count, loaded.hash) == (made.item_count, made.hash)


def test_the_hash_sees_every_part():
    made = small_split()
    for name in ("items", "times", "train_length", "train_validation_length"):
        changed = getattr(made, name).copy()
        changed[0] += 1
        assert replace(made, **{name: changed}).hash != made.hash
    assert replace(made, item_count=made.item_count + 1).hash != made.hash


@pytest.mark.parametrize("content", [b"", b"not a split", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_explained(tmp_path, content):
    path = tmp_path / "split.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a split.*delete it"):
        Split.load(path)


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"none\.safetensors"):
        Split.load(tmp_path / "none.safetensors")


def test_too_few_rows_are_explained():
    two_rows = interactions_of([(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2)], 2, 2)
    for setup in (TemporalSetup(), LeaveOneOutSetup()):
        with pytest.raises(DataError, match="no user has 3 interactions"):
            split(two_rows, setup)
    nothing = replace(two_rows, user=two_rows.user[:0], item=two_rows.item[:0], time=two_rows.time[:0])
    with pytest.raises(DataError, match="no interactions"):
        split(nothing, TemporalSetup())


def test_statistics_by_counting():
    made = small_split(seed=2)
    facts = statistics(made)
    rows = made.training_rows("test")
    test = made.queries("test", EvaluationConfig())
    warm = set(made.items[rows].tolist())
    assert facts["train_interactions"] == rows.sum() == made.train_validation_length.sum()
    assert facts["train_users"] == len({int(user) for user in made.row_user[rows]})
    assert facts["train_items"] == len(warm)
    assert facts["test_users"] == facts["test_users_with_history"] == len(test)
    assert facts["cold_targets"] == pytest.approx(np.mean([item not in warm for item in test.target]))
    assert facts["split_hash"] == made.hash


REAL = {
    "amazon-beauty": {
        "test_cut": 1394150400,
        "train_interactions": 158_390,
        "train_users": 20_223,
        "train_items": 11_777,
        "test_users": 8_041,
        "cold_targets": 0.150,
        "validation_cut": 1389225600,
        "validation_users": 4_725,
    },
    "amazon-sports": {
        "test_cut": 1391990400,
        "train_interactions": 236_394,
        "train_users": 32_347,
        "train_items": 18_084,
        "test_users": 13_477,
        "cold_targets": 0.081,
    },
    "ml-1m": {
        "test_cut": 975768738,
        "train_interactions": 800_168,
        "train_users": 5_400,
        "train_items": 3_662,
        "test_users": 1_143,
        "validation_users": 388,
        "cold_targets": 0.007,
    },
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_counts(mirror, tmp_path, name):
    from createrec.data.interactions import Interactions

    entry = dataset(name)
    prepare(name, mirror / entry.file, tmp_path, file=FileConfig(reader=entry.reader), expected=entry.counts)
    facts = statistics(split(Interactions.load(tmp_path / "interactions.parquet"), TemporalSetup()))
    for key, expected in REAL[name].items():
        if key == "cold_targets":
            assert facts[key] == pytest.approx(expected, abs=5e-4)
        elif key.endswith("cut"):
            assert int(facts[key]) == expected, key  # times are whole seconds
        else:
            assert facts[key] == expected, key
