"""The typed configuration: wrong keys are named, layers merge, kinds replace."""

import os
from pathlib import Path

import pytest
import torch
import yaml

from createrec.config import ProjectConfig, load, merge, read_yaml, schema, validate
from createrec.errors import ConfigError
from createrec.randomness import Randomness

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.yaml"


def changed(**overlay):
    return merge(read_yaml(CONFIG), overlay)


def test_the_projects_configuration_and_its_overlays_are_valid():
    load([CONFIG])
    for overlay in sorted((ROOT / "config").glob("*.yaml")):
        load([CONFIG, overlay])


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"datsets": {}}, ["datsets: no such key; known: data, datasets, ", "did you mean 'datasets'?"]),
        (
            {"models": {"sasrec": {"kind": "sasrec", "dropuot": 0.1}}},
            ["models.sasrec.dropuot: no such key; known: ", "block_order", "did you mean 'dropout'?"],
        ),
        (
            {"models": {"create": {"kind": "create", "sequence": {"kind": "sasrec", "head": 1}}}},
            ["models.create.sequence.head: no such key; known: ", "did you mean 'heads'?"],
        ),
        (
            {"models": {"create": {"sequence": {"kind": "sas"}}}},
            ["models.create.sequence: no such kind 'sas'; known: sasrec, "],
        ),
        ({"models": {"create": {"graph": {"l2": 1}}}}, ["models.create.graph: expected", "one of lightgcn, ultragcn"]),
        ({"datasets": {"shop": {"file": {"pth": "x", "path": "x"}}}}, ["datasets.shop.file.pth: ", "'path'?"]),
        ({"setups": {"leave_one_out": {}}}, ["setups.leave_one_out: no such key", "did you mean 'leave-one-out'?"]),
        ({"ablations": {"warmup": {"valus": [1]}}}, ["ablations.warmup.valus: no such key; known: ", "'values'?"]),
        ({"tuning": {"spaces": {"svd": {"rank": {"low": 1, "hgh": 2}}}}}, ["tuning.spaces.svd.rank.hgh: ", "'high'?"]),
        ({"models": {"sasrec": {"kind": "sasrec", "dropout": 1.5}}}, ["dropout", "less than 1", "1.5"]),
        ({"models": {"x": {"kind": "transformer"}}}, ["models.x", "transformer"]),
        ({"table1": ["amazon-beuty"]}, ["table1.datasets", "amazon-beuty", "known", "did you mean 'amazon-beauty'?"]),
        ({"table2": {"models": ["sasrecc"]}}, ["table2.models", "sasrecc"]),
        ({"ablations": {"warmup": {"values": ["many"]}}}, ["ablations.warmup.values.0", "many"]),
        ({"models": {"l": {"kind": "lightgcn", "graph_last": 3, "graph_percent": 5}}}, ["graph_last", "exclude"]),
        ({"evaluation": {"target": "middle"}}, ["evaluation.target", "middle"]),
        ({"evaluation": {"cutoffs": []}}, ["evaluation.cutoffs", "at least 1"]),
        ({"evaluation": {"cutoffs": [10, 10]}}, ["evaluation: cutoffs: 10 stands there twice; name each once"]),
        ({"table2": {"seeds": [0, 0, 1]}}, ["table2: seeds: 0 stands there twice"]),
        ({"table2": {"models": ["sasrec", "sasrec"]}}, ['table2: models: "sasrec" stands there twice']),
        ({"ablations": {"barlow_weight": {"values": [0.2, 0.20]}}}, ["barlow_weight: values: 0.2 stands there twice"]),
        ({"table2": {"seeds": [True]}}, ["table2.seeds.0: expected a number, not yes or no"]),
        ({"models": {"sasrec": {"kind": "sasrec", "dropout": False}}}, ["dropout: expected a number, not yes or no"]),
    ],
)
def test_a_wrong_key_or_value_is_named(overlay, words):
    with pytest.raises(ConfigError) as caught:
        validate(changed(**overlay))
    assert all(word in str(caught.value) for word in words), caught.value


def test_all_findings_are_told_at_once():
    with pytest.raises(ConfigError, match="2 problem"):
        validate(changed(one=1, two=2))


def test_nothing_of_a_configuration_can_be_changed():
    config = load([CONFIG])
    with pytest.raises(Exception, match="frozen"):
        config.hparams = "elsewhere"


