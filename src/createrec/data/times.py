"""What a column of times counts: the readers keep numbers as they are, and their size tells their unit."""

from datetime import UTC, datetime

import numpy as np

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
LARGEST = 10**11
"""No time in seconds is so large (the year 5138), and none in a finer unit so small (1973 in milliseconds)."""


def unit(time: np.ndarray) -> str:
    """The unit of times [n] since 1970, by the largest one."""
    largest = int(time.max(initial=0))
    return next((name for name, factor in UNITS.items() if largest < LARGEST * factor), "nanoseconds")


def per_second(time: np.ndarray) -> int:
    """How many of its units are a second."""
    return UNITS[unit(time)]


def shown_time(moment: int, time: np.ndarray) -> str:
    """One of the times [n] as a date, or as a number where it is none that a person can mean."""
    seconds = int(moment) / per_second(time)
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
    except (ValueError, OverflowError, OSError):
        return f"{int(moment):,}"
