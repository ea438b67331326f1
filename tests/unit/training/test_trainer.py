"""Training: the same bits each time, interrupted or not; phases, early stopping, and what is said when it fails."""

import math
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import TRAINABLE, model_of, random_rows, same_state, training_data_of, typed_settings
from torch import nn

from createrec.errors import CheckpointError, TrainingError
from createrec.models.phases import Phase
from createrec.randomness import Randomness
from createrec.training.adamw import AdamW
from createrec.training.schedule import Schedule
from createrec.training.trainer import CheckpointPlan, EpochRunner, make_optimizer, train

ITEMS = 25
EPOCHS = 4  # beside CREATE's two epochs of warm-up


@pytest.fixture(scope="module")
def data():
    return training_data_of(random_rows(30, ITEMS, seed=1, shortest=0, longest=10), ITEMS)


def fresh(data, kind, seed=0, **training):
    return model_of(data, kind, seed, training={"epochs": EPOCHS, **training})


def without_seconds(progress):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in progress.history]


def run_to_the_end(model, **options):
    return train(model, model.config.training, model.randomness, **options)


class StopError(Exception):
    """Stands for a killed process."""


def killed_after(epochs):
    def report(entry):
        if entry["epoch"] == epochs:  # the epoch after the last one that was kept
            raise StopError

    return report


@pytest.mark.parametrize("kind", TRAINABLE)
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(data, kind):
    model = fresh(data, kind)
    first = run_to_the_end(model)
    torch.rand(3)
    again = fresh(data, kind)
    second = run_to_the_end(again)
    assert same_state(model.state_dict(), again.state_dict())
    assert without_seconds(first) == without_seconds(second)
    other = fresh(data, kind, 1)
    run_to_the_end(other)
    assert not torch.equal(model.item_table, other.item_table)


def score_of(model):
    """A made validation metric that depends on the parameters and consumes no chance."""
    return lambda: {"ndcg@10": float(model.item_table.detach().abs().sum() % 1)}


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize(("kind", "kept"), [*((kind, kept) for kind in TRAINABLE for kept in (1, 3)), ("create", 5)])
def test_an_interrupted_run_equals_an_uninterrupted_one_bit_for_bit(data, kind, kept, validated, tmp_path):
    """Killed in the warm-up (CREATE, after one epoch), and later (for CREATE in the joint phase)."""
    whole = fresh(data, kind, patience=50)
    expected = run_to_the_end(whole, validate=score_of(whole) if validated else None)

    plan = CheckpointPlan(tmp_path / "checkpoint.safetensors", "mine", seconds=0.0)
    killed = fresh(data, kind, patience=50)
    options = {"validate": score_of(killed) if validated else None, "checkpoint": plan}
    with pytest.raises(StopError):
        run_to_the_end(killed, report=killed_after(kept), **options)
    torch.rand(11)  # what another process would have done to the default generator
    resumed = fresh(data, kind, patience=50)
    seen = []
    found = run_to_the_end(
        resumed, validate=score_of(resumed) if validated else None, checkpoint=plan, report=seen.append
    )
    assert [entry["epoch"] for entry in seen] == list(range(kept, expected.epochs_done)), "it went on, not afresh"
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert without_seconds(found) == without_seconds(expected)
    assert (found.best_epoch, found.best_value) == (expected.best_epoch, expected.best_value)
    if kind == "create":
        assert [entry["phase"] for entry in found.history] == ["warmup"] * 2 + ["joint"] * EPOCHS


def test_a_finished_run_is_not_trained_again(data, tmp_path):
    plan = CheckpointPlan(tmp_path / "checkpoint.safetensors", "mine", seconds=0.0)
    first, second = fresh(data, "sasrec"), fresh(data, "sasrec")
    run_to_the_end(first, checkpoint=plan)
    progress = run_to_the_end(second, checkpoint=plan, report=lambda entry: pytest.fail("an epoch was run"))
    assert same_state(first.state_dict(), second.state_dict())
    assert progress.epochs_done == EPOCHS


def test_without_time_passed_no_checkpoint_is_written(data, tmp_path):
    plan = CheckpointPlan(tmp_path / "checkpoint.safetensors", "mine", seconds=3600.0)
    run_to_the_end(fresh(data, "sasrec"), checkpoint=plan)
    assert not plan.path.exists()


@pytest.fixture
def checkpoint(data, tmp_path):
    """A checkpoint of a SASRec, and its plan."""
    plan = CheckpointPlan(tmp_path / "checkpoint.safetensors", "mine", seconds=0.0)
    run_to_the_end(fresh(data, "sasrec"), checkpoint=plan)
    return plan


