"""What each table and figure costs, from the seconds and the memory that its records hold."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from createrec.exhibits import GROUPS
from createrec.paper.names import dataset_name
from createrec.paper.records import Results
from createrec.paper.render import Sheet, Shown
from createrec.plan import by_folder


@dataclass(frozen=True)
class Cost:
    """One table or figure on one dataset.

    Attributes:
        runs, planned: trainings with a record, and those that the plan asks for.
        cpu_seconds, gpu_seconds: of training and evaluation, by where the runs were made; a CPU run has one thread.
        memory: the largest peak of a run, in bytes.
    """

    group: str
    dataset: str
    runs: int
    planned: int
    cpu_seconds: float
    gpu_seconds: float
    memory: int

    @property
    def shown(self) -> str:
        """The table or figure that shows it."""
        return GROUPS[self.group].title

    @property
    def command(self) -> str:
        """What makes its records and renders them."""
        return f"snakemake {GROUPS[self.group].name}"


def costs(results: Results) -> list[Cost]:
    """A row per table or figure and dataset of which something was run. A run that two of them share counts in both."""
    found = []
    for group in results.plan:
        runs = {cell.run.folder: cell.run for cell in results.plan[group]}
        for dataset in dict.fromkeys(run.dataset for run in runs.values()):
            here = [run for run in runs.values() if run.dataset == dataset]
            records = [record for run in here if (record := results.record(run)) is not None]
            seconds = _seconds(records)
            memory = max((record.get("peak_memory_bytes") or 0 for record in records), default=0)
            if records:
                cpu, gpu = sum(seconds["cpu"]), sum(seconds["gpu"])
                found.append(Cost(group, dataset, len(records), len(here), cpu, gpu, memory))
    return found


def _seconds(records: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Seconds of training and evaluation of each run, by where it was made."""
    seconds: dict[str, list[float]] = {"cpu": [], "gpu": []}
    for record in records:
        kind = "cpu" if str(record.get("device", "cpu")).startswith("cpu") else "gpu"
        seconds[kind].append(sum(record.get("seconds", {}).values()))
    return seconds


def both_sheet(results: Results) -> Sheet:
    """Runs of which one seed was made on a CPU and another on a GPU: what each took."""
    seeds: dict[str, list[Mapping[str, Any]]] = {}
    for run in by_folder(results.plan).values():
        if (record := results.record(run)) is not None:
            seeds.setdefault(str(Path(run.folder).parent), []).append(record)
    rows = []
    for name, records in seeds.items():
        seconds = _seconds(records)
        if seconds["cpu"] and seconds["gpu"]:
            cpu, gpu = statistics.mean(seconds["cpu"]), statistics.mean(seconds["gpu"])
            texts = (f"{cpu:,.0f}", f"{gpu:,.0f}", f"{cpu / gpu:,.0f}")
            rows.append(((f"`{name}`",), tuple(map(Shown, texts))))
    caption = "Seconds per run, training and evaluation: on one thread of a CPU, and on a GPU beside other trainings."
    return Sheet("gpu", "", caption, (), ("Run",), ("CPU", "GPU", "CPU / GPU"), tuple(rows))


def _in_all(results: Results) -> str:
    """What all runs took, each counted once."""
    runs = by_folder(results.plan).values()
    seconds = _seconds(record for run in runs if (record := results.record(run)) is not None)
    cpu, gpu = seconds["cpu"], seconds["gpu"]
    told = f"In all, each run once: {len(cpu)} runs in {sum(cpu) / 3600:.1f} core-hours"
    return told + (f", and {len(gpu)} runs in {sum(gpu) / 60:.0f} minutes on a GPU, several at a time." if gpu else ".")


def costs_sheet(results: Results) -> Sheet:
    """A row per table or figure and dataset."""
    rows = []
    for cost in costs(results):
        minutes = cost.cpu_seconds / 60
        gpu = f"{cost.gpu_seconds / 60:,.0f}" if cost.gpu_seconds else "–"
        texts = (f"{cost.runs} of {cost.planned}", f"{minutes:,.0f}", f"{minutes / 2:,.0f}", gpu)
        shown = (*texts, f"{cost.memory / 1e9:.1f}", cost.command)
        rows.append(((cost.shown, dataset_name(cost.dataset)), tuple(map(Shown, shown))))
    headings = ("Runs", "Core-minutes", "Minutes on two cores", "GPU-minutes", "Peak GB", "Command")
    notes = (
        _in_all(results),
        "Trainings and evaluations with a record, without the search for settings; a run that two tables share counts "
        "in both.",
        "One core-minute is one minute of one CPU thread. Two runs side by side take half of the time.",
    )
    return Sheet("costs", "", "What was spent, from the records.", notes, ("What", "Dataset"), headings, tuple(rows))
