"""Own files from the command line: what `createrec stats` and `createrec datasets` say of them."""

import json
from pathlib import Path

import pytest
import yaml

from createrec.cli import main

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases"


@pytest.fixture
def stats(tmp_path, monkeypatch, capsys):
    """Runs `createrec stats mine` on a file; returns exit status, output and messages."""
    monkeypatch.chdir(tmp_path)

    def run(name, *options, filters=None, **file):
        dataset = {"file": {"path": str(CASES / name), **file}} | ({"filters": filters} if filters else {})
        Path("mine.yaml").write_text(yaml.safe_dump({"datasets": {"mine": dataset}}))
        status = main(["stats", "mine", *options, "--config", str(ROOT / "config.yaml"), "mine.yaml"])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_the_keys_that_others_rely_on(stats):
    facts = json.loads(stats("id_bom.csv", "--json")[1])
    keys = {"dataset", "label", "dataset_hash", "setup", "users", "items", "interactions", "test_cut", "validation_cut"}
    keys |= {"train_interactions", "train_users", "train_items", "test_users", "validation_users", "cold_targets"}
    assert keys | {"split_hash", "seen_targets", "warnings"} <= set(facts)
    assert (facts["users"], facts["items"], facts["interactions"]) == (40, 30, 320)
    assert "filters" not in facts


def test_seen_targets_are_counted_and_the_switch_is_named(stats):
    facts = json.loads(stats("s_repeat.csv", "--json")[1])
    assert facts["seen_targets"] == 1.0
    assert any("100.0 % of the test targets" in text and "remove_seen: false" in text for text in facts["warnings"])
    assert json.loads(stats("s_test_only.csv", "--json", filters={"first_of_repeats": True})[1])["seen_targets"] == 0.0


@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize("name", ["s_repeat.csv", "s_repeat300.csv"])
def test_a_seen_target_is_a_hit_only_where_seen_items_stay(tmp_path, monkeypatch, name, remove_seen):
    """The smaller catalogue has nine items, fewer than any cutoff."""
    monkeypatch.chdir(tmp_path)
    dataset = {"remove_seen": remove_seen, "file": {"path": str(CASES / name)}}
    Path("mine.yaml").write_text(yaml.safe_dump({"datasets": {"mine": dataset}}))
    assert main(["run", "mine", "svd", "--device", "cpu", "--config", str(ROOT / "config.yaml"), "mine.yaml"]) == 0
    record = json.loads(next(Path("results").rglob("record.json")).read_text())
    seen, recall = record["data"]["seen_targets"], record["metrics"]["recall@100"]
    assert seen == 1.0 if name == "s_repeat.csv" else 0.5 < seen < 1
    assert recall <= 1 - seen if remove_seen else recall > 1 - seen


def test_few_test_users_are_told_with_what_tests_more(stats):
    text = stats("t_float_frac.csv")[1]
    assert "  warning: " in text
    assert "test users are few" in text
    assert "--setup leave-one-out" in text
    facts = json.loads(stats("t_float_frac.csv", "--setup", "leave-one-out", "--json")[1])
    assert facts["test_users"] == 40
    assert not any("--setup leave-one-out" in warning for warning in facts["warnings"])


def test_filters_stand_in_the_facts(stats):
    facts = json.loads(stats("u.data", "--json", user=1, item=2, time=4, filters={"item_core": 10})[1])
    assert facts["filters"] == [{"filter": "item_core", "value": 10, "rows": 320 - facts["interactions"]}]
    assert 0 < facts["interactions"] < 320


@pytest.mark.parametrize("name", ["id_quote_swallow.tsv", "u.data", "ratings.dat", "amazon23.jsonl", "lastfm1k.tsv"])
def test_a_refusal_is_one_line_and_status_2(stats, name):
    status, out, err = stats(name)
    assert (status, out) == (2, "")
    assert err.startswith("createrec: error: ") and err.count("\n") == 1
    assert name in err
    assert not list(Path().rglob("*.parquet"))


def test_datasets_knows_the_overlays(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["datasets"]) == 0  # without a configuration
    registered = capsys.readouterr().out.split()
    assert {"ml-1m", "yambda-50m", "demo"} <= set(registered)
    Path("mine.yaml").write_text("datasets: {my-shop: {file: {path: x.csv}}}\n")
    assert main(["datasets", "--config", str(ROOT / "config.yaml"), "mine.yaml"]) == 0
    assert capsys.readouterr().out.split() == [*registered, "my-shop"]
