"""GRU4Rec: a recurrent network over the history, as the runs of "Time to Split" have it.

Reference: Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", ICLR 2016; Gusak et al., "Time
to Split", RecSys 2025, arXiv 2507.16289.

    H = GRU(E[items]),  s_u = E H[c],  L = -mean log softmax(s)[next item]

with `layers` layers as wide as the item table, and dropout between them. Where this differs from the original:
full cross-entropy over the catalogue in place of pairwise losses over a session batch's own items, a tied head without
bias, and every history is read from its start (of the last `max_length` items), where sessions are cut into steps.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from createrec.config import GRU4RecEncoderConfig
from createrec.models.next_item import NextItemEncoder
from createrec.ops.dropout import Dropout
from createrec.ops.ragged import Packed
from createrec.randomness import Randomness


class GRU4RecEncoder(NextItemEncoder):
    """The recurrent sequence encoder. Its layers are modules of their own, so that dropout between them is ours."""

    def __init__(self, config: GRU4RecEncoderConfig, dimension: int, item_count: int, randomness: Randomness) -> None:
        super().__init__(config, dimension, item_count, randomness)
        self.layers = nn.ModuleList(nn.GRU(dimension, dimension, batch_first=True) for _ in range(config.layers))
        self.dropout = Dropout(config.dropout)
        self.initialise()

    def initialise(self) -> None:
        """Uniform up to 1 / sqrt(d), biases too: torch's own start of a GRU, from the run's seed."""
        generator = self.randomness.generator("init/sequence")
        with torch.no_grad():
            for parameter in self.parameters():
                bound = (3 / len(parameter)) ** 0.5  # a GRU's first axis holds its three gates
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))

    def encode(self, packed: Packed, item_table: Tensor) -> Tensor:
        """States [tokens, d]: token by token where the lengths are known, else over padded rows of static shape."""
        x = F.embedding(packed.items, item_table)
        age = packed.from_start
        if packed.live is not None:
            return self._padded(packed, x, age)
        # All first tokens, then all second ones, ...: in each step the longest row first, as torch wants them.
        order = torch.argsort((age + 1) * len(packed.rows) - packed.row)
        sizes = torch.bincount(age).cpu()
        x = x[order]
        for number, layer in enumerate(self.layers):
            x = layer(PackedSequence(self.dropout(x) if number else x, sizes))[0].data
        return x[torch.argsort(order)]

    def _padded(self, packed: Packed, x: Tensor, age: Tensor) -> Tensor:
        """The same over [rows, longest], padded behind, where no state reads."""
        column = torch.arange(packed.longest, device=x.device)
        slots = (packed.starts[:, None] + column).clamp_max(len(x) - 1)
        own = packed.row * packed.longest + age.clamp_max(packed.longest - 1)
        for number, layer in enumerate(self.layers):
            x = self.dropout(x) if number else x
            x = layer(x[slots])[0].reshape(-1, x.shape[1])[own]
        return x
