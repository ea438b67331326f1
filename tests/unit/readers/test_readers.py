"""Readers: right tables from files in their official layout, and one clear error for everything else."""

import csv
import datetime
import gzip
import json
import lzma
import math
import os
import random
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from createrec.config import READERS, FileConfig
from createrec.data.prepare import dataset_hash
from createrec.data.registry import dataset
from createrec.errors import DataError
from createrec.readers import catalogue, columns, delimited, streams

COLUMNS = {"user": "who", "item": "what", "time": "when"}
NUMBERS = {"user": 1, "item": 2, "time": 3}
HASHES = {
    "amazon-beauty": "470b460a9250e231e40d1e5ae0dcdbaf3fa49d18c2fda11e55312eb4b5ef7c96",
    "amazon-sports": "32ad99d97f469fef1479c53db24447dde895cfab51e83cf1a1d398c5f24cf5aa",
    "amazon-office": "6f0b25a0a09fbbb1640e0f4cfd8c32b79b4a876ec82f10bd7f8ca83fcb3ec54d",
    "ml-1m": "fc192b19863f61319faaf8206665f990043c93ede0766d724b88de1f293b0f1b",
}
MIRROR = os.environ.get("CREATEREC_MIRROR", "")


def read(reader, path, names=None, **settings):
    """The interactions of a file, and its label."""
    named = (names or {}) if reader in ("table", "json_lines", "amazon_reviews", "recbole") else {}
    reading = catalogue.read(path, FileConfig(reader=reader, **named, **settings))
    return reading.interactions, reading.label


def rows(interactions):
    """The table as (user id, item id, time), as a person would write it down."""
    ids = zip(interactions.user, interactions.item, interactions.time.tolist(), strict=True)
    return [(interactions.user_ids[user], interactions.item_ids[item], time) for user, item, time in ids]


# Official layouts


def reviews(path, lines):
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    return path


def review(user="A1", item="B1", time=1_400_000_000):
    return json.dumps({"reviewerID": user, "asin": item, "overall": 5.0, "unixReviewTime": time}).encode()


