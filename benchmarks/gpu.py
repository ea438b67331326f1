"""What a machine with one GPU is asked while it is at hand: does it work, how fast is it, and then the missing runs.

    python benchmarks/gpu.py --seconds 1500 --output gpu-report
    python benchmarks/gpu.py --device cpu --small --seconds 120        the same script where there is no GPU

It needs this checkout, Python 3.12, torch 2.11 or newer, and no internet: CREATEREC_MIRROR names the folder that holds
the datasets' files (without it, made data stand in). Steps run in the order of STEPS, each in a process of its own with
a limit of its own, so that one that fails stops no other. Each writes what it found at once into gpu.json; the last
step, the campaign, takes the time that is left, and what it made lies in records.tar.gz.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from measure import FOLD, SHAPES, Shape, first_phase, full_histories, made_split, sequence_operations, trainable

from createrec.config import EvaluationConfig, ModelSettings, load, validate
from createrec.evaluation.metrics import ndcg_at_k
from createrec.evaluation.ranking import rank
from createrec.files import read_json, write_json
from createrec.models.base import Recommender
from createrec.models.registry import build_model
from createrec.plan import resolve
from createrec.randomness import Randomness
from createrec.runs.run import training_data
from createrec.training.device import choose_device, describe, peak_memory
from createrec.training.trainer import train

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SMALL = Shape(300, 200, 4_000, 20)
GEMM_SIZE = 4096
AT_ONCE = 8
# Trainings on one card take turns: replayed steps leave it no pause. More than these hide only each other's starts.
CAMPAIGN_WORKERS = 3
EPOCHS = 3


@dataclass(frozen=True)
class Options:
    """What every step knows."""

    device: str
    small: bool
    seconds: float
    output: Path

    @property
    def made(self) -> bool:
        """Whether made data stand in for the real ones."""
        return self.small or not os.environ.get("CREATEREC_MIRROR")

    def shape(self, name: str) -> Shape:
        return SMALL if self.small else SHAPES[name]


def model_on(device: torch.device, shape: Shape, kind: str, **settings) -> Recommender:
    """An untrained model with its own defaults and these settings, over a made dataset of this shape."""
    config = load([ROOT / "config.yaml", ROOT / "config" / "untuned.yaml"])
    resolved = resolve(config, "amazon-beauty", kind, settings)
    typed = validate({"model": resolved}, "gpu", ModelSettings).model
    return build_model(typed, training_data(made_split(shape), FOLD, device), Randomness(0, device))


def few_epochs(kind: str) -> dict:
    """Settings of a short training."""
    return {"training": {"epochs": EPOCHS}} | ({"warmup_epochs": 1} if kind == "create" else {})


def wait_for(device: torch.device) -> float:
    """Seconds by the clock, after the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def tests(options: Options) -> dict:
    """The tests that need a GPU; without one they are skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120", "tests/gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-20_000:], done.stderr[-4_000:])
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.MULTILINE)
    return {**counts, "which_failed": failed, "exit": done.returncode}


def capture(options: Options) -> dict:
    """Seconds per epoch of each model, eager and with one captured step replayed, and how far their losses differ."""
    device, found = choose_device(options.device), {}
    for kind in trainable():
        rows = {}
        for name in ("eager", "captured"):
            try:
                model = model_on(device, options.shape("beauty"), kind, **few_epochs(kind))
                training, captured = model.config.training, name == "captured"
                history = train(model, training, model.randomness, capture=captured).history
                rows[name] = {
                    # The first epoch of a phase captures its step; the last one only replays it.
                    "seconds": [round(entry["seconds"], 4) for entry in history],
                    "losses": history[-1]["losses"],
                }
            except Exception as error:  # a report of many models goes on without one
                rows[name] = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"}
        found[kind] = rows
        print(kind, json.dumps(rows), flush=True)
    return found


def against_cpu(options: Options) -> dict:
    """The same trained parameters ranked on the device and on the CPU."""
    device, cpu, found = choose_device(options.device), torch.device("cpu"), {}
    split = made_split(options.shape("beauty"))
    queries = split.queries(FOLD, EvaluationConfig())
    for kind in ("sasrec", "create"):
        settings = few_epochs(kind)
        model = model_on(device, options.shape("beauty"), kind, **settings)
        train(model, model.config.training, model.randomness)
        twin = model_on(cpu, options.shape("beauty"), kind, **settings)
        twin.load_state_dict({name: tensor.cpu() for name, tensor in model.state_dict().items()})
        ours, theirs = (rank(each.eval(), queries, remove_seen=True, k=10) for each in (model, twin))
        found[kind] = {
            "ndcg@10": [ndcg_at_k(each.ranks, 10) for each in (ours, theirs)],
            "same_ranks": float((ours.ranks == theirs.ranks).mean()),
            "same_top_10": float((ours.top == theirs.top).mean()),
        }
    return found


def _run_command(options: Options, seed: int) -> list[str]:
    command = [sys.executable, "-m", "createrec.cli", "run"]
    if options.made:
        command += ["demo", "create", "--config", "config.yaml", "config/demo.yaml"]
    else:
        command += ["amazon-beauty", "create"]
    command += ["--seed", str(seed), "--variant", "gpu", "--device", options.device]
    return [*command, "--results", str(options.output / "working")]


def _seconds_of(options: Options, seeds: list[int]) -> dict:
    """Wall seconds until these runs, started together, have written their records."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    processes = [
        subprocess.Popen(_run_command(options, seed), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for seed in seeds
    ]
    exits = [process.wait() for process in processes]
    return {"seconds": time.perf_counter() - started, "failed": sum(code != 0 for code in exits)}


