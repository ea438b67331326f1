"""Random, PopRnd and SVD against closed forms, simulation and numpy."""

import math

import numpy as np
import pytest
import torch
from support import CPU, model_of, random_rows, training_data_of

from createrec.config import EvaluationConfig, FileConfig, TemporalSetup
from createrec.data.batch import QueryBatch
from createrec.data.interactions import Interactions
from createrec.data.prepare import prepare
from createrec.data.registry import dataset
from createrec.data.split import Queries, split
from createrec.evaluation.metrics import coverage_at_k, ndcg_at_k, recall_at_k
from createrec.evaluation.ranking import rank
from createrec.runs.run import training_data

ITEMS = 200


def queries_for(users, targets):
    """Queries with empty histories, one a user."""
    return Queries(np.arange(users), targets, np.empty(0, dtype=np.int64), np.zeros(users + 1, dtype=np.int64))


def within(found, expected, deviation):
    assert abs(found - expected) < 4.5 * deviation, f"{found} is not {expected} +- {deviation}"


def test_random_ranks_as_the_closed_forms_say():
    """Recall@K = K / N, NDCG@10 = 4.5436 / N, Coverage@K = 1 - (1 - K/N)^n."""
    n, k = 4000, 10
    model = model_of(training_data_of(random_rows(5, ITEMS, shortest=1), ITEMS), "random")
    targets = np.random.default_rng(0).integers(ITEMS, size=n)
    ranking = rank(model, queries_for(n, targets), remove_seen=True, k=k)
    recall = k / ITEMS
    within(recall_at_k(ranking.ranks, k), recall, (recall * (1 - recall) / n) ** 0.5)
    gains = [1 / math.log2(place + 1) for place in range(1, k + 1)]
    assert sum(gains) == pytest.approx(4.5436, abs=1e-4)
    variance = sum(gain**2 for gain in gains) / ITEMS - (sum(gains) / ITEMS) ** 2
    within(ndcg_at_k(ranking.ranks, k), sum(gains) / ITEMS, (variance / n) ** 0.5)
    for users in (5, 20, 40):
        miss = (1 - k / ITEMS) ** users
        # Items' chances to be missed are nearly independent, slightly the other way.
        within(coverage_at_k(ranking.top[:users], ITEMS, k), 1 - miss, (miss * (1 - miss) / ITEMS) ** 0.5)
    assert len(np.unique(ranking.top[0])) == k, "without replacement"


def test_random_draws_anew_for_each_user_and_seed():
    data = training_data_of(random_rows(5, ITEMS, shortest=1), ITEMS)
    tops = [
        rank(
            model_of(data, "random", seed=seed), queries_for(3, np.zeros(3, dtype=np.int64)), remove_seen=True, k=9
        ).top
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(tops[0], tops[1])
    assert not np.array_equal(tops[0], tops[2])
    assert not np.array_equal(tops[0][0], tops[0][1])


def popular_data():
    """Item i has been taken by about 40 / (i + 1) users; the last twenty items by nobody."""
    rows = [[item for item in range(ITEMS - 20) if user % (item + 1) == 0] for user in range(60)]
    return training_data_of(rows, ITEMS)


def test_poprnd_draws_without_replacement_in_proportion_to_the_counts():
    """Against numpy drawing one item after the other."""
    n, k = 3000, 10
    data = popular_data()
    counts = data.item_counts().double().numpy()
    random = np.random.default_rng(0)
    simulated = np.stack([random.choice(ITEMS, k, replace=False, p=counts / counts.sum()) for _ in range(n)])
    found = rank(model_of(data, "poprnd"), queries_for(n, np.zeros(n, dtype=np.int64)), remove_seen=True, k=k).top
    for columns in (slice(0, 1), slice(0, 3), slice(0, k)):
        ours, theirs = (np.bincount(top[:, columns].ravel(), minlength=ITEMS) / n for top in (found, simulated))
        deviation = np.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / n) + 1 / n
        assert (np.abs(ours - theirs) < 5 * deviation).all()
    assert counts[found].min() > 0, "an item without users is never drawn"
    first = np.bincount(found[:, 0], minlength=ITEMS) / n
    expected = counts / counts.sum()
    assert (np.abs(first - expected) < 5 * np.sqrt(expected / n) + 1 / n).all()


def test_poprnd_ranks_unseen_items_behind_all_others():
    n = 50
    ranking = rank(model_of(popular_data(), "poprnd"), queries_for(n, np.full(n, ITEMS - 1)), remove_seen=True, k=0)
    assert (ranking.ranks > ITEMS - 20).all()


@pytest.mark.parametrize("kind", ["random", "poprnd"])
def test_the_expected_rows_on_the_real_data(mirror, tmp_path, kind):
    """Table 2's Random and PopRnd on Beauty, against what independent draws give on average.

    The chance that ten draws hold an item with share p is taken as 1 - (1 - p)^10, as if with replacement:
    close, because every item's share of the rows is small.
    """
    entry = dataset("amazon-beauty")
    prepare(entry.dataset, mirror / entry.file, tmp_path, file=FileConfig(reader=entry.reader), expected=entry.counts)
    made = split(Interactions.load(tmp_path / "interactions.parquet"), TemporalSetup())
    queries = made.queries("test", EvaluationConfig())
    ranking = rank(model_of(training_data(made, "test", CPU), kind), queries, remove_seen=True, k=10)
    n, items = len(queries), made.item_count
    share = np.full(items, 1 / items)
    if kind == "poprnd":
        counts = np.bincount(made.items[made.training_rows("test")], minlength=items)
        share = counts / counts.sum()
    in_ten = 1 - (1 - share) ** 10
    recall = in_ten[queries.target].mean()
    within(recall_at_k(ranking.ranks, 10), recall, (recall / n) ** 0.5)
    within(ndcg_at_k(ranking.ranks, 10), recall * 0.45436, (recall / n) ** 0.5 / 2)
    coverage = (1 - (1 - in_ten) ** n).mean()
    assert coverage == pytest.approx({"random": 0.9987, "poprnd": 0.9175}[kind], abs=1e-4)
    assert coverage_at_k(ranking.top, items, 10) == pytest.approx(coverage, abs=0.003)


@pytest.mark.parametrize("scaling", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("fold_in", [False, True])
def test_svd_equals_numpy(scaling, fold_in):
    users, items, kept = 25, 14, 5
    rows = random_rows(users, items - 1, seed=3, shortest=1, longest=8)
    rows[2] = [*rows[2], rows[2][0]]  # a repeat counts once
    model = model_of(training_data_of(rows, items), "svd", rank=kept, popularity_scaling=scaling, fold_in=fold_in)
    model.fit()
    matrix = np.zeros((users, items))
    for user, row in enumerate(rows):
        matrix[user, row] = 1
    counts = np.maximum(matrix.sum(0), 1)
    right = np.linalg.svd(matrix * counts ** ((scaling - 1) / 2))[2][:kept]
    history = np.zeros((users, items))
    histories = random_rows(users, items, seed=4, shortest=1, longest=3)
    for user, row in enumerate(histories):
        history[user, row] = 1
    expected = (history if fold_in else matrix) @ right.T @ right
    queries = QueryBatch(torch.arange(users), training_data_of(histories, items).sequences)
    found = model.scores(queries, model.item_vectors())
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


def test_svd_with_more_factors_than_there_are():
    model = model_of(training_data_of(random_rows(6, 5, shortest=1, longest=4), 5), "svd", rank=64)
    model.fit()
    assert model.item_vectors().shape == (5, 4)
