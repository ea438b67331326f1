"""CREATE as composition: its halves alone, every pairing, toy encoders, and inference without users."""

from typing import Literal

import pytest
import torch
from support import (
    ALIGNMENTS,
    DIMENSION,
    GRAPHS,
    SEQUENCES,
    model_of,
    random_rows,
    same_state,
    training_data_of,
)
from torch import nn

from createrec.config import CreateConfig, ModelSettings, SequenceEncoderConfig, validate
from createrec.data.batch import QueryBatch
from createrec.errors import ConfigError
from createrec.losses.barlow_twins import barlow_twins
from createrec.losses.contrastive import info_nce
from createrec.losses.cross_entropy import sequence_loss
from createrec.models import registry
from createrec.models.graph_encoder import GlobalLoss, GraphEncoder, GraphVectors
from createrec.models.sequence_encoder import LocalLoss, SequenceEncoder, training_rows
from createrec.ops.ragged import pack
from createrec.randomness import Randomness
from createrec.training.batches import Streams
from createrec.training.trainer import train

ITEMS = 25


@pytest.fixture(scope="module")
def data():
    return training_data_of(random_rows(30, ITEMS, seed=1, shortest=0, longest=10), ITEMS)


def trained(data, kind, seed=0, **overrides):
    model = model_of(data, kind, seed, **overrides)
    progress = train(model, model.config.training, model.randomness)
    return model, progress


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_without_graph_alignment_and_warmup_it_is_its_sequence_encoder_bit_for_bit(data, sequence):
    training = {"epochs": 2, "weight_decay": 0.01, "gradient_clip": 1.0}
    alone, progress = trained(data, sequence, training=training)
    whole, other = trained(
        data,
        "create",
        training=training,
        sequence={"kind": sequence},
        alignment={"kind": "none"},
        global_weight=0.0,
        warmup_epochs=0,
    )
    start = model_of(data, sequence)
    assert not torch.equal(start.item_table, alone.item_table), "it has learnt something"
    assert torch.equal(alone.item_table, whole.item_table)
    assert same_state(alone.sequence.state_dict(), whole.sequence.state_dict())
    assert [entry["losses"] for entry in progress.history] == [entry["losses"] for entry in other.history]
    queries = QueryBatch(torch.arange(30), data.sequences)
    alone.eval(), whole.eval()
    assert torch.equal(alone.scores(queries, alone.item_vectors()), whole.scores(queries, whole.item_vectors()))


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_warmup_is_the_graph_encoder_alone(data, graph):
    """Two epochs of warm-up, no joint epoch, from the same item table: the graph model's own training."""
    training = {"epochs": 2}
    alone = model_of(data, graph, training=training)
    settings = {"kind": graph} | ({"negatives": 10} if graph == "ultragcn" else {})
    whole = model_of(data, "create", graph=settings, warmup_epochs=2)
    with torch.no_grad():
        whole.item_table.copy_(alone.item_table)
    warmup, joint = whole.phases()
    assert (warmup.name, warmup.epochs, joint.name) == ("warmup", 2, "joint")
    whole.phases = lambda: (warmup,)
    first = train(alone, alone.config.training, alone.randomness)
    before = {name: value.clone() for name, value in whole.sequence.state_dict().items()}
    second = train(whole, whole.config.training, whole.randomness)
    assert same_state(alone.graph.state_dict(), whole.graph.state_dict())
    assert torch.equal(alone.item_table, whole.item_table)
    assert [entry["losses"] for entry in first.history] == [entry["losses"] for entry in second.history]
    assert same_state(before, whole.sequence.state_dict()), "the sequence encoder rests"


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_every_combination_trains(data, sequence, graph, alignment):
    model, progress = trained(
        data,
        "create",
        sequence={"kind": sequence},
        graph={"kind": graph},
        alignment={"kind": alignment},
        training={"epochs": 1},
    )
    assert [entry["phase"] for entry in progress.history] == ["warmup", "warmup", "joint"]
    expected = {"local", "global"} | ({alignment} if alignment != "none" else set())
    assert set(progress.history[-1]["losses"]) == expected
    assert set(progress.history[0]["losses"]) == {"global"}
    assert all(torch.isfinite(torch.tensor(list(entry["losses"].values()))).all() for entry in progress.history)
    start = model_of(data, "create", sequence={"kind": sequence}, graph={"kind": graph}, alignment={"kind": alignment})
    for (name, after), before in zip(model.named_parameters(), start.parameters(), strict=True):
        assert not torch.equal(after, before), f"{name} was not trained"


