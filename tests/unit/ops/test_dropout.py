"""Dropout against what torch's own does: how many values it drops, and what becomes of the others."""

import pytest
import torch

from createrec.ops.dropout import Dropout

COUNT = 200_000


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_kept_values_are_scaled_and_the_others_are_zero(rate):
    torch.manual_seed(0)
    x = torch.linspace(1, 2, COUNT).requires_grad_()
    y = Dropout(rate).train()(x)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] / (1 - rate))
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=4 * (rate * (1 - rate) / COUNT) ** 0.5)
    (grad,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(grad, kept / (1 - rate))


def test_neighbours_are_dropped_independently():
    torch.manual_seed(1)
    kept = (Dropout(0.5).train()(torch.ones(COUNT)) != 0).double()
    for step in (1, 2, 3, 4, 5):
        assert float((kept[step:] * kept[:-step]).mean()) == pytest.approx(0.25, abs=0.005)


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero():
    x = torch.ones(5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
