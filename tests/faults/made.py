"""A made dataset small enough to be trained a thousand times, and the commands that lead from it to a metrics.csv."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from createrec.config import EvaluationConfig, ModelSettings, merge, validate
from createrec.plan import Run

TRAINABLE = ("sasrec", "bert4rec", "lightgcn", "ultragcn", "create", "mrgsrec", "gsau", "selfgnn", "loom")
COLUMNS = {"user": "who", "item": "what", "time": "when"}
USERS, ITEMS = 60, 40
EPOCHS = 4


def rows() -> list[tuple[int, int, int]]:
    """(user, item, time): every user has 5 to 14 different items."""
    chance = np.random.default_rng(0)
    return [
        (user, int(item), int(time))
        for user in range(USERS)
        for length in [int(chance.integers(5, 15))]
        for item, time in zip(
            chance.choice(ITEMS, length, replace=False), sorted(chance.integers(0, 10**6, length)), strict=True
        )
    ]


def write_table(path: Path) -> None:
    """The data as somebody's own CSV file."""
    lines = [f"u{user},i{item},{time}\n" for user, item, time in rows()]
    path.write_text("who,what,when\n" + "".join(lines), encoding="utf-8")


def write_reviews(path: Path, padding: int = 0) -> None:
    """The data as an Amazon reviews file; `padding` characters a review that do not compress well make it larger."""
    chance = np.random.default_rng(1)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        for user, item, time in rows():
            text = chance.bytes(padding // 2).hex()
            review = {"reviewerID": f"u{user}", "asin": f"i{item}", "unixReviewTime": time, "reviewText": text}
            file.write(json.dumps(review).encode() + b"\n")


def settings(model: str, **overrides: Any) -> dict[str, Any]:
    """A model's resolved settings, small."""
    training = {"epochs": EPOCHS, "batch_size": 16, "edge_batch_size": 64, "learning_rate": 0.01}
    given: dict[str, Any] = {"kind": model}
    if model in TRAINABLE:
        given |= {"dimension": 16, "training": training}
    if model in ("sasrec", "bert4rec", "mrgsrec", "gsau", "selfgnn"):
        given["max_length"] = 10
    if model in ("create", "loom"):
        given["sequence"] = {"kind": "sasrec", "max_length": 10}
    if model == "create":
        given["warmup_epochs"] = 3
    return validate({"model": merge(given, overrides)}, "test", ModelSettings).model.model_dump(mode="json")


def run_of(model: str, *, fold: str = "validation", variant: str = "drill", **overrides: Any) -> Run:
    evaluation = EvaluationConfig(remove_seen=True).model_dump(mode="json")
    return Run("made", model, variant, 0, "temporal", fold, settings(model, **overrides), evaluation)


# --- commands, relative to a working directory --------------------------------------------------------------------

DATA = ("--interactions", "results/interactions.parquet", "--summary", "results/dataset.json")
SPLIT = ("--split", "results/split.safetensors", "--statistics", "results/split.json")
TRAINED = ("--model", "results/run/model.safetensors", "--history", "results/run/training.json")
MEASURED = ("--record", "results/run/record.json", "--ranks", "results/run/ranks.parquet")


def prepare(path: str = "made.csv") -> list[str]:
    own = {"dataset": {"file": {"path": path, **COLUMNS}}}
    return ["prepare", "made", "--settings", json.dumps(own), *DATA]


def download(mirror: str) -> list[str]:
    """Fetches the reviews from a mirror under the name of a public dataset, whose counts it cannot have."""
    wanted = {"dataset": {"allow_count_mismatch": True}, "mirror": mirror}
    return ["prepare", "amazon-beauty", "--settings", json.dumps(wanted), *DATA]


def split() -> list[str]:
    outputs = ["--output", "results/split.safetensors", "--statistics", "results/split.json"]
    return ["split", "made", "--setup", "temporal", "--settings", "{}", *DATA, *outputs]


def train(run: Run, checkpoint_seconds: float = 0.0) -> list[str]:
    often = ["--checkpoint-seconds", str(checkpoint_seconds), "--device", "cpu"]
    return ["train", "--settings", _slice(run), *SPLIT, *TRAINED, *often]


def evaluate(run: Run) -> list[str]:
    return ["evaluate", "--settings", _slice(run), *SPLIT, *TRAINED, *MEASURED, "--device", "cpu"]


def collect() -> list[str]:
    return ["collect", "--records-from", "results", "--output", "results/metrics.csv"]


def _slice(run: Run) -> str:
    return json.dumps(run.slice())


def commands(run: Run) -> Mapping[str, list[str]]:
    """From the file to the table, in order."""
    return {
        "prepare": prepare(),
        "split": split(),
        "train": train(run),
        "evaluate": evaluate(run),
        "collect": collect(),
    }
