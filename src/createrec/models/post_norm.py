"""The Transformer block that normalises after each residual, as GSAU and MRGSRec have it."""

from torch import Tensor, nn

from createrec.models.transformer import Attention, Dropout, FeedForward, Rectangle


class PostNormBlock(nn.Module):
    """x = LN(x + dropout(attention(x))), x = LN(x + feedforward(x)), with GELU inside."""

    def __init__(self, dimension: int, heads: int, inner: int, dropout: float, epsilon: float) -> None:
        super().__init__()
        self.attention = Attention(dimension, heads, dropout)
        self.dropout = Dropout(dropout)
        self.attention_norm = nn.LayerNorm(dimension, eps=epsilon)
        self.feedforward = FeedForward(dimension, inner, nn.GELU(), dropout)
        self.feedforward_norm = nn.LayerNorm(dimension, eps=epsilon)

    def forward(self, x: Tensor, layout: list[Rectangle], *, causal: bool) -> Tensor:
        """Tokens [tokens, d] in, tokens [tokens, d] out."""
        x = self.attention_norm(x + self.dropout(self.attention(x, x, layout, causal)))
        return self.feedforward_norm(x + self.feedforward(x))
