"""A run from its slice to its files: what it reads, what it writes, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import CPU, TRAINABLE, run_of, same_state, small_split

from createrec.config import EvaluationConfig, TrainingConfig
from createrec.errors import CheckpointError, ConfigError, DataError
from createrec.evaluation.ranking import query_batch
from createrec.runs.run import (
    CHECKPOINT,
    load_trained,
    model_settings,
    run_of_slice,
    save_trained,
    train_run,
    training_data,
    validation,
)

EVERYTHING = (*TRAINABLE, "random", "poprnd", "svd", "popular", "markov", "itemknn", "ease")


@pytest.fixture(scope="module")
def made():
    return small_split()


def test_training_data_is_the_folds_rows(made):
    for fold in ("validation", "test"):
        data = training_data(made, fold, CPU)
        mask = made.training_rows(fold)
        assert data.sequences.values.tolist() == made.items[mask].tolist()
        assert data.times.tolist() == made.times[mask].tolist()
        assert data.row_users().tolist() == made.row_user[mask].tolist()
        assert data.sequences.lengths.tolist() == made.lengths(fold)[0].tolist()
        assert data.item_counts().tolist() == np.bincount(made.items[mask], minlength=made.item_count).tolist()


def perturbed(made, learnt):
    """The split with every row that a fold may not learn from replaced."""
    hidden = made.position >= learnt[made.row_user]
    items = np.where(hidden, (made.items + 7) % made.item_count, made.items)
    assert hidden.any()
    return replace(made, items=items, times=np.where(hidden, made.times + 1, made.times))


@pytest.mark.parametrize("kind", TRAINABLE)
def test_a_validation_run_reads_no_row_after_the_test_cut(made, kind):
    """All rows after the cut change: same training, same validation, same choice of epoch."""
    run = run_of(kind)
    first_model, first = train_run(run, made, CPU)
    second_model, second = train_run(run, perturbed(made, made.train_validation_length), CPU)
    assert same_state(first_model.state_dict(), second_model.state_dict())
    assert [(e["losses"], e["validation"]) for e in first["history"]] == [
        (e["losses"], e["validation"]) for e in second["history"]
    ]
    assert first["best_epoch"] == second["best_epoch"] is not None


@pytest.mark.parametrize("kind", TRAINABLE)
@pytest.mark.parametrize("fold", ["validation", "test"])
def test_training_reads_no_row_that_it_is_asked_about(made, kind, fold):
    """Rows behind the fold's own cut change: the losses of all epochs stay."""
    run = run_of(kind, fold=fold)
    _, first = train_run(run, made, CPU)
    _, second = train_run(run, perturbed(made, made.lengths(fold)[0]), CPU)
    assert [e["losses"] for e in first["history"]] == [e["losses"] for e in second["history"]]


def test_a_test_run_does_not_validate_and_trains_its_epochs(made):
    _, facts = train_run(run_of("sasrec", fold="test"), made, CPU)
    assert [entry["validation"] for entry in facts["history"]] == [None] * 3
    assert facts["best_epoch"] is None


def test_validation_is_the_metric_of_the_validation_queries(made):
    run = run_of("sasrec")
    model, facts = train_run(run, made, CPU)
    best = facts["history"][facts["best_epoch"]]["validation"]
    assert validation(model, made, run)() == best, "the model is the best epoch's"


def test_no_validation_query_is_explained(made):
    nobody = replace(made, train_length=made.train_validation_length)
    with pytest.raises(DataError, match="no validation query"):
        train_run(run_of("sasrec"), nobody, CPU)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_save_and_load(made, kind, tmp_path):
    run = run_of(kind, fold="test", **({"rank": 5} if kind == "svd" else {}))
    model, facts = train_run(run, made, CPU, checkpoint_folder=tmp_path, checkpoint_seconds=0.0)
    assert (tmp_path / CHECKPOINT).exists() == (kind in TRAINABLE)
    save_trained(model, facts, tmp_path / "model.safetensors", tmp_path / "training.json")
    assert not (tmp_path / CHECKPOINT).exists()
    loaded = load_trained(tmp_path / "model.safetensors", run, made, CPU)
    assert same_state(model.state_dict(), loaded.state_dict())
    assert not loaded.training
    written = json.loads((tmp_path / "training.json").read_text())
    assert run_of_slice(written["run"]) == run
    assert written["split_hash"] == made.hash
    assert written["parameters"] == sum(p.numel() for p in model.parameters())


