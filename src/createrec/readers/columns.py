"""What every reader collects: ids as indices, times, and what the filters ask for. Rows keep the file's order.

Every reader hands over blocks of rows; an id is kept once, in order of first appearance.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createrec.data.interactions import Interactions
from createrec.errors import DataError
from createrec.readers.streams import Place, shown

MAX_ROWS = 200_000_000
"""Most rows, so that a parquet file of a few bytes that promises billions cannot fill the memory."""
MICROSECONDS = 1_000_000
Row = tuple[Any, ...]
"""User, item, time, rating and event as they stand in the file; None for what nobody asks for."""
LIMIT = 1 << 63

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Reading:
    """What a reader found in a file.

    Attributes:
        interactions: every row that was kept, in file order.
        rating: float64 [n], where the filters ask for it.
        event: int64 [n] into `event_names`, where the filters ask for it.
        event_names: distinct event types, in order of first appearance.
        rows: rows of the file, those left out included.
        empty_ids: rows left out because an id is empty.
        label: what every result of this data must carry; "" = nothing.
        warnings: what is odd about how the file is written, each one sentence.
    """

    interactions: Interactions
    rating: np.ndarray | None = None
    event: np.ndarray | None = None
    event_names: tuple[str, ...] = ()
    rows: int = 0
    empty_ids: int = 0
    label: str = ""
    warnings: tuple[str, ...] = ()


class Ids:
    """Distinct ids, each with its index, in order of first appearance.

    Blocks of ids are looked up in an Arrow array, single ones in a dictionary; each learns of the other's when asked.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        self._known = pa.array([], pa.string())
        self._index: dict[str, int] = {}
        self._added: list[str] = []  # in the dictionary alone

    def __len__(self) -> int:
        return len(self._known) + len(self._added)

    def index(self, name: str) -> int:
        """The index of one id; -1 if it is empty or blank.

        Raises:
            ValueError: the id is not Unicode text.
        """
        if len(self._index) < len(self._known):
            self._index = {known: number for number, known in enumerate(self._known.to_pylist())}
        number = self._index.get(name)
        if number is None:
            if not name.strip():
                return -1
            try:
                name.encode()
            except UnicodeEncodeError:
                raise ValueError(
                    f"the {self.role} id {shown(name)} is not UTF-8 text; save the file as UTF-8"
                ) from None
            number = self._index[name] = len(self)
            self._added.append(name)
        return number

    def indices(self, names: pa.StringArray) -> np.ndarray:
        """The indices of distinct ids, int32 [names]; -1 for empty ones."""
        self._flush()
        found = pc.index_in(names, value_set=self._known)
        indices = found.fill_null(-1).to_numpy(zero_copy_only=False).copy()
        if found.null_count:
            unknown = names.filter(found.is_null())
            new = pc.not_equal(pc.utf8_trim_whitespace(unknown), "").to_numpy(zero_copy_only=False)
            places = np.where(new, len(self._known) + np.cumsum(new) - 1, -1)
            indices[indices < 0] = places
            self._known = pa.concat_arrays([self._known, unknown.filter(pa.array(new))])
        return indices

    def names(self) -> np.ndarray:
        """The distinct ids, as Python strings [ids]."""
        self._flush()
        return self._known.to_numpy(zero_copy_only=False)

    def _flush(self) -> None:
        if self._added:
            self._known = pa.concat_arrays([self._known, pa.array(self._added, pa.string())])
            self._added = []


def number_or_date(value: object) -> tuple[int | float | None, bool]:
    """A number as it is (whole ones as int), or a date as microseconds since 1970 (and True); None if neither."""
    if isinstance(value, bool):
        return None, False
    if isinstance(value, int):
        return value, False
    if isinstance(value, float):
        return (int(value) if value.is_integer() else value, False) if math.isfinite(value) else (None, False)
    if not isinstance(value, str) or len(value) > 64:
        return None, False
    text = value.strip()
    if not text.isascii() or "_" in text:  # int() would take other digits and underscores
        return None, False
    for number in (int, float):
        try:
            return number_or_date(number(text))
        except ValueError:
            pass
    try:
        date = datetime.fromisoformat(text)
        return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND, True
    except (ValueError, OverflowError):
        return None, False


