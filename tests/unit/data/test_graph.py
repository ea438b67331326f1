"""Edges, adjacency and co-occurrence against dense matrices and plain counting."""

import math

import pytest
import torch
from support import random_rows, training_data_of

from createrec.data.graph import (
    bipartite_adjacency,
    bipartite_sides,
    build_edges,
    cooccurrence_neighbours,
    draw_non_neighbours,
)

USERS, ITEMS = 25, 18


@pytest.fixture
def rows():
    made = random_rows(USERS, ITEMS - 2, seed=1, longest=9)  # two items without users
    made[3] = [4, 4, 2, 4, 2]  # somebody who repeats
    made[5] = []
    return made


def pairs(edges):
    return list(zip(edges.users.tolist(), edges.items.tolist(), strict=True))


def dense_interactions(edges):
    matrix = torch.zeros(USERS, ITEMS, dtype=torch.float64)
    matrix[edges.users, edges.items] = 1
    return matrix


@pytest.mark.parametrize("last", [None, 1, 3, 100])
def test_edges_of_the_last_interactions(rows, last):
    edges = build_edges(training_data_of(rows, ITEMS), graph_last=last)
    kept = [row if last is None else row[-last:] for row in rows]
    assert pairs(edges) == sorted({(user, item) for user, row in enumerate(kept) for item in row})


@pytest.mark.parametrize("percent", [1, 10, 33, 50, 100])
def test_edges_of_the_last_percent(rows, percent):
    edges = build_edges(training_data_of(rows, ITEMS), graph_percent=percent)
    expected = set()
    for user, row in enumerate(rows):
        count = -(-len(row) * percent // 100)
        expected |= {(user, item) for item in row[len(row) - count :]}
    assert pairs(edges) == sorted(expected)
    assert {user for user, _ in expected} == {user for user, row in enumerate(rows) if row}


def test_the_adjacency_is_the_dense_one(rows):
    edges = build_edges(training_data_of(rows, ITEMS))
    interactions = dense_interactions(edges)
    upper = torch.cat([torch.zeros(USERS, USERS), interactions], dim=1)
    lower = torch.cat([interactions.T, torch.zeros(ITEMS, ITEMS)], dim=1)
    dense = torch.cat([upper, lower])
    degree = dense.sum(1)
    scale = torch.where(degree > 0, degree, torch.inf) ** -0.5
    expected = scale[:, None] * dense * scale
    sparse = bipartite_adjacency(edges, USERS, ITEMS)
    found = sparse @ torch.eye(USERS + ITEMS, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)  # its values are float32
    assert torch.equal(found, found.T)
    assert (degree == 0).any(), "an isolated node is among them"
    of_users, of_items = bipartite_sides(sparse, USERS)
    assert torch.equal(of_users @ torch.eye(ITEMS, dtype=torch.float64), found[:USERS, USERS:])
    assert torch.equal(of_items @ torch.eye(USERS, dtype=torch.float64), found[USERS:, :USERS])


@pytest.mark.parametrize("count", [1, 4, 50])
def test_cooccurrence_weights_by_counting(rows, count):
    """G_ij counts users with both items, the diagonal kept; omega of the authors' code; ties by index."""
    neighbours, omega = cooccurrence_neighbours(build_edges(training_data_of(rows, ITEMS)), USERS, ITEMS, count)
    owners = [{user for user, row in enumerate(rows) if item in row} for item in range(ITEMS)]
    gram = [[len(owners[i] & owners[j]) for j in range(ITEMS)] for i in range(ITEMS)]
    totals = [sum(line) for line in gram]
    assert neighbours.shape == omega.shape == (ITEMS, count)
    for i in range(ITEMS):
        weights = {
            j: math.sqrt(totals[i] + 1) / totals[i] / math.sqrt(totals[j] + 1) * gram[i][j]
            for j in range(ITEMS)
            if gram[i][j]
        }
        expected = sorted(weights, key=lambda j: (-weights[j], j))[:count]
        found = neighbours[i, : len(expected)].tolist()
        # Equal weights may differ in the last bit between two ways to compute them.
        assert [round(weights[j], 12) for j in found] == [round(weights[j], 12) for j in expected]
        assert omega[i].tolist() == pytest.approx([weights[j] for j in expected] + [0.0] * (count - len(expected)))


def test_ties_between_neighbours_go_to_the_lower_index():
    edges = build_edges(training_data_of([[4, 1, 3, 0]], 5))
    neighbours, _ = cooccurrence_neighbours(edges, 1, 5, 3)
    assert neighbours.tolist() == [[0, 1, 3], [0, 1, 3], [0, 0, 0], [0, 1, 3], [0, 1, 3]]


def test_negatives_are_no_edges_and_uniform_otherwise():
    rows = random_rows(6, 40, seed=2, shortest=1, longest=5)
    edges = build_edges(training_data_of(rows, 40))
    keys = edges.users * 40 + edges.items
    users = torch.arange(6).repeat(4000)
    drawn = draw_non_neighbours(users, keys, 40, torch.Generator().manual_seed(0))
    known = set(pairs(edges))
    assert not known & set(zip(users.tolist(), drawn.tolist(), strict=True))
    for user, row in enumerate(rows):
        counts = torch.bincount(drawn[users == user], minlength=40).double()
        free = [item for item in range(40) if item not in row]
        expected = 4000 / len(free)
        statistic = ((counts[free] - expected) ** 2 / expected).sum()
        assert statistic < len(free) + 5 * math.sqrt(2 * len(free))  # chi-squared, mean and 5 deviations


def test_a_user_who_has_everything_still_gets_a_negative():
    edges = build_edges(training_data_of([[0, 1, 2]], 3))
    drawn = draw_non_neighbours(torch.zeros(100, dtype=torch.int64), edges.items, 3, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 1, 2}
