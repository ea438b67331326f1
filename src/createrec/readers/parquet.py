"""Parquet files. Places in errors are rows, counted from 1.

Text ids stay dictionary-encoded throughout, because a small file can repeat a long id without end.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from createrec.data.interactions import Interactions
from createrec.errors import DataError
from createrec.readers import columns as limits
from createrec.readers.columns import EMPTY_IDS, Reading, Times, seconds_if_whole
from createrec.readers.streams import explained, shown

MAGIC = b"PAR1"


def read_parquet(path: Path, columns: Mapping[str, str], *, leave_out_empty: bool = False) -> Reading:
    """Reads the columns user, item and time, and rating and event where `columns` names them."""
    with explained(path, "a parquet file"):
        names = pq.read_schema(path).names
        for name in columns.values():
            found = names.count(name)
            if found != 1:
                raise DataError(f"{path}: {found or 'no'} columns called {name!r}; the file has {shown(names)}")
        encoded = [columns[role] for role in ("user", "item", "event") if role in columns]
        with pq.ParquetFile(path, read_dictionary=encoded) as file:
            if not 0 < file.metadata.num_rows <= limits.MAX_ROWS:
                raise DataError(f"{path}: {file.metadata.num_rows:,} rows; expected 1 to {limits.MAX_ROWS:,}")
            batches, rows = [], 0
            for batch in file.iter_batches(columns=list(columns.values())):
                rows += len(batch)
                if rows > limits.MAX_ROWS:
                    raise DataError(f"{path}: more than {limits.MAX_ROWS:,} rows; expected fewer")
                batches.append(batch)
        table = pa.Table.from_batches(batches).unify_dictionaries()
        table.validate(full=True)
        whole = len(table)
        ids = {role: _ids(table[columns[role]], columns[role], path) for role in ("user", "item")}
        empty = {role: _empty(column) for role, column in ids.items()}
        if leave_out_empty:
            kept = pc.invert(pc.or_(empty["user"], empty["item"]))
            table, ids = table.filter(kept), {role: column.filter(kept) for role, column in ids.items()}
            if not len(table):
                raise DataError(f"{path}: no interactions in it; expected at least one row with both ids")
        else:
            for role, mask in empty.items():
                _refuse(mask, path, f"{columns[role]} is empty; {EMPTY_IDS}")
        time = _times(table[columns["time"]], columns["time"], path)
        rating = _ratings(table[columns["rating"]], columns["rating"], path) if "rating" in columns else None
        event, event_names = None, ()
        if "event" in columns:
            found = _ids(table[columns["event"]], columns["event"], path)
            _refuse(_empty(found), path, f"{columns['event']} is empty; expected an event type")
            coded = Interactions.from_columns(found, found, time)
            event, event_names = coded.user, tuple(coded.user_ids)
        interactions = Interactions.from_columns(ids["user"], ids["item"], time)
    return Reading(interactions, rating, event, event_names, whole, whole - len(table))


def _ids(column: pa.ChunkedArray, name: str, path: Path) -> pa.Array:
    """Dictionary-encoded ids [n]: text, or whole numbers."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind) and not pa.types.is_dictionary(column.type):
        column = _whole(column, name, path)  # as a table becomes where whole numbers and gaps met
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    kind = encoded.type.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise DataError(f"{path}: column {name!r} holds {kind}; expected whole numbers or text as ids")
    ids = encoded.combine_chunks()
    return ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids


def _whole(column: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    values = column.cast(pa.float64())
    present = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    _refuse(pc.not_equal(present, pc.floor(present)), path, f"{name} is not a whole number; expected ids")
    return present.cast(pa.int64())


def _empty(ids: pa.Array) -> pa.Array:
    """Mask [n] of ids that are missing, empty or blank."""
    nothing = ids.dictionary.is_null()
    if not pa.types.is_integer(ids.type.value_type):
        nothing = pc.or_kleene(nothing, pc.equal(pc.utf8_trim_whitespace(ids.dictionary), ""))
    blank = pc.is_in(ids.indices, pc.indices_nonzero(nothing).cast(ids.indices.type))
    return pc.or_(ids.indices.is_null(), blank)


def _times(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    """A time column as int64 [n]: whole numbers as they are, dates in seconds (or their own unit if finer)."""
    _refuse(pc.is_null(column), path, f"{name} is missing")
    kind, per_second = column.type, 1
    if pa.types.is_date(kind):
        column, kind = column.cast(pa.timestamp("ms")), pa.timestamp("ms")
    if pa.types.is_timestamp(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text_times(column, path)
    elif pa.types.is_floating(kind):
        values = column.cast(pa.float64())
        _refuse(pc.invert(pc.is_finite(values)), path, f"{name} is not a finite number")
        _refuse(pc.less(values, 0), path, f"{name} is negative; expected 1970 or later")
        if pc.any(pc.not_equal(values, pc.floor(values))).as_py():
            times = Times()
            times.add(values.to_numpy())
            return times.finish()
    elif not pa.types.is_integer(kind):
        raise DataError(f"{path}: column {name!r} holds {kind}; expected numbers or dates")
    time = column.cast(pa.int64())
    _refuse(pc.less(time, 0), path, f"{name} is negative; expected 1970 or later")
    return seconds_if_whole(time.to_numpy(), per_second)


def _text_times(column: pa.ChunkedArray, path: Path) -> np.ndarray:
    times = Times()
    for row, value in enumerate(column, 1):
        try:
            times.add_one(value.as_py())
        except ValueError as problem:
            raise DataError(f"{path}, row {row}: {problem}") from None
    return times.finish()


def _ratings(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f"{path}: column {name!r} holds {column.type}; expected numbers as ratings")
    values = column.cast(pa.float64())
    _refuse(pc.invert(pc.fill_null(pc.is_finite(values), False)), path, f"{name} is not a number")
    return values.to_numpy()


def _refuse(bad: pa.Array | pa.ChunkedArray, path: Path, problem: str) -> None:
    """Raises if any entry of the Boolean `bad` [n] is true, and names the first."""
    first = pc.index(bad, True).as_py()
    if first >= 0:
        raise DataError(f"{path}, row {first + 1}: {problem}")
