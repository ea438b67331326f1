"""Preparation: both files or none, counts against Table 1, labels carried on."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from createrec.config import FileConfig
from createrec.data import prepare as module
from createrec.data.download import Fetched
from createrec.data.interactions import Interactions
from createrec.data.prepare import dataset_hash, prepare
from createrec.data.registry import Counts
from createrec.errors import DataError

FILE = FileConfig(user="u", item="i", time="t")
TEXT = "u,i,t\nb,x,3\na,x,1\nb,y,2\n"
COUNTS = Counts(users=2, items=2, interactions=3)


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(TEXT)
    return path


def test_own_file(raw, tmp_path):
    output = tmp_path / "out" / "own"
    description = prepare("own", raw, output, file=FILE)
    assert sorted(path.name for path in output.iterdir()) == ["dataset.json", "interactions.parquet"]
    assert json.loads((output / "dataset.json").read_text()) == description
    assert description == {
        "dataset": "own",
        "label": "",
        "source": {"file": "own.csv", "origin": "own file", "sha256": hashlib.sha256(TEXT.encode()).hexdigest()},
        "made_from": {},
        "users": 2,
        "items": 2,
        "interactions": 3,
        "dataset_hash": description["dataset_hash"],
        "read": {
            "rows": 3,
            "empty_ids": 0,
            "first_time": "1970-01-01 00:00:01",
            "last_time": "1970-01-01 00:00:03",
            "time_unit": "seconds",
            "repeats": 0,
            "repeats_at_same_time": 0,
        },
        "filters": [],
        "warnings": ["times are too small for seconds since 1970: only their order and distances are used"],
        "expected": None,
    }
    loaded = Interactions.load(output / "interactions.parquet")
    assert list(loaded.user_ids) == ["b", "a"]
    assert (loaded.user.tolist(), loaded.item.tolist(), loaded.time.tolist()) == ([0, 1, 0], [0, 0, 1], [3, 1, 2])
    assert dataset_hash(loaded) == description["dataset_hash"]


def test_fetched_file_keeps_its_origin_and_label(raw, tmp_path):
    fetched = Fetched(raw, "0" * 64, "mirror", "rebuilt")
    description = prepare("own", raw, tmp_path, file=FILE, fetched=fetched, expected=COUNTS)
    assert description["source"] == {"file": "own.csv", "origin": "mirror", "sha256": "0" * 64}
    assert description["label"] == "rebuilt"
    assert description["expected"] == {"users": 2, "items": 2, "interactions": 3}


def test_other_counts_are_an_error_that_shows_both(raw, tmp_path):
    expected = Counts(users=2, items=3, interactions=3)
    with pytest.raises(DataError) as error:
        prepare("own", raw, tmp_path / "out", file=FILE, expected=expected)
    assert "2 users, 2 items, 3 interactions; expected 2 users, 3 items, 3 interactions" in str(error.value)
    assert str(raw) in str(error.value)
    assert not (tmp_path / "out").exists()


def test_other_counts_can_be_allowed_and_are_labelled(raw, tmp_path):
    expected = Counts(users=2, items=3, interactions=3)
    description = prepare("own", raw, tmp_path, file=FILE, expected=expected, allow_count_mismatch=True)
    assert description["label"] == "not the counts of Table 1 (2 users, 3 items, 3 interactions)"


def test_bad_file_leaves_nothing(raw, tmp_path):
    raw.write_text(TEXT + "c,z,-1\n")
    with pytest.raises(DataError, match=r"own\.csv, line 5"):
        prepare("own", raw, tmp_path / "out", file=FILE)
    assert not (tmp_path / "out").exists()


def test_failure_between_the_two_files_leaves_neither(raw, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    output = tmp_path / "out"
    prepare("own", raw, output, file=FILE)
    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        prepare("own", raw, output, file=FILE)
    assert list(output.iterdir()) == []


def test_hash_is_of_the_content_alone():
    def made(user=(0, 1, 0), time=(3, 1, 2), names=("b", "a")):
        columns = (np.array(column, dtype=np.int64) for column in (user, (0, 0, 1), time))
        return Interactions(*columns, np.array(names, dtype=object), np.array(["x", "y"], dtype=object))

    assert dataset_hash(made()) == dataset_hash(made())
    others = [made(user=(1, 0, 0)), made(time=(3, 2, 1)), made(names=("ba", "")), made(names=("c", "a"))]
    assert len({dataset_hash(other) for other in [made(), *others]}) == 5


def test_a_damaged_prepared_file_is_explained(tmp_path):
    path = Path(tmp_path / "interactions.parquet")
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="not a prepared dataset"):
        Interactions.load(path)
