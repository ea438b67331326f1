"""Random: K items uniformly without replacement, a fresh draw a user (Table 2)."""

import torch
from torch import Tensor

from createrec.config import RandomConfig
from createrec.data.batch import QueryBatch, TrainingData
from createrec.models.base import Recommender
from createrec.randomness import Randomness


class Random(Recommender):
    """Independent uniform scores: their order is a uniform permutation of the catalogue."""

    needs_history = False

    def __init__(self, config: RandomConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)

    def item_vectors(self) -> Tensor:
        return torch.empty(self.data.item_count, 0, device=self.data.device)

    def scores(self, queries: QueryBatch, item_vectors: Tensor) -> Tensor:
        shape = (len(queries.users), self.data.item_count)
        return torch.rand(shape, device=self.data.device, generator=self.randomness.generator("ranking"))
