"""EASE: a linear autoencoder over items, in closed form (beyond the paper).

Reference: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.

    min_B |X - X B|^2 + l2 |B|^2  with  diag(B) = 0:   P = (X'X + l2 I)^-1,  B_ij = -P_ij / P_jj for i /= j
    score = h B  (h: the items of the history)
"""

import numpy as np
import torch

from createrec.config import EASEConfig
from createrec.data.batch import TrainingData
from createrec.models.item_table import ItemTable, user_item_matrix
from createrec.randomness import Randomness


class EASE(ItemTable):
    """Inverts a matrix of all items: time grows with the catalogue's cube, memory with its square."""

    def __init__(self, config: EASEConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config

    def fit(self) -> None:
        matrix = user_item_matrix(self.data)
        # Counts are exact in float32, and dense in float64 would be twice a large table.
        gram = torch.from_numpy((matrix.T @ matrix).astype(np.float32).toarray()).to(self.table.device)
        gram.diagonal().add_(self.config.l2)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        del gram
        torch.div(inverse, -inverse.diagonal(), out=self.table)
        self.table.diagonal().zero_()
