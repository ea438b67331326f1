"""What an epoch of every trainable model costs on the Beauty shape: seconds and peak memory, as a table.

    python benchmarks/epochs.py

Each phase of each model is a process of its own: some steps are timed and the epoch is extrapolated from them.
"""

import argparse
import json
import sys
from pathlib import Path

from clock import Stopwatch
from environments import HERE, BenchmarkError
from measure import SHAPES, first_phase, machine, made_split, model_of
from run import run_one

from createrec.config import TrainableConfig
from createrec.files import write_json
from createrec.models.registry import MODELS
from createrec.training.device import keep_big_blocks

SHAPE = "beauty"


def trainable() -> list[str]:
    """Kinds of the models that have epochs."""
    return [config.model_fields["kind"].default for config in MODELS if issubclass(config, TrainableConfig)]


def settings_of(kind: str) -> dict:
    """The model's defaults, with the dataset's own length of a history."""
    config = next(config for config in MODELS if config.model_fields["kind"].default == kind)
    length = {"max_length": SHAPES[SHAPE].max_length}
    settings: dict = {"kind": kind}
    if "sequence" in config.model_fields:
        settings["sequence"] = {"kind": config.model_fields["sequence"].default.kind, **length}
    elif config.model_fields.get("max_length") and config.model_fields["max_length"].default is None:
        settings |= length
    return settings


def measure_phase(kind: str, index: int, watch: Stopwatch) -> dict:
    """Times steps of one phase; the work is steps."""
    model = model_of(made_split(SHAPES[SHAPE]), settings_of(kind))
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
    parser.add_argument("--seconds", type=float, default=10.0, help="core-seconds of each phase")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "epochs.json")
    parser.add_argument("--phase", type=int, help="measure this phase of the one model, and print one JSON line")
    options = parser.parse_args()
    if options.phase is not None:
        keep_big_blocks()
        watch = Stopwatch(options.seconds, warmup=1)
        print(json.dumps(measure_phase(options.models[0], options.phase, watch)))
        return
    rows = []
    print("| model | phase | core-seconds an epoch | peak memory, MB | parameters |\n|---|---|---|---|---|", flush=True)
    for kind in options.models:
        index, phases = 0, 1
        while index < phases:
            command = [sys.executable, Path(__file__).resolve(), "--models", kind, "--phase", str(index)]
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
    write_json(options.output, {"machine": machine(), "shape": SHAPE, "threads": options.threads, "rows": rows})


if __name__ == "__main__":
    main()
