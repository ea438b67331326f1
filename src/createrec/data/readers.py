"""Readers: from a raw file in its official layout to `Interactions`.

Every rating, review or like is one positive, and rows keep the file's order, which later decides ties in time. Files
come from strangers: whatever the bytes are, a reader ends in a table or in a `DataError` that names the file and the
line. Nothing is ever extracted to disk, and what is held in memory grows with the rows kept, not with what the file
promises: three integers a row and each distinct id once.
"""

import csv
import gzip
import io
import json
import lzma
import math
import stat
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from createrec.data.interactions import Interactions
from createrec.errors import ConfigError, DataError

MAX_LINE = 1 << 24
"""Longest line, in bytes. The longest real review is a thousand times shorter."""
MAX_EXPANSION = 200
"""Largest ratio of unpacked to packed bytes. Review texts and ratings stay under 20; a bomb reaches 1,000."""
FREE_EXPANSION = 1 << 26
"""Bytes a file may unpack to whatever the ratio: small files of equal lines compress without limit."""
MAX_ROWS = 200_000_000
"""Most rows, so that a parquet file of a few bytes that promises billions cannot fill the memory."""

_LIMIT = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DELIMITERS = (",", "\t", ";", "|")
_YAMBDA_COLUMNS = {"user": "uid", "item": "item_id", "time": "timestamp"}
_BROKEN = (
    EOFError,
    OSError,
    RuntimeError,  # zipfile: encrypted member; json: nested too deeply (RecursionError)
    NotImplementedError,
    OverflowError,
    MemoryError,
    ValueError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    csv.Error,
    pa.ArrowException,
)


