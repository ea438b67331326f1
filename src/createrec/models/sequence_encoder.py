"""What sequence encoders share: the frame of a step and of a query, whatever stands between tokens and states."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from createrec.config import GSAUConfig, SequenceEncoderConfig, resolved
from createrec.data.batch import SequenceBatch
from createrec.models.base import normal_
from createrec.ops.ragged import Packed, Sequences, pack, sort_by_length
from createrec.randomness import Randomness

INITIAL_STD = 0.02
# Tokens of histories encoded at once in ranking: on a CPU what lies between the layers should stay in the cache.
CPU_QUERY_TOKENS = 4096
CUDA_QUERY_TOKENS = 262_144


@dataclass(frozen=True)
class LocalLoss:
    """A training step of the sequence side.

    Attributes:
        loss: L_local, a scalar.
        users: int64 [batch], in the order of `states`.
        states: h_u [batch, d] of the users' training inputs; None if they were not wanted.
    """

    loss: Tensor
    users: Tensor
    states: Tensor | None

    @property
    def wanted(self) -> Tensor:
        """The states, for who asked for them.

        Raises:
            LookupError: nobody did.
        """
        if self.states is None:
            raise LookupError("the states of a step are there with `want_states` alone")
        return self.states


def query_blocks(histories: Sequences, max_length: int, *, empty: bool) -> list[Tensor]:
    """The histories that are encoded at once, int64 rows, shortest first; those that are `empty` too, or not."""
    device = histories.offsets.device
    rows = sort_by_length(histories, torch.arange(len(histories), device=device))
    lengths = histories.lengths[rows]
    if not empty:
        rows, lengths = rows[lengths > 0], lengths[lengths > 0]
    before = (lengths.clamp_max(max_length) + 1).cumsum(0)
    limit = CUDA_QUERY_TOKENS if device.type == "cuda" else CPU_QUERY_TOKENS
    sizes = torch.unique_consecutive(before // limit, return_counts=True)[1].tolist()
    return list(rows.split(sizes))


class SequenceEncoder(nn.Module):
    """Turns histories into states, over an item table that it does not own.

    A subclass says how tokens are encoded (`encode`), what a training step is (`local_loss`) and what stands at
    the newest end of a history when it is to be continued (`query_tokens`).
    """

    def __init__(
        self, config: SequenceEncoderConfig | GSAUConfig, dimension: int, item_count: int, randomness: Randomness
    ) -> None:
        super().__init__()
        self.config = config
        self.max_length = resolved(config.max_length, "max_length")
        self.item_count = item_count
        self.randomness = randomness

    def initialise(self) -> None:
        """Starts all matrices as `initialise_matrix` says, and the biases of linear layers at zero."""
        generator = self.randomness.generator("init/sequence")
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                self.initialise_matrix(name, parameter, generator)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def initialise_matrix(self, name: str, matrix: Tensor, generator: torch.Generator) -> None:
        """N(0, 0.02), as the lineage has it for tables and linear layers."""
        normal_(matrix, INITIAL_STD, generator)

    def encode(self, packed: Packed, item_table: Tensor) -> Tensor:
        """States [tokens, d] of packed rows that come sorted by length."""
        raise NotImplementedError

    def newest_states(self, packed: Packed, item_table: Tensor) -> Tensor:
        """The states [rows, d] of each row's newest token; no row may be empty."""
        return self.encode(packed, item_table)[packed.last]

    def local_loss(
        self, sequences: Sequences, batch: SequenceBatch, item_table: Tensor, want_states: bool
    ) -> LocalLoss:
        """L_local over the batch's users, and their states if wanted."""
        raise NotImplementedError

    def query_tokens(self, histories: Sequences, rows: Tensor) -> Packed:
        """The tokens whose newest state continues each history."""
        raise NotImplementedError

    def user_states(self, histories: Sequences, item_table: Tensor) -> Tensor:
        """h_u [rows, d] at the newest end of each history; zero for an empty one."""
        states = item_table.new_zeros(len(histories), item_table.shape[1])
        read = self.query_reader(histories, item_table)
        for block in query_blocks(histories, self.max_length, empty=False):
            states[block] = read(self.query_tokens(histories, block))
        return states

    def query_reader(self, histories: Sequences, item_table: Tensor) -> Callable[[Packed], Tensor]:
        """`newest_states` over parts of these histories: whatever is worth making once for all of them is made here."""
        return lambda packed: self.newest_states(packed, item_table)


def training_rows(sequences: Sequences, batch: SequenceBatch, max_length: int, drop_newest: int) -> Packed:
    """The packed training rows of a batch: sorted by length where the host may know the lengths."""
    users = batch.users if batch.capacity is not None else sort_by_length(sequences, batch.users)
    return pack(sequences, users, max_length, drop_newest=drop_newest, capacity=batch.capacity)
