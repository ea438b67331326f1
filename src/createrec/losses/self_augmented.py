"""Hinge losses of Self-GNN: the ranking of items, and the self-augmented order of pairs (Table 3)."""

import torch
from torch import Tensor


def hinge(positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean of max(0, 1 - positive + negative) over scores [batch] and [batch, k]."""
    return (1 - positives[:, None] + negatives).clamp_min(0).mean()


def pair_hinge(long_term: Tensor, short_term: Tensor, live: Tensor | None) -> Tensor:
    """Sum of max(0, 1 - S s) over pairs of interactions.

    The sum, and not a mean, is what the authors' weight of 1e-6 belongs to.

    Args:
        long_term: [pairs], S: the user's weight times the difference of two long-term scores (the caller detaches
            the scores, so that only the weight learns from them).
        short_term: [pairs], s: the difference of the same two scores inside one interval.
        live: bool [pairs], false for pairs that do not count; None when all do.
    """
    losses = (1 - long_term * short_term).clamp_min(0)
    return losses.sum() if live is None else (losses * live).sum()


def leaky_dot(first: Tensor, second: Tensor, slope: float) -> Tensor:
    """Sum over the last axis of LeakyReLU(first * second); any shapes [..., d] that broadcast."""
    return torch.nn.functional.leaky_relu(first * second, slope).sum(-1)