def read(reader: str, path: Path | str, columns: Mapping[str, str] | None = None) -> tuple[Interactions, str]:
    """Reads a raw file.

    Args:
        reader: one of `READERS`.
        path: the raw file, as downloaded.
        columns: for the reader `table` only: the file's column names, by `user`, `item` and `time`.

    Returns:
        The interactions in file order, and a label that every result of this data must carry ("" for none).

    Raises:
        ConfigError: the reader is unknown, or `columns` does not name the three columns.
        DataError: the file does not hold what its format promises.
    """
    path = Path(path)
    if reader not in READERS:
        raise ConfigError(f"unknown reader {reader!r}: expected one of {', '.join(READERS)}")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():  # a folder, or a pipe that would be waited on for ever
        raise DataError(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    if reader == "table":
        return _read_table(path, _checked_columns(columns)), ""
    return READERS[reader](path)


def _checked_columns(columns: Mapping[str, str] | None) -> Mapping[str, str]:
    wanted = ("user", "item", "time")
    if columns is None or set(columns) != set(wanted) or len(set(columns.values())) != len(wanted):
        raise ConfigError(f"columns: expected three different column names under user, item and time, got {columns}")
    return columns


class _Times:
    """Collects timestamps: whole numbers, or ISO-8601 dates, never both."""

    def __init__(self) -> None:
        self._values = array("q")
        self._dated: bool | None = None

    def add(self, value: object) -> None:
        """Adds an integer, text or a float that means one, or a date.

        Raises:
            ValueError: the value is missing, negative, no time at all, or of another kind than those before it.
        """
        number, dated = (value, False) if type(value) is int else _number_or_date(value)
        if number is None:
            what = "is missing" if value is None or value == "" else f"{_shown(value)} is not a time"
            raise ValueError(f"timestamp {what}; expected a whole number or an ISO-8601 date")
        if number < 0:
            raise ValueError(f"timestamp {_shown(value)} is negative; expected 1970 or later")
        if number >= _LIMIT:
            raise ValueError(f"timestamp {_shown(value)} does not fit 64 bits; expected a smaller number")
        if self._dated is not dated:
            if self._dated is not None:
                here, before = ("a date", "numbers") if dated else ("a number", "dates")
                raise ValueError(f"timestamp {_shown(value)} is {here} after {before}; expected one kind")
            self._dated = dated
        self._values.append(number)

    def finish(self) -> np.ndarray:
        """int64 [n]: numbers as they are, dates in seconds (or microseconds, where any is not a whole second)."""
        time = np.frombuffer(self._values, dtype=np.int64)
        return _seconds_if_whole(time, 1_000_000) if self._dated else time

    def __len__(self) -> int:
        return len(self._values)


class _Rows:
    """Collects rows as indices; ids are kept once, in order of first appearance."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._user, self._item, self._times = array("q"), array("q"), _Times()

    def error(self, problem: str) -> DataError:
        return DataError(f"{self.path}, line {self.line}: {problem}")

    def add(self, user: str, item: str, time: object) -> None:
        """Adds one row.

        Raises:
            DataError: an id is empty, or the time is missing, negative or not a time.
        """
        try:
            self._times.add(time)
        except ValueError as problem:
            raise self.error(str(problem)) from None
        self._user.append(self._id(self._users, user, "user"))
        self._item.append(self._id(self._items, item, "item"))
        if len(self._user) > MAX_ROWS:
            raise self.error(f"more than {MAX_ROWS:,} rows; expected fewer")

    def finish(self) -> Interactions:
        """The table.

        Raises:
            DataError: there is no row.
        """
        if not self._user:
            raise DataError(f"{self.path}: no interactions in it; expected at least one row")
        user, item = (np.frombuffer(column, dtype=np.int64) for column in (self._user, self._item))
        return Interactions(user, item, self._times.finish(), _names(self._users), _names(self._items))

    def __len__(self) -> int:
        return len(self._user)

    def _id(self, index: dict[str, int], name: str, role: str) -> int:
        number = index.get(name)
        if number is None:
            if not name.strip():
                raise self.error(f"the {role} id is empty; expected text or a number")
            try:
                name.encode()
            except UnicodeEncodeError:
                raise self.error(f"the {role} id {_shown(name)} is not Unicode text") from None
            number = index[name] = len(index)
        return number


def _number_or_date(value: object) -> tuple[int | None, bool]:
    """A whole number as it is, or a date as microseconds since 1970 (and True); None if `value` is neither."""
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return value, False
    if isinstance(value, float):
        return (int(value), False) if math.isfinite(value) and value.is_integer() else (None, False)
    if not isinstance(value, str) or len(value) > 64:
        return None, False
    text = value.strip()
    if not text.isascii() or "_" in text:  # int() would take other digits and underscores
        return None, False
    try:
        return int(text), False
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return (int(number), False) if math.isfinite(number) and number.is_integer() else (None, False)
    try:
        date = datetime.fromisoformat(text)
        return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND, True
    except (ValueError, OverflowError):
        return None, False


def _seconds_if_whole(time: np.ndarray, per_second: int) -> np.ndarray:
    """Dates [n] in a finer unit become seconds where nothing is lost; otherwise they stay, because order matters."""
    return time // per_second if not (time % per_second).any() else time


def _names(index: dict[str, int]) -> np.ndarray:
    return np.array(list(index), dtype=object)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# Streams -------------------------------------------------------------------------------------------------------------


class _Capped(io.RawIOBase):
    """Passes a stream on and stops it when it has unpacked to more than a packed file of this size can mean."""

    def __init__(self, stream: io.BufferedIOBase, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = max(FREE_EXPANSION, MAX_EXPANSION * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(
                f"{self._path}: unpacks to more than {MAX_EXPANSION} times its size, as no real dataset does; "
                "get the file again from its official address"
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _explained(path: Path, what: str, line: Callable[[], int] | None = None) -> Iterator[None]:
    """Turns what the libraries raise on broken bytes into a `DataError` that names the file, and the line if known."""
    try:
        yield
    except DataError:
        raise
    except _BROKEN as error:
        where = f"{path}, after line {line()}" if line is not None else f"{path}"
        reason = str(error) or type(error).__name__
        raise DataError(f"{where}: not {what}, or damaged ({reason}); delete it and get it again") from None


def _raw_lines(stream: io.BufferedIOBase, rows: _Rows) -> Iterator[bytes]:
    """Lines with their ends; `rows.line` follows. A byte-order mark is dropped."""
    buffered = io.BufferedReader(_Capped(stream, rows.path), 1 << 20)
    while line := buffered.readline(MAX_LINE + 1):
        if rows.line == 0:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{rows.path}: the text is UTF-16; expected UTF-8, save it as that")
            line = line.removeprefix(b"\xef\xbb\xbf")
        rows.line += 1
        if len(line) > MAX_LINE:
            raise rows.error(f"longer than {MAX_LINE:,} bytes; expected one short record a line")
        yield line


def _lines(stream: io.BufferedIOBase, rows: _Rows) -> Iterator[bytes]:
    """Lines without their ends, blank ones left out."""
    for line in _raw_lines(stream, rows):
        line = line.rstrip(b"\r\n")
        if line:
            yield line


# MovieLens -----------------------------------------------------------------------------------------------------------


def _read_movielens(path: Path) -> tuple[Interactions, str]:
    """`ml-1m.zip`: user::item::rating::timestamp in `ratings.dat`."""
    rows = _Rows(path)
    with _explained(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        member = _member(archive, path, "ratings.dat")
        if member is None:
            raise DataError(f"{path}: no ratings.dat in the archive; expected the official ml-1m.zip")
        with _explained(path, "a zip archive", lambda: rows.line), archive.open(member) as stream:
            for line in _lines(stream, rows):
                fields = line.decode("latin-1").split("::")
                if len(fields) != 4:
                    raise rows.error(f"expected user::item::rating::timestamp, got {_shown(line)}")
                rows.add(fields[0], fields[1], int(fields[3]) if fields[3].isdecimal() else fields[3])
        label = _movielens_label(archive, path, len(rows))
    return rows.finish(), label


def _movielens_label(archive: zipfile.ZipFile, path: Path, rows: int) -> str:
    """A rebuilt archive flags each line of its ratings whose timestamp is exact (1) or interpolated (0)."""
    member = _member(archive, path, "timestamp_is_exact.txt")
    if member is None:
        return ""
    flags = _Rows(path)
    interpolated = count = 0
    with archive.open(member) as stream:
        for line in _lines(stream, flags):
            if line not in (b"0", b"1"):
                raise DataError(f"{path}, {member.filename}, line {flags.line}: expected 0 or 1, got {_shown(line)}")
            interpolated += line == b"0"
            count += 1
    if count != rows:
        raise DataError(f"{path}: {member.filename} has {count:,} flags for {rows:,} ratings; expected as many")
    return f"ML-1M, {100 * interpolated / count:.0f} % of timestamps interpolated" if interpolated else ""


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo | None:
    """The one plain member called `name`, in any folder; None if there is none."""
    found = [member for member in archive.infolist() if member.filename.rpartition("/")[2] == name]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{path}: {len(found)} members called {name}; expected one")
    member = found[0]
    if member.filename.startswith("/") or ".." in member.filename.split("/"):
        raise DataError(f"{path}: member {_shown(member.filename)} points out of the archive; expected ml-1m/{name}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(f"{path}: {member.filename} is a link; expected a file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {member.filename} is packed in an unusual way; expected stored or deflated")
    return member


# Amazon --------------------------------------------------------------------------------------------------------------


def _read_amazon_reviews(path: Path) -> tuple[Interactions, str]:
    """`reviews_*_5.json.gz`: one JSON object a line; only reviewerID, asin and unixReviewTime are looked at."""
    rows = _Rows(path)
    with _explained(path, "a gzip archive", lambda: rows.line), gzip.open(path) as stream:
        for line in _lines(stream, rows):
            try:
                review = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise rows.error(f"not JSON ({_shown(str(error))}); expected one object a line") from None
            if not isinstance(review, dict):
                raise rows.error(f"expected a JSON object, got {_shown(review)}")
            try:
                user, item, time = review["reviewerID"], review["asin"], review["unixReviewTime"]
            except KeyError as missing:
                raise rows.error(f"no key {missing}; expected reviewerID, asin and unixReviewTime") from None
            rows.add(_json_id(user, "reviewerID", rows), _json_id(item, "asin", rows), time)
    return rows.finish(), ""


def _json_id(value: object, key: str, rows: _Rows) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise rows.error(f"{key} is {_shown(value)}; expected text or a whole number")


# Tables --------------------------------------------------------------------------------------------------------------


def _read_yambda_likes(path: Path) -> tuple[Interactions, str]:
    """Yambda's `flat/50m/likes.parquet`: uid, item_id, timestamp."""
    return _read_parquet(path, _YAMBDA_COLUMNS), ""


def _read_table(path: Path, columns: Mapping[str, str]) -> Interactions:
    """Anyone's CSV, TSV (plain or gzipped) or parquet file."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        return _read_parquet(path, columns)
    rows = _Rows(path)
    opener = gzip.open if magic.startswith(b"\x1f\x8b") else open
    with _explained(path, "a table of text", lambda: rows.line), opener(path, "rb") as stream:
        _read_delimited(stream, rows, columns)
    return rows.finish()


def _read_delimited(stream: io.BufferedIOBase, rows: _Rows, columns: Mapping[str, str]) -> None:
    """Adds the rows of a delimited text with a header; which delimiter it has follows from the header."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    lines = _decoded(stream, rows)
    try:
        delimiter, names = _header(next(lines, ""), rows, columns)
        user, item, time = (names.index(columns[role]) for role in ("user", "item", "time"))
        for fields in csv.reader(lines, delimiter=delimiter, strict=True):
            if not fields:
                continue
            if len(fields) != len(names):
                raise rows.error(f"{len(fields)} fields; expected {len(names)}, as in the header")
            moment = fields[time]
            digits = moment.isascii() and moment.isdigit() and len(moment) < 20
            rows.add(fields[user], fields[item], int(moment) if digits else moment)
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]
        raise rows.error(f'does not parse ({reason}); expected fields with one delimiter, quoted with "') from None


