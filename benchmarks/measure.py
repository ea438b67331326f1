"""What the measurements share: the shapes, the operations that cannot be saved, and the machine's own rate."""

import platform
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from createrec.config import LeaveOneOutSetup, ModelSettings, validate
from createrec.data.batch import TrainingData
from createrec.data.split import Split, split
from createrec.data.synthetic import shaped
from createrec.kinds import of_role
from createrec.models.base import Recommender
from createrec.models.registry import build_model
from createrec.ops.ragged import Sequences
from createrec.randomness import Randomness
from createrec.runs.run import training_data
from createrec.training.device import describe
from createrec.training.trainer import EpochRunner, make_optimizer

FOLD = "validation"
GEMM_SIZE = 2048
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Shape:
    """The counts of a dataset, and how much of a history a sequence model reads."""

    users: int
    items: int
    interactions: int
    max_length: int


# Counts of Table 1 of the paper. Of yambda-50m only a batch's users and the catalogue matter here.
SHAPES = {
    "beauty": Shape(22_363, 12_101, 198_502, 50),
    "ml-1m": Shape(6_040, 3_706, 1_000_209, 200),
    "yambda-batch": Shape(128, 181_304, 128 * 50, 50),
}


def made_split(shape: Shape) -> Split:
    """A made dataset of this shape; each user's last two items are left out, so that everybody is learnt from."""
    return split(shaped(shape.users, shape.items, shape.interactions), LeaveOneOutSetup())


def model_of(made: Split, settings: dict, seed: int = 0) -> Recommender:
    """An untrained model on the CPU."""
    typed = validate({"model": settings}, "benchmark", ModelSettings).model
    return build_model(typed, training_data(made, FOLD, CPU), Randomness(seed))


def trainable() -> list[str]:
    """Kinds of the models that have epochs."""
    return [name for name, kind in of_role("model").items() if "training" in kind.settings.model_fields]


def full_histories(shape: Shape, loss: str, device: torch.device = CPU, **settings: int) -> Recommender:
    """SASRec over twice the shape's users, whose histories all have `max_length` inputs; a step takes half of them."""
    offsets = torch.arange(2 * shape.users + 1) * (shape.max_length + 1)
    items = torch.randint(shape.items, (int(offsets[-1]),), generator=torch.Generator().manual_seed(0)).to(device)
    data = TrainingData(Sequences(items, offsets.to(device)), torch.zeros_like(items), shape.items)
    of_loss = {"max_length": shape.max_length, "loss": {"kind": loss}, "training": {"batch_size": shape.users}}
    typed = validate({"model": {"kind": "sasrec", **of_loss, **settings}}, "benchmark", ModelSettings).model
    return build_model(typed, data, Randomness(0, device))


def first_phase(model: Recommender, index: int = 0, *, capture: bool = False) -> EpochRunner:
    """A runner of one of the model's phases, shuffled and ready for `step`."""
    training = model.config.training
    phase = model.phases()[index]
    runner = EpochRunner(model, phase, training, make_optimizer(model, training), model.randomness, capture=capture)
    model.train()
    runner.streams.shuffle()
    return runner


def sequence_operations(
    lengths: Tensor, items: int, dimension: int, blocks: int, feedforward_factor: int = 1
) -> dict[str, float]:
    """Floating-point operations that training a causal Transformer once on these rows takes at least.

    Forward and backward of a matrix product take 6 operations a weight and target. Attention counts the real
    pairs (a position and those before it) in two products. Softmax, normalisation, dropout and the optimiser are free.

    Args:
        lengths: input positions of each row; each has a target.

    Returns:
        Operations of the output layer, the linear layers and attention.
    """
    targets, pairs = float(lengths.sum()), float((lengths * (lengths + 1) / 2).sum())
    weights = (4 + 2 * feedforward_factor) * dimension**2
    return {
        "output": 6 * items * dimension * targets,
        "linear": 6 * weights * blocks * targets,
        "attention": 12 * dimension * blocks * pairs,
    }


def share_of_floor(operations: float, core_seconds: float, gemm_gflops: float) -> float:
    """The least time (operations at the machine's matrix-product rate) over the time taken."""
    return operations / (gemm_gflops * 1e9) / core_seconds


def gemm_gflops() -> float:
    """Rate of one 2048 x 2048 x 2048 product in float32, in GFLOP per core-second of the process."""
    a, b = torch.rand(2, GEMM_SIZE, GEMM_SIZE).unbind()
    torch.mm(a[:256], b)
    started = time.process_time()
    torch.mm(a, b)
    return 2 * GEMM_SIZE**3 / (time.process_time() - started) / 1e9


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    return {
        "device": describe(CPU),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
