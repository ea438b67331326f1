"""One sequence encoder on its own: the very encoder that CREATE composes, without the other half.

The settings are those of the encoder and of training in one (`createrec.kinds.stand_alone`).
"""

from torch import Tensor

from createrec.config import TrainableConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.kinds import implementation
from createrec.models.base import Recommender, make_item_table
from createrec.models.phases import TRAIN, Phase
from createrec.models.sequence_encoder import INITIAL_STD, SequenceEncoder
from createrec.randomness import Randomness


class SequenceRecommender(Recommender):
    """A sequence encoder over its own item table."""

    def __init__(self, config: TrainableConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = make_item_table(data, config.dimension, INITIAL_STD, randomness)
        encoder = implementation(config, "sequence")
        self.sequence: SequenceEncoder = encoder(config, config.dimension, data.item_count, randomness)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(TRAIN, self.config.training.epochs, {"local": 1.0}, ("sequences",), self.sequence.max_length),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        local = self.sequence.local_loss(self.data.sequences, batch.sequences, self.item_table, want_states=False)
        return {"local": local.loss}

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.sequence.user_states(queries.histories, self.item_table)

    def item_vectors(self) -> Tensor:
        return self.item_table
