"""Attention within many short rows of one length, and the mean of what comes out of each."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# So many products of a query's and a key's numbers are held at once: on a CPU they should stay in the cache.
CPU_PRODUCTS = 200_000
CUDA_PRODUCTS = 256_000_000


class _MeanAttention(torch.autograd.Function):
    """See `mean_attention`."""

    @staticmethod
    def chunks(query: Tensor) -> list[slice]:
        most = CUDA_PRODUCTS if query.is_cuda else CPU_PRODUCTS
        rows = max(1, most // max(1, query.shape[1] * query[:1].numel()))
        return [slice(first, first + rows) for first in range(0, len(query), rows)]

    @staticmethod
    def ones(query: Tensor, heads: int) -> Tensor:
        """Which head each number belongs to, [d, heads]."""
        return torch.eye(heads, device=query.device, dtype=query.dtype).repeat_interleave(query.shape[2] // heads, 0)

    @staticmethod
    def forward(ctx: Any, query: Tensor, key_value: Tensor, heads: int) -> Tensor:
        rows, steps, d = query.shape
        ones = _MeanAttention.ones(query, heads)
        scaled = ones * (d // heads) ** -0.5
        weights = query.new_empty(rows, steps, steps, heads)
        out = query.new_empty(rows, d)
        for part in _MeanAttention.chunks(query):
            key, value = key_value[part].chunk(2, dim=2)
            scores = (query[part, :, None] * key[:, None]) @ scaled
            weights[part] = scores.softmax(2)
            mean = weights[part].mean(1) @ ones.T
            out[part] = mean.mul_(value).sum(1)
        ctx.save_for_backward(query, key_value, weights)
        ctx.heads = heads
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value, weights = ctx.saved_tensors
        d = query.shape[2]
        ones = _MeanAttention.ones(query, ctx.heads)
        scaled = ones.T * ((d // ctx.heads) ** -0.5 / query.shape[1])
        grad_query, grad_key_value = torch.empty_like(query), torch.empty_like(key_value)
        for part in _MeanAttention.chunks(query):
            key, value = key_value[part].chunk(2, dim=2)
            grad_key, grad_value = grad_key_value[part].chunk(2, dim=2)
            own, given = weights[part], grad[part, None]
            torch.mul(own.mean(1) @ ones.T, given, out=grad_value)
            inner = ((given * value) @ ones)[:, None]
            slope = own * inner
            slope.addcmul_(own, slope.sum(2, keepdim=True), value=-1)
            spread = slope @ scaled
            torch.sum(spread * key[:, None], 2, out=grad_query[part])
            torch.sum(spread.mul_(query[part, :, None]), 1, out=grad_key)
        return grad_query, grad_key_value, None


def mean_attention(query: Tensor, key_value: Tensor, heads: int) -> Tensor:
    """Mean over a row's queries i of sum_j P_ij V_j, P = softmax(Q K' / sqrt(d / heads)), for many short rows.

    So many tiny products spend a CPU's time on starting them: here they are numbers multiplied one by one, summed over
    each head's by one product with a matrix of ones. The weights' mean over the queries comes before the values.

    Args:
        query: [rows, steps, d].
        key_value: [rows, steps, 2 d].

    Returns:
        [rows, d].
    """
    return _MeanAttention.apply(query, key_value, heads)
