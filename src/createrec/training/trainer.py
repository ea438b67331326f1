"""The training loop. It knows phases, streams and loss terms, and no model by name."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from createrec.config import TrainingConfig
from createrec.errors import TrainingError
from createrec.models.base import Recommender
from createrec.models.phases import Phase
from createrec.randomness import Randomness
from createrec.training import checkpoint as checkpoints
from createrec.training.adamw import AdamW
from createrec.training.batches import Streams
from createrec.training.checkpoint import Progress
from createrec.training.device import memory_explained
from createrec.training.schedule import Schedule

# The validation metric that decides (paper, Section 4.2 and Figure 2).
OBJECTIVE = "ndcg@10"
CAPTURE_WARMUP_STEPS = 3


@dataclass(frozen=True)
class CheckpointPlan:
    """Where to keep checkpoints, whose they are, and how often: at the first epoch end after `seconds`."""

    path: Path
    fingerprint: str
    seconds: float = 60.0


class EpochRunner:
    """Runs a phase's epochs: eagerly, or on a GPU as replays of one captured step."""

    def __init__(
        self,
        model: Recommender,
        phase: Phase,
        training: TrainingConfig,
        optimizer: AdamW,
        randomness: Randomness,
        *,
        capture: bool,
    ) -> None:
        self.model, self.phase, self.training = model, phase, training
        self.optimizer, self.randomness, self.capture = optimizer, randomness, capture
        self.streams = Streams(model, phase, training, randomness, static=capture)
        self.sums: dict[str, Tensor] = {}
        self.graph: torch.cuda.CUDAGraph | None = None
        self.step_index = torch.zeros(1, dtype=torch.int64, device=model.data.device)

    def step(self, index: int | Tensor) -> None:
        """Forward, losses, backward, update; adds the terms to `sums` on the device."""
        terms = self.model.losses(self.streams.batch(index), self.phase)
        weighted = [self.phase.weights[name] * term for name, term in terms.items()]
        total = sum(weighted[1:], start=weighted[0])
        self.optimizer.zero_grad()
        total.backward()
        if self.training.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        self.optimizer.step()
        for name, term in terms.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros_like(term, requires_grad=False)
            self.sums[name] += term.detach()

    def epoch(self) -> dict[str, float]:
        """One pass; returns the mean of each loss term over the steps."""
        self.model.train()
        stale = self.streams.shuffle()
        for total in self.sums.values():
            total.zero_()
        if self.capture:
            graph = self._capture() if stale or self.graph is None else self.graph
            self.step_index.zero_()
            for _ in range(self.streams.steps):
                graph.replay()
        else:
            for index in range(self.streams.steps):
                self.step(index)
        return {name: float(total) / self.streams.steps for name, total in self.sums.items()}

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Captures one step that counts itself, and leaves parameters, moments and chance as they were."""
        before = {
            "model": {name: tensor.clone() for name, tensor in self.model.state_dict().items()},
            "random": self.randomness.state(),
        }
        moments = {
            parameter: {key: value.clone() for key, value in state.items()}
            for parameter, state in self.optimizer.state.items()
        }
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(CAPTURE_WARMUP_STEPS):
                self.step(self.step_index)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = graph = torch.cuda.CUDAGraph()
        for generator in self.randomness.generators():
            graph.register_generator_state(generator)
        self.optimizer.zero_grad()
        with torch.cuda.graph(graph):
            self.step(self.step_index)
            self.step_index += 1
        with torch.no_grad():
            for name, tensor in self.model.state_dict().items():
                tensor.copy_(before["model"][name])
            for parameter, state in self.optimizer.state.items():
                for key, value in state.items():
                    old = moments.get(parameter, {}).get(key)
                    value.zero_() if old is None else value.copy_(old)
        self.randomness.load_state(before["random"])
        for total in self.sums.values():
            total.zero_()
        return graph


def make_optimizer(model: Recommender, training: TrainingConfig) -> AdamW:
    """The optimizer of all of the model's parameters; capturable on a GPU."""
    return AdamW(
        model.parameters(),
        learning_rate=training.learning_rate,
        betas=(0.9, training.beta2),
        weight_decay=training.weight_decay,
        capturable=model.data.device.type == "cuda",
    )


