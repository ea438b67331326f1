"""Small made data, and models over it, for the tests of the split, the models, the training and the ranking."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from createrec.config import EvaluationConfig, ModelConfig, ModelSettings, TemporalSetup, merge, validate
from createrec.data.batch import TrainingData
from createrec.data.interactions import Interactions
from createrec.data.split import Split, split
from createrec.kinds import of_role
from createrec.models.base import Recommender
from createrec.models.registry import build_model
from createrec.ops.ragged import Sequences
from createrec.plan import Run
from createrec.randomness import Randomness

CPU = torch.device("cpu")
DIMENSION = 8
MAX_LENGTH = 7
SEQUENCES, GRAPHS, ALIGNMENTS = (tuple(of_role(role)) for role in ("sequence", "graph", "alignment"))
TRAINABLE = (*SEQUENCES, *GRAPHS, "create")
# Table 2 of the small project (fixture `project` of runs/).
PROJECT_MODELS, PROJECT_SEEDS = ("random", "sasrec", "ultragcn", "create"), (0, 1)
TINY = {"epochs": 1, "batch_size": 16, "edge_batch_size": 64, "learning_rate": 0.01}


def interactions(users: int = 40, items: int = 30, seed: int = 0, *, times: int = 60, shuffled: bool = True):
    """Random interactions with many equal times, users of 1 to 15 rows, no item twice for a user."""
    random = np.random.default_rng(seed)
    rows = [
        (user, item, int(time))
        for user in range(users)
        for length in [int(random.integers(1, 16))]
        for item, time in zip(
            random.choice(items, length, replace=False),
            random.integers(times // 3 * (user % 2), times, length),
            strict=True,
        )
    ]
    if shuffled:
        rows = [rows[place] for place in random.permutation(len(rows))]
    return interactions_of(rows, users, items)


def interactions_of(rows: Sequence[tuple[int, int, int]], users: int, items: int) -> Interactions:
    """Interactions of (user, item, time) rows; ids are the indices, written u3 and i7."""
    user, item, time = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    names = [
        np.array([f"{letter}{index}" for index in range(count)], dtype=object)
        for letter, count in (("u", users), ("i", items))
    ]
    return Interactions(user, item, time, *names)


def small_split(seed: int = 0, **shape: int) -> Split:
    return split(interactions(seed=seed, **shape), TemporalSetup())


def training_data_of(rows: Sequence[Sequence[int]], item_count: int) -> TrainingData:
    """Training data of given item lists, one a user."""
    values = np.array([item for row in rows for item in row], dtype=np.int64)
    sequences = Sequences.from_numpy(values, np.concatenate([[0], np.cumsum([len(row) for row in rows])]), CPU)
    return TrainingData(sequences, torch.arange(len(values)), item_count)


def random_rows(users: int, items: int, seed: int = 0, shortest: int = 0, longest: int = 12) -> list[list[int]]:
    """Random item lists without repeats."""
    random = np.random.default_rng(seed)
    return [random.choice(items, random.integers(shortest, longest + 1), replace=False).tolist() for _ in range(users)]


def plain_settings(kind: str, **overrides: Any) -> dict[str, Any]:
    """Small settings of a model, as plain values; overrides are nested maps."""
    training = {"epochs": 3, "batch_size": 8, "edge_batch_size": 32, "learning_rate": 0.01}
    settings: dict[str, Any] = {"kind": kind}
    if kind in TRAINABLE:
        settings |= {"dimension": DIMENSION, "training": training}
    if kind in SEQUENCES:
        settings["max_length"] = MAX_LENGTH
    if kind == "ultragcn":
        settings["negatives"] = 10
    if kind == "create":
        settings |= {"sequence": {"kind": "sasrec", "max_length": MAX_LENGTH}, "warmup_epochs": 2}
        settings["graph"] = {"kind": "ultragcn"}
    if "sequence" in overrides:
        overrides["sequence"] = {"max_length": MAX_LENGTH} | overrides["sequence"]
    return merge(settings, overrides)


def typed_settings(kind: str, **overrides: Any) -> ModelConfig:
    return validate({"model": plain_settings(kind, **overrides)}, "test", ModelSettings).model


def model_of(data: TrainingData, kind: str, seed: int = 0, **overrides: Any) -> Recommender:
    """An untrained model on the CPU."""
    return build_model(typed_settings(kind, **overrides), data, Randomness(seed))


def run_of(kind: str, *, fold: str = "validation", seed: int = 0, setup: str = "temporal", **overrides: Any) -> Run:
    """A run over `small_split`, with resolved settings."""
    settings = typed_settings(kind, **overrides).model_dump(mode="json")
    without_history = "next" if setup == "time-to-split" else "ask"
    evaluation = EvaluationConfig(remove_seen=True, without_history=without_history).model_dump(mode="json")
    return Run("small", kind, "test", seed, setup, fold, settings, evaluation)


def same_state(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """Bit for bit the same tensors under the same names."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- for the tests of losses and of the operations under them, in float64 ---------------------------------------------


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def normal_draws() -> Callable[..., torch.Tensor]:
    """Shape -> N(0, 1), the same draws in the same order."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)


def loss_problem(rows: int, items: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States and item table, with gradients, and targets."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(rows, dimension, dtype=torch.float64, generator=generator).requires_grad_()
    table = torch.randn(items, dimension, dtype=torch.float64, generator=generator).requires_grad_()
    return states, table, torch.randint(items, (rows,), generator=generator)