def movielens(path, ratings, flags=None, member="ml-1m/ratings.dat"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-1m/README", "about")
        archive.writestr(member, ratings)
        if flags is not None:
            archive.writestr("ml-1m/timestamp_is_exact.txt", flags)
    return path


def table(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def parquet(path, user=("a", "b"), item=("x", "y"), time=(1, 2), **options):
    pq.write_table(pa.table({"who": user, "what": item, "when": time}), path, **options)
    return path


def test_amazon_reviews(tmp_path):
    path = reviews(tmp_path / "r.json.gz", [review("B", "y", 5), review("A", "x", 3), b"", review(7, "y", 5)])
    interactions, label = read("amazon_reviews", path)
    assert rows(interactions) == [("B", "y", 5), ("A", "x", 3), ("7", "y", 5)]
    assert list(interactions.user_ids) == ["B", "A", "7"]  # in order of first appearance
    assert label == ""


def test_amazon_reviews_in_several_gzip_members(tmp_path):
    path = tmp_path / "r.json.gz"
    path.write_bytes(gzip.compress(review("A") + b"\n") + gzip.compress(review("B") + b"\n"))
    assert len(read("amazon_reviews", path)[0]) == 2


@pytest.mark.parametrize("member", ["ml-1m/ratings.dat", "ratings.dat"])
def test_movielens(tmp_path, member):
    path = movielens(tmp_path / "m.zip", b"2::9::5::978300760\r\n1::9::3::978302109\n", member=member)
    interactions, label = read("movielens", path)
    assert rows(interactions) == [("2", "9", 978300760), ("1", "9", 978302109)]
    assert label == ""


@pytest.mark.parametrize(
    ("flags", "label"),
    [("1\n1\n1\n", ""), ("1\n0\n1\n", "ML-1M, 33 % of timestamps interpolated")],
)
def test_movielens_rebuilt_says_so(tmp_path, flags, label):
    path = movielens(tmp_path / "m.zip", "1::1::5::1\n1::2::5::2\n1::3::5::3\n", flags)
    assert read("movielens", path)[1] == label


def test_yambda_likes(tmp_path):
    path = tmp_path / "likes.parquet"
    columns = {"uid": [7, 3, 7], "item_id": [10, 10, 2**32 - 1], "timestamp": [0, 5, 10]}
    arrays = {name: pa.array(values, pa.uint32()) for name, values in columns.items()}
    pq.write_table(pa.table({**arrays, "is_organic": pa.array([0, 1, 1], pa.uint8())}), path)
    assert rows(read("yambda_likes", path)[0]) == [("7", "10", 0), ("3", "10", 5), ("7", "4294967295", 10)]


# Anyone's table


@pytest.mark.parametrize(
    "text",
    [
        "who,what,when\na,x,1\nb,y,2\n",
        "who,what,when\r\na,x,1\r\n\r\nb,y,2",
        "\ufeffwho,what,when\na,x,1\nb,y,2\n",
        "who\twhat\twhen\na\tx\t1\nb\ty\t2\n",
        "when;other;what;who\n1;;x;a\n2;;y;b\n",
        '"who","what","when"\n"a","x","1"\n"b","y","2"\n',
        "who,what,when\na,x,1.0\nb,y,2e0\n",
        "who,what,when\na,x,1970-01-01T00:00:01Z\nb,y,1970-01-01 01:00:02+01:00\n",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_table_of_text(tmp_path, text, packed):
    path = table(tmp_path / "t.csv", gzip.compress(text.encode()) if packed else text)
    assert rows(read("table", path, COLUMNS)[0]) == [("a", "x", 1), ("b", "y", 2)]


def test_quoted_ids_keep_everything_inside_the_quotes(tmp_path):
    path = table(tmp_path / "t.csv", 'who,what,when\n"a,""b""\n\nc","é x",1\n')
    refused("table", path, "line 2: a quoted field does not end on its line", COLUMNS)
    assert rows(read("table", path, COLUMNS, quoting="across_lines")[0]) == [('a,"b"\n\nc', "é x", 1)]


def test_times_are_taken_as_they_are(tmp_path):
    path = table(tmp_path / "t.csv", "who,what,when\na,x,1700000000123456789\n")
    assert read("table", path, COLUMNS)[0].time.tolist() == [1700000000123456789]


def test_dates_finer_than_seconds_keep_their_order(tmp_path):
    path = table(tmp_path / "t.csv", "who,what,when\na,x,1970-01-01T00:00:01.5\na,y,1970-01-01T00:00:01.25\n")
    assert read("table", path, COLUMNS)[0].time.tolist() == [1_500_000, 1_250_000]


def test_long_ids_and_repeated_rows_are_kept(tmp_path):
    name = "u" * 1_000_000
    path = table(tmp_path / "t.csv", f"who,what,when\n{name},x,1\n{name},x,1\n")
    assert rows(read("table", path, COLUMNS)[0]) == [(name, "x", 1)] * 2


@pytest.mark.parametrize(
    "user",
    [
        pa.array(["b", "a", "b"]),
        pa.array(["b", "a", "b"], pa.large_string()),
        pa.DictionaryArray.from_arrays(pa.array([2, 0, 2]), pa.array(["a", "z", "b"])),
    ],
)
def test_parquet_ids(tmp_path, user):
    path = parquet(tmp_path / "t.parquet", user, pa.array([3, 2, 3]), [1, 2, 3], row_group_size=2)
    interactions = read("table", path, COLUMNS)[0]
    assert rows(interactions) == [("b", "3", 1), ("a", "2", 2), ("b", "3", 3)]
    assert list(interactions.user_ids) == ["b", "a"]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (pa.array([1.0, 2.0]), [1, 2]),
        (pa.array([1.25, 2.0]), [1_250_000, 2_000_000]),
        (pa.array(["1", "2"]), [1, 2]),
        (pa.array(["1970-01-01T00:00:01", "1970-01-01T00:00:02"]), [1, 2]),
        (pa.array([datetime.datetime(1970, 1, 1, 0, 0, 1)] * 2, pa.timestamp("ns")), [1, 1]),
        (pa.array([1_500, 2_000], pa.timestamp("ms")), [1_500, 2_000]),
        (pa.array([datetime.date(1970, 1, 2)] * 2), [86_400] * 2),
    ],
)
def test_parquet_times(tmp_path, time, seconds):
    path = parquet(tmp_path / "t.parquet", time=time)
    assert read("table", path, COLUMNS)[0].time.tolist() == seconds


# Bad input: each error names the file, and the line where there are lines


def refused(reader, path, match, names=None):
    before = sorted(path.parent.iterdir()) if path.parent.exists() else []
    with pytest.raises(DataError, match=match) as error:
        read(reader, path, names)
    assert str(path) in str(error.value)
    assert (sorted(path.parent.iterdir()) if path.parent.exists() else []) == before


@pytest.mark.parametrize("reader", READERS)
def test_missing_empty_and_other_things(tmp_path, reader):
    refused(reader, tmp_path / "nothing", "no such file", COLUMNS)
    (tmp_path / "empty").touch()
    refused(reader, tmp_path / "empty", "is empty", COLUMNS)
    refused(reader, tmp_path, "not a regular file", COLUMNS)
    os.mkfifo(tmp_path / "pipe")
    refused(reader, tmp_path / "pipe", "not a regular file", COLUMNS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"reviewerID": "A1", "asin": "B1"', "line 2: not JSON"),
        (b"{'reviewerID': 'A1', 'asin': 'B1', 'unixReviewTime': 1}", "line 2: not JSON"),
        (b"[" * 100_000, "line 2: not JSON"),
        (b"[1]", "line 2: expected a JSON object"),
        (b'{"reviewerID": "A1", "unixReviewTime": 1}', "line 2: no key 'asin'"),
        (b'{"reviewerID": "A1", "asin": "B1", "unixReviewTime": ' + b"9" * 5000 + b"}", "line 2: not JSON"),
        (review(user=""), "line 2: the user id is empty"),
        (review(item=" "), "line 2: the item id is empty"),
        (review(user=None), "line 2: reviewerID is None"),
        (review(item=1.5), r"line 2: asin is 1\.5"),
        (review(user="\ud800"), "line 2: the user id .* is not UTF-8 text"),
        (review(time=-1), "line 2: timestamp -1 is negative"),
        (review(time=None), "line 2: timestamp is missing"),
        (review(time=""), "line 2: timestamp is missing"),
        (review(time=math.nan), "line 2: timestamp nan is not a time"),
        (review(time=math.inf), "line 2: timestamp inf is not a time"),
        (review(time=True), "line 2: timestamp True is not a time"),
        (review(time="soon"), "line 2: timestamp 'soon' is not a time"),
        (review(time=2**63), "line 2: timestamp 9223372036854775808 does not fit"),
        (review(time="2020-01-01"), "line 2: timestamp '2020-01-01' is a date after numbers"),
        (review(user="é").decode("unicode_escape").encode("latin-1"), "line 2: not JSON"),
        (review().decode().encode("utf-16"), "line 2: not JSON"),
    ],
)
def test_bad_review(tmp_path, line, message):
    refused("amazon_reviews", reviews(tmp_path / "r.json.gz", [review(), line, review()]), message)


def test_broken_gzip(tmp_path):
    path = tmp_path / "r.json.gz"
    whole = gzip.compress(b"".join(review(time=second) + b"\n" for second in range(2000)))
    path.write_bytes(whole[:-2000])
    refused("amazon_reviews", path, r"after line \d+: not a gzip archive, or damaged")
    path.write_bytes(whole[:50] + bytes([whole[50] ^ 255]) + whole[51:])
    refused("amazon_reviews", path, "not a gzip archive, or damaged")
    path.write_bytes(b"<html>")
    refused("amazon_reviews", path, "line 1: not JSON")
    path.write_bytes(gzip.compress(b"\n\n"))
    refused("amazon_reviews", path, "no interactions")
    path.write_bytes(gzip.compress(b"\xff\xfe" + "{}".encode("utf-16-le")))
    refused("amazon_reviews", path, "UTF-16")


def test_gzip_bomb_is_stopped_early(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1 << 20)
    path = reviews(tmp_path / "r.json.gz", [review()] * 400_000)
    refused("amazon_reviews", path, "unpacks to more than 200 times its size")


def test_endless_line_is_stopped(tmp_path, monkeypatch):
    for module in (streams, delimited):
        monkeypatch.setattr(module, "MAX_LINE", 1000)
    refused("amazon_reviews", reviews(tmp_path / "r.json.gz", [review(), b" " * 2000]), "line 2: longer than 1,000")
    refused("table", table(tmp_path / "t.csv", "who" * 1000), "line 1: longer than 1,000", COLUMNS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1::2::3", "line 2: 3 fields; expected 4"),
        ("1::2::3::4::5", "line 2: 5 fields; expected 4"),
        ("1,2,3,4", "line 2: 1 fields; expected 4"),
        ("::2::3::4", "line 2: the user id is empty"),
        ("1::::3::4", "line 2: the item id is empty"),
        ("1::2::3::", "line 2: timestamp is missing"),
        ("1::2::3::-4", "line 2: timestamp '-4' is negative"),
        ("1::2::3::\xb2", "line 2: timestamp .* is not a time"),
    ],
)
def test_bad_rating(tmp_path, line, message):
    path = movielens(tmp_path / "m.zip", f"1::1::5::9\n{line}\n".encode("latin-1"))
    refused("movielens", path, message)


