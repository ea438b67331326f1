"""BPR of a user's targets against the whole catalogue, as MRGSRec uses it (Table 2)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.ops.cross_entropy import CPU_CHUNK_ELEMENTS, CUDA_CHUNK_ELEMENTS

# exp(-SAFE_EXPONENT) is well inside float32: products of sigmoids stay above it before their logarithm is taken.
SAFE_EXPONENT = 80.0


class _AllItemBPR(torch.autograd.Function):
    """mean over targets e = (u, y) and items j of softplus(s_uj - s_uy), with both gradients computed on the way.

    The scores of a user are made once and serve all of his targets, one column of `targets` after the other; only
    a chunk of users by items is ever held. sigma = sigmoid(s_uy - s_uj) gives the gradient, and minus its logarithm
    is the loss: on a CPU the sigmoids of as many columns as cannot underflow are multiplied before one logarithm.
    """

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, targets: Tensor, counts: Tensor, static: bool, chunk: int
    ) -> Tensor:
        weight = 1.0 / (counts.sum().clamp_min(1) * len(items))
        wants_gradient = any(ctx.needs_input_grad[:2])
        grad_users, grad_items = torch.zeros_like(users), torch.zeros_like(items)
        loss = users.new_zeros(())
        for start in range(0, len(users), chunk):
            rows = slice(start, start + chunk)
            scores = users[rows] @ items.T
            labels = scores.gather(1, targets[rows])
            slope = torch.zeros_like(scores)
            live = torch.arange(targets.shape[1], device=counts.device) < counts[rows, None]
            if static:
                loss += _static_columns(scores, labels, live, targets[rows], slope)
            else:
                loss += _live_columns(scores, labels, live, targets[rows], slope)
            if wants_gradient:
                grad_users[rows] = slope @ items
                grad_items.addmm_(slope.T, users[rows])
        if wants_gradient:
            ctx.save_for_backward(grad_users.mul_(weight), grad_items.mul_(weight))
        return loss * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_users, grad_items = ctx.saved_tensors
        return grad_users * grad, grad_items * grad, None, None, None, None


def _static_columns(scores: Tensor, labels: Tensor, live: Tensor, targets: Tensor, slope: Tensor) -> Tensor:
    """Summed loss of all columns, dead ones with weight 0; d loss / d scores is added to `slope`."""
    loss = scores.new_zeros(())
    for column in range(targets.shape[1]):
        margin = scores - labels[:, column, None]
        alive = live[:, column, None]
        loss += (F.softplus(margin).sum(1, keepdim=True) * alive).sum()
        sigma = margin.sigmoid_().mul_(alive)
        slope += sigma
        slope.scatter_add_(1, targets[:, column, None], -sigma.sum(1, keepdim=True))
    return loss


def _live_columns(scores: Tensor, labels: Tensor, live: Tensor, targets: Tensor, slope: Tensor) -> Tensor:
    """The same for rows in ascending order of their counts, so that a column's live rows are the last ones."""
    loss = scores.new_zeros(())
    firsts = (~live).sum(0).tolist()
    widest = float(scores.max() - labels[live].min()) if live.any() else 0.0
    together = int(SAFE_EXPONENT / max(1.0, widest + 1.0))
    product, held = torch.ones_like(scores), 0
    buffer = torch.empty_like(scores)
    for column, first in enumerate(firsts):
        rows = slice(first, len(scores))
        label = labels[rows, column, None]
        if not together:
            loss += F.softplus(scores[rows] - label).sum()
        sigma = torch.sub(label, scores[rows], out=buffer[rows]).sigmoid_()
        if together:
            product[rows] *= sigma
            held += 1
            if held == together:
                loss -= product.log_().sum()
                product.fill_(1.0)
                held = 0
        slope[rows] += 1.0
        slope[rows] -= sigma
        slope[rows].scatter_add_(1, targets[rows, column, None], sigma.sum(1, keepdim=True) - sigma.shape[1])
    return loss - product.log_().sum() if held else loss


def all_item_bpr(
    users: Tensor,
    items: Tensor,
    targets: Tensor,
    counts: Tensor,
    *,
    static: bool = False,
    chunk: int | None = None,
) -> Tensor:
    """Mean of -log sigmoid(s_uy - s_uj) over each user's targets y and all items j, the target itself included.

    The plain reference, with `scores = users @ items.T`: the mean of `F.softplus(scores[u] - scores[u, y])`.

    Args:
        users: [batch, d].
        items: [items, d].
        targets: int64 [batch, columns]; only the first `counts` of a row are targets.
        counts: int64 [batch]; ascending, unless `static`.
        static: no shape and no step depends on `counts`, so that a GPU can capture it.
        chunk: users whose scores are held at once.

    Returns:
        A scalar; 0 where there is no target.
    """
    if chunk is None:
        chunk = max(8, (CUDA_CHUNK_ELEMENTS if users.is_cuda else CPU_CHUNK_ELEMENTS) // len(items))
    return _AllItemBPR.apply(users, items, targets, counts, static, chunk)
