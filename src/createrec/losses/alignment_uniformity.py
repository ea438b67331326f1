"""Alignment and uniformity on the unit sphere, as GSAU uses them (Table 3).

Reference: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on
the Hypersphere", ICML 2020. Every function normalises its vectors [batch, d] itself and returns a scalar.
"""

import math

import torch
from torch import Tensor

from createrec.ops.unit_pairs import log_sum_of_pairs, unit_rows


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the pairs (row b of `first`, row b of `second`)."""
    return (unit_rows(first) - unit_rows(second)).square().sum(1).mean()


def uniformity(vectors: Tensor) -> Tensor:
    """Log of the mean of exp(-2 squared distance) over all pairs of different rows; 0 for a single row."""
    count = len(vectors)
    if count < 2:
        return vectors.sum() * 0.0
    # Squared distance of unit vectors: 2 - 2 cosine. Each pair counts twice, above and below.
    return log_sum_of_pairs(unit_rows(vectors), 4.0) - 4 - math.log(count * (count - 1))


def pair_uniformity(first: Tensor, second: Tensor) -> Tensor:
    """Log of the mean of exp(-2 squared distance) over the pairs (row b of `first`, row b of `second`)."""
    cosine = (unit_rows(first) * unit_rows(second)).sum(1)
    return torch.logsumexp(4 * cosine - 4, 0) - math.log(len(first))


def random_derangement(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation without fixed points, int64 [count], on the generator's device.

    One random cycle through all indices: nothing to redraw, so that shapes and steps are static, and each index
    is sent to every other one with the same probability. A single index has nowhere else to go.
    """
    order = torch.rand(count, device=generator.device, generator=generator).argsort()
    return torch.empty_like(order).scatter_(0, order, order.roll(-1))
