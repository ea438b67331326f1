"""PopRnd: K items without replacement, drawn in proportion to their training counts, a fresh draw a user (Table 2)."""

import torch
from torch import Tensor

from createrec.models.random_scores import RandomScores


class PopRnd(RandomScores):
    """Log counts plus Gumbel noise: sorting them is drawing without replacement in proportion to the counts.

    Items that training has never seen have score -inf and are never drawn.
    """

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        noise = torch.empty(shape, device=generator.device).exponential_(generator=generator)
        return self.item_counts.log() - noise.log_()