def _header(line: str, rows: _Rows, columns: Mapping[str, str]) -> tuple[str, list[str]]:
    """The delimiter, and the names it gives: the first one under which all wanted columns are there."""
    headers = {mark: next(csv.reader([line], delimiter=mark), []) for mark in _DELIMITERS}
    wanted = set(columns.values())
    for mark, names in headers.items():
        if wanted <= set(names):
            for name in wanted:
                if names.count(name) > 1:
                    raise rows.error(f"column {name!r} appears {names.count(name)} times; expected once")
            return mark, names
    names = max(headers.values(), key=len)
    missing = ", ".join(repr(name) for name in columns.values() if name not in names)
    raise rows.error(f"no column {missing}; the file has {_shown(names)}")


def _decoded(stream: io.BufferedIOBase, rows: _Rows) -> Iterator[str]:
    for line in _raw_lines(stream, rows):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise rows.error(f"not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8") from None


def _read_parquet(path: Path, columns: Mapping[str, str]) -> Interactions:
    """Reads three columns of a parquet file; places in errors are rows, counted from 1.

    Text ids stay dictionary-encoded throughout, because a small file can repeat a long id without end.
    """
    with _explained(path, "a parquet file"):
        names = pq.read_schema(path).names
        for name in columns.values():
            found = names.count(name)
            if found != 1:
                raise DataError(f"{path}: {found or 'no'} columns called {name!r}; the file has {_shown(names)}")
        with pq.ParquetFile(path, read_dictionary=[columns["user"], columns["item"]]) as file:
            if not 0 < file.metadata.num_rows <= MAX_ROWS:
                raise DataError(f"{path}: {file.metadata.num_rows:,} rows; expected 1 to {MAX_ROWS:,}")
            batches, rows = [], 0
            for batch in file.iter_batches(columns=list(columns.values())):
                rows += len(batch)
                if rows > MAX_ROWS:
                    raise DataError(f"{path}: more than {MAX_ROWS:,} rows; expected fewer")
                batches.append(batch)
        table = pa.Table.from_batches(batches).unify_dictionaries()
        table.validate(full=True)
        user, item = (_parquet_ids(table[columns[role]], columns[role], path) for role in ("user", "item"))
        time = _parquet_times(table[columns["time"]], columns["time"], path)
        return Interactions.from_columns(user, item, time)


