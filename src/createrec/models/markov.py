"""First-order Markov chain over items: what followed the last item of a history, how often (beyond the paper).

    T_ij = sum over training pairs (i, then j, d <= window positions later) of 1 / d
    score(j | last item i) = T_ij / sum_k T_ik + popularity_weight * count_j / sum_k count_k

With `window: 1` T counts direct successors. A small weight of popularity orders the items that never followed.
"""

import numpy as np
import torch
from scipy import sparse

from createrec.config import MarkovConfig
from createrec.data.batch import TrainingData
from createrec.models.item_table import ItemTable
from createrec.ops.ragged import Sequences
from createrec.randomness import Randomness


class Markov(ItemTable):
    """Reads the newest item alone."""

    def __init__(self, config: MarkovConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config

    def fit(self) -> None:
        items, user = self.data.sequences.values.cpu().numpy(), self.data.row_users().cpu().numpy()
        count = self.data.item_count
        transitions = sparse.csr_matrix((count, count))
        for distance in range(1, self.config.window + 1):
            same = user[distance:] == user[:-distance]
            pairs = items[:-distance][same], items[distance:][same]
            transitions += sparse.csr_matrix((np.full(same.sum(), 1 / distance), pairs), shape=(count, count))
        totals = np.maximum(np.asarray(transitions.sum(1)).ravel(), 1e-12)
        shares = (sparse.diags(1 / totals) @ transitions).astype(np.float32)  # dense in float64 is twice a large table
        self.table.copy_(torch.from_numpy(shares.toarray()))
        popularity = self.item_counts.to(self.table.dtype)
        self.table += self.config.popularity_weight * popularity / popularity.sum()

    def read(self, histories: Sequences) -> Sequences:
        newest = histories.values[(histories.offsets[1:] - 1)[histories.lengths > 0]]
        lengths = histories.lengths.clamp_max(1)
        return Sequences(newest, torch.nn.functional.pad(lengths.cumsum(0), (1, 0)))
