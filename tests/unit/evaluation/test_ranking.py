"""Ranks and lists against full sorts, with ties; and what leaves the ranking."""

import numpy as np
import pytest
import torch
from support import model_of, random_rows, small_split, training_data_of

from createrec.config import EvaluationConfig
from createrec.data.split import Queries
from createrec.errors import TrainingError
from createrec.evaluation import ranking
from createrec.evaluation.metrics import coverage_at_k, metrics
from createrec.evaluation.ranking import OUT_OF_REACH, query_batch, rank
from createrec.models.base import Recommender
from createrec.ops.ranking import plain_top_items, remove_seen_, target_ranks, top_items
from createrec.randomness import Randomness


def score_tables():
    """Tables [rows, items] that are hard for a partial sort."""
    random = np.random.default_rng(0)
    shapes = {"few": (7, 12), "groups": (9, 700), "remainder": (5, 16 * 40 + 7)}
    for name, shape in shapes.items():
        yield f"{name} distinct", random.permutation(shape[0] * shape[1]).reshape(shape).astype(np.float32)
        yield f"{name} tied", random.integers(4, size=shape).astype(np.float32)
        yield f"{name} constant", np.zeros(shape, dtype=np.float32)
        holes = random.integers(30, size=shape).astype(np.float32)
        holes[random.random(shape) < 0.6] = -np.inf
        yield f"{name} holes", holes
        nearly = np.full(shape, -np.inf, dtype=np.float32)
        nearly[:, random.integers(shape[1], size=3)] = 1.0
        yield f"{name} nearly nothing", nearly
        edge = np.zeros(shape, dtype=np.float32)
        edge[:, -5:] = 1.0  # the best stand in the remainder of the groups
        yield f"{name} edge", edge
        yield f"{name} both signs", random.standard_normal(shape).astype(np.float32)
        yield f"{name} two zeros", random.choice(np.array([0.0, -0.0, -1.0, 1e-40], dtype=np.float32), shape)


TABLES = dict(score_tables())


def sorted_items(row):
    return sorted(range(len(row)), key=lambda item: (-row[item], item))


@pytest.mark.parametrize("k", [1, 3, 10, 100])
@pytest.mark.parametrize("name", TABLES)
def test_top_items_equal_a_full_sort(name, k):
    scores = TABLES[name]
    found = top_items(torch.from_numpy(scores), k)
    assert found.equal(plain_top_items(torch.from_numpy(scores), min(k, scores.shape[1])))
    assert found.tolist() == [sorted_items(row.tolist())[:k] for row in scores]


@pytest.mark.parametrize("name", TABLES)
def test_ranks_equal_a_full_sort(name):
    scores = TABLES[name]
    for draw in range(3):
        targets = np.random.default_rng(draw).integers(scores.shape[1], size=len(scores))
        expected = [sorted_items(row.tolist()).index(t) + 1 for row, t in zip(scores, targets, strict=True)]
        assert target_ranks(torch.from_numpy(scores), torch.from_numpy(targets)).tolist() == expected


def test_a_target_that_scores_nan_has_no_rank():
    scores = torch.tensor([[1.0, torch.nan, 3.0], [1.0, torch.nan, 3.0]])
    assert target_ranks(scores, torch.tensor([1, 0])).tolist() == [0, 2]


def test_remove_seen_removes_the_history_and_nothing_else():
    rows = random_rows(6, 20, longest=8)
    scores = torch.rand(6, 20)
    before = scores.clone()
    removed = remove_seen_(scores, training_data_of(rows, 20).sequences)
    for row, history in enumerate(rows):
        for item in range(20):
            assert removed[row, item] == (-torch.inf if item in history else before[row, item])


class Fixed(Recommender):
    """Scores from a table, by user."""

    needs_history = False

    def __init__(self, data, table):
        super().__init__(data, Randomness(0))
        self.table = table

    def user_states(self, queries):
        return self.table[queries.users]

    def item_vectors(self):
        return torch.eye(self.data.item_count)


@pytest.fixture
def problem():
    """A model, queries, and their parts as lists."""
    histories = random_rows(23, 50, seed=1, longest=9)
    targets = np.random.default_rng(2).integers(50, size=23)
    offsets = np.cumsum([0, *map(len, histories)])
    queries = Queries(np.arange(23), targets, np.array([i for row in histories for i in row]), offsets)
    table = torch.from_numpy(np.random.default_rng(3).integers(15, size=(23, 50)).astype(np.float32))
    return Fixed(training_data_of([[0]] * 23, 50), table), queries, histories


