"""The JSON files that one command leaves for the next, and of what type each of their keys is.

Whoever reads such a file may rely on the types: a damaged one is refused here, by file and key, and not where its value
is used. Which keys a reader needs is the reader's business, because older files lack some.
"""

from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from createrec.errors import DataError
from createrec.files import read_json

DATASET_FILE, STATISTICS_FILE = "dataset.json", "split.json"

JsonObject: TypeAlias = dict[str, Any]
Measured: TypeAlias = dict[str, float | None]
"""Metrics by name, as fractions; None where the switches leave nobody to ask."""


class Written(BaseModel):
    """Keys may be absent, and others may stand beside them; those that are there are of these types."""

    model_config = ConfigDict(strict=True, extra="ignore")


class FetchedFile(Written):
    """What a download leaves beside a raw file."""

    sha256: str
    origin: str
    label: str


class DatasetFile(Written):
    """`results/data/DATASET/dataset.json` (`createrec prepare`)."""

    dataset: str = ""
    label: str = ""
    dataset_hash: str = ""
    source: JsonObject = {}
    made_from: JsonObject = {}
    users: int = 0
    items: int = 0
    interactions: int = 0
    read: JsonObject = {}
    filters: list[Any] = []
    warnings: list[str] = []
    expected: JsonObject | None = None


class SplitFile(Written):
    """`results/splits/DATASET/SETUP/split.json` (`createrec split`)."""

    dataset: str = ""
    label: str = ""
    dataset_hash: str = ""
    split_hash: str = ""
    setup: str = ""
    made_from: JsonObject = {}
    users: int = 0
    items: int = 0
    interactions: int = 0
    test_cut: float | None = None
    validation_cut: float | None = None
    train_interactions: int = 0
    train_users: int = 0
    train_items: int = 0
    test_users: int = 0
    test_users_with_history: int = 0
    validation_users: int = 0
    cold_targets: float = 0.0
    seen_targets: float = 0.0
    filters: list[Any] = []
    warnings: list[str] = []


class Epoch(Written):
    """One epoch of a training's history."""

    epoch: int = 0
    phase: str = ""
    losses: dict[str, float] = {}
    validation: Measured | None = None
    seconds: float = 0.0


class TrainingFile(Written):
    """`training.json` beside a model (`createrec train`)."""

    run: JsonObject = {}
    sources: list[JsonObject] = []
    notes: list[str] = []
    split_hash: str = ""
    history: list[Epoch] = []
    best_epoch: int | None = None
    best_value: float | None = None
    seconds: float = 0.0
    parameters: int = 0
    device: str = ""
    peak_memory_bytes: int = 0
    code_version: str = ""
    model_sha256: str = ""


class RecordFile(Written):
    """`record.json` of a run (`createrec evaluate`)."""

    dataset: str = ""
    model: str = ""
    variant: str = ""
    seed: int = 0
    setup: str = ""
    fold: str = ""
    label: str = ""
    data: SplitFile = SplitFile()
    settings: JsonObject = {}
    evaluation: JsonObject = {}
    sources: list[JsonObject] = []
    notes: list[str] = []
    metrics: Measured = {}
    sensitivity: dict[str, Measured] = {}
    history: list[Epoch] = []
    best_epoch: int | None = None
    parameters: int = 0
    device: str = ""
    libraries: dict[str, str] = {}
    code_version: str = ""
    seconds: dict[str, float] = {}
    peak_memory_bytes: int = 0


_DESCRIPTIONS: dict[str, type[Written]] = {DATASET_FILE: DatasetFile, STATISTICS_FILE: SplitFile}


def read_description(path: Path) -> dict[str, Any]:
    """Reads a prepared dataset's or a split's description, whichever the file's name says; errors as `read_written`."""
    return read_written(path, _DESCRIPTIONS[path.name])


def read_written(path: Path | str, kind: type[Written]) -> dict[str, Any]:
    """Reads one of these files.

    Raises:
        DataError: the file is missing, no JSON object, or a value is of another type.
    """
    value = read_json(path)
    try:
        kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}; the file is damaged: delete it and run again") from None
    return value
