"""Records as numbers: which runs of the plan exist, and their metrics as estimates over seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from createrec.config import ProjectConfig
from createrec.data.split import FEW_TEST_USERS
from createrec.errors import DataError
from createrec.matching import Preparations, summary
from createrec.plan import Cell, Run, plan
from createrec.written import DATASET_FILE, RecordFile, read_written

NOT_RUN = "not run"
NO_DATA = "not run (data not at hand)"
NOBODY = "nobody to ask"  # the switches leave no query
FEWEST_HITS = 4
"""A mean over test users with fewer hits has a 95 % interval that includes zero: p ± 1.96 sqrt(p / n), p n < 3.84. That
of NDCG is no narrower, because hits weigh differently there."""
_NORMAL = statistics.NormalDist().inv_cdf(0.975)
LEVEL = 0.95  # of every interval that is shown
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
        missing: why absent seeds are absent: NOT_RUN, NO_DATA or NOBODY.
        hits: mean over seeds of the users whose target is within the metric's cutoff; None where that says nothing.
        few_users: how many test users there are, where they are so few that their choice alone moves the mean.
    """

    values: tuple[float, ...]
    planned: int
    label: str = ""
    missing: str = NOT_RUN
    hits: float | None = None
    few_users: int | None = None

    @property
    def above_zero(self) -> bool:
        """Whether enough users stand behind the mean to tell it from zero."""
        return self.hits is None or self.hits >= FEWEST_HITS

    @property
    def run(self) -> bool:
        return bool(self.values)

    @property
    def mean(self) -> float:
        """Mean over the seeds that were run; NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def users_interval(self) -> tuple[float, float] | None:
        """Interval of the mean over the choice of few test users, at LEVEL; None where they are many.

        It is that of a share of hits, widened to the mean's size.
        """
        if self.few_users is None or not self.hits:
            return None
        half = self.mean * _NORMAL * math.sqrt((1 - self.hits / self.few_users) / self.hits)
        return self.mean - half, self.mean + half

    def apart(self, other: "Estimate") -> bool:
        """Whether the choice of few test users does not explain the difference: the intervals do not overlap."""
        mine, theirs = self.users_interval, other.users_interval
        return mine is None or theirs is None or mine[0] > theirs[1] or theirs[0] > mine[1]

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
        """`run`, `run (2 of 3 seeds)`, or why it is absent."""
        if not self.values:
            return self.missing
        return "run" if len(self.values) == self.planned else f"run ({len(self.values)} of {self.planned} seeds)"


def _hits(records: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Test users with a hit at the cutoff of an accuracy metric, as a mean over records; None for other metrics."""
    family, _, cutoff = metric.partition("@")
    recall = f"recall@{cutoff}"
    if family not in ("ndcg", "recall") or not records:
        return None
    counts = [
        record["metrics"][recall] * record["data"]["test_users"]
        for record in records
        if recall in record["metrics"] and "test_users" in record["data"]
    ]
    return statistics.fmean(counts) if len(counts) == len(records) else None


def _few_users(records: Sequence[Mapping[str, Any]]) -> int | None:
    """The number of test users, where it is small."""
    users = min((record["data"].get("test_users", FEW_TEST_USERS) for record in records), default=FEW_TEST_USERS)
    return users if users < FEW_TEST_USERS else None


class Results:
    """The plan of a configuration, and what of it has been run.

    Args:
        config: which tables, figures and ablations are wanted.
        records: folder that holds `<run.folder>/record.json`.
        data: folder that holds `<dataset>/dataset.json`; says whether a missing run could be run at all.
        splits: folder that holds `<dataset>/<setup>/split.json`.
        leave_out: a record that is not what the plan asks for counts as not run, and is named in `left_out`; without
            it such a record is an error.

    Attributes:
        left_out: folder of each run whose record was left out -> in what it differs.
    """

    def __init__(
        self, config: ProjectConfig, records: Path, data: Path, splits: Path, *, leave_out: bool = False
    ) -> None:
        self.config = config
        self.plan = plan(config)
        self.folder = records
        self.data = data
        self.splits = splits
        self.leave_out = leave_out
        self.left_out: dict[str, str] = {}
        self._read: dict[str, Mapping[str, Any] | None] = {}
        self._preparations = Preparations(data, splits)

    def path(self, run: Run, file: str = "record.json") -> Path:
        return self.folder / run.folder / file

    def record(self, run: Run) -> Mapping[str, Any] | None:
        """The run's record, or None where it was not run, or was left out.

        Raises:
            DataError: the record is not whole; or it is not of the settings, switches and data that the plan asks for.
        """
        if run.folder not in self._read:
            path = self.path(run)
            self._read[run.folder] = self._checked(run, path) if path.exists() else None
        return self._read[run.folder]

    def _checked(self, run: Run, path: Path) -> Mapping[str, Any] | None:
        record = read_written(path, RecordFile)
        if absent := [key for key in _NEEDED if key not in record]:
            raise DataError(f"{path}: not a whole record, it lacks {', '.join(absent)}; delete it and run again")
        different = self._preparations.differences(run, record)
        if not different:
            return record
        if not self.leave_out:
            raise DataError(f"{path}: not the run that the plan asks for: {summary(different)}; make the run again")
        self.left_out[run.folder] = summary(different)
        return None

    def at_hand(self, dataset: str) -> bool:
        return (self.data / dataset / DATASET_FILE).exists()

    def missing(self, dataset: str) -> str:
        """Why a run on this dataset is absent."""
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
            hits=_hits(records, metric),
            few_users=_few_users(records),
        )

    def labels(self, cells: Iterable[Cell]) -> list[str]:
        """Distinct data labels of what was run, sorted."""
        records = (self.record(cell.run) for cell in cells)
        return sorted({record["label"] for record in records if record is not None and record["label"]})

    def left_out_of(self, cells: Iterable[Cell]) -> dict[str, str]:
        """Runs of these cells whose record was left out -> in what it differs from the plan."""
        folders = dict.fromkeys(cell.run.folder for cell in cells if self.record(cell.run) is None)
        return {folder: self.left_out[folder] for folder in folders if folder in self.left_out}