@pytest.mark.parametrize(
    ("flags", "message"), [("1\n", "has 1 flags for 2 ratings"), ("1\nx\n", "line 2: expected 0 or 1"), ("", "has 0")]
)
def test_bad_flags(tmp_path, flags, message):
    refused("movielens", movielens(tmp_path / "m.zip", "1::1::5::1\n1::2::5::2\n", flags), message)


def archive_with(path, *members):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # duplicate names
        for member, kind in members:
            archive.writestr(member, b"1::1::5::1\n", compress_type=kind)
    return path


def test_hostile_archives(tmp_path):
    path = tmp_path / "m.zip"
    stored = zipfile.ZIP_STORED
    refused("movielens", archive_with(path, ("ml-1m/movies.dat", stored)), r"no ratings\.dat")
    refused("movielens", archive_with(path, ("/etc/ratings.dat", stored)), "points out of the archive")
    refused("movielens", archive_with(path, ("../../ratings.dat", stored)), "points out of the archive")
    refused("movielens", archive_with(path, ("ml-1m/ratings.dat", stored), ("ml-1m/ratings.dat", stored)), "2 members")
    refused("movielens", archive_with(path, ("ml-1m/ratings.dat", zipfile.ZIP_LZMA)), "packed in an unusual way")
    link = zipfile.ZipInfo("ml-1m/ratings.dat")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused("movielens", archive_with(path, (link, stored)), "is a link")

    whole = movielens(path, "1::1::5::1\n" * 1000).read_bytes()
    path.write_bytes(whole[:-30])
    refused("movielens", path, "not a zip archive, or damaged")
    encrypted = bytearray(archive_with(path, ("ml-1m/ratings.dat", stored)).read_bytes())
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(encrypted)
    refused("movielens", path, "encrypted")
    wrong_sum = bytearray(archive_with(path, ("ml-1m/ratings.dat", stored)).read_bytes())
    wrong_sum[wrong_sum.index(b"1::1")] = ord("2")
    path.write_bytes(wrong_sum)
    refused("movielens", path, "Bad CRC-32")


