"""Item-kNN: items that were taken by the same users (beyond the paper).

Reference: Sarwar et al., WWW 2001; with the shrinkage that Ferrari Dacrema et al., RecSys 2019, found to matter.

    sim(i, j) = |U_i and U_j| / (sqrt(|U_i| |U_j|) + shrinkage),  0 for i = j
    score(j) = sum over the history's items i that are among the `neighbours` most similar to j of sim(i, j)

Among equally similar neighbours the lower index stays.
"""

import numpy as np
import torch

from createrec.config import ItemKNNConfig
from createrec.data.batch import TrainingData
from createrec.models.item_table import ItemTable, user_item_matrix
from createrec.randomness import Randomness


class ItemKNN(ItemTable):
    """Cosine similarity of binary columns."""

    def __init__(self, config: ItemKNNConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config

    def fit(self) -> None:
        matrix = user_item_matrix(self.data)
        gram = (matrix.T @ matrix).tocoo()
        target, other = gram.row.astype(np.int64), gram.col.astype(np.int64)
        counts = np.sqrt(np.asarray(matrix.sum(0)).ravel())
        similarity = gram.data / (counts[target] * counts[other] + self.config.shrinkage)
        different = target != other
        target, other, similarity = target[different], other[different], similarity[different]
        order = np.lexsort((other, -similarity, target))
        target, other, similarity = target[order], other[order], similarity[order]
        starts = np.searchsorted(target, target)
        near = np.arange(len(target)) - starts < self.config.neighbours
        places = [torch.from_numpy(index[near]).to(self.table.device) for index in (other, target)]
        self.table.zero_()
        self.table[places[0], places[1]] = torch.from_numpy(similarity[near]).to(self.table)
