"""LightGCN and UltraGCN against dense float64 references: vectors, losses, gradients."""

import math

import pytest
import torch
from support import DIMENSION, model_of, random_rows, training_data_of

from createrec.data.batch import EdgeBatch, QueryBatch
from createrec.ops.propagation import mean_of_layers

USERS, ITEMS = 12, 10


@pytest.fixture
def rows():
    made = random_rows(USERS, ITEMS - 1, seed=1, shortest=1, longest=6)  # the last item has no user
    made[4] = []
    return made


def made_model(rows, kind, **overrides):
    """A float64 model whose vectors are large enough for every term to matter."""
    model = model_of(training_data_of(rows, ITEMS), kind, **overrides).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    return model


def counts(rows):
    interactions = torch.zeros(USERS, ITEMS, dtype=torch.float64)
    for user, row in enumerate(rows):
        interactions[user, row] = 1
    return interactions


def all_vectors(model):
    return model.graph.vectors(model.item_table, torch.arange(USERS), torch.arange(ITEMS))


def normalised_adjacency(interactions):
    nodes = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    nodes[:USERS, USERS:], nodes[USERS:, :USERS] = interactions, interactions.T
    degree = nodes.sum(1)
    scale = torch.where(degree > 0, degree, torch.inf) ** -0.5
    return scale[:, None] * nodes * scale


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_lightgcn_vectors_are_the_mean_of_matrix_powers(rows, layers):
    model = made_model(rows, "lightgcn", layers=layers)
    adjacency = normalised_adjacency(counts(rows))
    start = torch.cat([model.graph.user_table, model.item_table])
    expected = sum(torch.linalg.matrix_power(adjacency, power) @ start for power in range(layers + 1)) / (layers + 1)
    found = all_vectors(model)
    ours = torch.cat([found.users, found.items])
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)  # the operator's values are float32
    probe = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = [model.graph.user_table, model.item_table]
    mine = torch.autograd.grad((ours * probe).sum(), parameters)
    other = torch.autograd.grad((expected * probe).sum(), parameters)
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
def test_gradcheck_of_the_propagation(rows, layers):
    """Of rows that come twice, of both sides, and of layer 0."""
    model = made_model(rows, "lightgcn")
    tables = [torch.randn(count, 3, dtype=torch.float64).requires_grad_() for count in (USERS, ITEMS)]
    users, items = torch.tensor([3, 0, 3, 4]), torch.tensor([9, 1, 1])
    assert torch.autograd.gradcheck(lambda *x: mean_of_layers(*x, users, items, model.graph.sides, layers), tables)


@pytest.mark.parametrize("kind", ["lightgcn", "ultragcn"])
def test_the_aligned_users_vectors_are_those_that_score(rows, kind):
    """One call a step gives the loss and them; neither depends on the other, gradients included."""
    model = made_model(rows, kind)
    parameters = [model.graph.user_table, model.item_table]
    aligned, probe = torch.tensor([5, 0, 5]), torch.randn(3, DIMENSION, dtype=torch.float64)
    generator = model.randomness.generator("negatives/graph")
    start = generator.get_state()
    both = model.graph.global_loss(model.edges, model.item_table, aligned)
    generator.set_state(start)
    alone = model.graph.global_loss(model.edges, model.item_table, aligned[:0])
    vectors = model.graph.vectors(model.item_table, aligned, aligned[:0]).users
    torch.testing.assert_close(both.aligned, vectors)
    assert alone.aligned.shape == (0, DIMENSION)
    mine = torch.autograd.grad(both.loss + (both.aligned * probe).sum(), parameters)
    other = torch.autograd.grad(alone.loss + (vectors * probe).sum(), parameters, allow_unused=True)
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two)


def test_a_user_without_edges_keeps_its_own_share(rows):
    model = made_model(rows, "lightgcn", layers=3)
    vectors = all_vectors(model)
    torch.testing.assert_close(vectors.users[4], model.graph.user_table[4] / 4)
    torch.testing.assert_close(vectors.items[ITEMS - 1], model.item_table[ITEMS - 1] / 4)


@pytest.mark.parametrize("l2", [0.0, 0.37])
def test_lightgcn_loss_by_hand(rows, l2):
    model = made_model(rows, "lightgcn", l2=l2)
    edges = EdgeBatch(model.edges.users[::2], model.edges.items[::2])
    generator = model.randomness.generator("negatives/graph")
    start = generator.get_state()
    with torch.no_grad():
        vectors = all_vectors(model)
    loss = model.graph.global_loss(edges, model.item_table, edges.users[:0]).loss
    # The negatives: the first of eight candidates that the user does not have.
    generator.set_state(start)
    candidates = torch.randint(ITEMS, (8, len(edges.users)), generator=generator)
    total, squares = 0.0, 0.0
    for place, (user, item) in enumerate(zip(edges.users.tolist(), edges.items.tolist(), strict=True)):
        free = [j for j in candidates[:, place].tolist() if j not in rows[user]]
        negative = free[0] if free else int(candidates[-1, place])
        margin = float(vectors.users[user] @ (vectors.items[item] - vectors.items[negative]))
        total += -math.log(1 / (1 + math.exp(-margin)))
        for vector in (model.graph.user_table[user], model.item_table[item], model.item_table[negative]):
            squares += float(vector.detach().square().sum())
    n = len(edges.users)
    assert loss.item() == pytest.approx(total / n + l2 * squares / 2 / n, rel=1e-9)