def test_zip_bomb_is_stopped_early(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1 << 20)
    refused("movielens", movielens(tmp_path / "m.zip", "1::1::5::1\n" * 2_000_000), "unpacks to more than 200 times")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("who,what\na,x\n", r"line 1: no column 'when'; the file has \['who', 'what'\]"),
        ("who,what,when,when\na,x,1,1\n", "line 1: column 'when' appears 2 times"),
        ("who,what,when\n", "no interactions"),
        ("who,what,when\na,x,1\nb,y\n", "line 3: 2 fields; expected 3"),
        ("who,what,when\na,x,1\nb,y,2,3\n", "line 3: 4 fields; expected 3"),
        ('who,what,when\na,x,1\n"b,y,2\n', "line 3: a quoted field does not end on its line"),
        ('who,what,when\na,"x"y,1\n', "line 2: does not parse"),
        ("who,what,when\ra,x,1\r", "line 1: no column"),
        ("who,what,when\na,x,1\rb,y,2\n", "line 2: does not parse"),
        ("who,what,when\n,x,1\n", "line 2: the user id is empty"),
        ("who,what,when\na,x,\n", "line 2: timestamp is missing"),
        ("who,what,when\na,x,nan\n", "line 2: timestamp 'nan' is not a time"),
        ("who,what,when\na,x,-5\n", "line 2: timestamp '-5' is negative"),
        ("who,what,when\na,x,1969-12-31\n", "line 2: timestamp '1969-12-31' is negative"),
        ("who,what,when\na,x,1_000\n", "line 2: timestamp '1_000' is not a time"),
        ("who,what,when\na,x,2020-13-01\n", "line 2: timestamp '2020-13-01' is not a time"),
        ("who,what,when\na,x,1\nb,y,2020-01-01\n", "line 3: .* is a date after numbers"),
        ("who,what,when\na,x,2020-01-01\nb,y,1\n", "line 3: .* is a number after dates"),
        ("who,what,when\na,x,99999999999999999999\n", "line 2: .* does not fit 64 bits"),
        (b"who,what,when\na,\xe9,1\n", "line 2: the item id .* is not UTF-8 text"),
        (b"who,what,when,\xe9\na,x,1,1\n", "line 1: not UTF-8"),
        ("who,what,when\n".encode("utf-16"), "UTF-16"),
        (bytes(range(256)), "line 1: no column"),
    ],
)
def test_bad_table(tmp_path, text, message):
    refused("table", table(tmp_path / "t.csv", text), message, COLUMNS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": ["a", None]}, "row 2: who is empty"),
        ({"user": [1, None]}, "row 2: who is empty"),
        ({"item": ["x", ""]}, "row 2: what is empty"),
        ({"item": [1.0, 2.5]}, "row 2: what is not a whole number"),
        ({"item": [1.0, math.nan]}, "row 2: what is empty"),
        ({"item": [b"x", b"y"]}, "column 'what' holds binary"),
        ({"time": [1, None]}, "row 2: when is missing"),
        ({"time": [1, -1]}, "row 2: when is negative"),
        ({"time": [1.0, math.nan]}, "row 2: when is not a finite number"),
        ({"time": [1.0, -1.5]}, "row 2: when is negative"),
        ({"time": ["1", "x"]}, "row 2: timestamp 'x' is not a time"),
        ({"time": pa.array([1, 2**64 - 1], pa.uint64())}, "not in range"),
        ({"time": [True, False]}, "column 'when' holds bool"),
        ({"user": [], "item": [], "time": []}, "0 rows"),
    ],
)
def test_bad_parquet(tmp_path, columns, message):
    refused("table", parquet(tmp_path / "t.parquet", **columns), message, COLUMNS)


