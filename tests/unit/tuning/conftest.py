"""A small dataset, its split, and studies of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from createrec.config import TemporalSetup, merge, read_yaml, validate
from createrec.data.split import Split, split, statistics
from createrec.data.synthetic import demo_interactions
from createrec.tuning.space import study_slice

ROOT = Path(__file__).parents[3]
TINY = {"kind": "sasrec", "dimension": 8, "blocks": 1, "heads": 1, "training": {"patience": 50}}
BUDGET = {"trials": 4, "startup_trials": 2, "max_epochs": 3, "pruning_trials": 2, "pruning_epochs": 1, "first": {}}
BUDGET |= {"finalists": 1, "finalist_seeds": 1}  # test_choice.py has more of both


@pytest.fixture(scope="session")
def tiny_split() -> Split:
    return split(demo_interactions(users=120, items=60), TemporalSetup())


@pytest.fixture(scope="session")
def slice_of() -> Callable[..., dict[str, Any]]:
    """The slice of a study on the demo's dataset: its space, its model's fixed settings, its tuning settings."""

    def build(space: Mapping[str, Any], model: Mapping[str, Any] = TINY, **tuning: Any) -> dict[str, Any]:
        settings = merge(read_yaml(ROOT / "config.yaml"), {"datasets": {"demo": {"max_length": 10}}, "hparams": None})
        settings["models"][model["kind"]] = model
        settings["tuning"] = {**BUDGET, **tuning, "spaces": {model["kind"]: space}}
        return study_slice(validate(settings), "demo", model["kind"])

    return build


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[[Mapping[str, Any], Split], list[str]]:
    """The command line of a study, with its split on disk and all outputs in `tmp_path`."""

    def build(slice_: Mapping[str, Any], data: Split) -> list[str]:
        data.save(tmp_path / "split.safetensors")
        facts = {"dataset": "demo", "label": "synthetic", **statistics(data)}
        (tmp_path / "split.json").write_text(json.dumps(facts))
        files = {
            "split": "split.safetensors",
            "statistics": "split.json",
            "journal": "journal.log",
            "trials": "trials.csv",
            "choice": "choice.csv",
            "best": "best.yaml",
            "next": "next.yaml",
            "importance": "importance.png",
        }
        options = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
        return ["tune", "--settings", json.dumps(slice_), *options, "--device", "cpu"]

    return build