def test_a_model_of_another_split_or_shape_is_refused(made, tmp_path):
    run, path = run_of("sasrec", fold="test"), tmp_path / "model.safetensors"
    model, facts = train_run(run, made, CPU)
    save_trained(model, facts, path, tmp_path / "training.json")
    with pytest.raises(CheckpointError, match="another split"):
        load_trained(path, run, small_split(seed=1), CPU)
    with pytest.raises(CheckpointError, match="does not hold the model"):
        load_trained(path, run_of("sasrec", fold="test", dimension=16), made, CPU)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: does not hold"):
        load_trained(path, run, made, CPU)
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        load_trained(tmp_path / "none.safetensors", run, made, CPU)


@pytest.mark.parametrize("change", [{"dropout": 0.1}, {"seed": 1}, {"fold": "test"}, {}], ids=str)
def test_a_killed_training_whose_settings_or_code_changed_starts_afresh(made, tmp_path, monkeypatch, capsys, change):
    other = run_of("sasrec", **change)
    expected = train_run(other, made, CPU)[0].state_dict()
    train_run(run_of("sasrec"), made, CPU, checkpoint_folder=tmp_path, checkpoint_seconds=0.0)
    if not change:
        monkeypatch.setattr("createrec.runs.run.training_version", lambda settings, validates: "another")
    capsys.readouterr()
    model, facts = train_run(other, made, CPU, checkpoint_folder=tmp_path, checkpoint_seconds=0.0)
    assert "another run's (other settings, data or code); this run starts afresh" in capsys.readouterr().err
    assert same_state(model.state_dict(), expected)
    assert [entry["epoch"] for entry in facts["history"]] == list(range(len(facts["history"])))


def test_a_slice_goes_there_and_back():
    run = run_of("create")
    assert run_of_slice(json.loads(json.dumps(run.slice()))) == run


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sead": 1}, "sead"),
        ({"fold": "tset"}, "fold is 'tset', expected test or validation"),
        ({"setup": "loo"}, "setup is 'loo'"),
        ({"evaluation": {"targt": "last"}}, "targt"),
    ],
)
def test_a_wrong_slice_names_what_is_wrong(change, message):
    with pytest.raises(ConfigError, match=message):
        run_of_slice({**run_of("sasrec").slice(), **change})
    without = run_of("sasrec").slice()
    del without["seed"]
    with pytest.raises(ConfigError, match="seed"):
        run_of_slice(without)


def test_wrong_settings_name_the_key():
    run = run_of("sasrec")
    with pytest.raises(ConfigError, match="dropuot"):
        model_settings(replace(run, settings={**run.settings, "dropuot": 0.1}))
    with pytest.raises(ConfigError, match="null"):
        train_run(replace(run, settings={**run.settings, "max_length": None}), small_split(), CPU)


def test_the_rules_give_a_training_no_switches_of_the_evaluation(made):
    """As the workflow does for test runs: the evaluation's part is empty, the model is the same."""
    run = run_of("sasrec", fold="test")
    bare = run_of_slice({**run.slice(), "evaluation": {}})
    first, second = train_run(run, made, CPU)[0], train_run(bare, made, CPU)[0]
    assert same_state(first.state_dict(), second.state_dict())


# --- every setting does something -----------------------------------------------------------------------------------

