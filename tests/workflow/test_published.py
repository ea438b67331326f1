"""What is published is what the committed records give: everything is rendered again, and nothing may differ."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = Path("results/published")
RENDERED = ("tables", "comparison", "metrics.csv")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, copy_project, snakemake) -> Path:
    """A project that holds the committed records and nothing that was made of them."""
    folder = tmp_path_factory.mktemp("published")
    copy_project(folder)
    shutil.copytree(ROOT / "hparams", folder / "hparams")
    shutil.copytree(ROOT / PUBLISHED, folder / PUBLISHED, ignore=shutil.ignore_patterns(*RENDERED))
    result = snakemake(
        "published_tables", "published_figures", "published_comparison", directory=folder, project=folder
    )
    assert result.returncode == 0, result.stdout + result.stderr
    command = [sys.executable, "-m", "createrec.cli", "collect", "--records-from", PUBLISHED / "runs"]
    subprocess.run([*command, "--output", PUBLISHED / "metrics.csv"], cwd=folder, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("part", ["tables", "comparison"])
def test_the_published_tables_are_those_of_the_records(again: Path, part: str) -> None:
    assert files(again / PUBLISHED / part) == files(ROOT / PUBLISHED / part)


def test_the_published_metrics_are_those_of_the_records(again: Path) -> None:
    assert (again / PUBLISHED / "metrics.csv").read_bytes() == (ROOT / PUBLISHED / "metrics.csv").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "png"])
def test_the_published_figures_are_those_of_the_records(again: Path, suffix: str) -> None:
    mine, theirs = files(again / "paper_figures"), files(ROOT / "paper_figures")
    names = [name for name in theirs if name.endswith(suffix)]
    assert len(names) == 4
    assert {name: mine[name] for name in names} == {name: theirs[name] for name in names}
