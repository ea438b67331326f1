"""The public datasets of the paper: where each comes from and what Table 1 says it holds.

The rows live in `registry.csv` beside this module. The checksums are those that public repositories name which hold the
official files, at least two for each. An empty `sha256` means that none was found: the checksum of what came first is
then recorded, and later downloads are held to it. No second address is known to hold the same bytes. The counts of
amazon-office are those of the official file (it is used by the LOOM setup and has no row in Table 1).
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from createrec.errors import ConfigError

DEMO = "demo"
"""The made dataset beside the public ones (createrec.data.synthetic)."""


@dataclass(frozen=True)
class Counts:
    """What a dataset holds: a row of Table 1."""

    users: int
    items: int
    interactions: int

    def __str__(self) -> str:
        return f"{self.users:,} users, {self.items:,} items, {self.interactions:,} interactions"


@dataclass(frozen=True)
class Entry:
    """One public dataset.

    Attributes:
        dataset: the name used in the config and in every output.
        file: official file name, also the name in a mirror.
        url: official address.
        archive_url: a second address for the same bytes, or "".
        sha256: published checksum, 64 lower-case hex digits, or "" where none is known.
        bytes: published size in bytes, or None.
        licence: terms of the data, in a few words.
        counts: what must come out after reading.
        reader: name of the reader in `createrec.readers`.
        added: date of the row, ISO.
    """

    dataset: str
    file: str
    url: str
    archive_url: str
    sha256: str
    bytes: int | None
    licence: str
    counts: Counts
    reader: str
    added: str


@cache
def datasets() -> dict[str, Entry]:
    """All entries by name, in the order of `registry.csv`."""
    text = resources.files("createrec.data").joinpath("registry.csv").read_text(encoding="utf-8")
    entries = {}
    for row in csv.DictReader(text.splitlines()):
        counts = Counts(*(int(row.pop(name)) for name in ("users", "items", "interactions")))
        size = row.pop("bytes")
        entries[row["dataset"]] = Entry(**row, bytes=int(size) if size else None, counts=counts)
    return entries


def dataset(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        ConfigError: there is none.
    """
    known = datasets()
    if name not in known:
        raise ConfigError(
            f"unknown dataset {name!r}: expected one of {', '.join(known)}, or your own file, described in the config"
        )
    return known[name]
