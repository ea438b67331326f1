"""UltraGCN's loss (paper, Section 3.4, Eq. 1): L_O + lambda L_C for links, gamma L_I between items.

Names say what they weigh, because lambda and gamma change places between the paper and the authors' code.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def positive_softplus(users: Tensor, items: Tensor, weights: Tensor) -> Tensor:
    """sum_e weights_e softplus(-u_e . i_e); users and items [edges, d], weights [edges]."""
    return (weights * F.softplus(-(users * items).sum(1))).sum()


def neighbour_softplus(users: Tensor, neighbours: Tensor, weights: Tensor) -> Tensor:
    """sum_ek weights_ek softplus(-u_e . n_ek): the positive's neighbours are pulled to the user.

    Args:
        users: [edges, d].
        neighbours: [edges, k, d].
        weights: [edges, k], omega.
    """
    scores = torch.bmm(neighbours, users[:, :, None])[:, :, 0]
    return (weights * F.softplus(-scores)).sum()
