"""Delimited text: the fast way gives what the careful way gives, and every layout reads as it is written."""

import bz2
import gzip
import lzma
import random
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from createrec.config import FileConfig
from createrec.errors import ConfigError, DataError
from createrec.readers import columns, delimited, streams
from createrec.readers.catalogue import read

HEADER = "user,item,time\n"


def rows(path, *, rating=False, event=False, **settings):
    reading = read(path, FileConfig(**settings), rating=rating, event=event)
    found = reading.interactions
    shown = [found.user_ids[found.user].tolist(), found.item_ids[found.item].tolist(), found.time.tolist()]
    shown += [reading.rating.tolist()] if rating else []
    shown += [[reading.event_names[place] for place in reading.event]] if event else []
    return list(zip(*shown, strict=True))


def text(path, content):
    path.write_text(content, encoding="utf-8", newline="")
    return path


def some_lines(kind, chance):
    """Thirty rows as people write them, with a header."""
    end = chance.choice(["\n", "\r\n"])
    mark = {"whole": "{}", "half": "{}.5", "date": "2020-01-01 00:00:{:02}", "zone": "2020-01-01T00:00:{:02}+01:00"}[
        kind
    ]
    lines = [HEADER.strip()]
    for number in range(30):
        fields = [f"u{number % 4}", chance.choice(["é", "a b", "x", "007"]), mark.format(number)]
        if chance.random() < 0.3:
            fields = [f'"{field}"' for field in fields]
        if chance.random() < 0.2:
            fields[1] = '"say ""x"", y"'
        lines.append(",".join(fields))
        if chance.random() < 0.1:
            lines.append("")
    return end.join(lines) + (end if chance.random() < 0.5 else "")


@pytest.mark.parametrize("kind", ["whole", "half", "date", "zone"])
def test_the_fast_way_reads_what_the_careful_way_reads(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(streams, "BLOCK", 200)  # several blocks to a file
    chance = random.Random(kind)
    for _ in range(20):
        path = text(tmp_path / "t.csv", some_lines(kind, chance))
        with monkeypatch.context() as careful:
            careful.setattr(delimited, "_add_fast", lambda *_: False)
            expected = rows(path)
        assert rows(path) == expected


def test_plain_blocks_take_the_fast_way(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_add_slowly", lambda *_: pytest.fail("the careful way was taken"))
    for kind in ("whole", "half", "date", "zone"):
        assert len(rows(text(tmp_path / "t.csv", some_lines(kind, random.Random(kind))))) == 30


@pytest.mark.parametrize(
    ("separator", "content"),
    [
        (None, "a\tx\t1\nb\ty\t2\n"),
        (None, "a,x,1\nb,y,2"),
        ("::", "a::x::1\nb::y::2\n"),
        ("blanks", "  a x   1\nb\ty 2  \r\n"),
        (" - ", "a - x - 1\nb - y - 2\n"),
    ],
)
def test_without_a_header(tmp_path, separator, content):
    path = text(tmp_path / "t", content)
    assert rows(path, user=1, item=2, time=3, separator=separator) == [("a", "x", 1), ("b", "y", 2)]


def test_too_few_fields_for_the_numbers(tmp_path):
    with pytest.raises(DataError, match="line 1: 3 fields; expected 4 or more"):
        rows(text(tmp_path / "t", "a,x,1\n"), user=1, item=2, time=4)


@pytest.mark.parametrize(
    "settings",
    [
        {"user": 1},
        {"user": 1, "item": 2, "time": "when"},
        {"user": 0, "item": 1, "time": 2},
        {"user": "a", "item": "a"},
        {"reader": "recbole", "user": 1, "item": 2, "time": 3},
        {"reader": "movielens", "user": "a"},
        {"reader": "excel"},
    ],
)
def test_settings_that_fit_nothing(settings):
    with pytest.raises(ValidationError):
        FileConfig(**settings)


def test_numbers_for_a_parquet_file(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"user": ["a"], "item": ["x"], "time": [1]}), tmp_path / "t")
    with pytest.raises(ConfigError, match="give names, not numbers"):
        rows(tmp_path / "t", user=1, item=2, time=3)


def test_fractions_keep_their_order_and_whole_numbers_stay(tmp_path):
    assert rows(text(tmp_path / "t", HEADER + "a,x,1.5\na,y,1\n")) == [("a", "x", 1_500_000), ("a", "y", 1_000_000)]
    assert rows(text(tmp_path / "t", HEADER + "a,x,1.0\na,y,2\n")) == [("a", "x", 1), ("a", "y", 2)]


def test_a_late_fraction_scales_all_times(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 64)
    path = text(tmp_path / "t", HEADER + "a,x,1500000000\n" * 20 + "a,x,1500000000.5\n")
    assert {row[2] for row in rows(path)} == {1_500_000_000_000_000, 1_500_000_000_500_000}


def test_an_error_in_a_later_block_names_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 64)
    path = text(tmp_path / "t", HEADER + "a,x,1\n" * 40 + "\na,x,soon\n")
    with pytest.raises(DataError, match="line 43: timestamp 'soon' is not a time"):
        rows(path)


