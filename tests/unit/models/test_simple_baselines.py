"""The simple baselines beyond the paper, each against a dense reference that is written for reading."""

import math

import numpy as np
import pytest
import torch
from support import CPU, model_of, random_rows, training_data_of

from createrec.data.batch import EdgeBatch, QueryBatch
from createrec.models.item_table import distinct_items

USERS, ITEMS = 30, 16
HISTORIES = [*random_rows(20, ITEMS, seed=4, shortest=1, longest=6), [], [3, 5, 3]]


@pytest.fixture(scope="module")
def rows():
    """Item lists, one with a repeat; the last item is nobody's."""
    made = random_rows(USERS, ITEMS - 1, seed=3, shortest=1, longest=9)
    made[2] = [*made[2], made[2][0]]
    return made


def fitted(rows, kind, **settings):
    model = model_of(training_data_of(rows, ITEMS), kind, **settings)
    model.fit()
    return model.eval()


def scores(model, histories=HISTORIES):
    """Scores of users whom training never saw."""
    queries = QueryBatch(torch.full((len(histories),), -1), training_data_of(histories, ITEMS).sequences)
    with torch.no_grad():
        return model.scores(queries, model.item_vectors()).double().numpy()


def dense(rows):
    matrix = np.zeros((len(rows), ITEMS))
    for user, row in enumerate(rows):
        matrix[user, row] = 1
    return matrix


def counts(rows):
    return np.bincount([item for row in rows for item in row], minlength=ITEMS)


def with_popularity_for_nobody(expected, rows):
    expected[[not history for history in HISTORIES]] = counts(rows)
    return expected


def test_popular_gives_everyone_the_training_counts(rows):
    assert np.array_equal(scores(fitted(rows, "popular")), np.tile(counts(rows), (len(HISTORIES), 1)))


@pytest.mark.parametrize(("window", "weight"), [(1, 0.0), (1, 0.01), (3, 0.5)])
def test_markov_equals_counting(rows, window, weight):
    transitions = np.zeros((ITEMS, ITEMS))
    for row in rows:
        for place, item in enumerate(row):
            for distance in range(1, window + 1):
                if place + distance < len(row):
                    transitions[item, row[place + distance]] += 1 / distance
    totals = transitions.sum(1, keepdims=True)
    share = np.divide(transitions, totals, out=np.zeros_like(transitions), where=totals > 0)
    share += weight * counts(rows) / counts(rows).sum()
    expected = np.array([share[history[-1]] if history else np.zeros(ITEMS) for history in HISTORIES])
    found = scores(fitted(rows, "markov", window=window, popularity_weight=weight))
    np.testing.assert_allclose(found, with_popularity_for_nobody(expected, rows), atol=1e-6)


def test_a_pair_of_neighbouring_users_is_no_transition():
    table = fitted([[0, 1], [2, 3]], "markov", popularity_weight=0.0).table
    assert table.nonzero().tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("neighbours", "shrinkage"), [(3, 0.0), (5, 2.5), (100, 0.0)])
def test_itemknn_equals_brute_force(rows, neighbours, shrinkage):
    users = [{user for user, row in enumerate(rows) if item in row} for item in range(ITEMS)]
    similarity = np.zeros((ITEMS, ITEMS))
    for i in range(ITEMS):
        for j in range(ITEMS):
            both = len(users[i] & users[j])
            if i != j and both:
                similarity[i, j] = both / (math.sqrt(len(users[i]) * len(users[j])) + shrinkage)
    expected = np.zeros((len(HISTORIES), ITEMS))
    for query, history in enumerate(HISTORIES):
        for j in range(ITEMS):
            near = sorted(range(ITEMS), key=lambda i, j=j: (-similarity[i, j], i))[:neighbours]
            expected[query, j] = sum(similarity[i, j] for i in set(history) & set(near))
    found = scores(fitted(rows, "itemknn", neighbours=neighbours, shrinkage=shrinkage))
    np.testing.assert_allclose(found, with_popularity_for_nobody(expected, rows), atol=1e-6)


@pytest.mark.parametrize("l2", [0.5, 20.0])
def test_ease_solves_its_normal_equations(rows, l2):
    """Each column: least squares with l2 over all other items, which is what the constraint on the diagonal means."""
    matrix = dense(rows)
    weights = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        others = [other for other in range(ITEMS) if other != item]
        inputs = matrix[:, others]
        weights[others, item] = np.linalg.solve(inputs.T @ inputs + l2 * np.eye(ITEMS - 1), inputs.T @ matrix[:, item])
    model = fitted(rows, "ease", l2=l2)
    np.testing.assert_allclose(model.table.numpy(), weights, atol=1e-5)
    expected = with_popularity_for_nobody(dense(HISTORIES) @ weights, rows)
    np.testing.assert_allclose(scores(model), expected, atol=1e-5)


def test_a_repeated_item_is_read_once():
    found = distinct_items(training_data_of([[3, 5, 3], [], [1]], ITEMS).sequences, ITEMS)
    assert (found.values.tolist(), found.offsets.tolist()) == ([3, 5, 1], [0, 2, 2, 3])


def test_bprmf_loss_is_the_pairwise_loss_of_plain_products(rows):
    model = model_of(training_data_of(rows, ITEMS), "bprmf", l2=0.1)
    users, items = torch.tensor([0, 1, 5]), torch.tensor([rows[0][0], rows[1][0], rows[5][0]])
    state = model.randomness.state()
    found = model.graph.global_loss(EdgeBatch(users, items), model.item_table, users[:0]).loss
    model.randomness.load_state(state)
    from createrec.data.graph import draw_non_neighbours

    generator = model.randomness.generator("negatives/graph")
    negatives = draw_non_neighbours(users, model.graph.edge_keys, ITEMS, generator)
    e_u, e_i, e_j = model.graph.user_table[users], model.item_table[items], model.item_table[negatives]
    difference = (e_u * e_i).sum(1) - (e_u * e_j).sum(1)
    squares = sum(vectors.square().sum() for vectors in (e_u, e_i, e_j)) / (2 * len(users))
    expected = -torch.log(torch.sigmoid(difference)).mean() + 0.1 * squares
    torch.testing.assert_close(found, expected)
    assert all(negative not in rows[user] for user, negative in zip(users.tolist(), negatives.tolist(), strict=True))


def test_bprmf_scores_are_products_of_the_tables(rows):
    model = model_of(training_data_of(rows, ITEMS), "bprmf").eval()
    queries = QueryBatch(torch.tensor([0, 4]), training_data_of([[1], [2]], ITEMS).sequences)
    expected = model.graph.user_table[[0, 4]] @ model.item_table.T
    torch.testing.assert_close(model.scores(queries, model.item_vectors()), expected)
    assert model.item_table.device == CPU
