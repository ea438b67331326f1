"""The workflow's own linters."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_lint_has_no_findings(snakemake, tmp_path: Path) -> None:
    result = snakemake("--lint", directory=tmp_path)
    assert result.returncode == 0, result.stderr + result.stdout


def test_snakefmt_would_change_nothing() -> None:
    folder = Path(sys.executable).parent
    command = [str(folder / "snakefmt"), "--check", "Snakefile", "workflow"]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # snakefmt looks there for shfmt
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


def test_the_snakefile_stays_a_front_door() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 60


def test_every_profile_value_has_its_reason() -> None:
    for profile in sorted(ROOT.glob("profiles/*/profile.yaml")):
        for block in profile.read_text().strip().split("\n\n"):
            assert block.startswith("#"), f"{profile.relative_to(ROOT)}: no reason above\n{block}"
