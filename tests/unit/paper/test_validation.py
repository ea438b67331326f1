"""Our numbers beside those that others published, by the stated rule."""

import csv
import math
import statistics
from pathlib import Path

import pytest
from made_up import METRICS, settings, write_record, write_split

from createrec.config import load, validate
from createrec.errors import DataError
from createrec.paper.records import Results
from createrec.paper.validation import (
    agreeing_points,
    checks,
    differing_part,
    margin,
    points_part,
    published_grid,
    scatter,
    spent_part,
    twice_part,
    write_validation,
)
from createrec.plan import plan, runs
from createrec.runs.repeat import Repeat

ROOT = Path(__file__).parents[3]
BEAUTY = "amazon-beauty"
PART = {
    "datasets": [BEAUTY],
    "models": {
        "sasrec": {
            "settings": {"max_length": 128, "training": {"epochs": 300}},
            "grid": {
                "dimension": [32, 64, 128, 256],
                "blocks": [1, 2, 3],
                "heads": [1, 2, 4],
                "dropout": [0.1, 0.3, 0.5],
            },
            "points": [40, 47],
        }
    },
    "seeds": [0, 1],
}


def planned(world, **changes):
    write_split(world.splits, BEAUTY, "time-to-split")
    return validate(settings() | {"validation": PART | changes})


def fill(world, config, values, queries=6110):
    """Records whose metrics are those of `values(point, queries)`."""
    for cell in plan(config)["validation"]:
        last, first, random = (values(cell.labels["grid_point"], name) for name in ("last", "first", "random"))
        write_record(
            world.records,
            cell.run,
            ndcg=0.0,
            metrics=last,
            sensitivity={"target=first": first, "target=random": random},
            data={
                "dataset_hash": f"hash of {BEAUTY}",
                "split_hash": f"hash of {BEAUTY} time-to-split",
                "test_users": queries,
            },
        )
    return Results(config, world.records, world.data, world.splits)


def theirs(point, queries):
    return {metric: published_grid(BEAUTY, "sasrec")[point].values[queries, metric] for metric in METRICS}


def test_their_file_says_what_they_published():
    point = published_grid(BEAUTY, "sasrec")[40]
    assert dict(point.settings) == {"dimension": "64", "blocks": "2", "heads": "2", "dropout": "0.3"}
    assert [point.values["last", metric] for metric in METRICS] == [
        *(0.02064, 0.03584, 0.67474),
        *(0.03553, 0.11227, 0.95992),
    ]
    assert published_grid("amazon-sports", "bert4rec")[77].values["last", "ndcg@10"] == pytest.approx(0.0126, abs=5e-5)
    assert [len(published_grid(BEAUTY, model)) for model in ("sasrec", "bert4rec", "gru4rec")] == [108, 108, 104]


def test_their_figures_are_whole_numbers_of_queries_and_of_items():
    """So they divided by 6,110 queries of each kind, and by the whole catalogue (BERT4Rec: with [MASK])."""
    for model, items in (("sasrec", 12_101), ("bert4rec", 12_102), ("gru4rec", 12_101)):
        for point in published_grid(BEAUTY, model).values():
            for (_, metric), value in point.values.items():
                whole = {"recall": 6110, "coverage": items}.get(metric.partition("@")[0])
                if whole:
                    assert abs(round(value * whole) / whole - value) <= 6e-6


def test_a_point_of_the_plan_is_the_point_of_their_file():
    part = load([ROOT / "config.yaml"]).validation
    for dataset in part.datasets:
        for model, grid in part.models.items():
            for point in grid.points:
                ours, published = grid.at(point), published_grid(dataset, model)[point].settings
                for name, value in published.items():
                    own = "layers" if (model, name) == ("gru4rec", "blocks") else name
                    assert not value or float(ours[own]) == float(value), (model, point, name)
                assert ours["max_length"] == 128


def test_tuned_settings_take_no_part(tmp_path):
    (tmp_path / BEAUTY).mkdir()
    (tmp_path / BEAUTY / "sasrec.yaml").write_text("{blocks: 4, feedforward_factor: 3, training: {beta2: 0.5}}\n")
    config = validate(settings() | {"hparams": str(tmp_path), "validation": PART})
    run = runs(config)[f"{BEAUTY}/sasrec/time-to-split-40/seed0"]
    assert (run.settings["blocks"], run.settings["feedforward_factor"]) == (2, 1)
    assert run.settings["training"]["beta2"] == 0.999
    assert (run.setup, run.fold, run.evaluation["without_history"]) == ("time-to-split", "test", "next")


def test_the_neighbourhood_has_the_same_dimension_and_dropout():
    grid = published_grid(BEAUTY, "sasrec")
    near = [grid[place].values["last", "ndcg@10"] for place in (37, 40, 43, 28, 31, 34, 46, 49, 52)]
    assert scatter(BEAUTY, "sasrec", 40, "last", "ndcg@10") == pytest.approx(statistics.stdev(near))


def test_the_margin_knows_all_noise():
    assert margin(0.02, 0.001, [0.02], None) == pytest.approx(2 * 0.001 * math.sqrt(2))
    assert margin(0.02, 0.001, [0.02, 0.0201], None) == pytest.approx(2 * 0.001 * math.sqrt(1.5))
    wide = statistics.stdev([0.02, 0.03])
    assert margin(0.02, 0.001, [0.02, 0.03], None) == pytest.approx(2 * math.sqrt(0.001**2 + wide**2 / 2))
    drawn = 2 * 0.02 * 0.98 / 6110
    assert margin(0.02, 0.001, [0.02], 6110) == pytest.approx(2 * math.sqrt(2 * 0.001**2 + drawn))


