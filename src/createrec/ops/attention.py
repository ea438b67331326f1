"""Attention over packed rows.

Attention pads: rows of similar length are put into one padded rectangle [rows, longest], so that little of it is
padding (batches come sorted by length). On a GPU torch's kernels work on the rectangles; on a CPU they have no fast way
with dropout on the weights, and autograd's is slower than the lines here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from createrec.ops.dropout import keep_, random_bits
from createrec.ops.powers import LOG2_E, SAFE_POWER
from createrec.ops.ragged import Packed

# Rectangles of attention end at these lengths: each holds rows about half as long as it is wide, or longer. Finer steps
# save padding, but a CPU spends more on starting them.
GROUP_LIMITS = (5, 9, 16, 30, 58, 112, 218, 304)
# On a CPU a rectangle holds so many slots and is worked on so many queries at a time: what comes in between, one head's
# weights, then stays in the cache. A causal query block also leaves out the keys behind its end.
CPU_SLOTS = 4096
CPU_QUERIES = 32


@dataclass(frozen=True)
class Rectangle:
    """Consecutive rows, padded on the right to one length.

    Attributes:
        rows: slice of the packed rows.
        tokens: slice of the packed tokens that these rows own.
        index: int64 [rows, longest], the packed token of each slot (padding repeats some token); None when
            no slot is padding, so that a plain reshape does.
        slot: int64 [tokens], where each token stands in the flattened rectangle; None likewise.
        real: bool, what expands to [rows, 1, longest, longest]: which slots each slot may read, for attention without a
            causal mask; those that are no padding. Rows that are empty have one, because a softmax over nothing is no
            number.
        shape: (rows, longest).
        static: whether this is all of a batch of static shape, whose dead tokens share slots.
    """

    rows: slice
    tokens: slice
    index: Tensor | None
    slot: Tensor | None
    real: Tensor | None
    shape: tuple[int, int]
    static: bool = False


def _rectangle(packed: Packed, rows: slice, tokens: slice, longest: int, masks: bool) -> Rectangle:
    starts, lengths = packed.starts[rows], packed.lengths[rows]
    shape = (len(starts), longest)
    if packed.live is None and shape[0] * longest == tokens.stop - tokens.start:
        return Rectangle(rows, tokens, None, None, None, shape)
    column = torch.arange(longest, device=starts.device)
    index = (starts[:, None] + column).clamp_max(len(packed.items) - 1)
    token = torch.arange(tokens.start, tokens.stop, device=starts.device)
    row = packed.row[tokens]
    slot = (row - rows.start) * longest + token - packed.starts.index_select(0, row)
    if packed.live is not None:
        slot = slot.clamp_max(shape[0] * longest - 1)
    real = (column < lengths[:, None].clamp_min(1))[:, None, None, :] if masks else None
    return Rectangle(rows, tokens, index, slot, real, shape, static=packed.live is not None)


def rectangles(packed: Packed, masks: bool) -> list[Rectangle]:
    """Covers a packed batch, rows sorted by length, with rectangles of little padding, and with masks of it if wanted.

    With a static capacity there is one rectangle [batch, longest], because the lengths are not known to the host.
    """
    if packed.live is not None:
        everything = slice(0, len(packed.items))
        return [_rectangle(packed, slice(0, len(packed.rows)), everything, packed.longest, masks)]
    limits = [limit for limit in GROUP_LIMITS if limit < packed.longest] + [packed.longest]
    ends = torch.searchsorted(packed.lengths, packed.lengths.new_tensor(limits), right=True).tolist()
    bounds = [*packed.starts.tolist(), len(packed.items)]
    lengths = packed.lengths.tolist()
    found, first = [], 0
    for limit in ends:
        while first < limit:
            longest = lengths[limit - 1]
            most = limit - first if packed.items.is_cuda else max(1, CPU_SLOTS // max(1, longest))
            end = min(first + most, limit)
            tokens = slice(bounds[first], bounds[end])
            if tokens.stop > tokens.start:
                found.append(_rectangle(packed, slice(first, end), tokens, lengths[end - 1], masks))
            first = end
    return found


def to_slots(packed: Tensor, rectangle: Rectangle) -> Tensor:
    """[tokens, ...] -> [rows * longest, ...]; padding repeats some token."""
    if rectangle.index is None:
        return packed[rectangle.tokens]
    return packed.index_select(0, rectangle.index.view(-1))


def _from_slots(slots: Tensor, rectangle: Rectangle) -> Tensor:
    """[rows * longest, ...] -> this rectangle's [tokens, ...]."""
    return slots if rectangle.slot is None else slots.index_select(0, rectangle.slot)


