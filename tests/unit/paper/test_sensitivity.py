"""Table 2 under the protocol's other readings."""

import csv

from made_up import METRICS, World, settings, write_record

from createrec.config import validate
from createrec.paper.records import Results
from createrec.paper.sensitivity import gains_sheet, readings, write_sensitivity
from createrec.plan import runs


def with_switch(world, ndcg: float) -> None:
    for seed in (0, 1):
        run = world.run(f"amazon-beauty/sasrec/table2/seed{seed}")
        metrics = dict.fromkeys(METRICS, ndcg + 0.002 * seed)
        write_record(world.records, run, ndcg=0.016, sensitivity={"target=first": metrics})


def test_each_switch_stands_under_the_papers_row(world):
    with_switch(world, 0.01)
    write_sensitivity(world.results(), world.out)
    text = (world.out / "sensitivity.md").read_text()
    assert (
        "| SASRec | the paper | 1.87 | 3.83 | 70.04 | 3.73 | 13.67 | 93.46 |\n"
        "|  | default | 1.60 ± 0.00 | 3.20 ± 0.00 | 4.80 ± 0.00 | 6.40 ± 0.00 | 8.00 ± 0.00 | 9.60 ± 0.00 |\n"
        "|  | target=first | " + " | ".join(["1.10 ± 0.14"] * 6) + " |\n"
    ) in text
    assert "Data: ML-1M, 31 % of timestamps interpolated." in text


def test_the_csv_holds_every_reading(world):
    with_switch(world, 0.01)
    write_sensitivity(world.results(), world.out)
    with (world.out / "sensitivity.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["switch"] == "target=first"]
    assert [(row["dataset"], row["model"], row["metric"]) for row in rows] == [
        ("amazon-beauty", "sasrec", metric) for metric in METRICS
    ]
    assert {(float(row["mean_percent"]), row["seeds"]) for row in rows} == {(1.1, "2")}


def test_without_records_there_is_nothing_to_read(empty_world):
    assert list(readings(empty_world.results())) == []
    write_sensitivity(empty_world.results(), empty_world.out)
    assert (empty_world.out / "sensitivity.md").exists()


def test_trainings_of_their_own_stand_under_the_same_model(world):
    part = {"datasets": ["amazon-beauty"], "models": ["sasrec"], "max_lengths": [10, 200], "seeds": [0]}
    config = validate(settings() | {"sensitivity": part})
    for name, ndcg in (("length-10", 0.02), ("unretrained", 0.03)):
        write_record(world.records, runs(config)[f"amazon-beauty/sasrec/{name}/seed0"], ndcg=ndcg)
    write_sensitivity(Results(config, world.records, world.data, world.splits), world.out)
    text = (world.out / "sensitivity.md").read_text()
    assert "|  | max_length=10 | 2.00 | 4.00 |" in text
    assert "|  | retrained=false | 3.00 | 6.00 |" in text
    assert "max_length=200" not in text, "what was not run is no row"


def test_the_two_readings_stand_side_by_side_with_the_spread_over_draws(world):
    drawn = "target=random,history_strict=true,target_draws=10"
    for seed in (0, 1):
        run = world.run(f"amazon-beauty/sasrec/table2/seed{seed}")
        metrics = dict.fromkeys(METRICS, 0.015)
        spreads = {f"spread {metric}": 0.001 + 0.001 * seed for metric in METRICS}
        sensitivity = {"remove_seen=false": metrics, drawn: metrics | spreads}
        write_record(world.records, run, ndcg=0.016, sensitivity=sensitivity)
    write_sensitivity(world.results(), world.out)
    first, _, later = (world.out / "sensitivity.md").read_text().partition("## Amazon Beauty")
    assert "| Amazon Beauty | SASRec | the paper | 1.87 |" in first
    assert "|  |  | default | 1.60 ± 0.00 |" in first
    assert "|  |  | seen items left in | 1.50 ± 0.00 |" in first
    assert "|  |  | random target | 1.50 ± 0.00 (draws ± 0.15) |" in first
    assert "Random |" not in first.replace("Random target", ""), "its rows are no reading of anything"
    assert f"|  | {drawn} | 1.50 ± 0.00 (draws ± 0.15) |" in later
    with (world.out / "sensitivity.csv").open(newline="") as file:
        spread = {row["draws_std_percent"] for row in csv.DictReader(file) if row["switch"] == drawn}
    assert {float(value) for value in spread} == {0.15}


def test_another_models_training_is_shown_as_the_reading_it_is(world):
    made = settings()
    made["models"] |= {"sasrec-long": {"kind": "sasrec", "max_length": 99}}
    training = {"datasets": ["amazon-beauty"], "models": ["sasrec-long"], "shown_as": "sasrec"}
    config = validate(made | {"sensitivity": {"trainings": {"long=true": training}, "seeds": [0]}})
    write_record(world.records, runs(config)["amazon-beauty/sasrec-long/long-true/seed0"], ndcg=0.03)
    found = list(readings(Results(config, world.records, world.data, world.splits)))
    assert {one.model for one in found if one.switch == "long=true"} == {"sasrec"}


def test_the_gain_stands_beside_the_papers_under_the_reading_that_gives_the_least_and_the_most(world: World) -> None:
    for model, level in (("sasrec", 0.02), ("create", 0.021)):
        for cell in world.results().cells("table2", "amazon-beauty", model):
            other = {"ndcg@10": level * (1.1 if model == "create" else 1.0), "recall@10": 0.04}
            other_too = {"ndcg@10": 0.02, "recall@10": 0.04}
            switches = {"target=first": other, "remove_seen=false": other_too}
            write_record(world.records, cell.run, ndcg=level, sensitivity=switches)
    rows = [
        tuple(cell.text for cell in cells) for (name,), cells in gains_sheet(world.results()).rows if "Beauty" in name
    ]
    assert rows == [
        (
            "1.87",
            "2.15",
            "2.00 ± 0.00",
            "2.10 ± 0.00",
            "+15 %",
            "+5 %",
            "0 % (remove_seen=false)",
            "+16 % (target=first)",
            "3",
        )
    ]
