"""MRGSRec: its losses from dense parts, the leak of the two-way user token, and the switch that closes it."""

from dataclasses import replace

import pytest
import torch
from multi_support import first_batch, queries_of, small_model
from support import random_rows, training_data_of
from torch.nn import functional as F

from createrec.data.batch import Batch, SequenceBatch
from createrec.models import mrgsrec
from createrec.ops.ragged import pack

ITEMS, LENGTH = 20, 4
OVERRIDES = {"dropout": 0.0, "max_length": LENGTH}


@pytest.fixture(scope="module")
def rows():
    return random_rows(10, ITEMS, seed=5, shortest=0, longest=7)


@pytest.fixture(scope="module")
def data(rows):
    return training_data_of(rows, ITEMS)


def dense_graph(model, rows):
    """G and the normalised adjacency over the last `LENGTH` items of each user."""
    users = len(rows)
    matrix = torch.zeros(users + ITEMS, users + ITEMS)
    for user, row in enumerate(rows):
        for item in row[-LENGTH:]:
            matrix[user, users + item] = matrix[users + item, user] = 1.0
    scale = matrix.sum(1).clamp_min(1).rsqrt()
    matrix = scale[:, None] * matrix * scale
    layer = total = torch.cat([model.user_table, model.item_table])
    for _ in range(model.config.layers):
        layer = matrix @ layer
        total = total + F.normalize(layer, dim=1)
    return (total / (model.config.layers + 1)).split([users, ITEMS])


def plain_encode(model, items, user):
    """States h and s_u of one row, as dense attention under the mask written out."""
    ages = list(range(len(items)))[::-1]
    x = torch.cat([model.user_table[[user]], model.norm(model.item_table[items] + model.positions[ages])])
    n = len(items) + 1
    mask = torch.ones(n, n, dtype=torch.bool).tril()
    if model.config.causal_user_token:
        x, mask = torch.cat([x, model.user_table[[user]]]), torch.ones(n + 1, n + 1, dtype=torch.bool).tril()
    else:
        mask[0] = True
    for block in model.blocks:
        attention, heads = block.attention, block.attention.heads
        query = attention.query(x).unflatten(1, (heads, -1))
        key, value = attention.key_value(x).unflatten(1, (2, heads, -1)).unbind(1)
        scores = torch.einsum("qhd,khd->hqk", query, key) / query.shape[2] ** 0.5
        mixed = torch.einsum("hqk,khd->qhd", scores.masked_fill(~mask, -torch.inf).softmax(2), value).flatten(1)
        x = block.attention_norm(x + attention.output(mixed))
        x = block.feedforward_norm(x + block.feedforward(x))
    return (x[1:-1], x[-1]) if model.config.causal_user_token else (x[1:], x[0])


