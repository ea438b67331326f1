"""One study: TPE proposes settings, trials train on the validation fold, a pruner stops those that fall behind.

The paper tunes every model with Optuna on validation (Section 4.2). This process proposes, prunes and keeps the
journal; workers train. Only this process writes the journal, so a killed study leaves at most a torn last line, and
whoever holds the journal's lock may repair it. Each proposal draws from a seed of its own, derived from the study's
seed and the trial's place, and not from a stream that a restart would begin again: with one worker on a CPU, a study
that was killed and restarted proposes what it would have proposed.

The test fold does not take part: workers are given a copy of the split that ends at the test cut.
"""

import dataclasses
import fcntl
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from createrec.config import Choices, Searched, SearchSpace, TuningConfig, validate
from createrec.data.split import Split
from createrec.errors import ConfigError, DataError, TrainingError
from createrec.models.phases import WARMUP
from createrec.provenance import training_version
from createrec.runs.run import run_of_slice
from createrec.training.trainer import OBJECTIVE
from createrec.tuning.space import trial_settings
from createrec.tuning.worker import receive, send, serve

INTERRUPTED = "interrupted"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
# Workers start afresh, because a CUDA context does not survive a fork.
PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class StudySettings:
    """A study's slice of the configuration, typed (see createrec.tuning.space.study_slice)."""

    run: Mapping[str, Any]
    tuning: TuningConfig
    space: Mapping[str, Searched]
    first: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "StudySettings":
        """Reads the slice.

        Raises:
            ConfigError: a key is missing, unknown or wrong.
        """
        keys = {field.name for field in dataclasses.fields(cls)}
        if set(values) != keys:
            raise ConfigError(f"--settings: expected the keys {', '.join(sorted(keys))}, found {', '.join(values)}")
        space = validate({"space": values["space"]}, "--settings", SearchSpace).space
        tuning = validate(values["tuning"], "--settings: tuning", TuningConfig)
        run = run_of_slice(values["run"])
        if run.fold != "validation":
            raise ConfigError(f"--settings: run.fold is '{run.fold}'; a study is measured on the fold 'validation'")
        return cls(run.slice(), tuning, space, tuple(values["first"]))

    def name(self, split_hash: str) -> str:
        """Names the study by what decides its trials, the budget apart: a raised budget goes on with the study."""
        deciding = {
            "run": self.run,
            "tuning": self.tuning.model_dump(mode="json", exclude={"trials", "hours", "finalists", "finalist_seeds"}),
            "space": {name: searched.model_dump(mode="json") for name, searched in self.space.items()},
            "first": self.first,
            "split": split_hash,
        }
        digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
        return f"{self.run['dataset']}/{self.run['model']}/{digest[:12]}"


def without_test(split: Split) -> Split:
    """The split as it was known at the test cut: no row after it, and so no test query.

    Users and the size of the catalogue stay, so that indices keep their meaning.
    """
    known = split.position < split.train_validation_length[split.row_user]
    offsets = np.concatenate([[0], np.cumsum(split.train_validation_length)])
    return dataclasses.replace(split, items=split.items[known], times=split.times[known], offsets=offsets)


def run_study(
    settings: StudySettings, split: Split, journal: Path, *, device: str = "auto", workers: int = 1
) -> optuna.Study:
    """Runs a study to the end of its budget, or goes on with it.

    Args:
        split: the whole split; what lies after the test cut is removed before a worker sees it.
        journal: the study's log. A study with other settings in the same file is left alone.
        workers: trials trained side by side. Above 1 the proposals depend on which trial ends first.

    Raises:
        ConfigError: the device does not exist, or the journal is another process's.
        TrainingError: a worker cannot start.
    """
    with journal_lock(journal), tempfile.TemporaryDirectory(prefix="createrec-") as folder:
        study = open_study(settings, split.hash, journal)
        copy = Path(folder) / "split.safetensors"
        without_test(split).save(copy)
        _Session(study, settings, copy, device, workers).run()
        return study


def reached(trial: FrozenTrial) -> float:
    """The value of a complete trial."""
    assert trial.value is not None, f"trial {trial.number} is complete"
    return trial.value


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count towards the budget."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and not _lost(trial)]


