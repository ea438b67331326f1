"""A dataset by its name: prepared and split, on the way to a run, where it is not there yet."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from createrec.config import DatasetConfig, FileConfig, LeaveOneOutSetup, ProjectConfig, TemporalSetup
from createrec.data import registry
from createrec.data.download import fetch
from createrec.data.interactions import Interactions
from createrec.data.prepare import INTERACTIONS_FILE, prepare, write_dataset
from createrec.data.split import Split, refuse_degenerate, refuse_without_queries, split, statistics
from createrec.data.synthetic import demo_interactions
from createrec.errors import ConfigError, DataError, known_names
from createrec.files import sha256_of, write_json
from createrec.options import RESULTS
from createrec.provenance import rule_version
from createrec.readers.columns import Reading
from createrec.written import DATASET_FILE, STATISTICS_FILE, DatasetFile, read_description, read_written

RAW = Path("data/raw")


def prepare_dataset(name: str, settings: DatasetConfig, mirror: str | None, folder: Path) -> dict[str, Any]:
    """Fetches, reads and writes one dataset: interactions.parquet and dataset.json in `folder`.

    Raises:
        ConfigError: the name is unknown.
        DownloadError, DataError: the file cannot be had, or is not what it should be.
    """
    mirror = os.environ.get("CREATEREC_MIRROR") or mirror
    made_from = preparation(name, settings)
    if name == registry.DEMO and settings.file is None:
        source = {"file": None, "origin": "generated", "sha256": None}
        reading, filters = Reading(demo_interactions()), settings.filters
        return write_dataset(folder, name, reading, "synthetic", source, filters, made_from=made_from)
    if settings.file is not None:
        path, filters = settings.file.path, settings.filters
        return prepare(name, path, folder, file=settings.file, filters=filters, made_from=made_from)
    entry = registry.dataset(name)
    fetched = fetch(entry, RAW, mirror)
    return prepare(
        name,
        fetched.path,
        folder,
        file=FileConfig(reader=entry.reader),
        filters=settings.filters,
        fetched=fetched,
        expected=entry.counts,
        allow_count_mismatch=settings.allow_count_mismatch,
        made_from=made_from,
    )


def preparation(name: str, settings: DatasetConfig) -> dict[str, Any]:
    """What decides the rows of a prepared dataset beside the bytes of its file, as plain values.

    Not where the file lies, nor the mirror: whatever comes from there has the registry's checksum, or a label.
    """
    own = settings.file is not None or name == registry.DEMO
    return {
        "settings": {
            "file": settings.file.model_dump(mode="json", exclude={"path"}) if settings.file else None,
            "filters": settings.filters.model_dump(mode="json"),
            "allow_count_mismatch": settings.allow_count_mismatch,
        },
        "registered": None if own else json.loads(json.dumps(asdict(registry.dataset(name)), default=str)),
        "code": rule_version("generate" if name == registry.DEMO else "prepare"),
    }


def not_prepared_so(name: str, settings: DatasetConfig, description: Mapping[str, Any]) -> list[str]:
    """In what a `dataset.json` is not that of today's file, settings and code, as phrases; empty where it is."""
    made_from, today = description.get("made_from"), preparation(name, settings)
    if not isinstance(made_from, Mapping) or not isinstance(description.get("source"), Mapping):
        return ["it does not say what it was made from"]
    words = {"settings": "the settings of the dataset", "registered": "the registry", "code": "the code that reads it"}
    changed = [f"{words[key]} changed since" for key in today if made_from.get(key) != today[key]]
    if settings.file is not None:
        path = Path(settings.file.path)
        if not path.is_file() or sha256_of(path) != description["source"].get("sha256"):
            changed.insert(0, f"{path} changed since")
    return changed


