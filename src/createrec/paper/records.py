"""Records as numbers: which runs of the plan exist, and their metrics as estimates over seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from createrec.config import ProjectConfig
from createrec.errors import DataError
from createrec.files import read_json
from createrec.plan import Cell, Run, plan

NOT_RUN = "not run"
NO_DATA = "not run (data not at hand)"
LEVEL = 0.95  # of every interval that is shown
_IDENTITY = ("dataset", "model", "variant", "seed", "setup", "fold")
_NEEDED = ("label", "data", "settings", "evaluation", "metrics", "history")


def t_interval(centre: float, standard_error: float, freedom: float) -> tuple[float, float]:
    """Two-sided Student interval at LEVEL around `centre`."""
    from scipy.stats import t  # heavy, and not needed to draw a table

    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * standard_error
    return centre - half, centre + half


@dataclass(frozen=True)
class Estimate:
    """One metric of one planned place, over its seeds.

    Attributes:
        values: one fraction per seed that was run, in the order of the plan.
        planned: seeds the plan asks for.
        label: what is special about the data, from the records; "" = nothing.
        missing: why absent seeds are absent: NOT_RUN or NO_DATA.
    """

    values: tuple[float, ...]
    planned: int
    label: str = ""
    missing: str = NOT_RUN

    @property
    def run(self) -> bool:
        return bool(self.values)

    @property
    def mean(self) -> float:
        """Mean over the seeds that were run; NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds; None below two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student interval of the mean over seeds at LEVEL; None below two seeds."""
        if self.std is None:
            return None
        return t_interval(self.mean, self.std / math.sqrt(len(self.values)), len(self.values) - 1)

    @property
    def status(self) -> str:
        """`run`, `run (2 of 3 seeds)`, NOT_RUN or NO_DATA."""
        if not self.values:
            return self.missing
        return "run" if len(self.values) == self.planned else f"run ({len(self.values)} of {self.planned} seeds)"


class Results:
    """The plan of a configuration, and what of it has been run.

    Args:
        config: which tables, figures and ablations are wanted.
        records: folder that holds `<run.folder>/record.json`.
        data: folder that holds `<dataset>/dataset.json`; says whether a missing run could be run at all.
    """

    def __init__(self, config: ProjectConfig, records: Path, data: Path) -> None:
        self.config = config
        self.plan = plan(config)
        self.folder = records
        self.data = data
        self._read: dict[str, Mapping[str, Any] | None] = {}
        self._splits: dict[tuple[str, str], tuple[str, Path]] = {}

    def path(self, run: Run, file: str = "record.json") -> Path:
        return self.folder / run.folder / file

    def record(self, run: Run) -> Mapping[str, Any] | None:
        """The run's record, or None where it was not run.

        Raises:
            DataError: the record is of another run, or was measured on another split than its neighbours.
        """
        if run.folder not in self._read:
            path = self.path(run)
            self._read[run.folder] = self._checked(run, read_json(path), path) if path.exists() else None
        return self._read[run.folder]

    def _checked(self, run: Run, record: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        for key in _IDENTITY:
            if record.get(key) != getattr(run, key):
                raise DataError(
                    f"{path}: {key} is {record.get(key)!r}, but its place in the plan is for {getattr(run, key)!r}; "
                    "delete the file and run again"
                )
        if absent := [key for key in _NEEDED if key not in record]:
            raise DataError(f"{path}: not a whole record, it lacks {', '.join(absent)}; delete it and run again")
        split = record["data"].get("split_hash")
        first, where = self._splits.setdefault((run.dataset, run.setup), (split, path))
        if split != first:
            raise DataError(
                f"{path} and {where}: measured on different splits of {run.dataset}, so they cannot stand in one "
                "table; train the older one again"
            )
        return record

    def at_hand(self, dataset: str) -> bool:
        return (self.data / dataset / "dataset.json").exists()

    def missing(self, dataset: str) -> str:
        """Why a run on this data set is absent."""
        return NOT_RUN if self.at_hand(dataset) else NO_DATA

    def cells(self, group: str, dataset: str, model: str | None = None, **labels: Any) -> list[Cell]:
        """The planned places with these coordinates, one per seed."""
        return [
            cell
            for cell in self.plan[group]
            if cell.run.dataset == dataset
            and model in (None, cell.run.model)
            and all(cell.labels.get(key) == value for key, value in labels.items())
        ]

    def estimate(self, cells: Iterable[Cell], metric: str, dataset: str) -> Estimate:
        """One metric over the seeds of `cells`, all on `dataset`."""
        cells = list(cells)
        records = [record for record in (self.record(cell.run) for cell in cells) if record is not None]
        return Estimate(
            values=tuple(float(record["metrics"][metric]) for record in records if metric in record["metrics"]),
            planned=len(cells),
            label="; ".join(sorted({record["label"] for record in records if record["label"]})),
            missing=self.missing(dataset),
        )

    def labels(self, cells: Iterable[Cell]) -> list[str]:
        """Distinct data labels of what was run, sorted."""
        records = (self.record(cell.run) for cell in cells)
        return sorted({record["label"] for record in records if record is not None and record["label"]})

    def drifted(self, cells: Iterable[Cell]) -> list[Run]:
        """Runs whose record was made with other settings than the configuration asks for today."""
        found = {}
        for cell in cells:
            record = self.record(cell.run)
            if record is not None and not cell.run.matches(record):
                found[cell.run.folder] = cell.run
        return list(found.values())
