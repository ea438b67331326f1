"""`createrec doctor --data`: what is known of each dataset, where it can be had, and what is here."""

from collections.abc import Iterator
from pathlib import Path

from createrec.data import registry
from createrec.data.download import mirror_checksums, recorded, seen_before
from createrec.data.registry import Entry
from createrec.doctor.hosts import reachable
from createrec.errors import DownloadError
from createrec.files import sha256_of


def findings(raw: Path, mirror: str | None, offline: bool = False) -> Iterator[tuple[str, str]]:
    """Four lines on each public dataset, as (subject, finding) pairs; nothing is downloaded.

    Args:
        raw: the folder of raw files.
        mirror: a folder or URL prefix with its own SHA256SUMS, or None.
        offline: do not ask the official addresses.
    """
    listed: dict[str, str] | str = {}
    if mirror:
        try:
            listed = mirror_checksums(mirror)
        except DownloadError as error:
            listed = str(error)
    for entry in registry.datasets().values():
        yield entry.dataset, f"{entry.file}; {entry.counts}; licence: {entry.licence}"
        yield "  known", _known(entry, raw / entry.file)
        yield "  official address", entry.url + ("" if offline else f" {reachable(entry.url)}")
        if mirror:
            yield "  mirror", listed if isinstance(listed, str) else _mirrored(entry, listed)
        yield "  here", _present(entry, raw / entry.file, listed if isinstance(listed, dict) else {})


def _known(entry: Entry, path: Path) -> str:
    size = "" if entry.bytes is None else f", {entry.bytes:,} bytes"
    if entry.sha256:
        return f"SHA-256 {entry.sha256}{size}"
    if seen := seen_before(entry, path):
        return f"SHA-256 {seen} as first downloaded{size}"
    return f"no checksum{size}; the first download's will be kept"


def _mirrored(entry: Entry, listed: dict[str, str]) -> str:
    if entry.file not in listed:
        return "does not list it"
    other = entry.sha256 and listed[entry.file] != entry.sha256
    return f"SHA-256 {listed[entry.file]}" + (", not the official one" if other else "")


def _present(entry: Entry, path: Path, listed: dict[str, str]) -> str:
    if not path.exists():
        return f"no {path}"
    sha256 = sha256_of(path)
    before = recorded(path)
    origin = before.origin if before and before.sha256 == sha256 else "placed by hand"
    expected = {
        "the official file": entry.sha256,
        "as first downloaded": seen_before(entry, path),
        "the mirror's file": listed.get(entry.file, ""),
    }
    what = next((name for name, known in expected.items() if known == sha256), None)
    if what is None:
        what = "wrong: delete it to have it fetched again" if any(expected.values()) else "nothing to compare it with"
    return f"{path}, {path.stat().st_size:,} bytes, {origin}, {what} (SHA-256 {sha256})"