def test_ratings_and_events_are_read_where_they_are_asked_for(tmp_path):
    path = text(tmp_path / "t", "user,item,time,stars,kind\na,x,1,4.5,view\nb,y,2,3,buy\n")
    found = read(path, FileConfig(rating="stars", event="kind"), rating=True, event=True)
    assert (found.rating.tolist(), found.event.tolist(), found.event_names) == ([4.5, 3.0], [0, 1], ("view", "buy"))
    assert read(path, FileConfig(rating="stars")).rating is None
    with pytest.raises(ConfigError, match=r"filters\.minimum_rating: needs file\.rating"):
        read(path, FileConfig(), rating=True)


@pytest.mark.parametrize("value", ["", "good", "nan", "inf"])
def test_a_rating_that_is_none(tmp_path, value):
    path = text(tmp_path / "t", f"user,item,time,stars\na,x,1,4\nb,y,2,{value}\n")
    with pytest.raises(DataError, match=r"line 3: rating .* is not a number"):
        read(path, FileConfig(rating="stars"), rating=True)


def zipped(content):
    from io import BytesIO

    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("__MACOSX/._mine.csv", b"noise")
        archive.writestr("folder/mine.csv", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zipped, lambda data: pa.compress(data, "zstd", asbytes=True)],
)
def test_archives_of_one_file(tmp_path, pack):
    path = tmp_path / "t"
    path.write_bytes(pack((HEADER + "a,x,1\nb,y,2\n").encode()))
    assert rows(path) == [("a", "x", 1), ("b", "y", 2)]


def test_a_mark_that_comes_alone_ends_nothing(tmp_path):
    (tmp_path / "t").write_bytes(gzip.compress(b"\xef\xbb\xbf") + gzip.compress((HEADER + "a,x,1\n").encode()))
    assert rows(tmp_path / "t") == [("a", "x", 1)]


def test_an_archive_of_two_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t", "w") as archive:
        archive.writestr("a.csv", HEADER)
        archive.writestr("b.csv", HEADER)
    with pytest.raises(DataError, match=r"2 files in the archive .*expected one"):
        rows(tmp_path / "t")


def test_ids_of_rows_that_were_left_out_leave_with_them(tmp_path):
    path = text(tmp_path / "t", HEADER + "a,,1\nb,x,2\n ,y,3\nc,x,4\n")
    found = read(path, FileConfig(empty_ids="leave_out")).interactions
    assert (list(found.user_ids), list(found.item_ids), found.user.tolist()) == (["b", "c"], ["x"], [0, 1])


def test_recbole(tmp_path):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    path = text(tmp_path / "t.inter", header + "196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    assert rows(path, reader="recbole") == [("196", "242", 881250949), ("186", "302", 891717742)]
    assert read(path, FileConfig(reader="recbole"), rating=True).rating.tolist() == [3.0, 3.0]
    with pytest.raises(DataError, match=r"set file.reader to recbole"):
        rows(path)


def test_json_lines(tmp_path):
    path = text(
        tmp_path / "t", '{"u": "a", "i": 7, "when": "2020-01-01"}\n{"u": "b", "i": null, "when": "2020-01-02"}\n'
    )
    keys = {"reader": "json_lines", "user": "u", "item": "i", "time": "when"}
    assert rows(path, **keys, empty_ids="leave_out") == [("a", "7", 1_577_836_800)]
    with pytest.raises(DataError, match="line 2: i is None"):
        rows(path, **keys)


def test_amazon_reviews_of_2018_and_2023(tmp_path):
    old = text(tmp_path / "o", '{"reviewerID": "A", "asin": "B", "unixReviewTime": 5, "overall": 4}\n')
    assert rows(old, rating=True, reader="amazon_reviews") == [("A", "B", 5, 4.0)]
    new = '{"user_id": "A", "asin": "C", "parent_asin": "B", "timestamp": 5000, "rating": 2}\n'
    path = text(tmp_path / "n", new)
    assert rows(path, rating=True, reader="amazon_reviews") == [("A", "B", 5000, 2.0)]
    assert rows(path, reader="amazon_reviews", item="asin") == [("A", "C", 5000)]
    with pytest.raises(DataError, match=r"line 1: no key 'reviewerID'; expected reviewerID with asin"):
        rows(text(tmp_path / "x", '{"user": "A"}\n'), reader="amazon_reviews")


def test_too_many_rows_are_refused_at_their_line(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MAX_ROWS", 10)
    with pytest.raises(DataError, match="line 12: more than 10 rows"):
        rows(text(tmp_path / "t", HEADER + "a,x,1\n" * 11))


def test_rows_keep_the_order_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK", 100)
    order = np.random.default_rng(0).integers(0, 50, 300).tolist()
    path = text(tmp_path / "t", HEADER + "".join(f"u{user},i{user % 7},{at}\n" for at, user in enumerate(order)))
    found = read(path, FileConfig()).interactions
    assert found.user_ids[found.user].tolist() == [f"u{user}" for user in order]
    assert list(found.user_ids) == list(dict.fromkeys(f"u{user}" for user in order))
