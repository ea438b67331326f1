"""LOOM's one-way divergence against loops; what it teaches and what it must not."""

import math

import pytest
import torch

from createrec.losses.guidance import guidance
from createrec.ops.divergence import guided_divergence

B, ITEMS, D = 5, 7, 3


@pytest.fixture
def sides():
    """Teacher's states and items, student's states and items (of another width)."""
    generator = torch.Generator().manual_seed(0)
    shapes = (B, D), (ITEMS, D), (B, D + 1), (ITEMS, D + 1)
    return [torch.randn(s, dtype=torch.float64, generator=generator, requires_grad=True) for s in shapes]


def softmax(row, temperature):
    powers = [torch.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def by_loops(teachers, known, students, table, temperature):
    losses = []
    for wanted_row, given_row in zip((teachers @ known.T).detach(), students @ table.T, strict=True):
        wanted, given = softmax(wanted_row, temperature), softmax(given_row, temperature)
        weight = 1 + sum(p * torch.log(p) for p in wanted) / math.log(ITEMS)
        divergence = sum(p * torch.log(p / q) for p, q in zip(wanted, given, strict=True))
        losses.append(weight * temperature**2 * divergence)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("chunk", [2, 100])
def test_it_equals_a_loop(sides, temperature, chunk, monkeypatch):
    monkeypatch.setattr("createrec.ops.divergence.CPU_PART_ITEMS", 3)
    value, expected = guided_divergence(*sides, temperature, chunk), by_loops(*sides, temperature)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(3 * loss, sides[2:]) for loss in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_scores_of_any_size_are_exact():
    states, table = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[0.0], [300.0]], requires_grad=True)
    value = guidance(-states, table, states, table, 1.0)  # certain of the first item, where the student is of the other
    assert value.item() == pytest.approx(300.0)
    assert torch.autograd.grad(value, states)[0].item() == pytest.approx(300.0)


def test_no_gradient_reaches_the_teacher(sides):
    gradients = torch.autograd.grad(guidance(*sides, 1.0), sides, allow_unused=True)
    assert gradients[:2] == (None, None)
    assert all(gradient.abs().max() > 0 for gradient in gradients[2:])


def test_an_undecided_teacher_teaches_nothing(sides):
    value = guidance(sides[0], torch.zeros_like(sides[1]), *sides[2:], 1.0)
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.grad(value, sides[2])[0].abs().max() < 1e-12
