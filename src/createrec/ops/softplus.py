"""Softplus over all pairs of users and shared negatives, with both gradients computed on the way."""

import torch
from torch import Tensor
from torch.nn import functional as F


class _NegativeSoftplus(torch.autograd.Function):
    """sum_ej (base + degree * a_e b_j) softplus(u_e . v_j) over a batch [edges, d] and shared negatives [negatives, d].

    One matrix product each way: the sigmoid that the backward needs is made from the same scores.
    """

    @staticmethod
    def forward(ctx, users: Tensor, items: Tensor, a: Tensor, b: Tensor, base: float, degree: float) -> Tensor:
        scores = users @ items.T
        weights = torch.outer(degree * a, b).add_(base)
        loss = (F.softplus(scores) * weights).sum()
        if any(ctx.needs_input_grad[:2]):
            slope = scores.sigmoid_().mul_(weights)
            ctx.save_for_backward(slope @ items, slope.T @ users)
        return loss

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad_users, grad_items = ctx.saved_tensors
        return grad_users * grad, grad_items * grad, None, None, None, None


def negative_softplus(users: Tensor, items: Tensor, a: Tensor, b: Tensor, base: float, degree: float) -> Tensor:
    """Weighted sum of softplus over all pairs of users [edges, d] and items [negatives, d]; see `_NegativeSoftplus`."""
    return _NegativeSoftplus.apply(users, items, a, b, base, degree)