class Times:
    """Collects times: numbers, or ISO-8601 dates, never both."""

    def __init__(self) -> None:
        self._values: array[int] | array[float] = array("q")
        self._dated: bool | None = None

    def check_kind(self, dated: bool) -> None:
        """Notes whether times are dates.

        Raises:
            ValueError: they were of the other kind before.
        """
        if self._dated is not None and self._dated is not dated:
            here, before = ("a date", "numbers") if dated else ("a number", "dates")
            raise ValueError(f"is {here} after {before}; expected one kind")
        self._dated = dated

    def parsed(self, value: object) -> int | float:
        """One time as a number: microseconds for a date, else as it is.

        Raises:
            ValueError: the value is missing, negative, no time at all, or of another kind than those before it.
        """
        number, dated = (value, False) if type(value) is int else number_or_date(value)
        if number is None:
            what = "is missing" if value is None or value == "" else f"{shown(value)} is not a time"
            raise ValueError(f"timestamp {what}; expected a number or an ISO-8601 date")
        if number < 0:
            raise ValueError(f"timestamp {shown(value)} is negative; expected 1970 or later")
        if number >= LIMIT:
            raise ValueError(f"timestamp {shown(value)} does not fit 64 bits; expected a smaller number")
        try:
            self.check_kind(dated)
        except ValueError as problem:
            raise ValueError(f"timestamp {shown(value)} {problem}") from None
        return number

    def add_one(self, value: object) -> None:
        """Adds one time, as `parsed` reads it."""
        number = self.parsed(value)
        if type(number) is float and self._values.typecode == "q":
            self._values = array("d", self._values)
        self._values.append(number)  # type: ignore[arg-type]

    def add(self, values: np.ndarray) -> None:
        """Adds checked times: int64, or float64 with fractions."""
        if values.dtype == np.float64 and self._values.typecode == "q":
            self._values = array("d", self._values)
        append(self._values, values)

    def finish(self) -> np.ndarray:
        """int64 [n]: whole numbers as they are; dates in seconds, or microseconds where any is not a whole second.

        Numbers with fractions (seconds, in the files there are) become microseconds, as such dates do.
        """
        if self._values.typecode == "d":
            values = np.frombuffer(self._values, dtype=np.float64)
            return np.rint(values * _fraction_scale(float(values.max()))).astype(np.int64)
        time = np.frombuffer(self._values, dtype=np.int64)
        return seconds_if_whole(time, MICROSECONDS) if self._dated else time


def _fraction_scale(largest: float) -> int:
    """How many times larger numbers with fractions become: a million, as far as the result stays exact."""
    return next(scale for scale in (10**6, 10**3, 1) if scale == 1 or largest * scale < 2**53)


def seconds_if_whole(time: np.ndarray, per_second: int) -> np.ndarray:
    """Dates [n] in a finer unit become seconds where nothing is lost; otherwise they stay, because order matters."""
    return time // per_second if not (time % per_second).any() else time


def append(column: "array[int] | array[float]", values: np.ndarray) -> None:
    """Adds values to a growing column, which the operating system extends in its place."""
    kind = np.int64 if column.typecode == "q" else np.float64
    column.frombytes(np.ascontiguousarray(values, dtype=kind).tobytes())


