"""LOOM (reconstruction): SASRec where its weights are 0, one-way guidance, and relations against loops."""

import math

import pytest
import torch
from multi_support import first_batch, queries_of, small_model
from support import model_of, random_rows, same_state, training_data_of

from createrec.models.loom import relations
from createrec.training.trainer import train

ITEMS = 15
PLAIN = {"guidance_weight": 0.0, "fused_weight": 0.0, "late_fusion_weight": 0.0}


@pytest.fixture(scope="module")
def rows():
    return random_rows(20, ITEMS - 1, seed=2, longest=8)


@pytest.fixture(scope="module")
def data(rows):
    return training_data_of(rows, ITEMS)


def test_with_all_weights_zero_it_is_sasrec_bit_for_bit(data):
    training = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "gradient_clip": 1.0, "weight_decay": 0.01}
    loom = small_model(data, "loom", **PLAIN, training=training)
    ours = train(loom, loom.config.training, loom.randomness).history
    sasrec = model_of(data, "sasrec", training=training)  # starts the common source of dropout again
    theirs = train(sasrec, sasrec.config.training, sasrec.randomness).history
    assert [entry["losses"] for entry in ours] == [entry["losses"] for entry in theirs]
    shared = {name: value for name, value in loom.state_dict().items() if not name.startswith("carrier")}
    assert same_state(shared, sasrec.state_dict())
    queries = queries_of([[1, 2], [], [3] * 9], [0, 1, -1])
    for model in (loom, sasrec):
        model.eval()
    with torch.no_grad():
        assert loom.scores(queries, loom.item_vectors()).equal(sasrec.scores(queries, sasrec.item_vectors()))


def by_loops(rows, window, neighbours, recency):
    weights = {}
    for row in rows:
        for q, j in enumerate(row):
            for i in row[max(0, q - window) : q]:
                if i != j:
                    share = 1.0 if recency is None else math.exp(-(len(row) - 1 - q) / recency)
                    pair = (min(i, j), max(i, j))
                    weights[pair] = weights.get(pair, 0.0) + share
    kept = set()
    for item in range(ITEMS):
        own = sorted((-weight, sum(pair) - item, pair) for pair, weight in weights.items() if item in pair)
        kept |= {pair for _, _, pair in own[:neighbours]}
    return {pair: weights[pair] for pair in sorted(kept)}


@pytest.mark.parametrize(("window", "neighbours", "recency"), [(1, 20, None), (3, 20, 2.0), (2, 2, 5.0), (3, 1, None)])
def test_relations_equal_a_loop(rows, data, window, neighbours, recency):
    expected = by_loops(rows, window, neighbours, recency)
    first, second, weight = relations(data, window, neighbours, recency)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == list(expected)
    assert weight.tolist() == pytest.approx(list(expected.values()))


def dense_carrier(model):
    """O by dense products, differentiable."""
    carrier = model.carrier
    relations = carrier.relations
    gates = (carrier.weights * torch.sigmoid(carrier.theta))[relations.relation]
    matrix = torch.zeros(ITEMS, ITEMS).index_put((relations.row.long(), relations.column.long()), gates)
    assert matrix.equal(matrix.T)
    scale = torch.where(matrix.sum(1) > 0, matrix.sum(1).clamp_min(1e-30).rsqrt(), 0.0)
    matrix = scale[:, None] * matrix * scale
    powers = [torch.linalg.matrix_power(matrix, hops) for hops in range(model.config.layers + 1)]
    return sum(powers) @ model.item_table / len(powers)


def opened(model):
    """Gates away from their common start, so that they matter."""
    with torch.no_grad():
        model.carrier.theta.normal_(generator=torch.Generator().manual_seed(0))
    return model


