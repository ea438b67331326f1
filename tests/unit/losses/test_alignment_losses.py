"""Barlow Twins and InfoNCE against loops over numbers."""

import math
from statistics import fmean

import pytest
import torch

from createrec.config import BarlowTwinsConfig, ContrastiveAlignmentConfig
from createrec.losses.barlow_twins import EPSILON, barlow_twins, cross_correlation, standardise
from createrec.losses.contrastive import info_nce

B, D = 9, 4


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(B, D, dtype=torch.float64, generator=generator)
    return first, 0.7 * first + torch.randn(B, D, dtype=torch.float64, generator=generator) + 3


def plain_correlation(first, second):
    def column(view, c):
        values = view[:, c].tolist()
        mean = fmean(values)
        deviation = math.sqrt(fmean([(value - mean) ** 2 for value in values]) + EPSILON)
        return [(value - mean) / deviation for value in values]

    return [
        [fmean([x * y for x, y in zip(column(first, i), column(second, j), strict=True)]) for j in range(D)]
        for i in range(D)
    ]


@pytest.mark.parametrize("scale", ["sum", "per_dimension"])
def test_barlow_twins_against_a_loop(views, scale):
    c = plain_correlation(*views)
    on = sum((1 - c[i][i]) ** 2 for i in range(D))
    off = sum(c[i][j] ** 2 for i in range(D) for j in range(D) if i != j)
    expected = (on + 0.03 * off) / (D if scale == "per_dimension" else 1)
    found = barlow_twins(*views, BarlowTwinsConfig(off_diagonal_weight=0.03, scale=scale))
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_cross_correlation_against_a_loop(views):
    torch.testing.assert_close(cross_correlation(*views), torch.tensor(plain_correlation(*views), dtype=torch.float64))


def test_standardised_views_have_mean_0_and_variance_1(views):
    made = standardise(views[1])
    torch.testing.assert_close(made.mean(0), torch.zeros(D, dtype=torch.float64))
    torch.testing.assert_close(made.square().mean(0), torch.ones(D, dtype=torch.float64), rtol=1e-4, atol=0)


def test_barlow_twins_ignores_shift_and_scale_and_is_least_for_equal_views(views):
    config = BarlowTwinsConfig()
    first, second = views
    moved = barlow_twins(first, second * 100 + 7, config)
    assert float(moved) == pytest.approx(float(barlow_twins(first, second, config)), rel=1e-4)
    assert barlow_twins(first, first, config) < barlow_twins(first, second, config)


def test_barlow_twins_gradient(views):
    first, second = (view.clone().requires_grad_() for view in views)
    assert torch.autograd.gradcheck(lambda a, b: barlow_twins(a, b, BarlowTwinsConfig()), (first, second))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_info_nce_against_a_loop(views, temperature):
    vectors = [view.tolist() for part in views for view in part]
    norms = [math.sqrt(sum(value**2 for value in vector)) for vector in vectors]

    def similarity(i, j):
        return sum(x * y for x, y in zip(vectors[i], vectors[j], strict=True)) / norms[i] / norms[j] / temperature

    losses = []
    for i in range(2 * B):
        partner = (i + B) % (2 * B)
        others = [math.exp(similarity(i, j)) for j in range(2 * B) if j != i]
        losses.append(-math.log(math.exp(similarity(i, partner)) / sum(others)))
    assert float(info_nce(*views, ContrastiveAlignmentConfig(temperature=temperature))) == pytest.approx(
        fmean(losses), rel=1e-10
    )


def test_info_nce_is_symmetric_and_ignores_length(views):
    config = ContrastiveAlignmentConfig()
    first, second = views
    assert float(info_nce(first, second, config)) == pytest.approx(float(info_nce(second, first, config)))
    assert float(info_nce(first, second, config)) == pytest.approx(float(info_nce(9 * first, second, config)))
