"""What the two Transformers share: attention over packed rows, blocks, and the encoder's frame.

Everything but attention works on packed tokens [tokens, d]. Attention pads: rows of similar length are put
into one padded rectangle [rows, longest], so that little of it is padding (batches come sorted by length).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import SequenceEncoderConfig
from createrec.data.batch import SequenceBatch
from createrec.data.sequences import Packed, Sequences, pack, sort_by_length
from createrec.errors import ConfigError
from createrec.models.base import normal_
from createrec.randomness import Randomness

INITIAL_STD = 0.02
LAYER_NORM_EPSILON = 1e-8
# Rectangles of attention end at these lengths: each holds rows at least 0.7 times as long as it is wide.
GROUP_LIMITS = (4, 5, 7, 9, 12, 16, 22, 30, 42, 58, 80, 112, 156, 218, 304)
QUERY_BLOCK = 1024


@dataclass(frozen=True)
class Rectangle:
    """Consecutive rows, padded on the right to one length.

    Attributes:
        rows: slice of the packed rows.
        tokens: slice of the packed tokens that these rows own.
        index: int64 [rows, longest], the packed token of each cell (padding repeats some token); None when
            no cell is padding, so that a plain reshape does.
        cell: int64 [tokens], where each token stands in the flattened rectangle; None likewise.
        real: bool [rows, 1, 1, longest], cells that are no padding, for attention without a causal mask. Rows that
            are empty have one, because a softmax over nothing is no number.
        shape: (rows, longest).
    """

    rows: slice
    tokens: slice
    index: Tensor | None
    cell: Tensor | None
    real: Tensor | None
    shape: tuple[int, int]


def _rectangle(packed: Packed, rows: slice, tokens: slice, longest: int, masks: bool) -> Rectangle:
    starts, lengths = packed.starts[rows], packed.lengths[rows]
    shape = (len(starts), longest)
    if packed.live is None and shape[0] * longest == tokens.stop - tokens.start:
        return Rectangle(rows, tokens, None, None, None, shape)
    column = torch.arange(longest, device=starts.device)
    index = (starts[:, None] + column).clamp_max(len(packed.items) - 1)
    token = torch.arange(tokens.start, tokens.stop, device=starts.device)
    row = packed.row[tokens]
    cell = (row - rows.start) * longest + token - packed.starts[row]
    if packed.live is not None:
        cell = cell.clamp_max(shape[0] * longest - 1)
    real = (column < lengths[:, None].clamp_min(1))[:, None, None, :] if masks else None
    return Rectangle(rows, tokens, index, cell, real, shape)


def rectangles(packed: Packed, masks: bool) -> list[Rectangle]:
    """Covers a packed batch, rows sorted by length, with rectangles of little padding, and with masks of it if wanted.

    With a static capacity there is one rectangle [batch, longest], because the lengths are not known to the host.
    """
    if packed.live is not None:
        everything = slice(0, len(packed.items))
        return [_rectangle(packed, slice(0, len(packed.rows)), everything, packed.longest, masks)]
    limits = [limit for limit in GROUP_LIMITS if limit < packed.longest] + [packed.longest]
    ends = torch.searchsorted(packed.lengths, packed.lengths.new_tensor(limits), right=True).tolist()
    bounds = [*packed.starts.tolist(), len(packed.items)]
    found, first = [], 0
    for end in ends:
        if end > first:
            tokens = slice(bounds[first], bounds[end])
            if tokens.stop > tokens.start:
                longest = int(packed.lengths[end - 1])
                found.append(_rectangle(packed, slice(first, end), tokens, longest, masks))
            first = end
    return found


class _CheapDropout(torch.autograd.Function):
    """Dropout on a CPU from 16 random bits a value: torch's own draws a 64-bit number and a float for each.

    The rate is rounded to a multiple of 2^-16.
    """

    @staticmethod
    def forward(ctx, x: Tensor, rate: float) -> Tensor:
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        ctx.keep, ctx.scale = bits >= round(rate * 2**16) - 2**15, 1 / (1 - rate)
        return (x * ctx.keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return (grad * ctx.keep).mul_(ctx.scale), None


class Dropout(nn.Module):
    """Inverted dropout from torch's default generator."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        return F.dropout(x, self.rate) if x.is_cuda else _CheapDropout.apply(x, self.rate)


class Attention(nn.Module):
    """Multi-head attention over packed rows, with dropout on the weights."""

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dimension % heads:
            raise ConfigError(f"dimension {dimension} is not a multiple of heads {heads}; change one of them")
        self.heads = heads
        self.dropout = Dropout(dropout)
        self.query = nn.Linear(dimension, dimension)
        self.key_value = nn.Linear(dimension, 2 * dimension)
        self.output = nn.Linear(dimension, dimension)

    def forward(
        self, queries: Tensor, keys: Tensor, layout: list[Rectangle], causal: bool, newest: bool = False
    ) -> Tensor:
        """Keys (which give the values too) are [tokens, d], queries and what comes out likewise.

        Args:
            newest: queries are those of the rows' newest tokens alone, [rows, d], and so is what comes out. No row
                may be empty, and the layout needs masks.
        """
        query, key_value = self.query(queries), self.key_value(keys)
        parts = []
        for rectangle in layout:
            rows, longest = rectangle.shape
            cells = rectangle.tokens if rectangle.index is None else rectangle.index
            q, width = (query[rectangle.rows], 1) if newest else (query[cells], longest)
            q = q.reshape(rows, width, self.heads, -1).transpose(1, 2)
            k, v = key_value[cells].reshape(rows, longest, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
            mixed = self._mix(q, k, v, rectangle.real, causal and not newest)
            mixed = mixed.transpose(1, 2).reshape(rows * width, -1)
            parts.append(mixed if newest or rectangle.cell is None else mixed[rectangle.cell])
        return self.output(parts[0] if len(parts) == 1 else torch.cat(parts))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, real: Tensor | None, causal: bool) -> Tensor:
        """Attention inside one rectangle, [rows, heads, longest, d / heads] each; queries may be one a row.

        torch has no fast CPU kernel with dropout on the weights, and its fallback is slower than these lines.
        """
        rate = self.dropout.rate if self.training else 0.0
        if q.is_cuda or not rate:
            mask = None if causal else real
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate, is_causal=causal)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu_(1)
            scores = scores.masked_fill_(future, -torch.inf)
        elif real is not None:
            scores = scores.masked_fill_(~real, -torch.inf)
        return self.dropout(scores.softmax(-1)) @ v


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
        own = self.attention_norm(own + self.dropout(self.attention(own, x, layout, causal, newest is not None)))
        return self.feedforward_norm(own + self.feedforward(own))


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
        rows = sort_by_length(histories, torch.arange(len(histories), device=histories.offsets.device))
        states = item_table.new_zeros(len(histories), item_table.shape[1])
        rows = rows[histories.lengths[rows] > 0]
        for block in rows.split(QUERY_BLOCK) if len(rows) else ():
            states[block] = self.newest_states(self.query_tokens(histories, block), item_table)
        return states


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
        x = self.embed(packed, item_table)
        for block in self.blocks[:-1]:
            x = block(x, layout, causal=self.causal)
        return self.finish(self.blocks[-1](x, layout, causal=self.causal, newest=newest))


def training_rows(sequences: Sequences, batch: SequenceBatch, max_length: int, drop_newest: int) -> Packed:
    """The packed training rows of a batch: sorted by length where the host may know the lengths."""
    users = batch.users if batch.capacity is not None else sort_by_length(sequences, batch.users)
    return pack(sequences, users, max_length, drop_newest=drop_newest, capacity=batch.capacity)
