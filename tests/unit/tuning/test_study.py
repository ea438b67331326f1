"""Studies of a small dataset: proposals, failures, restarts, and that the test fold stays out."""

import csv
import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from optuna.trial import TrialState

from createrec.cli import main
from createrec.config import EvaluationConfig, load, merge
from createrec.data.split import Split
from createrec.errors import ConfigError, TrainingError
from createrec.plan import resolve
from createrec.tuning import study as study_module
from createrec.tuning.choice import Training
from createrec.tuning.outputs import best_settings, best_trial, refuse_equals, write_trials
from createrec.tuning.study import StudySettings, distribution, finished, run_study, without_test
from createrec.tuning.worker import receive, send

ROOT = Path(__file__).parents[3]
SPACE = {"dropout": {"low": 0.1, "high": 0.6}, "training.learning_rate": {"low": 0.001, "high": 0.03, "log": True}}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def with_other_test_rows(split: Split) -> Split:
    """The same split up to the test cut, with everything after it replaced by chance."""
    after = split.position >= split.train_validation_length[split.row_user]
    assert after.any()
    random = np.random.default_rng(5)
    items, times = split.items.copy(), split.times.copy()
    items[after] = random.integers(split.item_count, size=after.sum())
    times[after] += random.integers(1, 10**6, size=after.sum())
    return dataclasses.replace(split, items=items, times=times)


# --- workers that train nothing: what they send depends on the settings alone ----------------------------------------


def _serve(connection: Any, curve: Any) -> None:
    send(connection, {"kind": "ready", "device": "none"})
    while True:
        try:
            settings = receive(connection)["settings"]
        except EOFError:
            return
        best = 0.0
        for epoch, (phase, value) in enumerate(curve(settings)):
            send(connection, {"kind": "epoch", "epoch": epoch, "phase": phase, "validation": {"ndcg@10": value}})
            best = max(best, value) if phase != "warmup" else best
            if not receive(connection):
                send(connection, {"kind": "stopped"})
                break
        else:
            send(connection, {"kind": "done", "value": best})


def serve_flat(connection: Any, *_: Any) -> None:
    """Every epoch reaches the dropout's value."""
    _serve(connection, lambda settings: [("train", settings["dropout"])] * settings["training"]["epochs"])


def serve_zero(connection: Any, *_: Any) -> None:
    """No trial reaches anything."""
    _serve(connection, lambda settings: [("train", 0.0)] * 2)


def serve_quarter(connection: Any, *_: Any) -> None:
    """Every trial reaches the same."""
    _serve(connection, lambda settings: [("train", 0.25)] * 2)


def serve_warmup(connection: Any, *_: Any) -> None:
    """A warm-up that is worth nothing, as long as the batch size says."""
    warmup = [("warmup", 0.0)]
    _serve(
        connection,
        lambda settings: warmup * settings["training"]["batch_size"] + [("joint", settings["dropout"])] * 3,
    )


def serve_killed(connection: Any, *_: Any) -> None:
    """The system ends the process in the middle of the trial with the lowest dropout."""

    def curve(settings: Any) -> Any:
        yield "train", settings["dropout"]
        if settings["dropout"] < 0.2:
            os.kill(os.getpid(), signal.SIGKILL)

    _serve(connection, curve)


