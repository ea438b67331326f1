"""Most popular: everyone gets the items with the most training interactions (beyond the paper)."""

import torch
from torch import Tensor

from createrec.config import PopularConfig
from createrec.data.batch import QueryBatch, TrainingData
from createrec.models.base import Recommender
from createrec.randomness import Randomness


class Popular(Recommender):
    """The score is the training count; ties go to the lower item index, as in all rankings."""

    needs_history = False

    def __init__(self, config: PopularConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)

    def user_states(self, queries: QueryBatch) -> Tensor:
        return torch.ones(len(queries.users), 1, device=self.data.device)

    def item_vectors(self) -> Tensor:
        return self.item_counts.float()[:, None]