def test_broken_parquet(tmp_path):
    path = parquet(tmp_path / "t.parquet")
    refused("table", path, "no columns called 'where'", {**COLUMNS, "item": "where"})
    refused("yambda_likes", path, "no columns called 'uid'")
    path.write_bytes(path.read_bytes()[:-20])
    refused("table", path, "not a parquet file, or damaged", COLUMNS)
    path.write_bytes(b"who,what,when\na,b,1\n")
    refused("yambda_likes", path, "not a parquet file, or damaged")


def test_parquet_that_promises_billions_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MAX_ROWS", 10)
    refused("table", parquet(tmp_path / "t.parquet", ["a"] * 11, ["x"] * 11, [1] * 11), "11 rows", COLUMNS)
    text = "who,what,when\n" + "a,x,1\n" * 11
    refused("table", table(tmp_path / "t.csv", text), "line 12: more than 10 rows", COLUMNS)


# Any bytes at all end in a table or in our error


def survives(path, data, settings):
    path.write_bytes(data)
    try:
        interactions = catalogue.read(path, FileConfig(**settings), **asked(settings)).interactions
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(interactions) > 0
        assert interactions.time.min() >= 0
        assert interactions.user.max() < interactions.users


def valid_files(folder):
    """One small valid file for each way of reading: what it is, its path, its settings, and the read's own options."""
    numbers = list(range(60))
    pairs = [(f"u{n % 7}", f"i{n % 5}", n) for n in numbers]
    text = "".join(f"{user},{item},{n}\n" for user, item, n in pairs)
    header = "who,what,when\n"
    yambda = folder / "y"
    ids = pa.array(numbers, pa.uint32())
    pq.write_table(pa.table({"uid": ids, "item_id": ids, "timestamp": ids}), yambda)
    made = parquet(folder / "p", *zip(*pairs, strict=True))
    ratings = "".join(f"{n % 7}::{n % 5}::3::{n}\n" for n in numbers)
    with zipfile.ZipFile(folder / "z", "w") as archive:
        archive.writestr("mine.csv", header + text)
    newer = [{"user_id": user, "parent_asin": item, "asin": "x", "timestamp": n} for user, item, n in pairs]
    dated = "".join(f"{user}\t2020-01-01T00:00:{n:02}.5\t\t{item}\n" for user, item, n in pairs)
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    inter += "".join(f"{user}\t{item}\t4.5\t{n}.25\n" for user, item, n in pairs)
    quoted = 'who,what,when,"stars",kind\n' + "".join(f'"{user}","i""{item}",{n},4,view\n' for user, item, n in pairs)
    lines = "".join(f'"{user}","{item}\n",{n}\n' for user, item, n in pairs)
    numbered = {"user": 1, "item": 4, "time": 2, "empty_ids": "leave_out", "quoting": "none"}
    rated = {**COLUMNS, "rating": "stars", "event": "kind", "ids": "cleaned"}
    return [
        (
            "amazon_reviews, gzip",
            reviews(folder / "r", [review(*pair) for pair in pairs]),
            {"reader": "amazon_reviews"},
        ),
        ("movielens, zip", movielens(folder / "m", ratings, "1\n" * 60), {"reader": "movielens"}),
        ("yambda_likes, parquet", yambda, {"reader": "yambda_likes"}),
        ("table, parquet", made, COLUMNS),
        ("table, CSV", table(folder / "c", header + text), COLUMNS),
        ("table, gzipped CSV", table(folder / "g", gzip.compress((header + text).encode())), COLUMNS),
        ("table, zipped CSV", folder / "z", COLUMNS),
        ("table, xz of CSV", table(folder / "x", lzma.compress((header + text).encode())), COLUMNS),
        ("table, quoted CSV with ratings and events", table(folder / "q", quoted), rated),
        (
            "table, fields over several lines",
            table(folder / "l", header + lines),
            {**COLUMNS, "quoting": "across_lines"},
        ),
        ("table, no header, dates", table(folder / "t", dated), numbered),
        ("table, blanks", table(folder / "b", text.replace(",", "  ")), {**NUMBERS, "separator": "blanks"}),
        ("table, ::", table(folder / "d", text.replace(",", "::")), {**NUMBERS, "separator": "::"}),
        ("movielens, ratings.dat", table(folder / "e", ratings), {"reader": "movielens"}),
        ("amazon_reviews, 2023", table(folder / "n", "\n".join(map(json.dumps, newer))), {"reader": "amazon_reviews"}),
        ("recbole, .inter", table(folder / "i", inter), {"reader": "recbole", "rating": "rating"}),
    ]