def bpr(state, table, label):
    return torch.stack([-F.logsigmoid(state @ table[label] - state @ other) for other in table])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_each_term_equals_its_equation(data, rows, causal, layers):
    model = small_model(data, "mrgsrec", **OVERRIDES, layers=layers, causal_user_token=causal)
    batch, phase = first_batch(model, static=False)
    terms = model.losses(batch, phase)
    users, items = dense_graph(model, rows)
    eta = model.config.graph_mixing
    local, over, fused, states, owners = [], [], [], [], []
    for user in batch.sequences.users.tolist():
        known = rows[user][:-1][-LENGTH:]
        labels = rows[user][-len(known) :]
        h, s = plain_encode(model, known, user)
        f = model.fusion(torch.cat([s, (1 - eta) * s + eta * users[user]]))
        for k, label in enumerate(labels):
            local.append((h[k] @ items.T).logsumexp(0) - h[k] @ items[label])
            over.append(bpr(users[user], items, label))
            if not causal or k == len(labels) - 1:
                fused.append(bpr(f, model.item_table, label))
        states.append(h)
        owners.append(users[user].expand_as(h))
    views = F.normalize(torch.cat([*states, *owners]), dim=1)
    similarity = (views @ views.T).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(views)).roll(len(views) // 2)
    expected = {
        "local": torch.stack(local).mean(),
        "global": torch.stack(over).mean(),
        "fused": torch.stack(fused).mean(),
        "contrastive": F.cross_entropy(similarity, partner),
    }
    assert terms.keys() == expected.keys()
    parameters = [model.user_table, model.item_table]
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-5)
        ours = torch.autograd.grad(terms[name], parameters, retain_graph=True)
        theirs = torch.autograd.grad(value, parameters, retain_graph=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_a_future_item_reaches_the_states_before_it_unless_the_switch_is_set(data, causal):
    model = small_model(data, "mrgsrec", **OVERRIDES, causal_user_token=causal).eval()

    def states(items):
        packed = queries_of([items], [0]).histories
        with torch.no_grad():
            return model.encode(pack(packed, torch.tensor([0]), LENGTH), torch.tensor([2]))

    (before, summary), (after, changed) = states([1, 2, 3, 4]), states([1, 2, 3, 9])
    assert not summary.allclose(changed)  # the newest item is in the user's summary either way
    assert before[:3].allclose(after[:3]) is causal


@pytest.mark.parametrize("causal", [False, True])
def test_the_fused_state_has_read_labels_that_it_ranks_unless_the_switch_is_set(rows, causal, monkeypatch):
    user = next(user for user, row in enumerate(rows) if len(row) == LENGTH + 1)
    batch = Batch(sequences=SequenceBatch(torch.tensor([user])))
    spare = [item for item in range(ITEMS) if item not in rows[user]]

    def fused_and_labels(row):
        """f_u and the labels that the fused loss asks it to rank; the graph is that of the unchanged rows."""
        changed = [row if other == user else kept for other, kept in enumerate(rows)]
        model = small_model(training_data_of(changed, ITEMS), "mrgsrec", **OVERRIDES, causal_user_token=causal)
        original = small_model(training_data_of(rows, ITEMS), "mrgsrec", **OVERRIDES)
        model.sides, model.mirrors = original.sides, original.mirrors
        calls = []

        def record(users, items, targets, counts, *, static):
            calls.append((users[0], targets[0, : counts[0]].tolist()))
            return users.sum() * 0

        monkeypatch.setattr(mrgsrec, "all_item_bpr", record)
        (phase,) = model.phases()
        model.losses(batch, phase)
        return calls[-1]  # the fused loss comes after the global one

    before, ranked = fused_and_labels(rows[user])
    read = []
    for label in ranked:
        after, _ = fused_and_labels([spare[0] if item == label else item for item in rows[user]])
        read.append(not after.allclose(before))
    # Newest first: all but the newest label are inputs of the default's f_u.
    assert read == ([False] if causal else [False, True, True, True])


def test_edge_dropout_scales_what_it_keeps_and_goes_back_through_the_same_entries(data):
    model = small_model(data, "mrgsrec", dropout=0.5, max_length=LENGTH)
    model.to(torch.float64)
    model.sides = tuple(replace(side, values=side.values.double()) for side in model.sides)
    users = model.data.user_count
    chance = model.randomness.generator("edge_dropout").clone_state()
    edges = len(model.sides[0].values)
    kept = torch.rand(2 * edges, generator=chance) >= 0.5
    matrix = torch.zeros(users + ITEMS, users + ITEMS, dtype=torch.float64)
    for side, chosen, first, behind in zip(model.sides, kept.split(edges), (0, users), (users, 0), strict=True):
        row = torch.repeat_interleave(torch.arange(len(side.offsets) - 1), side.offsets.diff())
        matrix[first + row, behind + side.columns.long()] = side.values * chosen * 2
    start = torch.cat([model.user_table, model.item_table])
    expected = (start + F.normalize(matrix @ start, dim=1)) / 2
    vectors = model.vectors()
    value = torch.cat([vectors.users, vectors.items])
    torch.testing.assert_close(value, expected)
    weights = torch.randn(value.shape, dtype=torch.float64)
    parameters = [model.user_table, model.item_table]
    ours = torch.autograd.grad((weights * value).sum(), parameters)
    theirs = torch.autograd.grad((weights * expected).sum(), parameters)
    torch.testing.assert_close(ours, theirs)


def test_inference_scores_the_raw_item_table(data, rows):
    model = small_model(data, "mrgsrec", **OVERRIDES).eval()
    history, user = [1, 2, 3], 4
    with torch.no_grad():
        score = model.scores(queries_of([history], [user]), model.item_vectors())[0]
        users, _ = dense_graph(model, rows)
        _, s = plain_encode(model, history, user)
        eta = model.config.graph_mixing
        f = model.fusion(torch.cat([s, (1 - eta) * s + eta * users[user]]))
    torch.testing.assert_close(score, model.item_table @ f, rtol=1e-4, atol=1e-6)
