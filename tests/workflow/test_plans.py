"""Every public target plans in an empty folder, with the jobs that config.yaml asks for."""

import math
import re
from pathlib import Path

import pytest
import yaml

from createrec.config import load
from createrec.exhibits import EXHIBITS
from createrec.plan import plan as layout

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SWEEPS = CONFIG["ablations"]


def size(part: dict, *axes: str) -> int:
    """The number of combinations of some lists of the configuration."""
    return math.prod(len(part[axis]) for axis in ("datasets", *axes, "seeds"))


def trained(runs: int, datasets: int, *renderers: str, splits: int | None = None) -> dict[str, int]:
    """The jobs of a target that trains `runs` models on some datasets and renders what came out."""
    jobs = {"prepare": datasets, "split": splits or datasets, "train": runs, "evaluate": runs}
    return jobs | dict.fromkeys(renderers, 1)


def swept(ablation: str) -> int:
    """The runs of Figure 3, 4 or 5: its own, and the levels of SASRec and CREATE in Table 2; shared ones count once."""
    groups = layout(load([ROOT / "config.yaml"]))
    levels = (cell.run for cell in groups["table2"] if cell.run.model in ("sasrec", "create"))
    own = {cell.run.folder for cell in groups[f"ablation_{ablation}"]}
    return len(own | {run.folder for run in levels if run.dataset in SWEEPS[ablation]["datasets"]})


def chosen() -> int:
    """The runs of the choice of settings; how many there are besides Table 2's depends on what lies in hparams/."""
    return len({cell.run.folder for cell in layout(load([ROOT / "config.yaml"]))["choices"]})


TABLE2 = size(CONFIG["table2"], "models")
ALIGNMENT = len(SWEEPS["alignment"]["datasets"]) * len(SWEEPS["alignment"]["seeds"])
ALIGNMENT *= 1 + len(SWEEPS["alignment"]["graphs"]) * len(SWEEPS["alignment"]["alignments"])  # 1: SASRec alone
VALIDATION = size(CONFIG["validation"]) * sum(len(grid["points"]) for grid in CONFIG["validation"]["models"].values())
EXPECTED = {
    "table1": {"prepare": 5, "split": 5, "table1": 1},
    "table2": trained(TABLE2, 5, "table2", "significance"),
    "significance": trained(TABLE2, 5, "significance"),
    "table3": trained(size(CONFIG["table3"], "models"), 2, "table3"),
    "table4": trained(ALIGNMENT, 2, "table4"),
    "table5": trained(size(SWEEPS["backbone"], "sequences", "graphs"), 2, "table5"),
    "figure2": trained(size(CONFIG["figure2"]), 2, "figure2"),
    "figure3": trained(swept("graph_size"), 2, "figure3"),
    "figure4": trained(swept("warmup"), 2, "figure4"),
    "figure5": trained(swept("barlow_weight"), 2, "figure5"),
    "gains": trained(TABLE2, 5, "gains"),
    "published_tables": {"published_tables": 1},
    "published_figures": {"published_figures": 1},
    "published_comparison": {"published_comparison": 1},
    "published_report": {"published_report": 1},
    "choices": trained(chosen(), len(CONFIG["choices"]["datasets"]), "choices"),
    "validation": trained(VALIDATION, 2, "validation"),
    "published_validation": {"published_validation": 1},
    "published_searches": {"published_searches": 1},
}
ABLATIONS = {
    "ablation_graph_size": "figure3",
    "ablation_warmup": "figure4",
    "ablation_barlow_weight": "figure5",
    "ablation_alignment": "table4",
    "ablation_backbone": "table5",
}
EXPECTED |= {name: EXPECTED[shown_by] | {name: 1} for name, shown_by in ABLATIONS.items()}


@pytest.mark.parametrize("target", EXPECTED)
def test_a_target_plans_its_jobs_and_no_other(plan, target: str) -> None:
    assert plan(target) == EXPECTED[target]


def documented() -> dict[str, list[int]]:
    """Jobs and trainings a target, from the table in docs/workflow.md."""
    text = (ROOT / "docs" / "workflow.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    return {target: [int(jobs), int(trainings)] for target, jobs, trainings in rows}


@pytest.mark.parametrize("target", sorted(documented()))
def test_the_documented_job_counts(plan, target: str) -> None:
    # Tuned settings may make a point of an ablation the main table's run, and change the counts of the whole.
    overlay = "demo.yaml" if target == "demo" else "untuned.yaml"
    options = ("--configfile", ROOT / "config" / overlay)
    counts = (target not in (*ABLATIONS, "choices") and EXPECTED.get(target)) or plan(target, *options)
    assert documented()[target] == [sum(counts.values()), counts.get("train", 0)]


@pytest.mark.parametrize("target", ["all", "comparison", "metrics"])
def test_the_whole_trains_shared_runs_once(plan, target: str) -> None:
    counts = plan(target)
    separately = sum(EXPECTED[part]["train"] for part in ("table2", "table3", "figure2", "choices", *ABLATIONS))
    assert counts["train"] == counts["evaluate"] < separately + VALIDATION
    assert (counts["prepare"], counts["split"]) == (len(CONFIG["datasets"]), 9)  # Beauty in three setups, Sports in two


def test_all_is_what_comes_without_a_target(plan) -> None:
    counts = plan()
    shown = set(counts) & {exhibit.name for exhibit in EXHIBITS if exhibit.kind != "page"}
    assert shown == {exhibit.name for exhibit in EXHIBITS if exhibit.kind in ("table", "figure")}
    assert counts["comparison"] == counts["metrics"] == 1


@pytest.mark.parametrize("overlay", sorted(path.name for path in (ROOT / "config").glob("*.yaml")))
def test_every_overlay_plans_everything(plan, overlay: str) -> None:
    assert plan("all", "--configfile", ROOT / "config" / overlay)["all"] == 1


def test_tune_plans_one_study_a_dataset_and_model(plan, tmp_path: Path) -> None:
    overlay = tmp_path / "tuning.yaml"
    overlay.write_text("tuning: {datasets: [amazon-beauty, ml-1m], models: [sasrec, create]}\n")
    counts = plan("tune", "--configfile", overlay)
    assert counts == {"prepare": 2, "split": 2, "study": 4, "tune": 1}


def test_one_study_is_a_target_of_its_own(plan) -> None:
    counts = plan("results/tuning/amazon-beauty/sasrec/best.yaml")
    assert counts == {"prepare": 1, "split": 1, "study": 1}


def test_one_run_is_a_target_of_its_own(plan) -> None:
    counts = plan("results/runs/amazon-beauty/create/table2/seed0/record.json")
    assert counts == {"prepare": 1, "split": 1, "train": 1, "evaluate": 1}


@pytest.mark.parametrize("profile", ["default", "workstation", "slurm"])
def test_every_profile_is_understood(plan, profile: str) -> None:
    assert plan("table1", "--workflow-profile", profile) == EXPECTED["table1"]
