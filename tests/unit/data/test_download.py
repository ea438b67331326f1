"""Downloads from a server on this machine that misbehaves in every way a real one can."""

import contextlib
import hashlib
import http.server
import json
import multiprocessing
import threading
import time
from dataclasses import dataclass, field, replace
from email.utils import formatdate

import pytest

from createrec.data import download
from createrec.data.download import fetch, source_path
from createrec.data.registry import Counts, Entry
from createrec.errors import DownloadError

FILE = "reviews_Made_5.json.gz"
BODY = b"\x1f\x8b" + bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Served:
    """What the server does with one path."""

    body: bytes = BODY
    cuts: list[int] = field(default_factory=list)
    """Bytes sent before the connection is cut, for the first requests."""
    statuses: list[int] = field(default_factory=list)
    """Answers of the first requests; 0 hangs."""
    retry_after: str = ""
    ranges: bool = True
    etag: str = '"one"'
    length: int | None = None
    """A false Content-Length."""
    endless: bool = False
    slow: bool = False
    requests: list[dict] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        served = self.server.paths.get(self.path.lstrip("/"))
        self.close_connection = True
        if served is None:
            return self.answer(404)
        served.requests.append(dict(self.headers))
        if served.statuses:
            status = served.statuses.pop(0)
            if status == 0:
                return self.server.hang.wait(10)
            return self.answer(status, {"Retry-After": served.retry_after} if served.retry_after else {})
        start = 0
        wanted = self.headers.get("Range", "")
        if served.ranges and wanted and self.headers.get("If-Range", served.etag) == served.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(served.body):
            return self.answer(416)
        self.send_body(served, start)

    def send_body(self, served, start):
        body = served.body[start:]
        headers = {"ETag": served.etag} if served.etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(served.body) - 1}/{len(served.body)}"
        if not served.endless:
            headers["Content-Length"] = str(len(body) if served.length is None else served.length)
        self.answer(206 if start else 200, headers)
        if served.cuts:
            body = body[: served.cuts.pop(0)]
        with contextlib.suppress(OSError):
            self.wfile.write(body[:1000])
            if served.slow:
                time.sleep(0.3)
            self.wfile.write(body[1000:])
            while served.endless:
                self.wfile.write(bytes(1 << 16))

    def answer(self, status, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status >= 400:
            self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    """The server, and a downloader in a hurry."""
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(download, "MAX_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", (1.0, 0.5))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.paths = {FILE: Served()}
    httpd.hang = threading.Event()
    httpd.address = f"http://127.0.0.1:{httpd.server_port}"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield httpd
    httpd.hang.set()
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def entry(server):
    return Entry(
        dataset="made",
        file=FILE,
        url=f"{server.address}/{FILE}",
        archive_url="",
        sha256=SHA256,
        bytes=len(BODY),
        licence="",
        counts=Counts(1, 1, 1),
        reader="amazon_reviews",
        added="2026-11-21",
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_plain_download_is_recorded(server, entry, tmp_path):
    got = fetch(entry, tmp_path / "raw")
    assert got.path.read_bytes() == BODY
    assert (got.sha256, got.origin, got.label) == (SHA256, "official", "")
    assert names(tmp_path / "raw") == [FILE, f"{FILE}.source.json"]
    recorded = json.loads(source_path(got.path).read_text())
    assert recorded == {"path": FILE, "sha256": SHA256, "origin": "official", "label": ""}
    assert fetch(entry, tmp_path / "raw") == got
    assert len(server.paths[FILE].requests) == 1


def test_unknown_checksum_is_recorded_as_it_came(entry, tmp_path):
    assert fetch(replace(entry, sha256="", bytes=None), tmp_path).sha256 == SHA256


def test_later_downloads_are_held_to_the_checksum_of_the_first_where_none_is_published(server, entry, tmp_path):
    entry = replace(entry, sha256="", bytes=None)
    fetch(entry, tmp_path).path.unlink()
    server.paths[FILE].body = BODY + b"."
    with pytest.raises(DownloadError, match=f"has that of the first download, {SHA256}; delete it to accept another"):
        fetch(entry, tmp_path)
    assert names(tmp_path) == [f"{FILE}.source.json"]
    source_path(tmp_path / FILE).unlink()
    assert fetch(entry, tmp_path).path.read_bytes() == BODY + b"."


def test_a_mirrors_checksum_says_nothing_of_the_official_file(server, entry, tmp_path):
    entry = replace(entry, sha256="", bytes=None)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / FILE).write_bytes(BODY + b"mirrored")
    (mirror / "SHA256SUMS").write_text(f"{hashlib.sha256(BODY + b'mirrored').hexdigest()}  {FILE}\n")
    fetch(entry, tmp_path / "raw", str(mirror)).path.unlink()
    assert fetch(entry, tmp_path / "raw").path.read_bytes() == BODY


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_cut_connections_are_continued(server, entry, tmp_path, etag):
    served = server.paths[FILE] = Served(cuts=[100_000, 200_000], etag=etag)
    assert fetch(entry, tmp_path).path.read_bytes() == BODY
    assert [request.get("Range") for request in served.requests] == [None, "bytes=100000-", "bytes=300000-"]
    assert names(tmp_path) == [FILE, f"{FILE}.source.json"]


def test_a_later_process_continues(server, entry, tmp_path, monkeypatch):
    server.paths[FILE].cuts = [100_000]
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError, match="run again to go on"):
        fetch(entry, tmp_path)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 100_000
    assert fetch(entry, tmp_path).path.read_bytes() == BODY
    assert server.paths[FILE].requests[1]["Range"] == "bytes=100000-"


