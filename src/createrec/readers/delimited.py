"""Delimited text: CSV, TSV, `::` and the like, with a header or without one.

Blocks of lines go through pyarrow's CSV parser. Whatever it refuses, and whatever is written in a way on which parsers
disagree, goes row by row through the standard library's parser, which names the line or finds nothing wrong.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from createrec.errors import DataError
from createrec.readers.columns import LIMIT, Collector, Ids, number_or_date
from createrec.readers.streams import MAX_LINE, Place, blocks, line_count, shown

COMMON_SEPARATORS = (",", "\t", ";", "|")
"""Tried in this order where the settings name none."""
BLANKS = "blanks"
"""The separator of columns that stand apart by one or more blanks or tabs."""
UNIT = "\x1f"
"""Takes the place of separators of several characters: ASCII's own separator, which no text holds."""
ROLES = ("user", "item", "time", "rating", "event")


@dataclass(frozen=True)
class Dialect:
    """How the text is written.

    Attributes:
        separator: between fields; BLANKS; None = found from the first line.
        quoting: `within_lines` and `across_lines`: fields may stand in `"`, which end on their line, or may go on over
            several; `none`: `"` is an ordinary character.
        typed_names: the header says `name:type`, as RecBole's does.
        fields: how many a line has; None = as many as the first one.
    """

    separator: str | None = None
    quoting: str = "within_lines"
    typed_names: bool = False
    fields: int | None = None


