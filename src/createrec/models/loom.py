"""LOOM (reconstruction): loosely coupled ordered and orderless modelling (Table 3).

Reference: Li et al., CIKM 2025, pp. 1654-1664. Neither its code nor its full text could be found: this is what its
abstract and CREATE's description allow, and no result of it stands for the original. What is known: the sequential
model is the teacher, an "orderless carrier" of item-item relations the student, guidance is a one-way KL divergence
weighted by a confidence, relations are weighted by recency and learned from data, the two are fused late.

    w_ij   = sum over training sequences and positions p < q <= p + window of exp(-(n - q) / tau_r), symmetric;
             a relation stays if it is among the `neighbours` heaviest of one of its two items
    a_ij   = w_ij sigmoid(theta_ij),  S = D^-1/2 a D^-1/2,  O = mean_(l=0..layers) S^l E
    o_u    = sum_k r_k O[i_k] / sum_k r_k,  r_k = exp(-(n - k) / tau_r)
    p_u    = softmax(<h_u, E> / tau) without gradient,  q_u = softmax(<o_u, O> / tau)
    L      = CE(h, E) + guidance_weight mean_u c_u tau^2 KL(p_u || q_u) + fused_weight CE(fused score of u)
    c_u    = 1 - H(p_u) / log I
    score  = <h_u, E_i> + late_fusion_weight <o_u, O_i>

The KL divergence teaches the carrier (theta, and the item table as the carrier reads it), never h_u and never the
item table as the teacher reads it. With all three weights 0 this is SASRec, bit for bit.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from createrec.config import LOOMConfig
from createrec.data.batch import Batch, QueryBatch, TrainingData
from createrec.losses.guidance import guidance
from createrec.models.base import Recommender, make_item_table
from createrec.models.phases import TRAIN, Phase
from createrec.models.sasrec import SASRecEncoder
from createrec.models.sequence_encoder import INITIAL_STD, query_blocks, training_rows
from createrec.ops.cross_entropy import linear_cross_entropy
from createrec.ops.propagation import Relations, sum_of_gated_layers
from createrec.ops.ragged import Packed, Sequences, pack
from createrec.randomness import Randomness


def relations(data: TrainingData, window: int, neighbours: int, recency: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Item-item relations: first item < second item, int64 [relations] each, and weights float32 [relations]."""
    items, users = data.sequences.values, data.row_users()
    to_end = data.sequences.offsets[users + 1] - 1 - torch.arange(len(items), device=items.device)
    keys, weights = [], []
    for step in range(1, window + 1):
        one, other = items[:-step], items[step:]
        together = (users[:-step] == users[step:]) & (one != other)
        pair = torch.minimum(one, other) * data.item_count + torch.maximum(one, other)
        distance = to_end[step:][together].double()
        keys.append(pair[together])
        weights.append(torch.exp(-distance / recency) if recency is not None else torch.ones_like(distance))
    found, place = torch.unique(torch.cat(keys), return_inverse=True)
    weight = torch.zeros(len(found), dtype=torch.float64, device=items.device).index_add_(0, place, torch.cat(weights))
    first, second = found // data.item_count, found % data.item_count
    # Rank of each relation among those of either end, heaviest first, ties by the other end's index.
    end, far = torch.cat([first, second]), torch.cat([second, first])
    order = torch.argsort(far, stable=True)
    order = order[torch.argsort(weight.repeat(2)[order], descending=True, stable=True)]
    order = order[torch.argsort(end[order], stable=True)]
    degree = torch.bincount(end, minlength=data.item_count)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=items.device) - (degree.cumsum(0) - degree)[end[order]]
    kept = (rank.view(2, -1) < neighbours).any(0)
    return first[kept], second[kept], weight[kept].float()


