"""A campaign: which runs are missing, in which order they are made, and what it leaves behind."""

import contextlib
import json
import multiprocessing
import queue
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from support import PROJECT_MODELS, PROJECT_SEEDS, TINY

from createrec import cli
from createrec.config import load
from createrec.files import read_json
from createrec.runs import campaign as campaign_module
from createrec.runs.campaign import RECORD_FILES, missing_runs, planned_runs


def missing(project, **options):
    runs = planned_runs(load([project / "config.yaml"]), ["mine"], **options)
    return missing_runs(runs, project / "results/published", project / "results")


def folders(project, **options):
    return [run.folder for run in missing(project, **options)]


@pytest.fixture
def forked(monkeypatch):
    """Workers that need not import anything, for tests of what they make and not of how they start."""
    monkeypatch.setattr(campaign_module, "PROCESSES", multiprocessing.get_context("fork"))


def campaign(*arguments):
    return cli.main(["campaign", "--datasets", "mine", "--device", "cpu", *arguments])


def test_every_cell_has_its_first_seed_before_any_has_its_second(project):
    table = [f"mine/{model}/table2/seed{seed}" for seed in PROJECT_SEEDS for model in PROJECT_MODELS]
    # The sweep's warm-up of 2 epochs is the table's run, and so is none of its own.
    sweep = [f"mine/create/warmup-0/seed{seed}" for seed in PROJECT_SEEDS]
    assert folders(project) == table + sweep
    assert folders(project, groups=["ablation_warmup"])[0] == "mine/create/warmup-0/seed0"
    assert planned_runs(load([project / "config.yaml"]), ["another"]) == []


def test_a_campaign_makes_the_records_of_its_runs_and_leaves_no_checkpoint(project, capsys):
    assert campaign("--workers", "2", "--archive", "records.tar.gz") == 0
    assert "10 of 10 missing runs ended" in capsys.readouterr().out
    assert folders(project) == []
    published = project / "results/published"
    assert cli.main(["run", "mine", "create", "--seed", "1", "--device", "cpu"]) == 0
    alone = read_json(project / "results/runs/mine/create/table2/seed1/record.json")
    record = read_json(published / "runs/mine/create/table2/seed1/record.json")
    assert record["metrics"] == alone["metrics"]
    assert record["data"]["split_hash"] == read_json(published / "splits/mine/temporal/split.json")["split_hash"]
    assert not list(project.rglob("checkpoint*"))
    with tarfile.open("records.tar.gz") as tar:
        names = tar.getnames()
    assert sum(name.endswith(RECORD_FILES) for name in names) == 2 * 10
    assert not any(name.endswith("safetensors") for name in names)


def test_a_record_of_other_settings_is_made_again(project, forked):
    assert campaign("--models", "random", "sasrec", "--groups", "table2") == 0
    assert not {"mine/random/table2/seed0", "mine/sasrec/table2/seed0"} & set(folders(project))
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["models"]["sasrec"]["dropout"] = 0.1
    (project / "config.yaml").write_text(json.dumps(config))
    assert [run.folder for run in missing(project) if run.model in ("random", "sasrec")] == [
        "mine/sasrec/table2/seed0",
        "mine/sasrec/table2/seed1",
    ]
    assert campaign("--models", "sasrec") == 0
    record = read_json(project / "results/published/runs/mine/sasrec/table2/seed0/record.json")
    assert record["settings"]["dropout"] == 0.1


def test_a_record_of_other_data_is_made_again(project, forked, capsys):
    """The file changed since: what was published of it no longer counts, and the published summaries follow."""
    assert campaign("--models", "random", "--groups", "table2") == 0
    old = read_json(project / "results/published/splits/mine/temporal/split.json")["split_hash"]
    lines = (project / "mine.csv").read_text().splitlines(keepends=True)
    (project / "mine.csv").write_text("".join(lines[:-20]))
    assert campaign("--models", "random", "--groups", "table2") == 0
    assert "2 of 2 missing runs ended" in capsys.readouterr().out
    today = read_json(project / "results/published/splits/mine/temporal/split.json")["split_hash"]
    assert today != old
    for seed in PROJECT_SEEDS:
        record = read_json(project / f"results/published/runs/mine/random/table2/seed{seed}/record.json")
        assert record["data"]["split_hash"] == today


