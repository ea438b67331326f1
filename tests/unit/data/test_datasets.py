"""What was prepared or split before counts only as long as nothing changed that it was made from."""

import json
import os
from pathlib import Path

import pytest
from support import interactions

from createrec.config import merge, read_yaml, validate
from createrec.data import datasets
from createrec.data.datasets import split_dataset

ROOT = Path(__file__).parents[3]
FILES = (
    *("data/shop/dataset.json", "data/shop/interactions.parquet"),
    *("splits/shop/temporal/split.json", "splits/shop/temporal/split.safetensors"),
)


def csv_of(data, rows=None):
    lines = [
        f"{data.user_ids[user]},{data.item_ids[item]},{time},{5 - item % 2}"
        for user, item, time in zip(data.user, data.item, data.time, strict=True)
    ]
    return "user,item,time,rating\n" + "\n".join(lines[:rows]) + "\n"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """An own file, and a function that splits it under changes of the configuration."""
    monkeypatch.chdir(tmp_path)
    data = interactions(users=60, items=40, seed=2)
    (tmp_path / "shop.csv").write_text(csv_of(data))
    base = merge(read_yaml(ROOT / "config.yaml"), {"hparams": None})

    def split(setups=None, **dataset):
        own = {"file": {"path": str(tmp_path / "shop.csv")}}
        overlay = {"datasets": {"shop": merge(own, dataset)}, "setups": setups or {}}
        return split_dataset(validate(merge(base, overlay)), "shop", "temporal")[1]

    split.data, split.folder = data, tmp_path
    return split


def times(folder):
    return [os.stat(folder / "results" / file).st_mtime_ns for file in FILES]  # noqa: PTH116


def test_nothing_is_made_again_where_nothing_changed(shop, capsys):
    first, before = shop(), times(shop.folder)
    assert shop() == first
    assert times(shop.folder) == before
    assert capsys.readouterr().err == ""


def test_a_changed_file_is_prepared_and_split_again(shop, capsys):
    first = shop()
    path = shop.folder / "shop.csv"
    path.write_text(csv_of(shop.data, rows=200))
    os.utime(path, (1, 1))  # content counts, not the date
    second = shop()
    assert (first["interactions"], second["interactions"]) == (len(shop.data), 200)
    assert first["split_hash"] != second["split_hash"]
    err = capsys.readouterr().err
    assert f"shop is prepared again: results/data/shop/dataset.json: {path} changed since" in err
    assert "shop is split again" in err and "its rows changed since" in err


def test_another_cut_is_split_again_and_nothing_is_prepared(shop, capsys):
    first, before = shop(), times(shop.folder)
    second = shop(setups={"temporal": {"test_quantile": 0.5}})
    assert second["test_cut"] < first["test_cut"]
    assert times(shop.folder)[:2] == before[:2]
    assert (
        "shop is split again: results/splits/shop/temporal/split.json: setups.temporal changed"
        in capsys.readouterr().err
    )
    assert shop() == first, "and back"


@pytest.mark.parametrize(
    "change",
    [
        {"filters": {"user_core": 5}},
        {"filters": {"minimum_rating": 5}, "file": {"rating": "rating"}},
        {"file": {"user": "item", "item": "user"}},
    ],
    ids=["a filter", "a filter and its column", "other columns"],
)
def test_other_settings_of_the_dataset_are_prepared_again(shop, capsys, change):
    first = shop()
    second = shop(**change)
    assert second["dataset_hash"] != first["dataset_hash"]
    assert "the settings of the dataset changed since" in capsys.readouterr().err


def test_settings_that_do_not_touch_the_rows_prepare_nothing_again(shop):
    shop()
    before = times(shop.folder)
    shop(max_length=7, remove_seen=False)
    assert times(shop.folder) == before


@pytest.mark.parametrize("rule", ["prepare", "split"])
def test_what_other_code_made_is_made_again(shop, capsys, monkeypatch, rule):
    shop()
    known = datasets.rule_version
    monkeypatch.setattr(datasets, "rule_version", lambda wanted: "another" if wanted == rule else known(wanted))
    shop()
    assert "changed since" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["data/shop/dataset.json", "splits/shop/temporal/split.json"])
@pytest.mark.parametrize("text", [None, "{", "[]"], ids=["without its origin", "damaged", "no object"])
def test_what_does_not_say_how_it_was_made_is_made_again(shop, capsys, file, text):
    first, path = shop(), shop.folder / "results" / file
    if text is None:
        facts = json.loads(path.read_text())
        del facts["made_from"]
        text = json.dumps(facts)
    path.write_text(text)
    assert shop() == first
    assert file in capsys.readouterr().err


def test_a_file_that_is_gone_is_an_error_though_it_was_prepared(shop):
    shop()
    (shop.folder / "shop.csv").unlink()
    with pytest.raises(datasets.DataError, match=r"shop\.csv"):
        shop()