class Carrier(nn.Module):
    """The orderless student: gated item-item relations."""

    def __init__(self, config: LOOMConfig, data: TrainingData) -> None:
        super().__init__()
        self.layers, self.recency = config.layers, config.recency
        first, second, self.weights = relations(data, config.window, config.neighbours, config.recency)
        self.theta = nn.Parameter(torch.zeros(len(first), device=data.device))
        self.relations = Relations.between(first, second, data.item_count)

    def items(self, item_table: Tensor) -> Tensor:
        """O [items, d]; an item without relations keeps its share of its own vector."""
        gates = self.weights * torch.sigmoid(self.theta)
        return sum_of_gated_layers(item_table, gates, self.relations, self.layers) / (self.layers + 1)

    def users(self, packed: Packed, vectors: Tensor) -> Tensor:
        """o_u [batch, d] of packed histories over O; zero for an empty one."""
        age = packed.from_end.to(vectors.dtype)
        share = torch.exp(-age / self.recency) if self.recency is not None else torch.ones_like(age)
        if packed.live is not None:
            share = share * packed.live
        batch = len(packed.rows)
        whole = share.new_zeros(batch).index_add(0, packed.row, share).clamp_min(torch.finfo(share.dtype).tiny)
        tokens = share[:, None] * F.embedding(packed.items, vectors)
        return vectors.new_zeros(batch, vectors.shape[1]).index_add(0, packed.row, tokens) / whole[:, None]


class LOOM(Recommender):
    """SASRec as the teacher, beside its carrier."""

    def __init__(self, config: LOOMConfig, data: TrainingData, randomness: Randomness) -> None:
        super().__init__(data, randomness)
        self.config = config
        self.item_table = make_item_table(data, config.dimension, INITIAL_STD, randomness)
        self.sequence = SASRecEncoder(config.sequence, config.dimension, data.item_count, randomness)
        self.carrier = Carrier(config, data)

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        weights = {"local": 1.0, "guidance": c.guidance_weight, "fused": c.fused_weight}
        return (Phase(TRAIN, c.training.epochs, weights, ("sequences",), self.sequence.max_length),)

    def losses(self, batch: Batch, phase: Phase) -> dict[str, Tensor]:
        sequences = self.data.sequences
        guided, fused = phase.wants("guidance"), phase.wants("fused")
        local = self.sequence.local_loss(sequences, batch.sequences, self.item_table, guided or fused)
        terms = {"local": local.loss}
        if guided or fused:
            packed = training_rows(sequences, batch.sequences, self.sequence.max_length, drop_newest=1)
            items = self.carrier.items(self.item_table)
            users = self.carrier.users(packed, items)
        if guided:
            terms["guidance"] = guidance(local.wanted, self.item_table, users, items, self.config.temperature)
        if fused:
            targets = sequences.values[sequences.offsets[packed.rows + 1] - 1]
            terms["fused"] = linear_cross_entropy(self._join(local.wanted, users), self._table(items), targets)
        return terms

    def _join(self, states: Tensor, users: Tensor) -> Tensor:
        """[h_u ; alpha o_u], whose product with `_table` is the fused score."""
        return torch.cat([states, self.config.late_fusion_weight * users], dim=1)

    def _table(self, items: Tensor) -> Tensor:
        return torch.cat([self.item_table, items], dim=1)

    def user_states(self, queries: QueryBatch) -> Tensor:
        histories = queries.histories
        states = self.sequence.user_states(histories, self.item_table)
        if not self.config.late_fusion_weight:
            return states
        return self._join(states, self._carried(histories))

    def _carried(self, histories: Sequences) -> Tensor:
        """o_u [rows, d] of some histories."""
        items = self.carrier.items(self.item_table)
        users = torch.zeros_like(items[:1]).expand(len(histories), -1).clone()
        for block in query_blocks(histories, self.sequence.max_length, empty=True):
            users[block] = self.carrier.users(pack(histories, block, self.sequence.max_length), items)
        return users

    def item_vectors(self) -> Tensor:
        if not self.config.late_fusion_weight:
            return self.item_table
        return self._table(self.carrier.items(self.item_table))