WEIGHTS = {
    "negatives": 6,
    "negative_weight": 3.0,
    "positive_base_weight": 0.2,
    "positive_degree_weight": 0.7,
    "negative_base_weight": 0.4,
    "negative_degree_weight": 0.9,
    "item_weight": 0.6,
    "item_neighbours": 3,
    "l2": 0.05,
}
ULTRAGCN = [WEIGHTS, *({**WEIGHTS, name: 0.0} for name in WEIGHTS if name not in ("negatives", "item_neighbours"))]


def ultragcn_loss_by_loops(model, rows, edges, drawn, weights, shared_by):
    """Eq. 1 in the authors' weighting, edge by edge; a tensor, so that it has gradients."""
    users, items = model.graph.user_table, model.item_table
    has = counts(rows)
    user_degree, item_degree = has.sum(1).tolist(), has.sum(0).tolist()
    gram = (has.T @ has).tolist()
    totals = [sum(line) for line in gram]

    def beta(u, i):
        return math.sqrt(user_degree[u] + 1) / user_degree[u] / math.sqrt(item_degree[i] + 1)

    def omega(i, j):
        return math.sqrt(totals[i] + 1) / totals[i] / math.sqrt(totals[j] + 1) * gram[i][j]

    def softplus(x):
        return torch.log1p(torch.exp(x))

    loss = 0.0
    for place, (u, i) in enumerate(zip(edges.users.tolist(), edges.items.tolist(), strict=True)):
        w1, w2 = weights["positive_base_weight"], weights["positive_degree_weight"]
        w3, w4 = weights["negative_base_weight"], weights["negative_degree_weight"]
        loss = loss + (w1 + w2 * beta(u, i)) * softplus(-(users[u] @ items[i]))
        own = drawn[place // (shared_by or len(edges.users))]
        negative = sum((w3 + w4 * beta(u, j)) * softplus(users[u] @ items[j]) for j in own) / len(own)
        loss = loss + weights["negative_weight"] * negative
        near = sorted((j for j in range(ITEMS) if gram[i][j]), key=lambda j: (-round(omega(i, j), 9), j))
        for j in near[: weights["item_neighbours"]]:
            loss = loss + weights["item_weight"] * omega(i, j) * softplus(-(users[u] @ items[j]))
        loss = loss + weights["l2"] * (users[u] @ users[u] + items[i] @ items[i]) / 2
    return loss / len(edges.users)


@pytest.mark.parametrize("shared_by", [1, 5, None])
@pytest.mark.parametrize("weights", ULTRAGCN, ids=["all", *list(WEIGHTS)[1:7], "l2"])
def test_ultragcn_loss_by_loops(rows, weights, shared_by):
    """Also where the last group of edges that share their negatives is a smaller one."""
    model = made_model(rows, "ultragcn", negatives_shared_by=shared_by, **weights)
    edges = EdgeBatch(model.edges.users[1::2], model.edges.items[1::2])
    generator = model.randomness.generator("negatives/graph")
    start = generator.get_state()
    vectors = all_vectors(model)
    assert vectors.users.equal(model.graph.user_table) and vectors.items.equal(model.item_table)
    ours = model.graph.global_loss(edges, model.item_table, edges.users[:0]).loss
    generator.set_state(start)
    assert len(edges.users) % 5, "the last group of five is not full"
    groups = -(-len(edges.users) // (shared_by or len(edges.users)))
    drawn = torch.randint(ITEMS, (groups, weights["negatives"]), generator=generator).tolist()
    theirs = ultragcn_loss_by_loops(model, rows, edges, drawn, weights, shared_by)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)  # beta and omega are float32
    parameters = [model.graph.user_table, model.item_table]
    for one, two in zip(
        torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters, allow_unused=True), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", ["lightgcn", "ultragcn"])
def test_limits_on_the_graph_change_degrees_too(rows, kind):
    recent = [row[-2:] for row in rows]
    limited, cut = made_model(rows, kind, graph_last=2), made_model(recent, kind)
    assert torch.equal(limited.edges.users, cut.edges.users)
    assert torch.equal(limited.edges.items, cut.edges.items)
    users = torch.arange(USERS)
    first = limited.user_states(QueryBatch(users, limited.data.sequences))
    assert torch.equal(first, cut.user_states(QueryBatch(users, cut.data.sequences)))


@pytest.mark.parametrize("kind", ["lightgcn", "ultragcn"])
def test_scores_are_inner_products_of_the_training_graphs_vectors(rows, kind):
    """Whatever the query's history is: users are those of the training graph, with no folding-in."""
    model = made_model(rows, kind)
    vectors = all_vectors(model)
    known = torch.tensor([2, 0, 7])
    other_histories = training_data_of([[1], [2], []], ITEMS).sequences
    scores = model.scores(QueryBatch(known, other_histories), model.item_vectors())
    torch.testing.assert_close(scores, vectors.users[known] @ vectors.items.T)
    assert scores.shape == (3, ITEMS) and vectors.users.shape[1] == DIMENSION
