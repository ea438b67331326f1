"""What `make` says before it installs: no wrong Python, and no .venv of another Python or build of torch."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")
MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = pytest.mark.skipif(MAKE is None, reason="no make on this machine")


@pytest.fixture
def fitting(tmp_path: Path):
    """Runs the check in an empty project; returns what it said, and "" where it found nothing."""

    def run(*settings: str) -> str:
        command = [str(MAKE), "--silent", "--file", str(ROOT / "Makefile"), *settings, "fitting"]
        # `make test` hands its own settings down, and a person's environment may name a Python.
        own = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "PYTHON", "TORCH"}
        environment = {key: value for key, value in os.environ.items() if key not in own}
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (result.returncode == 0) == (result.stderr == "")
        return result.stderr

    return run


def python(path: Path, version: str) -> Path:
    """A Python that claims to be of another version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    major, minor = version.split(".")
    claim = f"import sys, platform; sys.version_info = ({major}, {minor}, 0)"
    claim += f"; platform.python_version = lambda: '{version}.0'; exec(sys.argv.pop(1))"
    path.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "{claim}" "$@"\n')
    path.chmod(0o755)
    return path


def test_nothing_is_said_of_a_fresh_folder_or_a_venv_that_fits(fitting, tmp_path: Path) -> None:
    assert fitting(f"PYTHON={sys.executable}") == ""
    python(tmp_path / ".venv" / "bin" / "python", MINE)
    (tmp_path / ".venv" / "installed").write_text("cuda\n")
    assert fitting(f"PYTHON={sys.executable}") == ""
    assert fitting() == ""  # what is there decides


def test_a_python_that_is_too_old_or_absent(fitting, tmp_path: Path) -> None:
    assert f"needs Python 3.11 or newer; {tmp_path}/old is 3.10.0." in fitting(
        f"PYTHON={python(tmp_path / 'old', '3.10')}"
    )
    assert "needs Python 3.11 or newer; no-such-python is not there." in fitting("PYTHON=no-such-python")


def test_a_venv_of_another_python(fitting, tmp_path: Path) -> None:
    python(tmp_path / ".venv" / "bin" / "python", "3.99")
    assert f".venv is of a Python 3.99, expected {MINE}: rm -r .venv" in fitting(f"PYTHON={sys.executable}")


def test_a_venv_whose_python_is_gone(fitting, tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "removed")
    assert re.search(r"\.venv is of a Python that is gone, expected \S+: rm -r \.venv", fitting())


def test_a_venv_with_the_other_build(fitting, tmp_path: Path) -> None:
    python(tmp_path / ".venv" / "bin" / "python", MINE)
    (tmp_path / ".venv" / "installed").write_text("cpu\n")
    assert ".venv has the cpu build of torch, expected cuda: rm -r .venv" in fitting("TORCH=cuda")
    assert "TORCH=gpu: expected cpu or cuda" in fitting("TORCH=gpu")


def test_the_cpu_lock_has_a_hash_for_every_python_and_platform() -> None:
    linux, others = (ROOT / "envs" / "torch-cpu.lock").read_text().split("torch==")[1:]
    version = re.match(r"[\d.]+", others)[0]
    assert linux.startswith(f"{version}+cpu ; sys_platform == 'linux'")
    assert len(set(re.findall(r"sha256:[0-9a-f]{64}", linux))) == 8  # Python 3.11 to 3.14 on two processors
    cuda = (ROOT / "envs" / "torch-cuda.lock").read_text()
    assert set(re.findall(r"sha256:[0-9a-f]{64}", others)) <= set(re.findall(r"sha256:[0-9a-f]{64}", cuda))
