"""What changed is planned again, with what is made from it, and nothing else."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from createrec.config import ProjectConfig, load
from createrec.data.datasets import preparation, splitting
from createrec.plan import runs

ROOT = Path(__file__).parents[2]
NARROW = {
    "table1": ["demo"],
    "table2": {"datasets": ["demo"], "models": ["random", "svd", "sasrec", "bert4rec", "create"], "seeds": [0, 1]},
    "table3": {"datasets": ["demo"], "models": ["sasrec"], "seeds": [0]},
    "figure2": {"datasets": ["demo"], "seeds": [0]},
    "ablations": {
        "backbone": {"datasets": ["demo"], "sequences": ["bert4rec"], "graphs": ["ultragcn"], "seeds": [0]},
    },
}
# Where CREATE is among the models of Table 2, tests of significance stand beside it.
TABLE2 = {"table2": 1, "significance": 1}
# Runs of NARROW's targets that contain SASRec: the model alone (two seeds in Table 2, one in Table 3), and CREATE
# with a SASRec encoder (two seeds in Table 2, one in Figure 2). CREATE with BERT4Rec (Table 5) contains none.
WITH_SASREC = 6
TARGETS = ("table1", "table2", "table3", "table5", "figure2")


class Project:
    """A copy of the project, in a folder, with an overlay of its own."""

    def __init__(self, folder: Path, snakemake: Callable, job_counts: Callable) -> None:
        self.folder, self.snakemake, self.job_counts = folder, snakemake, job_counts
        self.overlay = folder / "narrow.yaml"
        self.settings = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()) | NARROW

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ("--configfile", self.overlay)
        return self.snakemake(*TARGETS, *arguments, *options, directory=self.folder, project=self.folder)

    def configure(self, change: Callable[[dict], None] = lambda settings: None) -> None:
        settings = json.loads(json.dumps(self.settings))
        change(settings)
        self.overlay.write_text(yaml.safe_dump(settings))

    def edit(self, file: str) -> None:
        with (self.folder / "src" / "createrec" / file).open("a") as source:
            source.write("\n# An edit.\n")

    def plan(self) -> dict[str, int]:
        return self.job_counts(self.run("-n"))


def described(config: ProjectConfig) -> dict[str, dict]:
    """What describes results, by its file: the workflow compares it with what it would make today."""
    setups = {"temporal": config.setups.temporal, "leave-one-out": config.setups.leave_one_out}
    hashes = {"dataset_hash": "of demo", "split_hash": "of demo"}
    source = {"sha256": None}
    found: dict[str, dict] = {
        "results/data/demo/dataset.json": {
            **hashes,
            "source": source,
            "made_from": preparation("demo", config.datasets["demo"]),
        }
    }
    for name, setup in setups.items():
        found[f"results/splits/demo/{name}/split.json"] = {**hashes, "made_from": splitting(setup)}
    for folder, run in runs(config).items():
        training = {"run": run.slice(), "split_hash": hashes["split_hash"]}
        found[f"results/runs/{folder}/training.json"] = training
        found[f"results/runs/{folder}/record.json"] = {**run.slice(), "data": hashes}
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, copy_project, snakemake, job_counts) -> Path:
    """A project in which everything that TARGETS need is there and up to date."""
    folder = tmp_path_factory.mktemp("finished")
    copy_project(folder)
    project = Project(folder, snakemake, job_counts)
    project.configure()
    names = [line.split("\t")[0] for line in project.run("--summary").stdout.splitlines()[1:]]
    assert len(names) > len(TARGETS)
    known = described(load([folder / "config.yaml", project.overlay]))
    for name in names:
        output = folder / name
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(known[name]) if name in known else "stands for a result\n")
    touched = project.run("--touch", "--forceall")
    assert touched.returncode == 0, touched.stderr
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, snakemake, job_counts) -> Project:
    """A copy of the finished project, dates included, to be changed by one test."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    return Project(folder, snakemake, job_counts)


def test_nothing_is_planned_when_nothing_changed(project: Project) -> None:
    assert project.plan() == {}
    (project.folder / "src" / "createrec" / "models" / "sasrec.py").touch()  # a new date is no new content
    assert project.plan() == {}


def test_an_edit_of_sasrec_replans_the_runs_that_contain_it(project: Project) -> None:
    project.edit("models/sasrec.py")
    shown = {**TABLE2, "table3": 1, "figure2": 1}
    assert project.plan() == {"train": WITH_SASREC, "evaluate": WITH_SASREC, **shown}


