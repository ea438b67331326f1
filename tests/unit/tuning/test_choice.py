"""The choice among a study's best settings: the mean over seeds decides, and what is trained is kept."""

import csv
import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from createrec.config import read_yaml
from createrec.data.split import Split
from createrec.errors import TrainingError
from createrec.tuning import study as study_module
from createrec.tuning.choice import Training, choose, finalists, means, train_finalists, write_choice
from createrec.tuning.outputs import next_settings, write_next
from createrec.tuning.study import StudySettings, run_study
from createrec.tuning.worker import receive, send

SPACE = {"dropout": [0.1, 0.2, 0.3, 0.4]}


def serve_lucky(connection: Any, *_: Any) -> None:
    """The largest dropout wins with seed 0, and loses with every other; each best epoch is the second of three."""
    send(connection, {"kind": "ready", "device": "none"})
    while True:
        try:
            wanted = receive(connection)
        except EOFError:
            return
        dropout, seed = wanted["settings"]["dropout"], wanted["seed"]
        value = dropout if seed == 0 else 0.5 - dropout - 0.01 * seed
        for epoch, reached in enumerate((value / 2, value, value / 3)):
            send(connection, {"kind": "epoch", "epoch": epoch, "phase": "train", "validation": {"ndcg@10": reached}})
            receive(connection)
        send(connection, {"kind": "done", "value": value})


def serve_broken(connection: Any, *_: Any) -> None:
    send(connection, {"kind": "ready", "device": "none"})
    receive(connection)
    send(connection, {"kind": "failed", "reason": "out of memory"})


@pytest.fixture
def studied(monkeypatch: pytest.MonkeyPatch, tiny_split: Split, tmp_path: Path, slice_of):
    monkeypatch.setattr(study_module, "serve", serve_lucky)
    monkeypatch.setattr(study_module, "PROCESSES", multiprocessing.get_context("fork"))
    first = {"sasrec": [{"dropout": value} for value in SPACE["dropout"]]}
    settings = StudySettings.of(slice_of(SPACE, trials=6, pruning_trials=6, first=first, finalists=3, finalist_seeds=3))
    study = run_study(settings, tiny_split, tmp_path / "journal.log", device="cpu")
    return study, settings


def test_finalists_are_the_best_different_settings(studied) -> None:
    study, _ = studied
    assert [trial.params["dropout"] for trial in finalists(study, 3)] == [0.4, 0.3, 0.2]
    assert len(study.trials) == 6, "some settings were tried twice"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_mean_chooses_and_not_the_lucky_seed(studied, tiny_split: Split, tmp_path: Path, workers: int) -> None:
    study, settings = studied
    trainings = train_finalists(settings, tiny_split, tmp_path / "journal.log", device="cpu", workers=workers)
    assert len(trainings) == 9
    numbers = {trial.params["dropout"]: trial.number for trial in finalists(study, 3)}
    found = means(trainings)
    for dropout, number in numbers.items():
        assert found[number] == pytest.approx((dropout + 2 * (0.5 - dropout) - 0.03) / 3)
    assert choose(trainings) == (numbers[0.2], 2)
    write_choice(trainings, tmp_path / "choice.csv")
    with (tmp_path / "choice.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["setting"], row["chosen"]) for row in rows if row["chosen"] == "true"} == {(str(numbers[0.2]), "true")}
    assert sorted({row["seed"] for row in rows}) == ["0", "1", "2"]


def test_settings_that_the_fold_cannot_tell_from_the_chosen_ones_are_kept(
    studied, tiny_split: Split, tmp_path: Path
) -> None:
    study, settings = studied
    numbers = {trial.params["dropout"]: trial.number for trial in finalists(study, 3)}
    trainings = train_finalists(settings, tiny_split, tmp_path / "journal.log", device="cpu")
    # The means over seeds are .257, .223 and .19: the second is more than 10 % below the first.
    assert next_settings(study, settings, trainings) == {}
    nearer = [dataclasses.replace(one, value=one.value + 1) for one in trainings]
    assert next_settings(study, settings, nearer) == {
        f"trial-{numbers[0.3]}": {"dropout": 0.3, "training": {"epochs": 2}},
        f"trial-{numbers[0.4]}": {"dropout": 0.4, "training": {"epochs": 2}},
    }
    write_next(study, settings, nearer, tmp_path / "next.yaml")
    assert list(read_yaml(tmp_path / "next.yaml")) == sorted(next_settings(study, settings, nearer))
    comments = (tmp_path / "next.yaml").read_text().splitlines()
    assert f"# trial-{numbers[0.3]}: validation ndcg@10 = 1.223333" in comments


def test_what_was_trained_is_not_trained_again(studied, monkeypatch, tiny_split: Split, tmp_path: Path) -> None:
    _, settings = studied
    before = train_finalists(settings, tiny_split, tmp_path / "journal.log", device="cpu")
    monkeypatch.setattr(study_module, "serve", serve_broken)
    assert train_finalists(settings, tiny_split, tmp_path / "journal.log", device="cpu") == before


def test_a_training_that_fails_is_an_error_with_its_reason(studied, monkeypatch, tiny_split, tmp_path: Path) -> None:
    _, settings = studied
    monkeypatch.setattr(study_module, "serve", serve_broken)
    with pytest.raises(TrainingError, match="out of memory"):
        train_finalists(settings, tiny_split, tmp_path / "journal.log", device="cpu")


def test_the_epochs_are_the_mean_of_the_chosen_settings_seeds() -> None:
    trainings = [Training(4, seed, 0.3, epochs, 1.0) for seed, epochs in enumerate((10, 20, 15))]
    trainings += [Training(2, seed, 0.2, 99, 1.0) for seed in range(3)]
    assert choose(trainings) == (4, 15)
    assert choose([Training(1, 0, 0.3, None, 1.0)]) == (1, None)
    with pytest.raises(TrainingError, match="no complete trial"):
        choose([])