def test_a_part_of_another_version_is_not_continued(server, entry, tmp_path, monkeypatch):
    other = b"\x1f\x8b" + bytes(len(BODY) - 2)
    server.paths[FILE] = Served(body=other, cuts=[100_000], etag='"other"')
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError):
        fetch(entry, tmp_path)
    server.paths[FILE] = Served()
    assert fetch(entry, tmp_path).path.read_bytes() == BODY


def test_a_wrong_continuation_is_noticed_and_started_over(server, entry, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(bytes(1000))
    (tmp_path / f"{FILE}.part.json").write_text(json.dumps({"address": entry.url, "validator": ""}))
    assert fetch(entry, tmp_path).path.read_bytes() == BODY
    assert [request.get("Range") for request in server.paths[FILE].requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("extra", [0, 1000])
def test_a_part_as_long_as_the_file_or_longer_starts_over(entry, tmp_path, extra):
    (tmp_path / f"{FILE}.part").write_bytes(bytes(len(BODY) + extra))
    (tmp_path / f"{FILE}.part.json").write_text(json.dumps({"address": entry.url, "validator": '"one"'}))
    assert fetch(entry, tmp_path).path.read_bytes() == BODY


def test_a_server_that_ignores_ranges_starts_over(server, entry, tmp_path):
    server.paths[FILE] = Served(cuts=[100_000], ranges=False)
    assert fetch(entry, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize("statuses", [[500], [503, 502], [429], [408], [0]])
def test_passing_trouble_is_waited_out(server, entry, tmp_path, statuses):
    server.paths[FILE].statuses = list(statuses)
    assert fetch(entry, tmp_path).path.read_bytes() == BODY
    assert len(server.paths[FILE].requests) == len(statuses) + 1


@pytest.mark.parametrize(("value", "low", "high"), [("7", 7, 7), ("in an hour", 3500, 3600), ("soon", 0, 0.1)])
def test_retry_after_is_honoured_and_capped(server, entry, tmp_path, monkeypatch, value, low, high):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    monkeypatch.setattr(download, "MAX_WAIT_SECONDS", 10_000)
    if value == "in an hour":  # as a date, counted from now and not from when the tests were collected
        value = formatdate(time.time() + 3600, usegmt=True)
    server.paths[FILE] = Served(statuses=[429], retry_after=value)
    fetch(entry, tmp_path)
    assert low <= waits[0] <= high
    monkeypatch.setattr(download, "MAX_WAIT_SECONDS", 3)
    server.paths[FILE] = Served(statuses=[429], retry_after="86400")
    fetch(entry, tmp_path / "again")
    assert waits[-1] == 3


@pytest.mark.parametrize("status", [500, 429, 0])
def test_lasting_trouble_ends_with_one_message(server, entry, tmp_path, status, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.paths[FILE].statuses = [status] * 9
    with pytest.raises(DownloadError, match=str(status) if status else "stalled") as error:
        fetch(entry, tmp_path)
    assert "tried 2 times" in str(error.value)
    assert str(tmp_path / FILE) in str(error.value)  # how to place it by hand
    assert SHA256 in str(error.value)
    assert len(server.paths[FILE].requests) == 2
    assert names(tmp_path) == []


def test_no_server_at_all(entry, tmp_path):
    with pytest.raises(DownloadError, match="no connection"):
        fetch(replace(entry, url="http://127.0.0.1:9/x.gz"), tmp_path)
    assert names(tmp_path) == []


def test_404_goes_to_the_archive_at_once(server, entry, tmp_path):
    server.paths["official"] = Served(statuses=[404] * 9)
    moved = replace(entry, url=f"{server.address}/official", archive_url=entry.url)
    assert fetch(moved, tmp_path).origin == "archive"
    assert len(server.paths["official"].requests) == 1


def test_wrong_bytes_at_the_official_address_go_to_the_archive(server, entry, tmp_path):
    server.paths["official"] = Served(body=BODY[:-1] + b"?")
    moved = replace(entry, url=f"{server.address}/official", archive_url=entry.url)
    assert fetch(moved, tmp_path).path.read_bytes() == BODY


def test_wrong_bytes_are_deleted_and_both_checksums_shown(server, entry, tmp_path):
    wrong = BODY[:-1] + b"?"
    server.paths[FILE].body = wrong
    with pytest.raises(DownloadError) as error:
        fetch(entry, tmp_path)
    assert f"expected SHA-256 {SHA256}, got {hashlib.sha256(wrong).hexdigest()}" in str(error.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_length_that_promises_too_much(server, entry, tmp_path, known, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.paths[FILE].length = len(BODY) + 5
    with pytest.raises(DownloadError, match="the server has" if known else "connection|already here"):
        fetch(entry if known else replace(entry, sha256="", bytes=None), tmp_path)
    assert not (tmp_path / FILE).exists()


def test_a_length_that_promises_too_little(server, entry, tmp_path):
    server.paths[FILE].length = len(BODY) - 5
    with pytest.raises(DownloadError, match=f"expected {len(BODY):,} bytes, the server has {len(BODY) - 5:,}"):
        fetch(entry, tmp_path)
    assert names(tmp_path) == []


def test_an_endless_body_is_stopped(server, entry, tmp_path, monkeypatch):
    server.paths[FILE].endless = True
    with pytest.raises(DownloadError, match=f"expected {len(BODY):,} bytes, the server sends more"):
        fetch(entry, tmp_path)
    monkeypatch.setattr(download, "MAX_BYTES", 3_000_000)
    with pytest.raises(DownloadError, match="expected 3,000,000 bytes at most"):
        fetch(replace(entry, sha256="", bytes=None), tmp_path)
    assert names(tmp_path) == []


def test_a_web_page_is_not_taken_for_a_dataset(server, entry, tmp_path):
    server.paths[FILE].body = b"<html>log in first</html>"
    with pytest.raises(DownloadError, match=r"expected a \.gz file"):
        fetch(replace(entry, sha256="", bytes=None), tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_is_explained(entry, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(DownloadError, match="No space left on device"):
        fetch(entry, tmp_path)
    assert names(tmp_path) == []


def test_the_right_file_placed_by_hand_is_used(server, entry, tmp_path):
    (tmp_path / FILE).write_bytes(BODY)
    assert fetch(entry, tmp_path).origin == "placed by hand"
    assert fetch(replace(entry, sha256="", bytes=None), tmp_path).sha256 == SHA256
    assert server.paths[FILE].requests == []


def test_a_wrong_file_placed_by_hand_is_refused_and_kept(entry, tmp_path):
    (tmp_path / FILE).write_bytes(b"mine")
    with pytest.raises(DownloadError, match=f"expected SHA-256 {SHA256}, got"):
        fetch(entry, tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"mine"


@pytest.mark.parametrize("known", [True, False])
def test_a_fetched_file_that_was_damaged_since_is_fetched_again(entry, tmp_path, known):
    entry = entry if known else replace(entry, sha256="", bytes=None)
    path = fetch(entry, tmp_path).path
    path.write_bytes(BODY[:1000])
    assert fetch(entry, tmp_path).path.read_bytes() == BODY


def _fetch_in_child(entry, folder, results):
    results.put(fetch(entry, folder).path.read_bytes() == BODY)


def test_two_processes_at_once_share_one_download(server, entry, tmp_path):
    server.paths[FILE].slow = True
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [context.Process(target=_fetch_in_child, args=(entry, tmp_path, results)) for _ in range(2)]
    for child in children:
        child.start()
    assert [results.get(timeout=60), results.get(timeout=60)] == [True, True]
    for child in children:
        child.join(timeout=60)
    assert len(server.paths[FILE].requests) == 1
    assert names(tmp_path) == [FILE, f"{FILE}.source.json"]


# Mirrors

OTHER = b"\x1f\x8brebuilt"
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()


@pytest.fixture(params=["folder", "url"])
def mirror(request, server, tmp_path):
    """A function that fills a mirror with files and gives its address."""

    def make(files):
        if request.param == "url":
            server.paths.update({f"mirror/{name}": Served(body=body) for name, body in files.items()})
            return f"{server.address}/mirror/"
        folder = tmp_path / "mirror"
        folder.mkdir()
        for name, body in files.items():
            (folder / name).write_bytes(body)
        return str(folder)

    return make


def test_mirror_is_checked_against_its_own_sums(server, entry, tmp_path, mirror):
    address = mirror({"SHA256SUMS": f"{OTHER_SHA256}  {FILE}\n".encode(), FILE: OTHER})
    got = fetch(entry, tmp_path / "raw", mirror=address)
    assert (got.path.read_bytes(), got.sha256, got.origin, got.label) == (OTHER, OTHER_SHA256, "mirror", "")
    assert fetch(entry, tmp_path / "raw", mirror=address) == got
    assert server.paths[FILE].requests == []
    assert fetch(entry, tmp_path / "raw").origin == "official"  # no longer wanted from the mirror
    assert got.path.read_bytes() == BODY


@pytest.mark.parametrize(("body", "label"), [(OTHER, "Made, 3 % guessed"), (BODY, "")])
def test_mirror_labels_bytes_that_are_not_the_official_ones(entry, tmp_path, mirror, body, label):
    sums = f"{hashlib.sha256(body).hexdigest()} *{FILE}\n".encode()
    files = {"SHA256SUMS": sums, "LABELS.csv": f'file,label\n{FILE},"Made, 3 % guessed"\n'.encode(), FILE: body}
    address = mirror(files)
    assert fetch(entry, tmp_path / "raw", mirror=address).label == label
    assert fetch(entry, tmp_path / "raw", mirror=address).label == label


def test_mirror_with_wrong_bytes_is_an_error_not_a_reason_to_go_elsewhere(server, entry, tmp_path, mirror):
    address = mirror({"SHA256SUMS": f"{SHA256}  {FILE}\n".encode(), FILE: OTHER})
    with pytest.raises(DownloadError, match=f"expected SHA-256 {SHA256}, got {OTHER_SHA256}"):
        fetch(entry, tmp_path / "raw", mirror=address)
    assert names(tmp_path / "raw") == []
    assert server.paths[FILE].requests == []


def test_mirror_without_the_listed_file(entry, tmp_path, mirror):
    with pytest.raises(DownloadError, match=r"no such file|404"):
        fetch(entry, tmp_path / "raw", mirror=mirror({"SHA256SUMS": f"{SHA256}  {FILE}\n".encode()}))


def test_file_that_the_mirror_does_not_list_comes_from_the_official_address(entry, tmp_path, mirror):
    address = mirror({"SHA256SUMS": f"{SHA256}  another.gz\n".encode()})
    assert fetch(entry, tmp_path / "raw", mirror=address).origin == "official"
    with pytest.raises(DownloadError, match="SHA256SUMS does not list it"):
        fetch(replace(entry, url=f"{entry.url}.gone"), tmp_path / "other", mirror=address)


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "no SHA256SUMS there"), ({"SHA256SUMS": b"\nabc  x\n"}, "SHA256SUMS, line 2: expected 64 hex digits")],
)
def test_broken_mirror_is_explained(entry, tmp_path, mirror, files, message):
    with pytest.raises(DownloadError, match=message):
        fetch(entry, tmp_path / "raw", mirror=mirror(files))
