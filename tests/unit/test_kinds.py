"""The catalogue of kinds: what is declared once, what follows from it, and kinds from outside the package."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch
from support import training_data_of

from createrec.config import (
    BinaryCrossEntropyConfig,
    ModelSettings,
    SequenceEncoderConfig,
    SequenceLossConfig,
    load,
    merge,
    read_yaml,
    validate,
)
from createrec.errors import ConfigError
from createrec.kinds import CATALOGUE, implementation, kind, kind_of, of_role, part_kind
from createrec.losses.cross_entropy import sequence_loss
from createrec.models.graph_encoder import GraphEncoder
from createrec.models.registry import build_model
from createrec.models.sequence_encoder import SequenceEncoder
from createrec.paper.names import ALIGNMENTS, PAPER_MODELS, model_name
from createrec.plan import make_run, resolve
from createrec.randomness import Randomness
from createrec.runs.run import run_of_slice

CONFIG = Path(__file__).parents[2] / "config.yaml"
BASES = {"sequence": SequenceEncoder, "graph": GraphEncoder}
DATA = training_data_of([[0, 1, 2], [3, 4], [1, 2, 3, 4]], 6)


def model_settings(**settings):
    return validate({"model": settings}, "test", ModelSettings).model


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=[f"{role} {name}" for role, name in CATALOGUE])
def test_an_entry_names_settings_and_code_of_its_role(entry):
    settings = entry.settings()
    assert (settings.kind, kind_of(settings)) == (entry.name, entry)
    if entry.code is not None:
        found = entry.load()
        assert callable(found)
        assert issubclass(found, BASES[entry.role]) if entry.role in BASES else True


def test_every_encoder_is_a_model_alone():
    for role in BASES:
        for name, encoder in of_role(role).items():
            alone = CATALOGUE["model", name]
            assert alone.encoder == encoder
            assert kind_of(alone.settings(), role) == encoder
            assert set(alone.settings.model_fields) == {*encoder.settings.model_fields, "dimension", "training"}


def test_names_for_people_follow():
    assert PAPER_MODELS["selfgnn"] == "Self-GNN"
    assert (PAPER_MODELS["loom"], model_name("loom")) == ("LOOM", "LOOM (reconstruction)")
    assert ALIGNMENTS == {
        "none": "None",
        "contrastive": "Contrastive",
        "barlow": "Barlow Twins",
        "sequential": "Sequential model",
    }


def test_a_model_that_no_entry_of_the_configuration_names_has_its_defaults():
    settings = read_yaml(CONFIG)
    del settings["models"]["loom"]
    settings["table3"]["models"].remove("loom")
    settings["tuning"]["spaces"].pop("loom")
    assert validate(settings).models["loom"] == CATALOGUE["model", "loom"].settings()


def test_the_catalogue_and_the_configuration_load_no_torch():
    code = "import sys, createrec.config, createrec.provenance, createrec.plan; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- nothing unknown falls through --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"kind": "sasrecc"}, CATALOGUE["model", "sasrec"].name),
        ({"kind": "create", "sequence": {"kind": "lstm"}}, "bert4rec"),
        ({"kind": "create", "graph": {"kind": "gat"}}, "ultragcn"),
        ({"kind": "create", "alignment": {"kind": "cca"}}, "contrastive"),
        ({"kind": "sasrec", "loss": {"kind": "hinge"}}, "scalable"),
    ],
)
def test_an_unknown_kind_is_an_error_that_names_the_known_ones(settings, known):
    with pytest.raises(ConfigError, match=known):
        model_settings(**settings)


@pytest.mark.parametrize("role", ["loss", "sequence", "graph", "alignment", "model"])
def test_plain_settings_of_an_unknown_kind_are_an_error_too(role):
    with pytest.raises(ConfigError, match=f"unknown .*'other'; known: {', '.join(of_role(role))}$"):
        part_kind(role, {"kind": "other"})


def test_a_loss_without_an_entry_is_no_other_loss():
    class NobodysLoss(SequenceLossConfig):
        kind: Literal["nobodys"] = "nobodys"
        negatives: int = 1

    inputs = torch.ones(1, 2), torch.ones(3, 2), torch.tensor([1]), torch.Generator()
    with pytest.raises(ConfigError, match=r"NobodysLoss: .*known: binary, full, full_bfloat16, sampled, scalable"):
        sequence_loss(NobodysLoss(), *inputs)
    assert float(sequence_loss(BinaryCrossEntropyConfig(), *inputs)) > 0


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"ablations": {"backbone": {"sequences": ["lstm"]}}}, ["ablations.backbone.sequences.0", "sasrec, bert4rec"]),
        ({"ablations": {"backbone": {"graphs": ["gat"]}}}, ["ablations.backbone.graphs.0", "lightgcn, ultragcn"]),
        ({"ablations": {"alignment": {"alignments": ["cca"]}}}, ["alignments.0", "none, contrastive, barlow"]),
    ],
)
def test_the_choices_of_the_ablations_are_those_of_the_catalogue(part, words):
    with pytest.raises(ConfigError) as caught:
        validate(merge(read_yaml(CONFIG), part))
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_kind_behind_the_choice_of_its_role_is_refused():
    with pytest.raises(TypeError, match="LateConfig is declared behind the choice"):

        @kind("sequence", "Late", "somewhere:Late")
        class LateConfig(SequenceEncoderConfig):
            kind: Literal["late"] = "late"

    assert "late" not in of_role("sequence")


# --- from outside -------------------------------------------------------------------------------------------------

OUTSIDE = """
from createrec.config import AlignmentConfig, SequenceEncoderConfig, SequenceLossConfig, TrainableConfig
from createrec.losses.cross_entropy import full_cross_entropy
from createrec.models.sasrec import SASRecEncoder
from createrec.config import SASRecEncoderConfig


