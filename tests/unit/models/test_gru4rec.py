"""GRU4Rec against the recurrence written out, its two layouts against each other, and inside CREATE."""

import pytest
import torch
from support import DIMENSION, GRAPHS, MAX_LENGTH, model_of, random_rows, training_data_of

from createrec.data.batch import QueryBatch, SequenceBatch
from createrec.models.sequence_encoder import training_rows
from createrec.training.trainer import train

ITEMS = 20


@pytest.fixture(scope="module")
def data():
    return training_data_of(random_rows(30, ITEMS, seed=3, shortest=2, longest=11), ITEMS)


def made(data, layers, dropout=0.0):
    return model_of(data, "gru4rec", layers=layers, dropout=dropout).double()


def plain(encoder, vectors):
    """r, z, n and h of each layer and step, as in the paper; [tokens, d] of one row."""
    for layer in encoder.layers:
        weights = [getattr(layer, f"{name}_l0").chunk(3) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        h, states = vectors.new_zeros(DIMENSION), []
        for x in vectors:
            (r_in, z_in, n_in), (r_own, z_own, n_own) = (
                [w @ v + b for w, b in zip(weights[side], weights[side + 2], strict=True)]
                for side, v in enumerate((x, h))
            )
            r, z = torch.sigmoid(r_in + r_own), torch.sigmoid(z_in + z_own)
            h = (1 - z) * torch.tanh(n_in + r * n_own) + z * h
            states.append(h)
        vectors = torch.stack(states)
    return vectors


@pytest.mark.parametrize("layers", [1, 2])
def test_states_are_those_of_the_recurrence(data, layers):
    model = made(data, layers)
    packed = training_rows(data.sequences, SequenceBatch(torch.arange(30)), MAX_LENGTH, drop_newest=1)
    states = model.sequence.encode(packed, model.item_table)
    for start, length in zip(packed.starts.tolist(), packed.lengths.tolist(), strict=True):
        rows = slice(start, start + length)
        expected = plain(model.sequence, model.item_table[packed.items[rows]])
        torch.testing.assert_close(states[rows], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 3])
def test_static_shapes_give_the_same_states_and_gradients(data, layers):
    model, found = made(data, layers), []
    for capacity in (None, 300):
        users = torch.arange(29, 1, -1)
        local = model.sequence.local_loss(data.sequences, SequenceBatch(users, capacity), model.item_table, True)
        states = local.states[torch.argsort(local.users)]
        model.zero_grad()
        (local.loss + states.square().sum()).backward()
        found.append([local.loss, states, *(parameter.grad for parameter in model.parameters())])
    for ours, other in zip(*found, strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-12)


def test_dropout_stands_between_layers_alone(data):
    for layers, drops in ((1, False), (2, True)):
        model = made(data, layers, dropout=0.5).train()
        packed = training_rows(data.sequences, SequenceBatch(torch.arange(30)), MAX_LENGTH, drop_newest=1)
        first, second = (model.sequence.encode(packed, model.item_table) for _ in range(2))
        assert torch.equal(first, second) is not drops


def test_it_starts_as_torchs_own_does(data):
    weights = torch.cat([parameter.detach().view(-1) for parameter in made(data, 3).sequence.layers.parameters()])
    bound = DIMENSION**-0.5
    assert bound * 0.99 < float(weights.abs().max()) <= bound
    assert float(weights.std()) == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_trains_inside_create_with_either_graph_encoder(data, graph):
    sequence = {"kind": "gru4rec", "layers": 2}
    model = model_of(data, "create", sequence=sequence, graph={"kind": graph}, training={"epochs": 5})
    progress = train(model, model.config.training, model.randomness)
    joint = [entry["losses"] for entry in progress.history if entry["phase"] == "joint"]
    assert set(joint[0]) == {"local", "global", "barlow"}
    assert joint[-1]["local"] < joint[0]["local"]
    model.eval()
    scores = model.scores(QueryBatch(torch.full((30,), -1), data.sequences), model.item_vectors())
    assert scores.shape == (30, ITEMS) and scores.isfinite().all()
