"""One run from its slice of the plan to a trained model: data to the device, model, training, files."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialized

from createrec.config import (
    NAME_PATTERN,
    EvaluationConfig,
    ModelConfig,
    ModelSettings,
    TrainingConfig,
    resolved,
    validate,
)
from createrec.data.batch import TrainingData
from createrec.data.split import Queries, Split
from createrec.errors import CheckpointError, ConfigError, DataError, known_names
from createrec.evaluation.metrics import ndcg_at_k, recall_at_k
from createrec.evaluation.ranking import rank
from createrec.files import atomic_path, discard, locked, sha256_of, write_json
from createrec.models.base import Recommender
from createrec.models.registry import build_model
from createrec.ops.ragged import Sequences
from createrec.plan import Fold, Run, Setup
from createrec.provenance import training_version
from createrec.randomness import Randomness
from createrec.training.checkpoint import Progress
from createrec.training.device import describe, memory_explained, peak_memory
from createrec.training.trainer import CheckpointPlan, train

FORMAT = 1
CHECKPOINT = "checkpoint.safetensors"


def run_of_slice(values: Mapping[str, Any]) -> Run:
    """The run that `Run.slice` wrote.

    Raises:
        ConfigError: keys are missing or unknown, or a value is none of its choices.
    """
    names = [each.name for each in fields(Run) if each.name != "sources"]
    for key in values:
        if key not in names:
            raise ConfigError(f"--settings: no such key '{key}'; {known_names(key, names)}")
    if absent := [key for key in names if key not in values]:
        raise ConfigError(f"--settings: lacks {', '.join(absent)}; expected the slice of a run")
    run = Run(**values)
    for key, value, choices in (("setup", run.setup, get_args(Setup)), ("fold", run.fold, get_args(Fold))):
        if value not in choices:
            raise ConfigError(f"--settings: {key} is '{value}', expected {' or '.join(choices)}")
    for key, name in (("dataset", run.dataset), ("model", run.model), ("variant", run.variant)):
        if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
            raise ConfigError(f"--settings: {key} is {name!r}, expected a name of letters, digits, and . _ - inside")
    if not isinstance(run.seed, int) or not isinstance(run.settings, dict):
        raise ConfigError("--settings: expected a whole number as seed and an object of settings")
    validate(run.evaluation, f"evaluation of {run.folder}", EvaluationConfig)
    return run


def training_data(split: Split, fold: str, device: torch.device) -> TrainingData:
    """The rows that a fold may learn from, on the device; no later row leaves the split."""
    rows = split.training_rows(fold)
    offsets = np.concatenate([[0], np.cumsum(split.lengths(fold)[0])])
    sequences = Sequences.from_numpy(split.items[rows], offsets, device)
    return TrainingData(sequences, torch.from_numpy(split.times[rows]).to(device), split.item_count)


def model_settings(run: Run) -> ModelConfig:
    """The run's typed model settings."""
    return validate({"model": run.settings}, f"settings of {run.folder}", ModelSettings).model


def build_run(run: Run, split: Split, device: torch.device) -> tuple[Recommender, Randomness]:
    """The run's untrained model over its training data, and its randomness."""
    randomness = Randomness(run.seed, device)
    return build_model(model_settings(run), training_data(split, run.fold, device), randomness), randomness


def validation_queries(split: Split, run: Run) -> Queries:
    """What a training that is watched, or a search, is measured on.

    Raises:
        DataError: there is no such query, or none that can be a hit.
    """
    evaluation = EvaluationConfig(**run.evaluation)
    queries = split.queries("validation", evaluation)
    if not len(queries):
        raise DataError(f"{run.dataset}: no validation query; lower setups.temporal.validation_quantile")
    if evaluation.remove_seen and queries.target_is_seen.all():
        raise DataError(
            f"{run.dataset}: all {len(queries):,} validation targets are items that their users had before, and seen "
            f"items leave the ranking, so that none can be a hit; set datasets.{run.dataset}.remove_seen to false"
        )
    return queries


def refuse_unasked(run: Run, split: Split) -> None:
    """A training whose test asks nobody is in vain.

    Raises:
        DataError: the run's switches leave no query.
    """
    if (
        run.evaluation
        and run.fold != "validation"
        and not len(split.queries(run.fold, EvaluationConfig(**run.evaluation)))
    ):
        switches = ", ".join(f"{key}={json.dumps(value)}" for key, value in run.evaluation.items() if key != "cutoffs")
        raise DataError(f"{run.dataset}: these switches of the evaluation leave nobody to ask: {switches}; change them")


