"""Full-catalogue ranking: where each target stands, and what stands at the top."""

from dataclasses import dataclass

import numpy as np
import torch

from createrec.data.batch import QueryBatch
from createrec.data.split import Queries
from createrec.errors import TrainingError
from createrec.models.base import Recommender
from createrec.ops.ragged import Sequences
from createrec.ops.ranking import remove_seen_, target_ranks, top_items

# About so many scores are made at once: on a CPU enough for few steps, few enough for its last cache.
CPU_BLOCK_SCORES = 4_000_000
CUDA_BLOCK_SCORES = 64_000_000
# Rank of a target that was removed as seen: behind every cutoff, however short the catalogue, and an int32.
OUT_OF_REACH = 2**31 - 1
DIVERGED = "the model's scores are not numbers: its parameters diverged; lower training.learning_rate"


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
    if not vectors.isfinite().all():
        raise TrainingError(DIVERGED)
    elements = CUDA_BLOCK_SCORES if device.type == "cuda" else CPU_BLOCK_SCORES
    size = max(1, elements // model.data.item_count)
    states = model.user_states(query_batch(queries, slice(0, len(queries)), device))
    ranks, top = [], []
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        batch = query_batch(queries, rows, device)
        scores = model.scores(batch, vectors, states[rows])
        targets = torch.from_numpy(queries.target[rows]).to(device)
        if remove_seen:
            remove_seen_(scores, batch.histories)
        ranks.append(target_ranks(scores, targets).cpu())
        if not ranks[-1].all():
            raise TrainingError(DIVERGED)
        if k:
            best = top_items(scores, k)
            if (scores.gather(1, best[:, -1:]) == -torch.inf).any():
                best.masked_fill_(scores.gather(1, best) == -torch.inf, -1)
            top.append(best.cpu())
        del scores  # the next block's take its place, which is still in the cache
    empty = torch.empty(0, dtype=torch.int64)
    found = torch.cat([empty, *ranks]).numpy()
    if remove_seen:
        found[queries.target_is_seen] = OUT_OF_REACH
    return Ranking(found, (torch.cat(top) if top else empty[:, None]).numpy())
