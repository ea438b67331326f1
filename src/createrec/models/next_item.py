"""Sequence encoders that are trained to name the next item at every position: all whose states read backwards only."""

from torch import Tensor

from createrec.config import SequenceEncoderConfig
from createrec.data.batch import SequenceBatch
from createrec.losses.cross_entropy import sequence_loss
from createrec.models.sequence_encoder import LocalLoss, SequenceEncoder, training_rows
from createrec.ops.ragged import Packed, Sequences, pack


class NextItemEncoder(SequenceEncoder):
    """A subclass says how tokens are encoded (`encode`); the state of a token may not depend on newer ones."""

    config: SequenceEncoderConfig

    def local_loss(
        self, sequences: Sequences, batch: SequenceBatch, item_table: Tensor, want_states: bool
    ) -> LocalLoss:
        """Next-item loss at every position; the user's state is that of the newest input position."""
        packed = training_rows(sequences, batch, self.max_length, drop_newest=1)
        states = self.encode(packed, item_table)
        targets = sequences.values[packed.source + 1]
        weights = None if packed.live is None else packed.live.to(states.dtype)
        generator = self.randomness.generator("negatives/sequence")
        loss = sequence_loss(self.config.loss, states, item_table, targets, generator, weights)
        return LocalLoss(loss, packed.rows, states[packed.last] if want_states else None)

    def query_tokens(self, histories: Sequences, rows: Tensor) -> Packed:
        return pack(histories, rows, self.max_length)
