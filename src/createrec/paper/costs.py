"""What each table and figure costs, from the seconds and the memory that its records hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from createrec.exhibits import GROUPS
from createrec.paper.names import dataset_name
from createrec.paper.records import Results
from createrec.paper.render import Sheet, Shown


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
            seconds = {"cpu": 0.0, "gpu": 0.0}
            for record in records:
                kind = "cpu" if str(record.get("device", "cpu")).startswith("cpu") else "gpu"
                seconds[kind] += sum(record.get("seconds", {}).values())
            memory = max((record.get("peak_memory_bytes") or 0 for record in records), default=0)
            if records:
                found.append(Cost(group, dataset, len(records), len(here), seconds["cpu"], seconds["gpu"], memory))
    return found


def costs_sheet(found: Sequence[Cost]) -> Sheet:
    """A row per table or figure and dataset."""
    rows = []
    for cost in found:
        minutes = cost.cpu_seconds / 60
        gpu = f"{cost.gpu_seconds / 60:,.0f}" if cost.gpu_seconds else "–"
        texts = (f"{cost.runs} of {cost.planned}", f"{minutes:,.0f}", f"{minutes / 2:,.0f}", gpu)
        shown = (*texts, f"{cost.memory / 1e9:.1f}", cost.command)
        rows.append(((cost.shown, dataset_name(cost.dataset)), tuple(map(Shown, shown))))
    headings = ("Runs", "Core-minutes", "Minutes on two cores", "GPU-minutes", "Peak GB", "Command")
    notes = (
        "Trainings and evaluations with a record, without the search for settings; a run that two tables share counts "
        "in both.",
        "One core-minute is one minute of one CPU thread. Two runs side by side take half of the time.",
    )
    return Sheet("costs", "", "What was spent, from the records.", notes, ("What", "Dataset"), headings, tuple(rows))
