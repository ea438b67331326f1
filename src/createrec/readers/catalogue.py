"""The one way in: which reader a raw file needs, and which columns it is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from createrec.config import FileConfig
from createrec.errors import ConfigError, DataError
from createrec.readers import movielens, recbole
from createrec.readers.columns import Collector, Reading
from createrec.readers.delimited import Dialect, read_delimited
from createrec.readers.identity import settled
from createrec.readers.json_lines import AMAZON_EDITIONS, read_json_lines
from createrec.readers.parquet import MAGIC, read_parquet
from createrec.readers.streams import Place, first_bytes, opened

OWN_COLUMNS = {"user": "user", "item": "item", "time": "time"}
YAMBDA_COLUMNS = {"user": "uid", "item": "item_id", "time": "timestamp"}
"""Of Yambda's `flat/50m/likes.parquet`."""


def read(path: Path | str, file: FileConfig, *, rating: bool = False, event: bool = False) -> Reading:
    """Reads a raw file: every rating, review or like is one positive, and rows keep the file's order.

    Whatever the bytes are, this ends in a table or in a `DataError` that names the file and the line.

    Args:
        path: the raw file, as downloaded.
        file: how it is written.
        rating, event: whether the filters ask for them.

    Raises:
        ConfigError: the filters ask for a column that nothing names.
        DataError: the file does not hold what its format promises.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():  # a folder, or a pipe that would be waited on for ever
        raise DataError(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    wanted = ("user", "item", "time", *(["rating"] if rating else []), *(["event"] if event else []))
    place = Place(path)
    collector = Collector(place, leave_out_empty=file.empty_ids == "leave_out", rating=rating, event=event)
    return settled(_reading(path, file, wanted, place, collector), file.ids, path)


def _reading(path: Path, file: FileConfig, wanted: tuple[str, ...], place: Place, collector: Collector) -> Reading:
    match file.reader:
        case "movielens":
            _columns(file, movielens.COLUMNS, wanted)
            return movielens.read_movielens(path, place, collector)
        case "yambda_likes":
            return read_parquet(path, _names(file, YAMBDA_COLUMNS, wanted))
        case "amazon_reviews":
            editions = [_names(file, edition, wanted) for edition in AMAZON_EDITIONS]
            read_json_lines(path, place, editions, collector)
        case "json_lines":
            read_json_lines(path, place, [_names(file, OWN_COLUMNS, wanted)], collector)
        case "recbole":
            recbole.read_recbole(path, place, _names(file, recbole.COLUMNS, wanted), collector)
        # A format of your own goes here: docs/extending.md
        case "table":
            columns = _columns(file, OWN_COLUMNS, wanted)
            if first_bytes(path).startswith(MAGIC):
                if isinstance(columns["user"], int):
                    raise ConfigError(f"{path}: a parquet file names its columns; give names, not numbers")
                return read_parquet(path, _names(file, OWN_COLUMNS, wanted), leave_out_empty=collector.leave_out_empty)
            with opened(path, place) as stream:
                read_delimited(stream, place, columns, Dialect(file.separator, file.quoting), collector)
        case unknown:
            raise ConfigError(f"file.reader: nothing here reads '{unknown}'")
    return collector.finish()


def _columns(file: FileConfig, known: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, str | int]:
    """The column of each wanted role: the settings' own, or else what the format is known to have."""
    columns: dict[str, str | int] = {}
    for role in wanted:
        column = getattr(file, role) or known.get(role)
        if column is None:
            setting = {"rating": "minimum_rating", "event": "events"}[role]
            raise ConfigError(f"filters.{setting}: needs file.{role}, the column that holds it")
        columns[role] = column
    if len(set(columns.values())) != len(columns):
        raise ConfigError(f"file: two of {', '.join(columns)} are the same column ({columns})")
    return columns


def _names(file: FileConfig, known: Mapping[str, str], wanted: tuple[str, ...]) -> dict[str, str]:
    """The same, for a format whose columns have names."""
    return {role: str(column) for role, column in _columns(file, known, wanted).items()}
