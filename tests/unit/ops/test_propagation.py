"""Sparse products and their hand-written gradients against dense ones, in float64."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from createrec.ops.propagation import (
    ActiveGraph,
    ActiveNodes,
    Relations,
    hop,
    hop_to_rows,
    leaky_layers,
    mean_of_layers,
    mirror_entries,
    sum_of_gated_layers,
)
from createrec.ops.sparse import BinaryMatrix, SparseMatrix

USERS, ITEMS, D = 4, 5, 3
NODES = USERS + ITEMS


def randoms(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def sparse(dense):
    """A dense matrix in rows."""
    rows, columns = dense.nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(dense))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return SparseMatrix(offsets.int(), columns.int(), dense[rows, columns])


@pytest.fixture
def bipartite():
    """Symmetric weights between users and items; the last item meets nobody."""
    block = torch.rand(USERS, ITEMS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    block = block * (block > 0.4)
    block[:, -1] = 0
    whole = torch.zeros(NODES, NODES, dtype=torch.float64)
    whole[:USERS, USERS:], whole[USERS:, :USERS] = block, block.T
    return whole


def same(ours, plain, inputs):
    """Values, and gradients by all inputs, are those of the plain reference."""
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)
    probe = randoms(*ours.shape, seed=9).detach()
    for mine, other in zip(
        *(torch.autograd.grad((x * probe).sum(), inputs, retain_graph=True) for x in (ours, plain)), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_products_are_those_of_dense_matrices(bipartite):
    dense = randoms(NODES, D).detach()
    matrix = sparse(bipartite)
    torch.testing.assert_close(matrix @ dense, bipartite @ dense)
    binary = BinaryMatrix(matrix.offsets, matrix.columns)
    torch.testing.assert_close(binary @ dense, (bipartite > 0).double() @ dense)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_mean_of_layers(bipartite, layers):
    tables = randoms(USERS, D), randoms(ITEMS, D, seed=2)
    sides = sparse(bipartite[:USERS, USERS:]), sparse(bipartite[USERS:, :USERS])
    users, items = torch.tensor([3, 0, 3]), torch.tensor([4, 1, 1, 2])
    ours = mean_of_layers(*tables, users, items, sides, layers)
    powers = [torch.linalg.matrix_power(bipartite, power) @ torch.cat(tables) for power in range(layers + 1)]
    mean = sum(powers) / (layers + 1)
    plain = mean[users], mean[USERS + items], tables[0][users], tables[1][items]
    same(torch.cat(ours), torch.cat(plain), tables)


def test_a_hop_over_values_that_are_not_symmetric(bipartite):
    pattern, items = sparse(bipartite[:USERS, USERS:]), randoms(ITEMS, D)
    matrix = replace(pattern, values=randoms(len(pattern.columns), seed=3).detach())
    dense = torch.zeros(USERS, ITEMS, dtype=torch.float64)
    dense[bipartite[:USERS, USERS:].nonzero(as_tuple=True)] = matrix.values
    transposed = sparse(bipartite[USERS:, :USERS])
    same(hop(items, matrix, transposed, mirror_entries(matrix)), dense @ items, [items])


def test_a_hop_to_some_rows(bipartite):
    matrix, items, rows = sparse(bipartite[:USERS, USERS:]), randoms(ITEMS, D), torch.tensor([2, 0, 2])
    same(hop_to_rows(items, matrix.take(rows)), bipartite[rows, USERS:] @ items, [items])
    assert hop_to_rows(items, matrix.take(rows[:0])).shape == (0, D)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_sum_of_gated_layers(bipartite, layers):
    first, second = bipartite.triu().nonzero(as_tuple=True)
    relations, table = Relations.between(first, second, NODES), randoms(NODES, D)
    gates = torch.rand(len(first), dtype=torch.float64, generator=torch.Generator().manual_seed(4)).requires_grad_()
    dense = torch.zeros_like(bipartite).index_put((first, second), gates)
    dense = dense + dense.T
    degree = dense.sum(1)
    assert degree[-1] == 0
    scale = torch.where(degree > 0, degree.clamp_min(1e-30).rsqrt(), 0.0)
    matrix = scale[:, None] * dense * scale
    plain = sum(torch.linalg.matrix_power(matrix, layer) for layer in range(layers + 1)) @ table
    same(sum_of_gated_layers(table, gates, relations, layers), plain, [gates, table])


def test_no_relations_at_all_leave_the_table_as_it_is():
    nobody, table = torch.zeros(0, dtype=torch.int64), randoms(NODES, D)
    gates = torch.zeros(0, dtype=torch.float64, requires_grad=True)
    same(sum_of_gated_layers(table, gates, Relations.between(nobody, nobody, NODES), 2), table * 1, [table])


@pytest.mark.parametrize("layers", [1, 3])
def test_leaky_layers(bipartite, layers):
    """One table with a graph, and one in which nobody meets anybody."""
    active = (bipartite.sum(1) > 0).nonzero()[:, 0]
    users = int((active < USERS).sum())
    part = sparse(bipartite[active][:, active])
    place = torch.full((2 * NODES,), -1)
    place[active] = torch.arange(len(active))
    nodes = ActiveNodes(active, users, active[users:] - USERS, BinaryMatrix(part.offsets, part.columns))
    graph, tables = ActiveGraph(USERS, place, (nodes,)), randoms(2, NODES, D, seed=5)
    rows = torch.tensor([0, 3, NODES + 1, NODES - 1, 0])
    items, picked, squares = leaky_layers(tables, rows, graph, layers, 0.5)
    binary = torch.stack([(bipartite > 0).double(), torch.zeros_like(bipartite)])
    layer = total = tables
    for _ in range(layers):
        layer = F.leaky_relu(binary @ layer, 0.5) + layer
        total = total + layer
    expected = total[:, USERS:], total.flatten(0, 1)[rows], tables.square().sum()
    for ours, plain in zip((items, picked, squares), expected, strict=True):
        same(ours, plain, [tables])
