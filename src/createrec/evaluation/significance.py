"""Is a difference between two models more than chance? Paired tests over users, bootstrap over users and seeds.

Every model of a dataset ranks for the same users, so models are compared user by user. A user's score is
averaged over the seeds first: seeds of one model are not independent users, and would otherwise count as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from createrec.errors import DataError
from createrec.evaluation.metrics import per_user_ndcg

Floats = NDArray[np.float64]
_CHUNK = 100  # bootstrap draws at a time: bounds memory at _CHUNK * users * 8 bytes


@dataclass(frozen=True)
class Ranks:
    """Per-user ranks of one run: aligned integer arrays of shape (queries,); ranks count from 1.

    A user has one query, or one for each draw of random targets.
    """

    user: NDArray[np.int64]
    draw: NDArray[np.int64]
    rank: NDArray[np.int64]

    def scores(self, metric: str) -> Floats:
        """One score per user, shape (users,), in the order of their indices: the mean over draws."""
        _, place, queries = np.unique(self.user, return_inverse=True, return_counts=True)
        return np.bincount(place, weights=per_user(self.rank, metric)) / queries

    def mean(self, metric: str) -> float:
        """What the record says: the mean over users, and over draws."""
        values = per_user(self.rank, metric)
        return float(np.mean([values[self.draw == draw].mean() for draw in np.unique(self.draw)]))


def read_ranks(path: Path) -> Ranks:
    """Reads a run's ranks.parquet.

    Raises:
        DataError: not a parquet file, a column is missing, or a rank is below 1.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    columns = ("user", "rank")
    try:
        table = parquet.read_table(path)
        user, rank = (np.asarray(table.column(name), dtype=np.int64) for name in columns)
        drawn = "draw" in table.column_names  # absent where there is one draw
        draw = np.asarray(table.column("draw"), dtype=np.int64) if drawn else np.zeros_like(user)
    except (pyarrow.ArrowException, KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{path}: expected a parquet file with integer columns {', '.join(columns)} ({error}); "
            "evaluate the run again"
        ) from None
    if rank.size and rank.min() < 1:
        raise DataError(f"{path}: ranks count from 1, found {rank.min()}; evaluate the run again")
    return Ranks(user, draw, rank)


def per_user(rank: NDArray[np.int64], metric: str) -> Floats:
    """One score per user, with one relevant item each: what NDCG@K and Recall@K (= HR@K) average (paper, Section 4.3).

    Args:
        rank: shape (users,), counted from 1.
        metric: `ndcg@K` or `recall@K`.
    """
    family, _, cutoff = metric.partition("@")
    if family == "ndcg":
        return per_user_ndcg(rank, int(cutoff))
    return (rank <= int(cutoff)).astype(np.float64)


def paired_t(first: Floats, second: Floats) -> float:
    """Two-sided p-value of the paired t-test over users; 1 where no user differs.

    It tests the mean difference, which is the difference of the table's two numbers.
    """
    difference = first - second
    if not difference.any():
        return 1.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def wilcoxon(first: Floats, second: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test over users; 1 where no user differs.

    Users without a difference are dropped (Wilcoxon's own rule), ties are corrected for, and the normal
    approximation is used whatever the size, so that the p-value does not jump at a sample size.
    """
    difference = first - second
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="wilcox", method="asymptotic").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the given order, each at most 1."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted.tolist()


def bootstrap_means(samples: Sequence[Floats], draws: int, seed: int) -> Floats:
    """Bootstrap draws of each model's mean: users are drawn once a draw for all models, seeds for each model apart.

    Drawing the same users for all models keeps the pairing, so differences of columns are paired differences.

    Args:
        samples: one array of shape (seeds, users) a model; the number of seeds may differ.
        draws: number of draws.
        seed: of the random generator.

    Returns:
        Shape (draws, models).
    """
    generator = np.random.default_rng(seed)
    stacked = np.concatenate(samples)
    users = stacked.shape[1]
    means = np.empty((draws, len(samples)))
    for start in range(0, draws, _CHUNK):
        size = min(_CHUNK, draws - start)
        drawn = generator.integers(0, users, size=(size, users)) + users * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        by_row = counts @ stacked.T / users
        row = 0
        for model, sample in enumerate(samples):
            seeds = generator.integers(row, row + len(sample), size=(size, len(sample)))
            means[start : start + size, model] = np.take_along_axis(by_row, seeds, axis=1).mean(axis=1)
            row += len(sample)
    return means


def percentile_interval(values: Floats, level: float) -> tuple[float, float]:
    """Two-sided percentile interval of bootstrap draws, shape (draws,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
