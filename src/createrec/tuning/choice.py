"""Which of a study's best settings is taken: the mean of several seeds chooses, not one lucky training.

One validation NDCG@10 has a standard error of about 7 % of its value on Amazon Beauty and 10 % on MovieLens-1M, as
large as the differences between good settings. So the search only ranks: its best settings, the finalists, are trained
with further seeds on the same fold, and the best mean wins. The spread that the table shows is the noise of choosing.
"""

import csv
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from createrec.data.split import Split
from createrec.errors import TrainingError
from createrec.files import atomic_path
from createrec.tuning.space import trial_settings
from createrec.tuning.study import (
    StudySettings,
    Worker,
    journal_lock,
    last_phase_curve,
    open_study,
    reached,
    without_test,
)
from createrec.tuning.worker import receive, send

COLUMNS = ("setting", "seed", "ndcg@10", "epochs", "seconds", "mean", "chosen")


@dataclass(frozen=True)
class Training:
    """One finalist trained with one seed.

    Attributes:
        setting: the trial's number.
        value: best validation NDCG@10.
        epochs: epochs of the last phase that led there; None for a model without epochs.
        seconds: wall time with validation.
    """

    setting: int
    seed: int
    value: float
    epochs: int | None
    seconds: float


def finalists(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The best complete trials of different settings, best first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found: list[FrozenTrial] = []
    for trial in sorted(complete, key=lambda trial: (-reached(trial), trial.number)):
        if len(found) < count and all(trial.params != other.params for other in found):
            found.append(trial)
    return found


def train_finalists(
    settings: StudySettings, split: Split, journal: Path, *, device: str = "auto", workers: int = 1
) -> list[Training]:
    """Trains each finalist with each seed that it has not been trained with yet; what is trained stays in the journal.

    Args:
        split: the whole split; what lies after the test cut is removed before a worker sees it.

    Raises:
        TrainingError: a training failed.
    """
    tuning = settings.tuning
    with journal_lock(journal), tempfile.TemporaryDirectory(prefix="createrec-") as folder:
        study = open_study(settings, split.hash, journal)
        chosen = finalists(study, tuning.finalists)
        first = settings.run["seed"]
        done = {(training.setting, training.seed): training for training in _kept(study)}
        for trial in chosen:
            facts = trial.user_attrs
            done[trial.number, first] = Training(
                trial.number, first, reached(trial), facts["best_epochs"], facts["seconds"]
            )
        seeds = range(first, first + tuning.finalist_seeds)
        missing = [(trial, seed) for seed in seeds for trial in chosen if (trial.number, seed) not in done]
        if missing:
            copy = Path(folder) / "split.safetensors"
            without_test(split).save(copy)
            for training in _train(settings, missing, copy, device, min(workers, len(missing))):
                study.set_user_attr(f"finalist/{training.setting}/{training.seed}", dataclasses.asdict(training))
                done[training.setting, training.seed] = training
        return [done[trial.number, seed] for trial in chosen for seed in seeds]


def _kept(study: optuna.Study) -> list[Training]:
    return [Training(**facts) for name, facts in study.user_attrs.items() if name.startswith("finalist/")]


@dataclass
class _Lane(Worker):
    """One worker and the finalist it is training."""

    trial: FrozenTrial | None = None
    seed: int = 0
    started: float = 0.0
    entries: list[Mapping[str, Any]] = field(default_factory=list)

    def begin(self, trial: FrozenTrial, seed: int, settings: Mapping[str, Any]) -> None:
        self.trial, self.seed, self.started, self.entries = trial, seed, time.monotonic(), []
        self.train(settings, seed)

    def finished(self, value: float) -> Training:
        assert self.trial is not None, "only a worker with a finalist finishes one"
        curve = last_phase_curve(self.entries)
        epochs = curve.index(max(curve)) + 1 if curve else None
        return Training(self.trial.number, self.seed, value, epochs, round(time.monotonic() - self.started, 1))

    def answer(self) -> Mapping[str, Any]:
        """What the worker says next; after an epoch it is told to go on.

        Raises:
            TrainingError: its training failed.
        """
        try:
            message: Mapping[str, Any] = receive(self.connection)
        except (EOFError, OSError):
            raise TrainingError("a training of a finalist ended by itself; see the messages above") from None
        if message["kind"] == "epoch":
            self.entries.append(message)
            send(self.connection, True)
        elif message["kind"] not in ("ready", "done"):
            raise TrainingError(f"a training of a finalist failed: {message['reason']}")
        return message


def _train(
    settings: StudySettings, jobs: Sequence[tuple[FrozenTrial, int]], split: Path, device: str, workers: int
) -> Iterator[Training]:
    """Yields each training as it ends; workers are those of the study."""
    waiting, lanes = list(jobs), [_Lane.start(split, settings.run, device, workers) for _ in range(workers)]
    busy = list(lanes)
    try:
        while busy:
            ready = wait([lane.connection for lane in busy])
            for lane in [lane for lane in busy if lane.connection in ready]:
                message = lane.answer()
                if message["kind"] == "epoch":
                    continue
                if message["kind"] == "done":
                    training = lane.finished(message["value"])
                    print(f"setting {training.setting}, seed {training.seed}: ndcg@10 {training.value:.5f}", flush=True)
                    yield training
                if waiting:
                    trial, seed = waiting.pop(0)
                    epochs = settings.tuning.max_epochs
                    lane.begin(trial, seed, trial_settings(settings.run["settings"], trial.params, epochs))
                else:
                    busy.remove(lane)
    finally:
        for lane in lanes:
            lane.end()


def means(trainings: Sequence[Training]) -> dict[int, float]:
    """Mean validation NDCG@10 of each setting over its seeds."""
    by_setting: dict[int, list[float]] = {}
    for training in trainings:
        by_setting.setdefault(training.setting, []).append(training.value)
    return {setting: statistics.mean(values) for setting, values in by_setting.items()}


def choose(trainings: Sequence[Training]) -> tuple[int, int | None]:
    """The setting with the best mean (the earliest of equals), and the mean of the epochs that led to its best values.

    Raises:
        TrainingError: there is nothing to choose from.
    """
    if not trainings:
        raise TrainingError("the study has no complete trial to choose from; raise its budget")
    found = means(trainings)
    setting = max(found, key=lambda number: (found[number], -number))
    own = [training for training in trainings if training.setting == setting]
    epochs = [training.epochs for training in own if training.epochs is not None]
    return setting, round(statistics.mean(epochs)) if len(epochs) == len(own) else None


def write_choice(trainings: Sequence[Training], path: Path) -> None:
    """One row per finalist and seed: `setting` is the trial's number in trials.csv, `mean` is over the seeds."""
    found, (chosen, _) = means(trainings), choose(trainings)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for one in trainings:
            row: Mapping[str, Any] = {
                "setting": one.setting,
                "seed": one.seed,
                "ndcg@10": one.value,
                "epochs": one.epochs,
                "seconds": one.seconds,
                "mean": found[one.setting],
                "chosen": str(one.setting == chosen).lower(),
            }
            rows.writerow([row[column] for column in COLUMNS])
