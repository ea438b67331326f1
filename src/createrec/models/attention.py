"""Multi-head attention with its weights; what it computes with them stands in createrec.ops.attention."""

import torch
from torch import Tensor, nn

from createrec.errors import ConfigError
from createrec.ops.attention import Rectangle, attend, to_slots
from createrec.ops.dropout import Dropout


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
        self.output: nn.Module = nn.Linear(dimension, dimension)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        layout: list[Rectangle],
        causal: bool,
        newest: bool = False,
        key_value: Tensor | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Keys (which give the values too) are [tokens, d], queries and what comes out likewise.

        Args:
            newest: queries are those of the rows' newest tokens alone, [rows, d], which see their whole row, and so is
                what comes out, without dropout. No row may be empty, and the layout needs masks.
            key_value: what `self.key_value` makes of the keys, where that is at hand.
            read: int64 [n], the tokens that come out, [n, d]; None = all.
        """
        if newest:
            return self.output(self._mix_newest(queries, keys, layout))
        key_value = self.key_value(keys) if key_value is None else key_value
        mixed = self.mix(self.query(queries), key_value, layout, causal)
        return self.output(mixed if read is None else mixed.index_select(0, read))

    def mix(self, query: Tensor, key_value: Tensor, layout: list[Rectangle], causal: bool) -> Tensor:
        """The mixed values [tokens, d] of all heads."""
        return attend(query, key_value, layout, self.heads, self.dropout.rate if self.training else 0.0, causal)

    def _mix_newest(self, queries: Tensor, keys: Tensor, layout: list[Rectangle]) -> Tensor:
        """Mixed values [rows, d] of one query a row.

        Neither keys nor values need be made: <W_q x, W_k y + b> is <W_k' W_q x, y> and a constant of the row, which a
        softmax ignores; and the mean of W_v y + b is W_v (mean of y) + b.
        """
        dimension = keys.shape[1]
        to_key, to_value = self.key_value.weight.view(2, self.heads, -1, dimension)
        query = self.query(queries).view(len(queries), self.heads, -1) * to_key.shape[1] ** -0.5
        readers = torch.einsum("rhs,hsd->rhd", query, to_key)
        means = []
        for rectangle in layout:
            tokens = to_slots(keys, rectangle).view(*rectangle.shape, dimension)
            scores = readers[rectangle.rows] @ tokens.mT
            if rectangle.real is not None:
                scores = scores.masked_fill(~rectangle.real[:, 0], -torch.inf)
            means.append(scores.softmax(-1) @ tokens)
        values = torch.einsum("rhd,hsd->rhs", torch.cat(means), to_value).flatten(1)
        return values + self.key_value.bias[dimension:]
