"""A run's record: everything a table, a figure or a doubt may ask of it later."""

import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from createrec.config import EvaluationConfig, resolved
from createrec.data.split import Queries, Split
from createrec.evaluation.metrics import metrics, names_of_metrics
from createrec.evaluation.ranking import Ranking, rank
from createrec.files import atomic_path, write_json
from createrec.models.base import Recommender
from createrec.plan import Run
from createrec.provenance import record_version
from createrec.runs.run import refuse_unasked

FORMAT = 1

# The protocol's open switches, each printed beside the default (docs/protocol.md); one trained model serves all.
SWITCHES: tuple[Mapping[str, Any], ...] = (
    {"target": "first"},
    {"target": "random"},
    {"history_strict": True},
    {"drop_cold_items": True},
    {"history_strict": True, "drop_cold_items": True},
    {"target": "random", "history_strict": True, "target_draws": 10},  # how the authors' group measures later
    {"remove_seen": None},  # the other setting than the run's own
)
# Of the setup time-to-split (docs/validation.md): its three kinds of query, under both denominators of Coverage.
TIME_TO_SPLIT_SWITCHES: tuple[Mapping[str, Any], ...] = (
    {"target": "first"},
    {"target": "random"},
    {"target": "first", "without_history": "skip"},
    {"coverage_of": "training"},
    {"target": "first", "coverage_of": "training"},
    {"target": "random", "coverage_of": "training"},
)


def _sensitivity(run: Run, evaluation: EvaluationConfig) -> Iterator[tuple[str, EvaluationConfig]]:
    switches = {"temporal": SWITCHES, "time-to-split": TIME_TO_SPLIT_SWITCHES}
    for switch in switches.get(run.setup, ()) if run.fold == "test" else ():
        changed = {key: not evaluation.remove_seen if key == "remove_seen" else value for key, value in switch.items()}
        changed = {key: value for key, value in changed.items() if getattr(evaluation, key) != value}
        if changed:
            name = ",".join(f"{key}={str(value).lower()}" for key, value in changed.items())
            yield name, evaluation.model_copy(update=changed)


def measure(
    model: Recommender, split: Split, fold: str, evaluation: EvaluationConfig
) -> tuple[dict[str, float | None], list[tuple[Queries, Ranking]]]:
    """Ranks a fold's queries under some switches.

    Returns:
        The metrics (each None where these switches leave nobody to ask; of several draws of random targets the means,
        and beside each, as `spread NAME`, the sample standard deviation over draws); the queries of each draw and their
        ranking.
    """
    items = split.item_count
    if evaluation.coverage_of == "training":
        items = len(np.unique(split.items[split.training_rows(fold)]))
    measured: list[dict[str, float]] = []
    kept: list[tuple[Queries, Ranking]] = []
    for draw in range(evaluation.target_draws if evaluation.target == "random" else 1):
        queries = split.queries(fold, evaluation, draw)
        if not len(queries):
            return dict.fromkeys(names_of_metrics(evaluation.cutoffs)), []
        ranking = rank(
            model,
            queries,
            remove_seen=resolved(evaluation.remove_seen, "evaluation.remove_seen"),
            k=max(evaluation.cutoffs),
        )
        measured.append(metrics(ranking.ranks, ranking.top, items, evaluation.cutoffs))
        kept.append((queries, ranking))
    values: dict[str, float | None] = {name: statistics.fmean(one[name] for one in measured) for name in measured[0]}
    if len(measured) > 1:
        values |= {f"spread {name}": statistics.stdev(one[name] for one in measured) for name in measured[0]}
    return values, kept


def evaluate_run(
    run: Run, split: Split, facts: Mapping[str, Any], model: Recommender, training: Mapping[str, Any]
) -> tuple[dict[str, Any], pa.Table]:
    """The run's record, and its ranks (columns user, rank, and draw where random targets are drawn several times).

    Args:
        facts: the split's statistics and the data's label.

    Raises:
        DataError: the run's switches leave nobody to ask.
    """
    refuse_unasked(run, split)
    evaluation = EvaluationConfig(**run.evaluation)
    started = time.perf_counter()
    values, draws = measure(model, split, run.fold, evaluation)
    seconds = time.perf_counter() - started
    sensitivity = {name: measure(model, split, run.fold, other)[0] for name, other in _sensitivity(run, evaluation)}
    record = {
        "format": FORMAT,
        **{key: value for key, value in run.slice().items() if key not in ("settings", "evaluation")},
        "label": facts["label"],
        "data": dict(facts),
        "settings": dict(run.settings),
        "evaluation": dict(run.evaluation),
        "sources": training.get("sources", []),
        "notes": training.get("notes", []),
        "metrics": values,
        "sensitivity": sensitivity,
        "history": training["history"],
        "best_epoch": training["best_epoch"],
        "parameters": training["parameters"],
        "device": training["device"],
        "libraries": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "code_version": record_version(run.settings, training["code_version"]),
        "seconds": {"train": training["seconds"], "evaluate": seconds},
        "peak_memory_bytes": training["peak_memory_bytes"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Not the targets: who took what is data, whose licences forbid passing it on; the split and its switches fix them.
    columns = {
        "user": np.concatenate([queries.user for queries, _ in draws]),
        "rank": np.concatenate([ranking.ranks for _, ranking in draws]),
    }
    if len(draws) > 1:
        columns["draw"] = np.repeat(np.arange(len(draws)), [len(queries) for queries, _ in draws])
    return record, pa.table({name: _int32(column) for name, column in columns.items()})


def _int32(column: NDArray[Any]) -> pa.Array:
    """The numbers of an array; `pa.array` would load pandas, which takes every evaluation a third of a second."""
    numbers = np.ascontiguousarray(column, np.int32)
    return pa.Array.from_buffers(pa.int32(), len(numbers), [None, pa.py_buffer(numbers)])


def write_record(record: Mapping[str, Any], ranks: pa.Table, record_path: Path, ranks_path: Path) -> None:
    """Writes ranks.parquet, then record.json: a record is there only if its ranks are."""
    record_path.unlink(missing_ok=True)  # never an earlier record beside new ranks
    with atomic_path(ranks_path) as temporary:
        pq.write_table(ranks, temporary, compression="zstd")
    write_json(record_path, record)
