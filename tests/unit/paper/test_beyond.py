"""The simple baselines beside the paper's models."""

import csv

from made_up import settings, write_record

from createrec.config import validate
from createrec.paper.records import Results
from createrec.paper.tables import write_table
from createrec.plan import plan

BEAUTY = "amazon-beauty"
SIMPLE = ("ease", "popular")


def configured():
    made = settings()
    made["models"] |= {name: {"kind": name} for name in SIMPLE}
    part = {"datasets": [BEAUTY], "leave_one_out": [BEAUTY], "beside": ["random", "sasrec", "loom", "create"]}
    return validate(made | {"beyond": part | {"models": list(SIMPLE), "seeds": [0]}})


def rendered(world, levels):
    """The table's CSV rows and its Markdown, with NDCG@10 of each model as given; a model without one was not run."""
    config = configured()
    for cell in plan(config)["beyond"]:
        if cell.run.model in levels:
            write_record(world.records, cell.run, ndcg=levels[cell.run.model])
    write_table(Results(config, world.records, world.data, world.splits), "beyond", world.out / "beyond")
    with (world.out / "beyond.csv").open(newline="") as file:
        return list(csv.DictReader(file)), (world.out / "beyond.md").read_text()


def test_a_simple_baseline_that_beats_a_model_of_the_paper_is_named(world):
    levels = {"random": 0.001, "sasrec": 0.016, "loom": 0.012, "create": 0.02, "ease": 0.018, "popular": 0.002}
    rows, text = rendered(world, levels)
    assert "Amazon Beauty, by time: EASE (1.80 of NDCG@10) beats SASRec (1.60)." in text
    assert (
        "Amazon Beauty, leave-one-out: EASE (1.80 of NDCG@10) beats SASRec (1.60), LOOM (reconstruction) (1.20)."
        in text
    )
    assert "Most popular (" not in text, "Random does not compete"
    assert {(row["setup"], row["model"]) for row in rows} == {
        *(("temporal", model) for model in ("random", "sasrec", "create", *SIMPLE)),
        *(("leave-one-out", model) for model in ("sasrec", "loom", "create", *SIMPLE)),
    }
    ease = next(row for row in rows if (row["setup"], row["model"], row["metric"]) == ("temporal", "ease", "ndcg@10"))
    assert (float(ease["mean_percent"]), ease["seeds"]) == (1.8, "1")
    assert "| Amazon Beauty | by time | Random |" in text
    assert "<ins>1.80</ins>" in text, "second to CREATE"


def test_what_was_not_run_says_so(world):
    rows, text = rendered(world, {"ease": 0.01})
    assert "beats" not in text
    assert {row["status"] for row in rows if row["model"] == "popular"} == {"not run"}
