"""MRGSRec: multi-representation fusion of a sequence and a graph (Table 2).

Reference: Baikalov and Frolov, "End-to-End Graph-Sequential Representation Learning for Accurate Recommendations",
WWW 2024 Companion, arXiv 2403.00895; with the mixing by eta of the runs behind Table 2.

    s_u, h_1 ... h_n = Transformer([P_u, x_1 ... x_n]),   x_k = dropout(LN(E[i_k] + position from the end))
    G = mean over hops of [P; E] and the row-normalised hops of S [P; E]   (S: edge dropout in training)
    f_u = W2 GELU(W1 [s_u ; (1 - eta) s_u + eta g_u])
    L = w_local CE(h_k, G) + w_global BPR(g_u, G) + w_fused BPR(f_u, E) + w_contrastive InfoNCE(h_k, g_u)

over the events k, each with its next item as target; both BPR terms run over the whole catalogue, the target
itself included; InfoNCE has temperature 1. The score is <f_u, E_i>, with the raw item table.

The authors' mask lets the user token read every item and every item read the user token. So from the second
block on an item's state knows the items behind it, its own label among them, and f_u has read all but the last of
the labels it is asked to rank. At inference nothing leaks, and a model trained on leaked labels ranks badly there,
which may explain its row in Table 2. It is the default, for fidelity. `causal_user_token` closes the leak: the
items read a user token in front that reads nothing; s_u is that of a second user token behind the newest item,
which nobody reads; and f_u ranks the newest target only, the one that is not among the inputs.

Where this implementation differs: no classes for padding and mask in the softmax and the BPR; dropout inside the
feed-forward layer stands before its activation; BPR and InfoNCE are grouped by user, the same values in bounded memory.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import MRGSRecConfig, resolved
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.data.graph import bipartite_adjacency, bipartite_sides, build_edges
from createrec.losses.user_contrastive import user_contrastive
from createrec.models.cached_vectors import CachedVectors
from createrec.models.graph_encoder import GraphVectors
from createrec.models.phases import TRAIN, Phase
from createrec.models.sequence_encoder import INITIAL_STD, query_blocks, training_rows
from createrec.models.transformer import PostNormBlock
from createrec.ops.all_item_bpr import all_item_bpr
from createrec.ops.attention import Rectangle, rectangles
from createrec.ops.cross_entropy import linear_cross_entropy
from createrec.ops.dropout import Dropout
from createrec.ops.propagation import hop, hop_to_rows, mirror_entries
from createrec.ops.ragged import Packed, append, pack
from createrec.ops.sparse import SparseMatrix
from createrec.ops.unit_pairs import unit_rows
from createrec.randomness import Randomness

LAYER_NORM_EPSILON = 1e-9


def two_way(layout: list[Rectangle], device: torch.device) -> list[Rectangle]:
    """Rectangles in which every token reads what stands before it, and the first of each row reads the whole row."""
    opened = []
    for rectangle in layout:
        longest = rectangle.shape[1]
        seen = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()[None, None]
        first = (torch.arange(longest, device=device) == 0)[:, None]
        real = first & (True if rectangle.real is None else rectangle.real)
        opened.append(replace(rectangle, real=seen | real))
    return opened


class MRGSRec(CachedVectors):
    """User token, one graph, fusion by an MLP."""

    needs_known_user = True
    needs_history = False

    def __init__(self, config: MRGSRecConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.max_length = resolved(config.max_length, "max_length")
        self.config = config
        d = config.dimension
        # The graph sees what the sequences see: the last `max_length` training items.
        edges = build_edges(data, graph_last=self.max_length)
        adjacency = bipartite_adjacency(edges, data.user_count, data.item_count)
        self.sides = bipartite_sides(adjacency, data.user_count)
        user_side, item_side = self.sides
        self.mirrors = mirror_entries(user_side), mirror_entries(item_side)
        self.user_table = nn.Parameter(torch.empty(data.user_count, d))
        self.item_table = nn.Parameter(torch.empty(data.item_count, d))
        self.positions = nn.Parameter(torch.empty(self.max_length, d))
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPSILON)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(d, config.heads, config.feedforward_dimension, config.dropout, LAYER_NORM_EPSILON)
            for _ in range(config.blocks)
        )
        inner = config.feedforward_dimension
        self.fusion = nn.Sequential(nn.Linear(2 * d, inner), nn.GELU(), nn.Linear(inner, d))
        self._initialise()

    def _initialise(self) -> None:
        """Normal with deviation 0.02, cut at twice that, for every matrix; zero biases."""
        generator = self.randomness.generator("init/mrgsrec")
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                start = torch.empty(parameter.shape)
                nn.init.trunc_normal_(start, 0.0, INITIAL_STD, -2 * INITIAL_STD, 2 * INITIAL_STD, generator)
                parameter.data.copy_(start)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        weights = {
            "local": c.local_weight,
            "global": c.global_weight,
            "fused": c.fused_weight,
            "contrastive": c.contrastive_weight,
        }
        return (Phase(TRAIN, c.training.epochs, weights, ("sequences",), self.max_length),)

    def compute_vectors(self) -> GraphVectors:
        return self.propagate(None)

    def propagate(self, rows: Tensor | None) -> GraphVectors:
        """G of users int64 [n], None = all, and of all items, with edge dropout in training."""
        user_side, item_side = self._dropped_out()
        to_user_side, to_item_side = self.mirrors
        users: Tensor = self.user_table
        items: Tensor = self.item_table
        user_total, item_total = users if rows is None else F.embedding(rows, users), items
        for layer in range(1, self.config.layers + 1):
            hopped = hop(users, item_side, user_side, to_item_side)
            if rows is not None and layer == self.config.layers and not rows.is_cuda:
                # Nobody reads the other users any more. (A GPU wants shapes that do not depend on the rows.)
                own = hop_to_rows(items, user_side.take(rows))
            else:
                users = hop(items, user_side, item_side, to_user_side)
                own = users if rows is None else F.embedding(rows, users)
            items = hopped
            user_total, item_total = user_total + unit_rows(own), item_total + unit_rows(items)
        return GraphVectors(user_total / (self.config.layers + 1), item_total / (self.config.layers + 1))

    def _dropped_out(self) -> list[SparseMatrix]:
        """S as its blocks [users, items] and [items, users]; in training each edge is dropped on each side apart."""
        rate, edges = self.config.dropout, len(self.sides[0].values)
        if not self.training or not rate:
            return list(self.sides)
        generator = self.randomness.generator("edge_dropout")
        kept = torch.rand(2 * edges, device=self.data.device, generator=generator) >= rate
        return [
            replace(side, values=side.values * chosen / (1 - rate))
            for side, chosen in zip(self.sides, kept.split(edges), strict=True)
        ]

    def encode(self, packed: Packed, users: Tensor) -> tuple[Tensor, Tensor]:
        """States h [tokens, d] of the items and s_u [batch, d] of the users int64 [batch], row by row."""
        batch, tokens = len(users), len(packed.items)
        items = F.embedding(packed.items, self.item_table) + F.embedding(packed.from_end, self.positions)
        vectors = torch.cat([F.embedding(users, self.user_table), self.dropout(self.norm(items))])
        # Each row gets a user token in front, and with the causal switch one more behind.
        layout = append(packed, 0)
        place = torch.arange(tokens, device=users.device) + packed.row + 1
        if self.config.causal_user_token:
            layout = append(layout, 0)
            place = place + packed.row
            if packed.live is not None:
                place = place + (~packed.live).long()
        source = torch.empty(len(layout.items), dtype=torch.int64, device=users.device)
        source[place] = torch.arange(batch, batch + tokens, device=users.device)
        source[layout.starts] = torch.arange(batch, device=users.device)
        readers = layout.starts
        if self.config.causal_user_token:
            readers = layout.last
            source[readers] = torch.arange(batch, device=users.device)
        x = F.embedding(source, vectors)
        causal = self.config.causal_user_token
        padded = rectangles(layout, masks=False) if causal else two_way(rectangles(layout, masks=True), x.device)
        for block in self.blocks:
            x = block(x, padded, causal=causal)
        return F.embedding(place, x), F.embedding(readers, x)

    def fuse(self, states: Tensor, graph: Tensor) -> Tensor:
        """f_u [batch, d] of s_u and g_u [batch, d]."""
        eta = self.config.graph_mixing
        return self.fusion(torch.cat([states, (1 - eta) * states + eta * graph], dim=1))

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        sequences, length = self.data.sequences, self.max_length
        packed = training_rows(sequences, batch.sequences, length, drop_newest=1)
        labels = sequences.values[packed.source + 1]
        users, static = packed.rows, packed.live is not None
        # Labels of each user, newest first; dead tokens go to a column of their own.
        columns = length if static else packed.longest
        grouped = labels.new_zeros(len(users), columns + 1)
        grouped[packed.row, packed.from_end if packed.live is None else packed.from_end.where(packed.live, columns)] = (
            labels
        )
        grouped, counts = grouped[:, :columns], packed.lengths
        states, summaries = self.encode(packed, users)
        graph = self.propagate(users)
        terms: dict[str, Tensor] = {}
        if phase.wants("local"):
            weights = None if packed.live is None else packed.live.to(states.dtype)
            terms["local"] = linear_cross_entropy(states, graph.items, labels, weights)
        if phase.wants("global"):
            terms["global"] = all_item_bpr(graph.users, graph.items, grouped, counts, static=static)
        if phase.wants("fused"):
            fused = self.fuse(summaries, graph.users)
            if self.config.causal_user_token:
                grouped, counts = grouped[:, :1], counts.clamp_max(1)
            terms["fused"] = all_item_bpr(fused, self.item_table, grouped, counts, static=static)
        if phase.wants("contrastive"):
            terms["contrastive"] = user_contrastive(states, graph.users, packed.row, packed.lengths, packed.live)
        return terms

    def user_states(self, queries: QueryBatch) -> Tensor:
        histories, users = queries.histories, queries.users.clamp_min(0)
        graph = self.vectors().users
        states = self.item_table.new_zeros(len(histories), self.config.dimension)
        for block in query_blocks(histories, self.max_length, empty=True):
            _, summaries = self.encode(pack(histories, block, self.max_length), users[block])
            states[block] = self.fuse(summaries, F.embedding(users[block], graph))
        return states

    def item_vectors(self) -> Tensor:
        return self.item_table
