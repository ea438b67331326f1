"""What GSAU, MRGSRec, Self-GNN and LOOM have in common: they learn by heart, resume, and stand what is missing."""

from dataclasses import replace

import pytest
import torch
from multi_support import SETTINGS, disjoint_data, disjoint_rows, first_batch, queries_of, small_model
from support import random_rows, same_state, training_data_of

from createrec.ops.ranking import remove_seen_
from createrec.training.trainer import CheckpointPlan, train

ITEMS = 25
VARIANTS = [
    ("gsau", {}),
    ("gsau", {"sequence_alignment": "distance"}),
    ("mrgsrec", {}),
    ("mrgsrec", {"causal_user_token": True, "layers": 2}),
    ("selfgnn", {}),
    ("selfgnn", {"instance_level": "tokens"}),
    ("loom", {}),
    ("loom", {"recency": None}),
]
NO_DROPOUT = {
    "gsau": {"dropout": 0.0},
    "mrgsrec": {"dropout": 0.0},
    "selfgnn": {"keep_probability": 1.0},
    "loom": {"sequence": {"kind": "sasrec", "dropout": 0.0}},
}


@pytest.fixture(scope="module")
def data():
    """Users without rows and with one row, items that nobody took."""
    return training_data_of([[], [3], *random_rows(20, ITEMS - 3, seed=1, longest=10)], ITEMS)


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_it_learns_a_tiny_dataset_by_heart(kind, overrides):
    # GSAU's softmax has no temperature and a normalised state: it wants many epochs, and big batches.
    gsau = kind == "gsau"
    training = (
        {"epochs": 150, "batch_size": 32, "learning_rate": 0.02} if gsau else {"epochs": 60, "learning_rate": 0.05}
    )
    training["edge_batch_size"], rows = 64, disjoint_rows(8, 5)
    model = small_model(disjoint_data(), kind, dimension=16, training=training, **(NO_DROPOUT[kind] | overrides))
    progress = train(model, model.config.training, model.randomness)
    first, last = (progress.history[epoch]["losses"] for epoch in (0, -1))
    term = "main" if kind == "selfgnn" else "local"
    assert last[term] < 0.25 * first[term]
    model.eval()
    queries = queries_of([row[:-1] for row in rows], list(range(8)))
    with torch.no_grad():
        scores = remove_seen_(model.scores(queries, model.item_vectors()), queries.histories)
    # Squared distance leaves the lengths of the item vectors free, which the score multiplies with.
    best = scores.topk(3 if "sequence_alignment" in overrides else 1).indices
    assert (best == torch.tensor(rows)[:, -1:]).any(1).float().mean() >= 0.8


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_losses_and_scores_are_finite_where_something_is_missing(data, kind, overrides):
    model = small_model(data, kind, **overrides)
    train(model, model.config.training, model.randomness)  # raises where a loss is not finite
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    model.eval()
    queries = queries_of([[], [ITEMS - 1], [], [1, 2, 3] * 5, [4]], [0, 0, 1, 5, -1])
    with torch.no_grad():
        assert model.scores(queries, model.item_vectors()).isfinite().all()


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_an_interrupted_training_goes_on_bit_for_bit(data, kind, overrides, tmp_path):
    def run(epochs, plan=None):
        model = small_model(data, kind, **overrides, training={"epochs": epochs, "batch_size": 40})
        progress = train(model, model.config.training, model.randomness, checkpoint=plan)
        return model, [entry["losses"] for entry in progress.history]

    plan = CheckpointPlan(tmp_path / "checkpoint.safetensors", "same", seconds=0.0)
    run(1, plan)
    resumed, losses = run(2, plan)
    whole, expected = run(2)
    assert losses == expected
    assert same_state(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_scores_of_a_query_do_not_depend_on_its_neighbours(data, kind, overrides):
    model = small_model(data, kind, **overrides).eval()
    histories, users = [[5, 1], [], [7], [2, 9, 4, 11, 3, 0, 1, 8, 6], [1]], [3, 4, -1, 5, 6]
    with torch.no_grad():
        together = model.scores(queries_of(histories, users), model.item_vectors())
        alone = [
            model.scores(queries_of([history], [user]), model.item_vectors())[0]
            for history, user in zip(histories, users, strict=True)
        ]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "overrides"), VARIANTS)
def test_static_batches_give_the_same_losses_and_gradients(data, kind, overrides):
    """What a GPU captures, with dead tokens, is what a CPU computes (chance of the step aside)."""
    results = []
    for static in (False, True):
        # All users in one batch: two draws of one order only differ in their sorting then.
        model = small_model(data, kind, **(NO_DROPOUT[kind] | overrides), training={"batch_size": 1000})
        model.to(torch.float64)
        if kind == "mrgsrec":
            model.sides = tuple(replace(side, values=side.values.double()) for side in model.sides)
        if kind == "loom":
            model.carrier.weights = model.carrier.weights.double()
        batch, phase = first_batch(model, static=static)
        by_chance = {"selfgnn": {"main", "augmentation"}, "gsau": {"uniformity"}}.get(kind, set())
        terms = {name: term for name, term in model.losses(batch, phase).items() if name not in by_chance}
        sum(terms.values()).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((terms, gradients))
    torch.testing.assert_close(results[0], results[1])


def test_vectors_are_kept_in_evaluation_and_forgotten_with_it(data):
    model = small_model(data, "mrgsrec").eval()
    with torch.no_grad():
        first = model.vectors()
        assert model.vectors() is first
        model.user_table += 1
        assert not model.eval().vectors().users.equal(first.users)
        model.train()
        assert model.vectors() is not model.vectors()


def test_every_kind_has_small_settings():
    assert set(SETTINGS) == {kind for kind, _ in VARIANTS}