def _check_finite(losses: dict[str, float], epoch: int, phase: Phase, progress: Progress) -> None:
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if not bad:
        return
    last = progress.history[-1]["losses"] if progress.history else {}
    finite = ", ".join(f"{name} {value:.6g}" for name, value in last.items()) or "none yet"
    raise TrainingError(
        f"epoch {epoch} ({phase.name}): the loss term {' and '.join(bad)} is not finite; last finite values: {finite}. "
        "Lower training.learning_rate or set training.gradient_clip"
    )


def train(
    model: Recommender,
    training: TrainingConfig,
    randomness: Randomness,
    *,
    validate: Callable[[], dict[str, float]] | None = None,
    checkpoint: CheckpointPlan | None = None,
    report: Callable[[dict[str, Any]], None] = lambda entry: None,
    capture: bool = True,
) -> Progress:
    """Trains a model in place.

    Args:
        model: untrained; one without phases is fitted and returned at once.
        training: how to fit; a model says how long by its phases.
        randomness: the run's, as given to the model.
        validate: called after each epoch; with it, training stops early (`patience`, in the last phase) and the
            model ends with the best epoch's parameters. Without it, all epochs are run and the last stay.
        checkpoint: resume from it if it exists and is this run's, and keep it up to date.
        report: called with each epoch's history entry.
        capture: on a GPU, replay one captured step (few launches, static shapes) where the model can be captured.

    Raises:
        TrainingError: a loss term is not finite, or memory ran out.
        CheckpointError: the checkpoint is damaged.
    """
    schedule = Schedule.of(model.phases())
    if not schedule.phases:
        started = time.perf_counter()
        model.fit()
        return Progress(seconds=time.perf_counter() - started)
    optimizer = make_optimizer(model, training)
    progress, best = Progress(), None
    if checkpoint and checkpoint.path.exists():
        try:
            progress, best = checkpoints.load(checkpoint.path, checkpoint.fingerprint, model, optimizer, randomness)
        except checkpoints.OtherRunError as error:  # it stays there until this run writes its own
            print(f"{error}; this run starts afresh", file=sys.stderr, flush=True)
    capture = capture and model.data.device.type == "cuda" and model.capturable
    runner: EpochRunner | None = None
    saved = time.perf_counter()
    advice = (
        f"lower training.batch_size (now {training.batch_size}) or training.edge_batch_size "
        f"(now {training.edge_batch_size})"
    )
    with memory_explained(model.data.device, advice):
        while progress.epochs_done < schedule.epochs and not _exhausted(progress, schedule, training, validate):
            epoch, phase = progress.epochs_done, schedule.phase(progress.epochs_done)
            started = time.perf_counter()
            if runner is None or runner.phase is not phase:
                runner = EpochRunner(model, phase, training, optimizer, randomness, capture=capture)
            losses = runner.epoch()
            _check_finite(losses, epoch, phase, progress)
            seconds = time.perf_counter() - started
            entry: dict[str, Any] = {
                "epoch": epoch,
                "phase": phase.name,
                "losses": losses,
                "validation": None,
                "seconds": seconds,
            }
            if validate:
                entry["validation"] = validate()
                value = entry["validation"][OBJECTIVE]
                if schedule.is_last_phase(epoch) and (progress.best_value is None or value > progress.best_value):
                    progress.best_epoch, progress.best_value = epoch, value
                    best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            progress.history.append(entry)
            progress.epochs_done += 1
            progress.seconds += seconds
            report(entry)
            if checkpoint and time.perf_counter() - saved >= checkpoint.seconds:
                checkpoints.save(checkpoint.path, checkpoint.fingerprint, progress, model, optimizer, randomness, best)
                saved = time.perf_counter()
    if best is not None:
        model.load_state_dict(best)
    return progress


def _exhausted(
    progress: Progress, schedule: Schedule, training: TrainingConfig, validate: Callable[[], dict[str, float]] | None
) -> bool:
    """True when validation has not improved for `patience` epochs of the last phase."""
    if validate is None or progress.best_epoch is None:
        return False
    return progress.epochs_done - 1 - progress.best_epoch >= training.patience
