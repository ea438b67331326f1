"""Clocks and locales: no setting of the machine changes a result or ends in a traceback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import made
import pytest
from drills import Survival, differences, snapshot

COMMANDS = made.commands(made.run_of("create", fold="test"))
ODDITIES = {
    "time zone far east": {"TZ": "Pacific/Kiritimati"},
    "time zone by the half hour": {"TZ": "Asia/Kolkata"},
    "time zone that is none": {"TZ": "Nowhere/At_all"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"},
    "plain C, ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a locale that is not installed": {"LC_ALL": "xx_XX.ISO-8859-9", "PYTHONUTF8": "0"},
    "hashed otherwise": {"PYTHONHASHSEED": "12345", "LC_ALL": "C.UTF-8"},
}
# Reading or writing text in the encoding of the machine is an error in these processes.
STRICT = {"PYTHONWARNDEFAULTENCODING": "1", "OMP_NUM_THREADS": "1"}
# All commands in one process, because each import of torch takes seconds.
RUN_ALL = """
import json, sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module="createrec")
from createrec.cli import main
import torch
torch.set_num_threads(1)
sys.exit(next((status for status in map(main, json.loads(sys.argv[1])) if status), 0))
"""


def run_all(folder: Path, environment: Mapping[str, str], prelude: str = "") -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("CREATEREC_MIRROR", "LANG")}
    return subprocess.run(
        [sys.executable, "-c", prelude + RUN_ALL, json.dumps(list(COMMANDS.values()))],
        cwd=folder,
        env={**inherited, **STRICT, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


ORDINARY = "plain C, ASCII"


@pytest.mark.parametrize(
    "oddity", [pytest.param(name, marks=[] if name == ORDINARY else pytest.mark.slow) for name in ODDITIES]
)
def test_locale_and_time_zone_change_nothing(stages, tmp_path: Path, table, oddity: str) -> None:
    shutil.copytree(stages["prepare"], tmp_path / "work")
    done = run_all(tmp_path / "work", ODDITIES[oddity])
    assert done.returncode == 0, done.stderr
    compare(table, "clock and locale oddities", tmp_path / "work", stages)


# The wall clock jumps back an hour each time it is asked; the steady clock is left alone, as systems leave it.
BACKWARDS = """
import time
now = time.time()
def back():
    global now
    now -= 3600.0
    return now
time.time = back
time.time_ns = lambda: int(back() * 1e9)
"""


@pytest.mark.slow
def test_a_clock_that_runs_backwards_changes_nothing(stages, tmp_path: Path, table) -> None:
    shutil.copytree(stages["prepare"], tmp_path / "work")
    done = run_all(tmp_path / "work", {}, BACKWARDS)
    assert done.returncode == 0, done.stderr
    compare(table, "clock and locale oddities", tmp_path / "work", stages)
    history = json.loads((tmp_path / "work/results/run/training.json").read_text())["history"]
    assert all(entry["seconds"] >= 0 for entry in history)


def test_files_from_the_future_are_taken(children, stages, tmp_path: Path) -> None:
    """A clock that was set back between two steps leaves inputs newer than now."""
    shutil.copytree(stages["evaluate"], tmp_path / "work")
    for path in (tmp_path / "work").rglob("*"):
        os.utime(path, (4e9, 4e9))
    for command in ("evaluate", "collect"):
        outcome = children.run(*COMMANDS[command], cwd=tmp_path / "work")
        assert outcome.status == 0, outcome.printed
    assert snapshot(tmp_path / "work") == snapshot(stages["everything"])


PRINT_NAME = """
import sys
from createrec.cli import main
from createrec.data import registry
registry.datasets = lambda: ["\\u0131zgara \\u2603"]
sys.exit(main(["datasets"]))
"""


def test_names_beyond_ascii_are_printed_anywhere() -> None:
    """A label or an id that the terminal cannot show is shown as escapes."""
    environment = {**os.environ, **ODDITIES["plain C, ASCII"], "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_NAME], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "\\u0131zgara \\u2603"


def compare(table, fault: str, folder: Path, stages: Mapping[str, Path]) -> None:
    found, expected = snapshot(folder), snapshot(stages["everything"])
    wrong = [f"{differences(found, expected)}"] if found != expected else []
    table(fault, Survival(1, 1 - len(wrong), [], 0.0, wrong))