class _CPUAttention(torch.autograd.Function):
    """softmax(Q K' / sqrt(d / heads)) V with dropout on the weights, over all rectangles of a batch.

    Takes and gives what `attend` does. What comes in between is as large as all pairs, so it is passed over as
    seldom as can be. Weights stay powers of two that are not divided by their sum T: 2^(x log2 e) is several times
    faster than a softmax, and T, the scale of the scores and that of dropout go into the far smaller queries, keys,
    outputs and gradients. The gradient of a softmax needs one number a query, sum_j P_j dP_j = <gradient, output> (as
    in FlashAttention, arXiv 2205.14135), so dropped weights are not kept.
    """

    @staticmethod
    def pieces(rectangle: Rectangle, causal: bool) -> Iterator[tuple[slice, slice]]:
        """Which queries meet which keys at once."""
        longest = rectangle.shape[1]
        for first in range(0, longest, CPU_QUERIES):
            last = min(first + CPU_QUERIES, longest)
            yield slice(first, last), slice(0, last if causal else longest)

    @staticmethod
    def by_head(slots: Tensor, rectangle: Rectangle, parts: int, heads: int) -> Tensor:
        """[rows * longest, parts * heads * n] -> [parts, rows * heads, longest, n]."""
        apart = slots.reshape(*rectangle.shape, parts, heads, -1).permute(2, 0, 3, 1, 4)
        return apart.reshape(parts, -1, rectangle.shape[1], apart.shape[-1])

    @staticmethod
    def put(whole: Tensor, rectangle: Rectangle, apart: Tensor, heads: int) -> None:
        """The way back, into this rectangle's part of [tokens, parts * heads * n]."""
        rows, longest = rectangle.shape
        slots = apart.view(-1, rows, heads, longest, apart.shape[-1]).permute(1, 3, 0, 2, 4)
        if rectangle.slot is None:
            whole[rectangle.tokens].view(slots.shape).copy_(slots)
        else:
            whole[rectangle.tokens] = slots.reshape(rows * longest, -1).index_select(0, rectangle.slot)

    @staticmethod
    def operands(query: Tensor, key_value: Tensor, rectangle: Rectangle, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K and V of a rectangle, [rows * heads, longest, d / heads] each."""
        (q,) = _CPUAttention.by_head(to_slots(query, rectangle), rectangle, 1, heads)
        k, v = _CPUAttention.by_head(to_slots(key_value, rectangle), rectangle, 2, heads)
        return q, k, v

    @staticmethod
    def hidden(rectangle: Rectangle, heads: int, like: Tensor) -> Tensor | None:
        """-inf where `real` is not and 0 elsewhere, [rows * heads, longest, longest]; None where all is real."""
        if rectangle.real is None:
            return None
        bias = like.new_zeros(rectangle.real.shape).masked_fill_(~rectangle.real, -torch.inf)
        rows, longest = rectangle.shape
        return bias.expand(rows, heads, -1, -1).flatten(0, 1).expand(-1, longest, -1)

    @staticmethod
    def gradients(packed: Tensor, rectangle: Rectangle, heads: int) -> Tensor:
        """A rectangle's part of [tokens, heads * n] as [rows * heads, longest, n], zero where there is padding."""
        part = packed[rectangle.tokens]
        if rectangle.slot is not None:
            slots = packed.new_zeros(rectangle.shape[0] * rectangle.shape[1], packed.shape[1])
            slots[rectangle.slot] = part
            part = slots
        return _CPUAttention.by_head(part, rectangle, 1, heads)[0]

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key_value: Tensor, layout: list[Rectangle], heads: int, rate: float, causal: bool
    ) -> Tensor:
        wants_gradient = any(ctx.needs_input_grad[:2])
        scale = (query.shape[1] // heads) ** -0.5 * LOG2_E
        # |<q, k>| <= |q| |k|, and all heads together are no shorter than one.
        largest = query.norm(dim=1).amax() * key_value[:, : query.shape[1]].norm(dim=1).amax() if len(query) else 0.0
        safe = scale * float(largest) < SAFE_POWER
        future = query.new_full((CPU_QUERIES, CPU_QUERIES), -torch.inf).triu_(1)
        out, kept = torch.empty_like(query), []
        for rectangle in layout:
            q, k, v = _CPUAttention.operands(query, key_value, rectangle, heads)
            q = scale * q
            hidden = None if causal else _CPUAttention.hidden(rectangle, heads, query)
            mixed, totals = [], []
            for own, seen in _CPUAttention.pieces(rectangle, causal):
                powers = torch.bmm(q[:, own], k[:, seen].mT)
                if causal:
                    width = powers.shape[1]
                    powers[:, :, own].add_(future[:width, :width])
                elif hidden is not None:
                    powers.add_(hidden[:, own])
                if not safe:
                    powers.sub_(powers.amax(-1, keepdim=True))
                totals.append(powers.exp2_().sum(-1, keepdim=True))
                weights = powers
                if rate:
                    bits = random_bits(powers.shape)
                    weights = keep_(bits, rate, torch.empty_like(powers)).mul_(powers)
                if wants_gradient:
                    kept += [powers, bits] if rate else [powers]
                mixed.append(torch.bmm(weights, v[:, seen]))
            share = torch.cat(totals, dim=1).mul_(1 - rate).reciprocal_()
            _CPUAttention.put(out, rectangle, torch.cat(mixed, dim=1).mul_(share), heads)
            if wants_gradient:
                kept.append(share)
        if wants_gradient:
            ctx.save_for_backward(query, key_value, out, *kept)
            ctx.settings = layout, heads, rate, causal
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value, out, *kept = ctx.saved_tensors
        layout, heads, rate, causal = ctx.settings
        kept = iter(kept)
        scale = (query.shape[1] // heads) ** -0.5
        grad_query, grad_key_value = torch.empty_like(query), torch.empty_like(key_value)
        means = (grad * out).unflatten(1, (heads, -1)).sum(-1)
        for rectangle in layout:
            q, k, v = _CPUAttention.operands(query, key_value, rectangle, heads)
            q = scale * q
            g, mean = (_CPUAttention.gradients(x, rectangle, heads) for x in (grad, means))
            grad_q, grad_kv = [], q.new_zeros(2, *k.shape)
            pieces = [
                (*piece, next(kept), next(kept) if rate else None) for piece in _CPUAttention.pieces(rectangle, causal)
            ]
            share = next(kept)
            g, mean = g * share, mean * share * (1 - rate)
            for own, seen, powers, bits in pieces:
                inner = torch.bmm(g[:, own], v[:, seen].mT)
                dropped = powers
                if bits is not None:
                    dropped = keep_(bits, rate, torch.empty_like(powers))
                    inner.mul_(dropped)
                    dropped.mul_(powers)
                inner.sub_(mean[:, own]).mul_(powers)
                grad_q.append(torch.bmm(inner, k[:, seen]))
                grad_kv[0, :, seen].baddbmm_(inner.mT, q[:, own])
                grad_kv[1, :, seen].baddbmm_(dropped.mT, g[:, own])
            _CPUAttention.put(grad_query, rectangle, torch.cat(grad_q, dim=1).mul_(scale), heads)
            _CPUAttention.put(grad_key_value, rectangle, grad_kv, heads)
        return grad_query, grad_key_value, None, None, None, None


def attend(query: Tensor, key_value: Tensor, layout: list[Rectangle], heads: int, rate: float, causal: bool) -> Tensor:
    """softmax(Q K' / sqrt(d / heads)) V of packed rows, each over its own tokens, with dropout on the weights.

    The plain reference, for one row and one head: `(q @ k.T / size**0.5).softmax(1) @ v`.

    Args:
        query: [tokens, d].
        key_value: [tokens, 2 d], keys and then values.
        layout: the rectangles that cover the tokens; with masks, unless `causal`.
        heads: into how many parts of equal size d is cut.
        rate: of dropout.
        causal: a token reads itself and what stands before it in its row.

    Returns:
        The mixed values of all heads, [tokens, d].
    """
    if not query.is_cuda and not any(rectangle.static for rectangle in layout):
        return _CPUAttention.apply(query, key_value, layout, heads, rate, causal)
    parts = []
    for rectangle in layout:
        rows, longest = rectangle.shape
        slots = rectangle.tokens if rectangle.index is None else rectangle.index
        q = query[slots].reshape(rows, longest, heads, -1).transpose(1, 2)
        k, v = key_value[slots].reshape(rows, longest, 2, heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if causal else rectangle.real
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate, is_causal=causal)
        parts.append(_from_slots(mixed.transpose(1, 2).reshape(rows * longest, -1), rectangle))
    return parts[0] if len(parts) == 1 else torch.cat(parts)
