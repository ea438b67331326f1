"""Fills `results/published` with the most valuable missing runs, side by side, within a time budget.

For machines that are at hand for a while: a lent GPU, a night on two cores. What is brought home are records and
ranks, never models; what was interrupted goes on from its checkpoint in the next campaign on the same machine.
"""

import multiprocessing
import queue
import shutil
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from createrec.config import ProjectConfig
from createrec.data.datasets import split_dataset
from createrec.errors import CreaterecError
from createrec.exhibits import GROUPS
from createrec.files import atomic_path
from createrec.matching import Preparations, differences
from createrec.plan import Run, plan
from createrec.written import STATISTICS_FILE, RecordFile, read_description, read_written

RECORD_FILES = ("record.json", "ranks.parquet")
# Workers start afresh, because a CUDA context does not survive a fork.
PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Job:
    """A run to be made and the folders it reads and writes."""

    run: Run
    results: Path
    published: Path
    device: str


def planned_runs(config: ProjectConfig, datasets: Sequence[str], groups: Iterable[str] = GROUPS) -> list[Run]:
    """The plan's runs on these datasets, the most valuable first.

    Groups come in the order given; within a group every cell gets its first seed before any gets its second, because
    a table with one seed everywhere says more than half a table with three.
    """
    cells = plan(config)
    ordered: dict[str, Run] = {}
    for group in groups:
        for cell in sorted(cells[group], key=lambda cell: cell.run.seed):
            ordered.setdefault(cell.run.folder, cell.run)
    return [run for run in ordered.values() if run.dataset in datasets]


def missing_runs(runs: Sequence[Run], published: Path, results: Path) -> list[Run]:
    """Those of `runs` without a published record of their settings, switches and data.

    The data are those in `results`, as far as they are prepared there, and else those that were published: a record
    of other data than today's is one to be made again.
    """
    theirs, ours = (Preparations(folder / "data", folder / "splits") for folder in (published, results))

    def made(run: Run) -> bool:
        path = published / "runs" / run.folder / RECORD_FILES[0]
        hashes = theirs.hashes(run.dataset, run.setup) | ours.hashes(run.dataset, run.setup)
        return path.exists() and not differences(run, read_written(path, RecordFile), hashes)

    return [run for run in runs if not made(run)]


def prepare_data(config: ProjectConfig, runs: Sequence[Run], results: Path) -> None:
    """Prepares and splits, in `results`, what `runs` learn from."""
    for dataset, setup in dict.fromkeys((run.dataset, run.setup) for run in runs):
        split_dataset(config, dataset, setup, results)


def make_record(job: Job, report: Callable[[dict[str, Any]], None] = lambda entry: None) -> float:
    """Trains and evaluates one run and publishes its record; returns the seconds it took.

    Args:
        report: is told of each epoch.
    """
    from createrec.data.split import Split
    from createrec.files import discard
    from createrec.runs.record import evaluate_run, write_record
    from createrec.runs.run import CHECKPOINT, run_lock, train_run
    from createrec.training.device import choose_device

    started = time.perf_counter()
    run, working = job.run, job.results / "runs" / job.run.folder
    folder = job.results / "splits" / run.dataset / run.setup
    split, statistics = Split.load(folder / "split.safetensors"), read_description(folder / STATISTICS_FILE)
    with run_lock(working):
        device = choose_device(job.device)
        model, facts = train_run(run, split, device, checkpoint_folder=working, report=report)
        record, ranks = evaluate_run(run, split, statistics, model, facts)
        target = job.published / "runs" / run.folder
        write_record(record, ranks, target / RECORD_FILES[0], target / RECORD_FILES[1])
        discard(working / CHECKPOINT)
    return time.perf_counter() - started


def _work(jobs: "multiprocessing.Queue[Job]", reports: "multiprocessing.Queue[tuple[str, str]]") -> None:
    """One worker: makes records until the queue is empty; a failed run is reported and does not stop the others.

    After a failure that nobody foresaw the process ends, because a GPU's context may not be sound any more; the
    campaign starts another.
    """
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        try:
            job = jobs.get(timeout=1)
        except queue.Empty:
            return
        try:
            reports.put((job.run.folder, f"{make_record(job):.0f} s"))
        except CreaterecError as error:
            reports.put((job.run.folder, f"failed: {error}"))
        except Exception as error:
            traceback.print_exc()
            reports.put(
                (job.run.folder, f"failed: {type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}")
            )
            reports.close()
            reports.join_thread()
            sys.exit(1)


def _publish_data(runs: Sequence[Run], results: Path, published: Path) -> None:
    """Copies what describes the runs' data and splits."""
    for dataset, setup in dict.fromkeys((run.dataset, run.setup) for run in runs):
        for source in Preparations(results / "data", results / "splits").files(dataset, setup).values():
            with atomic_path(published / source.relative_to(results)) as temporary:
                shutil.copyfile(source, temporary)


def campaign(
    runs: Sequence[Run],
    *,
    results: Path,
    published: Path,
    seconds: float,
    workers: int,
    device: str,
) -> list[str]:
    """Makes as many of `runs` as fit into `seconds`, `workers` at a time; returns a line for each that ended.

    Their data are prepared (`prepare_data`); what describes them is published at once. When the time is up, running
    trainings are stopped; their checkpoints stay in `results`.
    """
    deadline = time.monotonic() + seconds
    _publish_data(runs, results, published)
    jobs, reports = PROCESSES.Queue(), PROCESSES.Queue()
    for run in runs:
        jobs.put(Job(run, results, published, device))

    def start() -> multiprocessing.process.BaseProcess:
        process = PROCESSES.Process(target=_work, args=(jobs, reports), daemon=True)
        process.start()
        return process

    processes = [start() for _ in range(workers)]
    lines: list[str] = []
    while time.monotonic() < deadline:
        if len(lines) < len(runs):  # another worker in place of one that broke
            processes = [start() if process.exitcode else process for process in processes]
        if not any(process.is_alive() for process in processes):
            break
        try:
            folder, outcome = reports.get(timeout=1)
        except queue.Empty:
            continue
        lines.append(f"{folder}: {outcome}")
        print(lines[-1], flush=True)
    for process in processes:
        process.terminate()
    while not reports.empty():
        lines.append("{}: {}".format(*reports.get()))
    return lines


def archive(published: Path, output: Path) -> int:
    """Packs every published record, its ranks and the summaries into one .tar.gz; returns the number of files."""
    files = sorted(path for path in published.rglob("*") if path.suffix in (".json", ".parquet", ".csv"))
    with atomic_path(output) as temporary, tarfile.open(temporary, "w:gz") as tar:
        for path in files:
            tar.add(path, path.relative_to(published).as_posix())
    return len(files)
