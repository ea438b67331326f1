"""BPR and UltraGCN's terms against plain loops, in float64."""

import math

import pytest
import torch

from createrec.losses.bpr import batch_l2, bpr
from createrec.losses.ultragcn import neighbour_softplus, positive_softplus
from createrec.ops.softplus import negative_softplus

G, B, M, K, D = 2, 6, 9, 3, 4


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)


def test_bpr_and_l2_by_hand(random):
    users, positives, negatives = random(B, D), random(B, D), random(B, D)
    margins = [float(u @ p - u @ n) for u, p, n in zip(users, positives, negatives, strict=True)]
    expected = -sum(math.log(1 / (1 + math.exp(-margin))) for margin in margins) / B
    assert float(bpr(users, positives, negatives)) == pytest.approx(expected, rel=1e-12)
    squares = sum(value**2 for part in (users, positives, negatives) for value in part.flatten().tolist())
    assert float(batch_l2(users, positives, negatives)) == pytest.approx(squares / 2 / B, rel=1e-12)


def test_positive_softplus_by_hand(random):
    users, items, weights = random(B, D), random(B, D), random(B).abs()
    expected = sum(float(w) * softplus(-float(u @ i)) for u, i, w in zip(users, items, weights, strict=True))
    assert float(positive_softplus(users, items, weights)) == pytest.approx(expected, rel=1e-12)


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


def test_neighbour_softplus_by_hand(random):
    users, near, weights = random(B, D), random(B, K, D), random(B, K).abs()
    expected = sum(float(weights[e, k]) * softplus(-float(users[e] @ near[e, k])) for e in range(B) for k in range(K))
    assert float(neighbour_softplus(users, near, weights)) == pytest.approx(expected, rel=1e-12)
