"""Metrics against plain Python."""

import math

import numpy as np
import pytest

from createrec.evaluation.metrics import coverage_at_k, metrics, ndcg_at_k, per_user_ndcg, recall_at_k


def plain_ndcg(ranked, target, k):
    """DCG over ideal DCG of a list of 0 and 1, with one relevant item."""
    gains = [1.0 if item == target else 0.0 for item in ranked[:k]]
    dcg = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    return dcg / (1 / math.log2(2))


@pytest.fixture(scope="module")
def lists():
    """Each user's whole ranking of 40 items, and their target."""
    random = np.random.default_rng(0)
    return np.stack([random.permutation(40) for _ in range(30)]), random.integers(40, size=30)


@pytest.mark.parametrize("k", [1, 5, 10, 39, 40, 100])
def test_metrics_equal_plain_python(lists, k):
    ranked, targets = lists
    ranks = np.array([row.tolist().index(target) + 1 for row, target in zip(ranked, targets, strict=True)])
    found = metrics(ranks, ranked, 40, (k,))
    plain = [plain_ndcg(row.tolist(), target, k) for row, target in zip(ranked, targets, strict=True)]
    assert per_user_ndcg(ranks, k).tolist() == pytest.approx(plain)
    assert found[f"ndcg@{k}"] == pytest.approx(sum(plain) / 30)
    hits = sum(target in row[:k].tolist() for row, target in zip(ranked, targets, strict=True))
    assert found[f"recall@{k}"] == hits / 30
    shown = {item for row in ranked for item in row[:k].tolist()}
    assert found[f"coverage@{k}"] == len(shown) / 40
    assert set(found) == {f"ndcg@{k}", f"recall@{k}", f"coverage@{k}"}


def test_the_edge_of_the_list():
    ranks = np.array([10, 11])
    assert recall_at_k(ranks, 10) == 0.5
    assert ndcg_at_k(ranks, 10) == pytest.approx(0.5 / math.log2(11))


def test_coverage_counts_each_item_once_and_cold_items_in_the_denominator():
    top = np.array([[0, 1], [0, 1], [0, 2]])
    assert coverage_at_k(top, 10, 1) == 0.1
    assert coverage_at_k(top, 10, 2) == 0.3
