"""Whether a record is what the plan asks for: the same run, settings, switches and data, key by key.

Nobody believes a record by its place: tables, figures, `metrics.csv`, the comparison, the workflow and the campaign all
ask here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from createrec.plan import Run
from createrec.written import DATASET_FILE, STATISTICS_FILE, read_description

IDENTITY = ("dataset", "model", "variant", "seed", "setup", "fold")


@dataclass(frozen=True)
class AddedSetting:
    """A setting that came after the first published records, and what the code did before there was a choice.

    Attributes:
        kind: `kind` of the model, encoder, loss or alignment that has it; `evaluation` for a switch of the evaluation.
        name: its key there; with dots where it stands deeper in a map without a kind (`training.x`).
        before: its value in every record that was written without it.
    """

    kind: str
    name: str
    before: Any


ADDED_SETTINGS: tuple[AddedSetting, ...] = (
    AddedSetting("evaluation", "target_draws", 1),
    AddedSetting("evaluation", "without_history", "ask"),
    AddedSetting("evaluation", "coverage_of", "catalogue"),
    AddedSetting("bert4rec", "attention_dropout", None),
    AddedSetting("bert4rec", "inner_dropout", None),
    AddedSetting("bert4rec", "attention_start", "xavier"),
    AddedSetting("bert4rec", "positions", "newest"),
    AddedSetting("sasrec", "positions", "newest"),
    AddedSetting("ultragcn", "initial_std", 0.001),
    AddedSetting("ultragcn", "negatives_shared_by", None),
)
"""One line for each setting added since: without it, records that are still true would count as another run's."""


def _unequal(
    asked: Mapping[str, Any], recorded: Mapping[str, Any], kind: str, added: Mapping[tuple[str, str], Any], inside: str
) -> Iterator[tuple[str, str]]:
    """Keys in which two nested maps differ, by their path, and how."""
    if "kind" in asked:
        kind, inside = asked["kind"], ""
    for key in [*asked, *(key for key in recorded if key not in asked)]:
        name = inside + key
        if key not in asked:
            yield key, f"is {_shown(recorded[key])}, and the plan has no such setting"
        elif key not in recorded:
            if (kind, name) not in added or added[kind, name] != asked[key]:
                yield key, f"is not in it, the plan says {_shown(asked[key])}"
        elif isinstance(asked[key], Mapping) and isinstance(recorded[key], Mapping):
            for path, how in _unequal(asked[key], recorded[key], kind, added, f"{name}."):
                yield f"{key}.{path}", how
        elif asked[key] != recorded[key]:
            yield key, f"is {_shown(recorded[key])}, the plan says {_shown(asked[key])}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def differences(
    run: Run,
    record: Mapping[str, Any],
    hashes: Mapping[str, str] | None = None,
    *,
    parts: Sequence[str] = ("settings", "evaluation"),
    added: Sequence[AddedSetting] = ADDED_SETTINGS,
) -> list[str]:
    """In what a record is not that of `run`; empty where it is.

    Args:
        run: what the plan asks for in the record's place.
        record: what `record.json` holds; for a `training.json`, its `run`.
        hashes: `dataset_hash` and `split_hash` of the data as they are today; what is absent is not compared.
        parts: what is compared beside the identity and the data; a training may know no switches of the evaluation.
        added: settings that older records do not name, and the value they were made with.

    Returns:
        One phrase for each difference: the key, what the record says, what the plan says.
    """
    found = [
        f"{key} is {_shown(record.get(key))}, the plan says {_shown(getattr(run, key))}"
        for key in IDENTITY
        if record.get(key) != getattr(run, key)
    ]
    before = {(setting.kind, setting.name): setting.before for setting in added}
    for part in parts:
        asked, recorded = getattr(run, part), record.get(part)
        if not isinstance(recorded, Mapping):
            found.append(f"it has no {part}")
            continue
        found += [f"{part}.{path} {how}" for path, how in _unequal(asked, recorded, part, before, "")]
    data = record.get("data")
    for key, today in (hashes or {}).items():
        if not isinstance(data, Mapping) or data.get(key) != today:
            found.append(f"it was measured on other data ({key} is not that of today's preparation)")
    return found


def training_differences(
    run: Run, training: Mapping[str, Any], hashes: Mapping[str, str] | None = None, *, validates: bool
) -> list[str]:
    """In what a `training.json` is not that of `run`; arguments and result as those of `differences`.

    Args:
        validates: the training is watched on a validation fold, so that the switches of the evaluation decide it, too.
    """
    trained, today = training.get("run"), {key: value for key, value in (hashes or {}).items() if key == "split_hash"}
    if not isinstance(trained, Mapping):
        return ["it does not say what was trained"]
    parts = ("settings", "evaluation") if validates else ("settings",)
    return differences(run, {**trained, "data": {"split_hash": training.get("split_hash")}}, today, parts=parts)


def summary(found: Sequence[str], most: int = 3) -> str:
    """The first differences in one line, and how many more there are."""
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more


@dataclass(frozen=True)
class Preparations:
    """The data and splits that records are compared with.

    Attributes:
        data: folder that holds `<dataset>/dataset.json`.
        splits: folder that holds `<dataset>/<setup>/split.json`.
    """

    data: Path
    splits: Path

    @cached_property
    def _read(self) -> dict[Path, Mapping[str, Any]]:
        return {}

    def files(self, dataset: str, setup: str) -> dict[str, Path]:
        """Which file says which hash."""
        return {
            "dataset_hash": self.data / dataset / DATASET_FILE,
            "split_hash": self.splits / dataset / setup / STATISTICS_FILE,
        }

    def hashes(self, dataset: str, setup: str) -> dict[str, str]:
        """`dataset_hash` and `split_hash`, as far as their files are there and name them."""
        found = {}
        for key, path in self.files(dataset, setup).items():
            if path not in self._read:
                self._read[path] = read_description(path) if path.exists() else {}
            if key in self._read[path]:
                found[key] = self._read[path][key]
        return found

    def differences(self, run: Run, record: Mapping[str, Any]) -> list[str]:
        """As the function of this name, against the data as they are today; data that are not there say so."""
        hashes = self.hashes(run.dataset, run.setup)
        absent = [path for key, path in self.files(run.dataset, run.setup).items() if key not in hashes]
        return differences(run, record, hashes) + [f"there is no {path} to compare its data with" for path in absent]