def test_verdicts_and_files(world):
    def values(point, queries):
        moved = 1.5 if (point, queries) == (47, "last") else 1.0
        return {metric: min(1.0, moved * value) for metric, value in theirs(point, queries).items()}

    results = fill(world, planned(world), values)
    write_validation(results, world.out)
    with (world.out / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "dataset",
        "model",
        "grid_point",
        "queries",
        "metric",
        "theirs",
        "ours",
        "seeds",
        "verdict",
    ]
    assert len(rows) == 2 * 3 * 6
    first = rows[0]
    assert [first[key] for key in ("dataset", "model", "grid_point", "queries", "metric")] == [
        *(BEAUTY, "sasrec", "40", "last", "ndcg@10")
    ]
    assert (float(first["theirs"]), float(first["ours"]), first["seeds"], first["verdict"]) == (
        2.064,
        2.064,
        "2",
        "agrees",
    )
    differ = {(row["grid_point"], row["queries"], row["metric"]) for row in rows if row["verdict"] == "differs"}
    assert differ >= {("47", "last", metric) for metric in ("ndcg@10", "recall@10", "ndcg@100", "recall@100")}
    assert {(point, queries) for point, queries, _ in differ} == {("47", "last")}
    assert agreeing_points(list(checks(results)), BEAUTY) == (1, 2)
    text = (world.out / "validation.md").read_text()
    assert "1 of 2 grid points agree in both NDCG@10 and HR@10." in text
    assert "| SASRec | 40 | 64, 2, 2, 0.3 | 2.06 / 2.06 ± 0.00 |" in text
    assert "2.40 / 3.60 ± 0.00 ✗" in text
    assert (world.out / "validation.pdf").exists()
    assert (world.out / "validation.png").exists()
    counted = points_part(list(checks(results)))
    assert "| Amazon Beauty | 2 | 1 of 2 | 1 of 2 |" in counted
    assert "ours is, in the mean, 27 % above theirs" in counted and "1 of 2 are above" in counted
    assert "these agree: 2 of 12 of" not in counted and "12 of 12 of `random`" in counted
    (row,) = [line for line in differing_part(results, list(checks(results))).splitlines() if "SASRec" in line]
    assert row.startswith("| Amazon Beauty | SASRec | 47 | 2.40 / 3.60 ± 0.00 ✗ |")


def test_what_was_not_run_says_so(world):
    write_validation(Results(planned(world), world.records, world.data, world.splits), world.out)
    with (world.out / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["ours"], row["seeds"], row["verdict"]) for row in rows} == {("", "0", "not run")}
    results = Results(planned(world), world.records, world.data, world.splits)
    assert "| Amazon Beauty | 2 | not run | not run |" in points_part(list(checks(results)))
    assert differing_part(results, list(checks(results))) == "None.\n"
    assert (world.out / "validation.png").exists()


def made(ndcg, epoch, device="cuda: one"):
    return {"metrics": {"ndcg@10": ndcg}, "best_epoch": epoch, "device": device}


def test_the_same_seed_twice_stands_beside_two_seeds(world):
    config = planned(world)
    cells = plan(config)["validation"]
    for cell in cells:
        ndcg = 0.020 if cell.run.seed == 0 else 0.025
        write_record(world.records, cell.run, ndcg=ndcg, device="cuda: one", seconds={"train": 50.0, "evaluate": 10.0})
    results = Results(config, world.records, world.data, world.splits)
    again = [
        Repeat(cells[0].run.folder, made(0.020, 7), made(0.0202, 7), 9, 1),
        Repeat(cells[1].run.folder, made(0.025, 7), made(0.030, 9), 9, 1),
        Repeat(cells[2].run.folder, made(0.020, 7), made(0.040, 7, "cpu: another"), 9, 1),
        Repeat("amazon-beauty/sasrec/table2/seed0", made(0.020, 7), made(0.040, 7), 9, 1),
    ]
    assert [cell.run.seed for cell in cells[:2]] == [0, 1]
    assert {cell.labels["grid_point"] for cell in cells[:2]} == {40}
    assert twice_part(results, again).splitlines() == [
        "- 2 trainings were made twice with one seed, on machines of one kind.",
        "- 1 kept the same epoch: their NDCG@10 of `last` moves by 1.0 %.",
        "- 1 kept another epoch: it moves by 20.0 %.",
        "- The same points with another seed: by 20.0 to 25.0 %.",
    ]
    assert twice_part(results, again[2:]).startswith("No grid point was trained twice")
    assert spent_part(results) == (
        "- cuda: one: 4 trainings, 4 minutes in all, 60 to 60 seconds each, several at a time.\n"
    )


def test_a_point_that_they_do_not_give_is_explained(world):
    wider = PART["models"]["sasrec"] | {"points": [107], "grid": PART["models"]["sasrec"]["grid"]}
    results = Results(planned(world, models={"gsau": wider}), world.records, world.data, world.splits)
    with pytest.raises(DataError, match="no point of gsau on amazon-beauty"):
        list(checks(results))
