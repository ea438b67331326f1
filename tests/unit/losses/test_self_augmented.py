"""Self-GNN's hinge losses against loops."""

import torch

from createrec.losses.self_augmented import hinge, leaky_dot, pair_hinge


def test_hinge_is_the_mean_over_all_pairs():
    generator = torch.Generator().manual_seed(0)
    right = torch.randn(4, dtype=torch.float64, generator=generator, requires_grad=True)
    wrong = torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    pairs = [(r, w) for r, row in zip(right, wrong, strict=True) for w in row]
    expected = sum(max(1 - r + w, torch.zeros(())) for r, w in pairs) / 12
    value = hinge(right, wrong)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(value, (right, wrong)), torch.autograd.grad(expected, (right, wrong))
    )


def test_pair_hinge_is_a_sum_over_live_pairs():
    long, short = torch.tensor([2.0, -1.0, 0.5, 9.0]), torch.tensor([0.25, 3.0, 4.0, -9.0])
    live = torch.tensor([True, True, True, False])
    assert pair_hinge(long, short, live).item() == 0.5 + 4.0 + 0.0
    assert pair_hinge(long[:3], short[:3], None).item() == 4.5


def test_leaky_dot_shrinks_what_is_negative():
    assert leaky_dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0]), 0.5).item() == 3.0 - 4.0
