"""A short account of what was read, and what looks odd in it: what a person would want to know before training."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from createrec.data.interactions import Interactions
from createrec.data.times import LARGEST, UNITS, per_second, shown_time, unit
from createrec.errors import DataError
from createrec.readers.columns import Reading

PART_ROWS = 1 << 20
"""Rows whose pairs of user and item are looked at together."""
YEAR_1973, YEAR_2100 = 10**8, 4_102_444_800  # in seconds


def refuse_mixed_units(interactions: Interactions, path: object) -> None:
    """Times in seconds beside times in milliseconds put rows centuries apart, and nothing else shows it.

    One clock would also have times between the two ranges; a mixture has none.

    Raises:
        DataError: times of two units, and none between them.
    """
    time = interactions.time
    coarse = (time >= YEAR_1973) & (time <= YEAR_2100)
    fine = time >= LARGEST
    if coarse.any() and fine.any() and (coarse | fine | (time < YEAR_1973)).all():
        rare = coarse if coarse.sum() <= fine.sum() else fine
        row = int(np.flatnonzero(rare)[0])
        raise DataError(
            f"{path}: times mix units: {int(coarse.sum()):,} look like seconds and {int(fine.sum()):,} like "
            f"{unit(time)} since 1970; the first of the fewer ones is {int(time[row])}, in row {row + 1}; "
            "write all of them in one unit"
        )


def duplicates(interactions: Interactions) -> tuple[int, int]:
    """Rows that repeat an earlier row of their user and item, and those of them at the same time too.

    Users are looked at in parts, so that a long table is never held in memory twice.
    """
    repeats = same_time = 0
    user = interactions.user
    bounds = np.linspace(0, interactions.users, len(interactions) // PART_ROWS + 2).astype(np.int64)
    for low, high in pairwise(bounds):
        rows = np.flatnonzero((user >= low) & (user < high))
        pair = user[rows] * interactions.items + interactions.item[rows]
        ordered = np.sort(pair)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(repeated):
            continue
        place = np.minimum(np.searchsorted(repeated, pair), len(repeated) - 1)
        again = repeated[place] == pair
        pair, time = pair[again], interactions.time[rows][again]
        order = np.lexsort((time, pair))
        repeats += len(repeated)
        same_time += int(np.count_nonzero((np.diff(pair[order]) == 0) & (np.diff(time[order]) == 0)))
    return repeats, same_time


def account(reading: Reading, left: Interactions) -> dict[str, Any]:
    """What was read: counts of the file, and the range of times and the repeats among the rows that are left."""
    repeats, same_time = duplicates(left)
    return {
        "rows": reading.rows,
        "empty_ids": reading.empty_ids,
        "first_time": shown_time(left.time.min(), left.time),
        "last_time": shown_time(left.time.max(), left.time),
        "time_unit": unit(left.time),
        "repeats": repeats,
        "repeats_at_same_time": same_time,
    }


def oddities(left: Interactions, facts: Mapping[str, Any]) -> list[str]:
    """What looks odd, each in one sentence."""
    time, found = left.time, []
    second = per_second(time)
    first, last = int(time.min()), int(time.max())
    zero = int(np.count_nonzero(time == 0))
    if first == last:
        found.append("all rows have the same time, so that a split by time has nothing to cut")
    elif zero and last >= YEAR_1973 * second:
        found.append(f"{zero:,} rows have the time 0, as missing times often do: they count as the oldest")
    elif _are_days(time):
        found.append("times look like dates written as numbers (20170803): write them as dates, 2017-08-03")
    elif last < YEAR_1973 * second:
        found.append("times are too small for seconds since 1970: only their order and distances are used")
    if last > YEAR_2100 * UNITS[unit(time)]:
        found.append(f"times go up to {shown_time(last, time)}")
    if facts["repeats_at_same_time"]:
        found.append(f"{facts['repeats_at_same_time']:,} rows repeat another row in user, item and time")
    return found


def _are_days(time: np.ndarray) -> bool:
    if time.min() < 19000101 or time.max() > 21001231:
        return False
    month, day = time // 100 % 100, time % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def lines(description: Mapping[str, Any]) -> list[str]:
    """What `dataset.json` says, for a person."""
    counts = f"{description['users']:,} users, {description['items']:,} items, {description['interactions']:,} rows"
    label = f" [{description['label']}]" if description["label"] else ""
    shown = [f"{description['dataset']}: {counts}{label}"]
    read = description["read"]
    if read["rows"]:
        left_out = f", {read['empty_ids']:,} left out for an empty id" if read["empty_ids"] else ""
        shown.append(f"  read: {read['rows']:,} rows{left_out}")
    shown += map(filter_line, description["filters"])
    shown.append(f"  times: {read['first_time']} to {read['last_time']} (in {read['time_unit']})")
    share = 100 * read["repeats"] / description["interactions"]
    shown.append(f"  repeats: {read['repeats']:,} rows ({share:.1f} %) are of an item that the user had before")
    shown += map(warning_line, description["warnings"])
    return shown


def filter_line(step: Mapping[str, Any]) -> str:
    """What one filter took, for a person."""
    value = step["value"]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"  filter {step['filter']} = {text}: {step['rows']:,} rows left out"


def warning_line(warning: str) -> str:
    return f"  warning: {warning}"
