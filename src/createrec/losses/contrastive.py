"""Symmetric InfoNCE between two views (paper, Section 5.3, row Contrastive)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Symmetric NT-Xent over 2B vectors: for each, its partner against the 2B - 2 others.

    Vectors are L2-normalised; the two directions are averaged. `first`, `second`: [batch, d].
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    similarity = views @ views.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(similarity, partner)