class Collector:
    """Collects blocks of rows.

    Args:
        place: where the reader stands, for messages.
        leave_out_empty: rows with an empty id are left out and counted; otherwise they are an error.
        rating, event: whether rows have them.

    Attributes:
        rows: rows that came, those left out included.
        empty_ids: rows left out.
        inner_lines: lines of the file that were no rows, but parts of quoted fields.
    """

    def __init__(
        self, place: Place, *, leave_out_empty: bool = False, rating: bool = False, event: bool = False
    ) -> None:
        self.place = place
        self.users, self.items, self.events = Ids("user"), Ids("item"), Ids("event")
        self.times = Times()
        self.leave_out_empty, self.rating, self.event = leave_out_empty, rating, event
        self.rows = self.empty_ids = self.inner_lines = 0
        self.most_rows = MAX_ROWS
        self._user, self._item, self._rating, self._event = array("q"), array("q"), array("d"), array("q")

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Adds rows (user, item, time, rating or None, event or None), one at a time; `place.line` must follow.

        Raises:
            DataError: an id is empty, or a time or rating is missing or none.
        """
        seen = 0
        for row in rows:
            seen += 1
            if self.rows + seen > self.most_rows:
                raise self.place.error(f"more than {self.most_rows:,} rows; expected fewer")
            try:
                pair = (self.users.index(row[0]), self.items.index(row[1]))
                if -1 in pair:
                    if self.leave_out_empty:
                        self.empty_ids += 1
                        continue
                    raise ValueError(f"the {('user', 'item')[pair.index(-1)]} id is empty; {EMPTY_IDS}")
                self.times.add_one(row[2])
                if self.rating:
                    self._rating.append(_rating(row[3]))
                if self.event:
                    self._event.append(self._event_of(row[4]))
            except ValueError as problem:
                raise self.place.error(str(problem)) from None
            self._user.append(pair[0])
            self._item.append(pair[1])
        self.rows += seen

    def add_block(
        self,
        user: np.ndarray,
        item: np.ndarray,
        time: np.ndarray,
        rating: np.ndarray | None,
        event: np.ndarray | None,
    ) -> None:
        """Adds checked rows: indices that `users`, `items` and `events` gave (-1 = empty), and checked times."""
        self.rows += len(user)
        empty = (user < 0) | (item < 0)
        if empty.any():
            kept = ~empty
            self.empty_ids += int(empty.sum())
            user, item, time = user[kept], item[kept], time[kept]
            rating, event = (None if part is None else part[kept] for part in (rating, event))
        self.times.add(time)
        append(self._user, user)
        append(self._item, item)
        if rating is not None:
            append(self._rating, rating)
        if event is not None:
            append(self._event, event)

    def finish(self, label: str = "") -> Reading:
        """All rows.

        Raises:
            DataError: there is none.
        """
        kept = self.rows - self.empty_ids
        if not kept:
            raise DataError(f"{self.place.where}: no interactions in it; expected at least one row")
        user, item = (np.frombuffer(column, dtype=np.int64) for column in (self._user, self._item))
        interactions = Interactions(user, item, self.times.finish(), self.users.names(), self.items.names())
        if self.empty_ids:  # an id that stood in such rows only has gone with them
            interactions = interactions.of_rows(np.ones(kept, dtype=bool))
        return Reading(
            interactions,
            np.frombuffer(self._rating, dtype=np.float64) if self.rating else None,
            np.frombuffer(self._event, dtype=np.int64) if self.event else None,
            tuple(self.events.names()),
            self.rows,
            self.empty_ids,
            label,
            (f"{self.inner_lines:,} lines lie inside of quoted fields",) if self.inner_lines else (),
        )

    def _event_of(self, value: object) -> int:
        index = self.events.index(value) if isinstance(value, str) else -1
        if index < 0:
            raise ValueError("the event is missing; expected text")
        return index


EMPTY_IDS = "expected text or a number (file.empty_ids: leave_out leaves such rows out and counts them)"


def _rating(value: object) -> float:
    try:
        rating = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        rating = math.nan
    if isinstance(value, bool) or not math.isfinite(rating):
        raise ValueError(f"rating {shown(value)} is not a number; expected one in every row, or no minimum_rating")
    return rating