def _lost(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get("reason") == INTERRUPTED


# --- the journal --------------------------------------------------------------------------------------------------


class _NoLock:
    """The lock that the journal asks for at each write. This process holds the file for as long as it lives."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextmanager
def journal_lock(journal: Path) -> Iterator[None]:
    """Holds the journal for this process, and cuts off the line that a killed one left unfinished.

    The lock is the operating system's, so it ends with the process, however that ends.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{journal}: another process is running this study; wait for it or end it") from None
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
        yield


def open_study(settings: StudySettings, split_hash: str, journal: Path) -> optuna.Study:
    """The study in the journal; a trial that was running when it was killed is marked as failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tuning = settings.tuning
    try:
        storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=_NoLock()))  # type: ignore[arg-type]  # optuna's base is private
        study = optuna.create_study(
            storage=storage,
            study_name=settings.name(split_hash),
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(tuning.pruning_trials, tuning.pruning_epochs),
            load_if_exists=True,
        )
    except (ValueError, KeyError) as error:
        raise DataError(f"{journal}: damaged journal ({error}); move it away to start the study afresh") from None
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        storage.set_trial_user_attr(trial._trial_id, "reason", INTERRUPTED)
        study.tell(trial.number, state=TrialState.FAIL)
    return study


# --- proposals ----------------------------------------------------------------------------------------------------


def last_phase_curve(entries: Sequence[Mapping[str, Any]]) -> list[float]:
    """Validation NDCG@10 after each epoch of the last phase; CREATE's warm-up does not count."""
    return [entry["validation"][OBJECTIVE] for entry in entries if entry["phase"] != WARMUP]


def distribution(searched: Searched, default: Any) -> BaseDistribution:
    """A range as Optuna has it; whole numbers where the setting's default, or else the range, is whole."""
    if isinstance(searched, Choices):
        return CategoricalDistribution(searched.root)
    bounds = (searched.low, searched.high)
    if isinstance(default, int) or (default is None and all(isinstance(bound, int) for bound in bounds)):
        return IntDistribution(int(searched.low), int(searched.high), log=searched.log, step=int(searched.step or 1))
    return FloatDistribution(searched.low, searched.high, log=searched.log, step=searched.step)


def propose(study: optuna.Study, settings: StudySettings) -> Trial:
    """The next trial: one that was interrupted, or the next of the first trials, or what TPE thinks best."""
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get("repeats") for trial in trials}
    lost = [trial for trial in trials if _lost(trial) and trial.number not in repeated]
    place = sum(not _lost(trial) and trial.state != TrialState.WAITING for trial in trials)
    if any(trial.state == TrialState.WAITING for trial in trials):
        pass  # killed between queueing a trial and starting it: `ask` takes it from the queue
    elif lost:
        study.enqueue_trial(dict(lost[0].params), user_attrs={"repeats": lost[0].number})
    elif place < len(settings.first):
        study.enqueue_trial(dict(settings.first[place]))
    seed = int.from_bytes(hashlib.sha256(f"{settings.tuning.seed}/{place}".encode()).digest()[:4], "little")
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.tuning.startup_trials)
    defaults = settings.run["settings"]
    return study.ask({name: distribution(searched, _at(defaults, name)) for name, searched in settings.space.items()})


