"""Sparse products with hand-written gradients: how graph models pass vectors along edges."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from createrec.ops.sparse import BinaryMatrix, SparseMatrix


class _MeanOfLayers(torch.autograd.Function):
    """See `mean_of_layers`."""

    @staticmethod
    def forward(
        ctx: Any,
        user_table: Tensor,
        item_table: Tensor,
        users: Tensor,
        items: Tensor,
        sides: tuple[SparseMatrix, SparseMatrix],
        layers: int,
    ) -> tuple[Tensor, ...]:
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
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """The operator is symmetric: G + A (G + A (G + ...)) over the means' gradients G, then those of layer 0."""
        some = next((grad for grad in grads if grad is not None), None)
        if some is None:
            return (None,) * 6
        index = ctx.saved_tensors
        means = [None if grad is None else grad / (ctx.layers + 1) for grad in grads[:2]]

        def add_(table: Tensor, side: int, rows: Tensor | None) -> Tensor:
            return table if rows is None else table.index_add_(0, index[side], rows)

        found: list[Tensor | None] = [None, None]
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

    The plain reference, for A with the blocks of `sides` beside its diagonal: rows of
    `sum(matrix_power(A, k) @ cat([user_table, item_table]) for k in range(K + 1)) / (K + 1)`.
    """
    return _MeanOfLayers.apply(user_table, item_table, users, items, sides, layers)


class _Hop(torch.autograd.Function):
    """See `hop`."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: SparseMatrix, transposed: SparseMatrix, mirror: Tensor) -> Tensor:
        ctx.matrix, ctx.transposed, ctx.mirror = matrix, transposed, mirror
        return matrix @ dense.detach()  # a shorter way through `embedding_bag`

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return replace(ctx.transposed, values=ctx.matrix.values[ctx.mirror]) @ grad.contiguous(), None, None, None


def hop(dense: Tensor, matrix: SparseMatrix, transposed: SparseMatrix, mirror: Tensor) -> Tensor:
    """A product with a matrix whose values change from step to step (edge dropout) and get no gradient.

    Args:
        dense: [columns, d].
        matrix: [rows, columns].
        transposed: the pattern of its transpose; the values there are not read.
        mirror: its `mirror_entries`.

    The plain reference: `M @ dense` with a dense M.
    """
    return _Hop.apply(dense, matrix, transposed, mirror)


def mirror_entries(matrix: SparseMatrix) -> Tensor:
    """For each entry (r, c) of a matrix's transpose, row by row, where (c, r) stands in the matrix; int64 [entries]."""
    height = len(matrix.offsets) - 1
    row = torch.repeat_interleave(torch.arange(height, device=matrix.offsets.device), matrix.offsets.diff().long())
    return torch.argsort(matrix.columns.long() * height + row)


