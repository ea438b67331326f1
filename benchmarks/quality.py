"""Is the speed worth anything? Time to a given validation NDCG@10 on the real amazon-beauty, ours beside RecBole.

    CREATEREC_MIRROR=FOLDER python benchmarks/quality.py

The same training rows, SASRec of the same size (d 64, 2 blocks, 2 heads, dropout 0.3, full cross-entropy, Adam at
1e-3), and the same ranking code of ours over the same validation queries; each library keeps its own way of making
batches. The time is core-seconds of training with one thread; looking at the quality costs nothing.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from clock import Stopwatch
from environments import HERE, PEERS, SCRATCH, TUNED_MALLOC, python_of
from measure import CPU, FOLD, first_phase, machine, model_of
from run import run_one
from torch import Tensor

from createrec.config import EvaluationConfig, load
from createrec.data.batch import QueryBatch
from createrec.data.datasets import split_dataset
from createrec.data.split import Queries, Split
from createrec.errors import CreaterecError
from createrec.evaluation.metrics import ndcg_at_k
from createrec.evaluation.ranking import rank
from createrec.files import atomic_path, write_json
from createrec.models.base import Recommender
from createrec.randomness import Randomness
from createrec.runs.run import training_data
from createrec.training.device import keep_big_blocks

DATASET, MAX_LENGTH, CUTOFF = "amazon-beauty", 50, 10
RECBOLE = next(peer for peer in PEERS if peer.key == "recbole")


class Answers(Recommender):
    """A model that has already been asked: one state per query, by its user."""

    def __init__(self, made: Split, queries: Queries, states: Tensor, items: Tensor) -> None:
        super().__init__(training_data(made, FOLD, CPU), Randomness(0))
        self.states, self.items = states, items
        self.query_of = torch.full((made.users,), -1)
        self.query_of[torch.from_numpy(queries.user)] = torch.arange(len(queries))

    def user_states(self, queries: QueryBatch) -> Tensor:
        return self.states[self.query_of[queries.users]]

    def item_vectors(self) -> Tensor:
        return self.items


def beauty() -> tuple[Split, Queries]:
    """The real dataset, split by time, and its validation queries."""
    made, _ = split_dataset(load([HERE.parent / "config.yaml"]), DATASET, "temporal", SCRATCH / "quality")
    return made, made.queries(FOLD, EvaluationConfig())


def ndcg(model: Recommender, queries: Queries) -> float:
    return ndcg_at_k(rank(model, queries, remove_seen=True, k=0).ranks, CUTOFF)


def ours(seconds: float) -> list[dict[str, float]]:
    """One look per epoch."""
    made, queries = beauty()
    model = model_of(made, {"kind": "sasrec", "max_length": MAX_LENGTH})
    runner, watch, curve = first_phase(model), Stopwatch(seconds, warmup=0, patience=math.inf), []
    over = False
    while not over:
        watch.restart()
        runner.epoch()
        over = watch.lap(1)
        curve.append({"core_seconds": watch.core, "ndcg@10": ndcg(model, queries)})
    return curve


def recbole(seconds: float, every: float) -> list[dict[str, float]]:
    """One look every so many core-seconds; malloc is tuned, which is the faster way."""
    made, queries = beauty()
    rows = made.training_rows(FOLD)
    path = SCRATCH / "quality" / "rows.npz"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            user=made.row_user[rows],
            item=made.items[rows],
            history=queries.history,
            offsets=queries.offsets,
            item_count=made.item_count,
            max_length=MAX_LENGTH,
        )
    script = HERE / "peers" / "recbole_quality.py"
    command = [python_of(RECBOLE), script, "--data", path, "--every", str(every)]
    curve = []
    for look in run_one(command, seconds, 1, TUNED_MALLOC)["looks"]:
        with np.load(look["file"], allow_pickle=False) as arrays:
            answers = Answers(made, queries, *(torch.from_numpy(arrays[name]) for name in ("states", "items")))
        curve.append({"core_seconds": look["core_seconds"], "ndcg@10": ndcg(answers, queries)})
    return curve


def time_to(curve: list[dict[str, float]], target: float) -> float | None:
    """Core-seconds until the curve first reaches the target."""
    return next((look["core_seconds"] for look in curve if look["ndcg@10"] >= target), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=360.0, help="core-seconds of training for each")
    parser.add_argument("--every", type=float, default=30.0, help="core-seconds between two looks at RecBole")
    parser.add_argument("--ours", action="store_true", help="train ours alone, and print one JSON line")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "quality.json")
    options = parser.parse_args()
    try:
        if options.ours:
            keep_big_blocks()
            print(json.dumps(ours(options.seconds)))
            return
        curves = {
            "ours": run_one([sys.executable, Path(__file__).resolve(), "--ours"], options.seconds, 1, {}),
            "RecBole": recbole(options.seconds, options.every),
        }
    except CreaterecError as error:
        sys.exit(f"error: {error}")
    target = min(max(look["ndcg@10"] for look in curve) for curve in curves.values())
    times = {who: time_to(curve, target) for who, curve in curves.items()}
    for who, curve in curves.items():
        print(f"{who}: " + ", ".join(f"{look['core_seconds']:.0f} s {look['ndcg@10']:.4f}" for look in curve))
    print(f"core-seconds to NDCG@10 {target:.4f}, which both reach: ", end="")
    print(", ".join(f"{who} {seconds:.1f}" for who, seconds in times.items()))
    write_json(options.output, {"machine": machine(), "curves": curves, "target": target, "core_seconds": times})


if __name__ == "__main__":
    main()
