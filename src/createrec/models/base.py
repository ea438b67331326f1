"""What a model is to the rest: named loss terms for a batch, and scores for queries.

The trainer knows no model by name. A model says in which phases it is trained (`phases`), which streams of
batches each phase draws and how its loss terms are weighted there; it returns the terms by name, so that they
are logged and plotted by name. Ranking needs a state a query and a vector an item, whose product is the score.
"""

import torch
from torch import Tensor, nn

from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.models.phases import Phase
from createrec.ops.products import products
from createrec.randomness import Randomness


class Recommender(nn.Module):
    """Base of all models.

    A trainable model overrides `phases` and `losses`; one that only counts overrides `fit`.
    """

    #: True where the state needs a user that was in training (graph models, SVD without fold-in).
    needs_known_user: bool = False
    #: True where an empty history has no state.
    needs_history: bool = True

    item_counts: Tensor

    def __init__(self, data: TrainingData, randomness: Randomness) -> None:
        super().__init__()
        self.data = data
        self.randomness = randomness
        self.register_buffer("item_counts", data.item_counts(), persistent=True)
        #: Where a model departs from its settings, and why, for a person and the record.
        self.notes: list[str] = []

    @property
    def capturable(self) -> bool:
        """Whether a GPU may replay one captured step; a part that needs the host says `capturable = False`."""
        return all(getattr(module, "capturable", True) for module in self.children())

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
        scores = products(self.user_states(queries) if states is None else states, item_vectors)
        stateless = torch.zeros_like(queries.users, dtype=torch.bool)
        if self.needs_known_user:
            stateless |= queries.users < 0
        if self.needs_history:
            stateless |= queries.histories.lengths == 0
        if stateless.any():
            scores[stateless] = self.item_counts.to(scores.dtype)
        return scores


def normal_(tensor: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Fills a tensor with N(0, std) drawn on the CPU, so that a seed means the same start on every device."""
    with torch.no_grad():
        return tensor.copy_(torch.empty(tensor.shape).normal_(0.0, std, generator=generator))


def make_item_table(data: TrainingData, dimension: int, std: float, randomness: Randomness) -> nn.Parameter:
    """The item table [items, d], N(0, std)."""
    table = nn.Parameter(torch.empty(data.item_count, dimension, device=data.device))
    normal_(table, std, randomness.generator("init/items"))
    return table
