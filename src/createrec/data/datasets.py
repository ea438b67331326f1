"""A dataset by its name: prepared and split, on the way to a run, where it is not there yet."""

import os
from pathlib import Path
from typing import Any

from createrec.config import DatasetConfig, FileConfig, LeaveOneOutSetup, ProjectConfig, TemporalSetup
from createrec.data import registry
from createrec.data.download import fetch
from createrec.data.interactions import Interactions
from createrec.data.prepare import DATASET_FILE, INTERACTIONS_FILE, prepare, write_dataset
from createrec.data.split import Split, split, statistics
from createrec.data.synthetic import demo_interactions
from createrec.errors import ConfigError, DataError
from createrec.files import read_json, write_json
from createrec.options import RESULTS
from createrec.readers.columns import Reading

RAW = Path("data/raw")
DEMO = "demo"


def prepare_dataset(name: str, settings: DatasetConfig, mirror: str | None, folder: Path) -> dict[str, Any]:
    """Fetches, reads and writes one dataset: interactions.parquet and dataset.json in `folder`.

    Raises:
        ConfigError: the name is unknown.
        DownloadError, DataError: the file cannot be had, or is not what it should be.
    """
    mirror = os.environ.get("CREATEREC_MIRROR") or mirror
    if name == DEMO and settings.file is None:
        source = {"file": None, "origin": "generated", "sha256": None}
        return write_dataset(folder, name, Reading(demo_interactions()), "synthetic", source, settings.filters)
    if settings.file is not None:
        return prepare(name, settings.file.path, folder, file=settings.file, filters=settings.filters)
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
    )


def write_split(
    setup: TemporalSetup | LeaveOneOutSetup, interactions: Path, summary: Path, output: Path, statistics_path: Path
) -> dict[str, Any]:
    """Splits a prepared dataset and writes the split and its statistics; returns the latter."""
    description = read_json(summary)
    if absent := [key for key in ("dataset", "label", "dataset_hash") if key not in description]:
        raise DataError(f"{summary}: lacks {', '.join(absent)}; delete it and run `createrec prepare` again")
    made = split(Interactions.load(interactions), setup)
    kept = {key: description[key] for key in ("dataset", "label", "dataset_hash")}
    facts = {**kept, "setup": setup.kind, **statistics(made)}
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
    """The split of one dataset and its statistics, prepared on the way where they are not there yet."""
    if name not in config.datasets and name != DEMO and name not in registry.datasets():
        raise ConfigError(f"unknown dataset '{name}'; known: {', '.join([*registry.datasets(), DEMO])}")
    data, folder = results / "data" / name, results / "splits" / name / setup
    output, facts = folder / "split.safetensors", folder / "split.json"
    if not (output.exists() and facts.exists()):
        if not ((data / INTERACTIONS_FILE).exists() and (data / DATASET_FILE).exists()):
            prepare_dataset(name, config.datasets.get(name, DatasetConfig()), config.data.mirror, data)
        settings = getattr(config.setups, setup.replace("-", "_"))
        write_split(settings, data / INTERACTIONS_FILE, data / DATASET_FILE, output, facts)
    return Split.load(output), read_json(facts)
