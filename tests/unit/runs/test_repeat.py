"""A published run made again: what it compares, and what it refuses."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from createrec import cli
from createrec.files import read_json
from createrec.runs.repeat import compare, told

RUN = "mine/sasrec/table2/seed1"


@pytest.fixture
def published(project):
    """The project with a record of `RUN` that was published."""
    assert cli.main(["run", "mine", "sasrec", "--seed", "1", "--device", "cpu", "--results", "elsewhere"]) == 0
    target = project / "results/published/runs"
    target.mkdir(parents=True)
    (project / "elsewhere/runs/mine").rename(target / "mine")
    return project


def repeat(*options):
    return cli.main(["repeat", RUN, "--device", "cpu", *options])


def test_the_same_run_gives_the_same_digits(published, capsys):
    assert repeat() == 0
    printed = capsys.readouterr().out
    assert "  The same digits." in printed
    record = read_json(published / "results/repeated/runs" / RUN / "record.json")
    assert f"{100 * record['metrics']['ndcg@5']:.4f} %" in printed
    assert not list(published.rglob("checkpoint*"))
    found = compare(RUN, published / "results/published", published / "results/repeated")
    assert found.identical
    assert found.made_otherwise == []
    assert found.same_ranks == found.users == record["data"]["test_users"]


def test_a_metric_and_a_rank_that_differ_are_seen_and_what_else_is_not_the_same_is_named(published):
    assert repeat() == 0
    folder = published / "results/repeated/runs" / RUN
    record, ranks = read_json(folder / "record.json"), pq.read_table(folder / "ranks.parquet")
    moved = ranks["rank"].to_numpy().copy()
    moved[3] += 1
    pq.write_table(ranks.set_column(1, "rank", pa.array(moved)), folder / "ranks.parquet")
    places = published / "results/published", published / "results/repeated"
    found = compare(RUN, *places)
    assert (found.identical, found.same_ranks) == (False, found.users - 1)
    record["metrics"]["ndcg@5"] += 0.01
    record["device"] = "cuda: another"
    (folder / "record.json").write_text(json.dumps(record))
    found = compare(RUN, *places)
    assert found.made_otherwise == ["device"]
    lines = "\n".join(told(found))
    assert "+1.0000" in lines
    assert "Not the same device: cpu" in lines
    assert lines.endswith("Not the same digits.")


def test_what_is_no_published_run_of_the_plan_is_refused_before_anything_is_trained(published, capsys):
    assert cli.main(["repeat", "mine/sasrek/table2/seed1"]) == 2
    told = capsys.readouterr().err
    assert "the plan has no such run" in told and "did you mean 'mine/sasrec/table2/seed1'?" in told
    assert len(told) < 200
    assert cli.main(["repeat", RUN, "mine/sasrec/table2/seed0"]) != 0
    assert "there is no such record" in capsys.readouterr().err
    config = yaml.safe_load((published / "config.yaml").read_text())
    config["models"]["sasrec"]["dropout"] = 0.1
    (published / "config.yaml").write_text(json.dumps(config))
    assert repeat() == 2
    assert "settings.dropout is" in capsys.readouterr().err
    assert not (published / "results/repeated").exists()


def test_a_record_of_other_data_is_no_measure_for_todays(published, capsys):
    rows = (published / "mine.csv").read_text().splitlines()
    (published / "mine.csv").write_text("\n".join(rows[:-9]) + "\n")
    assert repeat() != 0
    assert "it was measured on other data" in capsys.readouterr().err
    assert not (published / "results/repeated/runs" / RUN).exists()
