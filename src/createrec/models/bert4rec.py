"""BERT4Rec: a bidirectional Transformer trained by masking (paper, Section 3.3).

Reference: Sun et al., "BERT4Rec", CIKM 2019; the recipe with one mask rate and a tied head without bias is
that of Klenitskiy and Vasilev, RecSys 2023.

    x~ = x with e_MASK at masked positions,  H = BidirectionalTransformer(x~ + P),
    L = -mean over masked positions of log softmax(E H[position])[item]

Inference appends [MASK] to the last max_length - 1 items and reads its state. Where this implementation
differs: no copies of a sequence within an epoch and no sliding windows (one fresh mask an epoch instead), and
[MASK] is no class of the softmax. `attention_dropout: 0.1`, `inner_dropout: 0`, `attention_start: normal` and
`feedforward_factor: 2` make the blocks those of that recipe (Hugging Face's BertModel). A row in which chance masks
nothing contributes nothing in that step.
"""

import torch
from torch import Tensor, nn

from createrec.config import BERT4RecEncoderConfig
from createrec.data.batch import SequenceBatch
from createrec.losses.cross_entropy import sequence_loss
from createrec.models.base import normal_
from createrec.models.sequence_encoder import INITIAL_STD, LocalLoss, training_rows
from createrec.models.transformer import BlockEncoder, PostNormBlock, token_positions
from createrec.ops.attention import rectangles
from createrec.ops.dropout import Dropout
from createrec.ops.ragged import Packed, Sequences, append, pack
from createrec.randomness import Randomness

LAYER_NORM_EPSILON = 1e-12  # BERT's own


class BERT4RecEncoder(BlockEncoder):
    """The bidirectional sequence encoder. Item index `item_count` means [MASK]."""

    config: BERT4RecEncoderConfig

    causal = False

    def __init__(self, config: BERT4RecEncoderConfig, dimension: int, item_count: int, randomness: Randomness) -> None:
        super().__init__(config, dimension, item_count, randomness)
        self.mask_vector = nn.Parameter(torch.empty(1, dimension))
        self.positions = nn.Parameter(torch.empty(self.max_length, dimension))
        self.norm = nn.LayerNorm(dimension, eps=LAYER_NORM_EPSILON)
        self.dropout = Dropout(config.dropout)
        inner = config.feedforward_factor * dimension
        self.blocks = nn.ModuleList(
            PostNormBlock(
                dimension,
                config.heads,
                inner,
                config.dropout,
                LAYER_NORM_EPSILON,
                attention_dropout=config.attention_dropout,
                inner_dropout=config.inner_dropout,
            )
            for _ in range(config.blocks)
        )
        self.initialise()

    def initialise_matrix(self, name: str, matrix: Tensor, generator: torch.Generator) -> None:
        if self.config.attention_start == "normal":
            normal_(matrix, INITIAL_STD, generator)
        else:
            super().initialise_matrix(name, matrix, generator)

    def embed(self, packed: Packed, item_table: Tensor) -> Tensor:
        masked = packed.items == self.item_count
        vectors = nn.functional.embedding(packed.items.masked_fill(masked, 0), item_table)
        vectors = torch.where(masked[:, None], self.mask_vector, vectors)
        positions = self.positions.index_select(0, token_positions(packed, self.config.positions))
        return self.dropout(self.norm(vectors + positions))

    def local_loss(
        self, sequences: Sequences, batch: SequenceBatch, item_table: Tensor, want_states: bool
    ) -> LocalLoss:
        """Masked-item loss; the user's state is read at a [MASK] behind the unmasked history, as at inference."""
        packed = training_rows(sequences, batch, self.max_length, drop_newest=0)
        chance = torch.rand(
            len(packed.items), device=packed.items.device, generator=self.randomness.generator("masking")
        )
        masked = chance < self.config.mask_probability
        read = masked.nonzero()[:, 0] if packed.live is None else None
        states = self.masked_states(
            packed.with_items(packed.items.masked_fill(masked, self.item_count)), item_table, read
        )
        targets, weights = packed.items, None
        if packed.live is None:
            targets = targets[read]
        else:
            weights = (masked & packed.live).to(states.dtype)
        generator = self.randomness.generator("negatives/sequence")
        loss = sequence_loss(self.config.loss, states, item_table, targets, generator, weights)
        if not want_states:
            return LocalLoss(loss, packed.rows, None)
        # [MASK] takes one of the positions, so that none is read at inference that training has not seen.
        history = training_rows(sequences, batch, self.max_length - 1, drop_newest=0)
        return LocalLoss(loss, packed.rows, self.newest_states(append(history, self.item_count), item_table))

    def masked_states(self, packed: Packed, item_table: Tensor, read: Tensor | None) -> Tensor:
        """The states [n, d] of the tokens int64 [n] that are predicted; None = of all tokens."""
        layout = rectangles(packed, masks=True)
        *earlier, last = self.blocks
        x = self.embed(packed, item_table)
        for block in earlier:
            x = block(x, layout, causal=False)
        return last(x, layout, causal=False, read=read)

    def query_tokens(self, histories: Sequences, rows: Tensor) -> Packed:
        return append(pack(histories, rows, self.max_length - 1), self.item_count)
