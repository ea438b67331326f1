"""Weighted divergence of two softmaxes over a large catalogue, in parts, with the student's gradients on the way."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from createrec.ops.cross_entropy import CPU_CHUNK_ROWS, CPU_PART_ITEMS
from createrec.ops.powers import LOG2_E, SAFE_POWER

# Scores held at once, of either side.
CUDA_CHUNK_ELEMENTS = 64_000_000


def _tops(scaled: Tensor, table: Tensor, parts: list[slice]) -> Tensor:
    """Each state's largest score [1, n]; [0, n] where |<state, item>| <= |state| |item| rules out an overflow of 2^."""
    if not table.is_cuda and float(scaled.norm(dim=1).max() * table.norm(dim=1).max()) < SAFE_POWER:
        return scaled.new_empty(0, len(scaled))
    return torch.stack([torch.mm(table[part], scaled.T).amax(0) for part in parts]).amax(0, keepdim=True)


def _scores(scaled: Tensor, table: Tensor, tops: Tensor, out: Tensor) -> Tensor:
    """Scores [items, n], less each state's largest where it is given."""
    torch.mm(table, scaled.T, out=out)
    return out.sub_(tops) if len(tops) else out


class _GuidedDivergence(torch.autograd.Function):
    """See `guided_divergence`. Items stand in rows, which is the faster side for a CPU's products."""

    @staticmethod
    def forward(
        ctx: Any, teachers: Tensor, known: Tensor, students: Tensor, table: Tensor, temperature: float, chunk: int
    ) -> Tensor:
        size = len(table) if table.is_cuda else CPU_PART_ITEMS
        parts = [slice(first, first + size) for first in range(0, len(table), size)]
        scaled_teachers, scaled_students = teachers * (LOG2_E / temperature), students * (LOG2_E / temperature)
        teacher_tops, student_tops = _tops(scaled_teachers, known, parts), _tops(scaled_students, table, parts)
        powers = students.new_empty(2, len(table) * min(chunk, len(students)))
        grad_students, grad_table = torch.zeros_like(students), torch.zeros_like(table)
        loss = students.new_zeros(())
        for start in range(0, len(students), chunk):
            rows = slice(start, start + chunk)
            count = len(students[rows])
            wanted, given = powers[:, : len(table) * count].view(2, len(table), count)
            scratch = students.new_empty(2, size, count)  # products are faster into memory that is in the cache
            # With t and s the scores in bits, P = 2^t and Q = 2^s: the sums over the items of P, Q, P t and P s.
            sums = students.new_zeros(4, count)
            for part in parts:
                p, q = wanted[part], given[part]
                t = _scores(scaled_teachers[rows], known[part], teacher_tops[:, rows], scratch[0, : len(p)])
                s = _scores(scaled_students[rows], table[part], student_tops[:, rows], scratch[1, : len(p)])
                torch.exp2(t, out=p)
                sums[0] += p.sum(0)
                sums[2] += t.mul_(p).sum(0)
                sums[3] += torch.mul(p, s, out=t).sum(0)
                sums[1] += torch.exp2(s, out=q).sum(0)
            total, own_total, mean, own_mean = sums[0], sums[1], sums[2] / sums[0], sums[3] / sums[0]
            entropy = (total.log2() - mean) / LOG2_E
            divergence = (mean - total.log2() - own_mean + own_total.log2()) / LOG2_E
            weight = 1 - entropy / math.log(len(table))
            loss += (weight * divergence).sum()
            # d KL / d (student's score / tau) = q - p.
            pull = students[rows] * weight[:, None]
            given_share, wanted_share = own_total.reciprocal(), total.reciprocal()
            for part in parts:
                slope = given[part].mul_(given_share).addcmul_(wanted[part], wanted_share, value=-1)
                grad_students[rows].addmm_(slope.T, table[part])
                grad_table[part].addmm_(slope, pull)
            grad_students[rows] *= weight[:, None]
        share = temperature / len(students)
        ctx.save_for_backward(grad_students.mul_(share), grad_table.mul_(share))
        return loss * (temperature * share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_students, grad_table = ctx.saved_tensors
        return None, None, grad_students * grad, grad_table * grad, None, None


def guided_divergence(
    teachers: Tensor, known: Tensor, students: Tensor, table: Tensor, temperature: float, chunk: int | None = None
) -> Tensor:
    """Mean over rows of c tau^2 KL(p || q), p = softmax(teacher's scores / tau), q the same of the student's.

    c = 1 - H(p) / log(items). No gradient reaches the teacher.

    Args:
        teachers: [n, d], states that score `known` [items, d].
        students: [n, e], states that score `table` [items, e].
        temperature: tau.
        chunk: rows whose scores are held at once.

    The plain reference, with `p = (teachers @ known.T / tau).log_softmax(1)` and `q` likewise:
    `((1 + (p.exp() * p).sum(1) / log(items)) * tau**2 * (p.exp() * (p - q)).sum(1)).mean()`.
    """
    if chunk is None:
        chunk = max(16, CUDA_CHUNK_ELEMENTS // len(table)) if table.is_cuda else CPU_CHUNK_ROWS
    return _GuidedDivergence.apply(teachers.detach(), known.detach(), students, table, temperature, chunk)
