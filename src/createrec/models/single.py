"""One encoder on its own: the trusted baselines SASRec, BERT4Rec, LightGCN and UltraGCN.

They are the very encoders that CREATE composes, without the other half.
"""

import torch
from torch import Tensor, nn

from createrec.config import GraphEncoderConfig, SequenceEncoderConfig, TrainableConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.models.base import Phase, Recommender, normal_
from createrec.models.graph_encoder import GraphEncoder
from createrec.models.transformer import INITIAL_STD, SequenceEncoder
from createrec.randomness import Randomness


def make_item_table(data: TrainingData, dimension: int, std: float, randomness: Randomness) -> nn.Parameter:
    """The item table [items, d], N(0, std)."""
    table = nn.Parameter(torch.empty(data.item_count, dimension, device=data.device))
    normal_(table, std, randomness.generator("init/items"))
    return table


class SequenceRecommender(Recommender):
    """A sequence encoder over its own item table."""

    def __init__(
        self,
        config: TrainableConfig | SequenceEncoderConfig,
        data: TrainingData,
        randomness: Randomness,
        encoder_class: type[SequenceEncoder],
    ) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = make_item_table(data, config.dimension, INITIAL_STD, randomness)
        self.sequence = encoder_class(config, config.dimension, data.item_count, randomness)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("train", self.config.training.epochs, {"local": 1.0}, ("sequences",), self.sequence.max_length),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        local = self.sequence.local_loss(self.data.sequences, batch.sequences, self.item_table, want_states=False)
        return {"local": local.loss}

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.sequence.user_states(queries.histories, self.item_table)

    def item_vectors(self) -> Tensor:
        return self.item_table


class GraphRecommender(Recommender):
    """A graph encoder over its own item table; users are those of the training graph, with no fold-in."""

    needs_known_user = True
    needs_history = False

    def __init__(
        self,
        config: TrainableConfig | GraphEncoderConfig,
        data: TrainingData,
        randomness: Randomness,
        encoder_class: type[GraphEncoder],
    ) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = make_item_table(data, config.dimension, encoder_class.INITIAL_STD, randomness)
        self.graph = encoder_class(config, config.dimension, data, randomness)
        self.edges = self.graph.edges

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("train", self.config.training.epochs, {"global": 1.0}, ("edges",)),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        nobody = batch.edges.users[:0]
        return {"global": self.graph.global_loss(batch.edges, self.item_table, nobody).loss}

    def user_states(self, queries: QueryBatch) -> Tensor:
        users = queries.users.clamp_min(0)
        return self.graph.vectors(self.item_table, users, users[:0]).users

    def item_vectors(self) -> Tensor:
        items = torch.arange(self.data.item_count, device=self.data.device)
        return self.graph.vectors(self.item_table, items[:0], items).items