def _parquet_ids(column: pa.ChunkedArray, name: str, path: Path) -> pa.Array:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    kind = encoded.type.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not is_text and not pa.types.is_integer(kind):
        raise DataError(f"{path}: column {name!r} holds {kind}; expected whole numbers or text as ids")
    ids = encoded.combine_chunks()
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.chunk(0)
    _refuse(ids.indices.is_null(), path, f"{name} is missing")
    empty = ids.dictionary.is_null()
    if is_text:
        empty = pc.or_kleene(empty, pc.equal(pc.utf8_trim_whitespace(ids.dictionary), ""))
    _refuse(pc.is_in(ids.indices, pc.indices_nonzero(empty).cast(ids.indices.type)), path, f"{name} is empty")
    return ids


def _parquet_times(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
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
        _refuse(pc.not_equal(values, pc.floor(values)), path, f"{name} is not a whole number")
    elif not pa.types.is_integer(kind):
        raise DataError(f"{path}: column {name!r} holds {kind}; expected whole numbers or dates")
    time = column.cast(pa.int64())
    _refuse(pc.less(time, 0), path, f"{name} is negative; expected 1970 or later")
    return _seconds_if_whole(time.to_numpy(), per_second)


def _text_times(column: pa.ChunkedArray, path: Path) -> np.ndarray:
    times = _Times()
    for value in column:
        try:
            times.add(value.as_py())
        except ValueError as problem:
            raise DataError(f"{path}, row {len(times) + 1}: {problem}") from None
    return times.finish()


def _refuse(bad: pa.Array | pa.ChunkedArray, path: Path, problem: str) -> None:
    """Raises if any entry of the Boolean `bad` [n] is true, and names the first."""
    first = pc.index(bad, True).as_py()
    if first >= 0:
        raise DataError(f"{path}, row {first + 1}: {problem}")


READERS: dict[str, Callable[..., object]] = {
    "movielens": _read_movielens,
    "amazon_reviews": _read_amazon_reviews,
    "yambda_likes": _read_yambda_likes,
    "table": _read_table,
}
