"""Fetches a raw file from its official address, an archive or a mirror, and believes nothing about it.

What arrives goes to `<file>.part`, is continued after a broken connection (also by a later process), and gets its name
only when its checksum is right. Beside the file, `<file>.source.json` says where it came from, with the checksum as it
was seen: where none is published, later downloads are held to that one. A file that a person placed by hand is used if
its checksum is right, and never touched.
"""

import csv
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, NoReturn

import requests
import urllib3
from tqdm import tqdm

from createrec.data.registry import Entry
from createrec.errors import DataError, DownloadError
from createrec.files import locked, read_json, sha256_of, write_json
from createrec.written import FetchedFile, read_written

ATTEMPTS = 5
"""Attempts at one address without progress between them."""
BACKOFF_SECONDS = 1.0
"""Wait before the second attempt; it doubles each time."""
MAX_WAIT_SECONDS = 120.0
"""Longest wait that a server's Retry-After is granted."""
TIMEOUT_SECONDS = (10.0, 60.0)
"""For connecting, and for the next bytes to come."""
MAX_BYTES = 20 * 10**9
"""Size limit for files whose size is not published."""
PROGRESS_BYTES = 1 << 20
"""An attempt that brought this much does not count as failed, so that a long file may break often."""

_CHUNK = 1 << 16
_MAGIC = {".gz": b"\x1f\x8b", ".zip": b"PK\x03\x04", ".parquet": b"PAR1"}


@dataclass(frozen=True)
class Fetched:
    """A raw file whose bytes have been checked.

    Attributes:
        path: where it lies.
        sha256: its checksum, as obtained.
        origin: "official", "archive", "mirror" or "placed by hand".
        label: what results of this file must say; "" unless a mirror labels bytes that are not the official ones.
    """

    path: Path
    sha256: str
    origin: str
    label: str


@dataclass(frozen=True)
class _Source:
    """One place to get the file from: a folder's file (no scheme) or a URL, and what must come."""

    origin: str
    address: str
    sha256: str
    bytes: int | None
    label: str


class _GiveUpError(Exception):
    """The address at hand will not give the file; the next one may."""


class _NotFoundError(_GiveUpError):
    """The address at hand has no such file."""


class _TryAgainError(Exception):
    """The connection failed in a way that passes."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(entry: Entry, directory: Path | str, mirror: str | None = None, progress: bool = True) -> Fetched:
    """Makes sure that the file of `entry` lies in `directory`, and that it is the right one.

    Args:
        entry: a row of the registry.
        directory: where raw files lie; made if it is missing.
        mirror: a folder or URL prefix with its own SHA256SUMS, which is believed instead of the registry's checksum.
            A file it does not list is fetched from the official address. An optional LABELS.csv (file,label) there
            labels files whose bytes are not the official ones.
        progress: show a bar, if stderr is a terminal.

    Raises:
        DownloadError: no source gave the file, or what came was not it. Wrong bytes are deleted.
    """
    path = Path(directory) / entry.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            sources = _sources(entry, mirror, seen_before(entry, path))
            found = _already_there(path, sources[0])
            if found is None:
                found = _fetch_first(entry, path, sources, mirror, progress)
            _note_path(path).unlink(missing_ok=True)
            return found
    except OSError as error:
        raise DownloadError(
            f"{path}: cannot be written ({error.strerror or error}); free the disk or its rights"
        ) from None


def source_path(path: Path | str) -> Path:
    """Where the origin of the raw file `path` is recorded."""
    return Path(f"{path}.source.json")


def _note_path(path: Path) -> Path:
    """Where it is noted which address and version the first part of `path` came from."""
    return path.with_name(f"{path.name}.part.json")


def _fetch_first(entry: Entry, path: Path, sources: list[_Source], mirror: str | None, progress: bool) -> Fetched:
    failures = [f"{mirror}: SHA256SUMS does not list it"] if mirror and sources[0].origin != "mirror" else []
    for source in sources:
        try:
            return _get(source, path, progress)
        except _GiveUpError as failure:
            failures.append(f"{source.address}: {failure}")
        if source.origin == "mirror":  # it lists the file, so a failure is its own, and not to be passed over silently
            break
    known = f" (SHA-256 {entry.sha256})" if entry.sha256 else ""
    if seen := seen_before(entry, path):
        failures.append(
            f"no checksum is published: {source_path(path)} has that of the first download, {seen}; "
            "delete it to accept another version"
        )
    raise DownloadError(
        f"{entry.dataset}: {entry.file} could not be fetched.\n  "
        + "\n  ".join(failures)
        + (f"\nWhat came is kept in {path}.part; run again to go on." if Path(f"{path}.part").exists() else "")
        + f"\nTo place it by hand, download {entry.url}{known} and put it at {path}"
    )


def _already_there(path: Path, wanted: _Source) -> Fetched | None:
    """The file from an earlier call or a person's hand, if it is what would be fetched now."""
    if not path.exists():
        return None
    sha256 = sha256_of(path)
    ours = recorded(path)
    if wanted.sha256 and sha256 == wanted.sha256:
        origin = ours.origin if ours and ours.sha256 == sha256 else "placed by hand"
        return Fetched(path, sha256, origin, wanted.label)
    if ours is None:
        if wanted.sha256:
            raise DownloadError(
                f"{path}: expected SHA-256 {wanted.sha256}, got {sha256}; "
                "delete this file to have it downloaded, or put the right one there"
            )
        return Fetched(path, sha256, "placed by hand", "")
    if not wanted.sha256 and ours.sha256 == sha256 and ours.origin != "mirror":
        return ours
    return None  # ours, but damaged since, or from a source that is no longer wanted


