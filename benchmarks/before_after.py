"""What an epoch costs with the code of another checkout and with this one's, steps taken in turn in one process.

    git worktree add /tmp/before COMMIT
    python benchmarks/before_after.py /tmp/before --models selfgnn bert4rec
    python benchmarks/before_after.py /tmp/before --ranking         # ranks and top 100 of some users instead

On a machine that others use too, only such ratios mean something: whatever slows a step slows the next one alike. The
data are made, with the counts of amazon-beauty; settings are the models' own defaults, each checkout's.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHAPE, DATASET = "beauty", "amazon-beauty"
OURS = ("createrec", "measure", "environments", "clock")
WARMUP_STEPS = 2
RANKED_USERS, TOP, RANKED_SHAPES = 4096, 100, ("beauty", "ml-1m")


@contextmanager
def code_of(root: Path) -> Iterator[None]:
    """Imports inside the block are those of one checkout, afresh."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    paths = [str(root / "benchmarks"), str(root / "src")]
    sys.path[:0] = paths
    try:
        yield
    finally:
        del sys.path[: len(paths)]


def load(root: Path, kind: str) -> tuple[Any, Any]:
    """A runner of the first phase of a model's training, and `measure`, by the code of one checkout."""
    with code_of(root):
        import measure

        from createrec.config import load as load_config
        from createrec.plan import resolve
        from createrec.training.device import keep_big_blocks

        keep_big_blocks()
        config = load_config([root / "config.yaml", root / "config" / "untuned.yaml"])
        model = measure.model_of(measure.made_split(measure.SHAPES[SHAPE]), resolve(config, DATASET, kind))
        return measure.first_phase(model), measure


def load_ranking(root: Path, shape: str) -> Callable[[], Any]:
    """Ranks some users of a shape, seen items removed, by the code of one checkout; states are drawn, not made."""
    with code_of(root):
        import measure
        import torch

        from createrec.config import EvaluationConfig
        from createrec.data.split import Queries
        from createrec.evaluation.ranking import rank

        counts = measure.SHAPES[shape]
        made = measure.made_split(counts)
        model = measure.model_of(made, {"kind": "sasrec", "dimension": 64, "max_length": counts.max_length})
        whole = made.queries(measure.FOLD, EvaluationConfig())
        offsets = whole.offsets[: RANKED_USERS + 1]
        some = Queries(whole.user[:RANKED_USERS], whole.target[:RANKED_USERS], whole.history[: offsets[-1]], offsets)
        states = torch.randn(len(some), 64, generator=torch.Generator().manual_seed(0))
        model.user_states = lambda queries: states
        return partial(rank, model, some, remove_seen=True, k=TOP)


def compare_ranking(before: Path, shape: str, seconds: float) -> dict[str, Any]:
    """Core-seconds of ranking by both, how many times the first is the second, and whether they say the same."""
    sides = {"before": load_ranking(before, shape), "after": load_ranking(HERE.parent, shape)}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    found, begun = {}, time.process_time()
    while time.process_time() - begun < seconds or len(taken["after"]) <= WARMUP_STEPS:
        for side, rank in sides.items():
            started = time.process_time()
            found[side] = rank()
            taken[side].append(time.process_time() - started)
    rate = {side: RANKED_USERS / statistics.median(all_[WARMUP_STEPS:]) for side, all_ in taken.items()}
    return {
        "ranking": shape,
        "repeats": len(taken["after"]) - WARMUP_STEPS,
        "users_per_core_second_before": rate["before"],
        "users_per_core_second_after": rate["after"],
        "times": rate["after"] / rate["before"],
        "same_ranks": float((found["before"].ranks == found["after"].ranks).mean()),
        "same_lists": float((found["before"].top == found["after"].top).all(axis=1).mean()),
    }


def compare(before: Path, kind: str, seconds: float) -> dict[str, Any]:
    """Core-seconds of an epoch by both, and how many times the first is the second."""
    sides = {"before": load(before, kind)[0], "after": load(HERE.parent, kind)[0]}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    begun, step = time.process_time(), 0
    while time.process_time() - begun < seconds or step <= WARMUP_STEPS:
        for side, runner in sides.items():
            started = time.process_time()
            runner.step(step % runner.streams.steps)
            if step >= WARMUP_STEPS:
                taken[side].append(time.process_time() - started)
        step += 1
    epoch = {side: statistics.median(taken[side]) * runner.streams.steps for side, runner in sides.items()}
    return {
        "model": kind,
        "steps": step - WARMUP_STEPS,
        "core_seconds_per_epoch_before": epoch["before"],
        "core_seconds_per_epoch_after": epoch["after"],
        "times": epoch["before"] / epoch["after"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="another checkout of this repository")
    parser.add_argument("--models", nargs="+", default=["bert4rec", "mrgsrec", "gsau", "selfgnn", "loom"])
    parser.add_argument("--ranking", action="store_true", help="compare ranking, not training")
    parser.add_argument("--seconds", type=float, default=20.0, help="core-seconds of each model, both sides together")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "before-after.json")
    options = parser.parse_args()
    rows = []
    for shape in RANKED_SHAPES if options.ranking else ():
        rows.append(compare_ranking(options.before.resolve(), shape, options.seconds))
        print(
            f"ranking, {shape}: {rows[-1]['users_per_core_second_before']:,.0f} -> "
            f"{rows[-1]['users_per_core_second_after']:,.0f} users per core-second, {rows[-1]['times']:.2f} times",
            flush=True,
        )
    for kind in () if options.ranking else options.models:
        rows.append(compare(options.before.resolve(), kind, options.seconds))
        print(
            f"{kind}: {rows[-1]['core_seconds_per_epoch_before']:.1f} -> "
            f"{rows[-1]['core_seconds_per_epoch_after']:.1f} core-seconds an epoch, {rows[-1]['times']:.2f} times",
            flush=True,
        )
    _, measure = load(HERE.parent, "sasrec")
    from createrec.files import write_json

    load_now = os.getloadavg()[2]
    about = {"machine": measure.machine(), "shape": SHAPE, "load_of_the_last_15_minutes": load_now, "rows": rows}
    write_json(options.output, about)


if __name__ == "__main__":
    main()
