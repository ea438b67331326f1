"""Softplus over all pairs of edges and negatives within groups, with both gradients computed on the way."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class _NegativeSoftplus(torch.autograd.Function):
    """sum_gej (base + degree * a_ge b_gj) softplus(u_ge . v_gj): each group's edges meet the group's negatives.

    One batched matrix product each way: the sigmoid that the backward needs is made from the same scores.
    """

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, a: Tensor, b: Tensor, base: float, degree: float) -> Tensor:
        scores = users @ items.mT
        weights = ((degree * a)[:, :, None] * b[:, None, :]).add_(base)
        loss = (F.softplus(scores) * weights).sum()
        if any(ctx.needs_input_grad[:2]):
            slope = scores.sigmoid_().mul_(weights)
            ctx.save_for_backward(slope @ items, slope.mT @ users)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_users, grad_items = ctx.saved_tensors
        return grad_users * grad, grad_items * grad, None, None, None, None


def negative_softplus(users: Tensor, items: Tensor, a: Tensor, b: Tensor, base: float, degree: float) -> Tensor:
    """Weighted sum of softplus over all pairs within each group.

    The plain reference: `(F.softplus(users @ items.mT) * (base + degree * a[:, :, None] * b[:, None, :])).sum()`.

    Args:
        users: [groups, edges, d].
        items: [groups, negatives, d].
        a: [groups, edges].
        b: [groups, negatives].
    """
    return _NegativeSoftplus.apply(users, items, a, b, base, degree)