def recorded(path: Path) -> Fetched | None:
    """What the download of the raw file `path` left beside it; None if this code never fetched it."""
    try:
        return Fetched(**{**read_written(source_path(path), FetchedFile), "path": path})
    except (DataError, TypeError):
        return None


def seen_before(entry: Entry, path: Path) -> str:
    """The checksum of an earlier download, where none is published; "" where there is none to go by."""
    before = recorded(path)
    return before.sha256 if before and not entry.sha256 and before.origin in ("official", "archive") else ""


# Where from ----------------------------------------------------------------------------------------------------------


def _sources(entry: Entry, mirror: str | None, seen: str) -> list[_Source]:
    sha256 = entry.sha256 or seen
    sources = [_Source("official", entry.url, sha256, entry.bytes, "")]
    if entry.archive_url:
        sources.append(_Source("archive", entry.archive_url, sha256, entry.bytes, ""))
    if mirror:
        mirrored = mirror_checksums(mirror).get(entry.file)
        if mirrored is not None:
            address = _join(mirror, entry.file)
            label = "" if mirrored == entry.sha256 else _mirror_label(mirror, entry.file)
            sources.insert(0, _Source("mirror", address, mirrored, None, label))
    return sources


def mirror_checksums(mirror: str) -> dict[str, str]:
    """SHA-256 by file name, as the mirror's SHA256SUMS lists them.

    Raises:
        DownloadError: it has no such list, or one that cannot be read.
    """
    text = _mirror_text(mirror, "SHA256SUMS")
    if text is None:
        raise DownloadError(f"mirror {mirror}: no SHA256SUMS there; expected a folder or URL prefix that has one")
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        digest, _, name = line.strip().partition(" ")
        digest = digest.lower()
        if len(digest) != 64 or set(digest) - set("0123456789abcdef") or not name.strip():
            raise DownloadError(f"{_join(mirror, 'SHA256SUMS')}, line {number}: expected 64 hex digits and a file name")
        sums[name.strip().removeprefix("*").removeprefix("./")] = digest
    return sums


def _mirror_label(mirror: str, file: str) -> str:
    text = _mirror_text(mirror, "LABELS.csv") or ""
    return next((row[1].strip() for row in csv.reader(text.splitlines()) if len(row) > 1 and row[0] == file), "")


