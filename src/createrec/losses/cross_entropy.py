"""Cross-entropy over the catalogue (paper, Section 3.3): full in chunks, scalable, sampled, and binary.

All of them take states [n, d] of real targets only, the item table [items, d] and targets int64 [n], and
return a mean over the targets. `weights` [n] gives dead targets (a GPU's static shapes) weight 0.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import (
    BinaryCrossEntropyConfig,
    CrossEntropyConfig,
    SampledCrossEntropyConfig,
    ScalableCrossEntropyConfig,
)

LOG2_E = math.log2(math.e)
# Logits held at once: a CPU works on them in parts of so many items that stay in the cache; a GPU wants big products.
CPU_CHUNK_ELEMENTS = 4_000_000
CPU_CHUNK_ROWS = 256
CPU_PART_ITEMS = 1024
CUDA_CHUNK_ELEMENTS = 128_000_000
# Powers of two up to this may be summed over any catalogue, and divided by the sum, without shifting them first.
SAFE_POWER = 60.0


class _LinearCrossEntropy(torch.autograd.Function):
    """mean_i -log softmax(states_i table^T)[target_i] with both gradients computed on the way.

    Each chunk of logits is made once, turned into unnormalised probabilities in place, and used at once for
    both gradients, so nothing of size n x items is ever held and softmax is computed once. Powers of two
    replace exponentials (2^(x log2 e)): several times faster on a CPU, and the scale is folded into the states.
    Where |<state, item>| <= |state| |item| rules an overflow out, no maximum is subtracted, and on a CPU each part of
    the catalogue is finished while it is in the cache. Items stand in rows, which is the faster side for its products.
    """

    @staticmethod
    def forward(ctx, states: Tensor, table: Tensor, targets: Tensor, weights: Tensor | None, chunk: int) -> Tensor:
        n = len(states)
        wants_gradient = any(ctx.needs_input_grad[:2])
        if weights is None:
            weights = states.new_ones(n)
        share = (weights / weights.sum().clamp_min(torch.finfo(states.dtype).tiny))[:, None]
        scaled = states * LOG2_E
        safe = n > 0 and not table.is_cuda and float(scaled.norm(dim=1).max() * table.norm(dim=1).max()) < SAFE_POWER
        parts = [slice(first, first + CPU_PART_ITEMS) for first in range(0, len(table), CPU_PART_ITEMS)]
        if not safe:
            parts = [slice(0, len(table))]
        buffer = states.new_empty(min(chunk, n) * len(table))
        log2_sum = states.new_zeros(n, 1)
        grad_states, grad_table = torch.zeros_like(states), torch.zeros_like(table)
        for start in range(0, n, chunk):
            rows = slice(start, min(start + chunk, n))
            count = rows.stop - start
            powers = buffer[: count * len(table)].view(len(table), count)
            total = states.new_zeros(count)
            for part in parts:
                logits = torch.mm(table[part], scaled[rows].T, out=powers[part])
                if not safe:
                    top = logits.amax(0)
                    log2_sum[rows, 0] = top
                    logits.sub_(top)
                total += logits.exp2_().sum(0)
            log2_sum[rows, 0] += total.log2()
            if wants_gradient:
                per_row = share[rows] / total[:, None]
                own, weighted = grad_states[rows], states[rows] * per_row
                for part in parts:
                    own.addmm_(powers[part].T, table[part])
                    grad_table[part].addmm_(powers[part], weighted)
                own.mul_(per_row)
        chosen = table[targets]
        loss = (share * (log2_sum / LOG2_E - (states * chosen).sum(1, keepdim=True))).sum()
        if wants_gradient:
            grad_states.addcmul_(share, chosen, value=-1)
            grad_table.index_add_(0, targets, states * share, alpha=-1)
            ctx.save_for_backward(grad_states, grad_table)
        return loss

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad_states, grad_table = ctx.saved_tensors
        return grad_states * grad, grad_table * grad, None, None, None


def _chunk_rows(table: Tensor) -> int:
    """How many rows are multiplied with a table [items, d] at once."""
    if table.is_cuda:
        return max(16, CUDA_CHUNK_ELEMENTS // len(table))
    return min(CPU_CHUNK_ROWS, max(16, CPU_CHUNK_ELEMENTS // len(table)))


def linear_cross_entropy(
    states: Tensor, table: Tensor, targets: Tensor, weights: Tensor | None = None, chunk: int | None = None
) -> Tensor:
    """Mean full cross-entropy of states [n, d] against a table [items, d]; memory of one chunk of logits."""
    return _LinearCrossEntropy.apply(states, table, targets, weights, chunk or _chunk_rows(table))


def scalable_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    config: ScalableCrossEntropyConfig,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """SCE (Mezentsev et al., RecSys 2024, Algorithm 1): softmax inside buckets of hard outputs and items.

    n_b centres each pick the b_x outputs and the b_y items with the largest inner products (no gradient
    through the choice). Inside a bucket, an output's softmax runs over the bucket's items, its own label
    masked out, and the label's logit as one more column. An output in several buckets keeps its largest loss;
    the mean is over outputs that are in a bucket at all.
    """
    n, d = states.shape
    alive = torch.ones_like(targets, dtype=torch.bool) if weights is None else weights > 0
    size = max(1, min(n, int(config.bucket_factor * math.sqrt(n))))
    items = min(config.bucket_items, len(table))
    with torch.no_grad():
        shape = (size, n) if config.mix else (size, d)
        centres = torch.empty(shape, device=states.device, dtype=states.dtype)
        centres.normal_(0.0, d**-0.25, generator=generator)
        if config.mix:
            centres = (centres * alive) @ states
        outputs = (centres @ states.T).masked_fill(~alive, -torch.inf).topk(size, dim=1).indices
        parts = centres.split(_chunk_rows(table))
        chosen = torch.cat([(part @ table.T).topk(items, dim=1).indices for part in parts])
    own = targets[outputs]
    inside = states[outputs] @ table[chosen].mT
    inside = inside.masked_fill(own[:, :, None] == chosen[:, None, :], -torch.inf)
    label = (states * table[targets]).sum(1)[outputs]
    losses = torch.logsumexp(torch.cat([inside, label[:, :, None]], dim=2), dim=2) - label
    worst = losses.new_full((n,), -torch.inf)
    worst = worst.scatter_reduce(0, outputs.reshape(-1), losses.reshape(-1), "amax")
    used = (worst != -torch.inf) & alive  # a NaN stays one, so that training stops at it
    return torch.where(used, worst, 0.0).sum() / used.sum().clamp_min(1)


def sampled_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    config: SampledCrossEntropyConfig,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """Softmax over the target and uniform negatives shared by the batch; negatives that are the target drop out."""
    negatives = torch.randint(len(table), (config.negatives,), device=states.device, generator=generator)
    logits = states @ table[negatives].T
    logits = logits.masked_fill(targets[:, None] == negatives[None, :], -torch.inf)
    label = (states * table[targets]).sum(1, keepdim=True)
    losses = torch.logsumexp(torch.cat([label, logits], dim=1), dim=1) - label[:, 0]
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum().clamp_min(1)


def binary_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    config: BinaryCrossEntropyConfig,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """The original SASRec's loss: the target against uniform negatives of its own (Kang and McAuley, 2018)."""
    shape = (len(targets), config.negatives)
    negatives = torch.randint(len(table), shape, device=states.device, generator=generator)
    label = (states * table[targets]).sum(1)
    wrong = torch.einsum("nd,nkd->nk", states, table[negatives])
    losses = F.softplus(-label) + F.softplus(wrong).sum(1)
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum().clamp_min(1)


def sequence_loss(
    config: CrossEntropyConfig | ScalableCrossEntropyConfig | SampledCrossEntropyConfig | BinaryCrossEntropyConfig,
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """The configured loss of the sequence side, a scalar; 0 where chance left no target (masking, small batches)."""
    if not len(targets):
        return (states.sum() + table.sum()) * 0.0
    if isinstance(config, CrossEntropyConfig):
        return linear_cross_entropy(states, table, targets, weights)
    if isinstance(config, ScalableCrossEntropyConfig):
        return scalable_cross_entropy(states, table, targets, config, generator, weights)
    if isinstance(config, SampledCrossEntropyConfig):
        return sampled_cross_entropy(states, table, targets, config, generator, weights)
    return binary_cross_entropy(states, table, targets, config, generator, weights)
