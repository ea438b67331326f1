"""Commands about data: prepare, split, stats, datasets. Each imports what it needs when it runs."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from createrec.config import DatasetConfig, LeaveOneOutSetup, TemporalSetup, TimeToSplitSetup, validate
from createrec.data import registry
from createrec.errors import ConfigError, DataError
from createrec.options import add_config, config_of, json_option

SETUPS: Mapping[str, type[BaseModel]] = {
    "temporal": TemporalSetup,
    "leave-one-out": LeaveOneOutSetup,
    "time-to-split": TimeToSplitSetup,
}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    add_config(command)
    command.set_defaults(run=run_datasets)


def run_datasets(options: argparse.Namespace) -> None:
    """The registered datasets, and those that the configuration, if there is one, adds."""
    default = Path("config.yaml")
    known = {} if options.config == [default] and not default.exists() else config_of(options).datasets
    print("\n".join(dict.fromkeys([*registry.datasets(), registry.DEMO, *known])))


def run_prepare(options: argparse.Namespace) -> None:
    from createrec.data import account
    from createrec.data.datasets import prepare_dataset
    from createrec.data.prepare import INTERACTIONS_FILE
    from createrec.written import DATASET_FILE

    settings = json_option(options.settings, "--settings")
    dataset = validate(settings.get("dataset", {}), f"settings of {options.dataset}", DatasetConfig)
    folder = options.interactions.parent
    if (options.interactions.name, options.summary) != (INTERACTIONS_FILE, folder / DATASET_FILE):
        raise ConfigError(f"a prepared dataset is written as {INTERACTIONS_FILE} and {DATASET_FILE} in one folder")
    facts = prepare_dataset(options.dataset, dataset, settings.get("mirror"), folder)
    print("\n".join(account.lines(facts)))


def run_split(options: argparse.Namespace) -> None:
    from createrec.data.account import warning_line
    from createrec.data.datasets import write_split

    setup = validate(json_option(options.settings, "--settings"), "settings of the setup", SETUPS[options.setup])
    facts = write_split(setup, options.interactions, options.summary, options.output, options.statistics)
    if facts["dataset"] != options.dataset:
        raise DataError(f"{options.summary}: is of {facts['dataset']}, expected {options.dataset}")
    print(
        f"{options.dataset}, {options.setup}: {facts['train_interactions']:,} training rows of "
        f"{facts['train_users']:,} users, {facts['test_users']:,} test users "
        f"(targets: {100 * facts['cold_targets']:.1f} % cold, {100 * facts['seen_targets']:.1f} % seen before)"
    )
    for warning in facts["warnings"]:
        print(warning_line(warning))


def run_stats(options: argparse.Namespace) -> None:
    from createrec.data.account import filter_line, warning_line
    from createrec.data.datasets import split_dataset

    _, facts = split_dataset(config_of(options), options.dataset, options.setup)
    for cut in ("test_cut", "validation_cut"):
        # Timestamps are whole seconds: rows at or before a cut are those at or before its floor.
        facts[cut] = None if facts[cut] is None else int(facts[cut])
    if options.json:
        print(json.dumps(facts))
        return
    warnings, filters = facts.pop("warnings"), facts.pop("filters", [])
    shown = {key: value for key, value in facts.items() if not isinstance(value, dict)}
    width = max(map(len, shown))
    for key, value in shown.items():
        print(f"{key:<{width}}  {value:,}" if isinstance(value, int) else f"{key:<{width}}  {value}")
    print("\n".join([*map(filter_line, filters), *map(warning_line, warnings)]))
