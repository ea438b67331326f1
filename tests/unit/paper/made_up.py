"""Made-up records: the smallest that the paper area reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from createrec.config import ProjectConfig, validate
from createrec.paper.records import Results
from createrec.plan import Run, runs

DATASETS = {"amazon-beauty": "", "ml-1m": "ML-1M, 31 % of timestamps interpolated"}
METRICS = ("ndcg@10", "recall@10", "coverage@10", "ndcg@100", "recall@100", "coverage@100")


def settings() -> dict[str, Any]:
    """A configuration with one or two of everything."""
    names = ("random", "sasrec", "create", "loom", "gsau")
    both = list(DATASETS)

    def sweep(*values: float) -> dict[str, Any]:
        return {"datasets": both, "values": list(values), "seeds": [0, 1]}

    return {
        "hparams": None,
        "datasets": {name: {} for name in DATASETS},
        "models": {name: {"kind": name} for name in (*names, "lightgcn", "ultragcn", "bert4rec")},
        "table1": both,
        "table2": {"datasets": both, "models": ["sasrec", "random", "create"], "seeds": [0, 1]},
        "table3": {"datasets": ["amazon-beauty"], "models": ["sasrec", "loom", "create"], "seeds": [0, 1]},
        "figure2": {"datasets": both, "seeds": [0]},
        "ablations": {
            "graph_size": sweep(20, 40, 60, 100),
            "warmup": sweep(0, 10, 50),
            "barlow_weight": sweep(0, 0.1, 1),
            "alignment": {
                "datasets": ["amazon-beauty"],
                "graphs": ["lightgcn", "ultragcn"],
                "alignments": ["none", "barlow"],
                "seeds": [0, 1],
            },
            "backbone": {
                "datasets": ["amazon-beauty"],
                "sequences": ["sasrec", "bert4rec"],
                "graphs": ["ultragcn"],
                "seeds": [0, 1],
            },
        },
    }


def write_record(folder: Path, run: Run, *, ndcg: float, **changes: Any) -> Path:
    """One record.json whose other metrics are multiples of its NDCG@10, as a fraction."""
    record = {
        "format": 1,
        "dataset": run.dataset,
        "model": run.model,
        "variant": run.variant,
        "seed": run.seed,
        "setup": run.setup,
        "fold": run.fold,
        "label": DATASETS.get(run.dataset, ""),
        "data": {"dataset_hash": f"hash of {run.dataset}", "split_hash": f"hash of {run.dataset} {run.setup}"},
        "settings": dict(run.settings),
        "evaluation": dict(run.evaluation),
        "metrics": {name: ndcg * factor for factor, name in enumerate(METRICS, start=1)},
        "best_epoch": 0,
        "history": [
            {"epoch": 0, "phase": "warmup", "losses": {"global": 90.0}, "validation": None, "seconds": 1.0},
            {
                "epoch": 1,
                "phase": "joint",
                "losses": {"local": 8.0, "global": 60.0, "barlow": 0.5},
                "validation": {"ndcg@10": 0.015},
                "seconds": 1.0,
            },
        ],
    } | changes
    path = folder / run.folder / "record.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def write_ranks(folder: Path, run: Run, ranks: list[int], users: list[int] | None = None) -> Path:
    path = folder / run.folder / "ranks.parquet"
    users = list(range(len(ranks))) if users is None else users
    pq.write_table(pa.table({"user": pa.array(users, pa.int32()), "rank": ranks}), path)
    return path


def write_dataset(folder: Path, dataset: str, label: str = "") -> Path:
    path = folder / dataset / "dataset.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {"users": 22363, "items": 12000, "interactions": 7}
    path.write_text(json.dumps({"dataset": dataset, "label": label, "dataset_hash": f"hash of {dataset}", **counts}))
    return path


def write_split(folder: Path, dataset: str, setup: str) -> Path:
    path = folder / dataset / setup / "split.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"dataset": dataset, "split_hash": f"hash of {dataset} {setup}"}))
    return path


class World:
    """A configuration, and records of all its runs in folders of their own."""

    def __init__(self, folder: Path) -> None:
        self.config: ProjectConfig = validate(settings())
        self.records, self.data, self.splits = folder / "runs", folder / "data", folder / "splits"
        self.out = folder / "out"
        self.runs = runs(self.config)
        for dataset, label in DATASETS.items():
            write_dataset(self.data, dataset, label)
            for setup in ("temporal", "leave-one-out"):
                write_split(self.splits, dataset, setup)

    def fill(self, value: Callable[[Run], float]) -> "World":
        """Writes every record, its NDCG@10 given by `value`."""
        for run in self.runs.values():
            write_record(self.records, run, ndcg=value(run))
        return self

    def run(self, folder: str) -> Run:
        return self.runs[folder]

    def results(self) -> Results:
        return Results(self.config, self.records, self.data, self.splits)
