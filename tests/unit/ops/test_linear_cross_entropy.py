"""The full cross-entropy in chunks against torch's own, in float64."""

import pytest
import torch
from support import loss_problem
from torch.nn import functional as F

from createrec.ops import cross_entropy
from createrec.ops.cross_entropy import linear_cross_entropy

N, ITEMS, D = 13, 17, 5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def problem():
    """States, table and targets, with gradients."""
    return loss_problem(N, ITEMS, D)


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("scale", [1, 50], ids=["powers that may be summed", "powers that overflow"])
@pytest.mark.parametrize("part", [1024, 4], ids=["one part", "parts of the catalogue"])
@pytest.mark.parametrize("chunk", [None, 1, 4, 5, 13, 100])
def test_full_cross_entropy_equals_torchs(problem, chunk, part, scale, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CPU_PART_ITEMS", part)
    states, table, targets = problem
    ours = linear_cross_entropy(scale * states, table, targets, None, chunk)
    theirs = F.cross_entropy(scale * states @ table.T, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    for mine, other in zip(gradients(3 * ours, states, table), gradients(3 * theirs, states, table), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("chunk", [3, 13])
def test_weighted_cross_entropy_is_that_of_the_live_targets(problem, chunk):
    states, table, targets = problem
    weights = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0], dtype=torch.float64)
    alive = weights > 0
    ours = linear_cross_entropy(states, table, targets, weights, chunk)
    theirs = F.cross_entropy(states[alive] @ table.T, targets[alive])
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    for mine, other in zip(gradients(ours, states, table), gradients(theirs, states, table), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, 13])
def test_gradcheck_of_the_full_cross_entropy(problem, weighted, chunk):
    states, table, targets = problem
    weights = torch.rand(N, dtype=torch.float64, generator=generator(1)) if weighted else None
    assert torch.autograd.gradcheck(lambda s, t: linear_cross_entropy(s, t, targets, weights, chunk), (states, table))


def test_huge_logits_do_not_overflow():
    states, table = torch.tensor([[1e4, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0]])
    loss = linear_cross_entropy(states, table, torch.tensor([1]))
    assert float(loss) == pytest.approx(2e4)
    assert float(linear_cross_entropy(states, table, torch.tensor([0]))) == pytest.approx(0, abs=1e-3)


def test_one_gradient_alone(problem):
    states, table, targets = problem
    (mine,) = gradients(linear_cross_entropy(states.detach(), table, targets), table)
    (other,) = gradients(F.cross_entropy(states.detach() @ table.T, targets), table)
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("scale", [1, 50], ids=["powers that may be summed", "powers that overflow"])
@pytest.mark.parametrize("part", [1024, 4], ids=["one part", "parts of the catalogue"])
def test_products_in_bfloat16_round_operands_and_logits_and_nothing_else(problem, part, scale, monkeypatch):
    """Eight binary digits: a logit is off by a share of 2^-8 or so, and so are the gradients."""
    monkeypatch.setattr(cross_entropy, "CPU_PART_ITEMS", part)
    states, table, targets = problem
    states, table = states.float().detach().requires_grad_(), table.float().detach().requires_grad_()
    ours = linear_cross_entropy(scale * states, table, targets, None, 4, torch.bfloat16)
    theirs = F.cross_entropy(scale * states @ table.T, targets)
    largest = float((scale * states @ table.T).abs().max())
    assert 0 < abs(float(ours - theirs)) < largest * 2**-7
    for mine, other in zip(gradients(ours, states, table), gradients(theirs, states, table), strict=True):
        assert mine.dtype == torch.float32
        assert not mine.equal(other)
        tolerance = 2**-6 * max(1.0, largest)
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance * float(other.abs().max()))
