"""What docs/protocol.md decides by: both orders of positions beside the paper's row, and the Random row."""

import json
import math

import pytest
from made_up import settings, write_dataset, write_record, write_split

from createrec.config import validate
from createrec.paper.decisions import positions_part, random_row_part, static_models_part
from createrec.paper.records import Results
from createrec.paper.reported import reported_value
from createrec.plan import runs


def test_both_orders_stand_beside_the_papers_row_and_how_far_they_are_off(tmp_path):
    ours = {"newest": (2 * 1.87, 13.67, 70.04), "oldest": (1.87, 13.67 / 2, 70.04 / 2)}
    for order, values in ours.items():
        for seed, share in enumerate((0.9, 1.1)):
            path = tmp_path / f"amazon-beauty/sasrec/decide-{order}/seed{seed}/record.json"
            path.parent.mkdir(parents=True)
            metrics = dict(
                zip(("ndcg@10", "recall@100", "coverage@10"), (share * v / 100 for v in values), strict=True)
            )
            path.write_text(json.dumps({"metrics": metrics}))
    text = positions_part(tmp_path)
    off = f"{math.log(2):.2f}, {2 * math.log(2):.2f}"
    assert f"| Amazon Beauty (2 seeds) | 3.74, 1.87, 1.87 | 13.67, 6.84, 13.67 | 70.04, 35.02, 70.04 | {off} |" in text
    assert "In all: 0.69 for newest, 1.39 for oldest." in text


def test_the_random_row_is_that_of_uniform_draws(tmp_path):
    folder = tmp_path / "splits/amazon-beauty/temporal"
    folder.mkdir(parents=True)
    (folder / "split.json").write_text(json.dumps({"items": 12101, "test_users": 8041}))
    results = Results(validate(settings()), tmp_path / "runs", tmp_path / "data", tmp_path / "splits")
    covered = 100 * (1 - (1 - 10 / 12101) ** 8041)
    assert covered == pytest.approx(99.87, abs=0.005)
    assert "| Amazon Beauty | 8,041 | 99.87 | 99.90 |" in random_row_part(results)


def test_static_models_stand_beside_the_papers_rows_under_each_reading_that_all_have(tmp_path):
    """At 10 ours is twice the paper's, at 100 half of it, with the first target the other way round."""
    models = ("svd", "lightgcn", "ultragcn")
    table = {"datasets": ["amazon-beauty"], "models": list(models), "seeds": [0]}
    made = settings() | {"table2": table}
    made["models"] |= {"svd": {"kind": "svd"}}
    config = validate(made)
    write_dataset(tmp_path / "data", "amazon-beauty")
    write_split(tmp_path / "splits", "amazon-beauty", "temporal")

    def level(model, at10, at100):
        return {
            name: factor * reported_value("table2", "amazon-beauty", model, name) / 100
            for names, factor in ((("ndcg@10", "recall@10"), at10), (("ndcg@100", "recall@100"), at100))
            for name in names
        }

    def rendered(without=""):
        for run in runs(config).values():
            if run.model in models and run.variant == "table2":
                other = {} if run.model == without else {"target=first": level(run.model, 0.5, 2)}
                metrics = level(run.model, 2, 0.5)
                write_record(tmp_path / "runs", run, ndcg=0.1, metrics=metrics, sensitivity=other)
        return static_models_part(Results(config, tmp_path / "runs", tmp_path / "data", tmp_path / "splits"))

    off = f"{math.log(2):.2f}"
    text = rendered()
    assert f"| default | {off} (+100 %, −50 %) |" in text
    assert f"| target=first | {off} (−50 %, +100 %) |" in text
    assert "target=first" not in rendered(without="svd")
