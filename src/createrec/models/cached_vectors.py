"""Vectors that stand still while a model is evaluated: computed once, then shared by all blocks of queries."""

from typing import Any

import torch

from createrec.models.base import Recommender


class CachedVectors(Recommender):
    """A recommender whose vectors of the whole graph are costly.

    They are kept from the first use in evaluation (no gradients, `eval()`) until `train()` or `eval()` is called again,
    which training and ranking both do before they look at new parameters.
    """

    _frozen: Any = None

    def compute_vectors(self) -> Any:
        """The vectors of the current parameters."""
        raise NotImplementedError

    def vectors(self) -> Any:
        """`compute_vectors`, or what it gave before in the same evaluation."""
        if self.training or torch.is_grad_enabled():
            return self.compute_vectors()
        if self._frozen is None:
            self._frozen = self.compute_vectors()
        return self._frozen

    def train(self, mode: bool = True) -> "CachedVectors":
        self._frozen = None
        return super().train(mode)
