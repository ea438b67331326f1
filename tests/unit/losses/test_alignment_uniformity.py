"""GSAU's alignment and uniformity against loops over pairs; permutations without fixed points."""

import pytest
import torch

from createrec.losses.alignment_uniformity import alignment, pair_uniformity, random_derangement, uniformity

B, D = 6, 4


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(B, D, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2)]


def distances(first, second, pairs):
    unit = [[row / sum(x * x for x in row) ** 0.5 for row in view] for view in (first, second)]
    return [sum((unit[0][a] - unit[1][b]) ** 2) for a, b in pairs]


def assert_same_with_gradients(value, expected, inputs):
    torch.testing.assert_close(value, expected)
    ours = torch.autograd.grad(value, inputs, retain_graph=True)
    theirs = torch.autograd.grad(expected, inputs)
    torch.testing.assert_close(ours, theirs)


def test_alignment_is_the_mean_squared_distance_of_pairs(views):
    expected = sum(distances(*views, [(b, b) for b in range(B)])) / B
    assert_same_with_gradients(alignment(*views), expected, views)


def test_uniformity_is_over_all_pairs_of_different_rows(views):
    first = views[0]
    pairs = [(a, b) for a in range(B) for b in range(a)]
    expected = torch.log(sum(torch.exp(-2 * d) for d in distances(first, first, pairs)) / len(pairs))
    assert_same_with_gradients(uniformity(first), expected, [first])


def test_uniformity_of_equal_rows_has_finite_gradients():
    rows = torch.ones(4, 3, requires_grad=True)
    value = uniformity(rows)
    assert value.item() == pytest.approx(0.0, abs=1e-5)
    assert torch.autograd.grad(value, rows)[0].isfinite().all()


def test_uniformity_of_a_single_row_is_nothing():
    row = torch.randn(1, 3, requires_grad=True)
    assert uniformity(row).item() == 0.0


def test_pair_uniformity_is_row_by_row(views):
    expected = torch.log(sum(torch.exp(-2 * d) for d in distances(*views, [(b, b) for b in range(B)])) / B)
    assert_same_with_gradients(pair_uniformity(*views), expected, views)


def test_a_derangement_moves_every_index_and_sends_it_anywhere_else():
    generator = torch.Generator().manual_seed(0)
    everyone = torch.arange(5)
    seen = torch.zeros(5, 5)
    for _ in range(2000):
        permutation = random_derangement(5, generator)
        assert permutation.sort().values.equal(everyone)
        seen[everyone, permutation] += 1
    assert seen.diagonal().eq(0).all()
    assert (seen + 500 * torch.eye(5) - 500).abs().max() < 100  # 5 standard deviations
