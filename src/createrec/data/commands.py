"""Commands about data: prepare, split, stats, datasets."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from createrec.config import DatasetConfig, LeaveOneOutSetup, ProjectConfig, TemporalSetup, TimeToSplitSetup, validate
from createrec.data import registry
from createrec.data.download import fetch
from createrec.data.interactions import Interactions
from createrec.data.prepare import DATASET_FILE, INTERACTIONS_FILE, prepare, write_dataset
from createrec.data.split import Split, split, statistics
from createrec.data.synthetic import demo_interactions
from createrec.errors import ConfigError, DataError
from createrec.files import read_json, write_json
from createrec.options import RESULTS, add_config, config_of, json_option

RAW = Path("data/raw")
DEMO = "demo"
SETUPS = {"temporal": TemporalSetup, "leave-one-out": LeaveOneOutSetup, "time-to-split": TimeToSplitSetup}


def register(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("prepare", help="fetch and read one dataset")
    command.add_argument("dataset")
    command.add_argument("--settings", required=True, help='JSON: {"dataset": settings, "mirror": folder or URL}')
    command.add_argument("--interactions", type=Path, required=True, metavar="PARQUET")
    command.add_argument("--summary", type=Path, required=True, metavar="JSON")
    command.set_defaults(run=run_prepare)

    command = commands.add_parser("split", help="split one prepared dataset")
    command.add_argument("dataset")
    command.add_argument("--setup", choices=SETUPS, required=True)
    command.add_argument("--settings", required=True, help="JSON of the setup's settings")
    command.add_argument("--interactions", type=Path, required=True, metavar="PARQUET")
    command.add_argument("--summary", type=Path, required=True, metavar="JSON")
    command.add_argument("--output", type=Path, required=True, metavar="SAFETENSORS")
    command.add_argument("--statistics", type=Path, required=True, metavar="JSON")
    command.set_defaults(run=run_split)

    command = commands.add_parser("stats", help="print what one dataset and its split contain")
    command.add_argument("dataset")
    command.add_argument("--setup", choices=SETUPS, default="temporal")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    add_config(command)
    command.set_defaults(run=run_stats)

    command = commands.add_parser("datasets", help="list the datasets, one name a line")
    command.set_defaults(run=lambda _: print("\n".join([*registry.datasets(), DEMO])))


def prepare_dataset(name: str, settings: DatasetConfig, mirror: str | None, folder: Path) -> dict[str, Any]:
    """Fetches, reads and writes one dataset: interactions.parquet and dataset.json in `folder`.

    Raises:
        ConfigError: the name is unknown.
        DownloadError, DataError: the file cannot be had, or is not what it should be.
    """
    mirror = os.environ.get("CREATEREC_MIRROR") or mirror
    if name == DEMO and settings.file is None:
        source = {"file": None, "origin": "generated", "sha256": None}
        return write_dataset(folder, name, demo_interactions(), "synthetic", source)
    if settings.file is not None:
        columns = settings.file.model_dump(include={"user", "item", "time"})
        return prepare(name, settings.file.path, folder, reader="table", columns=columns)
    entry = registry.dataset(name)
    fetched = fetch(entry, RAW, mirror)
    return prepare(
        name,
        fetched.path,
        folder,
        reader=entry.reader,
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


def run_prepare(options: argparse.Namespace) -> None:
    settings = json_option(options.settings, "--settings")
    dataset = validate(settings.get("dataset", {}), f"settings of {options.dataset}", DatasetConfig)
    folder = options.interactions.parent
    if (options.interactions.name, options.summary) != (INTERACTIONS_FILE, folder / DATASET_FILE):
        raise ConfigError(f"a prepared dataset is written as {INTERACTIONS_FILE} and {DATASET_FILE} in one folder")
    facts = prepare_dataset(options.dataset, dataset, settings.get("mirror"), folder)
    label = f" [{facts['label']}]" if facts["label"] else ""
    print(
        f"{options.dataset}: {facts['users']:,} users, {facts['items']:,} items, "
        f"{facts['interactions']:,} interactions{label}"
    )


def run_split(options: argparse.Namespace) -> None:
    setup = validate(json_option(options.settings, "--settings"), "settings of the setup", SETUPS[options.setup])
    facts = write_split(setup, options.interactions, options.summary, options.output, options.statistics)
    if facts["dataset"] != options.dataset:
        raise DataError(f"{options.summary}: is of {facts['dataset']}, expected {options.dataset}")
    print(
        f"{options.dataset}, {options.setup}: {facts['train_interactions']:,} training rows of "
        f"{facts['train_users']:,} users, {facts['test_users']:,} test users"
    )


def run_stats(options: argparse.Namespace) -> None:
    _, facts = split_dataset(config_of(options), options.dataset, options.setup)
    for cut in ("test_cut", "validation_cut"):
        # Timestamps are whole seconds: rows at or before a cut are those at or before its floor.
        facts[cut] = None if facts[cut] is None else int(facts[cut])
    if options.json:
        print(json.dumps(facts))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key:<{width}}  {value:,}" if isinstance(value, int) else f"{key:<{width}}  {value}")
