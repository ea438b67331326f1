"""RecBole through its own classes: a dataset of ours in its format, and loaders that stop when the time is up."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from clock import Stopwatch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

DIMENSION = 64
SETTINGS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
    "metrics": ["NDCG", "Recall"],
    "topk": [10, 100],
    "valid_metric": "NDCG@10",
    "show_progress": False,
    "save_dataset": False,
    "state": "ERROR",
    "seed": 0,
}
MODELS = {
    "SASRec": {
        "n_layers": 2,
        "n_heads": 2,
        "hidden_size": DIMENSION,
        "inner_size": DIMENSION,
        "hidden_dropout_prob": 0.3,
        "attn_dropout_prob": 0.3,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "train_batch_size": 256,
    },
    "LightGCN": {"embedding_size": DIMENSION, "n_layers": 3, "reg_weight": 1e-4, "train_batch_size": 2048},
}


def write_interactions(folder: Path, user: np.ndarray, item: np.ndarray, time: np.ndarray) -> None:
    """RecBole's file of interactions, `folder/NAME/NAME.inter`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    lines += [f"{u}\t{i}\t{t}" for u, i, t in zip(user.tolist(), item.tolist(), time.tolist(), strict=True)]
    (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n")


def prepare(model: str, folder: Path, max_length: int) -> tuple:
    """Trainer, training loader and validation loader of one model on the CPU."""
    sys.argv = sys.argv[:1]  # RecBole reads the command line for itself
    settings = {
        **SETTINGS,
        **MODELS[model],
        "data_path": str(folder.parent),
        "checkpoint_dir": str(folder / "checkpoints"),
        "MAX_ITEM_LIST_LENGTH": max_length,
    }
    config = Config(model=model, dataset=folder.name, config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    network = get_model(model)(config, train.dataset).to(config["device"])
    return get_trainer(config["MODEL_TYPE"], model)(config, network), train, valid


def stop_after(loader: object, watch: Stopwatch) -> None:
    """Makes a loader count its samples and end when the time is up, and change nothing else."""
    own = type(loader)

    class Limited(own):
        def __iter__(self) -> Iterator:
            watch.restart()
            for batch in super().__iter__():
                yield batch
                if watch.lap(len(batch[0] if isinstance(batch, tuple) else batch)):
                    return

    loader.__class__ = Limited
