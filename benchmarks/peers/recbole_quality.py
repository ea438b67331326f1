"""Trains RecBole's SASRec on given rows, and writes what it would answer to given queries every few core-seconds.

Run in RecBole's environment by `benchmarks/quality.py`, which ranks the answers itself. Prints one JSON line:
core-seconds of training and file of each look. The looks do not count as training.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from clock import Stopwatch
from recbole_library import prepare, write_interactions

BLOCK = 1024
# A component that puts items which RecBole has never seen behind all others.
ABSENT = -1e9


def with_two_dummies(user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows and two more behind each user's last: RecBole's split takes the last two away again."""
    last = np.flatnonzero(np.diff(user, append=-1))
    order = np.argsort(np.concatenate([np.arange(len(user)), last, last]), kind="stable")
    user, item = (np.concatenate([column, column[last], column[last]])[order] for column in (user, item))
    return user, item, np.arange(len(user))


class Looker:
    """Answers the queries with the network as it stands."""

    def __init__(self, trainer, train, arrays, folder: Path, max_length: int) -> None:
        self.network, self.folder = trainer.model, folder
        known = train.dataset.field2token_id["item_id"]
        self.row_of = np.array([known.get(str(item), 0) for item in range(int(arrays["item_count"]))])
        items, offsets = self.row_of[arrays["history"]], arrays["offsets"]
        self.sequences = torch.zeros(len(offsets) - 1, max_length, dtype=torch.int64)
        self.lengths = torch.ones(len(offsets) - 1, dtype=torch.int64)
        for query in range(len(offsets) - 1):
            row = items[offsets[query] : offsets[query + 1]]
            row = row[row > 0][-max_length:]
            self.sequences[query, : len(row)] = torch.from_numpy(row)
            self.lengths[query] = max(1, len(row))
        self.looks: list[dict] = []

    @torch.no_grad()
    def look(self, core_seconds: float) -> None:
        self.network.eval()
        states = torch.cat(
            [
                self.network.forward(*block)
                for block in zip(self.sequences.split(BLOCK), self.lengths.split(BLOCK), strict=True)
            ]
        )
        self.network.train()
        vectors = self.network.item_embedding.weight[torch.from_numpy(self.row_of)]
        absent = torch.from_numpy(self.row_of == 0).float()[:, None] * ABSENT
        path = self.folder / f"look{len(self.looks)}.npz"
        np.savez(path, states=torch.nn.functional.pad(states, (0, 1), value=1.0), items=torch.cat([vectors, absent], 1))
        self.looks.append({"core_seconds": core_seconds, "file": str(path)})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="file that quality.py wrote")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--every", type=float, required=True)
    options = parser.parse_args()
    arrays = dict(np.load(options.data, allow_pickle=False))
    folder, max_length = options.data.with_suffix(""), int(arrays["max_length"])
    write_interactions(folder, *with_two_dummies(arrays["user"], arrays["item"]))
    trainer, train, _ = prepare("SASRec", folder, max_length)
    looker = Looker(trainer, train, arrays, folder, max_length)
    watch, own = Stopwatch(options.seconds, warmup=0, patience=math.inf), type(train)
    over = False

    class Watched(own):
        def __iter__(self) -> Iterator:
            nonlocal over
            watch.restart()
            for batch in super().__iter__():
                yield batch
                over = watch.lap(len(batch))
                if over or watch.core >= options.every * (len(looker.looks) + 1):
                    looker.look(watch.core)
                    watch.restart()
                if over:
                    return

    train.__class__ = Watched
    epoch = 0
    while not over:
        trainer._train_epoch(train, epoch)
        epoch += 1
    print(json.dumps({**watch.result(), "looks": looker.looks}))


if __name__ == "__main__":
    main()
