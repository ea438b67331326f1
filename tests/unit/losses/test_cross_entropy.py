"""The sequence side's losses against torch's own cross-entropy and plain loops, in float64."""

import math

import pytest
import torch
from support import loss_problem
from torch.nn import functional as F

from createrec.config import (
    BFloat16CrossEntropyConfig,
    BinaryCrossEntropyConfig,
    CrossEntropyConfig,
    SampledCrossEntropyConfig,
    ScalableCrossEntropyConfig,
)
from createrec.errors import ConfigError
from createrec.losses.cross_entropy import (
    binary_cross_entropy,
    sampled_cross_entropy,
    scalable_cross_entropy,
    sequence_loss,
)

N, ITEMS, D = 13, 17, 5
KINDS = (
    CrossEntropyConfig(),
    ScalableCrossEntropyConfig(bucket_items=6),
    ScalableCrossEntropyConfig(bucket_items=6, mix=False),
    SampledCrossEntropyConfig(negatives=7),
    BinaryCrossEntropyConfig(negatives=3),
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def problem():
    """States, table and targets, with gradients."""
    return loss_problem(N, ITEMS, D)


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def test_sce_with_buckets_that_cover_everything_is_full_cross_entropy(problem):
    states, table, targets = problem
    for mix in (False, True):
        config = ScalableCrossEntropyConfig(bucket_factor=N, bucket_items=ITEMS, mix=mix)
        ours = scalable_cross_entropy(states, table, targets, config, generator())
        theirs = F.cross_entropy(states @ table.T, targets)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
        for mine, other in zip(gradients(ours, states, table), gradients(theirs, states, table), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-14)


def plain_sce(states, table, targets, config, g, alive):
    """Algorithm 1 of Mezentsev et al., output by output; the draw of the centres is shared with ours."""
    n = len(states)
    size = max(1, min(n, int(config.bucket_factor * math.sqrt(n))))
    centres = torch.empty(size, n if config.mix else D, dtype=states.dtype).normal_(0, D**-0.25, generator=g)
    if config.mix:
        centres = torch.stack([sum(c[i] * states[i].detach() for i in range(n) if alive[i]) for c in centres])
    worst = {}
    for centre in centres:
        near = [float(centre @ states[i].detach()) if alive[i] else -math.inf for i in range(n)]
        outputs = sorted(range(n), key=lambda i: -near[i])[:size]
        pull = [float(centre @ table[j].detach()) for j in range(ITEMS)]
        items = sorted(range(ITEMS), key=lambda j: -pull[j])[: config.bucket_items]
        for i in outputs:
            if not alive[i]:
                continue
            label = states[i] @ table[targets[i]]
            logits = [label] + [states[i] @ table[j] for j in items if j != int(targets[i])]
            loss = torch.logsumexp(torch.stack(logits), 0) - label
            if i not in worst or loss.detach() > worst[i].detach():
                worst[i] = loss
    return torch.stack(list(worst.values())).mean()


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("dead", [0, 4, 9])
def test_sce_against_a_loop(problem, mix, dead):
    states, table, targets = problem
    config = ScalableCrossEntropyConfig(bucket_factor=1.1, bucket_items=6, mix=mix)
    alive = torch.arange(N) < N - dead
    weights = alive.double() if dead else None
    ours = scalable_cross_entropy(states, table, targets, config, generator(3), weights)
    theirs = plain_sce(states, table, targets, config, generator(3), alive)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    for mine, other in zip(gradients(ours, states, table), gradients(theirs, states, table), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-13)


def test_sampled_cross_entropy_against_a_loop(problem):
    states, table, targets = problem
    config = SampledCrossEntropyConfig(negatives=25)  # more than items, so targets are drawn too
    drawn = torch.randint(ITEMS, (25,), generator=generator(4)).tolist()
    losses = []
    for i, target in enumerate(targets.tolist()):
        label = states[i] @ table[target]
        logits = [label] + [states[i] @ table[j] for j in drawn if j != target]
        losses.append(torch.logsumexp(torch.stack(logits), 0) - label)
    ours = sampled_cross_entropy(states, table, targets, config, generator(4))
    torch.testing.assert_close(ours, torch.stack(losses).mean(), rtol=1e-12, atol=0)
    weights = (torch.arange(N) % 3 > 0).double()
    ours = sampled_cross_entropy(states, table, targets, config, generator(4), weights)
    alive = [loss for loss, weight in zip(losses, weights, strict=True) if weight]
    torch.testing.assert_close(ours, torch.stack(alive).mean(), rtol=1e-12, atol=0)


def test_binary_cross_entropy_against_a_loop(problem):
    states, table, targets = problem
    config = BinaryCrossEntropyConfig(negatives=3)
    drawn = torch.randint(ITEMS, (N, 3), generator=generator(5))
    losses = []
    for i, target in enumerate(targets.tolist()):
        loss = -math.log(torch.sigmoid(states[i] @ table[target]).item())
        losses.append(loss - sum(math.log(1 - torch.sigmoid(states[i] @ table[j])) for j in drawn[i].tolist()))
    ours = binary_cross_entropy(states, table, targets, config, generator(5))
    assert float(ours) == pytest.approx(sum(losses) / N, rel=1e-10)
    weights = (torch.arange(N) % 2).double()
    ours = binary_cross_entropy(states, table, targets, config, generator(5), weights)
    assert float(ours) == pytest.approx(sum(losses[1::2]) / (N // 2), rel=1e-10)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.kind)
def test_dead_targets_count_for_nothing(problem, config):
    """A weight of 0 is as good as absence: values behind dead targets change neither loss nor gradients."""
    states, table, targets = problem
    weights = (torch.arange(N) < 9).double()
    other = states.detach().clone()
    other[9:] = 100.0
    first = sequence_loss(config, states, table, targets, generator(), weights)
    second = sequence_loss(config, other.requires_grad_(), table, targets, generator(), weights)
    torch.testing.assert_close(first, second, rtol=1e-12, atol=0)
    (grad,) = gradients(second, other)
    assert (grad[9:] == 0).all()
    assert (grad[:9] != 0).any()


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.kind)
def test_no_target_at_all_is_a_loss_of_zero(problem, config):
    states, table, targets = problem
    loss = sequence_loss(config, states[:0], table, targets[:0], generator())
    assert float(loss) == 0
    (grad,) = gradients(loss, table)
    assert (grad == 0).all()


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.kind)
def test_a_nan_is_not_hidden(problem, config):
    states, table, targets = problem
    broken = torch.full_like(states, torch.nan)
    assert torch.isnan(sequence_loss(config, broken, table, targets, generator()))


def test_each_kind_is_its_own_loss(problem):
    states, table, targets = problem
    values = {float(sequence_loss(config, states, table, targets, generator())) for config in KINDS}
    assert len(values) == len(KINDS)


def test_bfloat16_is_refused_where_it_would_be_slow(problem, monkeypatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True})
    states, table, targets = problem
    with pytest.raises(ConfigError, match=r"full_bfloat16: this processor has no instructions.*take kind full"):
        sequence_loss(BFloat16CrossEntropyConfig(), states, table, targets, generator())


def test_bfloat16_is_full_cross_entropy_to_two_decimal_places(problem, monkeypatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    states, table, targets = problem
    ours, theirs = (
        sequence_loss(config, states.float(), table.float(), targets, generator())
        for config in (BFloat16CrossEntropyConfig(), CrossEntropyConfig())
    )
    assert float(ours) == pytest.approx(float(theirs), rel=0.01)
    assert float(ours) != float(theirs)
