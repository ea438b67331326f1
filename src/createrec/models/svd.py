"""PureSVD on the binary user-item matrix (Table 2, row SVD).

Reference: Cremonesi et al., RecSys 2010; with the column scaling of Nikolakopoulos et al., "EigenRec", 2019.

    R' = R diag(count^((s - 1) / 2)),  R' ~ U S V^T,  score = (h V) V^T

h is the user's training row (`fold_in: true`: the history at query time, unscaled).
"""

import numpy as np
import torch
from torch import Tensor

from createrec.config import SVDConfig
from createrec.data.batch import QueryBatch, TrainingData
from createrec.data.graph import build_edges
from createrec.models.base import Recommender
from createrec.ops.ragged import Sequences, positions_in_ranges
from createrec.randomness import Randomness


class SVD(Recommender):
    """Truncated SVD by Lanczos iteration, from a start vector of the run's seed."""

    factors: Tensor

    def __init__(self, config: SVDConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.needs_known_user = not config.fold_in
        self.needs_history = config.fold_in
        rank = min(config.rank, min(data.user_count, data.item_count) - 1)
        if rank < config.rank:
            shape = f"{data.user_count:,} users and {data.item_count:,} items"
            self.notes.append(f"rank {config.rank} is more than a matrix of {shape} has: {rank} factors")
        self.register_buffer("factors", torch.zeros(data.item_count, rank, device=data.device))

    def fit(self) -> None:
        from scipy import sparse  # takes as long to load as all of this package, and no other model wants it here

        edges = build_edges(self.data)
        users, items = edges.users.cpu().numpy(), edges.items.cpu().numpy()
        shape = (self.data.user_count, self.data.item_count)
        matrix = sparse.csr_matrix((np.ones(len(users)), (users, items)), shape=shape)
        counts = np.maximum(np.bincount(items, minlength=shape[1]), 1.0)
        scaled = matrix @ sparse.diags(counts ** ((self.config.popularity_scaling - 1) / 2))
        start = np.random.default_rng(self.randomness.derived_seed("init/svd")).standard_normal(min(shape))
        _, _, right = sparse.linalg.svds(scaled, k=self.factors.shape[1], v0=start)
        self.factors.copy_(torch.from_numpy(right[::-1].T.copy()))

    def user_states(self, queries: QueryBatch) -> Tensor:
        if self.config.fold_in:
            return _sum_of_items(
                queries.histories, torch.arange(len(queries.users), device=queries.users.device), self.factors
            )
        return _sum_of_items(self.data.sequences, queries.users.clamp_min(0), self.factors)

    def item_vectors(self) -> Tensor:
        return self.factors


def _sum_of_items(sequences: Sequences, rows: Tensor, factors: Tensor) -> Tensor:
    """Sum of the factors of each row's distinct items, [rows, rank]."""
    lengths = sequences.lengths[rows]
    batch_row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), lengths)
    items = sequences.values[positions_in_ranges(sequences.offsets[rows], lengths)]
    keys = torch.unique(batch_row * len(factors) + items)
    states = factors.new_zeros(len(rows), factors.shape[1])
    return states.index_add_(0, keys // len(factors), factors[keys % len(factors)])
