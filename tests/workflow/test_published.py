"""What is published is what the committed records give: everything is rendered again, and nothing may differ."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from createrec.exhibits import of_kind

ROOT = Path(__file__).parents[2]
PUBLISHED = Path("results/published")
RENDERED = ("tables", "comparison", "metrics.csv", "report.html")
METRICS = (PUBLISHED, PUBLISHED / "untuned", PUBLISHED / "positions")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, copy_project, snakemake) -> Path:
    """A project that holds the committed records and nothing that was made of them."""
    folder = tmp_path_factory.mktemp("published")
    copy_project(folder)
    shutil.copytree(ROOT / "hparams", folder / "hparams")
    shutil.copytree(ROOT / PUBLISHED, folder / PUBLISHED, ignore=shutil.ignore_patterns(*RENDERED))
    gpu = Path("benchmarks/results/gpu.json")
    if (ROOT / gpu).exists():
        (folder / gpu).parent.mkdir(parents=True)
        shutil.copy(ROOT / gpu, folder / gpu)
    targets = tuple(f"published_{part}" for part in ("tables", "figures", "comparison", "validation", "report"))
    result = snakemake(*targets, directory=folder, project=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    for part in METRICS:
        command = [sys.executable, "-m", "createrec.cli", "collect", "--records-from", part / "runs"]
        command += ["--data", PUBLISHED / "data", "--splits", PUBLISHED / "splits"]
        command += ["--config", "config.yaml", "--leave-out"] if part == PUBLISHED else []
        subprocess.run([*command, "--output", part / "metrics.csv"], cwd=folder, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("part", ["tables", "comparison"])
def test_the_published_tables_are_those_of_the_records(again: Path, part: str) -> None:
    assert files(again / PUBLISHED / part) == files(ROOT / PUBLISHED / part)


@pytest.mark.parametrize("part", METRICS)
def test_the_published_metrics_are_those_of_the_records(again: Path, part: Path) -> None:
    assert (again / part / "metrics.csv").read_bytes() == (ROOT / part / "metrics.csv").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "png"])
def test_the_published_figures_are_those_of_the_records(again: Path, suffix: str) -> None:
    mine, theirs = files(again / "paper_figures"), files(ROOT / "paper_figures")
    names = [name for name in theirs if name.endswith(suffix)]
    assert len(names) == len(of_kind("figure"))
    assert {name: mine[name] for name in names} == {name: theirs[name] for name in names}


def test_the_published_page_is_that_of_the_records(again: Path) -> None:
    assert (again / PUBLISHED / "report.html").read_bytes() == (ROOT / PUBLISHED / "report.html").read_bytes()


LATEX = shutil.which("pdflatex")
DOCUMENT = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{table}\end{document}"


@pytest.mark.skipif(LATEX is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("name", [exhibit.name for exhibit in of_kind("table")])
def test_latex_takes_each_table(tmp_path: Path, name: str) -> None:
    """The packages are those that the table's first line asks for; what is too wide for the page counts as an error."""
    shutil.copyfile(ROOT / PUBLISHED / "tables" / f"{name}.tex", tmp_path / "table.tex")
    (tmp_path / "document.tex").write_text(DOCUMENT)
    command = [LATEX, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "Overfull" not in result.stdout


def test_the_crate_names_what_is_there() -> None:
    described = json.loads((ROOT / PUBLISHED / "ro-crate-metadata.json").read_text())["@graph"]
    (root,) = [entity for entity in described if entity["@id"] == "./"]
    parts = {part["@id"].rstrip("/") for part in root["hasPart"]}
    assert {"runs", "tables", "comparison", "metrics.csv"} <= parts
    assert parts <= {path.name for path in (ROOT / PUBLISHED).iterdir()}
