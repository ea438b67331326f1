"""BPR of a user's targets against the whole catalogue, as MRGSRec uses it (Table 2)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.ops.cross_entropy import CPU_CHUNK_ELEMENTS, CUDA_CHUNK_ELEMENTS
from createrec.ops.powers import LOG2_E

# A CPU works on so many scores of a chunk at a time: what it makes of them then stays in the cache.
CPU_PART_ELEMENTS = 262_144
# Polynomials of at most so many bits, with room for their sums over any catalogue, are well inside float32.
SAFE_BITS = 100.0
MOST_TOGETHER = 16


class _AllItemBPR(torch.autograd.Function):
    """mean over targets e = (u, y) and items j of softplus(s_uj - s_uy), with both gradients computed on the way.

    The scores of a user are made once and serve all of his targets; only a chunk of users by items is ever held.
    """

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, targets: Tensor, counts: Tensor, static: bool, chunk: int
    ) -> Tensor:
        weight = 1.0 / (counts.sum().clamp_min(1) * len(items))
        grad_users, grad_items = torch.zeros_like(users), torch.zeros_like(items)
        live = torch.arange(targets.shape[1], device=counts.device) < counts[:, None]
        add_up = _columns if static or users.is_cuda else _polynomials
        loss = users.new_zeros(())
        for start in range(0, len(users), chunk):
            rows = slice(start, start + chunk)
            loss += add_up(users[rows], items, targets[rows], live[rows], grad_users[rows], grad_items)
        if any(ctx.needs_input_grad[:2]):
            ctx.save_for_backward(grad_users.mul_(weight), grad_items.mul_(weight))
        return loss * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_users, grad_items = ctx.saved_tensors
        return grad_users * grad, grad_items * grad, None, None, None, None


def _columns(
    users: Tensor, items: Tensor, targets: Tensor, live: Tensor, grad_users: Tensor, grad_items: Tensor
) -> Tensor:
    """Summed loss, one column of `targets` after the other, dead ones with weight 0; adds to both gradients."""
    scores = users @ items.T
    labels = scores.gather(1, targets)
    slope, loss = torch.zeros_like(scores), scores.new_zeros(())
    for column in range(targets.shape[1]):
        margin = scores - labels[:, column, None]
        alive = live[:, column, None]
        loss += (F.softplus(margin).sum(1, keepdim=True) * alive).sum()
        sigma = margin.sigmoid_().mul_(alive)
        slope += sigma
        slope.scatter_add_(1, targets[:, column, None], -sigma.sum(1, keepdim=True))
    grad_users.addmm_(slope, items)
    grad_items.addmm_(slope.T, users)
    return loss


def _polynomials(
    users: Tensor, items: Tensor, targets: Tensor, live: Tensor, grad_users: Tensor, grad_items: Tensor
) -> Tensor:
    """The same for rows in ascending order of their counts, with one exponential and one logarithm a score.

    With x = exp(s_j) and b_y = exp(-s_y) the targets' losses at an item share the logarithm of a polynomial,

        sum_y softplus(s_j - s_y) = log prod_y (1 + b_y x) = log P(x),   P = sum_k e_k x^k,

    whose coefficients are the elementary symmetric polynomials of the b_y: all terms are positive, nothing cancels.
    The slope at the item is x P'(x) / P(x) = sum_k k e_k x^k / P; that at a target is minus the sum over the items of
    b_y x / (1 + b_y x) = b_y sum_k e_(k-1)(without b_y) x^k / P. Both need the numbers x^k / P alone. Powers of two
    replace exponentials, and all of a row's are shifted by its lowest label, so that b_y <= 1.
    """
    width = max(1, CPU_PART_ELEMENTS // len(users))
    parts = [slice(first, min(first + width, len(items))) for first in range(0, len(items), width)]
    scaled, chosen = users * LOG2_E, items[targets]
    labels = torch.bmm(chosen, scaled[:, :, None])[:, :, 0]
    shift = labels.where(live, torch.inf).amin(1, keepdim=True)
    shift = shift.where(live[:, :1], 0.0)
    powers = [torch.mm(scaled, items[part].T).sub_(shift) for part in parts]
    widest = max(float(part.amax()) for part in powers)
    together = min(MOST_TOGETHER, int(SAFE_BITS / max(1.0, widest + 1.0)))
    if not together:
        return _columns(users, items, targets, live, grad_users, grad_items)
    inverse = torch.exp2(shift - labels).where(live, 0.0)
    groups = [_Group(inverse[:, begin : begin + together]) for begin in range(0, targets.shape[1], together)]
    loss = users.new_zeros(())
    for part, x in zip(parts, powers, strict=True):
        slope = torch.zeros_like(x.exp2_())
        for group in groups:
            loss += group.add_(x, slope)
        grad_users.addmm_(slope, items[part])
        grad_items[part].addmm_(slope.T, users)
    pull = torch.cat([group.label_slopes() for group in groups], dim=1)
    grad_users.sub_(torch.bmm(pull[:, None], chosen)[:, 0])
    grad_items.index_add_(0, targets.reshape(-1), (pull[:, :, None] * users[:, None]).flatten(0, 1), alpha=-1)
    return loss


class _Group:
    """Targets that share a polynomial: their b_y [rows, n], 0 for dead ones, which stand behind the live ones."""

    def __init__(self, inverse: Tensor) -> None:
        rows, n = inverse.shape
        whole, without = inverse.new_zeros(rows, n + 1), inverse.new_zeros(rows, n, n + 1)
        whole[:, 0] = without[:, :, 0] = 1.0
        others = 1.0 - torch.eye(n, dtype=inverse.dtype, device=inverse.device)
        for y in range(n):
            whole[:, 1:] += whole[:, :-1] * inverse[:, y, None]
            without[:, :, 1:] += without[:, :, :-1] * (inverse[:, y, None] * others[y])[:, :, None]
        self.inverse, self.without = inverse, without[:, :, :n]
        # The rows that have k targets are the last ones; for them e_k, k e_k, and the sum over the items of x^k / P.
        self.first = (inverse == 0).sum(0).tolist()
        self.coefficients = [whole[first:, k, None] for k, first in enumerate(self.first, start=1)]
        self.slopes = [k * coefficient for k, coefficient in enumerate(self.coefficients, start=1)]
        self.moments = [inverse.new_zeros(rows - first) for first in self.first]

    def add_(self, x: Tensor, slope: Tensor) -> Tensor:
        """Summed log P(x) over [rows, items]; adds its slope to `slope`."""
        rest = torch.zeros_like(x)
        own = [(rest[first:], x[first:], slope[first:]) for first in self.first]
        for (higher, power, _), coefficient in zip(reversed(own), reversed(self.coefficients), strict=True):
            torch.addcmul(coefficient, higher, power, out=higher)
        loss = rest.mul_(x).log1p().sum()
        rest.add_(1.0).reciprocal_()
        for (share, power, given), factor, moment in zip(own, self.slopes, self.moments, strict=True):
            moment += share.mul_(power).sum(1)
            given.addcmul_(share, factor)
        return loss

    def label_slopes(self) -> Tensor:
        """Minus the slope at each target, [rows, n]."""
        whole = [F.pad(moment, (first, 0)) for first, moment in zip(self.first, self.moments, strict=True)]
        moments = torch.stack(whole, dim=1)
        return self.inverse * torch.bmm(self.without, moments[:, :, None])[:, :, 0]


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
