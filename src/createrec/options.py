"""Command-line options that several commands share, and how their values are read."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from createrec.config import ProjectConfig, load
from createrec.errors import ConfigError, DataError
from createrec.written import SplitFile, read_written

if TYPE_CHECKING:
    from createrec.data.split import Split

RESULTS = Path("results")


class Commands(argparse.ArgumentParser):
    """A parser that loses nothing it was given: see `_Given`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)
        self.register("action", None, _Given)


class _Given(argparse.Action):
    """Stores an option's value; what is given twice would lose the first value without a word.

    An option with several values takes those of every time (`--set a=1 --set b=2`); one with a single value is refused
    the second time.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = namespace.__dict__.setdefault("_given", set())
        if self.dest in given:
            if self.nargs is None:
                parser.error(
                    f"{option_string} is given twice: {getattr(namespace, self.dest)} and {values}; give it once"
                )
            values = [*getattr(namespace, self.dest), *values]
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", nargs="+", type=Path, default=[Path("config.yaml")], help="config.yaml and its overlays, in order"
    )


def add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device", default="auto", help="auto (the freest visible card, else the CPU), cpu, cuda, cuda:N"
    )


def add_split(command: argparse.ArgumentParser) -> None:
    command.add_argument("--split", type=Path, required=True, metavar="SAFETENSORS")
    command.add_argument("--statistics", type=Path, required=True, metavar="JSON")


def split_of(options: argparse.Namespace, dataset: str) -> tuple["Split", dict[str, Any]]:
    """The split that the options name, and its statistics.

    Raises:
        DataError: they are not of this dataset, or not of each other.
    """
    from createrec.data.split import Split

    split, statistics = Split.load(options.split), read_written(options.statistics, SplitFile)
    if statistics.get("dataset") != dataset or statistics.get("split_hash") != split.hash:
        raise DataError(f"{options.statistics}: does not belong to {options.split} of {dataset}; split again")
    return split, statistics


def config_of(options: argparse.Namespace) -> ProjectConfig:
    return load(options.config)


def json_option(text: str, option: str) -> Any:
    """Parses an option's JSON value.

    Raises:
        ConfigError: it is not a JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{option}: not JSON ({error}); given: {text[:200]}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{option}: expected a JSON object, given: {text[:200]}")
    return value
