"""LightGCN: linear propagation over the normalised user-item graph (paper, Section 3.4).

Reference: He et al., "LightGCN", SIGIR 2020.

    E_(l+1) = D^-1/2 A D^-1/2 E_l,  e = mean of E_0 ... E_K,  L = BPR + l2 (|e_u0|^2 + |e_i0|^2 + |e_j0|^2) / 2

Where this implementation differs: an epoch is one pass over the shuffled edges with one sampled negative
each, while the authors draw as many triples with users chosen uniformly. The paper's text sums over all
negatives and adds norms that are not squared; this is the standard sampled loss with squared L2.
"""

import torch
from torch import Tensor

from createrec.config import LightGCNEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import bipartite_adjacency, bipartite_sides, draw_non_neighbours
from createrec.losses.bpr import batch_l2, bpr
from createrec.models.graph_encoder import GlobalLoss, GraphEncoder, GraphVectors
from createrec.ops.propagation import mean_of_layers
from createrec.randomness import Randomness


class LightGCNEncoder(GraphEncoder):
    """The graph encoder with learnt layer-0 user vectors and a shared item table."""

    def __init__(
        self, config: LightGCNEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness
    ) -> None:
        super().__init__(config, dimension, data, randomness)
        self.config = config
        self.sides = bipartite_sides(bipartite_adjacency(self.edges, data.user_count, data.item_count), data.user_count)
        self.edge_keys = self.edges.users * data.item_count + self.edges.items

    def _propagate(self, item_table: Tensor, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return mean_of_layers(self.user_table, item_table, users, items, self.sides, self.config.layers)

    def vectors(self, item_table: Tensor, users: Tensor, items: Tensor) -> GraphVectors:
        return GraphVectors(*self._propagate(item_table, users, items)[:2])

    def global_loss(self, edges: EdgeBatch, item_table: Tensor, aligned: Tensor) -> GlobalLoss:
        generator = self.randomness.generator("negatives/graph")
        negatives = draw_non_neighbours(edges.users, self.edge_keys, len(item_table), generator)
        count = len(edges.users)
        users, items = torch.cat([edges.users, aligned]), torch.cat([edges.items, negatives])
        user_vectors, item_vectors, first_users, first_items = self._propagate(item_table, users, items)
        own_vectors, aligned_vectors = user_vectors.split([count, len(aligned)])
        loss = bpr(own_vectors, *item_vectors.chunk(2))
        if self.config.l2:
            loss = loss + self.config.l2 * batch_l2(first_users[:count], *first_items.chunk(2))
        return GlobalLoss(loss, aligned_vectors)
