"""One measurement of RecTools, run in its own environment by `benchmarks/run.py`; prints one JSON line.

The work of training is targets: positions of a batch that have one. Ranking is `recommend` of the top 100 with
seen items removed, which gives lists but no ranks.
"""

from importlib.metadata import version

import numpy as np
import pandas as pd
from made import Made, command_line, report
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

DIMENSION, TOP = 64, 100
USERS_AT_ONCE = 2048


class StopAfter(Callback):
    """Counts targets and ends the epoch when the time is up."""

    def __init__(self, watch):
        self.watch = watch

    def __deepcopy__(self, memo):
        """RecTools copies its trainer before it fits; the clock must stay the one that is read."""
        return self

    def on_train_epoch_start(self, trainer, module):
        self.watch.restart()

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if self.watch.lap(int((batch["y"] != 0).sum())):
            trainer.should_stop = True


def dataset_of(made: Made) -> Dataset:
    rows = made.learnt
    frame = pd.DataFrame(
        {
            Columns.User: made.user[rows],
            Columns.Item: made.item[rows],
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(made.time[rows], unit="s"),
        }
    )
    return Dataset.construct(frame)


def model_of(made: Made, *callbacks: Callback, steps: int = -1) -> SASRecModel:
    def trainer() -> Trainer:
        return Trainer(
            max_epochs=1,
            max_steps=steps,
            accelerator="cpu",
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    return SASRecModel(
        n_factors=DIMENSION,
        n_blocks=2,
        n_heads=2,
        dropout_rate=0.3,
        session_max_len=made.max_length,
        loss="softmax",
        batch_size=128,
        get_trainer_func=trainer,
        recommend_torch_device="cpu",
    )


def main() -> None:
    what, made, _, watch = command_line(("sasrec", "ranking"))
    dataset = dataset_of(made)
    if what == "sasrec":
        model_of(made, StopAfter(watch)).fit(dataset)
    else:
        model = model_of(made, steps=1).fit(dataset)
        users = np.unique(made.user)
        for start in range(0, len(users), USERS_AT_ONCE):
            block = users[start : start + USERS_AT_ONCE]
            watch.restart()
            model.recommend(block, dataset, k=TOP, filter_viewed=True)
            if watch.lap(len(block)):
                break
    report(watch, version("rectools"))


if __name__ == "__main__":
    main()