@pytest.mark.parametrize("remove_seen", [False, True])
@pytest.mark.parametrize("block", [1, 120, 4_000_000])
def test_rank_equals_plain_sorting_for_every_block_size(problem, remove_seen, block, monkeypatch):
    model, queries, histories = problem
    monkeypatch.setattr(ranking, "CPU_BLOCK_SCORES", block)
    found = rank(model, queries, remove_seen=remove_seen, k=5)
    for user, history in enumerate(histories):
        scores = model.table[user].tolist()
        if remove_seen:
            scores = [-np.inf if item in history else score for item, score in enumerate(scores)]
        order = sorted_items(scores)
        gone = remove_seen and queries.target[user] in history
        assert found.ranks[user] == (OUT_OF_REACH if gone else order.index(queries.target[user]) + 1)
        assert found.top[user].tolist() == order[:5]


def test_a_target_at_the_head_of_the_list_has_the_rank_of_its_place(problem):
    model, queries, _ = problem
    found = rank(model, queries, remove_seen=True, k=50)
    places = (found.top == queries.target[:, None]).argmax(1) + 1
    assert np.array_equal(places[~queries.target_is_seen], found.ranks[~queries.target_is_seen])


@pytest.mark.parametrize("items", [4, 50])
def test_a_target_that_was_removed_is_a_hit_at_no_cutoff(items):
    """Even where the catalogue is shorter than the cutoff, and no model may gain by it."""
    queries = Queries(np.arange(2), np.array([1, 2]), np.array([1, 0, 1]), np.array([0, 1, 3]))
    model = Fixed(training_data_of([[0]] * 2, items), torch.rand(2, items))
    found = rank(model, queries, remove_seen=True, k=100)
    assert found.ranks.tolist()[0] == OUT_OF_REACH
    values = metrics(found.ranks, found.top, items, (10, 100))
    assert values["recall@100"] == 0.5
    assert 1 not in found.top[0]
    assert 0 not in found.top[1] and 1 not in found.top[1]
    assert sorted(found.top[1].tolist()) == sorted([-1, -1, *range(2, items)])
    kept = rank(model, queries, remove_seen=False, k=100)
    assert metrics(kept.ranks, kept.top, items, (100,))["recall@100"] == 1.0


def test_coverage_counts_no_empty_place():
    assert coverage_at_k(np.array([[0, 1, -1], [1, -1, -1]]), 4, 3) == 0.5


def test_query_batches_hold_the_queries_histories():
    queries = small_split().queries("test", EvaluationConfig())
    batch = query_batch(queries, slice(3, 8), torch.device("cpu"))
    assert batch.users.tolist() == queries.user[3:8].tolist()
    for row in range(5):
        ours = batch.histories.values[batch.histories.offsets[row] : batch.histories.offsets[row + 1]]
        theirs = queries.history[queries.offsets[3 + row] : queries.offsets[4 + row]]
        assert ours.tolist() == theirs.tolist()


def test_no_query_is_no_rank(problem):
    model, queries, _ = problem
    nothing = Queries(queries.user[:0], queries.target[:0], queries.history[:0], queries.offsets[:1])
    found = rank(model, nothing, remove_seen=True, k=5)
    assert len(found.ranks) == len(found.top) == 0


def test_nan_is_no_perfect_rank(problem):
    model, queries, _ = problem
    model.table[4] = torch.nan
    with pytest.raises(TrainingError, match="not numbers"):
        rank(model, queries, remove_seen=True, k=5)


@pytest.mark.parametrize("kind", ["sasrec", "lightgcn"])
def test_nan_in_the_item_table_is_an_error(kind):
    data = training_data_of(random_rows(9, 20, shortest=2), 20)
    model = model_of(data, kind)
    with torch.no_grad():
        model.item_table[7] = torch.nan
    queries = Queries(np.arange(1), np.array([3]), np.array([1, 2]), np.array([0, 2]))
    with pytest.raises(TrainingError, match="not numbers"):
        rank(model, queries, remove_seen=False, k=0)
