"""The demo end to end, made smaller: real jobs from the generated data to the rendered tables and figures."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from smaller_demo import RUNS, SMALLER, Demo

ROOT = Path(__file__).parents[2]


def test_everything_is_built(demo: Demo) -> None:
    assert demo.result.returncode == 0, demo.result.stdout + demo.result.stderr
    for number in (1, 2):
        for suffix in ("csv", "md", "tex", "html"):
            assert (demo.folder / f"results/tables/table{number}.{suffix}").stat().st_size > 0
    for suffix in ("pdf", "png", "csv"):
        assert (demo.folder / f"paper_figures/figure2.{suffix}").stat().st_size > 0
    records = {
        str(path.parent.relative_to(demo.folder / "results" / "runs")) for path in demo.folder.rglob("record.json")
    }
    assert records == RUNS


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints(snakemake, tmp_path: Path) -> None:
    """The same figures up to a point of the rounding in another machine's products."""
    result = snakemake(
        "demo", "--set-threads", "train=1", "evaluate=1", "--configfile", ROOT / "config/demo.yaml", directory=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr

    def row(text: str) -> dict[str, float]:
        header, line = (
            [cell.strip(" *") for cell in re.sub("</?ins>", "", line).split("|")[1:-1]]
            for line in text.splitlines()
            if re.match(r"\| (Dataset|Demo) +\| (Metric|NDCG@10) ", line)
        )
        cells = dict(zip(header, line, strict=True))
        return {model: float(cells[model].partition(" ± ")[0]) for model in ("SVD", "SASRec", "CREATE")}

    shown = row((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown == pytest.approx(row((tmp_path / "results/tables/table2.md").read_text(encoding="utf-8")), abs=1)


def test_every_output_says_that_the_data_are_made(demo: Demo) -> None:
    for number in (1, 2):
        for suffix in ("md", "tex", "html"):
            assert "synthetic" in (demo.folder / f"results/tables/table{number}.{suffix}").read_text()
    for record in demo.folder.rglob("record.json"):
        assert json.loads(record.read_text())["label"] == "synthetic"
    rows = (demo.folder / "results" / "metrics.csv").read_text().splitlines()
    assert len(rows) > len(RUNS) and all("synthetic" in row for row in rows[1:])


def test_progress_reaches_the_terminal_and_the_log(demo: Demo) -> None:
    line = "demo/sasrec/table2/seed0 epoch 0"
    assert line in demo.result.stdout + demo.result.stderr
    assert line in (demo.folder / "logs/train/demo/sasrec/table2/seed0.log").read_text()


def test_the_second_time_nothing_is_done(demo: Demo, job_counts) -> None:
    assert job_counts(demo.run("-n")) == {}


def test_the_configuration_in_force_lies_beside_the_results(demo: Demo) -> None:
    kept = json.loads((demo.folder / "results" / "config.json").read_text())
    assert kept["table2"] == SMALLER["table2"]
    assert kept["setups"] == yaml.safe_load((ROOT / "config.yaml").read_text())["setups"]


def test_a_lost_record_is_measured_again_without_training(demo: Demo, job_counts) -> None:
    record = demo.folder / "results" / "runs" / "demo" / "sasrec" / "table2" / "seed0" / "record.json"
    content = record.read_bytes()
    record.unlink()
    try:
        assert job_counts(demo.run("-n", targets=[record.relative_to(demo.folder)])) == {"evaluate": 1}
    finally:
        record.write_bytes(content)


# Loaded by the command, but without a say in what comes out: see NO_SAY in createrec/provenance.py. Of models and
# losses only those are loaded that the settings name.
WITHOUT_A_SAY = re.compile(
    r"(.*/)?__init__|(.*/)?commands|cli|options|config|kinds|exhibits|matching|plan|errors|files|provenance|(data|models)/registry"
    r"|data/download|data/synthetic"
)
LIST_MODULES = """
import sys
from createrec.cli import main, parser
parser()
before = set(sys.modules)
status = main(sys.argv[1:])
print("loaded", *(name for name in set(sys.modules) - before if name.startswith("createrec.")))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def jobs(demo: Demo) -> dict[str, dict[str, str]]:
    """One job of each rule: its row of Snakemake's summary. Of the trainings the one that ranks on the way: for the
    others ranking is loaded without a say (RANKING in createrec/provenance.py), and the summary has no order.
    """
    header, *lines = demo.run("--detailed-summary").stdout.splitlines()
    rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    rows = [row for row in rows if "random" not in row["output_file"]]
    return {row["rule"]: row for row in rows if row["rule"] != "train" or "figure2" in row["output_file"]}


@pytest.mark.parametrize("rule", ["train", "evaluate", "table2", "figure2"])
def test_what_a_command_loads_is_an_input_of_its_rule(demo: Demo, jobs, tmp_path: Path, rule: str) -> None:
    declared = {path.partition("src/createrec/")[2] for path in jobs[rule]["input-file(s)"].split(",")}
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns(".snakemake"))
    command = shlex.split(jobs[rule]["shellcmd"].replace("\\\n", " "))
    arguments = command[command.index("createrec") + 1 : command.index("2>&1")]
    result = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.splitlines()[-1].split()[1:]
    files = {name.partition(".")[2].replace(".", "/") for name in loaded}
    files = {name for name in files if (ROOT / "src" / "createrec" / f"{name}.py").exists()}
    assert len(files) > 2
    assert {f"{name}.py" for name in files if not WITHOUT_A_SAY.fullmatch(name)} <= declared
