"""All records in one table, one row per run and metric."""

import csv
from collections.abc import Iterable
from pathlib import Path

from createrec.errors import DataError
from createrec.files import atomic_path, read_json

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


def collect(records: Iterable[Path], output: Path) -> int:
    """Writes metrics.csv from records alone; returns its number of rows.

    `split` is the fold that was ranked, `value` a fraction, `seconds` the training time.

    Raises:
        DataError: a record is missing, damaged or of another format.
    """
    rows = []
    for path in records:
        record = read_json(path)
        try:
            for metric, value in record["metrics"].items():
                own = [record[key] for key in ("dataset", "model", "variant", "seed", "fold")]
                about = [record["label"], record["device"], repr(record["seconds"]["train"]), record["code_version"]]
                rows.append([*own, metric, repr(value), *about])
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: not a record (missing {error}); delete it and evaluate the run again") from None
    rows.sort(key=lambda row: [str(part) for part in row])
    with atomic_path(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)
