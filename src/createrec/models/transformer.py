"""What the two Transformers share: blocks over packed tokens [tokens, d], and the encoder's frame."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from createrec.config import SequenceEncoderConfig
from createrec.data.batch import SequenceBatch
from createrec.data.sequences import Packed, Sequences, pack, sort_by_length
from createrec.errors import ConfigError
from createrec.models.attention import Attention, Dropout, Rectangle, rectangles
from createrec.models.base import normal_
from createrec.randomness import Randomness

INITIAL_STD = 0.02
LAYER_NORM_EPSILON = 1e-8
# Tokens of histories encoded at once in ranking: on a CPU what lies between the layers should stay in the cache.
CPU_QUERY_TOKENS = 4096
CUDA_QUERY_TOKENS = 262_144


class FeedForward(nn.Module):
    """Two linear layers with a dropout after each; [tokens, d] -> [tokens, d]."""

    def __init__(self, dimension: int, inner: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimension, inner),
            Dropout(dropout),
            activation,
            nn.Linear(inner, dimension),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class PostNormBlock(nn.Module):
    """x = LN(x + dropout(attention(x))), x = LN(x + feedforward(x)), with GELU inside: BERT4Rec, GSAU, MRGSRec."""

    def __init__(self, dimension: int, heads: int, inner: int, dropout: float, epsilon: float) -> None:
        super().__init__()
        self.attention = Attention(dimension, heads, dropout)
        self.dropout = Dropout(dropout)
        self.attention_norm = nn.LayerNorm(dimension, eps=epsilon)
        self.feedforward = FeedForward(dimension, inner, nn.GELU(), dropout)
        self.feedforward_norm = nn.LayerNorm(dimension, eps=epsilon)

    def forward(self, x: Tensor, layout: list[Rectangle], *, causal: bool, newest: Tensor | None = None) -> Tensor:
        """Tokens [tokens, d] in, tokens out; or with `newest` [rows] only these tokens, each row's last, [rows, d]."""
        own = x if newest is None else x[newest]
        mixed = self.dropout(self.attention(own, x, layout, causal, newest is not None))
        own = self.attention_norm(mixed.add_(own))
        return self.feedforward_norm(self.feedforward(own).add_(own))


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
    the newest end of a history when it is to be continued (`query_tokens`). `BlockEncoder` encodes by blocks.
    """

    def __init__(self, config: SequenceEncoderConfig, dimension: int, item_count: int, randomness: Randomness) -> None:
        super().__init__()
        if config.max_length is None:
            raise ConfigError("max_length is null: give the settings of a resolved run, or a number")
        self.config = config
        self.max_length: int = config.max_length
        self.item_count = item_count
        self.randomness = randomness

    def initialise(self) -> None:
        """N(0, 0.02) for tables and linear layers, Xavier for query, key and value (facts of the lineage)."""
        generator = self.randomness.generator("init/sequence")
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            if "query" in name or "key_value" in name:
                # As of one matrix [3 d, d] for all three, which is what the lineage's attention has.
                bound = (6 / (4 * parameter.shape[1])) ** 0.5
                with torch.no_grad():
                    parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))
            else:
                normal_(parameter, INITIAL_STD, generator)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

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


class BlockEncoder(SequenceEncoder):
    """Embeds tokens and passes them through `blocks`. Newest states need but one query a row in the last block."""

    causal = True
    blocks: nn.ModuleList

    def embed(self, packed: Packed, item_table: Tensor) -> Tensor:
        """What goes into the first block, [tokens, d]."""
        raise NotImplementedError

    def finish(self, x: Tensor) -> Tensor:
        """What becomes of the last block's output [.., d]."""
        return x

    def encode(self, packed: Packed, item_table: Tensor) -> Tensor:
        return self._states(packed, item_table, None)

    def newest_states(self, packed: Packed, item_table: Tensor) -> Tensor:
        return self._states(packed, item_table, packed.last)

    def _states(self, packed: Packed, item_table: Tensor, newest: Tensor | None) -> Tensor:
        """The states of all tokens, or those of the given ones, each row's last."""
        layout = rectangles(packed, masks=newest is not None or not self.causal)
        return self._through(self.blocks, self.embed(packed, item_table), layout, newest)

    def _through(
        self, blocks: Iterable[nn.Module], x: Tensor, layout: list[Rectangle], newest: Tensor | None
    ) -> Tensor:
        """Tokens, or the given ones, as they come out of the last of some blocks."""
        *earlier, last = blocks
        for block in earlier:
            x = block(x, layout, causal=self.causal)
        return self.finish(last(x, layout, causal=self.causal, newest=newest))


def training_rows(sequences: Sequences, batch: SequenceBatch, max_length: int, drop_newest: int) -> Packed:
    """The packed training rows of a batch: sorted by length where the host may know the lengths."""
    users = batch.users if batch.capacity is not None else sort_by_length(sequences, batch.users)
    return pack(sequences, users, max_length, drop_newest=drop_newest, capacity=batch.capacity)
