"""Self-GNN: every level from dense parts, both readings of the instance level, proper pairs, empty intervals."""

import pytest
import torch
from multi_support import first_batch, queries_of, small_model
from support import random_rows, training_data_of
from torch import nn
from torch.nn import functional as F

from createrec.data.batch import TrainingData
from createrec.models import selfgnn
from createrec.models.selfgnn import LSTM, IntervalGraph, IntervalLevel
from createrec.ops.ragged import pack

ITEMS, INTERVALS, D = 12, 4, 8
OVERRIDES = {"intervals": INTERVALS, "keep_probability": 1.0}


@pytest.fixture(scope="module")
def rows():
    return [[], *random_rows(9, ITEMS - 1, seed=4, shortest=1, longest=9)]


@pytest.fixture(scope="module")
def data(rows):
    """Two bursts of interactions: the intervals between them are empty."""
    plain = training_data_of(rows, ITEMS)
    count = len(plain.times)
    early = torch.rand(count, generator=torch.Generator().manual_seed(0)) < 0.5
    within = torch.arange(count) % 10
    times = torch.where(early, within, 990 + within)
    return TrainingData(plain.sequences, times, ITEMS)


def intervals_of(data):
    first, last = int(data.times.min()), int(data.times.max())
    width = (last - first + 1) / INTERVALS
    return [int((time - first) / width) for time in data.times.tolist()]


def dense(data):
    """Binary adjacency of each interval over users and items, [intervals, nodes, nodes]."""
    users = data.user_count
    matrices = torch.zeros(INTERVALS, users + ITEMS, users + ITEMS)
    for g, user, item in zip(intervals_of(data), data.row_users(), data.sequences.values, strict=True):
        matrices[g, user, users + item] = matrices[g, users + item, user] = 1.0
    return matrices


def act(x):
    return F.leaky_relu(x, 0.5)


def test_intervals_have_equal_width_and_some_are_empty(data):
    graph, matrices = IntervalGraph(data, INTERVALS), dense(data)
    assert graph.matrix.offsets.diff().view(INTERVALS, -1).equal(matrices.sum(2).int())
    assert (matrices.sum((1, 2)) > 0).tolist() == [True, False, False, True]


def test_propagation_is_an_unweighted_sum_with_a_slope_of_one_half(data):
    model = small_model(data, "selfgnn", **OVERRIDES, layers=3)
    layer = total = model.tables
    for _ in range(3):
        layer = act(dense(data) @ layer) + layer
        total = total + layer
    value = model.short_term()
    torch.testing.assert_close(value, total)
    weights = torch.randn(total.shape)
    ours = torch.autograd.grad((weights * value).sum(), model.tables)
    theirs = torch.autograd.grad((weights * total).sum(), model.tables)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_lstm_is_torchs():
    ours, theirs = LSTM(D), nn.LSTM(D, D)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input.weight)
        theirs.weight_hh_l0.copy_(ours.recurrent.weight)
        theirs.bias_ih_l0.copy_(ours.input.bias)
        theirs.bias_hh_l0.zero_()
    x = torch.randn(5, 3, D)
    torch.testing.assert_close(ours(x), theirs(x)[0])


def test_the_layer_norm_runs_over_intervals_and_dimensions_together():
    level, seen = IntervalLevel(D, 4), []
    level.attention.forward = lambda x, *_, **__: seen.append(x) or x
    x = torch.randn(INTERVALS, 3, D)
    level(x)
    for row, normed in zip(x.unbind(1), seen[0].view(3, INTERVALS, D), strict=True):
        expected = (row - row.mean()) / row.var(unbiased=False).sqrt()  # one mean and variance for all numbers
        torch.testing.assert_close(normed, expected, rtol=1e-4, atol=1e-5)


def plain_attention(attention, x):
    """Multi-head attention of one row [tokens, d], ending with the mixed values."""
    heads = attention.heads
    query = attention.query(x).unflatten(1, (heads, -1))
    key, value = attention.key_value(x).unflatten(1, (2, heads, -1)).unbind(1)
    scores = torch.einsum("qhd,khd->hqk", query, key) / query.shape[2] ** 0.5
    return torch.einsum("hqk,khd->qhd", scores.softmax(2), value).flatten(1)


