"""A mistake ends with one message that names it, and leaves nothing behind."""

from pathlib import Path

import pytest

MISTAKES = {
    "a misspelt key": ("tabel2: {seeds: [0]}", ["tabel2: no such key; known: ", "did you mean 'table2'?"]),
    "a misspelt setting": (
        "models: {sasrec: {dropuot: 0.2}}",
        ["models.sasrec.dropuot: no such key", "did you mean 'dropout'?"],
    ),
    "an unknown dataset": (
        "table2: {datasets: [amazon-beuaty]}",
        ["table2.datasets", "amazon-beuaty", "amazon-beauty"],
    ),
    "an unknown model": ("table2: {models: [sasrecc]}", ["table2.models", "sasrecc", "sasrec"]),
    "a value out of range": ("models: {sasrec: {dropout: 2}}", ["models.sasrec.dropout", "less than 1"]),
    "a word for a number": ("table2: {seeds: [first]}", ["table2.seeds.0", "valid integer"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration(snakemake, tmp_path: Path, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text + "\n")
    folder = tmp_path / "results-of-the-test"
    result = snakemake("table2", "--configfile", overlay, directory=folder)
    assert result.returncode == 1
    for part in expected:
        assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in folder.iterdir()} <= {".snakemake"}


def test_a_run_that_is_not_planned(snakemake, tmp_path: Path) -> None:
    result = snakemake("results/runs/ml-1m/svd/table2/seed77/record.json", "-n", directory=tmp_path)
    assert result.returncode == 1
    assert "ml-1m/svd/table2/seed77 is no run of this configuration" in result.stdout + result.stderr


def test_a_failure_stops_no_neighbour_and_says_why(snakemake, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("who,what,when\nanna,tea,1\nanna,jam,soon\n")
    overlay = tmp_path / "overlay.yaml"
    columns = "user: who, item: what, time: when"
    overlay.write_text(f"datasets: {{demo: {{}}, mine: {{file: {{path: mine.csv, {columns}}}}}}}\n")
    targets = [f"results/data/{name}/dataset.json" for name in ("mine", "demo")]
    result = snakemake(*targets, "--configfile", overlay, directory=tmp_path)
    assert result.returncode == 1
    shown = result.stdout + result.stderr
    assert shown.count("createrec: error: mine.csv") == 2, "the log and its copy; no retry"
    assert "soon" in shown and "Traceback" not in shown
    assert "createrec: error: mine.csv" in (tmp_path / "logs" / "prepare" / "mine.log").read_text()
    assert not any((tmp_path / "results" / "data" / "mine").glob("*"))
    assert (tmp_path / targets[1]).stat().st_size > 0