def test_merge_merges_maps_replaces_lists_and_does_not_touch_its_arguments():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    overlay = {"a": {"c": [3]}, "e": 5}
    assert merge(base, overlay) == {"a": {"b": 1, "c": [3]}, "d": 4, "e": 5}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert overlay == {"a": {"c": [3]}, "e": 5}


def test_a_map_whose_kind_changes_is_replaced_whole():
    base = {"graph": {"kind": "ultragcn", "negatives": 5, "l2": 1.0}}
    assert merge(base, {"graph": {"kind": "lightgcn"}}) == {"graph": {"kind": "lightgcn"}}
    assert merge(base, {"graph": {"kind": "ultragcn", "l2": 2.0}}) == {
        "graph": {"kind": "ultragcn", "negatives": 5, "l2": 2.0}
    }
    assert merge(base, {"graph": {"l2": 3.0}})["graph"] == {"kind": "ultragcn", "negatives": 5, "l2": 3.0}


@pytest.mark.parametrize(("text", "message"), [("a: [1", "line"), ("- 1", "mapping"), ("", "mapping")])
def test_a_file_that_is_no_mapping_is_explained(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"(?s)config\.yaml.*{message}"):
        read_yaml(path)


def test_an_overlay_alone_is_told_what_it_stands_on(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("datasets: {shop: {}}\n")
    with pytest.raises(ConfigError, match=r"mine.yaml: lacks models, table1, .*as in --config config.yaml mine.yaml"):
        load([path])


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load([tmp_path / "none.yaml"])


def test_the_schema_knows_every_key():
    written = schema()
    assert set(written["properties"]) == set(ProjectConfig.model_fields)
    assert written["additionalProperties"] is False


# --- randomness -----------------------------------------------------------------------------------------------------


def test_purposes_do_not_disturb_each_other():
    first, second = Randomness(0), Randomness(0)
    first.generator("order/edges").manual_seed(5)
    assert first.generator("masking").initial_seed() == second.generator("masking").initial_seed()
    seeds = {Randomness(seed).derived_seed(name) for seed in (0, 1) for name in ("a", "b", "init/a")}
    assert len(seeds) == 6


def test_what_was_first_used_after_a_state_begins_again():
    one = Randomness(0)
    torch.rand(2, generator=one.generator("order/edges"))
    state = one.state()
    expected = [torch.rand(3, generator=one.generator(name)) for name in ("order/edges", "masking")]
    one.load_state(state)
    again = [torch.rand(3, generator=one.generator(name)) for name in ("order/edges", "masking")]
    for before, after in zip(expected, again, strict=True):
        assert torch.equal(before, after)


def test_paths_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    """Wherever one stands; ~ is the home, and a URL stays a URL."""
    root, other = tmp_path / "root", tmp_path / "other"
    for folder in (root, other):
        folder.mkdir()
    settings = yaml.safe_load(CONFIG.read_text()) | {"data": {"mirror": "raw"}}
    (root / "config.yaml").write_text(yaml.safe_dump(settings))
    own = {"shop": {"file": {"path": "shop.csv"}}, "home": {"file": {"path": "~/mine.csv"}}}
    (other / "overlay.yaml").write_text(yaml.safe_dump({"datasets": own}))
    monkeypatch.setenv("HOME", str(tmp_path))
    for here in (root, other, tmp_path):
        monkeypatch.chdir(here)
        config = load([os.path.relpath(root / "config.yaml"), os.path.relpath(other / "overlay.yaml")])
        assert config.hparams == str(root / "hparams")
        assert config.data.mirror == str(root / "raw")
        assert config.datasets["shop"].file.path == str(other / "shop.csv")
        assert config.datasets["home"].file.path == str(tmp_path / "mine.csv")
        assert config.files == (str(root / "config.yaml"), str(other / "overlay.yaml"))
    (other / "overlay.yaml").write_text("data: {mirror: https://example.org/raw}\n")
    assert load([root / "config.yaml", other / "overlay.yaml"]).data.mirror == "https://example.org/raw"


@pytest.mark.parametrize("name", ["ml-1m", "Amazon-Beauty"])
def test_a_file_cannot_take_the_name_of_a_paper_dataset(name):
    """It would take that dataset's tuned settings, counts and title."""
    with pytest.raises(ConfigError, match=f"datasets.{name}.file: the name is that of a dataset of the paper"):
        validate(changed(datasets={name: {"file": {"path": "mine.csv"}}}))
    validate(changed(datasets={"mine": {"file": {"path": "mine.csv"}}}))