def test_a_setting_of_sasrec_replans_the_runs_that_contain_it(project: Project) -> None:
    project.configure(lambda settings: settings["models"]["sasrec"].update(dropout=0.1))
    shown = {**TABLE2, "table3": 1, "figure2": 1}
    assert project.plan() == {"train": WITH_SASREC, "evaluate": WITH_SASREC, **shown}


def test_an_edit_of_bert4rec_leaves_sasrec_alone(project: Project) -> None:
    project.edit("models/bert4rec.py")
    assert project.plan() == {"train": 3, "evaluate": 3, **TABLE2, "table5": 1}


def test_an_edit_of_a_loss_replans_the_runs_that_use_it(project: Project) -> None:
    project.edit("losses/barlow_twins.py")
    assert project.plan() == {"train": 4, "evaluate": 4, **TABLE2, "table5": 1, "figure2": 1}


def test_an_edit_of_the_figures_draws_them_and_nothing_else(project: Project) -> None:
    project.edit("paper/figures.py")
    assert project.plan() == {"figure2": 1}


def test_an_edit_of_the_split_replans_all_that_follows(project: Project) -> None:
    project.edit("data/split.py")
    plan = project.plan()
    assert plan["split"] == 2 and plan["train"] == plan["evaluate"] == 13 and "prepare" not in plan


def test_a_new_seed_adds_its_runs_and_trains_no_other(project: Project) -> None:
    project.configure(lambda settings: settings["table2"].update(seeds=[0, 1, 2]))
    assert project.plan() == {"train": 5, "evaluate": 5, **TABLE2}


def test_one_seed_less_renders_the_table_anew_and_trains_nothing(project: Project) -> None:
    project.configure(lambda settings: settings["table2"].update(seeds=[0]))
    assert project.plan() == TABLE2


def test_an_edit_of_the_command_line_or_of_messages_replans_nothing(project: Project) -> None:
    for file in ("errors.py", "config.py", "plan.py", "models/registry.py"):
        project.edit(file)
    assert project.plan() == {}


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    """Changes what a JSON file says and nothing that Snakemake looks at: its date stays."""
    stat, content = path.stat(), json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


RUN = "results/runs/demo/sasrec/table2/seed1"


@pytest.mark.parametrize(
    ("file", "change", "jobs"),
    [
        (f"{RUN}/record.json", lambda record: record["settings"].update(dropout=0.9), {"evaluate": 1, **TABLE2}),
        (
            f"{RUN}/record.json",
            lambda record: record["evaluation"].update(target="first"),
            {"evaluate": 1, **TABLE2},
        ),
        (f"{RUN}/record.json", lambda record: record["data"].update(split_hash="other"), {"evaluate": 1, **TABLE2}),
        (
            f"{RUN}/training.json",
            lambda training: training["run"]["settings"]["training"].update(epochs=1),
            {"train": 1, "evaluate": 1, **TABLE2},
        ),
        (
            "results/splits/demo/leave-one-out/split.json",
            lambda facts: facts["made_from"].update(code="other"),
            {"split": 1, "train": 1, "evaluate": 1, "table3": 1},
        ),
    ],
    ids=["settings", "switches", "data", "training", "split"],
)
def test_what_is_not_what_the_plan_asks_for_is_made_again(project: Project, file: str, change, jobs) -> None:
    """Also where Snakemake did not make it, and its date is that of a finished result."""
    rewrite(project.folder / file, change)
    assert project.plan() == jobs


def test_what_was_prepared_otherwise_is_prepared_again(project: Project) -> None:
    rewrite(
        project.folder / "results/data/demo/dataset.json",
        lambda facts: facts["made_from"]["settings"]["filters"].update(user_core=5),
    )
    plan = project.plan()
    assert (plan["prepare"], plan["split"], plan["train"]) == (1, 2, 13)


def test_an_edit_of_a_kernel_replans_the_runs_that_use_it(project: Project) -> None:
    project.edit("ops/softplus.py")  # UltraGCN's, which every CREATE of NARROW contains
    plan = project.plan()
    assert (plan["train"], plan["evaluate"]) == (4, 4)
    project.edit("ops/attention.py")  # SASRec's and BERT4Rec's, alone and in CREATE; not Random's and SVD's
    plan = project.plan()
    assert (plan["train"], plan["evaluate"]) == (9, 9)


def test_an_edit_of_gru4rec_replans_its_runs_and_no_other(project: Project) -> None:
    project.edit("models/gru4rec.py")
    assert project.plan() == {}, "no run of it is planned"
    with_it = {"table2": {"models": ["random", "gru4rec"], "datasets": ["demo"], "seeds": [0, 1]}}
    project.configure(lambda settings: settings.update(with_it))
    assert project.plan() == {"train": 2, "evaluate": 2, "table2": 1}