@pytest.mark.parametrize("damage", [b"", b"garbage", "half"])
def test_a_damaged_checkpoint_is_explained(data, checkpoint, damage):
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    with pytest.raises(CheckpointError, match=r"damaged checkpoint.*delete .*checkpoint\.safetensors"):
        run_to_the_end(fresh(data, "sasrec"), checkpoint=checkpoint)


def test_another_runs_checkpoint_is_not_resumed(data, checkpoint, capsys):
    seen = []
    run_to_the_end(
        fresh(data, "sasrec"), checkpoint=CheckpointPlan(checkpoint.path, "theirs", seconds=0.0), report=seen.append
    )
    assert seen[0]["epoch"] == 0
    assert "another run's (other settings, data or code); this run starts afresh" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_is_refused(data, checkpoint):
    with pytest.raises(CheckpointError, match="does not fit the model"):
        run_to_the_end(fresh(data, "lightgcn"), checkpoint=checkpoint)


def test_a_foreign_file_and_a_foreign_format_are_not_resumed(data, checkpoint, capsys):
    tensors = load_file(checkpoint.path)
    for metadata, found in ((None, "has the format none"), ({"format": "99"}, "has the format 99")):
        save_file(tensors, checkpoint.path, metadata=metadata)
        seen = []
        run_to_the_end(fresh(data, "sasrec"), checkpoint=checkpoint, report=seen.append)
        assert seen[0]["epoch"] == 0
        assert found in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "epoch", "phase", "term"),
    [
        ("sasrec", 0, "train", "local"),
        ("create", 0, "warmup", "global"),
        ("create", 2, "joint", "local"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_itself(data, kind, epoch, phase, term):
    model = fresh(data, kind)
    losses = model.losses

    def broken(batch, current):
        terms = losses(batch, current)
        if current.name == phase:
            terms[term] = terms[term] * torch.nan
        return terms

    model.losses = broken
    with pytest.raises(TrainingError, match=rf"epoch {epoch} \({phase}\): the loss term {term}.* is not finite"):
        run_to_the_end(model)


def test_a_learning_rate_that_explodes_is_explained(data):
    model = model_of(data, "sasrec", loss={"kind": "scalable", "bucket_items": 8}, training={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"local is not finite.*learning_rate"):
        run_to_the_end(model)


@pytest.mark.parametrize(
    ("values", "patience", "best", "epochs"),
    [
        ([0.1, 0.3, 0.2, 0.2, 0.9], 2, 1, 4),
        ([0.5, 0.5, 0.5, 0.5], 2, 0, 3),
        ([0.1, 0.2, 0.3, 0.4], 1, 3, 4),
        ([0.4, 0.1, 0.5, 0.1, 0.1], 2, 2, 5),
    ],
)
def test_early_stopping_keeps_the_best_epoch(data, values, patience, best, epochs):
    model = fresh(data, "sasrec", epochs=len(values), patience=patience)
    states, script = [], iter(values)

    def validate():
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"ndcg@10": next(script)}

    progress = run_to_the_end(model, validate=validate)
    assert (progress.best_epoch, progress.best_value) == (best, values[best])
    assert progress.epochs_done == len(progress.history) == epochs
    assert same_state(model.state_dict(), states[best])
    assert [entry["validation"]["ndcg@10"] for entry in progress.history] == values[:epochs]


def test_the_warmup_neither_stops_a_run_nor_is_its_best_epoch(data):
    model = fresh(data, "create", patience=1)
    script = iter([0.9, 0.8, 0.1, 0.2, 0.1])
    progress = run_to_the_end(model, validate=lambda: {"ndcg@10": next(script)})
    assert progress.best_epoch == 3
    assert progress.epochs_done == 5


def test_without_validation_all_epochs_are_run(data):
    progress = run_to_the_end(fresh(data, "sasrec", patience=1))
    assert progress.epochs_done == EPOCHS
    assert progress.best_epoch is None
    assert all(entry["validation"] is None for entry in progress.history)


def test_training_learns_an_obvious_rule():
    """Item i is always followed by i + 1."""
    rows = [[(start + step) % ITEMS for step in range(8)] for start in range(ITEMS)]
    model = model_of(
        training_data_of(rows, ITEMS), "sasrec", dropout=0.0, training={"epochs": 30, "learning_rate": 0.02}
    )
    history = run_to_the_end(model).history
    assert history[0]["losses"]["local"] > 0.8 * math.log(ITEMS)
    assert history[-1]["losses"]["local"] < 0.2


class Line(nn.Module):
    """A model of one number whose every step is known."""

    def __init__(self, data):
        super().__init__()
        self.data, self.x = data, nn.Parameter(torch.tensor(1.0))

    def losses(self, batch, phase):
        return {"a": 2 * self.x, "b": self.x**2}


def test_a_step_follows_the_weighted_sum_and_an_epoch_reports_unweighted_means(data):
    training = typed_settings("sasrec", training={"learning_rate": 0.5}).training
    phase = Phase("train", 1, {"a": 1.0, "b": 3.0}, ("sequences",), 5)
    model = Line(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runner = EpochRunner(model, phase, training, optimizer, Randomness(0), capture=False)
    x, seen = 1.0, []
    for _ in range(runner.streams.steps):
        seen.append((2 * x, x * x))
        x -= 0.1 * (2 + 3 * 2 * x)
    means = runner.epoch()
    assert means["a"] == pytest.approx(sum(a for a, _ in seen) / len(seen), rel=1e-5)
    assert means["b"] == pytest.approx(sum(b for _, b in seen) / len(seen), rel=1e-5)
    assert float(model.x.detach()) == pytest.approx(x, rel=1e-5)


def test_adam_is_decoupled_adam_by_hand(data):
    model = Line(data)
    training = typed_settings("sasrec", training={"learning_rate": 0.1, "beta2": 0.9, "weight_decay": 0.2}).training
    optimizer = make_optimizer(model, training)
    x, m, v = 1.0, 0.0, 0.0
    for step in range(1, 6):
        optimizer.zero_grad()
        (model.x**2).backward()
        optimizer.step()
        grad = 2 * x
        m, v = 0.9 * m + 0.1 * grad, 0.9 * v + 0.1 * grad**2
        x -= 0.1 * 0.2 * x
        x -= 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.9**step)) ** 0.5 + 1e-8)
        assert float(model.x.detach()) == pytest.approx(x, rel=1e-5)