def create(options: Options) -> dict:
    """One CREATE run with its published settings, from the command to the record; data are prepared before."""
    prepared = subprocess.run([*_run_command(options, 100), "--set", "training.epochs=1", "warmup_epochs=1"], cwd=ROOT)
    return {"prepared": prepared.returncode == 0, **_seconds_of(options, [101])}


def eight(options: Options) -> dict:
    """Eight such runs side by side."""
    at_once = 2 if options.small else AT_ONCE
    return {"runs": at_once, **_seconds_of(options, list(range(200, 200 + at_once)))}


def floor(options: Options) -> dict:
    """SASRec's share of the floor that the device's own matrix products set, and its peak memory."""
    device, found = choose_device(options.device), {}
    size = 256 if options.small else GEMM_SIZE
    a, b = torch.rand(2, size, size, device=device).unbind()
    rates = []
    for _ in range(5):
        started = wait_for(device)
        for _ in range(5):
            torch.mm(a, b)
        rates.append(5 * 2 * size**3 / (wait_for(device) - started))
    gemm = statistics.median(rates)
    found["gemm_tflops"] = gemm / 1e12
    for name in ("beauty", "ml-1m"):
        for batch in (256, 1024):
            shape = options.shape(name)
            model = model_on(device, shape, "sasrec", max_length=shape.max_length, training={"batch_size": batch})
            runner = first_phase(model, capture=device.type == "cuda")
            runner.epoch()
            started = wait_for(device)
            runner.epoch()
            seconds = wait_for(device) - started
            lengths = (model.data.sequences.lengths - 1).clamp(0, shape.max_length)
            operations = sum(sequence_operations(lengths, shape.items, 64, 2).values())
            found[f"{name}, {batch} users per step"] = {
                "seconds_per_epoch": seconds,
                "share_of_floor": operations / gemm / seconds,
                "targets_per_second": float(lengths.sum()) / seconds,
                "peak_memory_bytes": peak_memory(device),
            }
    return found


def yambda(options: Options) -> dict:
    """A step of SASRec over Yambda's catalogue: full cross-entropy beside SCE."""
    device, found, shape = choose_device(options.device), {}, options.shape("yambda-batch")
    for loss in ("full", "scalable"):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        runner = first_phase(full_histories(shape, loss, device))
        runner.epoch()
        steps = 2 if options.small else 20
        started = wait_for(device)
        for index in range(steps):
            runner.step(index)
        seconds = wait_for(device) - started
        found[loss] = {
            "targets_per_second": steps * shape.users * shape.max_length / seconds,
            "peak_memory_bytes": peak_memory(device),
        }
    return found


def campaign(options: Options) -> dict:
    """The most valuable missing runs until the time is up; their records come home in one archive."""
    datasets = ["demo"] if options.made else ["amazon-beauty", "amazon-sports", "ml-1m", "amazon-office"]
    command = [sys.executable, "-m", "createrec.cli", "campaign", "--datasets", *datasets]
    if options.made:
        command += ["--config", "config.yaml", "config/demo.yaml"]
    workers = 2 if options.small else CAMPAIGN_WORKERS
    command += ["--seconds", str(max(10, options.seconds - 15)), "--workers", str(workers)]
    command += ["--device", options.device, "--results", str(options.output / "working")]
    command += ["--published", str(options.output / "published" if options.small else ROOT / "results/published")]
    command += ["--archive", str(options.output / "records.tar.gz")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    return {"exit": done.returncode, "ended": done.stdout.splitlines()[-40:]}


# In this order; each with the most seconds that it may take.
STEPS: dict[str, tuple[Callable[[Options], dict], float]] = {
    "tests": (tests, 240),
    "capture": (capture, 180),
    "against_cpu": (against_cpu, 90),
    "create": (create, 150),
    "eight": (eight, 180),
    "floor": (floor, 90),
    "yambda": (yambda, 90),
    "campaign": (campaign, float("inf")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a trial of the script")
    parser.add_argument("--small", action="store_true", help="small made data, for a trial of the script")
    parser.add_argument("--seconds", type=float, default=1500, help="time budget of the whole script")
    parser.add_argument("--output", type=Path, default=Path("gpu-report"), help="folder of gpu.json and its logs")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="only these steps")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # what the processes of the steps are given
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    options = Options(given.device, given.small, given.seconds, given.output.resolve())
    if given.step:
        found = STEPS[given.step][0](options)
        write_json(options.output / f"{given.step}.json", found)
        return
    deadline = time.monotonic() + given.seconds
    report: dict = {"device": describe(choose_device(given.device)), "torch": torch.__version__, "small": given.small}
    report["python"] = sys.version.split()[0]
    for name in given.steps:
        limit = min(STEPS[name][1], deadline - time.monotonic())
        if limit < 5:
            report[name] = {"skipped": "no time left"}
            write_json(options.output / "gpu.json", report)
            continue
        command = [sys.executable, str(Path(__file__).resolve()), "--step", name, "--device", given.device]
        command += ["--seconds", str(limit), "--output", str(options.output)] + ["--small"] * given.small
        started = time.perf_counter()
        log = options.output / f"{name}.log"
        with log.open("w") as file:
            try:
                done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=limit + 20, check=False)
                outcome = f"exit {done.returncode}"
            except subprocess.TimeoutExpired:
                outcome = f"ended after {limit:.0f} s"
        part = options.output / f"{name}.json"
        found = read_json(part) if part.exists() else {"failed": outcome, "log": log.read_text()[-2000:]}
        part.unlink(missing_ok=True)
        report[name] = {"took_seconds": round(time.perf_counter() - started, 1), **found}
        write_json(options.output / "gpu.json", report)
        print(f"{name}: {report[name]['took_seconds']} s: {json.dumps(found)[:1500]}", flush=True)


if __name__ == "__main__":
    main()
