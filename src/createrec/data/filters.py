"""Filters before the split: rows that a study leaves out. Each one says how many rows it took.

They apply in a fixed order: event types, rating, dates, first of repeats, and then the cores, which depend on what
the others left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from createrec.config import FiltersConfig
from createrec.data.interactions import Interactions
from createrec.data.times import per_second, shown_time
from createrec.errors import DataError
from createrec.readers.columns import Reading


@dataclass(frozen=True)
class Filtered:
    """What is left, and what each filter took: `{"filter": name, "value": setting, "rows": rows that left}`."""

    interactions: Interactions
    steps: tuple[dict[str, Any], ...]


def core(user: np.ndarray, item: np.ndarray, users: int | None, items: int | None) -> np.ndarray:
    """Mask [n] of the largest set of rows in which every user has `users` rows and every item `items`, at least.

    Args:
        user, item: indices, int64 [n].
        users, items: the two limits; None = no limit.
    """
    kept = np.ones(len(user), dtype=bool)
    while True:
        before = np.count_nonzero(kept)
        for index, limit in ((user, users), (item, items)):
            if limit is not None:
                kept &= np.bincount(index[kept], minlength=int(index.max(initial=0)) + 1)[index] >= limit
        if np.count_nonzero(kept) == before:
            return kept


def first_rows(interactions: Interactions) -> np.ndarray:
    """Mask [n] of each user's first row with each item: the earliest, and of equal times the first in the file."""
    order = np.lexsort((interactions.time, interactions.item, interactions.user))  # stable
    user, item = interactions.user[order], interactions.item[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    kept = np.zeros(len(order), dtype=bool)
    kept[order[first]] = True
    return kept


def apply(reading: Reading, filters: FiltersConfig) -> Filtered:
    """Applies the filters that are set.

    Raises:
        DataError: nothing is left, or an event type does not occur.
    """
    steps: list[dict[str, Any]] = []
    for name, mask in _MASKS.items():
        value = getattr(filters, name)
        if value is None or value is False or (name == "item_core" and filters.user_core is not None):
            continue
        kept = mask(reading, filters)
        left = int(np.count_nonzero(kept))
        if not left:
            raise DataError(f"filters.{name}: {value} leaves no row of {len(kept):,}; {_held(reading, name)}")
        if name == "user_core" and filters.item_core is not None:
            name, value = "user_core and item_core", [filters.user_core, filters.item_core]
        steps.append({"filter": name, "value": list(value) if name == "events" else value, "rows": len(kept) - left})
        if left < len(kept):
            reading = _rows_of(reading, kept)
    return Filtered(reading.interactions, tuple(steps))


def _rows_of(reading: Reading, kept: np.ndarray) -> Reading:
    return replace(
        reading,
        interactions=reading.interactions.of_rows(kept),
        rating=None if reading.rating is None else reading.rating[kept],
        event=None if reading.event is None else reading.event[kept],
    )


def _of_events(reading: Reading, filters: FiltersConfig) -> np.ndarray:
    wanted = filters.events or ()
    if absent := [name for name in wanted if name not in reading.event_names]:
        raise DataError(f"filters.events: no row is {', '.join(absent)}; {_held(reading, 'events')}")
    return np.isin(_given(reading.event), [reading.event_names.index(name) for name in wanted])


def _of_rating(reading: Reading, filters: FiltersConfig) -> np.ndarray:
    return np.greater_equal(_given(reading.rating), float(filters.minimum_rating or 0))


def _given(column: np.ndarray | None) -> np.ndarray:
    """A column that a filter needs; whoever reads the file asks for it (createrec.data.prepare)."""
    if column is None:
        raise ValueError("a filter needs a column that was not read")
    return column


def _from(reading: Reading, filters: FiltersConfig, name: str) -> np.ndarray:
    """Mask of the rows at the date of the setting `name`, or later."""
    time = reading.interactions.time
    return np.greater_equal(time, _moment(getattr(filters, name), name) * per_second(time))


def _in_core(reading: Reading, filters: FiltersConfig) -> np.ndarray:
    found = reading.interactions
    return core(found.user, found.item, filters.user_core, filters.item_core)


# In the order in which they apply; the two cores are one filter.
_MASKS: Mapping[str, Callable[[Reading, FiltersConfig], np.ndarray]] = {
    "events": _of_events,
    "minimum_rating": _of_rating,
    "since": lambda reading, filters: _from(reading, filters, "since"),
    "before": lambda reading, filters: ~_from(reading, filters, "before"),
    "first_of_repeats": lambda reading, filters: first_rows(reading.interactions),
    "user_core": _in_core,
    "item_core": _in_core,
}


def _moment(text: str, name: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"filters.{name}: {text} is no date; expected for instance 2020-01-31") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _held(reading: Reading, name: str) -> str:
    """What the data hold, for a message."""
    time = reading.interactions.time
    if name == "events":
        return f"the file has {', '.join(reading.event_names[:10])}"
    if name == "minimum_rating":
        return f"ratings lie between {_given(reading.rating).min():g} and {_given(reading.rating).max():g}"
    if name in ("since", "before"):
        return f"times lie between {shown_time(time.min(), time)} and {shown_time(time.max(), time)}"
    return "lower it, or leave it out"
