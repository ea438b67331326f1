"""RecBole's atomic files (`.inter`): separated by tabs, with a header of `name:type`."""

from collections.abc import Mapping
from pathlib import Path

from createrec.readers.columns import Collector
from createrec.readers.delimited import Dialect, read_delimited
from createrec.readers.streams import Place, opened

COLUMNS = {"user": "user_id", "item": "item_id", "time": "timestamp", "rating": "rating"}


def read_recbole(path: Path, place: Place, columns: Mapping[str, str], collector: Collector) -> None:
    """Adds the rows; `columns` names them without their types."""
    with opened(path, place) as stream:
        read_delimited(stream, place, columns, Dialect("\t", "none", typed_names=True), collector)