def test_a_list_names_the_records_of_other_data_too(project, forked, capsys):
    assert campaign("--models", "random", "--groups", "table2") == 0
    path = project / "results/published/runs/mine/random/table2/seed1/record.json"
    record = read_json(path)
    record["data"]["dataset_hash"] = "another"
    path.write_text(json.dumps(record))
    capsys.readouterr()
    assert campaign("--list", "--models", "random", "--groups", "table2") == 0
    (line, total) = capsys.readouterr().out.splitlines()
    assert line.startswith("mine/random/table2/seed1  0.0 core-min  ") and line.endswith(
        "  as mine/random/table2/seed0"
    )
    assert total.startswith("# 1 runs, 1 of them told from records: 0.0 core-hours")


def test_a_run_that_fails_is_reported_and_the_others_are_made(project, forked, capsys):
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["models"]["ultragcn"]["training"] = TINY | {"learning_rate": 1e30, "epochs": 3}
    (project / "config.yaml").write_text(json.dumps(config))
    assert campaign("--models", "ultragcn", "random") == 0
    out = capsys.readouterr().out
    assert "mine/ultragcn/table2/seed0: failed: " in out
    assert folders(project, groups=["table2"]) == [
        f"mine/{model}/table2/seed{seed}" for seed in PROJECT_SEEDS for model in ("sasrec", "ultragcn", "create")
    ]


def test_a_worker_ends_after_a_failure_that_nobody_foresaw(monkeypatch, capsys):
    """Its context may not be sound any more; what it was at is reported all the same."""

    class Parent:
        def is_alive(self):
            return True

    class Reports(queue.Queue):
        def close(self):
            pass

        join_thread = close

    def broken(job):
        raise RuntimeError("CUDA error: an illegal memory access\nmore of it")

    monkeypatch.setattr(campaign_module, "make_record", broken)
    monkeypatch.setattr(multiprocessing, "parent_process", Parent)
    jobs, reports = queue.Queue(), Reports()
    jobs.put(SimpleNamespace(run=SimpleNamespace(folder="mine/sasrec/table2/seed0")))
    with pytest.raises(SystemExit) as ended:
        campaign_module._work(jobs, reports)
    assert ended.value.code == 1
    failed = "failed: RuntimeError: CUDA error: an illegal memory access"
    assert reports.get() == ("mine/sasrec/table2/seed0", failed)
    assert "illegal memory access" in capsys.readouterr().err


def test_a_list_trains_nothing(project, capsys):
    assert campaign("--list", "--groups", "ablation_warmup") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "mine/create/warmup-0/seed0  unknown: no record of this kind on a processor"
    assert not (project / "results").exists()


def test_an_unknown_group_names_the_known_ones(project, capsys):
    assert campaign("--groups", "table9") != 0
    assert "unknown table9; known: table2" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_campaign_that_is_told_to_end_ends_its_workers(project):
    """What they were training goes on from its checkpoint the next time; nothing is left training behind."""
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["models"]["sasrec"]["training"] = TINY | {"epochs": 1_000_000}
    (project / "config.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "createrec.cli", "campaign", "--datasets", "mine", "--device", "cpu"]
    started = subprocess.Popen([*command, "--models", "sasrec"], cwd=project)
    folder = project / "results/runs/mine/sasrec/table2/seed0"
    for _ in range(600):
        if folder.exists() and children(started.pid):
            break
        time.sleep(0.1)
    workers = children(started.pid)
    assert workers
    started.terminate()
    assert started.wait(30) == 128 + signal.SIGTERM
    for _ in range(100):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.1)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def children(process: int) -> list[int]:
    """Processes whose parent this one is."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found.append(int(status.parent.name))
    return found
