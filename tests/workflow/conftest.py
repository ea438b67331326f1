"""Snakemake as a person starts it: a process of its own, in a working directory of its own."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from forked import Forks
from smaller_demo import Demo

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    forks = Forks(tmp_path_factory.mktemp("printed"))
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def snakemake(forks: Forks) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Snakemake on two cores: its arguments, the working directory, the project, more environment variables."""

    def run(*arguments: str | Path, directory: Path, project: Path = ROOT, **environment: str):
        command = [*map(str, arguments), "--snakefile", str(project / "Snakefile")]
        command += ["--directory", str(directory), "--cores", "2"]
        # A profile that the person at this machine chose for themselves is not what is tested.
        inherited = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
        return forks.run(command, cwd=project, environment=inherited | environment, timeout=280)

    return run


@pytest.fixture(scope="session")
def job_counts() -> Callable[[subprocess.CompletedProcess[str]], dict[str, int]]:
    """Reads the table of jobs that a dry run prints last; empty where nothing is to be done."""

    def read(dry_run: subprocess.CompletedProcess[str]) -> dict[str, int]:
        assert dry_run.returncode == 0, dry_run.stderr + dry_run.stdout
        *_, table = ["", *dry_run.stdout.split("Job stats:\n")[1:]]
        counts = re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
        return {rule: int(count) for rule, count in counts if rule != "total"}

    return read


@pytest.fixture(scope="session")
def copy_project() -> Callable[[Path], None]:
    """Copies what Snakemake reads into a folder, where a test may edit it, or nobody else does."""

    def copy(folder: Path) -> None:
        for name in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / name, folder)
        for name in ("workflow", "profiles", "src"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))

    return copy


@pytest.fixture(scope="session")
def plan(snakemake, job_counts, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, int]]:
    """Plans targets in an empty folder; returns the jobs a rule. The same question is asked once."""

    @cache
    def planned(*arguments: str | Path) -> dict[str, int]:
        return job_counts(snakemake(*arguments, "-n", directory=tmp_path_factory.mktemp("empty")))

    return lambda *arguments: dict(planned(*arguments))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, copy_project, snakemake) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"), copy_project, snakemake)
