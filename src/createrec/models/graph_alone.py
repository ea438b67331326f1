"""One graph encoder on its own: the very encoder that CREATE composes, without the other half.

The settings are those of the encoder and of training in one (`createrec.kinds.stand_alone`).
"""

import torch
from torch import Tensor

from createrec.config import TrainableConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.kinds import implementation
from createrec.models.base import Recommender, make_item_table
from createrec.models.graph_encoder import GraphEncoder
from createrec.models.phases import TRAIN, Phase
from createrec.randomness import Randomness


class GraphRecommender(Recommender):
    """A graph encoder over its own item table; users are those of the training graph, with no fold-in."""

    needs_known_user = True
    needs_history = False

    def __init__(self, config: TrainableConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        encoder = implementation(config, "graph")
        self.graph: GraphEncoder = encoder(config, config.dimension, data, randomness)
        self.item_table = make_item_table(data, config.dimension, self.graph.initial_std, randomness)
        self.edges = self.graph.edges

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(TRAIN, self.config.training.epochs, {"global": 1.0}, ("edges",)),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        nobody = batch.edges.users[:0]
        return {"global": self.graph.global_loss(batch.edges, self.item_table, nobody).loss}

    def user_states(self, queries: QueryBatch) -> Tensor:
        users = queries.users.clamp_min(0)
        return self.graph.vectors(self.item_table, users, users[:0]).users

    def item_vectors(self) -> Tensor:
        items = torch.arange(self.data.item_count, device=self.data.device)
        return self.graph.vectors(self.item_table, items[:0], items).items
