"""What an epoch of every trainable model costs on made data with a dataset's counts: seconds and peak memory.

    python benchmarks/epochs.py
    python benchmarks/epochs.py --dataset yambda-50m --models sasrec lightgcn ultragcn create

Each phase of each model is a process of its own: some steps are timed and the epoch is extrapolated from them.
"""

import argparse
import json
import sys
from pathlib import Path

from clock import Stopwatch
from environments import HERE, BenchmarkError
from measure import Shape, first_phase, machine, made_split, model_of, trainable
from run import run_one

from createrec.config import load
from createrec.data.registry import datasets
from createrec.files import write_json
from createrec.plan import resolve
from createrec.training.device import keep_big_blocks

# The models' own defaults: an epoch must not cost something else once a dataset has been tuned.
CONFIG = load([HERE.parent / "config.yaml", HERE.parent / "config" / "untuned.yaml"])


def measure_phase(kind: str, dataset: str, index: int, watch: Stopwatch) -> dict:
    """Times steps of one phase; the work is steps."""
    counts = datasets()[dataset].counts
    shape = Shape(counts.users, counts.items, counts.interactions, CONFIG.datasets[dataset].max_length)
    model = model_of(made_split(shape), resolve(CONFIG, dataset, kind))
    runner = first_phase(model, index)
    steps = runner.streams.steps
    watch.restart()
    for step in range(steps):
        runner.step(step)
        if watch.lap(1):
            break
    found = watch.result()
    return {
        "model": kind,
        "phase": runner.phase.name,
        "phases": len(model.phases()),
        "steps": steps,
        "core_seconds_per_epoch": steps / found["rate"],
        "peak_memory_bytes": found["peak_memory_bytes"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=trainable(), choices=trainable())
    parser.add_argument("--dataset", default="amazon-beauty", choices=datasets(), help="whose counts the data have")
    parser.add_argument("--seconds", type=float, default=10.0, help="core-seconds of each phase")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/epochs-DATASET.json")
    parser.add_argument("--phase", type=int, help="measure this phase of the one model, and print one JSON line")
    options = parser.parse_args()
    if options.phase is not None:
        keep_big_blocks()
        watch = Stopwatch(options.seconds, warmup=1)
        print(json.dumps(measure_phase(options.models[0], options.dataset, options.phase, watch)))
        return
    rows = []
    print(
        "| model | phase | core-seconds per epoch | peak memory, MB | parameters |\n|---|---|---|---|---|", flush=True
    )
    for kind in options.models:
        index, phases = 0, 1
        while index < phases:
            command = [sys.executable, Path(__file__).resolve(), "--models", kind, "--phase", str(index)]
            command += ["--dataset", options.dataset]
            try:
                row = run_one(command, options.seconds, options.threads, {})
            except BenchmarkError as error:
                print(f"| {kind} | {error} | | | |", flush=True)
                break
            phases = row["phases"]
            index += 1
            rows.append(row)
            print(
                f"| {row['model']} | {row['phase']} | {row['core_seconds_per_epoch']:.1f} "
                f"| {row['peak_memory_bytes'] / 1e6:.0f} | {row['parameters']:,} |",
                flush=True,
            )
    output = options.output or HERE / "results" / f"epochs-{options.dataset}.json"
    about = {"machine": machine(), "dataset": options.dataset, "threads": options.threads, "rows": rows}
    write_json(output, about)


if __name__ == "__main__":
    main()