@dataclass(frozen=True)
class _Layout:
    """What the first line settled: the separator, how many fields a line has, and where the wanted ones stand."""

    separator: str
    quoting: str
    fields: int
    places: Mapping[str, int]

    @property
    def byte(self) -> str:
        """The separator that a parser sees: one character."""
        return self.separator if len(self.separator) == 1 else UNIT

    def plain(self, text: bytes) -> bytes | None:
        """The text with one-character separators; None if it holds that character already."""
        if len(self.separator) == 1:
            return text
        if UNIT.encode() in text:
            return None
        if self.separator == BLANKS:
            return re.sub(rb"[ \t]+", UNIT.encode(), re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", text))
        return text.replace(self.separator.encode(), UNIT.encode())


def read_delimited(
    stream: IO[bytes], place: Place, columns: Mapping[str, str | int], dialect: Dialect, collector: Collector
) -> None:
    """Adds the rows of a delimited text.

    Args:
        columns: a name or a number (from 1) for each of user, item and time, and for rating and event where wanted;
            numbers mean that there is no header.

    Raises:
        DataError: a line does not parse, a column is missing, or a value is none.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    headless = isinstance(columns["user"], int)
    layout, kinds = None, _TimeKinds()
    source = blocks(stream, place)
    for block in source:
        if layout is None:
            body = block.lstrip(b"\r\n")
            place.line += line_count(block) - line_count(body) + 1
            first, _, rest = body.partition(b"\n")
            layout = _first_line(first.rstrip(b"\r"), place, columns, dialect)
            block = body if headless else rest
            place.line -= 1 if headless else 0
        if layout.quoting == "across_lines":
            _add_slowly(_chained(block, source), place, layout, collector)
        elif not _add_fast(block, layout, collector, kinds):
            _add_slowly(io.BytesIO(block), place, layout, collector)


def _chained(block: bytes, more: Iterable[bytes]) -> Iterator[bytes]:
    yield from io.BytesIO(block)
    for later in more:
        yield from io.BytesIO(later)


# The first line ------------------------------------------------------------------------------------------------------


def _first_line(line: bytes, place: Place, columns: Mapping[str, str | int], dialect: Dialect) -> _Layout:
    """The layout that the first line settles; `place.line` is its number."""
    if len(line) > MAX_LINE:
        raise place.error(f"longer than {MAX_LINE:,} bytes; expected one short record per line")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise place.error(f"not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8") from None
    marks = COMMON_SEPARATORS if dialect.separator is None else (dialect.separator,)
    split = {mark: _fields(text, mark, dialect.quoting) for mark in marks}
    quoting = "none" if any(len(mark) > 1 for mark in marks) else dialect.quoting
    if isinstance(columns["user"], int):
        return _numbered(text, split, place, columns, quoting, dialect.fields)
    wanted = {str(name) for name in columns.values()}
    for mark, names in split.items():
        names = [name.partition(":")[0] for name in names] if dialect.typed_names else names
        if wanted <= set(names):
            for name in wanted:
                if names.count(name) > 1:
                    raise place.error(f"column {name!r} appears {names.count(name)} times; expected once")
            return _Layout(mark, quoting, len(names), {role: names.index(str(name)) for role, name in columns.items()})
    names = max(split.values(), key=len)
    missing = ", ".join(repr(name) for name in columns.values() if name not in names)
    raise place.error(f"no column {missing}; the file has {shown(names)}{_advice(text)}")


def _numbered(
    text: str,
    split: Mapping[str, list[str]],
    place: Place,
    columns: Mapping[str, str | int],
    quoting: str,
    exactly: int | None,
) -> _Layout:
    """The layout of a file without a header: the separator that gives most fields."""
    mark, fields = max(split.items(), key=lambda pair: len(pair[1]))
    if exactly is not None and len(fields) != exactly:
        raise place.error(f"{len(fields)} fields; expected {exactly}, with {mark} between them; got {shown(text)}")
    most = max(int(number) for number in columns.values())
    if len(fields) < most:
        raise place.error(f"{len(fields)} fields; expected {most} or more, as column numbers ask{_advice(text)}")
    places = {role: int(number) - 1 for role, number in columns.items()}
    moment = fields[places["time"]]
    if number_or_date(moment)[0] is None:
        raise place.error(
            f"column {columns['time']} holds {shown(moment)}, no time; if the first line is a header, give column names"
        )
    return _Layout(mark, quoting, len(fields), places)


def _fields(text: str, mark: str, quoting: str) -> list[str]:
    if mark == BLANKS:
        return text.split()
    if len(mark) > 1:
        return text.split(mark)
    rule: Literal[0, 3] = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    try:
        return next(csv.reader([text], delimiter=mark, quoting=rule), [])
    except csv.Error:
        return [text]


def _advice(text: str) -> str:
    """What a first line looks like that does not fit the settings, and the setting that reads it; or nothing."""
    if text.startswith("{"):
        return ". It looks like JSON lines: set file.reader to json_lines, or to amazon_reviews for Amazon's reviews"
    if "::" in text:
        return ". It looks like MovieLens' user::item::rating::time: set file.reader to movielens"
    if ":token" in text:
        return ". It looks like RecBole's atomic file: set file.reader to recbole"
    for mark in (*COMMON_SEPARATORS, BLANKS):
        fields = _fields(text, mark, "none")
        if len(fields) > 2 and any(isinstance(number_or_date(field)[0], int | float) for field in fields):
            separator = f", file.separator: {BLANKS}" if mark == BLANKS else ""
            return f". It looks like data without a header: give column numbers, as file.user: 1{separator}"
    return ""


# Block by block ------------------------------------------------------------------------------------------------------


class _TimeKinds:
    """How the time column is parsed: as what the block before it was, else as whatever fits."""

    def __init__(self) -> None:
        self.kinds = [pa.int64(), pa.float64(), pa.timestamp("us", "UTC"), pa.timestamp("us")]

    def fits(self, kind: pa.DataType) -> None:
        self.kinds.remove(kind)
        self.kinds.insert(0, kind)


def _add_fast(block: bytes, layout: _Layout, collector: Collector, kinds: _TimeKinds) -> bool:
    """Adds a block of whole lines through pyarrow; False, with nothing added, if it takes a closer look."""
    if b"\0" in block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
        return False
    if layout.quoting != "none" and b'"' in block and not _quotes_are_plain(block, layout.byte):
        return False
    text = layout.plain(block)
    table = None if text is None else _parsed(text, layout, kinds)
    if table is None or collector.rows + len(table) > collector.most_rows:
        return False
    time = _checked_times(table["time"], collector)
    rating = table["rating"].to_numpy() if "rating" in layout.places else None
    if time is None or (rating is not None and not np.isfinite(rating).all()):
        return False
    indices = {}
    for role, ids in (("event", collector.events), ("user", collector.users), ("item", collector.items)):
        if role in layout.places:
            indices[role] = _indices(table[role], ids)
            if (role == "event" or not collector.leave_out_empty) and (indices[role] < 0).any():
                return False
    collector.add_block(indices["user"], indices["item"], time, rating, indices.get("event"))
    return True


def _parsed(text: bytes, layout: _Layout, kinds: _TimeKinds) -> pa.Table | None:
    """The wanted columns under the names of their roles; None if pyarrow refuses the text."""
    roles = {place: role for role, place in layout.places.items()}
    names = [roles.get(place, f"#{place}") for place in range(layout.fields)]
    encoded = pa.dictionary(pa.int32(), pa.string())
    types = {"user": encoded, "item": encoded, "event": encoded, "rating": pa.float64()}
    for kind in kinds.kinds:
        try:
            table = pacsv.read_csv(
                pa.BufferReader(text),
                pacsv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
                pacsv.ParseOptions(
                    delimiter=layout.byte, quote_char=False if layout.quoting == "none" else '"', escape_char=False
                ),
                pacsv.ConvertOptions(
                    column_types={**types, "time": kind}, include_columns=list(layout.places), null_values=[]
                ),
            )
        except pa.ArrowInvalid:
            continue
        kinds.fits(kind)
        return table
    return None


def _checked_times(column: pa.ChunkedArray, collector: Collector) -> np.ndarray | None:
    """Times as int64, or float64 with fractions; None if any is no time, or of another kind than before."""
    dated = pa.types.is_timestamp(column.type)
    time = (column.cast(pa.int64()) if dated else column).to_numpy()
    if not np.isfinite(time).all() or (len(time) and (time.min() < 0 or time.max() >= LIMIT)):
        return None
    if time.dtype == np.float64 and (time == np.floor(time)).all():
        time = time.astype(np.int64)
    try:
        collector.times.check_kind(dated)
    except ValueError:
        return None
    return time


def _indices(column: pa.ChunkedArray, ids: Ids) -> np.ndarray:
    """Indices int32 [n] of dictionary-encoded ids; -1 for empty ones."""
    found = column.combine_chunks()
    chunk = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    return ids.indices(chunk.dictionary)[chunk.indices.to_numpy()]


def _quotes_are_plain(block: bytes, separator: str) -> bool:
    """Whether quotes open right after a separator, close right before one, and on the same line, everywhere.

    On such text all parsers agree.
    """
    text = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    beside = np.zeros(256, dtype=bool)
    beside[[ord(separator), ord("\n"), ord('"')]] = True
    opens = beside[text[opening - 1]] | (opening == 0)
    beside[ord("\r")] = True
    if not (opens.all() and beside[text[closing + 1]].all()):  # a block ends in a line's end
        return False
    ends = np.flatnonzero(text == ord("\n"))
    return bool((np.searchsorted(ends, opening) == np.searchsorted(ends, closing)).all())


# Row by row ----------------------------------------------------------------------------------------------------------


def _add_slowly(lines: Iterable[bytes], place: Place, layout: _Layout, collector: Collector) -> None:
    """Adds lines one by one; `place.line` is the number of lines before them, and follows."""
    places = [layout.places.get(role) for role in ROLES]
    collector.add_rows(
        tuple(None if at is None else fields[at] for at in places)
        for fields in _records(lines, place, layout, collector)
    )


def _records(lines: Iterable[bytes], place: Place, layout: _Layout, collector: Collector) -> Iterator[list[str]]:
    """The fields of each line that is not blank, as many as the first line has."""
    start = place.line
    rule: Literal[0, 3] = csv.QUOTE_NONE if layout.quoting == "none" else csv.QUOTE_MINIMAL
    records = csv.reader(_decoded(lines, place, layout), delimiter=layout.byte, quoting=rule, strict=True)
    while True:
        try:
            fields = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            reason = str(error).partition(" - ")[0]
            if reason == "unexpected end of data":
                raise _unclosed(start + 1, place) from None
            raise place.error(
                f'does not parse ({reason}); expected fields with one separator, quoted with " '
                f'(file.quoting: none makes " an ordinary character)'
            ) from None
        if layout.quoting == "within_lines" and place.line - start > 1:
            raise _unclosed(start + 1, place)
        collector.inner_lines += place.line - start - 1
        start = place.line
        if not fields or fields == [""]:
            continue
        if len(fields) != layout.fields:
            raise place.error(f"{len(fields)} fields; expected {layout.fields}, as in the first line")
        yield fields


def _decoded(lines: Iterable[bytes], place: Place, layout: _Layout) -> Iterator[str]:
    for line in lines:
        place.line += 1
        if len(line) > MAX_LINE:
            raise place.error(f"longer than {MAX_LINE:,} bytes; expected one short record per line")
        plain = layout.plain(line)
        if plain is None:
            raise place.error("holds the control character 0x1F, which no text does; get the file again")
        yield plain.decode("utf-8", "surrogateescape")  # ids are checked, other columns may hold what they like


def _unclosed(line: int, place: Place) -> DataError:
    place.line = line
    return place.error(
        'a quoted field does not end on its line, and would take in the lines below; where " is an ordinary '
        "character set file.quoting: none, where fields go on over several lines set file.quoting: across_lines"
    )
