"""InfoNCE with grouped user vectors against the plain one with every copy made."""

import pytest
import torch

from createrec.config import ContrastiveAlignmentConfig
from createrec.losses.contrastive import info_nce
from createrec.losses.user_contrastive import user_contrastive

ROW = torch.tensor([0, 1, 1, 2, 2, 2])
COUNTS = torch.tensor([1, 2, 3])


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 4, dtype=torch.float64, generator=generator, requires_grad=True) for n in (6, 3)]


def by_loops(events, users, row, temperature):
    views = [v / v.norm() for v in [*events, *users[row]]]
    n, losses = len(events), []
    for a in range(2 * n):
        partner = a + n if a < n else a - n
        others = [torch.exp(views[a] @ views[b] / temperature) for b in range(2 * n) if b != a]
        losses.append(torch.log(sum(others)) - views[a] @ views[partner] / temperature)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_it_equals_a_loop_over_all_views(vectors, temperature):
    events, users = vectors
    value = user_contrastive(events, users, ROW, COUNTS, None, temperature)
    expected = by_loops(events, users, ROW, temperature)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        info_nce(events, users[ROW], ContrastiveAlignmentConfig(temperature=temperature)), expected
    )
    torch.testing.assert_close(torch.autograd.grad(value, vectors), torch.autograd.grad(expected, vectors))


def test_dead_events_count_for_nothing(vectors):
    events, users = vectors
    more = torch.cat([events, torch.full((2, 4), 7.0, dtype=torch.float64)])
    row, live = torch.cat([ROW, torch.tensor([2, 2])]), torch.arange(8) < 6
    value = user_contrastive(more, users, row, COUNTS, live)
    expected = user_contrastive(events, users, ROW, COUNTS, None)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, vectors), torch.autograd.grad(expected, vectors))


def test_users_of_one_event_have_finite_gradients():
    events, users = (torch.randn(2, 4, requires_grad=True) for _ in range(2))
    value = user_contrastive(events, users, torch.arange(2), torch.ones(2, dtype=torch.int64), None)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(value, (events, users)))