def test_users_and_items_share_the_lstm_and_nothing_else(data):
    model = small_model(data, "selfgnn", **OVERRIDES).eval()
    short = model.short_term()
    for rows_, level in ((short[:, :3], model.user_level), (short[:, -3:], model.item_level)):
        expected = []
        for steps in model.lstm(rows_).unbind(1):
            normed = F.layer_norm(steps, steps.shape, eps=1e-12) * level.gain + level.bias
            expected.append(plain_attention(level.attention, normed).mean(0))
        torch.testing.assert_close(model.long_term(rows_, level), torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert model.user_level.attention.query.weight is not model.item_level.attention.query.weight


@pytest.mark.parametrize("reading", ["summed", "tokens"])
def test_the_instance_level_in_both_readings(data, reading):
    model = small_model(data, "selfgnn", **OVERRIDES, instance_level=reading).eval()
    part, vectors = model.instance, torch.randn(ITEMS, D)
    history = [3, 1, 7]
    items, positions = vectors[history], part.positions[[2, 1, 0]]
    if reading == "summed":
        items, positions = items.sum(0, keepdim=True), positions.sum(0, keepdim=True)
    z = part.item_norm(items) + part.position_norm(positions)
    for norm, layer in zip(part.norms, part.attentions, strict=True):
        y = norm(z)
        z = act(layer(y) if reading == "summed" else plain_attention(layer, y)) + z
    batch = queries_of([[5], history], [0, 0]).histories
    value = part(pack(batch, torch.tensor([0, 1]), model.config.max_length), vectors)[1]
    torch.testing.assert_close(value, z.sum(0), rtol=1e-4, atol=1e-5)


def test_order_matters_to_tokens_and_not_to_their_sum(data):
    for reading, same in (("summed", True), ("tokens", False)):
        model = small_model(data, "selfgnn", **OVERRIDES, instance_level=reading).eval()
        with torch.no_grad():
            first, second = model.user_states(queries_of([[1, 2, 3], [3, 1, 2]], [4, 4]))
        assert first.allclose(second, atol=1e-5) is same


def test_the_main_loss_sets_the_newest_item_against_items_outside_the_row(rows, data, monkeypatch):
    model = small_model(data, "selfgnn", **OVERRIDES)
    seen = []
    draw = selfgnn.draw_non_neighbours

    def record(users, *rest):
        seen.append((users, draw(users, *rest)))
        return seen[-1][1]

    monkeypatch.setattr(selfgnn, "draw_non_neighbours", record)
    batch, phase = first_batch(model, static=False)
    terms = model.losses(batch, phase)
    losses = []
    for user, negative in zip(*(part.tolist() for part in seen[0]), strict=True):
        assert negative not in rows[user]
        history, target = rows[user][:-1], rows[user][-1]
        state = model.user_states(queries_of([history], [user]))[0]
        scores = model.item_vectors() @ state
        losses.append((1 - scores[target] + scores[negative]).clamp_min(0))
    assert len(losses) == len(batch.sequences.users) * model.config.negatives
    torch.testing.assert_close(terms["main"], torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)


def test_pairs_are_two_interactions_of_one_user_in_one_interval(data, monkeypatch):
    """Every draw is followed: its loss from plain sums, its two items both met by the user in that interval."""
    model = small_model(data, "selfgnn", **OVERRIDES, pairs=2)
    calls, draws, drawn = [], [], model._pairs
    monkeypatch.setattr(
        selfgnn, "pair_hinge", lambda long, short, live: calls.append((long, short)) or (long * short).sum()
    )
    monkeypatch.setattr(model, "_pairs", lambda *given, **kind: draws.append(drawn(*given, **kind)) or draws[-1])
    batch, phase = first_batch(model, static=False)
    model.losses(batch, phase)
    nodes = draws[-1].nodes  # global nodes of the pairs: interval, then user or item
    (long, short_difference), short = calls[0], model.short_term()
    users = data.user_count
    e_items = model.item_vectors()
    met = {
        (g, user, item)
        for g, user, item in zip(
            intervals_of(data), data.row_users().tolist(), data.sequences.values.tolist(), strict=True
        )
    }
    expected = {}
    for g in range(INTERVALS):
        for user in range(users):
            degree = sum((g, user, item) in met for item in range(ITEMS))
            if user in batch.sequences.users.tolist():
                expected[g] = expected.get(g, 0) + min(2, degree // 2)
    intervals = nodes // (users + ITEMS)
    assert intervals[0].equal(intervals[1])
    assert {g: int((intervals[0] == g).sum()) for g in range(INTERVALS)} == expected
    matched = 0
    for k, (one, other) in enumerate(nodes.T.tolist()):
        g, a, b = int(intervals[0, k]), one % (users + ITEMS) - users, other % (users + ITEMS) - users
        for user in batch.sequences.users.tolist():
            if not {(g, user, a), (g, user, b)} <= met:
                continue
            p, q = short[g, user], short[g, users:]
            difference = act(p * q[a]).sum() - act(p * q[b]).sum()
            e = model.long_term(short[:, [user]], model.user_level)[0]
            inner = act(model.weight_in(torch.cat([e * p, e, p])))
            weight = torch.sigmoid(model.weight_out(inner))[0]
            product = weight * (act(e * e_items[a]).sum() - act(e * e_items[b]).sum())
            same = torch.stack([difference - short_difference[k], product - long[k]]).abs().max() < 1e-4
            if same:
                matched += 1
                break
    assert matched == nodes.shape[1] > 0


def test_long_term_scores_teach_through_the_weight_alone(data):
    model = small_model(data, "selfgnn", **OVERRIDES)
    batch, phase = first_batch(model, static=False)
    loss = model.losses(batch, phase)["augmentation"]
    item_level = list(model.item_level.parameters())
    gradients = torch.autograd.grad(loss, [*item_level, model.weight_in.weight, model.tables], allow_unused=True)
    assert all(gradient is None for gradient in gradients[: len(item_level)])
    assert gradients[-2].abs().max() > 0
    assert gradients[-1].abs().max() > 0


def test_l2_sums_squares_of_whole_tables(data):
    model = small_model(data, "selfgnn", **OVERRIDES)
    batch, phase = first_batch(model, static=False)
    maps = [model.tables, model.instance.positions, model.weight_in.weight, model.weight_out.weight]
    expected = sum(value**2 for table in maps for value in table.flatten().tolist())
    assert model.losses(batch, phase)["l2"].item() == pytest.approx(expected, rel=1e-4)


def test_static_states_are_those_of_exact_batches(data):
    histories = queries_of([[2], [1, 5, 3], [4, 6]], [0, 0, 0]).histories
    for reading in ("summed", "tokens"):
        model = small_model(data, "selfgnn", **OVERRIDES, instance_level=reading).eval()
        vectors = torch.randn(ITEMS, D)
        exact = model.instance(pack(histories, torch.tensor([0, 2, 1]), 7), vectors)
        static = model.instance(pack(histories, torch.tensor([0, 2, 1]), 7, capacity=16), vectors)
        torch.testing.assert_close(static, exact, rtol=1e-4, atol=1e-5)
