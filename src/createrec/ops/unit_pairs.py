"""Unit vectors, and sums of exponentials over all pairs of them, with hand-written gradients.

The matrix of all pairs is made once, turned into exponentials in place, and used at once for the gradients, where
autograd would hold it five times. It is symmetric, so one more product gives the gradient of both its sides. Cosines
are at most 1: exponents are shifted by what that allows, and nothing overflows.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from createrec.ops.powers import LOG2_E

# What F.normalize divides by at least.
LEAST_LENGTH = 1e-12


class _UnitRows(torch.autograd.Function):
    """See `unit_rows`."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(LEAST_LENGTH)
        unit = vectors / length
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        unit, length = ctx.saved_tensors
        along = (unit * grad).sum(1, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-1).div_(length)


def unit_rows(vectors: Tensor) -> Tensor:
    """Rows [n, d] divided by their lengths; a row of zeros stays one.

    The plain reference: `F.normalize(vectors, dim=1)`, whose gradient passes over the rows three times as often.
    """
    return _UnitRows.apply(vectors)


def _exponentials(unit: Tensor, scale: float) -> Tensor:
    """exp(scale (<v_i, v_j> - 1)), [n, n]."""
    return torch.mm(unit * (scale * LOG2_E), unit.T).sub_(scale * LOG2_E).exp2_()


class _LogSumOfPairs(torch.autograd.Function):
    """See `log_sum_of_pairs`."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, scale: float) -> Tensor:
        pairs = _exponentials(unit, scale).fill_diagonal_(0.0)
        total = pairs.sum()
        ctx.save_for_backward(torch.mm(pairs, unit).mul_(2 * scale / total))
        return total.log() + scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * grad, None


def log_sum_of_pairs(unit: Tensor, scale: float) -> Tensor:
    """Log of the sum over all ordered pairs i != j of exp(scale <v_i, v_j>), for unit vectors v [n, d], n at least 2.

    The plain reference: `(scale * v @ v.T).fill_diagonal_(-inf).logsumexp((0, 1))`.
    """
    return _LogSumOfPairs.apply(unit, scale)


class _LogSumsOfOthers(torch.autograd.Function):
    """See `log_sums_of_others`."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, copies: Tensor, scale: float) -> Tensor:
        pairs = _exponentials(unit, scale)
        pairs.diagonal().mul_((copies - 1).clamp_min(0) / copies.clamp_min(1))
        totals = torch.mv(pairs, copies).clamp_min_(torch.finfo(unit.dtype).tiny)
        share = copies / totals
        both = torch.mm(pairs, torch.cat([copies[:, None] * unit, share[:, None] * unit], dim=1))
        given, taken = both.chunk(2, dim=1)
        ctx.save_for_backward(given.mul_(share[:, None]).add_(taken * copies[:, None]).mul_(scale))
        return torch.dot(copies, totals.log() + scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * grad, None, None


def log_sums_of_others(unit: Tensor, copies: Tensor, scale: float) -> Tensor:
    """Sum over vectors of log(sum over all others of exp(scale <v, other>)), where vectors may stand several times.

    The copies are never made: a vector's column, and its own sum, count as often as it stands there.

    Args:
        unit: unit vectors v [n, d].
        copies: how often each stands there, [n], whole numbers as floats; 0 = not at all.
        scale: what the cosines are multiplied with, at most some 60.

    The plain reference, for v with its copies made:
    `(scale * v @ v.T).fill_diagonal_(-inf).logsumexp(1).sum()`.
    """
    return _LogSumsOfOthers.apply(unit, copies, scale)
