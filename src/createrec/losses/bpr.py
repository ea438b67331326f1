"""Bayesian personalised ranking (paper, Section 3.4)."""

from torch import Tensor
from torch.nn import functional as F


def bpr(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean of -log sigmoid(s_positive - s_negative); all vectors [batch, d], scores are inner products."""
    return F.softplus((users * (negatives - positives)).sum(1)).mean()


def batch_l2(*vectors: Tensor) -> Tensor:
    """Half the summed squares of the vectors [batch, d], divided by the batch."""
    first, *others = (v.square().sum() for v in vectors)
    return sum(others, start=first) / (2 * len(vectors[0]))