CHANGES = {
    "sasrec": {
        "dimension": 16,
        "max_length": 3,
        "blocks": 1,
        "heads": 4,
        "dropout": 0.0,
        "loss": {"kind": "binary"},
        "block_order": "pre_norm",
        "positions": "oldest",
        "feedforward_factor": 2,
    },
    "bert4rec": {
        "dimension": 16,
        "max_length": 3,
        "blocks": 1,
        "heads": 4,
        "dropout": 0.0,
        "loss": {"kind": "sampled", "negatives": 5},
        "positions": "oldest",
        "mask_probability": 0.5,
        "feedforward_factor": 2,
        "attention_dropout": 0.0,
        "inner_dropout": 0.0,
        "attention_start": "normal",
    },
    "lightgcn": {"dimension": 16, "graph_last": 2, "graph_percent": 50, "layers": 1, "l2": 1.0},
    "ultragcn": {
        "dimension": 16,
        "graph_last": 2,
        "graph_percent": 50,
        "negatives": 3,
        "negatives_shared_by": 1,
        "initial_std": 0.02,
        "negative_weight": 1.0,
        "positive_base_weight": 1.0,
        "positive_degree_weight": 0.5,
        "negative_base_weight": 1.0,
        "negative_degree_weight": 0.5,
        "item_weight": 5.0,
        "item_neighbours": 2,
        "l2": 1.0,
    },
    "create": {
        "dimension": 16,
        "sequence": {"kind": "bert4rec"},
        "graph": {"kind": "lightgcn"},
        "alignment": {"kind": "none"},
        "warmup_epochs": 0,
        "global_weight": 0.7,
    },
    "svd": {"rank": 3, "popularity_scaling": 1.0, "fold_in": True},
    "popular": {},
    "markov": {"window": 3, "popularity_weight": 1.0},
    "itemknn": {"neighbours": 2, "shrinkage": 5.0},
    "ease": {"l2": 1.0},
    "bprmf": {"dimension": 16, "graph_last": 2, "graph_percent": 50, "l2": 1.0},
}
TRAINING = {
    "epochs": 2,
    "batch_size": 4,
    "edge_batch_size": 8,
    "learning_rate": 0.1,
    "beta2": 0.5,
    "weight_decay": 0.5,
    "gradient_clip": 1e-3,
}
# Keys that all trainable models share, where they say nothing to a model with one half.
SILENT = {
    ("lightgcn", "batch_size"),
    ("ultragcn", "batch_size"),
    ("bprmf", "batch_size"),
    ("sasrec", "edge_batch_size"),
    ("bert4rec", "edge_batch_size"),
}


def outcome(made, kind, **overrides):
    run = run_of(kind, fold="test", **overrides)
    model, facts = train_run(run, made, CPU)
    queries = made.queries("test", EvaluationConfig())
    model.eval()
    with torch.no_grad():
        scores = model.scores(query_batch(queries, slice(0, len(queries)), CPU), model.item_vectors())
    return [entry["losses"] for entry in facts["history"]], scores.tolist()


def cases():
    for kind, changes in CHANGES.items():
        for key, value in changes.items():
            yield pytest.param(kind, {key: value}, id=f"{kind}-{key}")
        for key, value in (TRAINING if kind in TRAINABLE else {}).items():
            if (kind, key) not in SILENT:
                yield pytest.param(kind, {"training": {key: value}}, id=f"{kind}-training.{key}")


@pytest.mark.parametrize(("kind", "change"), list(cases()))
def test_every_setting_changes_something(made, kind, change):
    base = {"rank": 5} if kind == "svd" else {}
    assert outcome(made, kind, **(base | change)) != outcome(made, kind, **base)


@pytest.mark.parametrize("kind", CHANGES)
def test_the_list_above_holds_every_setting(kind):
    fields = set(type(model_settings(run_of(kind))).model_fields) - {"kind", "training"}
    assert fields == set(CHANGES[kind])


def test_the_list_above_holds_every_setting_of_the_training():
    """All but `patience`, which only runs that stop early read; `test_trainer` shows how."""
    assert set(TRAINING) | {"patience"} == set(TrainingConfig.model_fields)