def asked(settings):
    """What a filter on each column that the settings name would ask for."""
    return {name: name in settings for name in ("rating", "event")}


def mutated(data, random):
    """`data` with a few bytes flipped, cut out, repeated or replaced by extreme values."""
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        length = random.choice([1, 1, 2, 4, 8, 50])
        match random.randrange(5):
            case 0:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at : at + length] = random.choice([b"\xff", b"\x00", b"\x7f", b'"', b"\n"]) * length
            case 4:
                data[at : at + 4] = struct.pack("<i", random.choice([-1, 2**31 - 1, -(2**31), 1 << 20]))
    return bytes(data)


def test_mutated_files_end_in_a_table_or_an_error(tmp_path):
    chance = random.Random(0)
    for _, path, how in valid_files(tmp_path):
        whole = path.read_bytes()
        assert len(catalogue.read(path, FileConfig(**how), **asked(how)).interactions) == 60
        for _ in range(100):
            survives(tmp_path / "mutated", mutated(whole, chance), how)


def test_mutated_text_inside_a_sound_archive(tmp_path):
    chance = random.Random(1)
    line = review() + b"\n"
    for _ in range(300):
        spoilt = gzip.compress(mutated(line * 5, chance), compresslevel=1)
        survives(tmp_path / "r", spoilt, {"reader": "amazon_reviews"})
        movielens(tmp_path / "m", mutated(b"1::2::3::4\n" * 5, chance))
        survives(tmp_path / "m", (tmp_path / "m").read_bytes(), {"reader": "movielens"})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=300), text=st.text(max_size=100), time=st.text(max_size=30))
