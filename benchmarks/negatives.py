"""What do UltraGCN's negatives cost, and what do they give? Validation of a real dataset, by who shares them.

    CREATEREC_MIRROR=FOLDER python benchmarks/negatives.py
    CREATEREC_MIRROR=FOLDER python benchmarks/negatives.py --dataset ml-1m --epochs 24 --seeds 1

Own negatives are what the authors draw: so many for each edge. Shared ones are drawn once per group of edges, or once
per batch, with the same expectation of the loss. Everything else is the same. The plateau on which only popularity
has been learnt shows in the coverage: `epochs_to_leave` is the first epoch after which Coverage@10 is above 10 %.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from environments import HERE, SCRATCH
from measure import FOLD, first_phase, machine, model_of

from createrec.config import EvaluationConfig, load
from createrec.data.datasets import split_dataset
from createrec.data.split import Queries, Split
from createrec.errors import CreaterecError
from createrec.evaluation.metrics import metrics
from createrec.evaluation.ranking import rank
from createrec.files import write_json
from createrec.plan import resolve
from createrec.training.device import keep_big_blocks

# Edges that share their negatives; null is the whole batch.
SHARED_BY = {"own": 1, "groups of 64": 64, "batch": None}
# Coverage@10 of a model that knows only what is popular stays below this.
PLATEAU = 0.10


def curve(settings: dict, seed: int, epochs: int, made: Split, queries: Queries) -> dict:
    """Validation after each epoch, and the core-seconds of training."""
    model = model_of(made, settings, seed)
    runner = first_phase(model)
    history, seconds = [], 0.0
    for _ in range(epochs):
        started = time.process_time()
        runner.epoch()
        seconds += time.process_time() - started
        ranking = rank(model, queries, remove_seen=True, k=10)
        history.append(metrics(ranking.ranks, ranking.top, made.item_count, (10,)))
    edges = epochs * len(runner.streams.edges.users)
    left = next((epoch for epoch, found in enumerate(history, 1) if found["coverage@10"] > PLATEAU), None)
    return {
        "seed": seed,
        "core_seconds": seconds,
        "edges_per_core_second": edges / seconds,
        "epochs_to_leave": left,
        "best ndcg@10": max(found["ndcg@10"] for found in history),
        "history": history,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="amazon-beauty")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--negatives", type=int, default=271, help="per edge, or per group that shares them")
    parser.add_argument("--initial-std", type=float, default=0.1)
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/negatives-DATASET.json")
    options = parser.parse_args()
    keep_big_blocks()
    torch.set_num_threads(1)
    try:
        config = load([HERE.parent / "config.yaml"])
        made, _ = split_dataset(config, options.dataset, "temporal", SCRATCH / "quality")
        overrides = {"negatives": options.negatives, "initial_std": options.initial_std}
        settings = resolve(config, options.dataset, "ultragcn", overrides)
    except CreaterecError as error:
        sys.exit(f"error: {error}")
    queries, curves = made.queries(FOLD, EvaluationConfig()), []
    for seed in range(options.seeds):
        for kind, shared_by in SHARED_BY.items():
            found = curve({**settings, "negatives_shared_by": shared_by}, seed, options.epochs, made, queries)
            curves.append({"negatives": kind, **found})
            print(
                f"{kind}, seed {seed}: best {found['best ndcg@10']:.5f}, plateau left in epoch "
                f"{found['epochs_to_leave']}, {found['edges_per_core_second']:,.0f} edges per core-second",
                flush=True,
            )
    for kind in SHARED_BY:
        best = [found["best ndcg@10"] for found in curves if found["negatives"] == kind]
        print(f"{kind}: {statistics.mean(best):.5f} +- {statistics.stdev(best) if len(best) > 1 else 0:.5f}")
    output = options.output or HERE / "results" / f"negatives-{options.dataset}.json"
    write_json(output, {"machine": machine(), "settings": settings, "curves": curves})


if __name__ == "__main__":
    main()
