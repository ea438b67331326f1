"""What the Transformers share: blocks over packed tokens [tokens, d], and the encoder made of them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from createrec.models.attention import Attention
from createrec.models.sequence_encoder import SequenceEncoder
from createrec.ops.attention import Rectangle, rectangles
from createrec.ops.dropout import Dropout
from createrec.ops.ragged import Packed

LAYER_NORM_EPSILON = 1e-8


class FeedForward(nn.Module):
    """Two linear layers with a dropout after each; [tokens, d] -> [tokens, d]. `inner_dropout` is the first's own."""

    def __init__(
        self, dimension: int, inner: int, activation: nn.Module, dropout: float, inner_dropout: float | None = None
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimension, inner),
            Dropout(dropout if inner_dropout is None else inner_dropout),
            activation,
            nn.Linear(inner, dimension),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class PostNormBlock(nn.Module):
    """x = LN(x + dropout(attention(x))), x = LN(x + feedforward(x)), with GELU inside: BERT4Rec, GSAU, MRGSRec.

    `attention_dropout` and `inner_dropout` (inside the feed-forward) are `dropout` where they are None.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        inner: int,
        dropout: float,
        epsilon: float,
        *,
        attention_dropout: float | None = None,
        inner_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.attention = Attention(dimension, heads, dropout if attention_dropout is None else attention_dropout)
        self.dropout = Dropout(dropout)
        self.attention_norm = nn.LayerNorm(dimension, eps=epsilon)
        self.feedforward = FeedForward(dimension, inner, nn.GELU(), dropout, inner_dropout)
        self.feedforward_norm = nn.LayerNorm(dimension, eps=epsilon)

    def forward(
        self,
        x: Tensor,
        layout: list[Rectangle],
        *,
        causal: bool,
        newest: Tensor | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Tokens [tokens, d] in, tokens out; or only some of them: what nobody reads is not made.

        Args:
            newest: int64 [rows], each row's last token, [rows, d] out, without dropout on the attention's weights.
            read: int64 [n], any tokens, [n, d] out.
        """
        own = x if newest is None else x[newest]
        mixed = self.dropout(self.attention(own, x, layout, causal, newest is not None, read=read))
        own = self.attention_norm(mixed.add_(own if read is None else own.index_select(0, read)))
        return self.feedforward_norm(self.feedforward(own).add_(own))


def token_positions(packed: Packed, counted_from: str) -> Tensor:
    """int64 [tokens], rows of a table of positions: 0 is each row's newest or oldest token."""
    return packed.from_start if counted_from == "oldest" else packed.from_end


class BlockEncoder(SequenceEncoder):
    """Embeds tokens and passes them through `blocks`. Newest states need but one query a row in the last block."""

    causal = True
    blocks: nn.ModuleList

    def initialise_matrix(self, name: str, matrix: Tensor, generator: torch.Generator) -> None:
        """Xavier for query, key and value (facts of the lineage), and what other matrices get for the rest."""
        if "query" in name or "key_value" in name:
            # As of one matrix [3 d, d] for all three, which is what the lineage's attention has.
            bound = (6 / (4 * matrix.shape[1])) ** 0.5
            with torch.no_grad():
                matrix.copy_(torch.empty(matrix.shape).uniform_(-bound, bound, generator=generator))
        else:
            super().initialise_matrix(name, matrix, generator)

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
