"""The account of what was read, and what is refused or warned of."""

import numpy as np
import pytest

from createrec.config import FileConfig
from createrec.data.account import duplicates, lines
from createrec.data.interactions import Interactions
from createrec.data.prepare import prepare
from createrec.data.times import shown_time, unit
from createrec.errors import DataError

NOW = 1_500_000_000


def made(tmp_path, rows, **file):
    path = tmp_path / "t.csv"
    path.write_text("user,item,time\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return prepare("mine", path, tmp_path / "out", file=FileConfig(**file))


def test_a_short_account(tmp_path):
    rows = [("a", "x", NOW), ("a", "x", NOW + 9), ("a", "x", NOW + 9), ("b", "", NOW), ("b", "y", NOW + 86_400)]
    description = made(tmp_path, rows, empty_ids="leave_out")
    assert description["read"] == {
        "rows": 5,
        "empty_ids": 1,
        "first_time": "2017-07-14 02:40:00",
        "last_time": "2017-07-15 02:40:00",
        "time_unit": "seconds",
        "repeats": 2,
        "repeats_at_same_time": 1,
    }
    assert lines(description) == [
        "mine: 2 users, 2 items, 4 rows",
        "  read: 5 rows, 1 left out for an empty id",
        "  times: 2017-07-14 02:40:00 to 2017-07-15 02:40:00 (in seconds)",
        "  repeats: 2 rows (50.0 %) are of an item that the user had before",
        "  warning: 1 rows repeat another row in user, item and time",
    ]


@pytest.mark.parametrize("factor", [10**3, 10**6, 10**9])
def test_mixed_units_are_refused(tmp_path, factor):
    rows = [("a", "x", NOW), ("a", "y", (NOW + 1) * factor), ("b", "x", NOW + 2)]
    with pytest.raises(
        DataError, match=f"times mix units: 2 look like seconds and 1 like.*{(NOW + 1) * factor}, in row 2"
    ):
        made(tmp_path, rows)
    assert not (tmp_path / "out").exists()


def test_a_clock_that_runs_through_both_ranges_is_no_mixture(tmp_path):
    assert made(tmp_path, [("a", f"i{n}", n * 10**9) for n in range(1, 200)])["interactions"] == 199


@pytest.mark.parametrize(
    ("times", "warning"),
    [
        ([NOW] * 3, "all rows have the same time"),
        ([0, NOW, NOW + 1], "1 rows have the time 0"),
        ([20170803, 20170804, 20181231], "dates written as numbers"),
        ([1, 2, 3], "too small for seconds since 1970"),
        ([NOW, 5_000_000_000, NOW], "times go up to 2128-06-11"),
    ],
)
def test_odd_times_are_told(tmp_path, times, warning):
    found = made(tmp_path, [(f"u{n}", "x", time) for n, time in enumerate(times)])["warnings"]
    assert len(found) == 1
    assert warning in found[0]


def test_usual_times_are_not(tmp_path):
    assert made(tmp_path, [("a", "x", NOW), ("b", "x", NOW + 1)])["warnings"] == []


def test_duplicates_as_by_hand():
    generator = np.random.default_rng(0)
    user, item, time = (generator.integers(0, 6, 200) for _ in range(3))
    names = np.array(list("abcdef"), dtype=object)
    pairs, triples = set(zip(user, item, strict=True)), set(zip(user, item, time, strict=True))
    assert duplicates(Interactions(user, item, time, names, names)) == (200 - len(pairs), 200 - len(triples))


def test_units_and_dates():
    for factor, name in ((1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")):
        time = np.array([NOW * factor])
        assert (unit(time), shown_time(time[0], time)) == (name, "2017-07-14 02:40:00")
    assert shown_time(9 * 10**18, np.array([9 * 10**18])).startswith("2255")