def validation(model: Recommender, split: Split, run: Run) -> Callable[[], dict[str, float]]:
    """A function that ranks the validation queries; test rows are not even read."""
    evaluation = EvaluationConfig(**run.evaluation)
    queries = validation_queries(split, run)

    def measure() -> dict[str, float]:
        ranks = rank(model, queries, remove_seen=resolved(evaluation.remove_seen, "evaluation.remove_seen"), k=0).ranks
        return {
            "ndcg@10": ndcg_at_k(ranks, 10),
            "recall@10": recall_at_k(ranks, 10),
            "recall@100": recall_at_k(ranks, 100),
        }

    return measure


def stops_early(run: Run, split: Split) -> bool:
    """Whether a run's training is watched on the validation fold and ends with the best epoch's parameters."""
    return run.fold == "validation" or (run.fold == "test" and not split.retrain)


def train_run(
    run: Run,
    split: Split,
    device: torch.device,
    *,
    checkpoint_folder: Path | None = None,
    checkpoint_seconds: float = 60.0,
    report: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> tuple[Recommender, dict[str, Any]]:
    """Trains a run; one of a validation fold, or of a setup that does not retrain, stops early on validation queries,
    any other trains its epochs to the end.

    Returns:
        The trained model and what training.json holds.

    Raises:
        DataError: nobody would be asked for the test, or in validation.
    """
    refuse_unasked(run, split)
    settings, watched = model_settings(run), stops_early(run, split)
    version = training_version(run.settings, validates=watched)
    checkpoint = None
    if checkpoint_folder is not None:
        fingerprint = hashlib.sha256(f"{run.key}{run.variant}{split.hash}{version}".encode()).hexdigest()
        checkpoint = CheckpointPlan(checkpoint_folder / CHECKPOINT, fingerprint, checkpoint_seconds)
    with memory_explained(device, "lower the model's dimension or rank, or train on another device (--device)"):
        model, randomness = build_run(run, split, device)
        progress: Progress = train(
            model,
            getattr(settings, "training", TrainingConfig()),
            randomness,
            validate=validation(model, split, run) if watched else None,
            checkpoint=checkpoint,
            report=report,
        )
    facts = {
        "format": FORMAT,
        "run": run.slice(),
        "sources": list(run.sources),
        "notes": list(model.notes),
        "split_hash": split.hash,
        **asdict(progress),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": describe(device),
        "peak_memory_bytes": peak_memory(device),
        "code_version": version,
    }
    return model, facts


def save_trained(model: Recommender, facts: Mapping[str, Any], model_path: Path, history_path: Path) -> None:
    """Writes model.safetensors and training.json, and removes the checkpoint that led there."""
    history_path.unlink(missing_ok=True)  # never the story of an earlier training beside a new model
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(model_path) as temporary:
        temporary.write_bytes(serialized(tensors, {"split_hash": facts["split_hash"]}))
    write_json(history_path, {**facts, "model_sha256": sha256_of(model_path)})
    discard(model_path.parent / CHECKPOINT)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keeps a run's folder to this process: two trainings at once would overwrite each other's checkpoints.

    Raises:
        StorageError: another process is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"{folder}: another process is training or evaluating this run; wait for it, or end it and run again"
    with locked(folder / ".lock", busy):
        yield


def check_model_file(path: Path, history: Mapping[str, Any]) -> None:
    """Checks that a model file is the one that a training.json speaks of.

    Raises:
        CheckpointError: it was damaged since, or is another training's.
    """
    # What was trained before there was this check names no checksum.
    if path.exists() and history.get("model_sha256") not in (None, sha256_of(path)):
        raise CheckpointError(f"{path}: not the bytes that its training.json speaks of; train the run again")


def load_trained(path: Path, run: Run, split: Split, device: torch.device) -> Recommender:
    """A trained model, ready to rank.

    Raises:
        CheckpointError: the file is damaged, or was trained with other shapes or on other data.
    """
    model, _ = build_run(run, split, device)
    try:
        with safe_open(path, "pt") as file:
            trained_on = (file.metadata() or {}).get("split_hash")
        if trained_on != split.hash:
            raise CheckpointError(f"{path}: was trained on another split; train the run again")
        model.load_state_dict(load_file(path, device=str(device)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: does not hold the model of {run.folder} ({error}); train the run again"
        ) from None
    return model.eval()
