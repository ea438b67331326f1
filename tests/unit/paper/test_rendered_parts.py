"""The parts of README.md and docs/ that are rendered from records."""

import json
from pathlib import Path

import pytest
from made_up import World, write_ranks, write_record

from createrec.paper.documents import (
    BENCH,
    GPU,
    PUBLISHED,
    REPEATED,
    TUNING,
    Facts,
    bench,
    by_claim,
    five_rows,
    limits,
    repeated,
    searches,
    speed,
    what_was_run,
)


@pytest.fixture
def facts(world: World, tmp_path: Path) -> Facts:
    return Facts(world.results(), tmp_path / "project")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_five_rows_of_claim_verdict_evidence_and_command(facts: Facts) -> None:
    rows = [line for line in five_rows(facts).splitlines() if line.startswith("| ")]
    assert rows[0] == "| Claim of the paper | Verdict | Our evidence | Command |"
    assert len(rows) == 2 + 5
    gain = next(row for row in rows if "gains clearly over SASRec" in row)
    assert "Beauty: +24 % (the paper: +15 %)<br>MovieLens-1M: +24 % (the paper: +13 %)" in gain
    assert gain.endswith("| `snakemake gains` |")


def test_limits_name_what_could_not_be_had(empty_world: World, tmp_path: Path) -> None:
    text = limits(Facts(empty_world.results(), tmp_path))
    assert "Amazon Beauty and MovieLens-1M could not be had" in text
    assert "LOOM** is a reconstruction" in text
    assert "Nothing was measured on a GPU." in text


def test_limits_tell_of_labels_and_of_a_gpu(facts: Facts) -> None:
    write(facts.root / GPU, json.dumps({"device": "cuda: NVIDIA H200"}))
    text = limits(facts)
    assert "**Data.** ML-1M, 31 % of timestamps interpolated." in text
    count = len(facts.runs)
    assert f"{count} of the {count} runs planned on the data at hand have a record." in text
    assert "Speed was measured on one NVIDIA H200" in text and "0 of the records were made on a GPU." in text


def test_limits_tell_of_settings_chosen_on_other_data(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "hparams"
    world.config = world.config.model_copy(update={"hparams": str(folder)})
    today = json.loads((world.splits / "ml-1m" / "temporal" / "split.json").read_text())["split_hash"]
    write(folder / "ml-1m" / "sasrec.yaml", f"# split: {today}\n{{}}\n")
    write(folder / "ml-1m" / "svd.yaml", "# Beauty's settings\n{}\n")
    assert "**Settings.**" not in limits(Facts(world.results(), tmp_path))
    write(folder / "ml-1m" / "create.yaml", f"# split: {'0' * 64}\n{{}}\n")
    text = limits(Facts(world.results(), tmp_path))
    assert "**Settings.** Those of CREATE on MovieLens-1M, epochs included, were chosen on former data" in text


def test_speed_is_set_beside_the_fastest_peer_of_the_same_run(facts: Facts) -> None:
    assert speed(facts) == bench(facts) == "Not measured.\n"
    common = {"quantity": "sasrec", "shape": "beauty", "recorded": False, "tuned": False}
    rows = [
        {**common, "who": "ours", "rate": 16000.0},
        {**common, "who": "RecBole", "rate": 1000.0},
        {**common, "who": "RecTools", "rate": 800.0},
        {**common, "who": "told once", "rate": 9000.0, "recorded": True},
        {**common, "who": "RecTools", "rate": 2000.0, "tuned": True},
        {**common, "who": "ours", "rate": 400.0, "quantity": "ultragcn", "shape": "ml-1m"},
        {**common, "who": "told once", "rate": 100.0, "quantity": "ultragcn", "shape": "ml-1m", "recorded": True},
    ]
    machine = {"device": "cpu: a CPU", "torch": "2.13"}
    write(facts.root / BENCH, json.dumps({"machine": machine, "measurements": rows}))
    assert "- SASRec: 16,000 targets per core-second, 8 times RecTools with its malloc tuned (2,000)." in speed(facts)
    text = bench(facts)
    assert "| SASRec: targets | Beauty | 16,000 | RecBole 1,000 | 16.0 | RecTools 2,000 | 8.0 |" in text
    assert "| UltraGCN: edges | ML-1M | 400 | told once 100 (recorded) | 4.0 | – | – |" in text
    assert "LightGCN" not in text, "it was not measured"


def test_a_search_shows_its_choice_over_seeds(facts: Facts) -> None:
    folder = facts.root / TUNING / "amazon-beauty" / "sasrec"
    trials = ["number,state,value,seconds", "0,complete,0.02,1800", "1,complete,0.03,900", "2,fail,,900"]
    write(folder / "trials.csv", "\n".join(trials))
    assert "| Amazon Beauty | SASRec | 3 | 1.00 | 3.00 | – | – |" in searches(facts)
    choice = ["setting,seed,ndcg@10,mean,chosen", "1,0,0.03,0.028,true", "1,1,0.026,0.028,true", "0,0,0.02,0.02,false"]
    write(folder / "choice.csv", "\n".join(choice))
    assert "| Amazon Beauty | SASRec | 3 | 1.00 | 3.00 | 2.80 ± 0.28 [2] | 2.00 |" in searches(facts)


def test_each_claim_stands_in_one_section(facts: Facts) -> None:
    text = by_claim(facts)
    assert text.count("\n### ") == 5 + len({"Table 2", "Table 3", "Table 4", "Table 5", "Figure 5"})
    judged = [claim for claim in facts.claims if claim.verdict != "not run"]
    shown = ("reproduced", "partly", "undecided", "not reproduced")
    assert sum(text.count(f"| {verdict} |") for verdict in shown) == len(judged)


def test_a_run_made_again_stands_below_what_was_published(facts: Facts) -> None:
    assert repeated(Facts(facts.results, facts.root)) == "No published run was made again.\n"
    run = next(iter(facts.runs.values()))
    for place, device, last in ((PUBLISHED, "cpu: one", 8), (REPEATED, "cuda: another", 9)):
        write_record(facts.root / place / "runs", run, ndcg=0.02, device=device, libraries={"torch": "2.13.0"})
        write_ranks(facts.root / place / "runs", run, [3, 5, last])
    row = repeated(Facts(facts.results, facts.root)).splitlines()[-1]
    assert row == (
        f"| one, torch 2.13.0<br>cuda: another, torch 2.13.0 | `{run.folder}` | 2.0000<br>2.0000 | 6.00<br>6.00 "
        "| 0 | 2 of 3 | no |"
    )
    write_ranks(facts.root / REPEATED / "runs", run, [3, 5, 8])
    assert repeated(Facts(facts.results, facts.root)).splitlines()[-1].endswith("| 3 of 3 | yes |")
    later = {"device": "cpu: one", "libraries": {"torch": "2.13.0"}, "best_epoch": 4}
    write_record(facts.root / REPEATED / "runs", run, ndcg=0.02, **later)
    assert "| 0<br>4 |" in repeated(Facts(facts.results, facts.root)).splitlines()[-1]


def test_what_was_run_is_counted(world: World, tmp_path: Path) -> None:
    (world.records / "amazon-beauty/create/warmup-0/seed1/record.json").unlink()
    text = what_was_run(Facts(world.results(), tmp_path))
    assert "| Figure 4 | 5 of 6 | 6 of 6 |" in text
