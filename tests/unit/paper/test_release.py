"""Released weights: who won, that they are what was measured, and what the card says."""

import json
from pathlib import Path

import pytest
import yaml
from made_up import World, write_record

from createrec.errors import DataError
from createrec.paper import release as module
from createrec.paper.release import release, winners

WEIGHTS = b"weights"


@pytest.fixture
def trained(world: World, tmp_path: Path) -> Path:
    """The winner on Beauty, trained here, and its published record with what a card names."""
    run = world.run("amazon-beauty/create/table2/seed0")
    facts = {
        "parameters": 12345,
        "device": "cpu: made",
        "seconds": {"train": 7.4, "evaluate": 1},
        "code_version": "0+x",
    }
    write_record(world.records, run, ndcg=0.02, **facts)
    folder = write_record(tmp_path / "here" / "runs", run, ndcg=0.02, **facts).parent
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "training.json").write_text("{}")
    return tmp_path / "here"


def test_the_winner_is_the_best_mean(world: World) -> None:
    write_record(world.records, world.run("ml-1m/sasrec/table2/seed1"), ndcg=0.05)  # mean (1.6 + 5.0) / 2 beats 2.1
    assert [(dataset, model, len(runs)) for dataset, model, runs in winners(world.results())] == [
        ("amazon-beauty", "create", 2),
        ("ml-1m", "sasrec", 2),
    ]


def test_weights_come_with_a_card_and_what_is_missing_with_its_command(world: World, trained: Path) -> None:
    lines = list(release(world.results(), trained, world.out))
    assert lines == [
        f"amazon-beauty: create, 7 bytes, {world.out / 'amazon-beauty'}",
        "ml-1m: create won; its weights are not here: snakemake results/runs/ml-1m/create/table2/seed0/record.json -c2",
    ]
    folder = world.out / "amazon-beauty"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.safetensors", "training.json"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    metrics = yaml.safe_load(front)["model-index"][0]["results"][0]["metrics"]
    assert metrics[0] == {"name": "NDCG@10", "type": "ndcg@10", "value": 0.02}
    assert "# CREATE on Amazon Beauty" in text
    assert "| NDCG@10 | 2.00 | 2.10 |" in text  # seed 1 has 2.2
    assert "12,345 parameters" in text and "2 of 2 seeds" in text and "these terms: none stated" in text


def test_other_weights_than_those_measured_are_refused(world: World, trained: Path) -> None:
    record = trained / "runs" / "amazon-beauty/create/table2/seed0/record.json"
    record.write_text(json.dumps({"metrics": {"ndcg@10": 0.03}}))
    with pytest.raises(DataError, match=r"measured ndcg@10 0.03, the published record has 0.02"):
        list(release(world.results(), trained, world.out))
    assert not world.out.exists()


def test_more_than_the_limit_is_refused(world: World, trained: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 6)
    with pytest.raises(DataError, match="the weights are 7 bytes; expected 6 at most"):
        list(release(world.results(), trained, world.out))
    assert not world.out.exists()
