"""LightGCN: linear propagation over the normalised user-item graph (paper, Section 3.4).

Reference: He et al., "LightGCN", SIGIR 2020.

    E_(l+1) = D^-1/2 A D^-1/2 E_l,  e = mean of E_0 ... E_K,  L = BPR + l2 (|e_u0|^2 + |e_i0|^2 + |e_j0|^2) / 2

Where this implementation differs: an epoch is one pass over the shuffled edges with one sampled negative
each, while the authors draw as many triples with users chosen uniformly. The paper's text sums over all
negatives and adds norms that are not squared; this is the standard sampled loss with squared L2.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import LightGCNEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import SparseMatrix, bipartite_adjacency, draw_non_neighbours
from createrec.losses.bpr import batch_l2, bpr
from createrec.models.graph_encoder import GraphEncoder, GraphVectors
from createrec.randomness import Randomness


class _Propagate(torch.autograd.Function):
    """Mean of the layers, [nodes, d] -> [nodes, d]. The operator is symmetric, so its backward is itself."""

    @staticmethod
    def forward(ctx, nodes: Tensor, adjacency: SparseMatrix, layers: int) -> Tensor:
        ctx.adjacency, ctx.layers = adjacency, layers
        # E + A (E + A (E + ...)): the sum of the layers without another copy of the nodes.
        total = nodes
        for _ in range(layers):
            total = (adjacency @ total).add_(nodes)
        return total.div_(layers + 1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return _Propagate.forward(ctx, grad.contiguous(), ctx.adjacency, ctx.layers), None, None


class LightGCNEncoder(GraphEncoder):
    """The graph encoder with learnt layer-0 user vectors and a shared item table."""

    INITIAL_STD = 0.1

    def __init__(
        self, config: LightGCNEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness
    ) -> None:
        super().__init__(config, dimension, data, randomness)
        self.config = config
        self.adjacency = bipartite_adjacency(self.edges, data.user_count, data.item_count)
        self.edge_keys = self.edges.users * data.item_count + self.edges.items

    def vectors(self, item_table: Tensor) -> GraphVectors:
        nodes = torch.cat([self.user_table, item_table])
        mixed = _Propagate.apply(nodes, self.adjacency, self.config.layers)
        return GraphVectors(*mixed.split([len(self.user_table), len(item_table)]))

    def global_loss(self, edges: EdgeBatch, vectors: GraphVectors, item_table: Tensor) -> Tensor:
        generator = self.randomness.generator("negatives/graph")
        negatives = draw_non_neighbours(edges.users, self.edge_keys, len(item_table), generator)
        items = torch.cat([edges.items, negatives])
        positive, negative = F.embedding(items, vectors.items).chunk(2)
        loss = bpr(F.embedding(edges.users, vectors.users), positive, negative)
        if self.config.l2:
            first = F.embedding(edges.users, self.user_table), *F.embedding(items, item_table).chunk(2)
            loss = loss + self.config.l2 * batch_l2(*first)
        return loss
