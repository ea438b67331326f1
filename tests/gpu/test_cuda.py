"""On a CUDA device: captured steps against eager ones, and rankings against the CPU's.

Tolerances: products of float32 are summed in another order (and scattered additions in no fixed one), so losses agree
to about 1e-3 after a few epochs and ranks but for near ties.
"""

import numpy as np
import pytest
import torch
from support import ALIGNMENTS, GRAPHS, SEQUENCES, TRAINABLE, run_of, small_split, typed_settings

from createrec.config import EvaluationConfig
from createrec.evaluation.ranking import rank
from createrec.models.registry import build_model
from createrec.ops.ranking import target_ranks, top_items
from createrec.randomness import Randomness
from createrec.runs.run import load_trained, save_trained, train_run, training_data
from createrec.training.trainer import train

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cuda():
    return torch.device("cuda", 0)


@pytest.fixture(scope="module")
def made():
    return small_split(users=300, items=120)


def trained(made, kind, device, capture, **overrides):
    settings = typed_settings(kind, training={"epochs": 3}, **overrides)
    randomness = Randomness(0, device)
    model = build_model(settings, training_data(made, "test", device), randomness)
    progress = train(model, settings.training, randomness, capture=capture)
    return model, [entry["losses"] for entry in progress.history]


def assert_close(first, second):
    for one, two in zip(first, second, strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert value == pytest.approx(two[name], rel=2e-3), name


def without_chance(kind):
    """Settings under which the layout alone differs: dropout and masking are drawn a token, in another order."""
    if kind == "create":
        return {"sequence": {"kind": "sasrec", "dropout": 0.0}}
    if kind == "bert4rec":
        return {"dropout": 0.0, "mask_probability": 1 - 1e-9}
    return {"dropout": 0.0} if kind == "sasrec" else {}


@pytest.mark.parametrize("kind", TRAINABLE)
def test_a_captured_step_equals_an_eager_one(made, cuda, kind):
    overrides = without_chance(kind)
    captured, first = trained(made, kind, cuda, True, **overrides)
    eager, second = trained(made, kind, cuda, False, **overrides)
    assert_close(first, second)
    torch.testing.assert_close(captured.item_table, eager.item_table, rtol=0, atol=5e-3)


@pytest.mark.parametrize("kind", ["sasrec", "create"])
def test_the_device_trains_like_the_cpu(made, cuda, kind):
    """Without negatives or dropout nothing is drawn but the order, and the first epoch sees the same start."""
    overrides = (
        {"dropout": 0.0}
        if kind == "sasrec"
        else {
            "sequence": {"kind": "sasrec", "dropout": 0.0},
            "global_weight": 0.0,
            "warmup_epochs": 0,
        }
    )
    _, ours = trained(made, kind, cuda, True, **overrides)
    _, theirs = trained(made, kind, CPU, False, **overrides)
    for one, two in zip(ours, theirs, strict=True):
        assert one["local"] == pytest.approx(two["local"], rel=0.05)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_every_combination_is_captured(made, cuda, sequence, graph, alignment):
    parts = {"sequence": {"kind": sequence}, "graph": {"kind": graph}, "alignment": {"kind": alignment}}
    _, losses = trained(made, "create", cuda, True, **parts)
    assert all(np.isfinite(value) for entry in losses for value in entry.values())
    assert losses[-1]["local"] < losses[2]["local"]


@pytest.mark.parametrize("kind", ["full", "scalable", "sampled", "binary"])
def test_every_loss_is_captured(made, cuda, kind):
    _, losses = trained(made, "sasrec", cuda, True, loss={"kind": kind})
    assert all(np.isfinite(entry["local"]) for entry in losses)


@pytest.mark.parametrize("kind", (*TRAINABLE, "svd"))
def test_ranking_equals_the_cpus(made, cuda, kind, tmp_path):
    run = run_of(kind, fold="test", **({"rank": 8, "fold_in": True} if kind == "svd" else {}))
    model, facts = train_run(run, made, CPU)
    save_trained(model, facts, tmp_path / "model.safetensors", tmp_path / "training.json")
    queries = made.queries("test", EvaluationConfig())
    found = []
    for device in (CPU, cuda):
        loaded = load_trained(tmp_path / "model.safetensors", run, made, device)
        found.append(rank(loaded, queries, remove_seen=True, k=10))
    ours, theirs = found
    assert (ours.ranks == theirs.ranks).mean() > 0.98
    assert np.abs(ours.ranks - theirs.ranks).max() <= 2
    assert (ours.top == theirs.top).mean() > 0.98


def test_ties_are_broken_by_index_on_the_device(cuda):
    scores = torch.randint(5, (20, 900), generator=torch.Generator().manual_seed(0)).float()
    scores[torch.rand(scores.shape) < 0.3] = -torch.inf
    assert torch.equal(top_items(scores.to(cuda), 30).cpu(), top_items(scores, 30))
    targets = torch.arange(20)
    assert torch.equal(target_ranks(scores.to(cuda), targets.to(cuda)).cpu(), target_ranks(scores, targets))


@pytest.mark.parametrize("kind", ["sasrec", "create"])
def test_a_run_goes_on_from_its_checkpoint(made, cuda, kind, tmp_path):
    """With dropout and negatives: chance, too, goes on where it was."""

    class StopError(Exception):
        pass

    def stop(entry):
        if entry["epoch"] == 2:
            raise StopError

    run = run_of(kind, training={"epochs": 4})
    _, whole = train_run(run, made, cuda)
    options = {"checkpoint_folder": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(StopError):
        train_run(run, made, cuda, report=stop, **options)
    _, resumed = train_run(run, made, cuda, **options)
    assert_close([entry["losses"] for entry in whole["history"]], [entry["losses"] for entry in resumed["history"]])
