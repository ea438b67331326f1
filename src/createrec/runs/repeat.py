"""A published run made again, beside what was published: each metric, and the rank of each user's target.

On a machine of the same kind, with the same libraries, both are the same to the last digit. Elsewhere sums are taken in
another order, and what grows out of that is seen here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from createrec.config import ProjectConfig
from createrec.errors import ConfigError, DataError
from createrec.matching import Preparations, differences, summary
from createrec.plan import Run, by_folder, plan
from createrec.runs.campaign import RECORD_FILES
from createrec.written import RecordFile, read_written

RECORD, RANKS = RECORD_FILES


@dataclass(frozen=True)
class Repeat:
    """One run, published and made again.

    Attributes:
        folder: the run's, below `runs`.
        published, again: the two records.
        users: queries whose targets were ranked.
        same_ranks: those of them whose target has the same rank in both.
    """

    folder: str
    published: Mapping[str, Any]
    again: Mapping[str, Any]
    users: int
    same_ranks: int

    @property
    def identical(self) -> bool:
        """Whether every metric and every rank is the same to the last digit."""
        return self.published["metrics"] == self.again["metrics"] and self.same_ranks == self.users

    @property
    def kept_epochs(self) -> tuple[int | None, int | None]:
        """The epoch that validation chose in each; None where none was to be chosen."""
        return self.published.get("best_epoch"), self.again.get("best_epoch")

    @property
    def made_otherwise(self) -> list[str]:
        """Those of device, libraries and code that are not the published record's."""
        keys = ("device", "libraries", "code_version")
        return [key for key in keys if self.published.get(key) != self.again.get(key)]


def published_run(config: ProjectConfig, folder: str, published: Path) -> tuple[Run, dict[str, Any]]:
    """The run of the plan that a published record is of, and the record.

    Args:
        folder: the run's, for instance amazon-office/sasrec/table3/seed1.

    Raises:
        ConfigError: the plan has no such run, or one of other settings.
        DataError: no record of it was published.
    """
    runs = by_folder(plan(config))
    if folder not in runs:
        near = "".join(f"; did you mean '{name}'?" for name in get_close_matches(folder, runs, n=1))
        raise ConfigError(f"{folder}: the plan has no such run; see the folders below {published / 'runs'}{near}")
    path = published / "runs" / folder / RECORD
    if not path.exists():
        raise DataError(
            f"{path}: there is no such record; it was not run yet: createrec campaign makes what is missing"
        )
    record = read_written(path, RecordFile)
    if found := differences(runs[folder], record):
        raise ConfigError(f"{path}: is not what the plan asks for: {summary(found)}; name its configuration (--config)")
    return runs[folder], record


def refuse_other_data(run: Run, record: Mapping[str, Any], results: Path) -> None:
    """A record is a measure for what its own data give.

    Raises:
        DataError: the data that are prepared in `results` are others.
    """
    if found := Preparations(results / "data", results / "splits").differences(run, record):
        raise DataError(f"{run.folder}: {summary(found)}; repeat it with the data that it was published for")


def compare(folder: str, published: Path, again: Path) -> Repeat:
    """Reads both records of a run, and their ranks.

    Args:
        published, again: folders whose `runs` hold the run's folder.

    Raises:
        DataError: one of them is missing, or they ask other users.
    """
    places = [place / "runs" / folder for place in (published, again)]
    records = [read_written(place / RECORD, RecordFile) for place in places]
    ranks = [pq.read_table(place / RANKS) for place in places]
    if any(records[0]["data"].get(key) != records[1]["data"].get(key) for key in ("dataset_hash", "split_hash")):
        raise DataError(f"{places[1] / RECORD}: was measured on other data than {places[0] / RECORD}")
    if not ranks[0].drop_columns(["rank"]).equals(ranks[1].drop_columns(["rank"])):
        raise DataError(f"{places[1] / RANKS}: asks other users than {places[0] / RANKS}")
    theirs, ours = (table.column("rank").to_numpy() for table in ranks)
    return Repeat(folder, records[0], records[1], len(ours), int((theirs == ours).sum()))


def told(repeat: Repeat) -> Iterator[str]:
    """Lines for a person: a row per metric, then what was the same."""
    yield repeat.folder
    yield f"  {'':<14}{'published':>12}{'made again':>12}{'difference':>12}"
    for name, before in repeat.published["metrics"].items():
        now = repeat.again["metrics"][name]
        shown = "0" if now == before else f"{100 * (now - before):+.4f}"
        yield f"  {name:<14}{100 * before:>10.4f} %{100 * now:>10.4f} %{shown:>12}"
    yield f"  The target has the same rank for {repeat.same_ranks:,} of {repeat.users:,} users."
    for key in repeat.made_otherwise:
        before, now = repeat.published.get(key), repeat.again.get(key)
        yield f"  Not the same {key.replace('_', ' ')}: {before} was published, {now} is here."
    yield "  The same digits." if repeat.identical else "  Not the same digits."
