"""Speed and memory, ours beside peers, on the same data and machine in one run.

    python benchmarks/run.py            the table, as Markdown and as JSON (13 minutes and more: the peers are slow)
    python benchmarks/run.py --quick    SASRec on the Beauty shape against the machine's own rate, two minutes

Every measurement is a process of its own with one thread (`--threads`), stopped after `--seconds` core-seconds;
rates are work per core-second, so that other programs on the machine disturb them least. Peers run in environments
of their own under `.bench/`, as they come and with glibc's malloc tuned.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environments import HERE, PEERS, SCRATCH, TUNED_MALLOC, BenchmarkError, Peer, python_of
from measure import CPU, FOLD, SHAPES, made_split
from report import OURS, everything, large_catalogue, table

from createrec.errors import CreaterecError
from createrec.files import atomic_path, read_json, write_json
from createrec.ops.cross_entropy import fast_in_bfloat16

COMPARED = ("beauty", "ml-1m")
QUANTITIES = ("sasrec", "lightgcn", "ultragcn", "ranking")
LARGE = "yambda-batch"
QUICK_SECONDS = 30.0
# A peer may take this long to read its data and start, beside its budget.
START_SECONDS = 1200.0


def run_one(command: Sequence[Path | str], seconds: float, threads: int, extra: Mapping[str, str]) -> dict[str, Any]:
    """One measurement in a process of its own.

    Raises:
        BenchmarkError: it failed, ran out of time, or did not end with a line of JSON.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(HERE),
        **extra,
    }
    SCRATCH.mkdir(exist_ok=True)
    what = " ".join(Path(part).name for part in command[1:3])
    try:
        done = subprocess.run(
            [*command, "--seconds", str(seconds)],
            env=environment,
            cwd=SCRATCH,  # peers leave logs where they run
            capture_output=True,
            text=True,
            timeout=START_SECONDS + 20 * seconds,
        )
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{what}: stopped after {error.timeout:.0f} s") from None
    except (IndexError, json.JSONDecodeError):
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise BenchmarkError(f"{what}: exit status {done.returncode}, {last[0][:200]}") from None


def our_command(what: str, shape: str) -> list[Path | str]:
    return [sys.executable, HERE / "ours.py", what, "--shape", shape]


def made_data(shape: str) -> Path:
    """The made dataset of a shape as a file that peers can read, written once."""
    path = SCRATCH / "data" / f"{shape}.npz"
    if not path.exists():
        made = made_split(SHAPES[shape])
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                user=made.row_user,
                item=made.items,
                time=made.times,
                learnt=made.training_rows(FOLD),
                max_length=SHAPES[shape].max_length,
            )
    return path


class Bench:
    """Collects measurements; one that fails is noted and does not end the run."""

    def __init__(self, seconds: float, threads: int) -> None:
        self.seconds, self.threads = seconds, threads
        self.measurements: list[dict[str, Any]] = []

    def add(self, who: str, quantity: str, shape: str, command: Sequence[Path | str], *, tuned: bool = False) -> None:
        entry = {"who": who, "quantity": quantity, "shape": shape, "tuned": tuned, "recorded": False}
        try:
            entry |= run_one(command, self.seconds, self.threads, TUNED_MALLOC if tuned else {})
            print(
                f"{quantity} on {shape}, {who}{', malloc tuned' if tuned else ''}: {entry['rate']:,.0f} per core-second"
            )
        except BenchmarkError as error:
            entry["error"] = str(error)
            print(error)
        sys.stdout.flush()
        self.measurements.append(entry)

    def peers(self, chosen: Sequence[Peer], quantity: str, shape: str) -> None:
        for peer in chosen:
            if quantity not in peer.measurements:
                continue
            try:
                python = python_of(peer)
            except BenchmarkError as error:
                print(error, flush=True)
                continue
            for tuned in (False, True):
                command = [python, peer.script, quantity, "--data", made_data(shape)]
                self.add(peer.name, quantity, shape, command, tuned=tuned)

    def recorded(self) -> None:
        """Peers whose code is on no registry, by the figures taken once."""
        for one in read_json(HERE / "peers" / "recorded.json")["measurements"]:
            self.measurements.append({"tuned": False, **one, "recorded": True})


