"""What a model is to the rest: named loss terms for a batch, and scores for queries.

The trainer knows no model by name. A model says in which phases it is trained (`phases`), which streams of
batches each phase draws and how its loss terms are weighted there; it returns the terms by name, so that they
are logged and plotted by name. Ranking needs a state a query and a vector an item, whose product is the score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.randomness import Randomness

StreamName = Literal["sequences", "prefixes", "edges"]


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with the same loss (paper, Section 3.6).

    Attributes:
        name: as logged and plotted, for instance warmup or joint.
        epochs: how many.
        weights: weight of each loss term; a term that is absent or has weight 0 is not computed.
        streams: what a step draws. The first leads: an epoch is one pass over it, and the others are
            spread over the same number of steps, one pass each.
        max_length: how much of a history a step reads.
    """

    name: str
    epochs: int
    weights: Mapping[str, float]
    streams: tuple[StreamName, ...]
    max_length: int | None = None

    def wants(self, term: str) -> bool:
        return self.weights.get(term, 0.0) != 0.0


class Recommender(nn.Module):
    """Base of all models.

    A trainable model overrides `phases` and `losses`; one that only counts overrides `fit`.
    """

    #: True where the state needs a user that was in training (graph models, SVD without fold-in).
    needs_known_user: ClassVar[bool] = False
    #: True where an empty history has no state.
    needs_history: ClassVar[bool] = True

    def __init__(self, data: TrainingData, randomness: Randomness) -> None:
        super().__init__()
        self.data = data
        self.randomness = randomness
        self.register_buffer("item_counts", data.item_counts(), persistent=True)

    def phases(self) -> tuple[Phase, ...]:
        """Training phases in order; none for models without gradients."""
        return ()

    def fit(self) -> None:
        """Computes what a model without gradients needs from its data."""

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        """The phase's loss terms by name, unweighted scalars, each a mean over what it sums."""
        raise NotImplementedError

    def user_states(self, queries: QueryBatch) -> Tensor:
        """States [batch, d] whose product with `item_vectors` scores the catalogue."""
        raise NotImplementedError

    def item_vectors(self) -> Tensor:
        """Item vectors [items, d]."""
        raise NotImplementedError

    def scores(self, queries: QueryBatch, item_vectors: Tensor, states: Tensor | None = None) -> Tensor:
        """Scores [batch, items].

        Where the model has no state (an empty history, or a user outside training for models of users) the
        answer is the training popularity, for everyone the same.

        Args:
            states: what `user_states` says of these queries, where that is at hand.
        """
        scores = (self.user_states(queries) if states is None else states) @ item_vectors.T
        stateless = torch.zeros_like(queries.users, dtype=torch.bool)
        if self.needs_known_user:
            stateless |= queries.users < 0
        if self.needs_history:
            stateless |= queries.histories.lengths == 0
        scores[stateless] = self.item_counts.to(scores.dtype)
        return scores


def normal_(tensor: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Fills a tensor with N(0, std) drawn on the CPU, so that a seed means the same start on every device."""
    with torch.no_grad():
        return tensor.copy_(torch.empty(tensor.shape).normal_(0.0, std, generator=generator))
