"""`pip install .` gives a package that knows what it needs, holds its data files, and runs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built package, unpacked."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("package")
    for file in ("pyproject.toml", "envs/requirements.in"):
        (source / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, source / file)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        target,
        source,
    ]
    subprocess.run(command, check=True, timeout=240)
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target / "site")
    return target / "site"


def test_its_requirements_are_those_of_the_environment(package: Path) -> None:
    (metadata,) = package.glob("*.dist-info/METADATA")
    lines = metadata.read_text().splitlines()
    found = {line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")}
    wanted = (ROOT / "envs" / "requirements.in").read_text().splitlines()
    assert found == {line for line in wanted if line and not line.startswith("#")}


def test_it_holds_every_table_of_the_source(package: Path) -> None:
    tables = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.csv")}
    assert tables == {path.relative_to(package) for path in package.rglob("*.csv")} != set()


def test_it_runs_away_from_the_source(package: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    code = "import createrec.cli, sys; print(createrec.__file__); sys.exit(createrec.cli.main(['models']))"
    environment = os.environ | {"PYTHONPATH": str(package)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert str(package) in result.stdout and "sasrec" in result.stdout