def full(
    seconds: float,
    threads: int,
    chosen: Sequence[Peer],
    shapes: Sequence[str],
    quantities: Sequence[str],
    output: Path,
) -> None:
    """The whole comparison, or a part of its rows; the losses alone are measured where SASRec is."""
    bench = Bench(seconds, threads)
    for shape in shapes:
        for quantity in quantities:
            bench.add(OURS, quantity, shape, our_command(quantity, shape))
            bench.peers(chosen, quantity, shape)
    if "sasrec" in quantities:
        for shape in shapes:
            bench.add(OURS, "loss", shape, our_command("loss", shape))
            if fast_in_bfloat16(CPU):
                bench.add("ours in bfloat16", "loss", shape, our_command("bfloat16-loss", shape))
            bench.add("torch", "loss", shape, our_command("torch-loss", shape))
        for quantity in ("full", "scalable"):
            bench.add(OURS, quantity, LARGE, our_command(quantity, LARGE))
    bench.recorded()
    load = os.getloadavg()[2]
    about = next((one["machine"] for one in bench.measurements if "machine" in one), None)
    found = {
        "machine": about,
        "threads": threads,
        "seconds": seconds,
        "load_of_the_last_15_minutes": load,
        "measurements": bench.measurements,
    }
    write_json(output, found)
    print("\n".join(["", table(bench.measurements), "", everything(bench.measurements), ""]))
    print("\n".join(large_catalogue(bench.measurements, LARGE)))
    print(f"\nTaken on {about}; {threads} thread(s), load {load:.1f}. Written to {output}")


def quick(threads: int) -> None:
    """SASRec on the Beauty shape; the last line is one JSON object."""
    found = run_one(our_command("sasrec", "beauty"), QUICK_SECONDS, threads, {})
    summary = {
        "share_of_floor": found["share_of_floor"],
        "targets_per_core_second": found["rate"],
        "gemm_gflops_per_core": found["gemm_gflops_per_core"],
        "seconds": found["targets_per_epoch"] / found["rate"],
        "peak_memory_bytes": found["peak_memory_bytes"],
        "machine": found["machine"],
    }
    print("SASRec, full cross-entropy, Beauty shape, d 64, 2 blocks, 2 heads, one epoch's users in random order")
    print(f"matrix products of this machine: {summary['gemm_gflops_per_core']:.1f} GFLOP per core-second")
    print(f"floor: {found['floor']:,.0f} targets per core-second")
    print(f"reached: {summary['targets_per_core_second']:,.0f} targets per core-second")
    print(f"share of the floor: {summary['share_of_floor']:.3f}")
    print(f"an epoch: {summary['seconds']:.1f} core-seconds; peak memory {summary['peak_memory_bytes'] / 1e6:.0f} MB")
    print(json.dumps(summary))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="our SASRec against the machine's own rate alone")
    parser.add_argument("--seconds", type=float, default=15.0, help="core-seconds of each measurement of the table")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", nargs="*", default=[peer.key for peer in PEERS], choices=[p.key for p in PEERS])
    parser.add_argument("--shapes", nargs="+", default=COMPARED, choices=COMPARED)
    parser.add_argument("--quantities", nargs="+", default=QUANTITIES, choices=QUANTITIES)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "bench.json")
    options = parser.parse_args()
    try:
        if options.quick:
            quick(options.threads)
        else:
            chosen = [peer for peer in PEERS if peer.key in options.peers]
            full(options.seconds, options.threads, chosen, options.shapes, options.quantities, options.output)
    except CreaterecError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
