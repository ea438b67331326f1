"""Where a target stands among the scores of a catalogue, and what stands at the top.

Ties: the item with the lower index comes first, in ranks and in lists alike. On a CPU, NumPy compares, counts, selects
and sorts several times faster than torch; what torch does on a GPU is the plain reference.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from createrec.ops.ragged import Sequences

Integers = TypeVar("Integers", Tensor, np.ndarray)

# The top k are looked for among items that reach the k-th best maximum of so many times k interleaved groups of items.
GROUPS_PER_PLACE = 4
# More candidates than so many times k mean ties.
MOST_CANDIDATES = 4


def remove_seen_(scores: Tensor, histories: Sequences) -> Tensor:
    """Sets the scores [batch, items] of each row's history to -inf, in place."""
    first = torch.arange(0, scores.numel(), scores.shape[1], device=scores.device)
    place = torch.repeat_interleave(first, histories.lengths).add_(histories.values)
    scores.view(-1).index_fill_(0, place, -torch.inf)
    return scores


def target_ranks(scores: Tensor, targets: Tensor) -> Tensor:
    """1-based ranks int64 [batch] of targets int64 [batch] among scores [batch, items]; 0 for one that scores NaN."""
    own = scores.gather(1, targets[:, None])
    if scores.is_cuda:
        better, reaching = (scores > own).sum(1), (scores >= own).sum(1)
    else:
        better, reaching = _counts(scores.numpy(), own.numpy())
    rows = (reaching > better + 1).nonzero()[:, 0]
    if len(rows):
        before = torch.arange(scores.shape[1], device=scores.device) < targets[rows, None]
        better[rows] += ((scores[rows] == own[rows]) & before).sum(1)
    return (better + 1).mul_(reaching > 0)  # NaN is not even as large as itself


def _counts(scores: np.ndarray, bound: np.ndarray) -> Tensor:
    """How many scores of each row are above its bound, and how many reach it; int64 [2, batch]."""
    mask = np.greater(scores, bound)
    above = [np.count_nonzero(row) for row in mask]
    np.greater_equal(scores, bound, out=mask)
    return torch.tensor([above, [np.count_nonzero(row) for row in mask]])


def _falling(bits: Integers) -> Integers:
    """int32 that ascend as float32 with these bits fall.

    The bits of a float, read as an integer, ascend with it; below zero they do once all but the sign are turned.
    """
    return ~(bits ^ ((bits >> 31) & 0x7FFFFFFF))


def top_items(scores: Tensor, k: int) -> Tensor:
    """The k best items of each row of float32 [batch, items], best first, int64 [batch, min(k, items)]."""
    k = min(k, scores.shape[1])
    return plain_top_items(scores, k) if scores.is_cuda else torch.from_numpy(_top_items(scores.numpy(), k))


def plain_top_items(scores: Tensor, k: int) -> Tensor:
    """The plain reference of `top_items`, and what a GPU does.

    All items are selected from, by int64 whose high half falls as scores ascend (-0 + 0 is 0), and whose low half is
    the item.
    """
    keys = _falling((scores + 0.0).view(torch.int32)).long() << 32
    keys |= torch.arange(scores.shape[1], device=scores.device)
    return keys.topk(k, dim=1, largest=False).values & 0xFFFFFFFF


def _sort_keys(scores: np.ndarray, items: np.ndarray) -> np.ndarray:
    return (_falling((scores + 0.0).view(np.int32)).astype(np.int64) << 32) | items


def _top_items(scores: np.ndarray, k: int) -> np.ndarray:
    """The k-th largest maximum of groups of items is at most the k-th largest score, and not much less: only the items
    that reach it are sorted. Rows where ties let too many reach it are sorted whole.
    """
    batch, items = scores.shape
    pool, size = scores, items // (GROUPS_PER_PLACE * k)
    if size > 1:
        groups = items // size
        pool = torch.from_numpy(scores)[:, : groups * size].unflatten(1, (size, groups)).amax(1).numpy()
    bound = np.partition(pool, pool.shape[1] - k, axis=1)[:, pool.shape[1] - k, None]
    place = np.flatnonzero(scores >= bound)
    row = place // items
    counts = np.bincount(row, minlength=batch)
    many = np.flatnonzero(counts > MOST_CANDIDATES * k)
    if len(many):
        kept = np.isin(row, many, invert=True)
        place, row = place[kept], row[kept]
        counts[many] = 0
    # Row by row into a rectangle; slots that stay empty come last.
    width = max(k, int(counts.max(initial=0)))
    slot = np.arange(len(place)) + (np.arange(batch) * width - counts.cumsum() + counts)[row]
    keys = np.full((batch, width), np.iinfo(np.int64).max)
    keys.reshape(-1)[slot] = _sort_keys(scores.reshape(-1)[place], place - row * items)
    keys.sort(axis=1)
    best = keys[:, :k]
    best[many] = np.sort(_sort_keys(scores[many], np.arange(items)), axis=1)[:, :k]
    return best & 0xFFFFFFFF
