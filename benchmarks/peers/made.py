"""The made dataset that a peer measures on: what `benchmarks/run.py` wrote of ours, and the command line of a peer."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clock import Stopwatch


@dataclass(frozen=True)
class Made:
    """Interactions sorted by (user, time).

    Attributes:
        user, item, time: int64 [n].
        learnt: bool [n], rows to train on: all but the last two of each user.
        max_length: how much of a history a sequence model reads.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    learnt: np.ndarray
    max_length: int


def command_line(measurements: tuple[str, ...]) -> tuple[str, Made, Path, Stopwatch]:
    """What to measure, the data, a folder of scratch files beside it, and the clock."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=measurements)
    parser.add_argument("--data", type=Path, required=True, help="file that run.py wrote")
    parser.add_argument("--seconds", type=float, default=30.0, help="core-seconds to spend")
    options = parser.parse_args()
    with np.load(options.data, allow_pickle=False) as arrays:
        made = Made(
            **{name: arrays[name] for name in ("user", "item", "time", "learnt")}, max_length=int(arrays["max_length"])
        )
    return options.what, made, options.data.with_suffix(""), Stopwatch(options.seconds, warmup=1)


def report(watch: Stopwatch, version: str) -> None:
    """Prints the one JSON line."""
    print(json.dumps({**watch.result(), "version": version}))
