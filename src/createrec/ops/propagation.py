"""Sparse products with hand-written gradients: how graph models pass vectors along edges."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from createrec.ops.sparse import BinaryMatrix, SparseMatrix


class _MeanOfLayers(torch.autograd.Function):
    """See `mean_of_layers`."""

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


def mean_of_layers(
    user_table: Tensor,
    item_table: Tensor,
    users: Tensor,
    items: Tensor,
    sides: tuple[SparseMatrix, SparseMatrix],
    layers: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of the mean of the layers and of layer 0, for some users and items.

    A layer is a product of whole tables, but a step reads a few thousand rows: only those are summed over the layers,
    and only there do gradients enter. The graph is bipartite, so what starts from the users' table and what starts
    from the items' are two chains that change sides at each layer: one after the other, two tables are held at a time,
    which a CPU keeps in its cache.

    Args:
        user_table: [users, d].
        item_table: [items, d].
        users: int64 [n]; items: int64 [m].
        sides: the graph as its blocks [users, items] and [items, users].
        layers: K.

    Returns:
        Mean of the layers 0 ... K of the users [n, d] and the items [m, d], and layer 0 of both.
    """
    return _MeanOfLayers.apply(user_table, item_table, users, items, sides, layers)


class _Hop(torch.autograd.Function):
    """See `hop`."""

    @staticmethod
    def forward(ctx, nodes: Tensor, values: Tensor, adjacency: SparseMatrix, mirror: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        ctx.adjacency, ctx.mirror = adjacency, mirror
        return replace(adjacency, values=values) @ nodes

    @staticmethod
    def backward(ctx, grad: Tensor):
        (values,) = ctx.saved_tensors
        return replace(ctx.adjacency, values=values[ctx.mirror]) @ grad.contiguous(), None, None, None


def hop(nodes: Tensor, values: Tensor, adjacency: SparseMatrix, mirror: Tensor) -> Tensor:
    """A product with a matrix whose pattern is symmetric and whose values are not (edge dropout).

    Args:
        nodes: [nodes, d].
        values: [entries], in place of the matrix's own; they get no gradient.
        adjacency: the pattern.
        mirror: its `mirror_entries`.
    """
    return _Hop.apply(nodes, values, adjacency, mirror)


def mirror_entries(adjacency: SparseMatrix) -> Tensor:
    """For each entry (r, c) of a matrix with a symmetric pattern, where (c, r) stands; int64 [entries]."""
    nodes = len(adjacency.offsets) - 1
    column = adjacency.columns.long()
    row = torch.repeat_interleave(torch.arange(nodes, device=column.device), adjacency.offsets.diff().long())
    return torch.argsort(column * nodes + row)


class _DenseGradient(torch.autograd.Function):
    """Gives a product S X, made with X detached, its gradient for X: S again, because S is symmetric."""

    @staticmethod
    def forward(ctx, product: Tensor, dense: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        return product.view_as(product)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, ctx.matrix @ grad.contiguous(), None


def symmetric_product(matrix: SparseMatrix, dense: Tensor) -> Tensor:
    """S X with gradients for the values of S and for X; torch has the former alone in a fast kernel."""
    product = matrix @ dense.detach()
    detached = SparseMatrix(matrix.offsets, matrix.columns, matrix.values.detach())
    return _DenseGradient.apply(product, dense, detached)


class _LeakyLayers(torch.autograd.Function):
    """See `leaky_layers`; keeps one bit of sign per number and layer for the way back."""

    @staticmethod
    def forward(ctx, tables: Tensor, graph: BinaryMatrix, layers: int, slope: float) -> Tensor:
        total, layer, positive = tables.clone(), tables, []
        for _ in range(layers):
            sums = graph @ layer
            positive.append(sums > 0)
            layer = layer + F.leaky_relu_(sums, slope)
            total += layer
        ctx.graph, ctx.slope = graph, slope
        ctx.save_for_backward(*positive)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        upper = grad = grad.contiguous()
        for positive in reversed(ctx.saved_tensors):
            inner = torch.where(positive, upper, upper * ctx.slope)
            upper = grad + upper + ctx.graph @ inner
        return upper, None, None, None


def leaky_layers(tables: Tensor, graph: BinaryMatrix, layers: int, slope: float) -> Tensor:
    """X_0 + ... + X_L with X_(l+1) = LeakyReLU(A X_l) + X_l, for a symmetric A; X_0 is `tables` [nodes, d]."""
    return _LeakyLayers.apply(tables, graph, layers, slope)
