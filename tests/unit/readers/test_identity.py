"""Ids that are written in two ways: refused, kept apart, or read as one, as the settings say."""

import pytest

from createrec.config import FileConfig
from createrec.errors import DataError
from createrec.readers.catalogue import read
from createrec.readers.identity import cleaned

HEADER = "user,item,time\n"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        *(("3", "3"), ("3.0", "3"), (" 3", "3"), ("3\u00a0", "3"), ("\ufeff3", "3"), ("a\u200bb", "ab")),
        *(("e\u0301", "é"), ("-3.00", "-3"), ("3.10", "3.10"), ("a.0", "a.0"), ("0", "0"), ("a b", "a b")),
        ("007", "007"),
    ],
)
def test_cleaned(name, clean):
    assert cleaned(name) == clean


@pytest.mark.parametrize("pair", [("3", "3.0"), ("3", " 3"), ("é", "e\u0301"), ("x", "x\u200b")])
@pytest.mark.parametrize("column", [0, 1])
def test_an_id_in_two_forms(tmp_path, pair, column):
    path = tmp_path / "t.csv"
    ids = [["a", "b"], ["a", "b"]]
    ids[column] = list(pair)
    path.write_text(HEADER + "".join(f"{ids[0][n]},{ids[1][n]},{n + 1}\n" for n in (0, 1, 0)), encoding="utf-8")
    with pytest.raises(DataError, match=f"1 {('user', 'item')[column]} ids are written in two ways.*file.ids"):
        read(path, FileConfig())
    apart = read(path, FileConfig(ids="as_written")).interactions
    assert (apart.users, apart.items) == (2, 2)
    one = read(path, FileConfig(ids="cleaned"))
    found = one.interactions
    assert ((found.user, found.item)[column].tolist(), (found.users, found.items)[column]) == ([0, 0, 0], 1)
    assert "written in two ways, and read as one" in one.warnings[0]


@pytest.mark.parametrize(
    ("ids", "warning"),
    [
        (("nan", "7"), "the user id 'nan' looks like a missing value"),
        (("NULL", "7"), "the user id 'NULL' looks like a missing value"),
        (("\\N", "7"), "looks like a missing value"),
        (("1.23E+11", "7"), "1 user ids look like rounded numbers ('1.23E+11')"),
        (("anna", "Anna"), "1 user ids differ from others in upper and lower case only"),
    ],
)
def test_odd_ids_are_told_and_kept(tmp_path, ids, warning):
    path = tmp_path / "t.csv"
    path.write_text(HEADER + f"{ids[0]},x,1\n{ids[1]},x,2\n")
    reading = read(path, FileConfig())
    assert list(reading.interactions.user_ids) == list(ids)
    assert len(reading.warnings) == 1
    assert warning in reading.warnings[0]


def test_zeros_at_the_front_are_told_and_kept(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "007,x,1\n7,x,2\n08,x,3\n")
    reading = read(path, FileConfig())
    assert reading.interactions.users == 3
    assert reading.warnings == ("1 user ids differ from others in zeros at the front only (as 007 and 7): kept apart",)
