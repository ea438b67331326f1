"""GSAU: its losses from parts that are computed another way, and what inference needs."""

import pytest
import torch
from multi_support import first_batch, queries_of, small_model
from support import random_rows, training_data_of
from torch.nn import functional as F

from createrec.losses.alignment_uniformity import random_derangement

ITEMS = 20


@pytest.fixture(scope="module")
def data():
    return training_data_of(random_rows(12, ITEMS, seed=3, shortest=2, longest=6), ITEMS)


def dense_lightgcn(model, data):
    """Mean of the powers of the normalised adjacency, as a dense matrix."""
    users = data.user_count
    matrix = torch.zeros(users + ITEMS, users + ITEMS)
    rows = data.row_users()
    matrix[rows, users + data.sequences.values] = matrix[users + data.sequences.values, rows] = 1.0
    scale = matrix.sum(1).clamp_min(1).rsqrt()
    matrix = scale[:, None] * matrix * scale
    start = torch.cat([model.graph.user_table, model.item_table])
    mixed = sum(torch.linalg.matrix_power(matrix, hops) @ start for hops in range(model.config.layers + 1))
    return (mixed / (model.config.layers + 1)).split([users, ITEMS])


def loop_uniformity(vectors):
    pairs = [(a, b) for a in range(len(vectors)) for b in range(a)]
    return torch.log(sum(torch.exp(-2 * (vectors[a] - vectors[b]).square().sum()) for a, b in pairs) / len(pairs))


@pytest.mark.parametrize("variant", ["softmax", "distance"])
def test_each_term_equals_its_equation(data, variant):
    model = small_model(data, "gsau", dropout=0.0, layers=3, sequence_alignment=variant)
    batch, phase = first_batch(model, static=False)
    packed, targets = batch.prefixes.prefixes, batch.prefixes.targets
    chance = model.randomness.generator("permutation").clone_state()
    terms = model.losses(batch, phase)

    bounds = zip(packed.starts.tolist(), packed.lengths.tolist(), strict=True)
    histories = [packed.items[start : start + length].tolist() for start, length in bounds]
    h = F.normalize(model.user_states(queries_of(histories, [-1] * len(histories))), dim=1)
    e = F.normalize(model.item_table[targets], dim=1)
    users, items = dense_lightgcn(model, data)
    users, items = F.normalize(users[batch.edges.users], dim=1), F.normalize(items[batch.edges.items], dim=1)
    others = e[random_derangement(len(e), chance)]
    expected = {"alignment": (users - items).square().sum(1).mean()}
    if variant == "softmax":
        logits = h @ model.item_table.T
        expected["local"] = (logits.logsumexp(1) - logits[torch.arange(len(h)), targets]).mean()
    else:
        expected["local"] = (h - e).square().sum(1).mean()
    crossed = torch.log(torch.exp(-2 * (h - others).square().sum(1)).mean())
    expected["uniformity"] = sum(loop_uniformity(vectors) for vectors in (users, items, h, e)) + crossed
    assert terms.keys() == phase.weights.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-5)
        ours = torch.autograd.grad(terms[name], model.item_table, retain_graph=True)
        theirs = torch.autograd.grad(value, model.item_table, retain_graph=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_each_prefix_is_one_sample_with_the_item_behind_it(data):
    model = small_model(data, "gsau", training={"batch_size": 1000})
    batch, _ = first_batch(model, static=False)
    packed, samples = batch.prefixes.prefixes, set()
    for start, length, target in zip(packed.starts, packed.lengths, batch.prefixes.targets, strict=True):
        samples.add((*packed.items[start : start + length].tolist(), target.item()))
    rows = [row.tolist() for row in data.sequences.values.split(data.sequences.lengths.tolist())]
    assert samples == {tuple(row[: end + 1]) for row in rows for end in range(1, len(row))}


def test_positions_are_counted_from_the_oldest_item(data):
    model = small_model(data, "gsau").eval()
    with torch.no_grad():
        before = model.user_states(queries_of([[1, 2], [1, 2, 3]], [-1, -1]))
        model.sequence.positions[2] += torch.randn(8)
        after = model.user_states(queries_of([[1, 2], [1, 2, 3]], [-1, -1]))
    assert before[0].equal(after[0])
    assert not before[1].allclose(after[1])


def test_inference_needs_neither_users_nor_graph(data):
    model = small_model(data, "gsau").eval()
    queries = queries_of([[1, 2]], [3])
    with torch.no_grad():
        before = model.scores(queries, model.item_vectors())
        model.graph.user_table.fill_(torch.nan)
        after = model.scores(queries_of([[1, 2]], [-1]), model.item_vectors())
    assert before.equal(after)


def test_without_its_weight_uniformity_is_not_computed(data):
    model = small_model(data, "gsau", uniformity_weight=0.0)
    batch, phase = first_batch(model, static=False)
    assert set(model.losses(batch, phase)) == {"alignment", "local"}
