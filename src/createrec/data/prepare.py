"""From a raw file to a prepared dataset: `interactions.parquet` and `dataset.json`, both or none."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from createrec.config import FileConfig, FiltersConfig
from createrec.data import filters as filtering
from createrec.data.account import account, oddities, refuse_mixed_units
from createrec.data.download import Fetched
from createrec.data.interactions import Interactions
from createrec.data.registry import Counts
from createrec.errors import DataError
from createrec.files import locked, sha256_of, write_json
from createrec.readers.catalogue import read
from createrec.readers.columns import Reading
from createrec.written import DATASET_FILE

INTERACTIONS_FILE = "interactions.parquet"
NO_FILTERS = FiltersConfig()
IDS_AT_ONCE = 4096
"""Ids that go into the hash in one call: one call for each of a million ids would take longer than the hash."""


def prepare(
    dataset: str,
    raw: Path | str,
    output: Path | str,
    *,
    file: FileConfig,
    filters: FiltersConfig = NO_FILTERS,
    fetched: Fetched | None = None,
    expected: Counts | None = None,
    allow_count_mismatch: bool = False,
    made_from: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Reads a raw file, checks its counts and writes the prepared dataset.

    Args:
        dataset: name in the config and in every output.
        raw: the raw file.
        output: folder of the two files that are written.
        file: how the raw file is written.
        filters: what leaves before the split; the counts of Table 1 are those before it.
        fetched: what the download said of `raw`; None for a person's own file.
        expected: the counts of Table 1; None where nothing is known.
        allow_count_mismatch: go on with other counts, and say so in the label.
        made_from: as in `write_dataset`.

    Returns:
        What `dataset.json` holds.

    Raises:
        DataError: the file does not parse, or its counts are not the expected ones.
    """
    reading = read(raw, file, rating=filters.minimum_rating is not None, event=filters.events is not None)
    read_in = reading.interactions
    counts = Counts(read_in.users, read_in.items, len(read_in))
    mismatch = expected is not None and counts != expected
    if mismatch and not allow_count_mismatch:
        raise DataError(
            f"{raw}: {dataset} has {counts}; expected {expected}. "
            "Get the official file again, or allow the mismatch in the config"
        )
    labels = [
        fetched.label if fetched else "",
        reading.label,
        f"not the counts of Table 1 ({expected})" if mismatch else "",
    ]
    source = {
        "file": Path(raw).name,
        "origin": fetched.origin if fetched else "own file",
        "sha256": fetched.sha256 if fetched else sha256_of(raw),
    }
    if fetched is not None and filters.active:
        labels.append(f"filtered ({filters})")
    label = "; ".join(filter(None, labels))
    return write_dataset(output, dataset, reading, label, source, filters, expected, made_from)


def write_dataset(
    output: Path | str,
    dataset: str,
    reading: Reading,
    label: str,
    source: Mapping[str, str | None],
    filters: FiltersConfig = NO_FILTERS,
    expected: Counts | None = None,
    made_from: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Filters, writes `interactions.parquet` and `dataset.json`, and returns what the latter holds.

    `source` has the keys file, origin and sha256; for a generated dataset its file and sha256 are None. `made_from` is
    all else that decides the rows; who finds another one today prepares the dataset again.

    Raises:
        DataError: times are of two units, or a filter leaves nothing.
    """
    output = Path(output)
    refuse_mixed_units(reading.interactions, source["file"] or dataset)
    filtered = filtering.apply(reading, filters)
    interactions = filtered.interactions
    facts = account(reading, interactions)
    description = {
        "dataset": dataset,
        "label": label,
        "source": dict(source),
        "made_from": dict(made_from or {}),
        "users": interactions.users,
        "items": interactions.items,
        "interactions": len(interactions),
        "dataset_hash": dataset_hash(interactions),
        "read": facts,
        "filters": list(filtered.steps),
        "warnings": [*reading.warnings, *oddities(interactions, facts)],
        "expected": None if expected is None else vars(expected).copy(),
    }
    output.mkdir(parents=True, exist_ok=True)
    with locked(output / ".lock"):  # two processes that prepare at once take turns, so that the files are a pair
        (output / DATASET_FILE).unlink(missing_ok=True)  # never an old description beside new rows
        interactions.save(output / INTERACTIONS_FILE)
        try:
            write_json(output / DATASET_FILE, description)
        except BaseException:
            (output / INTERACTIONS_FILE).unlink()
            raise
    return description


def dataset_hash(interactions: Interactions) -> str:
    """SHA-256 over the rows in their order and the ids, independent of file formats and library versions."""
    digest = hashlib.sha256()
    for column in (interactions.user, interactions.item, interactions.time):
        digest.update(len(column).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(column, dtype="<i8").data)
    for ids in (interactions.user_ids, interactions.item_ids):
        digest.update(len(ids).to_bytes(8, "little"))
        for start in range(0, len(ids), IDS_AT_ONCE):
            names = [name.encode() for name in ids[start : start + IDS_AT_ONCE]]
            digest.update(b"".join(len(name).to_bytes(8, "little") + name for name in names))
    return digest.hexdigest()
