"""Every way into the workflow plans the same: the root Snakefile, the catalogue's entry, and use as a module."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAY = ("--configfile", ROOT / "config" / "demo.yaml")
MODULE = f"""
module createrec:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config


use rule * from createrec
"""


@pytest.mark.parametrize("entry", ["catalogue", "module"])
def test_it_plans_what_the_root_snakefile_plans(snakemake, job_counts, plan, tmp_path: Path, entry: str) -> None:
    project = ROOT / "workflow" if entry == "catalogue" else tmp_path
    (tmp_path / "Snakefile").write_text(MODULE)
    counts = job_counts(snakemake("demo", *OVERLAY, "-n", directory=tmp_path / "work", project=project))
    assert counts == plan("demo", *OVERLAY)
    assert counts["train"] > 1


def test_the_catalogue_finds_what_it_asks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    deployment = usage["software-stack-deployment"]
    assert {"conda", "apptainer", "apptainer+conda", "report"} == set(deployment)
    assert (ROOT / "config" / "README.md").is_file()
    for flag in usage["mandatory-flags"]["flags"].split():
        assert flag.startswith("--")


def test_each_overlay_is_described() -> None:
    described = (ROOT / "config" / "README.md").read_text()
    overlays = [path.name for path in (ROOT / "config").glob("*.yaml")]
    assert overlays
    assert [name for name in overlays if f"`{name}`" not in described] == []
