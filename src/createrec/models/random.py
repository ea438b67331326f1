"""Random: K items uniformly without replacement, a fresh draw a user (Table 2)."""

import torch
from torch import Tensor

from createrec.models.random_scores import RandomScores


class Random(RandomScores):
    """Independent uniform scores: their order is a uniform permutation of the catalogue."""

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        return torch.rand(shape, device=generator.device, generator=generator)
