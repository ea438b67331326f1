"""BPR against the whole catalogue: a loop over events and items, in both layouts and for any chunk."""

import math

import pytest
import torch

from createrec.ops.all_item_bpr import all_item_bpr

COUNTS = torch.tensor([0, 1, 1, 2, 4, 4])
ITEMS, D = 11, 3


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    users = torch.randn(len(COUNTS), D, dtype=torch.float64, generator=generator, requires_grad=True)
    items = torch.randn(ITEMS, D, dtype=torch.float64, generator=generator, requires_grad=True)
    return users, items, torch.randint(ITEMS, (len(COUNTS), 5), generator=generator)


def by_loops(users, items, targets, counts):
    terms = []
    for u, count in enumerate(counts.tolist()):
        for y in targets[u, :count].tolist():
            for j in range(len(items)):
                margin = users[u] @ items[y] - users[u] @ items[j]
                terms.append(torch.log(1 + torch.exp(-margin)))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("scale", [1.0, 6.0])  # 6: margins so wide that few columns may share a logarithm
def test_value_and_gradients_equal_a_loop(problem, static, chunk, scale):
    users, items, targets = problem
    value = all_item_bpr(users * scale, items, targets, COUNTS, static=static, chunk=chunk)
    expected = by_loops(users * scale, items, targets, COUNTS)
    torch.testing.assert_close(value, expected)
    ours = torch.autograd.grad(value * 3, (users, items))
    theirs = torch.autograd.grad(expected * 3, (users, items))
    torch.testing.assert_close(ours, theirs)


def test_margins_that_would_underflow_are_exact():
    users, items = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[0.0], [300.0]], requires_grad=True)
    value = all_item_bpr(users, items, torch.tensor([[0]]), torch.tensor([1]))
    assert value.item() == pytest.approx((math.log(2) + 300) / 2)
    assert torch.autograd.grad(value, users)[0].item() == pytest.approx(150.0)


def test_rows_of_static_batches_may_come_in_any_order(problem):
    users, items, targets = problem
    order = torch.tensor([4, 0, 3, 5, 1, 2])
    value = all_item_bpr(users[order], items, targets[order], COUNTS[order], static=True)
    torch.testing.assert_close(value, by_loops(users, items, targets, COUNTS))


def test_no_target_is_no_loss(problem):
    users, items, targets = problem
    assert all_item_bpr(users, items, targets, COUNTS * 0).item() == 0.0
