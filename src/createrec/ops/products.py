"""All scores of some states: one product with a large table."""

import torch
from torch import Tensor

# A CPU multiplies with so many rows of the table at a time, which stay in its cache.
CPU_PART_ROWS = 2048


def products(states: Tensor, table: Tensor) -> Tensor:
    """Inner products [n, items] of states [n, d] with a table [items, d].

    The plain reference: `states @ table.T`.
    """
    if states.is_cuda or torch.is_grad_enabled():
        return states @ table.T
    found = states.new_empty(len(states), len(table))
    for part, out in zip(table.split(CPU_PART_ROWS), found.split(CPU_PART_ROWS, dim=1), strict=True):
        torch.mm(states, part.T, out=out)
    return found
