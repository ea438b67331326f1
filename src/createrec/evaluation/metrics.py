"""NDCG, Recall and Coverage of one target a user (paper, Section 4.3; definitions in docs/protocol.md)."""

from collections.abc import Sequence

import numpy as np


def ndcg_at_k(ranks: np.ndarray, k: int) -> float:
    """Mean over users of 1 / log2(rank + 1) if rank <= k, else 0. With one target the ideal is 1.

    Args:
        ranks: 1-based rank of each user's target.

    >>> ndcg_at_k(np.array([1, 3, 11]), 10)  # (1 + 1/2 + 0) / 3
    0.5
    """
    return float(per_user_ndcg(ranks, k).mean())


def per_user_ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each user, float64 [users]."""
    return np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0)


def recall_at_k(ranks: np.ndarray, k: int) -> float:
    """Share of users whose target is among the first k; with one target this is the hit rate HR@k.

    >>> recall_at_k(np.array([1, 3, 11, 10]), 10)
    0.75
    """
    return float((ranks <= k).mean())


def coverage_at_k(top: np.ndarray, item_count: int, k: int) -> float:
    """Distinct items in all users' first k, over a number of items.

    Args:
        top: recommended items, best first, [users, at least k]; -1 where there was none left.
        item_count: of the whole catalogue, or of the training rows (`coverage_of`).

    >>> coverage_at_k(np.array([[0, 1, 2], [1, 0, 3]]), 8, 2)
    0.25
    """
    shown = top[:, :k]
    return len(np.unique(shown[shown >= 0])) / item_count


def names_of_metrics(cutoffs: Sequence[int]) -> list[str]:
    """What `metrics` gives, in its order."""
    return [f"{name}@{k}" for k in cutoffs for name in ("ndcg", "recall", "coverage")]


def metrics(ranks: np.ndarray, top: np.ndarray, item_count: int, cutoffs: Sequence[int]) -> dict[str, float]:
    """All metrics by name (ndcg@10, recall@10, coverage@10, ...), as fractions."""
    found: dict[str, float] = {}
    for k in cutoffs:
        found[f"ndcg@{k}"] = ndcg_at_k(ranks, k)
        found[f"recall@{k}"] = recall_at_k(ranks, k)
        found[f"coverage@{k}"] = coverage_at_k(top, item_count, k)
    return found
