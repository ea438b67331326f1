"""What Markov, item-kNN and EASE share: a table of what each item says of every other one, summed over a history."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from createrec.data.batch import QueryBatch, TrainingData
from createrec.data.graph import build_edges
from createrec.models.base import Recommender
from createrec.ops.ragged import Sequences
from createrec.randomness import Randomness


class ItemTable(Recommender):
    """Scores are sums of rows of `table` [items, items]; states and item vectors have no dimensions.

    The history at query time counts, not the user: whoever has one gets an answer, in training or not.
    """

    table: Tensor

    def __init__(self, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.register_buffer("table", torch.zeros(data.item_count, data.item_count, device=data.device))

    def read(self, histories: Sequences) -> Sequences:
        """The items of each history whose rows are summed."""
        return distinct_items(histories, self.data.item_count)

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.table.new_empty(len(queries.users), 0)

    def item_vectors(self) -> Tensor:
        return self.table.new_empty(self.data.item_count, 0)

    def scores(self, queries: QueryBatch, item_vectors: Tensor, states: Tensor | None = None) -> Tensor:
        read = self.read(queries.histories)
        scores = F.embedding_bag(read.values, self.table, read.offsets[:-1], mode="sum")
        scores[queries.histories.lengths == 0] = self.item_counts.to(scores.dtype)
        return scores


def distinct_items(histories: Sequences, item_count: int) -> Sequences:
    """Each row's items once, in ascending order."""
    rows = torch.repeat_interleave(torch.arange(len(histories), device=histories.offsets.device), histories.lengths)
    keys = torch.unique(rows * item_count + histories.values)
    lengths = torch.bincount(keys // item_count, minlength=len(histories))
    return Sequences(keys % item_count, F.pad(lengths.cumsum(0), (1, 0)))


def user_item_matrix(data: TrainingData) -> sparse.csr_matrix:
    """The binary matrix of training interactions, float64 [users, items]."""
    edges = build_edges(data)
    users, items = edges.users.cpu().numpy(), edges.items.cpu().numpy()
    return sparse.csr_matrix((np.ones(len(users)), (users, items)), shape=(data.user_count, data.item_count))
