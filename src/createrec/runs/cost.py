"""What runs will take on this machine, told from what the committed records of similar runs took on theirs.

A record says how many seconds each epoch took, with which device and how many threads, and the most memory. A run is
set beside the record most like it; its epochs take as long, times how much more there is to learn from where the
record is of other data, times the record's machine's rate over this one's. The rate is that of one product of float32
matrices, which most of a training is: measured here, and known for the machines that records come from. A machine of
unknown rate is taken to be as fast as this one. A card's records say nothing of a processor's time, nor the other way
round. The record's seconds are those of a clock on the wall: what else ran on its machine is in them.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from createrec.kinds import CATALOGUE
from createrec.plan import Run, leaves
from createrec.written import STATISTICS_FILE, RecordFile, read_description, read_written

if TYPE_CHECKING:
    import torch

MACHINES: Mapping[str, float] = {"cpu: AMD EPYC": 112.6}
"""GFLOP per second of a core (or a card) of a record's machine; from benchmarks/results/bench.json."""

PRODUCT_SIZE = 1024
PRODUCTS = 8
_THREADS = re.compile(r", (\d+) of \d+ threads$")


@dataclass(frozen=True)
class Cost:
    """What one run takes.

    Attributes:
        core_minutes: processor minutes, training and evaluation; of a card, minutes.
        bytes: most memory held at once.
        like: folder of the record that says so.
    """

    core_minutes: float
    bytes: int
    like: str


def measured_rate(device: "torch.device") -> float:
    """GFLOP per second of one core, or of a card: the best of some products of float32 matrices. Half a second long."""
    import torch

    first, second = torch.rand(2, PRODUCT_SIZE, PRODUCT_SIZE, device=device).unbind()
    seconds = []
    for _ in range(PRODUCTS):
        started = time.process_time() if device.type == "cpu" else time.perf_counter()
        float(torch.mm(first, second)[0, 0])  # a card is waited for
        now = time.process_time() if device.type == "cpu" else time.perf_counter()
        seconds.append(now - started)
    return 2 * PRODUCT_SIZE**3 / min(seconds) / 1e9


def _machine(device: str) -> tuple[str, str, int]:
    """A record's device: its type (cpu, cuda), its name without its threads, and how many these are (1 for a card)."""
    threads = _THREADS.search(device)
    name = device[: threads.start()] if threads else device
    return name.partition(":")[0], name, int(threads[1]) if threads else 1


def _epochs(phase: str, settings: Mapping[str, Any]) -> int:
    return settings.get("warmup_epochs", 0) if phase == "warmup" else settings.get("training", {}).get("epochs", 0)


def _seconds(record: Mapping[str, Any], settings: Mapping[str, Any]) -> float:
    """What the record's training would have taken with the epochs of these settings."""
    phases: dict[str, list[float]] = {}
    for entry in record["history"]:
        phases.setdefault(entry["phase"], []).append(entry["seconds"])
    if not phases:
        return record["seconds"]["train"]
    return sum(sum(taken) / len(taken) * _epochs(phase, settings) for phase, taken in phases.items())


def _work(kind: str, data: Mapping[str, Any]) -> float:
    """What an epoch's time goes with: interactions, and the items that each is scored against by all but graphs."""
    encoder = CATALOGUE["model", kind].encoder
    graph = encoder is not None and encoder.role == "graph"
    return data["train_interactions"] * (1 if graph else data["items"])


def estimate(
    run: Run,
    records: Iterable[Mapping[str, Any]],
    data: Mapping[str, Any] | None,
    rate: float,
    device_type: str = "cpu",
) -> Cost | None:
    """What `run` takes on a machine of this rate; None where no record is of its kind and of this type of device.

    Args:
        records: what `record.json` files hold.
        data: the statistics of the run's split; None = unknown, then only records of the same data count.
        rate: GFLOP per second of this machine's core or card, see `measured_rate`.
        device_type: cpu or cuda: what the run would be made on.
    """
    asked = dict(leaves(run.settings))

    def distance(record: Mapping[str, Any]) -> tuple[bool, bool, int, int]:
        known = dict(leaves(record["settings"]))
        differing = [key for key, value in asked.items() if known.get(key) != value and not key.endswith("epochs")]
        parts = sum(key.endswith("kind") for key in differing)  # another encoder is further off than another number
        return record["dataset"] != run.dataset, record["setup"] != run.setup, parts, len(differing)

    fitting = [
        record
        for record in records
        if record["settings"]["kind"] == run.settings["kind"]
        and record["fold"] == run.fold
        and _machine(record["device"])[0] == device_type
        and (data is not None or record["dataset"] == run.dataset)
    ]
    if not fitting:
        return None
    like = min(fitting, key=distance)
    kind = run.settings["kind"]
    more = 1.0 if data is None else _work(kind, data) / _work(kind, like["data"])
    _, name, threads = _machine(like["device"])
    faster = rate / MACHINES.get(name, rate)
    seconds = (_seconds(like, run.settings) + like["seconds"]["evaluate"]) * more * threads / faster
    folder = f"{like['dataset']}/{like['model']}/{like['variant']}/seed{like['seed']}"
    return Cost(seconds / 60, like["peak_memory_bytes"], folder)


def told(runs: Sequence[Run], published: Path, results: Path, rate: float, device_type: str) -> list[str]:
    """A line for each run, its folder first, and what all of them take.

    Args:
        published: holds the records to learn from, and statistics of splits.
        results: holds statistics of splits that are prepared here.
        rate: see `measured_rate`.
        device_type: cpu or cuda: what the runs would be made on.
    """
    records = [read_written(path, RecordFile) for path in sorted((published / "runs").rglob("record.json"))]

    def data(run: Run) -> Mapping[str, Any] | None:
        places = (folder / "splits" / run.dataset / run.setup / STATISTICS_FILE for folder in (results, published))
        return next((read_description(path) for path in places if path.exists()), None)

    unit, here, of_time = ("core", "a processor", "core-") if device_type == "cpu" else ("card", "a card", "")
    costs = [estimate(run, records, data(run), rate, device_type) for run in runs]
    lines = []
    for run, cost in zip(runs, costs, strict=True):
        if cost is None:
            lines.append(f"{run.folder}  unknown: no record of this kind on {here}")
        else:
            lines.append(
                f"{run.folder}  {cost.core_minutes:.1f} {of_time}min  {cost.bytes / 1e9:.1f} GB  as {cost.like}"
            )
    known = [cost for cost in costs if cost is not None]
    if known:
        hours, most = sum(cost.core_minutes for cost in known) / 60, max(cost.bytes for cost in known)
        theirs = ", ".join(f"{name} {known_rate:.0f}" for name, known_rate in MACHINES.items())
        lines.append(
            f"# {len(runs)} runs, {len(known)} of them told from records: {hours:.1f} {of_time}hours, at most "
            f"{most / 1e9:.1f} GB each. A {unit} here does {rate:.0f} GFLOP per second; {theirs}"
        )
    return lines
