"""Whole processes, as a person starts them: `createrec train`, and Snakemake with all its children."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import made
import numpy as np
import pytest
import yaml
from drills import Survival, differences, snapshot

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in ("CREATEREC_MIRROR", "SNAKEMAKE_PROFILE")
}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1"}


def start(command: list[str], cwd: Path, log: Path) -> subprocess.Popen:
    with log.open("ab") as file:
        return subprocess.Popen(
            command, cwd=cwd, env=ENVIRONMENT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )


def kill_after(process: subprocess.Popen, seconds: float) -> bool:
    """Kills a process with all that it started; False if it had ended by itself."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_processes_of_createrec_train(stages, tmp_path: Path, table) -> None:
    command = [sys.executable, "-m", "createrec.cli", *made.train(made.run_of("create", fold="test"))]
    expected, log = snapshot(stages["evaluate"]), tmp_path / "log"
    chance, survival = np.random.default_rng(0), Survival()
    began = time.monotonic()
    shutil.copytree(stages["train"], tmp_path / "whole")
    assert start(command, tmp_path / "whole", log).wait() == 0
    usual = time.monotonic() - began
    for number in range(6):
        folder = tmp_path / f"work{number}"
        shutil.copytree(stages["train"], folder)
        # Half of the time goes into imports; the moments that matter come after them.
        if not kill_after(start(command, folder, log), float(chance.uniform(usual / 2, usual))):
            continue
        began = time.monotonic()
        status = start(command, folder, log).wait()
        found = snapshot(folder)
        same = status == 0 and found == expected
        wrong = [] if same else [f"{differences(found, expected)} {log.read_text()}"]
        survival.add(Survival(1, int(same), [time.monotonic() - began], usual, wrong))
    table("SIGKILL of a `createrec train` process", survival)


OVERLAY = {
    "datasets": {"made": {"max_length": 10, "file": {"path": "made.csv", **made.COLUMNS}}},
    "hparams": None,
    "models": {
        "sasrec": {"dimension": 8, "blocks": 1, "heads": 1, "training": {"epochs": 3, "batch_size": 16}},
        "ultragcn": {"dimension": 8, "negatives": 20},
        "create": {"warmup_epochs": 2},
    },
    "table1": ["made"],
    "table2": {"datasets": ["made"], "models": ["random", "sasrec", "create"], "seeds": [0]},
    "table3": {"datasets": ["made"], "models": ["sasrec"], "seeds": []},
    "figure2": {"datasets": ["made"], "seeds": []},
    "ablations": {
        "graph_size": {"datasets": ["made"], "values": [50], "seeds": []},
        "warmup": {"datasets": ["made"], "values": [1], "seeds": []},
        "barlow_weight": {"datasets": ["made"], "values": [0.2], "seeds": []},
        "alignment": {"datasets": ["made"], "graphs": ["ultragcn"], "alignments": ["barlow"], "seeds": []},
        "backbone": {"datasets": ["made"], "sequences": ["sasrec"], "graphs": ["ultragcn"], "seeds": []},
    },
}


def results_of(folder: Path) -> dict:
    """What the workflow made, without what it notes of time."""
    whole = snapshot(folder / "results")
    return {name: content for name, content in whole.items() if not name.startswith("benchmarks")}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_workflow(tmp_path: Path, table) -> None:
    """Snakemake and all its children die at once; `--unlock`, then the same command again."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, project)
    for name in ("workflow", "profiles", "src"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (project / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY))
    log = tmp_path / "log"

    def command(folder: Path, *arguments: str) -> list[str]:
        snakemake = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(project / "Snakefile")]
        return [*snakemake, "--directory", str(folder), "--cores", "2", "--configfile", str(project / "overlay.yaml")]

    def fresh(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        made.write_table(folder / "made.csv")
        return folder

    targets = ("table1", "table2", "metrics")
    whole = fresh("whole")
    began = time.monotonic()
    assert start(command(whole, *targets), project, log).wait() == 0, log.read_text()
    usual = time.monotonic() - began
    expected = results_of(whole)
    chance, survival = np.random.default_rng(1), Survival()
    for number in range(3):
        folder, killed, status = fresh(f"work{number}"), 0, None
        while status is None:
            began = time.monotonic()
            process = start(command(folder, *targets), project, log)
            # The first seconds read the rules; a run that goes on has less to do, so the moments come early.
            if killed < 2 and kill_after(process, float(chance.uniform(usual / 5, usual / 2))):
                killed += 1
                assert start(command(folder, "--unlock"), project, log).wait() == 0, log.read_text()
            else:
                status = process.wait()
        assert killed, "too quick to be killed"
        found = results_of(folder)
        same = status == 0 and found == expected
        wrong = [] if same else [f"{differences(found, expected)} {log.read_text()[-3000:]}"]
        survival.add(Survival(killed, killed * same, [time.monotonic() - began], usual, wrong))
    table("SIGKILL of Snakemake with all its jobs", survival)
