"""One measurement of this package, in a process of its own: prints one JSON line.

    python benchmarks/ours.py sasrec --shape beauty --seconds 30

Each measurement has its own process so that its peak memory is its own.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Callable
from functools import partial

import torch
from clock import Stopwatch
from measure import (
    FOLD,
    SHAPES,
    Shape,
    first_phase,
    full_histories,
    gemm_gflops,
    machine,
    made_split,
    model_of,
    sequence_operations,
    share_of_floor,
)
from torch import Tensor
from torch.nn import functional as F

from createrec.config import EvaluationConfig
from createrec.evaluation.ranking import rank
from createrec.ops.cross_entropy import linear_cross_entropy
from createrec.training.device import keep_big_blocks
from createrec.training.trainer import EpochRunner

DIMENSION = 64
TOP = 100
LOSS_ROWS = 2048
# The machine's own rate is looked at once in so many steps, so that both see the same neighbours.
STEPS_PER_PRODUCT = 5


def sasrec(shape: Shape, watch: Stopwatch) -> dict[str, float]:
    """Training SASRec with full cross-entropy, beside the machine's matrix products."""
    model = model_of(made_split(shape), {"kind": "sasrec", "dimension": DIMENSION, "max_length": shape.max_length})
    runner, config = first_phase(model), model.config
    inputs = (model.data.sequences.lengths - 1).clamp(0, shape.max_length)
    operations, products = 0.0, []
    for index in itertools.count():
        if index % STEPS_PER_PRODUCT == 0:
            products.append(gemm_gflops())
        lengths = inputs[runner.streams.users[runner.streams.streams["sequences"].take(index)]]
        counted = not watch.warmup
        watch.restart()
        runner.step(index)
        spent = watch.lap(float(lengths.sum()))
        if counted:
            parts = sequence_operations(lengths, shape.items, DIMENSION, config.blocks, config.feedforward_factor)
            operations += sum(parts.values())
        if spent:
            break
    gemm = statistics.median(products)
    return {
        "share_of_floor": share_of_floor(operations, watch.core, gemm),
        "share_of_fastest_product": share_of_floor(operations, watch.core, max(products)),
        "floor": watch.work / operations * gemm * 1e9,
        "gemm_gflops_per_core": gemm,
        "gemm_gflops_fastest": max(products),
        "targets_per_epoch": float(inputs.sum()),
    }


def _train(runner: EpochRunner, work: float, watch: Stopwatch) -> dict[str, float]:
    for index in itertools.count():
        runner.step(index)
        if watch.lap(work):
            return {}
    raise AssertionError("a count does not end")


def graph(kind: str, shape: Shape, watch: Stopwatch) -> dict[str, float]:
    """Training a graph model; the work is its edges."""
    runner = first_phase(model_of(made_split(shape), {"kind": kind, "dimension": DIMENSION}))
    watch.restart()
    return _train(runner, runner.streams.streams["edges"].size, watch)


def ranking(shape: Shape, watch: Stopwatch) -> dict[str, float]:
    """Ranks and top 100 of all users over the full catalogue, seen items removed; the work is users."""
    made = made_split(shape)
    model = model_of(made, {"kind": "sasrec", "dimension": DIMENSION, "max_length": shape.max_length})
    queries = made.queries(FOLD, EvaluationConfig())
    watch.restart()
    while True:
        rank(model, queries, remove_seen=True, k=TOP)
        if watch.lap(len(queries)):
            return {}


def yambda(loss: str, shape: Shape, watch: Stopwatch) -> dict[str, float]:
    """Training steps of SASRec with every history full; the work is targets."""
    runner = first_phase(full_histories(shape, loss, dimension=DIMENSION))
    watch.restart()
    return _train(runner, shape.users * shape.max_length, watch)


def loss_alone(function: Callable[..., Tensor], shape: Shape, watch: Stopwatch) -> dict[str, float]:
    """Full cross-entropy forward and backward; the work is targets."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(LOSS_ROWS, DIMENSION, generator=generator).requires_grad_()
    table = (0.02 * torch.randn(shape.items, DIMENSION, generator=generator)).requires_grad_()
    targets = torch.randint(shape.items, (LOSS_ROWS,), generator=generator)
    while True:
        states.grad = table.grad = None
        function(states, table, targets).backward()
        if watch.lap(LOSS_ROWS):
            return {}


def torch_loss(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """The chunked loss of torch 2.13 and later, as it chooses its chunks."""
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(states, table, targets, options=options)


MEASUREMENTS: dict[str, Callable[[Shape, Stopwatch], dict[str, float]]] = {
    "sasrec": sasrec,
    "lightgcn": partial(graph, "lightgcn"),
    "ultragcn": partial(graph, "ultragcn"),
    "ranking": ranking,
    "full": partial(yambda, "full"),
    "scalable": partial(yambda, "scalable"),
    "loss": partial(loss_alone, linear_cross_entropy),
    "bfloat16-loss": partial(loss_alone, partial(linear_cross_entropy, products=torch.bfloat16)),
    "torch-loss": partial(loss_alone, torch_loss),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--shape", choices=SHAPES, default="beauty")
    parser.add_argument("--seconds", type=float, default=20.0, help="core-seconds to spend")
    options = parser.parse_args()
    keep_big_blocks()
    watch = Stopwatch(options.seconds, warmup=1)
    found = MEASUREMENTS[options.what](SHAPES[options.shape], watch)
    print(json.dumps({**watch.result(), **found, "machine": machine()}))


if __name__ == "__main__":
    main()
