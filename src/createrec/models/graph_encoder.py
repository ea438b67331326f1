"""What the two graph encoders share: the edges, a user table, and the vectors of users and items."""

from dataclasses import dataclass
from typing import ClassVar

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


class GraphEncoder(nn.Module):
    """A user table beside an item table that it does not own, tied by the user-item graph."""

    #: Standard deviation of the user table's start (and of the item table's, where the encoder stands alone).
    INITIAL_STD: ClassVar[float]

    def __init__(self, config: GraphEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness) -> None:
        super().__init__()
        self.randomness = randomness
        self.edges = build_edges(data, config.graph_last, config.graph_percent)
        self.user_table = nn.Parameter(torch.empty(data.user_count, dimension, device=data.device))
        normal_(self.user_table, self.INITIAL_STD, randomness.generator("init/graph"))

    def vectors(self, item_table: Tensor) -> GraphVectors:
        """Vectors that score: once per step, shared by the losses that need them."""
        raise NotImplementedError

    def global_loss(self, edges: EdgeBatch, vectors: GraphVectors, item_table: Tensor) -> Tensor:
        """L_global over a batch of edges, a scalar: a mean over the edges, so that its weight means the same on every
        dataset and for every batch size.
        """
        raise NotImplementedError
