"""LOOM's one-way divergence against loops; what it teaches and what it must not."""

import math

import pytest
import torch

from createrec.losses.guidance import confidence, guidance

B, ITEMS = 4, 6


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(0)
    return [2 * torch.randn(B, ITEMS, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2)]


def softmax(row, temperature):
    powers = [torch.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_it_equals_a_loop(scores, temperature):
    teacher, student = scores
    losses = []
    for wanted_row, given_row in zip(teacher.detach(), student, strict=True):
        wanted, given = softmax(wanted_row, temperature), softmax(given_row, temperature)
        weight = 1 + sum(p * torch.log(p) for p in wanted) / math.log(ITEMS)
        divergence = sum(p * torch.log(p / q) for p, q in zip(wanted, given, strict=True))
        losses.append(weight * temperature**2 * divergence)
    expected = torch.stack(losses).mean()
    value = guidance(teacher, student, temperature)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, student), torch.autograd.grad(expected, student))


def test_no_gradient_reaches_the_teacher(scores):
    teacher, student = scores
    gradients = torch.autograd.grad(guidance(teacher, student, 1.0), scores, allow_unused=True)
    assert gradients[0] is None
    assert gradients[1].abs().max() > 0


def test_an_undecided_teacher_teaches_nothing(scores):
    value = guidance(torch.full((B, ITEMS), 3.0, dtype=torch.float64), scores[1], 1.0)
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.grad(value, scores[1])[0].abs().max() < 1e-12


def test_confidence_runs_from_nothing_to_certainty():
    certain = torch.log_softmax(torch.tensor([[90.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), 1)
    assert confidence(certain).tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
