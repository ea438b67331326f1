"""Cross-entropy over the catalogue (paper, Section 3.3): full in chunks, scalable, sampled, and binary.

All of them take states [n, d] of real targets only, the item table [items, d] and targets int64 [n], and
return a mean over the targets. They are called alike, so that settings can
name any of them. `weights` [n] gives dead targets (a GPU's static shapes) weight 0.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import (
    BFloat16CrossEntropyConfig,
    BinaryCrossEntropyConfig,
    CrossEntropyConfig,
    SampledCrossEntropyConfig,
    ScalableCrossEntropyConfig,
    SequenceLossConfig,
)
from createrec.errors import ConfigError
from createrec.kinds import implementation
from createrec.ops.cross_entropy import chunk_rows, fast_in_bfloat16, linear_cross_entropy


def full_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    config: CrossEntropyConfig,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """Softmax over the whole catalogue; nothing in it is drawn."""
    return linear_cross_entropy(states, table, targets, weights)


def full_bfloat16_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    config: BFloat16CrossEntropyConfig,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """The same with its products in bfloat16: eight binary digits of each operand and logit.

    Raises:
        ConfigError: the processor would be slower at them than in float32.
    """
    if not fast_in_bfloat16(table.device):
        raise ConfigError(
            "loss.kind full_bfloat16: this processor has no instructions for it (AVX512-BF16 or AMX); take kind full"
        )
    return linear_cross_entropy(states, table, targets, weights, products=torch.bfloat16)


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
        parts = centres.split(chunk_rows(table))
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
    config: SequenceLossConfig,
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    weights: Tensor | None = None,
) -> Tensor:
    """The configured loss of the sequence side, a scalar; 0 where chance left no target (masking, small batches).

    Raises:
        ConfigError: the settings are those of no known loss.
    """
    loss = implementation(config, "loss")
    if not len(targets):
        return (states.sum() + table.sum()) * 0.0
    return loss(states, table, targets, config, generator, weights)
