"""What graph encoders share: the edges, a user table, and what a step and a query ask them for."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from createrec.config import GraphEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import build_edges
from createrec.models.base import normal_
from createrec.randomness import Randomness


@dataclass(frozen=True)
class GraphVectors:
    """What a graph encoder says of users [users, d] and items [items, d]."""

    users: Tensor
    items: Tensor


@dataclass(frozen=True)
class GlobalLoss:
    """A training step of the graph side.

    Attributes:
        loss: L_global, a scalar: a mean over the edges, so that its weight means the same on every dataset and for
            every batch size.
        aligned: vectors [users, d] of the users that were asked for.
    """

    loss: Tensor
    aligned: Tensor


class GraphEncoder(nn.Module):
    """A user table beside an item table that it does not own, tied by the user-item graph."""

    def __init__(
        self,
        config: GraphEncoderConfig,
        dimension: int,
        data: TrainingData,
        randomness: Randomness,
        initial_std: float = 0.1,
    ) -> None:
        """Draws the user table.

        Args:
            initial_std: standard deviation of the user table's start (and of the item table's, where the encoder
                stands alone).
        """
        super().__init__()
        self.initial_std = initial_std
        self.randomness = randomness
        self.edges = build_edges(data, config.graph_last, config.graph_percent)
        self.user_table = nn.Parameter(torch.empty(data.user_count, dimension, device=data.device))
        normal_(self.user_table, initial_std, randomness.generator("init/graph"))

    def vectors(self, item_table: Tensor, users: Tensor, items: Tensor) -> GraphVectors:
        """Vectors that score, of these users and these items (int64, any number of each, repeated or none)."""
        raise NotImplementedError

    def global_loss(self, edges: EdgeBatch, item_table: Tensor, aligned: Tensor) -> GlobalLoss:
        """L_global over a batch of edges, and the vectors of the users int64 that are to be aligned (may be none).

        Both in one call, so that a step propagates once.
        """
        raise NotImplementedError
