"""What Random and PopRnd (Table 2) share: nothing is learnt, and scores are a fresh draw a user."""

import torch
from torch import Tensor

from createrec.config import PopRndConfig, RandomConfig
from createrec.data.batch import QueryBatch, TrainingData
from createrec.models.base import Recommender
from createrec.randomness import Randomness


class RandomScores(Recommender):
    """States and vectors have no dimensions."""

    needs_history = False

    def __init__(self, config: RandomConfig | PopRndConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)

    def user_states(self, queries: QueryBatch) -> Tensor:
        return torch.empty(len(queries.users), 0, device=self.data.device)

    def item_vectors(self) -> Tensor:
        return torch.empty(self.data.item_count, 0, device=self.data.device)

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Scores [users, items] from a generator on the device."""
        raise NotImplementedError

    def scores(self, queries: QueryBatch, item_vectors: Tensor, states: Tensor | None = None) -> Tensor:
        return self.draw((len(queries.users), self.data.item_count), self.randomness.generator("ranking"))
