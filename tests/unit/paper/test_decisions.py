"""What docs/protocol.md decides by: both orders of positions beside the paper's row, and the Random row."""

import json
import math

import pytest
from made_up import settings

from createrec.config import validate
from createrec.paper.decisions import positions_part, random_row_part
from createrec.paper.records import Results


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