def _mirror_text(mirror: str, name: str) -> str | None:
    """A small text file of the mirror; None if it has none of this name."""
    address = _join(mirror, name)
    try:
        if not _is_url(mirror):
            return Path(address).read_text(encoding="utf-8")
        received = bytearray()

        def take() -> None:
            received.clear()
            with _request(address, {}) as response:
                for chunk in _chunks(response):
                    received.extend(chunk)
                    if len(received) > PROGRESS_BYTES:
                        raise _GiveUpError("longer than 1 MiB; expected a short list")

        _persist(take, lambda: 0)
        return received.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, _GiveUpError) as error:
        if isinstance(error, _NotFoundError):
            return None
        raise DownloadError(f"mirror {address}: cannot be read ({error})") from None


def _is_url(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _join(mirror: str, name: str) -> str:
    return f"{str(mirror).rstrip('/')}/{name}"


# Getting it ----------------------------------------------------------------------------------------------------------


def _get(source: _Source, path: Path, progress: bool) -> Fetched:
    """Brings the bytes of one source to `path`, with a record of where they are from."""
    part = path.with_name(f"{path.name}.part")
    note = _note_path(path)
    if _is_url(source.address):
        resumed = _download(source, part, note, progress)
    else:
        resumed = False
        _copy(source, part)
    try:
        sha256 = _checked(source, part, path)
    except _GiveUpError:
        part.unlink()
        note.unlink(missing_ok=True)
        if not resumed:
            raise
        return _get(source, path, progress)  # the first half may have been another version of the file
    with part.open("rb") as written:
        os.fsync(written.fileno())
    found = Fetched(path, sha256, source.origin, source.label)
    # Before the file: without a record, what a killed process fetched would pass for a file placed by hand.
    write_json(source_path(path), {**asdict(found), "path": path.name})
    part.replace(path)
    return found


def _checked(source: _Source, part: Path, path: Path) -> str:
    size = part.stat().st_size
    if source.bytes is not None and size != source.bytes:
        raise _GiveUpError(f"expected {source.bytes:,} bytes, got {size:,}")
    sha256 = sha256_of(part)
    if source.sha256 and sha256 != source.sha256:
        raise _GiveUpError(f"expected SHA-256 {source.sha256}, got {sha256}")
    magic = _MAGIC.get(path.suffix, b"")
    with part.open("rb") as file:
        if not file.read(len(magic)) == magic:
            raise _GiveUpError(f"expected a {path.suffix} file, got something else (a web page?)")
    return sha256


def _copy(source: _Source, part: Path) -> None:
    origin = Path(source.address)
    if not origin.is_file():
        raise _GiveUpError("listed in SHA256SUMS, but there is no such file")
    if origin.stat().st_size > MAX_BYTES:
        raise _GiveUpError(f"larger than {MAX_BYTES:,} bytes")
    shutil.copyfile(origin, part)


def _download(source: _Source, part: Path, note: Path, progress: bool) -> bool:
    """Downloads to `part`, in as many attempts as it takes; returns whether any continued an earlier one."""
    resumed = False
    limit = _limit(source)

    def held() -> int:
        return part.stat().st_size if part.exists() else 0

    def attempt() -> None:
        nonlocal resumed
        headers = _resume_headers(source, held(), note)
        with _request(source.address, headers) as response:
            if response.status_code == 416:  # what we hold is not the beginning of what the server has
                part.unlink()
                raise _TryAgainError("the server has no more bytes than are already here")
            start = _start(response, headers, held())
            resumed = resumed or start > 0
            total = _total(response, start)
            if total is not None and (total > limit or source.bytes not in (None, total)):
                raise _GiveUpError(f"expected {_size(source)}, the server has {total:,}")
            if start == 0:
                part.unlink(missing_ok=True)
                write_json(note, {"address": source.address, "validator": _validator(response)})
            with part.open("ab") as file, _bar(part.stem, total, start, progress) as bar:
                _write(response, file, source, bar)
            if total is not None and held() != total:
                raise _TryAgainError(f"the connection ended at {held():,} of {total:,} bytes")

    if held() > limit:
        part.unlink()
    try:
        _persist(attempt, held)
    finally:
        if not held():
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
    return resumed


def _write(response: requests.Response, file: BinaryIO, source: _Source, bar: "tqdm[NoReturn]") -> None:
    size = file.tell()
    for chunk in _chunks(response):
        size += len(chunk)
        if size > _limit(source):
            file.truncate(0)
            raise _GiveUpError(f"expected {_size(source)}, the server sends more")
        file.write(chunk)
        bar.update(len(chunk))


def _limit(source: _Source) -> int:
    return MAX_BYTES if source.bytes is None else source.bytes


def _size(source: _Source) -> str:
    return f"{_limit(source):,} bytes{' at most' if source.bytes is None else ''}"


def _resume_headers(source: _Source, held: int, note: Path) -> dict[str, str]:
    """Asks for the rest of what is held, if it came from this address and can be told from another version."""
    if not held:
        return {}
    try:
        before = read_json(note)
        same = before["address"] == source.address
        validator = before["validator"]
    except (DataError, KeyError, TypeError):
        return {}
    if not same or not (validator or source.sha256):
        return {}
    return {"Range": f"bytes={held}-", **({"If-Range": validator} if validator else {})}


def _start(response: requests.Response, headers: dict[str, str], held: int) -> int:
    """The offset of the first byte that the response brings."""
    if response.status_code != 206:
        return 0
    offset = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if "Range" not in headers or offset != str(held):
        raise _GiveUpError(f"asked for bytes from {held}, the server sends {offset or 'an unknown part'}")
    return held


def _total(response: requests.Response, start: int) -> int | None:
    """The size of the whole file as the server tells it; None if it does not."""
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _validator(response: requests.Response) -> str:
    """What proves to the server that a later request means the same version; weak tags cannot."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _bar(name: str, total: int | None, start: int, progress: bool) -> "tqdm[NoReturn]":
    disable = None if progress else True  # None: only where stderr is a terminal
    return tqdm(desc=name, total=total, initial=start, unit="B", unit_scale=True, disable=disable)


# One request, and many -----------------------------------------------------------------------------------------------


def _persist(attempt: Callable[[], None], held: Callable[[], int]) -> None:
    """Repeats `attempt` until it ends without `_TryAgainError`, waiting longer each time.

    Raises:
        _GiveUpError: `ATTEMPTS` in a row brought less than `PROGRESS_BYTES`.
    """
    failed = 0
    while True:
        before = held()
        try:
            return attempt()
        except _TryAgainError as failure:
            failed = 1 if held() - before >= PROGRESS_BYTES else failed + 1
            if failed >= ATTEMPTS:
                raise _GiveUpError(f"{failure} (tried {failed} times)") from None
            wait = BACKOFF_SECONDS * 2 ** (failed - 1) if failure.wait is None else failure.wait
            time.sleep(min(wait, MAX_WAIT_SECONDS))


@contextmanager
def _request(address: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """One GET whose body is still to be read; trouble inside the block becomes `_TryAgainError` or `_GiveUpError`."""
    try:
        # A transfer encoding would change the bytes that the checksum is about.
        sent = {"Accept-Encoding": "identity", **headers}
        with requests.get(address, headers=sent, stream=True, timeout=TIMEOUT_SECONDS) as response:
            _judge(response)
            yield response
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise _GiveUpError("the server's certificate is not valid") from None
        raise _TryAgainError("the secure connection failed") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise _TryAgainError("the server stalled") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise _TryAgainError(f"no connection ({type(error).__name__})") from None
    except urllib3.exceptions.HTTPError as error:
        raise _TryAgainError(f"the connection broke ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise _GiveUpError(f"no usable address ({error})") from None


def _judge(response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206) or (status == 416 and "Range" in response.request.headers):
        return
    reason = f"the server answered {status} {response.reason or ''}".rstrip()
    if status in (404, 410):
        raise _NotFoundError(reason)
    if status in (408, 425, 429) or status >= 500:
        raise _TryAgainError(reason, _retry_after(response.headers.get("Retry-After", "")))
    raise _GiveUpError(reason)


def _retry_after(value: str) -> float | None:
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives, undecoded: a chunk is what one read of the socket gave, so a stall is noticed."""
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        yield chunk