def test_the_carrier_equals_dense_products_with_gradients(data):
    model = opened(small_model(data, "loom"))
    value, expected = model.carrier.items(model.item_table), dense_carrier(model)
    torch.testing.assert_close(value, expected)
    weights = torch.randn(value.shape)
    parameters = [model.carrier.theta, model.item_table]
    ours = torch.autograd.grad((weights * value).sum(), parameters)
    theirs = torch.autograd.grad((weights * expected).sum(), parameters)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def losses_of(model, rows):
    batch, phase = first_batch(model, static=False)
    return model.losses(batch, phase), batch.sequences.users.tolist()


def carried(model, items, history):
    shares = [math.exp(-age / model.config.recency) for age in range(len(history))][::-1]
    return sum(share * items[item] for share, item in zip(shares, history, strict=True)) / sum(shares)


def test_guidance_and_fused_loss_equal_loops(rows, data):
    model = opened(small_model(data, "loom", sequence={"dropout": 0.0}, temperature=0.5))
    with torch.no_grad():
        model.item_table.mul_(20)  # a teacher with opinions
    terms, users = losses_of(model, rows)
    items, c = dense_carrier(model), model.config
    guided, fused = [], []
    for user in users:
        history = rows[user][:-1][-model.sequence.max_length :]
        h = model.sequence.user_states(queries_of([history], [0]).histories, model.item_table)[0]
        o = carried(model, items, history)
        p = ((model.item_table @ h) / c.temperature).softmax(0).detach()
        q = ((items @ o) / c.temperature).softmax(0)
        confidence = 1 + (p * p.log()).sum() / math.log(ITEMS)
        guided.append(confidence * c.temperature**2 * (p * (p / q).log()).sum())
        scores = model.item_table @ h + c.late_fusion_weight * (items @ o)
        fused.append(scores.logsumexp(0) - scores[rows[user][-1]])
    parameters = [model.carrier.theta, model.item_table]
    for name, expected in (("guidance", torch.stack(guided).mean()), ("fused", torch.stack(fused).mean())):
        torch.testing.assert_close(terms[name], expected, rtol=1e-4, atol=1e-5)
        ours = torch.autograd.grad(terms[name], parameters, retain_graph=True)
        theirs = torch.autograd.grad(expected, parameters, retain_graph=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_divergence_never_reaches_the_teacher(rows, data):
    model = opened(small_model(data, "loom"))
    terms, _ = losses_of(model, rows)
    teacher = list(model.sequence.parameters())
    gradients = torch.autograd.grad(
        terms["guidance"], [*teacher, model.carrier.theta, model.item_table], allow_unused=True, retain_graph=True
    )
    assert all(gradient is None for gradient in gradients[: len(teacher)])
    assert gradients[-2].abs().max() > 0
    # The item table learns as the carrier reads it alone: with the carrier cut off, nothing is left.
    items = model.carrier.items

    def cut_off(table):
        return items(table.detach())

    model.carrier.items = cut_off
    terms, _ = losses_of(model, rows)
    assert torch.autograd.grad(terms["guidance"], model.item_table, allow_unused=True)[0] is None


def test_a_teacher_without_confidence_guides_nobody(rows, data):
    model = opened(small_model(data, "loom"))
    with torch.no_grad():
        model.item_table.copy_(model.item_table[0].expand_as(model.item_table))  # all items score the same
    terms, _ = losses_of(model, rows)
    assert terms["guidance"].item() == pytest.approx(0.0, abs=1e-6)
    assert torch.autograd.grad(terms["guidance"], model.carrier.theta)[0].abs().max() < 1e-6


def test_late_fusion_adds_the_carrier_to_the_score(data):
    model = opened(small_model(data, "loom", late_fusion_weight=0.3)).eval()
    history = [4, 1, 9]
    with torch.no_grad():
        score = model.scores(queries_of([history], [-1]), model.item_vectors())[0]
        items = dense_carrier(model)
        h = model.sequence.user_states(queries_of([history], [0]).histories, model.item_table)[0]
        expected = model.item_table @ h + 0.3 * items @ carried(model, items, history)
    torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-5)
