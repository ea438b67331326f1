"""Symmetric InfoNCE between two views (paper, Section 5.3, row Contrastive)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.config import ContrastiveAlignmentConfig


def info_nce(local: Tensor, graph: Tensor, config: ContrastiveAlignmentConfig) -> Tensor:
    """Symmetric NT-Xent over 2B vectors: for each, its partner against the 2B - 2 others.

    Vectors are L2-normalised; the two directions are averaged. `local`, `graph`: [batch, d].
    """
    views = F.normalize(torch.cat([local, graph]), dim=1)
    similarity = views @ views.T / config.temperature
    similarity = similarity.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(local))
    return F.cross_entropy(similarity, partner)