class MyEncoderConfig(SASRecEncoderConfig):
    kind: str = "mine"
    extra: int = 3


class MyEncoder(SASRecEncoder):
    def __init__(self, config: MyEncoderConfig, dimension, item_count, randomness):
        super().__init__(config, dimension, item_count, randomness)


class MyLossConfig(SequenceLossConfig):
    factor: float = 2.0


def my_loss(states, table, targets, config: MyLossConfig, generator, weights=None):
    return config.factor * full_cross_entropy(states, table, targets, config, generator, weights)


class MyAlignmentConfig(AlignmentConfig):
    weight: float = 0.5


def my_alignment(local, graph, config: MyAlignmentConfig):
    return (local - graph).square().mean()


def no_settings(local, graph, config):
    return 0
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module of somebody else's, importable; its name."""
    name = f"outside_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_an_encoder_from_outside_is_planned_trained_and_written_down(outside):
    code = f"{outside}:MyEncoder"
    overlay = {"hparams": None, "models": {"mine": {"code": code, "heads": 1}, "both": {"kind": "create"}}}
    overlay["models"]["both"]["sequence"] = {"code": code}
    config = validate(merge(read_yaml(CONFIG), overlay))
    alone = make_run(config, "amazon-beauty", "mine")
    assert (alone.settings["kind"], alone.settings["code"], alone.settings["extra"]) == ("mine", code, 3)
    assert (alone.settings["heads"], alone.settings["max_length"]) == (1, 50)
    both = resolve(config, "amazon-beauty", "both")
    assert both["sequence"]["code"] == code
    assert both["sequence"]["heads"] == 1, "CREATE builds on the settings of its encoder's own model"
    again = run_of_slice(alone.slice())
    model = build_model(model_settings(**again.settings), DATA, Randomness(0))
    assert type(model.sequence).__name__ == "MyEncoder"
    assert model_settings(**again.settings).model_dump(mode="json") == again.settings


def test_a_loss_and_an_alignment_from_outside(outside):
    settings = {"kind": "create", "dimension": 4, "alignment": {"code": f"{outside}:my_alignment"}}
    settings["sequence"] = {"kind": "sasrec", "max_length": 5, "loss": {"code": f"{outside}:my_loss"}}
    config = model_settings(**settings)
    model = build_model(config, DATA, Randomness(0))
    assert model.phases()[1].weights["my_alignment"] == 0.5
    twice = implementation(config.sequence.loss)
    inputs = torch.ones(1, 2), torch.eye(3, 2), torch.tensor([1])
    ones = model_settings(kind="sasrec").loss
    assert float(twice(*inputs, config.sequence.loss, None)) == 2 * float(implementation(ones)(*inputs, ones, None))
    assert sequence_loss(config.sequence.loss, *inputs, None) == twice(*inputs, config.sequence.loss, None)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("{0}:Nothing", "cannot be imported .*Nothing"),
        ("nowhere.at_all:Encoder", "cannot be imported .*nowhere.*on PYTHONPATH"),
        ("{0}:no_settings", "is no alignment; expected .* annotated with a subclass of AlignmentConfig"),
        ("{0}:my_loss", "is no alignment"),
        ("{0}", "cannot be imported"),
    ],
)
def test_code_that_is_not_there_or_of_another_role_is_explained(outside, code, message):
    with pytest.raises(ConfigError, match=f"(?s)alignment.*{message}"):
        model_settings(kind="create", alignment={"code": code.format(outside)})


def test_a_wrong_setting_of_a_kind_from_outside_is_named(outside):
    with pytest.raises(ConfigError, match=r"(?s)model.*extra.*integer"):
        model_settings(code=f"{outside}:MyEncoder", extra="many")


def test_a_part_whose_code_changes_is_replaced_whole():
    base = {"sequence": {"kind": "mine", "code": "a:B", "x": 1}}
    assert merge(base, {"sequence": {"code": "a:C"}}) == {"sequence": {"code": "a:C"}}
    assert merge(base, {"sequence": {"kind": "mine", "x": 2}})["sequence"] == {"kind": "mine", "code": "a:B", "x": 2}
    assert merge({"sequence": {"kind": "sasrec", "heads": 1}}, base) == base


def test_the_projects_configuration_names_every_kind_of_model():
    assert set(load([CONFIG]).models) >= set(of_role("model"))
