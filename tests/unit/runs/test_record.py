"""Records, their collection, and the sensitivity to the protocol's switches."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from support import CPU, interactions, run_of, small_split

from createrec.config import EvaluationConfig, TimeToSplitSetup
from createrec.data.split import split, statistics
from createrec.errors import DataError
from createrec.evaluation.metrics import metrics
from createrec.evaluation.ranking import rank
from createrec.evaluation.significance import read_ranks
from createrec.files import write_json
from createrec.matching import IDENTITY, Preparations
from createrec.plan import Run
from createrec.runs.collect import COLUMNS, collect
from createrec.runs.record import evaluate_run, write_record
from createrec.runs.run import train_run


@pytest.fixture(scope="module")
def evaluated():
    made = small_split(items=200, users=60)
    run = run_of("sasrec", fold="test", training={"epochs": 1})
    model, facts = train_run(run, made, CPU)
    about = {"dataset": "small", "label": "made", "dataset_hash": "that of small", **statistics(made)}
    return made, run, model, evaluate_run(run, made, about, model, facts)


def test_the_record_holds_the_metrics_of_its_ranks(evaluated):
    made, run, model, (record, table) = evaluated
    queries = made.queries("test", EvaluationConfig(**run.evaluation))
    ranking = rank(model, queries, remove_seen=True, k=100)
    assert record["metrics"] == metrics(ranking.ranks, ranking.top, made.item_count, (10, 100))
    assert table.column_names == ["user", "rank"]
    assert np.array_equal(table["rank"].to_numpy(), ranking.ranks)
    assert np.array_equal(table["user"].to_numpy(), queries.user)
    assert {key: record[key] for key in ("dataset", "model", "variant", "seed", "setup", "fold", "label")} == {
        "dataset": "small",
        "model": "sasrec",
        "variant": "test",
        "seed": 0,
        "setup": "temporal",
        "fold": "test",
        "label": "made",
    }


def test_several_draws_of_random_targets_are_in_the_ranks_and_average_to_the_record(evaluated, tmp_path):
    made, run, model, (record, _) = evaluated
    drawn = replace(run, evaluation=run.evaluation | {"target": "random", "target_draws": 3})
    facts = {key: record[key] for key in ("history", "best_epoch", "parameters", "device", "peak_memory_bytes")}
    facts |= {"code_version": "0.1.0+0", "seconds": 1.0}
    record, table = evaluate_run(drawn, made, record["data"], model, facts)
    write_record(record, table, tmp_path / "record.json", tmp_path / "ranks.parquet")
    ranks = read_ranks(tmp_path / "ranks.parquet")
    users = len(np.unique(ranks.user))
    assert len(ranks.rank) == 3 * users and np.unique(ranks.draw).tolist() == [0, 1, 2]
    assert len({tuple(ranks.rank[ranks.draw == draw]) for draw in range(3)}) > 1
    for metric in ("ndcg@10", "recall@100"):
        assert ranks.mean(metric) == pytest.approx(record["metrics"][metric])
        assert ranks.scores(metric).shape == (users,)
        assert ranks.scores(metric).mean() == pytest.approx(record["metrics"][metric])


def test_each_switch_is_measured_by_itself(evaluated):
    made, run, model, (record, _) = evaluated
    base = EvaluationConfig(**run.evaluation)
    for name, values in record["sensitivity"].items():
        pairs = dict(pair.split("=") for pair in name.split(","))
        draws = int(pairs.pop("target_draws", 1))
        changed = {key: {"true": True, "false": False}.get(value, value) for key, value in pairs.items()}
        other = base.model_copy(update=changed)
        measured = []
        for draw in range(draws):
            ranking = rank(model, made.queries("test", other, draw), remove_seen=other.remove_seen, k=100)
            measured.append(metrics(ranking.ranks, ranking.top, made.item_count, (10, 100)))
        means = {key: np.mean([one[key] for one in measured]) for key in measured[0]}
        spreads = {f"spread {key}": np.std([one[key] for one in measured], ddof=1) for key in measured[0] if draws > 1}
        assert values == pytest.approx(means | spreads), name
    assert set(record["sensitivity"]) == {
        "target=first",
        "target=random",
        "history_strict=true",
        "drop_cold_items=true",
        "history_strict=true,drop_cold_items=true",
        "target=random,history_strict=true,target_draws=10",
        "remove_seen=false",
    }
    different = [values for values in record["sensitivity"].values() if values != record["metrics"]]
    assert len(different) == len(record["sensitivity"]), "a switch that changes nothing is not wired"


def test_time_to_split_is_measured_by_its_queries_under_both_denominators():
    made = split(interactions(items=200, users=60), TimeToSplitSetup(validation_users=20))
    run = run_of("sasrec", fold="test", setup="time-to-split", training={"epochs": 12, "patience": 2})
    model, facts = train_run(run, made, CPU)
    assert len(facts["history"]) - 1 - facts["best_epoch"] == 2, "not stopped on validation"
    record, _ = evaluate_run(run, made, {"dataset": "small", "label": "made", **statistics(made)}, model, facts)
    assert set(record["sensitivity"]) == {
        "target=first",
        "target=random",
        "target=first,without_history=skip",
        "coverage_of=training",
        "target=first,coverage_of=training",
        "target=random,coverage_of=training",
    }
    trained = len(np.unique(made.items[made.training_rows("test")]))
    for name in ("", "target=first,", "target=random,"):
        of_all = record["sensitivity"][name[:-1]] if name else record["metrics"]
        of_trained = record["sensitivity"][f"{name}coverage_of=training"]
        assert of_trained["coverage@10"] == pytest.approx(of_all["coverage@10"] * made.item_count / trained)
        assert of_trained["ndcg@10"] == of_all["ndcg@10"]


def prepared(folder, record):
    """Folders whose data are those of a record."""
    data, setup = record["data"], record["setup"]
    write_json(folder / "data" / record["dataset"] / "dataset.json", {"dataset_hash": data["dataset_hash"]})
    write_json(folder / "splits" / record["dataset"] / setup / "split.json", {"split_hash": data["split_hash"]})
    return Preparations(folder / "data", folder / "splits")


def test_a_record_that_is_not_what_the_plan_asks_for_is_not_collected(evaluated, tmp_path):
    *_, (record, table) = evaluated
    path, output = tmp_path / "record.json", tmp_path / "metrics.csv"
    write_record(record, table, path, tmp_path / "ranks.parquet")
    run = Run(**{key: record[key] for key in (*IDENTITY, "settings", "evaluation")})
    today = prepared(tmp_path, record)
    assert collect({run.folder: run}, [path], today, output)[0] == len(record["metrics"])
    output.unlink()
    wanted = replace(run, settings={**run.settings, "dimension": 99})
    with pytest.raises(DataError, match=r"record\.json: not the run .* settings\.dimension is 8, the plan says 99"):
        collect({run.folder: wanted}, [path], today, output)
    assert not output.exists()
    rows, left_out = collect({run.folder: wanted}, [path], today, output, leave_out=True)
    assert rows == 0 and list(left_out) == [path]
    write_json(tmp_path / "data" / record["dataset"] / "dataset.json", {"dataset_hash": "another"})
    with pytest.raises(DataError, match="measured on other data"):
        collect({}, [path], Preparations(tmp_path / "data", tmp_path / "splits"), output)


def test_records_are_collected_one_row_a_metric(evaluated, tmp_path):
    *_, (record, table) = evaluated
    paths = []
    for seed in (1, 0):
        folder = tmp_path / f"seed{seed}"
        write_record({**record, "seed": seed}, table, folder / "record.json", folder / "ranks.parquet")
        paths.append(folder / "record.json")
    today = prepared(tmp_path, record)
    assert collect({}, paths, today, tmp_path / "metrics.csv") == (2 * len(record["metrics"]), {})
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    for seed in ("0", "1"):
        own = {row["metric"]: float(row["value"]) for row in rows if row["seed"] == seed}
        assert own == record["metrics"], "exact, not rounded"
    assert collect({}, reversed(paths), today, tmp_path / "other.csv") == (len(rows), {})
    assert (tmp_path / "other.csv").read_bytes() == (tmp_path / "metrics.csv").read_bytes()


def test_a_damaged_record_is_named(tmp_path):
    write_json(tmp_path / "record.json", {"metrics": {"ndcg@10": 0.1}})
    with pytest.raises(DataError, match=r"record\.json: not a record"):
        collect({}, [tmp_path / "record.json"], Preparations(tmp_path, tmp_path), tmp_path / "metrics.csv")
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(DataError, match=r"record\.json: not a JSON file"):
        collect({}, [tmp_path / "record.json"], Preparations(tmp_path, tmp_path), tmp_path / "metrics.csv")
    assert not (tmp_path / "metrics.csv").exists()
