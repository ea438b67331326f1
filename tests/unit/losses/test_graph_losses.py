"""BPR and UltraGCN's terms against plain loops, in float64."""

import math

import pytest
from support import normal_draws, softplus

from createrec.losses.bpr import batch_l2, bpr
from createrec.losses.ultragcn import neighbour_softplus, positive_softplus

B, K, D = 6, 3, 4


@pytest.fixture
def random():
    return normal_draws()


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


def test_neighbour_softplus_by_hand(random):
    users, near, weights = random(B, D), random(B, K, D), random(B, K).abs()
    expected = sum(float(weights[e, k]) * softplus(-float(users[e] @ near[e, k])) for e in range(B) for k in range(K))
    assert float(neighbour_softplus(users, near, weights)) == pytest.approx(expected, rel=1e-12)
