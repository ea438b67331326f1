"""Two worlds: one with a record of every run, one with none."""

from pathlib import Path

import pytest
from made_up import DATASETS, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Records of every run: CREATE at 2.0 %, SASRec at 1.6 %, others at 1.0 %; seed 1 lies 0.2 points above seed 0."""
    levels = {"create": 0.02, "sasrec": 0.016}
    return World(tmp_path).fill(lambda run: levels.get(run.model, 0.01) + 0.002 * run.seed)


@pytest.fixture
def empty_world(tmp_path: Path) -> World:
    """No record, and no data at hand."""
    world = World(tmp_path)
    for dataset in DATASETS:
        (world.data / dataset / "dataset.json").unlink()
    return world