def test_adam_gives_the_bits_of_torchs_class():
    torch.manual_seed(0)
    shapes, betas = ((5, 3), (7,), (2,)), (0.9, 0.98)
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    mine = AdamW(ours, learning_rate=0.1, betas=betas, weight_decay=0.2, capturable=False)
    other = torch.optim.AdamW(theirs, lr=0.1, betas=betas, weight_decay=0.2, fused=True)
    for step in range(4):
        for optimizer in (mine, other):
            optimizer.zero_grad()
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if number <= step < 3 or number == 0:  # the second parameter comes later, the third for one step
                a.grad = torch.randn(a.shape)
                b.grad = a.grad.clone()
        mine.step()
        other.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)
            states = mine.state.get(a, {}), other.state.get(b, {})
            assert sorted(states[0]) == sorted(states[1])
            assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert [int(mine.state[parameter]["step"]) for parameter in ours] == [4, 2, 1]


def test_a_step_of_adam_loads_no_compiler():
    code = """
import sys, torch
from createrec.training.adamw import AdamW
parameter = torch.nn.Parameter(torch.ones(3))
optimizer = AdamW([parameter], learning_rate=0.1, betas=(0.9, 0.98), weight_decay=0.2, capturable=False)
parameter.sum().backward()
torch.nn.utils.clip_grad_norm_([parameter], 1.0)
optimizer.step()
assert parameter.max() < 1
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "[]\n", result.stderr + "that takes as long as all of torch"


def test_the_gradients_norm_is_limited(data):
    training = typed_settings("sasrec", training={"gradient_clip": 0.5}).training
    phase = Phase("train", 1, {"a": 1.0, "b": 0.0}, ("sequences",), 5)
    model = Line(data)
    runner = EpochRunner(
        model, phase, training, torch.optim.SGD(model.parameters(), lr=1.0), Randomness(0), capture=False
    )
    runner.streams.shuffle()
    runner.step(0)
    assert float(model.x.detach()) == pytest.approx(0.5, rel=1e-4)


def test_the_schedule_counts_epochs_through_its_phases():
    phases = (Phase("a", 2, {}, ("edges",)), Phase("none", 0, {}, ("edges",)), Phase("b", 3, {}, ("edges",)))
    schedule = Schedule.of(phases)
    assert [schedule.phase(epoch).name for epoch in range(5)] == ["a", "a", "b", "b", "b"]
    assert [schedule.is_last_phase(epoch) for epoch in range(5)] == [False, False, True, True, True]
    assert schedule.epochs == 5
    with pytest.raises(IndexError):
        schedule.phase(5)
