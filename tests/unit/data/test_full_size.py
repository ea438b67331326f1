"""The datasets that could not be had here: made files of their official layout and size, from download to record."""

import dataclasses
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from createrec.cli import main
from createrec.data.registry import dataset
from createrec.data.synthetic import shaped

ROOT = Path(__file__).parents[3]


def reviews(path, made):
    with gzip.open(path, "wt", compresslevel=1) as file:
        for user, item, time in zip(made.user.tolist(), made.item.tolist(), made.time.tolist(), strict=True):
            day = time - time % 86_400
            review = {"reviewerID": f"A{user}", "asin": f"B{item}", "overall": 5.0, "unixReviewTime": day}
            file.write(json.dumps({**review, "reviewText": "made"}) + "\n")


def likes(path, made):
    columns = {"uid": made.user, "timestamp": made.time - made.time.min(), "item_id": made.item}
    arrays = {name: pa.array(values.astype(np.uint32)) for name, values in columns.items()}
    pq.write_table(pa.table({**arrays, "is_organic": pa.array(np.ones(len(made.user), np.uint8))}), path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "write", "loss", "remove_seen"),
    [("amazon-clothing", reviews, "full", True), ("yambda-50m", likes, "scalable", False)],
)
def test_made_files_of_their_size_go_all_the_way(tmp_path, monkeypatch, name, write, loss, remove_seen):
    entry, mirror = dataset(name), tmp_path / "mirror"
    mirror.mkdir()
    counts = entry.counts
    write(mirror / entry.file, shaped(counts.users, counts.items, counts.interactions))
    digest = hashlib.sha256((mirror / entry.file).read_bytes()).hexdigest()
    (mirror / "SHA256SUMS").write_text(f"{digest}  {entry.file}\n")
    monkeypatch.setenv("CREATEREC_MIRROR", str(mirror))
    monkeypatch.chdir(tmp_path)
    config = ["--config", str(ROOT / "config.yaml")]
    settings = ["dimension=8", "max_length=10", "blocks=1", "heads=1", "training.epochs=1"]
    assert main(["run", name, "sasrec", "--set", *settings, "--results", "results", *config]) == 0
    record = json.loads((tmp_path / f"results/runs/{name}/sasrec/table2/seed0/record.json").read_text())
    assert record["settings"]["loss"]["kind"] == loss
    assert record["evaluation"]["remove_seen"] is remove_seen
    assert all(0 <= value <= 1 for value in record["metrics"].values())
    summary = json.loads((tmp_path / f"results/data/{name}/dataset.json").read_text())
    assert [summary[key] for key in ("users", "items", "interactions")] == list(dataclasses.astuple(counts))
