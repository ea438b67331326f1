"""Small settings of the four models that join several representations, and data that they can learn by heart."""

from typing import Any

import torch
from support import CPU, MAX_LENGTH, Recommender, Sequences, TrainingData, merge, model_of, training_data_of

from createrec.data.batch import QueryBatch
from createrec.training.batches import Streams

TRAINING = {"epochs": 3, "batch_size": 8, "edge_batch_size": 32, "learning_rate": 0.01}
SETTINGS: dict[str, dict[str, Any]] = {
    "gsau": {"dimension": 8, "max_length": MAX_LENGTH, "training": TRAINING},
    "mrgsrec": {"dimension": 8, "max_length": MAX_LENGTH, "feedforward_dimension": 16, "training": TRAINING},
    "selfgnn": {
        "dimension": 8,
        "max_length": MAX_LENGTH,
        "heads": 4,
        "intervals": 3,
        "layers": 2,
        "attention_layers": 2,
        "negatives": 6,
        "pairs": 3,
        "augmentation_weight": 1e-3,
        "l2": 1e-4,
        "training": TRAINING,
    },
    "loom": {"dimension": 8, "sequence": {"kind": "sasrec"}, "fused_weight": 0.5, "training": TRAINING},
}


def small_model(data: TrainingData, kind: str, seed: int = 0, **overrides: Any) -> Recommender:
    return model_of(data, kind, seed, **merge(SETTINGS[kind], overrides))


def disjoint_rows(users: int, length: int) -> list[list[int]]:
    """Rows without a common item: every prefix tells what comes next."""
    return torch.arange(users * length).view(users, length).tolist()


def disjoint_data(users: int = 8, length: int = 5) -> TrainingData:
    return training_data_of(disjoint_rows(users, length), users * length)


def queries_of(histories: list[list[int]], users: list[int]) -> QueryBatch:
    values = torch.tensor([item for row in histories for item in row], dtype=torch.int64)
    offsets = torch.tensor([0, *(len(row) for row in histories)]).cumsum(0)
    return QueryBatch(torch.tensor(users, device=CPU), Sequences(values, offsets))


def first_batch(model: Recommender, *, static: bool):
    """The first step of the model's only phase, and that phase."""
    (phase,) = model.phases()
    streams = Streams(model, phase, model.config.training, model.randomness, static=static)
    streams.shuffle()
    return streams.batch(0), phase