class _HopToRows(torch.autograd.Function):
    """See `hop_to_rows`."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix, ctx.shape = matrix, dense.shape
        return matrix @ dense

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        counts = ctx.matrix.offsets.diff()
        spread = torch.repeat_interleave(grad, counts, dim=0).mul_(ctx.matrix.values[:, None])
        return grad.new_zeros(ctx.shape).index_add_(0, ctx.matrix.columns, spread), None


def hop_to_rows(dense: Tensor, matrix: SparseMatrix) -> Tensor:
    """A product with a matrix of few rows, whose transpose is not at hand; the values get no gradient.

    The plain reference: `M @ dense` with a dense M.
    """
    return _HopToRows.apply(dense, matrix)


@dataclass(frozen=True)
class Relations:
    """Undirected relations between different nodes, as a matrix with an entry each way.

    Attributes:
        offsets: int32 [nodes + 1].
        row, column: int32 [entries], row by row.
        relation: int64 [entries], whose entry it is.
        entries: int64 [2, relations], where the two of each relation stand.
    """

    offsets: Tensor
    row: Tensor
    column: Tensor
    relation: Tensor
    entries: Tensor

    @classmethod
    def between(cls, first: Tensor, second: Tensor, nodes: int) -> "Relations":
        """Of each relation's two ends, int64 [relations] each."""
        row, column = torch.cat([first, second]), torch.cat([second, first])
        order = torch.argsort(row * nodes + column)
        entries = torch.empty_like(order)
        entries[order] = torch.arange(len(order), device=order.device)
        degree = torch.bincount(row, minlength=nodes)
        return cls(
            offsets=F.pad(degree.cumsum(0), (1, 0)).int(),
            row=row[order].int(),
            column=column[order].int(),
            relation=torch.arange(len(first), device=order.device).repeat(2)[order],
            entries=entries.view(2, -1),
        )

    def sums(self, values: Tensor) -> Tensor:
        """Sums of each row's entries, [entries] -> [nodes]."""
        return values.new_zeros(len(self.offsets) - 1).index_add_(0, self.row, values)

    def join(self, values: Tensor) -> Tensor:
        """Sums of each relation's two entries, [entries] -> [relations]."""
        return values.index_select(0, self.entries.view(-1)).view_as(self.entries).sum(0)

    def products(self, left: Tensor, right: Tensor) -> Tensor:
        """<left_row, right_column> of each entry, [entries], for two tables [nodes, d]."""
        if left.is_cuda:
            return (left[self.row] * right[self.column]).sum(1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            size, nothing = (len(left), len(right)), left.new_zeros(len(self.column))
            pattern = torch.sparse_csr_tensor(self.offsets, self.column, nothing, size, check_invariants=False)
        return torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values()


class _SumOfGatedLayers(torch.autograd.Function):
    """See `sum_of_gated_layers`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, gates: Tensor, relations: Relations, layers: int) -> Tensor:
        gated = gates.index_select(0, relations.relation)
        scale = relations.sums(gated).clamp_min_(torch.finfo(gates.dtype).tiny).rsqrt_()
        both = scale.index_select(0, relations.row).mul_(scale.index_select(0, relations.column))
        matrix = SparseMatrix(relations.offsets, relations.column, gated.mul_(both))
        found = [table.detach()]  # a shorter way through `embedding_bag`
        for _ in range(layers):
            found.append(matrix @ found[-1])
        ctx.relations, ctx.matrix = relations, matrix
        ctx.save_for_backward(scale, both, *found[:-1])
        total = found[0] + found[1]
        for layer in found[2:]:
            total += layer
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """With A_m = G + S G + ... + S^m G: the table's gradient is A_L, that of S is sum_l A_(L-l) X_(l-1)'."""
        scale, both, *layers = ctx.saved_tensors
        relations, matrix = ctx.relations, ctx.matrix
        grad = grad.contiguous()
        sums = [grad]
        for _ in layers:
            sums.append((matrix @ sums[-1]).add_(grad))
        slopes = relations.products(torch.cat(sums[-2::-1], dim=1), torch.cat(layers, dim=1))
        # S_ij = a_ij s_i s_j, s = D^-1/2: what a gate does by itself, and through the degree of either end.
        shared = relations.join(slopes).index_select(0, relations.relation).mul_(matrix.values)
        through = relations.sums(shared).mul_(scale.square()).mul_(-0.5)
        each = slopes.mul_(both).add_(through.index_select(0, relations.row))
        return sums[-1], relations.join(each), None, None


def sum_of_gated_layers(table: Tensor, gates: Tensor, relations: Relations, layers: int) -> Tensor:
    """X + S X + ... + S^L X, S = D^-1/2 a D^-1/2, for a weight of each relation that learns, and for X.

    Args:
        table: X [nodes, d].
        gates: a [relations], positive.
        relations: between the nodes; one without relations has S X = 0.
        layers: L, 1 or more.

    The plain reference, for a dense, symmetric `a` with the gates at the relations' places:
    `s = a.sum(1).rsqrt()` (0 where there are no relations), `S = s[:, None] * a * s`,
    `sum(matrix_power(S, layer) @ X for layer in range(L + 1))`.
    """
    return _SumOfGatedLayers.apply(table, gates, relations, layers)


@dataclass(frozen=True)
class ActiveNodes:
    """Those users and items of one table that have neighbours.

    Attributes:
        nodes: int64 [n], ascending, as rows of tables x (users, then items).
        users: how many of them are users; the others are items.
        item_cells: int64 [n - users], the items as rows of tables x items.
        matrix: [n] squared, symmetric.
    """

    nodes: Tensor
    users: int
    item_cells: Tensor
    matrix: BinaryMatrix


@dataclass(frozen=True)
class ActiveGraph:
    """Graphs of several tables of the same users and items.

    Attributes:
        users: users of a table.
        place: int64 [tables * (users + items)], where each node stands among all active ones; -1 for one that is none.
        blocks: the active nodes, an entry for each table that has some.
    """

    users: int
    place: Tensor
    blocks: tuple[ActiveNodes, ...]


class _LeakyLayers(torch.autograd.Function):
    """See `leaky_layers`."""

    @staticmethod
    def forward(
        ctx: Any, tables: Tensor, rows: Tensor, graph: ActiveGraph, layers: int, slope: float
    ) -> tuple[Tensor, ...]:
        flat = tables.flatten(0, 1)
        items = tables[:, graph.users :] * (layers + 1)
        totals, acted = [], []
        for block in graph.blocks:
            layer = flat.index_select(0, block.nodes)
            total = layer.clone()
            for _ in range(layers):
                acted.append(F.leaky_relu_(block.matrix @ layer, slope))
                layer = layer + acted[-1]
                total += layer
            items.flatten(0, 1).index_copy_(0, block.item_cells, total[block.users :])
            totals.append(total)
        place = graph.place[rows]
        propagated = torch.cat(totals).index_select(0, place.clamp_min(0))
        picked = torch.where((place >= 0)[:, None], propagated, flat.index_select(0, rows) * (layers + 1))
        ctx.save_for_backward(tables, rows, *acted)
        ctx.settings = graph, layers, slope
        ctx.set_materialize_grads(False)
        return items, picked, torch.linalg.vector_norm(tables, dim=2).square().sum()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, items: Tensor | None, picked: Tensor | None, squares: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        tables, rows, *acted = ctx.saved_tensors
        graph, layers, slope = ctx.settings
        grad = torch.zeros_like(tables)
        flat, acted = grad.flatten(0, 1), reversed(acted)
        if items is not None:
            torch.mul(items, layers + 1, out=grad[:, graph.users :])
        if picked is not None:
            flat.index_add_(0, rows, picked, alpha=layers + 1)
        for block in reversed(graph.blocks):
            own = flat.index_select(0, block.nodes).div_(layers + 1)
            upper = own
            for _ in range(layers):
                inner = torch.ops.aten.leaky_relu_backward(upper, next(acted), slope, True)
                upper = (block.matrix @ inner).add_(upper).add_(own)
            flat.index_copy_(0, block.nodes, upper)
        if squares is not None:
            grad.addcmul_(tables, 2 * squares)
        return grad, None, None, None, None


def leaky_layers(
    tables: Tensor, rows: Tensor, graph: ActiveGraph, layers: int, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """X_0 + ... + X_L with X_(l+1) = LeakyReLU(A X_l) + X_l: all items' rows, and any others that a step reads.

    A node without neighbours keeps X_0, so that its sum is (L + 1) X_0: only the others are propagated, a table at a
    time, which a CPU keeps in its cache. The tables are the most that a step holds: whatever has a gradient for all of
    them comes from here, so that few passes over them are made.

    Args:
        tables: X_0 [tables, users + items, d].
        rows: int64 [n], rows of the flattened tables.
        graph: A, the tables' graphs.
        layers: L.
        slope: of LeakyReLU.

    Returns:
        The items [tables, items, d], the rows [n, d], and the sum of the squares of `tables`.
    """
    return _LeakyLayers.apply(tables, rows, graph, layers, slope)
