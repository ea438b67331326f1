"""Barlow Twins alignment of sequence states and graph vectors (paper, Section 3.5, Eq. 2-3)."""

import torch
from torch import Tensor

from createrec.config import BarlowTwinsConfig

EPSILON = 1e-5


def standardise(views: Tensor) -> Tensor:
    """Zero mean and unit variance of each component over the batch (batch normalisation without affine part)."""
    centred = views - views.mean(0)
    return centred * torch.rsqrt(centred.square().mean(0) + EPSILON)


def cross_correlation(local: Tensor, graph: Tensor) -> Tensor:
    """C [d, d] of Eq. 2 between two views [batch, d]."""
    return standardise(local).T @ standardise(graph) / len(local)


def barlow_twins(local: Tensor, graph: Tensor, config: BarlowTwinsConfig) -> Tensor:
    """L_BT of Eq. 3 between two views [batch, d] of the same users.

    `scale: per_dimension` divides both sums by d (Razvorotnev et al., 2025), so that a weight means the same
    for every width; `sum` is the equation as written, about d at the start.
    """
    correlation = cross_correlation(local, graph)
    diagonal = correlation.diagonal()
    off_diagonal = correlation.square().sum() - diagonal.square().sum()
    loss = (1 - diagonal).square().sum() + config.off_diagonal_weight * off_diagonal
    return loss / len(correlation) if config.scale == "per_dimension" else loss
