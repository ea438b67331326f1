"""LightGCN: linear propagation over the normalised user-item graph (paper, Section 3.4).

Reference: He et al., "LightGCN", SIGIR 2020.

    E_(l+1) = D^-1/2 A D^-1/2 E_l,  e = mean of E_0 ... E_K,  L = BPR + l2 (|e_u0|^2 + |e_i0|^2 + |e_j0|^2) / 2

Where this implementation differs: an epoch is one pass over the shuffled edges with one sampled negative
each, while the authors draw as many triples with users chosen uniformly. The paper's text sums over all
negatives and adds norms that are not squared; this is the standard sampled loss with squared L2.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from createrec.config import LightGCNEncoderConfig
from createrec.data.batch import EdgeBatch, TrainingData
from createrec.data.graph import SparseMatrix, bipartite_adjacency, bipartite_sides, draw_non_neighbours
from createrec.losses.bpr import batch_l2, bpr
from createrec.models.graph_encoder import GlobalLoss, GraphEncoder, GraphVectors
from createrec.randomness import Randomness


class _Propagate(torch.autograd.Function):
    """Rows of the mean of the layers and of layer 0, for some users and items.

    A layer is a product of whole tables, but a step reads a few thousand rows: only those are summed over the layers,
    and only there do gradients enter. The graph is bipartite, so what starts from the users' table and what starts
    from the items' are two chains that change sides at each layer: one after the other, two tables are held at a time,
    which a CPU keeps in its cache.

    Args:
        user_table: [users, d].
        item_table: [items, d].
        users: int64 [n]; items: int64 [m].
        sides: the graph (see createrec.data.graph.bipartite_sides).
        layers: K.

    Returns:
        Mean of the layers 0 ... K of the users [n, d] and the items [m, d], and layer 0 of both.
    """

    @staticmethod
    def forward(ctx, user_table, item_table, users, items, sides: tuple[SparseMatrix, SparseMatrix], layers: int):
        tables, index = (user_table, item_table), (users, items)
        ctx.save_for_backward(*index)
        ctx.sides, ctx.layers, ctx.shapes = sides, layers, [table.shape for table in tables]
        ctx.set_materialize_grads(False)
        first = [F.embedding(rows, table) for rows, table in zip(index, tables, strict=True)]
        total = [rows.clone() for rows in first]
        for side, table in enumerate(tables):
            for _ in range(layers):
                side = 1 - side
                table = sides[side] @ table
                total[side].add_(F.embedding(index[side], table))
        return *(rows.div_(layers + 1) for rows in total), *first

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        """The operator is symmetric: G + A (G + A (G + ...)) over the means' gradients G, then those of layer 0."""
        some = next((grad for grad in grads if grad is not None), None)
        if some is None:
            return (None,) * 6
        index = ctx.saved_tensors
        means = [None if grad is None else grad / (ctx.layers + 1) for grad in grads[:2]]

        def add_(table, side, rows):
            return table if rows is None else table.index_add_(0, index[side], rows)

        found = [None, None]
        for side, shape in enumerate(ctx.shapes):
            table = add_(some.new_zeros(shape), side, means[side])
            for _ in range(ctx.layers):
                side = 1 - side
                table = add_(ctx.sides[side] @ table, side, means[side])
            found[side] = add_(table, side, grads[2 + side])
        return *found, None, None, None, None


class LightGCNEncoder(GraphEncoder):
    """The graph encoder with learnt layer-0 user vectors and a shared item table."""

    INITIAL_STD = 0.1

    def __init__(
        self, config: LightGCNEncoderConfig, dimension: int, data: TrainingData, randomness: Randomness
    ) -> None:
        super().__init__(config, dimension, data, randomness)
        self.config = config
        self.sides = bipartite_sides(bipartite_adjacency(self.edges, data.user_count, data.item_count), data.user_count)
        self.edge_keys = self.edges.users * data.item_count + self.edges.items

    def _propagate(self, item_table: Tensor, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _Propagate.apply(self.user_table, item_table, users, items, self.sides, self.config.layers)

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
