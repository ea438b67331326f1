"""Softplus over groups of pairs against a plain loop, in float64."""

import pytest
import torch
from support import normal_draws, softplus

from createrec.ops.softplus import negative_softplus

G, B, M, D = 2, 6, 9, 4


@pytest.fixture
def random():
    return normal_draws()


def test_negative_softplus_by_hand(random):
    users, items, a, b = random(G, B, D), random(G, M, D), random(G, B).abs(), random(G, M).abs()
    expected = sum(
        (0.3 + 0.7 * float(a[g, e]) * float(b[g, j])) * softplus(float(users[g, e] @ items[g, j]))
        for g in range(G)
        for e in range(B)
        for j in range(M)
    )
    assert float(negative_softplus(users, items, a, b, 0.3, 0.7)) == pytest.approx(expected, rel=1e-12)


def test_gradcheck_of_negative_softplus(random):
    users, items = random(G, B, D).requires_grad_(), random(G, M, D).requires_grad_()
    a, b = random(G, B).abs(), random(G, M).abs()
    assert torch.autograd.gradcheck(lambda u, i: 2.5 * negative_softplus(u, i, a, b, 0.3, 0.7), (users, items))