def test_any_bytes_and_any_text(tmp_path, data, text, time):
    for reader in READERS:
        survives(tmp_path / "any", data, {"reader": reader})
    for how in (COLUMNS, {**COLUMNS, "quoting": "across_lines"}, {**COLUMNS, "quoting": "none"}):
        survives(tmp_path / "any", b"who,what,when\na,x,1\n" + data, how)
        survives(tmp_path / "any", f"who,what,when\n{text},x,{time}\n".encode("utf-8", "replace"), how)
    survives(tmp_path / "any", gzip.compress(review(text, "B", time)), {"reader": "amazon_reviews"})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows_in=st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1).filter(str.strip)] * 2,
            st.integers(0, 2**63 - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_way_of_writing_a_table_reads_back_the_same(tmp_path, rows_in):
    path = tmp_path / "t"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("who", "what", "when"), *rows_in])
    assert rows(read("table", path, COLUMNS, quoting="across_lines", ids="as_written")[0]) == rows_in
    parquet(path, *(pa.array(column) for column in zip(*rows_in, strict=True)))
    assert rows(read("table", path, COLUMNS, ids="as_written")[0]) == rows_in
    reviews(path, [review(*row) for row in rows_in])
    assert rows(read("amazon_reviews", path, ids="as_written")[0]) == rows_in


# The real files


@pytest.mark.skipif(not MIRROR, reason="CREATEREC_MIRROR does not name a folder with the real files")
@pytest.mark.parametrize("name", ["amazon-beauty", "amazon-sports", "amazon-office", "ml-1m"])
def test_counts_of_table_1(name):
    entry = dataset(name)
    interactions, _ = read(entry.reader, Path(MIRROR) / entry.file)
    assert dataset_hash(interactions) == HASHES[name]  # of the published records
    assert (interactions.users, interactions.items, len(interactions)) == (
        entry.counts.users,
        entry.counts.items,
        entry.counts.interactions,
    )
    pairs = interactions.user * interactions.items + interactions.item
    assert len(np.unique(pairs)) == len(pairs)  # protocol: no user repeats an item in these files