def not_split_so(
    setup: TemporalSetup | LeaveOneOutSetup, description: Mapping[str, Any], facts: Mapping[str, Any]
) -> list[str]:
    """In what a `split.json` is not that of today's rows, settings and code, as phrases; empty where it is."""
    made_from, today = facts.get("made_from"), splitting(setup)
    if not isinstance(made_from, Mapping):
        return ["it does not say what it was made from"]
    words = {"settings": f"setups.{setup.kind}", "code": "the code that splits it"}
    changed = [f"{words[key]} changed since" for key in today if made_from.get(key) != today[key]]
    if facts.get("dataset_hash") != description.get("dataset_hash"):
        changed.insert(0, "its rows changed since")
    return changed


def splitting(setup: TemporalSetup | LeaveOneOutSetup) -> dict[str, Any]:
    """What decides a split beside the rows, as plain values."""
    return {"settings": setup.model_dump(mode="json"), "code": rule_version("split")}


def write_split(
    setup: TemporalSetup | LeaveOneOutSetup, interactions: Path, summary: Path, output: Path, statistics_path: Path
) -> dict[str, Any]:
    """Splits a prepared dataset and writes the split and its statistics; returns the latter.

    Raises:
        DataError: the dataset is damaged, cannot be split, or nobody could be asked.
    """
    description = read_written(summary, DatasetFile)
    if absent := [key for key in ("dataset", "label", "dataset_hash") if key not in description]:
        raise DataError(f"{summary}: lacks {', '.join(absent)}; delete it and run `createrec prepare` again")
    try:
        rows = Interactions.load(interactions)
        refuse_degenerate(rows, setup)
        made = split(rows, setup)
        refuse_without_queries(made)
    except DataError as error:
        raise DataError(f"{description['dataset']}, {setup.kind}: {error}") from None
    kept = {key: description[key] for key in ("dataset", "label", "dataset_hash")}
    facts = {**kept, "setup": setup.kind, "made_from": splitting(setup), **statistics(made)}
    if filters := description.get("filters"):
        facts["filters"] = filters
    facts["warnings"] = [*description.get("warnings", []), *facts["warnings"]]
    statistics_path.unlink(missing_ok=True)  # never an earlier split's statistics beside a new one
    made.save(output)
    write_json(statistics_path, facts)
    return facts


def split_dataset(
    config: ProjectConfig, name: str, setup: str, results: Path = RESULTS
) -> tuple[Split, dict[str, Any]]:
    """The split of one dataset and its statistics, prepared and split on the way.

    What is there already is taken if it was made from today's file, settings and code; else it is made again, and a
    line on standard error says why.
    """
    known = list(dict.fromkeys([*config.datasets, *registry.datasets(), registry.DEMO]))
    if name not in known:
        raise ConfigError(f"unknown dataset '{name}'; {known_names(name, known)}")
    data, folder = results / "data" / name, results / "splits" / name / setup
    interactions, summary = data / INTERACTIONS_FILE, data / DATASET_FILE
    output, facts = folder / "split.safetensors", folder / STATISTICS_FILE
    dataset, cut = config.datasets.get(name, DatasetConfig()), getattr(config.setups, setup.replace("-", "_"))
    if _again(f"{name} is prepared", summary, interactions, partial(not_prepared_so, name, dataset)):
        prepare_dataset(name, dataset, config.data.mirror, data)
    if _again(f"{name} is split", facts, output, partial(not_split_so, cut, read_description(summary))):
        write_split(cut, interactions, summary, output, facts)
    return Split.load(output), read_description(facts)


def _again(what: str, description: Path, content: Path, differs: Callable[[Mapping[str, Any]], list[str]]) -> bool:
    """Whether a pair of files is to be made, and why, where it is there already."""
    if not (description.exists() and content.exists()):
        return True
    try:
        reasons = differs(read_description(description))
    except DataError as error:
        reasons = [str(error)]
    if reasons:
        print(f"{what} again: {description}: {'; '.join(reasons)}", file=sys.stderr)
    return bool(reasons)
