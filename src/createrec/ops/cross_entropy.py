"""Full softmax cross-entropy against a large table, in chunks, with both gradients computed on the way."""

from typing import Any

import torch
from torch import Tensor

from createrec.ops.powers import LOG2_E, SAFE_POWER

# Logits held at once: a CPU works on them in parts of so many items that stay in the cache; a GPU wants big products.
CPU_CHUNK_ELEMENTS = 4_000_000
CPU_CHUNK_ROWS = 256
CPU_PART_ITEMS = 1024
CUDA_CHUNK_ELEMENTS = 128_000_000


class _LinearCrossEntropy(torch.autograd.Function):
    """mean_i -log softmax(states_i table^T)[target_i] with both gradients computed on the way.

    Each chunk of logits is made once, turned into unnormalised probabilities in place, and used at once for
    both gradients, so nothing of size n x items is ever held and softmax is computed once. Powers of two
    replace exponentials (2^(x log2 e)): several times faster on a CPU, and the scale is folded into the states.
    Where |<state, item>| <= |state| |item| rules an overflow out, no maximum is subtracted, and on a CPU each part of
    the catalogue is finished while it is in the cache. Items stand in rows, which is the faster side for its products.
    With products in bfloat16, their operands and the logits are rounded to it; all sums over items are not.
    """

    @staticmethod
    def add_product_(total: Tensor, left: Tensor, right: Tensor) -> None:
        """Total += left right, which is one step where nothing is rounded."""
        if total.dtype == left.dtype:
            total.addmm_(left, right)
        else:
            total.add_(torch.mm(left, right))

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        table: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        chunk: int,
        products: torch.dtype | None,
    ) -> Tensor:
        n = len(states)
        wants_gradient = any(ctx.needs_input_grad[:2])
        if weights is None:
            weights = states.new_ones(n)
        share = (weights / weights.sum().clamp_min(torch.finfo(states.dtype).tiny))[:, None]
        scaled = states * LOG2_E
        safe = n > 0 and not table.is_cuda and float(scaled.norm(dim=1).max() * table.norm(dim=1).max()) < SAFE_POWER
        rounded_table, rounded = table.to(products), scaled.to(products)  # the very ones where `products` is None
        add_product_ = _LinearCrossEntropy.add_product_
        parts = [slice(first, first + CPU_PART_ITEMS) for first in range(0, len(table), CPU_PART_ITEMS)]
        if not safe:
            parts = [slice(0, len(table))]
        buffer = rounded.new_empty(min(chunk, n) * len(table))
        scratch = rounded.new_empty(min(chunk, n) * CPU_PART_ITEMS if safe else 0)
        log2_sum = states.new_zeros(n, 1)
        grad_states, grad_table = torch.zeros_like(states), torch.zeros_like(table)
        for start in range(0, n, chunk):
            rows = slice(start, min(start + chunk, n))
            count = rows.stop - start
            powers = buffer[: count * len(table)].view(len(table), count)
            total = states.new_zeros(count)
            for part in parts:
                made = powers[part]
                # A product into memory that is in the cache is faster; only the powers have to leave it.
                logits = scratch[: made.numel()].view_as(made) if safe else made
                torch.mm(rounded_table[part], rounded[rows].T, out=logits)
                if not safe:
                    top = logits.amax(0)
                    log2_sum[rows, 0] = top
                    logits.sub_(top)
                total += torch.exp2(logits, out=made).sum(0, dtype=states.dtype)
            log2_sum[rows, 0] += total.log2()
            if wants_gradient:
                per_row = share[rows] / total[:, None]
                own, weighted = grad_states[rows], (states[rows] * per_row).to(products)
                for part in parts:
                    add_product_(own, powers[part].T, rounded_table[part])
                    add_product_(grad_table[part], powers[part], weighted)
                own.mul_(per_row)
        chosen = table[targets]
        loss = (share * (log2_sum / LOG2_E - (states * chosen).sum(1, keepdim=True))).sum()
        if wants_gradient:
            grad_states.addcmul_(share, chosen, value=-1)
            grad_table.index_add_(0, targets, states * share, alpha=-1)
            ctx.save_for_backward(grad_states, grad_table)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_states, grad_table = ctx.saved_tensors
        return grad_states * grad, grad_table * grad, None, None, None, None


def chunk_rows(table: Tensor) -> int:
    """How many rows are multiplied with a table [items, d] at once."""
    if table.is_cuda:
        return max(16, CUDA_CHUNK_ELEMENTS // len(table))
    return min(CPU_CHUNK_ROWS, max(16, CPU_CHUNK_ELEMENTS // len(table)))


def fast_in_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than those in float32 there; elsewhere they can be fifty times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def linear_cross_entropy(
    states: Tensor,
    table: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    chunk: int | None = None,
    products: torch.dtype | None = None,
) -> Tensor:
    """Mean full cross-entropy of states [n, d] against a table [items, d]; memory of one chunk of logits.

    The plain reference: `F.cross_entropy(states @ table.T, targets)`, as a weighted mean where there are weights.
    `products` is the type that they are made in; None = that of the states.
    """
    return _LinearCrossEntropy.apply(states, table, targets, weights, chunk or chunk_rows(table), products)
