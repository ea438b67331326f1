"""Do UltraGCN's shared negatives cost quality? Validation NDCG@10 on the real amazon-beauty, shared against own ones.

    CREATEREC_MIRROR=FOLDER python benchmarks/negatives.py

Own negatives are what the authors draw: so many for each edge. Shared ones are drawn once a batch, with the same
expectation. Everything else is the same; the best epoch of each seed counts.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from environments import HERE
from measure import CPU, FOLD, first_phase, machine
from quality import DATASET, beauty, ndcg
from torch import Tensor
from torch.nn import functional as F

from createrec.config import ModelSettings, load, validate
from createrec.data.split import Queries, Split
from createrec.errors import CreaterecError
from createrec.files import write_json
from createrec.models.single import GraphRecommender
from createrec.models.ultragcn import UltraGCNEncoder
from createrec.plan import resolve
from createrec.randomness import Randomness
from createrec.runs.run import training_data
from createrec.training.device import keep_big_blocks


class OwnNegatives(UltraGCNEncoder):
    """UltraGCN with negatives of its own for each edge."""

    def negative_loss(self, users: Tensor, user_beta: Tensor, item_table: Tensor) -> Tensor:
        c = self.config
        generator = self.randomness.generator("negatives/graph")
        drawn = torch.randint(len(item_table), (len(users), c.negatives), generator=generator)
        scores = torch.bmm(F.embedding(drawn, item_table), users[:, :, None])[:, :, 0]
        weights = c.negative_base_weight + c.negative_degree_weight * user_beta[:, None] * self.item_beta[drawn]
        return (weights * F.softplus(scores)).sum()


KINDS = {"shared": UltraGCNEncoder, "own": OwnNegatives}


def curve(kind: str, settings: dict, seed: int, epochs: int, made: Split, queries: Queries) -> dict:
    """Validation NDCG@10 after each epoch, and the core-seconds of training."""
    config = validate({"model": settings}, "benchmark", ModelSettings).model
    model = GraphRecommender(config, training_data(made, FOLD, CPU), Randomness(seed), KINDS[kind])
    runner = first_phase(model)
    values, seconds = [], 0.0
    for _ in range(epochs):
        started = time.process_time()
        runner.epoch()
        seconds += time.process_time() - started
        values.append(ndcg(model, queries))
    return {"negatives": kind, "seed": seed, "core_seconds": seconds, "ndcg@10": values}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--negatives", type=int, default=271, help="an edge, or a batch that shares them")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "negatives.json")
    options = parser.parse_args()
    keep_big_blocks()
    torch.set_num_threads(1)
    try:
        made, queries = beauty()
        settings = resolve(load([HERE.parent / "config.yaml"]), DATASET, "ultragcn", {"negatives": options.negatives})
    except CreaterecError as error:
        sys.exit(f"error: {error}")
    curves = []
    for seed in range(options.seeds):
        for kind in KINDS:
            curves.append(curve(kind, settings, seed, options.epochs, made, queries))
            found = curves[-1]
            print(
                f"{kind}, seed {seed}: best {max(found['ndcg@10']):.5f}, {found['core_seconds']:.0f} core-s", flush=True
            )
    best = {kind: [max(one["ndcg@10"]) for one in curves if one["negatives"] == kind] for kind in KINDS}
    for kind, values in best.items():
        print(f"{kind}: {statistics.mean(values):.5f} +- {statistics.stdev(values) if len(values) > 1 else 0:.5f}")
    write_json(options.output, {"machine": machine(), "settings": settings, "curves": curves, "best": best})


if __name__ == "__main__":
    main()