def _at(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


# --- trials -------------------------------------------------------------------------------------------------------


@dataclass
class Worker:
    """A process that trains what it is told, one training after the other (createrec.tuning.worker)."""

    process: BaseProcess
    connection: Connection

    @classmethod
    def start(cls, split: Path, run: Mapping[str, Any], device: str, workers: int) -> Self:
        here, there = PROCESSES.Pipe()
        process = PROCESSES.Process(target=serve, args=(there, split, dict(run), device, workers), daemon=True)
        process.start()
        there.close()
        return cls(process, here)

    def train(self, settings: Mapping[str, Any], seed: int) -> None:
        send(self.connection, {"settings": settings, "seed": seed})

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


@dataclass
class _Lane(Worker):
    """One worker and the trial it is training."""

    device: str | None = None
    trial: Trial | None = None
    started: float = 0.0
    curve: list[float] = dataclasses.field(default_factory=list)
    epochs: int = 0
    best_epoch: int | None = None

    @property
    def running(self) -> Trial:
        """The trial that its worker trains."""
        assert self.trial is not None, "only a worker with a trial is heard from"
        return self.trial

    def begin(self, trial: Trial, settings: Mapping[str, Any], seed: int) -> None:
        self.trial, self.started = trial, time.monotonic()
        self.curve, self.epochs, self.best_epoch = [], 0, None
        self.train(settings, seed)


class _Session:
    """One process's work on a study."""

    def __init__(self, study: optuna.Study, settings: StudySettings, split: Path, device: str, workers: int) -> None:
        self.study, self.settings, self.workers = study, settings, workers
        self.arguments = (split, settings.run, device, workers)
        self.lanes: list[_Lane] = []
        self.started = time.monotonic()
        self.hours_before = study.user_attrs.get("hours", 0.0)

    @property
    def hours(self) -> float:
        """Time spent on the study, over all its processes."""
        return self.hours_before + (time.monotonic() - self.started) / 3600

    def run(self) -> None:
        try:
            while True:
                self._fill()
                busy = [lane for lane in self.lanes if lane.trial or not lane.device]
                if not busy:
                    return
                for connection in wait([lane.connection for lane in busy]):
                    self._handle_message(next(lane for lane in self.lanes if lane.connection is connection))
        finally:
            for lane in self.lanes:
                lane.end()

    def _fill(self) -> None:
        """Gives idle workers their next trial, and starts workers that are missing, as far as the budget goes."""
        tuning = self.settings.tuning
        waiting = sum(lane.trial is None and not lane.device for lane in self.lanes)
        running = sum(lane.trial is not None for lane in self.lanes)
        left = tuning.trials - len(finished(self.study)) - running
        if tuning.hours is not None and self.hours >= tuning.hours:
            left = 0
        for lane in list(self.lanes):
            if left > 0 and lane.device and lane.trial is None:
                self._begin(lane)
                left -= 1
        while left > waiting and len(self.lanes) < self.workers:
            self.lanes.append(_Lane.start(*self.arguments))
            waiting += 1

    def _begin(self, lane: _Lane) -> None:
        trial = propose(self.study, self.settings)
        print(
            f"trial {trial.number}: {', '.join(f'{name} {value}' for name, value in trial.params.items())}", flush=True
        )
        epochs = self.settings.tuning.max_epochs
        try:
            lane.begin(
                trial, trial_settings(self.settings.run["settings"], trial.params, epochs), self.settings.run["seed"]
            )
        except OSError:
            self._worker_ended(lane)

    def _handle_message(self, lane: _Lane) -> None:
        try:
            message = receive(lane.connection)
        except (EOFError, OSError):
            self._worker_ended(lane)
            return
        kind = message["kind"]
        if kind == "ready":
            lane.device = message["device"]
        elif lane.trial is None:  # it could not even start
            raise ConfigError(message["reason"])
        elif kind == "epoch":
            goes_on = self._goes_on(lane, message)
            with suppress(OSError):  # if the worker is gone, the next thing heard from it says so
                send(lane.connection, goes_on)
        elif kind == "stopped":
            reason = f"validation ndcg@10 below the median of earlier trials after {len(lane.curve)} epochs"
            self._tell(lane, TrialState.PRUNED, max(lane.curve), reason)
        elif kind == "failed":
            self._tell(lane, TrialState.FAIL, None, message["reason"])
        elif kind == "broken":
            self._tell(lane, TrialState.FAIL, None, message["reason"])
            self.lanes.remove(lane)
            lane.end()
        else:
            self._tell(lane, TrialState.COMPLETE, message["value"], "")

    def _goes_on(self, lane: _Lane, entry: Mapping[str, Any]) -> bool:
        """Notes an epoch; False if the trial is to stop. Only epochs of the last phase are compared."""
        trial, value = lane.running, entry["validation"][OBJECTIVE]
        lane.epochs += 1
        print(
            f"trial {trial.number} epoch {entry['epoch']} {entry['phase']}: validation ndcg@10 {value:.5f}", flush=True
        )
        if entry["phase"] == WARMUP:
            return True
        if not lane.curve or value > max(lane.curve):
            lane.best_epoch = entry["epoch"]
        lane.curve.append(value)
        trial.report(value, len(lane.curve) - 1)
        return not trial.should_prune()

    def _worker_ended(self, lane: _Lane) -> None:
        """A worker's process has ended by itself."""
        lane.process.join()
        code = lane.process.exitcode or 0
        reason = (
            f"the training process was ended by signal {-code}"
            if code < 0
            else f"the training process ended with status {code}"
        )
        if code == -9:
            reason += ", as the system does when memory runs out"
        self.lanes.remove(lane)
        if not lane.device:
            raise TrainingError(f"a tuning worker cannot start: {reason}; see the messages above")
        if lane.trial:
            self._tell(lane, TrialState.FAIL, None, reason)

    def _tell(self, lane: _Lane, state: TrialState, value: float | None, reason: str) -> None:
        trial = lane.running
        facts = {
            "reason": " ".join(reason.split()),
            "best": value,
            "best_epoch": lane.best_epoch,
            "best_epochs": int(np.argmax(lane.curve)) + 1 if lane.curve else None,
            "epochs": lane.epochs,
            "seconds": round(time.monotonic() - lane.started, 1),
            "device": lane.device,
            "code_version": training_version(self.settings.run["settings"], validates=True),
        }
        for name, fact in facts.items():
            trial.set_user_attr(name, fact)
        self.study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
        self.study.set_user_attr("hours", self.hours)
        lane.trial = None
        when = "" if lane.best_epoch is None else f" at epoch {lane.best_epoch}"
        shown = "" if value is None else f", ndcg@10 {value:.5f}{when}"
        done = f"{len(finished(self.study))} of {self.settings.tuning.trials} done"
        print(f"trial {trial.number} {STATES[state]}{shown}{reason and ': ' + reason} ({done})", flush=True)
