"""What an epoch costs with the code of another checkout and with this one's, steps taken in turn in one process.

    git worktree add /tmp/before COMMIT
    python benchmarks/before_after.py /tmp/before --models selfgnn bert4rec

On a machine that others use too, only such ratios mean something: whatever slows a step slows the next one alike. The
data are made, with the counts of amazon-beauty; settings are the models' own defaults, each checkout's.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHAPE, DATASET = "beauty", "amazon-beauty"
OURS = ("createrec", "measure", "environments", "clock")
WARMUP_STEPS = 2


def load(root: Path, kind: str) -> tuple[Any, Any]:
    """A runner of the first phase of a model's training, and `measure`, by the code of one checkout."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    paths = [str(root / "benchmarks"), str(root / "src")]
    sys.path[:0] = paths
    try:
        import measure

        from createrec.config import load as load_config
        from createrec.plan import resolve
        from createrec.training.device import keep_big_blocks

        keep_big_blocks()
        config = load_config([root / "config.yaml", root / "config" / "untuned.yaml"])
        model = measure.model_of(measure.made_split(measure.SHAPES[SHAPE]), resolve(config, DATASET, kind))
        return measure.first_phase(model), measure
    finally:
        del sys.path[: len(paths)]


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
    parser.add_argument("--seconds", type=float, default=20.0, help="core-seconds of each model, both sides together")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "before-after.json")
    options = parser.parse_args()
    rows = []
    for kind in options.models:
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