def serve_nothing(*_: Any) -> None:
    sys.exit(3)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that need not import anything, for tests of what they find and not of how they start."""
    monkeypatch.setattr(study_module, "PROCESSES", multiprocessing.get_context("fork"))


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, forked: None, tiny_split: Split, tmp_path: Path, slice_of):
    """Runs a study with pretended training; more of it with every call."""

    def run(serve: Any, space: Any = SPACE, workers: int = 1, **tuning: Any):
        monkeypatch.setattr(study_module, "serve", serve)
        settings = StudySettings.of(slice_of(space, **tuning))
        study = run_study(settings, tiny_split, tmp_path / "journal.log", device="cpu", workers=workers)
        return study, settings

    return run


# --- the test fold stays out ------------------------------------------------------------------------------------------


def test_the_view_of_a_study_ends_at_the_test_cut(tiny_split: Split) -> None:
    view = without_test(tiny_split)
    assert len(view.items) < len(tiny_split.items)
    assert view.times.max() <= tiny_split.test_cut
    assert len(view.queries("test", EvaluationConfig())) == 0
    for target in ("last", "first", "random"):
        evaluation = EvaluationConfig(target=target)
        seen, whole = view.queries("validation", evaluation), tiny_split.queries("validation", evaluation)
        assert len(whole) > 10
        for field in dataclasses.fields(seen):
            np.testing.assert_array_equal(getattr(seen, field.name), getattr(whole, field.name))
    rows, whole_rows = view.training_rows("validation"), tiny_split.training_rows("validation")
    np.testing.assert_array_equal(view.items[rows], tiny_split.items[whole_rows])


def test_other_rows_after_the_test_cut_change_nothing_a_study_sees(tiny_split: Split) -> None:
    other = with_other_test_rows(tiny_split)
    assert other.hash != tiny_split.hash
    assert without_test(other).hash == without_test(tiny_split).hash


def test_workers_are_handed_that_view_and_nothing_else(monkeypatch, tiny_split: Split, tmp_path: Path, slice_of):
    handed = []

    class Session:
        def __init__(self, study: Any, settings: Any, split: Path, *rest: Any) -> None:
            handed.append((Split.load(split), [part for part in rest if isinstance(part, Split | Path)]))

        def run(self) -> None:
            pass

    monkeypatch.setattr(study_module, "_Session", Session)
    run_study(StudySettings.of(slice_of(SPACE)), tiny_split, tmp_path / "journal.log")
    ((view, others),) = handed
    assert view.hash == without_test(tiny_split).hash
    assert not others


def test_other_rows_after_the_test_cut_change_no_trial(
    tiny_split: Split, tmp_path: Path, slice_of, arguments, forked
) -> None:
    tables = []
    for split in (tiny_split, with_other_test_rows(tiny_split)):
        assert main(arguments(slice_of(SPACE, trials=2), split)) == 0
        tables.append([{**row, "seconds": ""} for row in rows_of(tmp_path / "trials.csv")])
        (tmp_path / "journal.log").unlink()
    assert tables[0] == tables[1]
    assert all(float(row["value"]) > 0 for row in tables[0])


# --- a study with failures, from the command line to its files --------------------------------------------------------


def test_failures_are_recorded_and_the_study_goes_on(tiny_split: Split, tmp_path: Path, slice_of, arguments) -> None:
    # A learning rate that diverges, and a table that no memory holds.
    space = {"training.learning_rate": [0.01, 1e30], "dimension": [8, 10**13], "dropout": {"low": 0.1, "high": 0.6}}
    first = [
        {"training.learning_rate": 1e30, "dimension": 8},
        {"training.learning_rate": 0.01, "dimension": 10**13},
        {"training.learning_rate": 0.01, "dimension": 8, "dropout": 0.3},
    ]
    model = {"kind": "sasrec", "blocks": 1, "heads": 1, "training": {"batch_size": 16}}
    slice_ = {**slice_of(space, model, trials=3), "first": first}
    assert main(arguments(slice_, tiny_split)) == 0
    diverged, memory, complete = rows_of(tmp_path / "trials.csv")
    assert [row["state"] for row in (diverged, memory, complete)] == ["failed", "failed", "complete"]
    assert "local is not finite" in diverged["reason"]
    assert "memory" in memory["reason"]
    assert diverged["value"] == memory["value"] == complete["reason"] == ""
    assert (complete["epochs"], complete["dimension"]) == ("3", "8")
    assert complete["device"].startswith("cpu: ")

    best = (tmp_path / "best.yaml").read_text()
    assert "3 (1 complete, 0 pruned, 2 failed)" in best
    assert "(synthetic)" in best
    assert f"{float(complete['value']):.6f}" in best
    assert tiny_split.hash in best
    tuned = yaml.safe_load(best)
    choice = rows_of(tmp_path / "choice.csv")
    assert [(row["seed"], row["chosen"]) for row in choice] == [("0", "true")]
    assert int(choice[0]["epochs"]) == int(complete["best_epoch"]) + 1
    epochs = int(choice[0]["epochs"])
    assert tuned == {"dimension": 8, "dropout": 0.3, "training": {"epochs": epochs, "learning_rate": 0.01}}
    assert (tmp_path / "importance.png").read_bytes().startswith(b"\x89PNG")

    # The same command again has nothing left to do, and changes nothing.
    before = rows_of(tmp_path / "trials.csv")
    assert main(arguments(slice_, tiny_split)) == 0
    assert rows_of(tmp_path / "trials.csv") == before


def test_best_settings_are_what_training_then_reads(pretend, tmp_path: Path) -> None:
    study, settings = pretend(serve_flat)
    folder = tmp_path / "hparams" / "amazon-beauty"
    folder.mkdir(parents=True)
    best = best_settings(study, settings, [Training(best_trial(study).number, 0, 0.5, 1, 2.0)])
    (folder / "sasrec.yaml").write_text(yaml.safe_dump(best))
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"hparams: {tmp_path / 'hparams'}")
    config = load([ROOT / "config.yaml", overlay])
    resolved = resolve(config, "amazon-beauty", "sasrec")
    assert merge(resolved, best) == resolved
    assert resolved["training"]["epochs"] == 1  # the curve is flat, so the first epoch is the best
    assert resolved["dropout"] == best_trial(study).params["dropout"]


def test_create_counts_the_joint_epochs_and_names_its_parts(
    tiny_split: Split, tmp_path: Path, slice_of, arguments, forked
) -> None:
    space = {"warmup_epochs": [2], "alignment.barlow_weight": [0.3], "graph.graph_last": [None]}
    model = {"kind": "create", "dimension": 8, "sequence": {"kind": "sasrec", "blocks": 1, "heads": 1}}
    assert main(arguments(slice_of(space, model, trials=1), tiny_split)) == 0
    (row,) = rows_of(tmp_path / "trials.csv")
    tuned = yaml.safe_load((tmp_path / "best.yaml").read_text())
    choice = rows_of(tmp_path / "choice.csv")
    assert int(choice[0]["epochs"]) == int(row["best_epoch"]) - 2 + 1
    assert tuned["training"]["epochs"] == int(choice[0]["epochs"])
    assert row["epochs"] == "5"
    assert row["graph.graph_last"] == "null"
    assert tuned["alignment"] == {"kind": "barlow", "barlow_weight": 0.3}
    folder = tmp_path / "hparams" / "ml-1m"
    folder.mkdir(parents=True)
    (tmp_path / "best.yaml").rename(folder / "create.yaml")
    (tmp_path / "overlay.yaml").write_text(f"hparams: {tmp_path / 'hparams'}")
    resolved = resolve(load([ROOT / "config.yaml", tmp_path / "overlay.yaml"]), "ml-1m", "create")
    assert merge(resolved, tuned) == resolved


def test_a_model_without_epochs_is_tuned_too(tiny_split: Split, tmp_path: Path, slice_of, arguments, forked) -> None:
    space = {"rank": {"low": 2, "high": 16, "log": True}, "popularity_scaling": {"low": 0.0, "high": 1.0, "step": 0.05}}
    assert main(arguments(slice_of(space, {"kind": "svd"}), tiny_split)) == 0
    rows = rows_of(tmp_path / "trials.csv")
    assert [row["state"] for row in rows] == ["complete"] * 4
    tuned = yaml.safe_load((tmp_path / "best.yaml").read_text())
    best = max(rows, key=lambda row: float(row["value"]))
    assert tuned == {"rank": int(best["rank"]), "popularity_scaling": float(best["popularity_scaling"])}


# --- proposals, pruning, budgets --------------------------------------------------------------------------------------


def test_seeds_decide_the_proposals(pretend, tmp_path: Path) -> None:
    proposed = []
    for seed in (0, 0, 1):
        study, _ = pretend(serve_flat, seed=seed, trials=8)
        proposed.append([trial.params for trial in study.trials])
        (tmp_path / "journal.log").unlink()
    assert proposed[0] == proposed[1] != proposed[2]
    values = [trial["dropout"] for trial in proposed[0]]
    assert len(set(values)) == len(values)
    assert max(values[2:]) > max(values[:2])  # the search gets somewhere: a higher dropout is worth more


def test_a_trial_below_the_median_is_pruned_after_its_first_epochs(pretend, tmp_path: Path) -> None:
    study, settings = pretend(serve_flat, trials=12, pruning_epochs=2, max_epochs=5)
    states = [trial.state for trial in study.trials]
    assert states[:2] == [TrialState.COMPLETE] * 2
    assert TrialState.PRUNED in states
    write_trials(study, settings, tmp_path / "trials.csv")
    for row in rows_of(tmp_path / "trials.csv"):
        assert row["epochs"] == ("3" if row["state"] == "pruned" else "5")
        assert float(row["value"]) == pytest.approx(float(row["dropout"]))
        assert ("below the median" in row["reason"]) == (row["state"] == "pruned")


def test_warmup_epochs_are_not_compared(pretend) -> None:
    # Were they, a trial with a longer warm-up than others would fall behind in the epochs that the others train.
    space = {"dropout": [0.3], "training.batch_size": [1, 9]}
    study, _ = pretend(serve_warmup, space, trials=8, pruning_epochs=0)
    assert {trial.params["training.batch_size"] for trial in study.trials} == {1, 9}
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    for trial in study.trials:
        assert trial.user_attrs["best_epoch"] == trial.params["training.batch_size"]
        assert trial.user_attrs["best_epochs"] == 1


def test_a_raised_budget_goes_on_and_another_space_starts_another_study(pretend) -> None:
    first = [trial.params for trial in pretend(serve_flat, trials=2)[0].trials]
    more, _ = pretend(serve_flat, trials=5)
    assert len(finished(more)) == 5
    assert [trial.params for trial in more.trials[:2]] == first
    other, _ = pretend(serve_flat, {"dropout": [0.2, 0.3]}, trials=1)
    assert len(other.trials) == 1
    again, _ = pretend(serve_flat, trials=5)
    assert len(again.trials) == 5


def test_hours_end_a_study(pretend) -> None:
    study, _ = pretend(serve_flat, trials=100_000, hours=1 / 3600)
    spent = study.user_attrs["hours"]
    assert 1 <= len(study.trials) < 100_000
    assert spent < 60 / 3600
    more, _ = pretend(serve_flat, trials=100_000, hours=spent)  # over all of its processes
    assert len(more.trials) == len(study.trials)


def test_several_workers_keep_to_the_budget(pretend) -> None:
    study, _ = pretend(serve_flat, workers=2, trials=5)
    assert len(study.trials) == len(finished(study)) == 5


def test_whole_numbered_settings_stay_whole() -> None:
    settings = StudySettings.of.__globals__["validate"](
        {"space": {"layers": {"low": 1, "high": 3}, "rate": {"low": 0, "high": 1}, "last": {"low": 5, "high": 9}}},
        "space",
        study_module.SearchSpace,
    ).space
    kinds = [distribution(settings[name], default) for name, default in (("layers", 2), ("rate", 0.5), ("last", None))]
    assert [type(kind).__name__ for kind in kinds] == ["IntDistribution", "FloatDistribution", "IntDistribution"]


# --- processes that end -----------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_its_trial_alone(pretend) -> None:
    study, _ = pretend(serve_killed, {"dropout": [0.1, 0.3]}, trials=5)
    assert len(study.trials) == 5
    states = {trial.params["dropout"]: trial.state for trial in study.trials}
    assert states == {0.1: TrialState.FAIL, 0.3: TrialState.COMPLETE}
    lost = next(trial for trial in study.trials if trial.state == TrialState.FAIL)
    assert "signal 9" in lost.user_attrs["reason"]
    assert "memory" in lost.user_attrs["reason"]


def test_a_study_without_a_complete_trial_is_an_error_that_says_why(pretend) -> None:
    study, _ = pretend(serve_killed, {"dropout": [0.1]}, trials=2)
    with pytest.raises(TrainingError, match=r"no complete trial: .*signal 9"):
        best_trial(study)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_study_whose_trials_all_end_alike_adopts_nothing(pretend, value) -> None:
    alike, _ = pretend(serve_zero if value == 0 else serve_quarter)
    with pytest.raises(TrainingError, match=f"adopts nothing: its 4 complete trials all .* of {100 * value:.2f} %"):
        refuse_equals(alike)


def test_a_study_whose_trials_differ_is_taken(pretend) -> None:
    refuse_equals(pretend(serve_flat)[0])


def test_nothing_is_searched_where_no_validation_target_can_be_a_hit(
    tiny_split: Split, tmp_path: Path, slice_of, arguments, capsys
) -> None:
    same = dataclasses.replace(tiny_split, items=np.zeros_like(tiny_split.items))
    assert main(arguments(slice_of(SPACE), same)) != 0
    message = capsys.readouterr().err
    assert "validation targets are items that their users had before" in message
    assert "set datasets.demo.remove_seen to false" in message
    assert not (tmp_path / "journal.log").exists()


def test_a_worker_that_cannot_start_ends_the_study(pretend) -> None:
    with pytest.raises(TrainingError, match=r"cannot start: .*status 3"):
        pretend(serve_nothing)


def test_a_device_that_does_not_exist_is_named(tiny_split: Split, slice_of, arguments, capfd) -> None:
    asked = [{"cpu": "cuda:77"}.get(word, word) for word in arguments(slice_of(SPACE), tiny_split)]
    assert main(asked) == 2
    assert "device 'cuda:77': " in capfd.readouterr().err


def test_two_processes_cannot_run_one_study(pretend, tmp_path: Path) -> None:
    with study_module.journal_lock(tmp_path / "journal.log"), pytest.raises(ConfigError, match="another process"):
        pretend(serve_flat)


def test_a_torn_line_at_the_journals_end_is_cut_off(pretend, tmp_path: Path) -> None:
    before = [trial.params for trial in pretend(serve_flat, trials=2)[0].trials]
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "trial')
    after, _ = pretend(serve_flat, trials=3)
    assert [trial.params for trial in after.trials[:2]] == before
    assert len(after.trials) == 3


@pytest.mark.parametrize("change", [{"run": {}}, {"more": 1}, {"space": {"dropout": []}}, {"tuning": {"trials": 0}}])
def test_a_slice_that_is_none_is_refused(slice_of, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--settings"):
        StudySettings.of({**slice_of(SPACE), **change})


def test_a_study_is_never_measured_on_the_test_fold(slice_of) -> None:
    slice_ = slice_of(SPACE)
    with pytest.raises(ConfigError, match="validation"):
        StudySettings.of({**slice_, "run": {**slice_["run"], "fold": "test"}})


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _alive(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc to find the worker")
def test_a_killed_study_goes_on_as_if_nothing_had_happened(tiny_split: Split, tmp_path: Path, slice_of, arguments):
    slice_ = slice_of(SPACE, trials=5, max_epochs=25, startup_trials=2, pruning_epochs=5)
    command = [sys.executable, "-m", "createrec.cli", *arguments(slice_, tiny_split)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while "trial 3 epoch 2 " not in started.stdout.readline():
        assert started.poll() is None
    workers = _children(started.pid)
    started.kill()
    started.communicate()
    deadline = time.monotonic() + 30
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers)), "a worker trains on for nobody"
    assert not (tmp_path / "trials.csv").exists()

    def trials() -> list[dict[str, str]]:
        subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120)
        return rows_of(tmp_path / "trials.csv")

    resumed = trials()
    assert [row["number"] for row in resumed] == ["0", "1", "2", "3", "4", "5"]
    assert (resumed[3]["state"], resumed[3]["reason"]) == ("failed", "interrupted")
    kept = [row for row in resumed if row["reason"] != "interrupted"]
    assert all(kept[3][name] == resumed[3][name] for name in SPACE)

    best = (tmp_path / "best.yaml").read_text()
    (tmp_path / "journal.log").unlink()
    uninterrupted = trials()
    same = ["state", "value", "best_epoch", "epochs", *SPACE]
    assert [[row[name] for name in same] for row in kept] == [[row[name] for name in same] for row in uninterrupted]
    assert yaml.safe_load(best) == yaml.safe_load((tmp_path / "best.yaml").read_text())
