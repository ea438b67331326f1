"""One-way guidance of LOOM (reconstruction): what the teacher scores, the student learns (Table 3)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def confidence(log_probabilities: Tensor) -> Tensor:
    """1 - H / log I of distributions [batch, items]: 0 for a uniform one, 1 for a certain one; [batch]."""
    entropy = -(log_probabilities.exp() * log_probabilities).sum(1)
    return 1 - entropy / math.log(log_probabilities.shape[1])


def guidance(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Mean of c_u tau^2 KL(softmax(teacher / tau) || softmax(student / tau)); no gradient reaches the teacher.

    Args:
        teacher, student: scores [batch, items].
        temperature: tau.
    """
    with torch.no_grad():
        wanted = F.log_softmax(teacher / temperature, dim=1)
        weight = confidence(wanted) * temperature**2
    given = F.log_softmax(student / temperature, dim=1)
    divergence = (wanted.exp() * (wanted - given)).sum(1)
    return (weight * divergence).mean()