def joint_step(model, seed=5):
    joint = model.phases()[-1]
    streams = Streams(model, joint, model.config.training, Randomness(seed), static=False)
    streams.shuffle()
    return streams.batch(0), joint


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", ["barlow", "contrastive"])
def test_alignment_is_between_the_states_and_the_graphs_vectors_of_the_same_users(data, graph, kind):
    """Recomputed with the users one by one, in an order of our own."""
    model = model_of(
        data, "create", graph={"kind": graph}, alignment={"kind": kind}, sequence={"kind": "sasrec", "dropout": 0.0}
    )
    batch, joint = joint_step(model)
    terms = model.losses(batch, joint)
    users = batch.sequences.users.tolist()
    rows = [data.sequences.values[data.sequences.offsets[u] : data.sequences.offsets[u + 1]].tolist() for u in users]
    inputs = training_data_of([row[:-1] for row in rows], ITEMS).sequences
    states = model.sequence.user_states(inputs, model.item_table)
    vectors = model.graph.vectors(model.item_table, torch.tensor(users), torch.arange(0)).users
    settings = model.config.alignment
    expected = barlow_twins(states, vectors, settings) if kind == "barlow" else info_nce(states, vectors, settings)
    torch.testing.assert_close(terms[kind], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alignment", ["barlow", "contrastive"])
def test_alignment_reaches_both_halves(data, alignment):
    model = model_of(data, "create", alignment={"kind": alignment})
    batch, joint = joint_step(model)
    term = model.losses(batch, joint)[alignment]
    grads = torch.autograd.grad(term, [model.graph.user_table, model.item_table, model.sequence.positions])
    assert all(bool((grad != 0).any()) for grad in grads)


@pytest.mark.parametrize(
    ("overrides", "terms", "streams"),
    [
        ({"global_weight": 0.0}, {"local", "barlow"}, ("sequences",)),
        ({"alignment": {"kind": "barlow", "barlow_weight": 0.0}}, {"local", "global"}, ("sequences", "edges")),
        (
            {"alignment": {"kind": "contrastive", "contrastive_weight": 0.0}},
            {"local", "global"},
            ("sequences", "edges"),
        ),
        ({"alignment": {"kind": "none"}, "global_weight": 0.0}, {"local"}, ("sequences",)),
    ],
)
def test_a_term_of_weight_zero_is_not_computed(data, overrides, terms, streams):
    model = model_of(data, "create", **overrides)
    batch, joint = joint_step(model)
    assert joint.streams == streams
    assert set(model.losses(batch, joint)) == terms


def test_the_weights_of_equation_5(data):
    """The step's gradient is local + w_global global + w_BT barlow."""
    model = model_of(data, "create", global_weight=0.37, alignment={"kind": "barlow", "barlow_weight": 0.21})
    assert dict(model.phases()[1].weights) == {"local": 1.0, "global": 0.37, "barlow": 0.21}
    assert dict(model.phases()[0].weights) == {"global": 1.0}
    contrastive = model_of(data, "create", alignment={"kind": "contrastive", "contrastive_weight": 0.4})
    assert contrastive.phases()[1].weights["contrastive"] == 0.4


@pytest.mark.parametrize("graph", GRAPHS)
def test_inference_needs_no_user_table(data, graph):
    model, _ = trained(data, "create", graph={"kind": graph}, training={"epochs": 1})
    model.eval()
    queries = QueryBatch(torch.arange(30), data.sequences)
    before = model.scores(queries, model.item_vectors())
    with torch.no_grad():
        model.graph.user_table.zero_()
    assert torch.equal(model.scores(queries, model.item_vectors()), before)
    strangers = QueryBatch(torch.full((30,), -1), data.sequences)
    assert torch.equal(model.scores(strangers, model.item_vectors()), before)


# --- encoders from outside ----------------------------------------------------------------------------------------


class ToySequenceConfig(SequenceEncoderConfig):
    width: int = 1


class ToySequenceEncoder(SequenceEncoder):
    """A state is a linear map of the item; nothing else."""

    def __init__(self, config: ToySequenceConfig, dimension, item_count, randomness):
        super().__init__(config, dimension, item_count, randomness)
        self.map = nn.Linear(dimension, config.width * dimension)
        self.initialise()

    def encode(self, packed, item_table):
        return self.map(item_table[packed.items])

    def local_loss(self, sequences, batch, item_table, want_states):
        packed = training_rows(sequences, batch, self.max_length, drop_newest=1)
        states = self.encode(packed, item_table)
        generator = self.randomness.generator("negatives/sequence")
        targets = sequences.values[packed.source + 1]
        loss = sequence_loss(self.config.loss, states, item_table, targets, generator)
        return LocalLoss(loss, packed.rows, states[packed.last] if want_states else None)

    def query_tokens(self, histories, rows):
        return pack(histories, rows, self.max_length)


class ToyGraphEncoder(GraphEncoder):
    """Plain matrix factorisation of ones."""

    def vectors(self, item_table, users, items):
        return GraphVectors(self.user_table[users], item_table[items])

    def global_loss(self, edges, item_table, aligned):
        loss = (1 - (self.user_table[edges.users] * item_table[edges.items]).sum(1)).square().mean()
        return GlobalLoss(loss, self.user_table[aligned])


TOY = {"code": f"{__name__}:ToySequenceEncoder", "max_length": 5}
TOY_GRAPH = {"code": f"{__name__}:ToyGraphEncoder"}
SEQUENCE_PARTNERS = [*SEQUENCES, "toy"]
GRAPH_PARTNERS = [*GRAPHS, "toy"]


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(
    ("sequence", "graph"), [(s, g) for s in SEQUENCE_PARTNERS for g in GRAPH_PARTNERS if "toy" in (s, g)]
)
def test_a_toy_encoder_composes_with_every_partner(data, sequence, graph, alignment):
    training = {"epochs": 2, "batch_size": 8, "edge_batch_size": 32, "learning_rate": 0.05}
    settings = {
        "kind": "create",
        "sequence": TOY if sequence == "toy" else {"kind": sequence, "max_length": 5},
        "graph": TOY_GRAPH if graph == "toy" else {"kind": graph},
        "alignment": {"kind": alignment},
        "dimension": DIMENSION,
        "warmup_epochs": 1,
        "training": training,
    }
    config = validate({"model": settings}, "toys", ModelSettings).model
    model = registry.build_model(config, data, Randomness(0))
    progress = train(model, config.training, model.randomness)
    first, last = progress.history[1]["losses"]["local"], progress.history[-1]["losses"]["local"]
    assert last < first, "it learns"
    model.eval()
    scores = model.scores(QueryBatch(torch.arange(30), data.sequences), model.item_vectors())
    assert scores.shape == (30, ITEMS) and scores.isfinite().all()


def test_a_toy_encoder_is_a_model_alone(data):
    config = validate({"model": {**TOY, "dimension": DIMENSION}}, "toy", ModelSettings).model
    model = registry.build_model(config, data, Randomness(0))
    assert isinstance(model.sequence, ToySequenceEncoder)
    assert (config.code, config.max_length, config.dimension) == (TOY["code"], 5, DIMENSION)


class NobodysConfig(SequenceEncoderConfig):
    kind: Literal["nobodys"] = "nobodys"


def test_settings_of_no_kind_are_an_error_that_names_the_known_ones(data):
    config = CreateConfig(sequence=NobodysConfig(max_length=5), dimension=DIMENSION)
    with pytest.raises(ConfigError, match=r"NobodysConfig: the settings of no known kind; known: .*bert4rec.*sasrec"):
        registry.build_model(config, data, Randomness(0))
