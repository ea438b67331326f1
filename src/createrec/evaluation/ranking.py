"""Full-catalogue ranking: where each target stands, and what stands at the top.

Ties: the item with the lower index comes first, in ranks and in lists alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from createrec.data.batch import QueryBatch
from createrec.data.split import Queries
from createrec.errors import TrainingError
from createrec.models.base import Recommender
from createrec.ops.ragged import Sequences

# About so many scores are made at once. On a CPU they should still be in the cache when they are ranked.
CPU_BLOCK_SCORES = 1_500_000
CUDA_BLOCK_SCORES = 256_000_000
# The top k are looked for among items that reach the k-th best maximum of interleaved groups of so many items.
ITEMS_PER_GROUP = 16
# More candidates than so many times k mean ties.
MOST_CANDIDATES = 4
# Rank of a target that was removed as seen: behind every cutoff, however short the catalogue, and an int32.
OUT_OF_REACH = 2**31 - 1
# Rows compared at once on a CPU, so that the outcome is summed while it is still in the cache.
COUNT_ROWS = 32


@dataclass(frozen=True)
class Ranking:
    """Ranks int64 [queries] (1 = best) and the best items int64 [queries, k], best first.

    A target that left the ranking as seen has the rank OUT_OF_REACH. Where fewer than k items are left to recommend,
    the places behind them hold -1.
    """

    ranks: np.ndarray
    top: np.ndarray


def query_batch(queries: Queries, rows: slice, device: torch.device) -> QueryBatch:
    """Some consecutive queries, on the device."""
    offsets = queries.offsets[rows.start : rows.stop + 1]
    history = queries.history[offsets[0] : offsets[-1]]
    users = torch.from_numpy(np.ascontiguousarray(queries.user[rows])).to(device)
    return QueryBatch(users, Sequences.from_numpy(history, offsets - offsets[0], device))


def remove_seen_(scores: Tensor, histories: Sequences) -> Tensor:
    """Sets the scores [batch, items] of each row's history to -inf, in place."""
    row = torch.repeat_interleave(torch.arange(len(scores), device=scores.device), histories.lengths)
    return scores.index_put_((row, histories.values), scores.new_tensor(-torch.inf))


def count_items(holds: Callable[..., Tensor], scores: Tensor, bound: Tensor) -> Tensor:
    """How many scores [batch, items] of each row stand in a relation to its bound [batch, 1]; int64 [batch].

    A CPU sums float32 four times as fast as truth values, and exactly below 2^24 items.

    Args:
        holds: `torch.gt`, `torch.ge` or `torch.eq`.
    """
    if scores.is_cuda:
        return holds(scores, bound).sum(1)
    buffer = torch.empty(min(COUNT_ROWS, len(scores)), scores.shape[1])
    rows = zip(scores.split(COUNT_ROWS), bound.split(COUNT_ROWS), strict=True)
    return torch.cat([holds(part, limit, out=buffer[: len(part)]).sum(1) for part, limit in rows]).long()


def target_ranks(scores: Tensor, targets: Tensor) -> Tensor:
    """1-based ranks int64 [batch] of targets int64 [batch] among scores [batch, items]."""
    own = scores.gather(1, targets[:, None])
    better = count_items(torch.gt, scores, own)
    tied = count_items(torch.eq, scores, own)
    rows = (tied > 1).nonzero()[:, 0]
    if len(rows):
        before = torch.arange(scores.shape[1], device=scores.device) < targets[rows, None]
        better[rows] += ((scores[rows] == own[rows]) & before).sum(1)
    return better + 1


def _kth_largest(values: Tensor, k: int) -> Tensor:
    """The k-th largest of each row [batch, n], as [batch, 1]. NumPy's partition is the fastest one on a CPU."""
    if values.is_cuda:
        return values.topk(k, dim=1, sorted=False).values.amin(1, keepdim=True)
    place = values.shape[1] - k
    return torch.from_numpy(np.partition(values.numpy(), place, axis=1)[:, place, None])


def _true_places(mask: Tensor) -> Tensor:
    """Where the flattened mask is true, ascending, int64."""
    flat = mask.view(-1)
    return flat.nonzero()[:, 0] if flat.is_cuda else torch.from_numpy(np.flatnonzero(flat.numpy()))


