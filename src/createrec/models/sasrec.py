"""SASRec: a causal Transformer over the history (paper, Section 3.3).

Reference: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018; with full cross-entropy,
Klenitskiy and Vasilev, "Turning Dross Into Gold Loss", RecSys 2023.

    H = TransformerEncoder(sqrt(d) E[items] + P),  s_u = E H[c],  L = -mean log softmax(s)[next item]

Where this implementation differs: padded positions do not exist, so no token attends to padding (the lineage
with left padding lets zero keys take part, the one with right padding does not). `positions: newest` counts
positions from the newest item, which is what left padding means; `oldest` counts them from the oldest item that
is read, which is what right padding means. `block_order: query_norm` is the block of that lineage: the attention's
queries are normalised, its keys and values are not, and both residuals start at the normalised input; `pre_norm`
is the standard block.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import SASRecEncoderConfig
from createrec.models.attention import Attention
from createrec.models.next_item import NextItemEncoder
from createrec.models.transformer import LAYER_NORM_EPSILON, BlockEncoder, FeedForward, token_positions
from createrec.ops.attention import Rectangle, rectangles
from createrec.ops.dropout import Dropout
from createrec.ops.ragged import Packed, Sequences
from createrec.randomness import Randomness


class SASRecBlock(nn.Module):
    """One causal block in either of the two orders."""

    def __init__(self, config: SASRecEncoderConfig, dimension: int) -> None:
        super().__init__()
        self.order = config.block_order
        self.attention_norm = nn.LayerNorm(dimension, eps=LAYER_NORM_EPSILON)
        self.attention = Attention(dimension, config.heads, config.dropout)
        self.feedforward_norm = nn.LayerNorm(dimension, eps=LAYER_NORM_EPSILON)
        inner = config.feedforward_factor * dimension
        self.feedforward = FeedForward(dimension, inner, nn.ReLU(inplace=True), config.dropout)

    def forward(
        self,
        x: Tensor,
        layout: list[Rectangle],
        *,
        causal: bool,
        newest: Tensor | None = None,
        key_value: Tensor | None = None,
    ) -> Tensor:
        """Tokens [tokens, d] in, tokens out; or with `newest` [rows] only these tokens, each row's last, [rows, d].

        `key_value` is what the attention makes of its keys, where that is at hand.
        """
        alone = newest is not None
        own = x[newest] if alone else x
        queries = self.attention_norm(own)
        if self.order == "query_norm":
            mixed = self.attention(queries, x, layout, causal, alone, key_value)
            own = self.feedforward_norm(mixed.add_(queries))
            return self.feedforward(own).add_(own)
        keys = self.attention_norm(x) if alone else queries
        own = self.attention(queries, keys, layout, causal, alone, key_value).add_(own)
        return self.feedforward(self.feedforward_norm(own)).add_(own)


class SASRecEncoder(NextItemEncoder, BlockEncoder):
    """The causal sequence encoder; the item table is passed in, because CREATE shares it."""

    config: SASRecEncoderConfig

    def __init__(self, config: SASRecEncoderConfig, dimension: int, item_count: int, randomness: Randomness) -> None:
        super().__init__(config, dimension, item_count, randomness)
        self.scale = dimension**0.5
        self.positions = nn.Parameter(torch.empty(self.max_length, dimension))
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(SASRecBlock(config, dimension) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(dimension, eps=LAYER_NORM_EPSILON)
        self.initialise()

    def embed(self, packed: Packed, item_table: Tensor) -> Tensor:
        items, positions = F.embedding(packed.items, item_table), self.positions.index_select(0, self._places(packed))
        return self.dropout(torch.add(positions, items, alpha=self.scale))

    def _places(self, packed: Packed) -> Tensor:
        return token_positions(packed, self.config.positions)

    def finish(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def query_reader(self, histories: Sequences, item_table: Tensor) -> Callable[[Packed], Tensor]:
        """Looks the first block's keys and values up where it does not normalise them.

        They are linear in its input sqrt(d) E[item] + P[position] then: like it, the sum of two rows of a table.
        """
        first, *others = (block for block in self.blocks if isinstance(block, SASRecBlock))
        plain = self.training or not others or first.order != "query_norm"
        if plain or histories.lengths.clamp_max(self.max_length).sum() < self.item_count + self.max_length:
            return super().query_reader(histories, item_table)
        layer = first.attention.key_value
        inputs = torch.cat([self.scale * item_table, self.positions])
        keys_values = F.linear(inputs, layer.weight)
        keys_values[self.item_count :] += layer.bias

        def read(packed: Packed) -> Tensor:
            places = torch.stack([packed.items, self._places(packed) + self.item_count], dim=1)
            x, key_value = (F.embedding_bag(places, table, mode="sum") for table in (inputs, keys_values))
            layout = rectangles(packed, masks=True)
            x = first(x, layout, causal=True, key_value=key_value)
            return self._through(others, x, layout, packed.last)

        return read
