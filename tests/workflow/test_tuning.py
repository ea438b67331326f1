"""Studies and the adoption of what they found."""

from pathlib import Path


def test_hparams_plans_the_studies_and_adopts_each(plan, tmp_path: Path) -> None:
    overlay = tmp_path / "tuning.yaml"
    folder = tmp_path / "hparams"
    folder.mkdir()
    overlay.write_text(f"hparams: {folder}\ntuning: {{datasets: [amazon-beauty], models: [svd, sasrec]}}\n")
    counts = plan("hparams", "--configfile", overlay)
    assert counts == {"prepare": 1, "split": 1, "study": 2, "adopt": 2, "hparams": 1}


def test_adopted_settings_are_the_studys(snakemake, tmp_path: Path) -> None:
    best = tmp_path / "results" / "tuning" / "demo" / "svd" / "best.yaml"
    best.parent.mkdir(parents=True)
    best.write_text("# provenance\nrank: 8\n")
    best.with_name("next.yaml").write_text("trial-3: {rank: 16}\n")
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"hparams: {tmp_path / 'hparams'}\ndatasets: {{demo: {{}}}}\n")
    adopted = tmp_path / "hparams" / "demo" / "svd.yaml"
    adopted.parents[1].mkdir()
    arguments = ("--configfile", overlay, "--allowed-rules", "adopt")
    result = snakemake("hparams/demo/svd.yaml", *arguments, directory=tmp_path)
    assert result.returncode == 0, result.stderr
    assert adopted.read_text() == best.read_text()
    assert adopted.with_name("svd.next.yaml").read_text() == best.with_name("next.yaml").read_text()
