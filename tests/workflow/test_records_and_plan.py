"""A record that the command line put into a planned place is believed only if it is what the plan asks for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLACE = Path("results/runs/shop/svd/table2/seed0/record.json")
PLAN = {
    "datasets": {"shop": {"file": {"path": str(ROOT / "tests" / "cases" / "id_bom.csv")}}},
    "table2": {"datasets": ["shop"], "models": ["svd"], "seeds": [0]},
    "models": {"svd": {"rank": 3}},
    "hparams": None,
}


def createrec(*arguments: str, folder: Path, overlays: list[str]) -> str:
    command = [sys.executable, "-m", "createrec.cli", *arguments]
    command += ["--device", "cpu", "--config", str(ROOT / "config.yaml"), *overlays]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("other", ["an override", "another configuration"])
def test_table_2_is_made_of_what_its_plan_says(snakemake, tmp_path: Path, other: str) -> None:
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    if other == "an override":  # it goes elsewhere, and the plan's place stays empty
        out = createrec("run", "shop", "svd", "--set", "rank=2", folder=tmp_path, overlays=["plan.yaml"])
        assert "folder: results/runs/shop/svd/rank-2/seed0" in out
        assert not (tmp_path / PLACE).exists()
    else:  # the place is the same, its content is not: it is made again
        (tmp_path / "before.yaml").write_text(yaml.safe_dump(PLAN | {"models": {"svd": {"rank": 2}}}))
        createrec("run", "shop", "svd", folder=tmp_path, overlays=["before.yaml"])
        assert json.loads((tmp_path / PLACE).read_text())["settings"]["rank"] == 2
    result = snakemake("table2", "--configfile", tmp_path / "plan.yaml", directory=tmp_path)
    assert result.returncode == 0, result.stderr + result.stdout
    record = json.loads((tmp_path / PLACE).read_text())
    assert (record["settings"]["rank"], record["setup"]) == (3, "temporal")
    assert f"{100 * record['metrics']['ndcg@10']:.2f}" in (tmp_path / "results/tables/table2.md").read_text()
    if other == "another configuration":
        assert "settings.rank is 2, the plan says 3; it is made again" in result.stderr + result.stdout