def _sort_keys(scores: Tensor, items: Tensor) -> Tensor:
    """int64 that ascend as float32 scores fall, and among equal scores as their items do, which are the low half.

    The bits of a float, read as an integer, ascend with it; below zero they do once all but the sign are turned.
    """
    bits = (scores + 0.0).view(torch.int32)  # -0 becomes 0
    falling = ~(bits ^ ((bits >> 31) & 0x7FFFFFFF))
    return (falling.long() << 32) | items


def _sort(keys: Tensor) -> Tensor:
    """Rows of keys [batch, n] in ascending order. NumPy's sort of integers is the fastest one on a CPU."""
    return keys.sort(dim=1).values if keys.is_cuda else torch.from_numpy(np.sort(keys.numpy(), axis=1))


def top_items(scores: Tensor, k: int) -> Tensor:
    """The k best items of each row of float32 [batch, items], best first, int64 [batch, min(k, items)]; ties by index.

    The k-th largest maximum of groups of items is at most the k-th largest score, and not much less: only the items
    that reach it are sorted. Rows where ties let too many reach it are sorted whole.
    """
    batch, items = scores.shape
    k = min(k, items)
    groups = items // ITEMS_PER_GROUP
    pool = scores
    if groups > 2 * k:
        pool = scores[:, : groups * ITEMS_PER_GROUP].unflatten(1, (ITEMS_PER_GROUP, groups)).amax(1)
    place = _true_places(scores >= _kth_largest(pool, k))
    row = place // items
    counts = torch.bincount(row, minlength=batch)
    many = counts > MOST_CANDIDATES * k
    if many.any():
        kept = ~many[row]
        place, row = place[kept], row[kept]
        counts[many] = 0
    # Row by row into a rectangle; slots that stay empty come last.
    width = max(k, int(counts.max()) if batch else 0)
    first = counts.cumsum(0) - counts
    slot = torch.arange(len(place), device=scores.device) - first[row] + row * width
    keys = place.new_full((batch * width,), torch.iinfo(torch.int64).max)
    keys[slot] = _sort_keys(scores.reshape(-1)[place], place - row * items)
    best = _sort(keys.view(batch, width))[:, :k]
    if many.any():
        best[many] = _sort(_sort_keys(scores[many], torch.arange(items, device=scores.device)))[:, :k]
    return best & 0xFFFFFFFF


@torch.no_grad()
def rank(model: Recommender, queries: Queries, *, remove_seen: bool, k: int) -> Ranking:
    """Ranks every query's target among the whole catalogue.

    Args:
        remove_seen: items of the history leave the ranking; a target that is one of them is out of reach.
        k: length of the lists of best items; 0 = none.

    Raises:
        TrainingError: the model scores with NaN, which would otherwise look like a perfect rank.
    """
    model.eval()
    device = model.data.device
    vectors = model.item_vectors()
    finite = vectors.isfinite().all()
    elements = CUDA_BLOCK_SCORES if device.type == "cuda" else CPU_BLOCK_SCORES
    size = max(1, elements // model.data.item_count)
    states = model.user_states(query_batch(queries, slice(0, len(queries)), device))
    ranks, top = [], []
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        batch = query_batch(queries, rows, device)
        scores = model.scores(batch, vectors, states[rows])
        targets = torch.from_numpy(queries.target[rows]).to(device)
        finite &= ~scores.gather(1, targets[:, None]).isnan().any()
        if remove_seen:
            remove_seen_(scores, batch.histories)
        ranks.append(target_ranks(scores, targets).cpu())
        if k:
            best = top_items(scores, k)
            removed = scores.gather(1, best.clamp(max=scores.shape[1] - 1)) == -torch.inf  # NaN gives no place
            top.append(best.masked_fill_(removed, -1).cpu())
    if not finite:
        raise TrainingError("the model's scores are not numbers: its parameters diverged; lower training.learning_rate")
    empty = torch.empty(0, dtype=torch.int64)
    found = torch.cat([empty, *ranks]).numpy()
    if remove_seen:
        found[queries.target_is_seen] = OUT_OF_REACH
    return Ranking(found, (torch.cat(top) if top else empty[:, None]).numpy())
