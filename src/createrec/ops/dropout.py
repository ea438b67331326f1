"""Dropout: random bits as cheap as a CPU can have them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def random_bits(shape: torch.Size) -> Tensor:
    """int16 of a shape, uniform, from torch's default generator: torch's dropout draws 64 bits and a float for each."""
    count = shape.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.int16)[:count].view(shape)


def keep_(bits: Tensor, rate: float, out: Tensor) -> Tensor:
    """1 where a value is kept, 0 where it is dropped, written into floats `out`: the fastest way to a product."""
    return torch.ge(bits, round(rate * 2**16) - 2**15, out=out)


class _CPUDropout(torch.autograd.Function):
    """Dropout from 16 random bits a value; the rate is rounded to a multiple of 2^-16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.rate = rate
        bits = random_bits(x.shape)
        ctx.save_for_backward(bits)
        return keep_(bits, rate, x.new_empty(x.shape)).mul_(x).mul_(1 / (1 - rate))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (bits,) = ctx.saved_tensors
        return keep_(bits, ctx.rate, grad.new_empty(grad.shape)).mul_(grad).mul_(1 / (1 - ctx.rate)), None


class Dropout(nn.Module):
    """Inverted dropout from torch's default generator.

    The plain reference: `F.dropout(x, rate, training)`, the same in distribution.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        return F.dropout(x, self.rate) if x.is_cuda else _CPUDropout.apply(x, self.rate)
