"""The inputs of `tests/cases`: each is read as it is meant, or refused with the setting that reads it."""

from pathlib import Path

import pytest

from createrec.config import FileConfig
from createrec.errors import DataError
from createrec.readers.catalogue import read

CASES = Path(__file__).parents[2] / "cases"
BY_NUMBER = {"user": 1, "item": 2, "time": 4}
LISTENS = {"user": 1, "time": 2, "item": 5}


@pytest.mark.parametrize(
    ("name", "settings", "counts", "first"),
    [
        ("id_bom.csv", {}, (320, 40, 30), ("1", "28", 1501760619)),
        ("t_float_frac.csv", {}, (320, 40, 30), ("1", "28", 1501760619_255_000)),
        ("t_all_same.csv", {}, (320, 40, 30), ("1", "28", 1500000000)),
        ("s_one_item.csv", {}, (250, 50, 1), ("0", "x", 1500000000)),
        ("s_repeat.csv", {}, (480, 40, 9), ("0", "0", 1500000000)),
        ("s_repeat300.csv", {}, (840, 60, 155), ("0", "68", 1500000000)),
        ("s_test_only.csv", {}, (400, 40, 10), ("0", "0", 1500000000)),
        ("u.data", BY_NUMBER, (320, 40, 30), ("2", "29", 1501760619)),
        ("u.data", {**BY_NUMBER, "separator": "blanks"}, (320, 40, 30), ("2", "29", 1501760619)),
        ("ratings.dat", {"reader": "movielens"}, (320, 40, 30), ("2", "29", 1501760619)),
        ("ratings.dat", {**BY_NUMBER, "separator": "::"}, (320, 40, 30), ("2", "29", 1501760619)),
        ("amazon23.jsonl", {"reader": "amazon_reviews"}, (320, 40, 30), ("AE1", "B28", 1501760619_000)),
        ("lastfm1k.tsv", {**LISTENS, "item": 6}, (320, 40, 30), ("user_000001", "Song 28", 1501760619)),
        ("lastfm1k.tsv", {**LISTENS, "empty_ids": "leave_out"}, (110, 38, 10), ("user_000012", "tr-0", 1502265638)),
        ("id_quote_swallow.tsv", {"quoting": "none"}, (240, 30, 9), ("u0", "a0", 1500000000)),
        ("id_quote_swallow.tsv", {"quoting": "across_lines"}, (190, 25, 9), ("u0", "a0", 1500000000)),
    ],
)
def test_read_as_the_settings_say(name, settings, counts, first):
    found = read(CASES / name, FileConfig(**settings)).interactions
    assert (len(found), found.users, found.items) == counts
    assert (found.user_ids[found.user[0]], found.item_ids[found.item[0]], found.time[0]) == first


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("id_quote_swallow.tsv", {}, r"line 42: a quoted field does not end on its line.*file\.quoting: none"),
        ("u.data", {}, "no column 'user', 'item', 'time'.*without a header: give column numbers"),
        ("ratings.dat", {}, "set file.reader to movielens"),
        ("amazon23.jsonl", {}, "JSON lines: set file.reader to json_lines, or to amazon_reviews"),
        ("lastfm1k.tsv", {}, "without a header: give column numbers"),
        ("lastfm1k.tsv", LISTENS, r"line 1: the item id is empty.*file\.empty_ids: leave_out"),
        ("id_bom.csv", BY_NUMBER | {"time": 3}, "holds 'time', no time; if the first line is a header"),
    ],
)
def test_refused_with_the_setting_that_helps(name, settings, message):
    with pytest.raises(DataError, match=message) as error:
        read(CASES / name, FileConfig(**settings))
    assert name in str(error.value)


def test_what_was_left_out_or_lies_inside_of_fields_is_counted():
    left = read(CASES / "lastfm1k.tsv", FileConfig(**LISTENS, empty_ids="leave_out"))
    assert (left.rows, left.empty_ids) == (320, 210)
    swallowed = read(CASES / "id_quote_swallow.tsv", FileConfig(quoting="across_lines"))
    assert swallowed.warnings == ("50 lines lie inside of quoted fields",)
