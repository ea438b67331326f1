"""All records in one table, one row per run and metric."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from createrec.errors import DataError
from createrec.files import atomic_path
from createrec.matching import IDENTITY, Preparations, differences, summary
from createrec.plan import Run
from createrec.written import RecordFile, read_written

COLUMNS = (
    "dataset",
    "model",
    "variant",
    "seed",
    "split",
    "metric",
    "value",
    "source_label",
    "device",
    "seconds",
    "code_version",
)


def collect(
    planned: Mapping[str, Run],
    records: Iterable[Path],
    preparations: Preparations,
    output: Path,
    *,
    leave_out: bool = False,
) -> tuple[int, dict[Path, str]]:
    """Writes metrics.csv from records that are what they should be.

    A record in the place of a planned run must be of its settings, switches and data; any other, of a variant of its
    own, must be of today's data where they are at hand. `split` is the fold that was ranked, `value` a fraction,
    `seconds` the training time.

    Args:
        planned: the runs of the plan, by folder; empty = the records are compared with no plan.
        preparations: today's data.
        leave_out: leave a record out that does not match; without it such a record is an error.

    Returns:
        The number of rows, and what was left out: path -> why.

    Raises:
        DataError: a record is missing, damaged, of another format, or does not match.
    """
    rows: list[list[str]] = []
    left_out: dict[Path, str] = {}
    for path in records:
        record = read_written(path, RecordFile)
        try:
            folder = "{dataset}/{model}/{variant}/seed{seed}".format(**record)
            own = [record[key] for key in ("dataset", "model", "variant", "seed", "fold")]
            about = [record["label"], record["device"], repr(record["seconds"]["train"]), record["code_version"]]
            found = [[*own, metric, repr(value), *about] for metric, value in record["metrics"].items()]
            own_run = Run(**{key: record[key] for key in (*IDENTITY, "settings", "evaluation")})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: not a record (missing {error}); delete it and evaluate the run again") from None
        if folder in planned:
            different = preparations.differences(planned[folder], record)
        else:
            different = differences(own_run, record, preparations.hashes(own_run.dataset, own_run.setup))
        if different:
            if not leave_out:
                raise DataError(f"{path}: not the run that the plan asks for: {summary(different)}; make the run again")
            left_out[path] = summary(different)
        else:
            rows += found
    rows.sort(key=lambda row: [str(part) for part in row])
    with atomic_path(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows), left_out
