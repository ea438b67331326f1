"""Sums over pairs of unit vectors against their plain references, in float64."""

import pytest
import torch
from torch.nn import functional as F

from createrec.ops.unit_pairs import log_sum_of_pairs, log_sums_of_others, unit_rows

N, D = 6, 4
COPIES = torch.tensor([1.0, 3.0, 2.0, 0.0, 1.0, 2.0], dtype=torch.float64)


@pytest.fixture
def unit():
    generator = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(N, D, dtype=torch.float64, generator=generator), dim=1).requires_grad_()


def test_unit_rows():
    vectors = 3 * torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    vectors.requires_grad_()
    torch.testing.assert_close(unit_rows(vectors), F.normalize(vectors, dim=1))
    assert torch.autograd.gradcheck(unit_rows, vectors)
    assert unit_rows(torch.zeros(2, D)).eq(0).all()


def pairs(vectors, scale):
    diagonal = torch.eye(len(vectors), dtype=torch.bool)
    return (scale * vectors @ vectors.T).masked_fill(diagonal, -torch.inf)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_sum_of_pairs(unit, scale):
    torch.testing.assert_close(log_sum_of_pairs(unit, scale), pairs(unit, scale).flatten().logsumexp(0))
    assert torch.autograd.gradcheck(lambda v: 3 * log_sum_of_pairs(v, scale), unit)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_sums_of_others(unit, scale):
    copied = unit.repeat_interleave(COPIES.long(), 0)
    torch.testing.assert_close(log_sums_of_others(unit, COPIES, scale), pairs(copied, scale).logsumexp(1).sum())
    assert torch.autograd.gradcheck(lambda v: 3 * log_sums_of_others(v, COPIES, scale), unit)


def test_a_vector_that_stands_nowhere_has_no_gradient(unit):
    assert torch.autograd.grad(log_sums_of_others(unit, COPIES, 1.0), unit)[0][COPIES == 0].eq(0).all()
