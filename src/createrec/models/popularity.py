"""PopRnd: K items without replacement, drawn in proportion to their training counts, a fresh draw a user (Table 2)."""

import torch
from torch import Tensor

from createrec.config import PopRndConfig
from createrec.data.batch import QueryBatch, TrainingData
from createrec.models.base import Recommender
from createrec.randomness import Randomness


class PopRnd(Recommender):
    """Log counts plus Gumbel noise: sorting them is drawing without replacement in proportion to the counts.

    Items that training has never seen have score -inf and are never drawn.
    """

    needs_history = False

    def __init__(self, config: PopRndConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)

    def item_vectors(self) -> Tensor:
        return torch.empty(self.data.item_count, 0, device=self.data.device)

    def scores(self, queries: QueryBatch, item_vectors: Tensor) -> Tensor:
        shape = (len(queries.users), self.data.item_count)
        noise = torch.empty(shape, device=self.data.device)
        noise.exponential_(generator=self.randomness.generator("ranking"))
        return self.item_counts.log() - noise.log_()
