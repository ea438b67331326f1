"""The JSON files between commands: sound ones are taken as they are, a value of another type is named."""

import json
from pathlib import Path

import pytest

from createrec.errors import DataError
from createrec.written import DatasetFile, FetchedFile, RecordFile, SplitFile, TrainingFile, read_written

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
RECORD = PUBLISHED / "runs/amazon-beauty/create/table2/seed0/record.json"
FILES = {
    DatasetFile: PUBLISHED / "data/amazon-beauty/dataset.json",
    SplitFile: PUBLISHED / "splits/amazon-beauty/temporal/split.json",
    RecordFile: RECORD,
}


def sound(kind):
    if kind in FILES:
        return json.loads(FILES[kind].read_text())
    if kind is FetchedFile:
        return {"sha256": "0", "origin": "official", "label": ""}
    record = json.loads(RECORD.read_text())
    return {key: record[key] for key in ("history", "best_epoch", "device")} | {"run": {}, "seconds": 1.5}


@pytest.mark.parametrize("kind", [*FILES, TrainingFile, FetchedFile])
def test_every_key_has_its_type(kind, tmp_path):
    whole, path = sound(kind), tmp_path / "file.json"
    path.write_text(json.dumps(whole))
    assert read_written(path, kind) == whole
    for key in whole.keys() & kind.model_fields.keys():
        other = 7 if isinstance(whole[key], str | list | dict) else "spoilt"
        path.write_text(json.dumps(whole | {key: other}))
        with pytest.raises(DataError, match=rf"file.json: {key}.*the file is damaged: delete it and run again"):
            read_written(path, kind)


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda record: record["metrics"].update({"ndcg@10": "high"}), "metrics.ndcg@10"),
        (
            lambda record: record["sensitivity"]["target=first"].update({"ndcg@10": []}),
            "sensitivity.target=first.ndcg@10",
        ),
        (lambda record: record["history"][3].update(losses=7), "history.3.losses"),
        (lambda record: record["data"].update(test_users="many"), "data.test_users"),
        (lambda record: record.update(seed=True), "seed"),
        (lambda record: record["seconds"].update(train=None), "seconds.train"),
    ],
)
def test_what_lies_deeper_is_named_by_its_path(spoil, where, tmp_path):
    record, path = sound(RecordFile), tmp_path / "record.json"
    spoil(record)
    path.write_text(json.dumps(record))
    with pytest.raises(DataError) as caught:
        read_written(path, RecordFile)
    assert str(caught.value).startswith(f"{path}: {where}: ")


def test_a_null_metric_is_sound(tmp_path):
    record, path = sound(RecordFile), tmp_path / "record.json"
    record["metrics"]["ndcg@10"] = None
    path.write_text(json.dumps(record))
    assert read_written(path, RecordFile)["metrics"]["ndcg@10"] is None
