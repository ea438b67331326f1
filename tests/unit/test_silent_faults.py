"""Ways to a wrong number without a word, each with the right value (docs/reliability.md); inputs in tests/cases."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from support import interactions_of, small_split

from createrec import cli
from createrec.config import LeaveOneOutSetup, TemporalSetup
from createrec.data.datasets import write_split
from createrec.data.prepare import write_dataset
from createrec.data.split import refuse_without_queries, split
from createrec.errors import DataError
from createrec.readers.columns import Reading

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
OVERALL = dict.fromkeys(("ndcg@10", "recall@10", "coverage@10", "ndcg@100", "recall@100", "coverage@100"))


@pytest.fixture
def createrec(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder under the project's configuration and an overlay; status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, overlay):
        (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        status = cli.main([*arguments, "--config", str(ROOT / "config.yaml"), "overlay.yaml"])
        return status, *capsys.readouterr()

    return run


def own(name, **settings):
    return {"datasets": {name: {**settings, "file": {"path": str(CASES / f"{name}.csv")}}}}


def record_of(folder):
    return json.loads((Path("results/runs") / folder / "record.json").read_text())


def ranks_of(folder):
    return pq.read_table(Path("results/runs") / folder / "ranks.parquet")["rank"].to_numpy()


# --- a record is believed by its place -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "variant"),
    [
        (["--set", "training.epochs=1"], "training.epochs-1"),
        (["--setup", "leave-one-out"], "leave-one-out"),
        (["--fold", "validation"], "validation"),
        (["--seed", "0"], "table2"),
    ],
)
def test_what_is_not_table_2s_run_gets_a_place_of_its_own(createrec, asked, variant):
    overlay = own("id_bom") | {"models": {"sasrec": {"training": {"epochs": 2}}}}
    status, out, _ = createrec("run", "id_bom", "sasrec", *asked, "--device", "cpu", overlay=overlay)
    assert status == 0
    assert f"folder: results/runs/id_bom/sasrec/{variant}/seed0" in out
    assert [path.parent.parent.name for path in Path("results/runs").rglob("record.json")] == [variant]
    record = record_of(f"id_bom/sasrec/{variant}/seed0")
    assert record["settings"]["training"]["epochs"] == (1 if "epochs" in variant else 2)
    assert record["setup"] == ("leave-one-out" if variant == "leave-one-out" else "temporal")


def test_a_record_and_the_output_say_where_settings_come_from(createrec, tmp_path):
    overlay = own("id_bom") | {"models": {"sasrec": {"training": {"epochs": 2}}}}
    _, out, _ = createrec("run", "id_bom", "sasrec", "--set", "heads=1", "--device", "cpu", overlay=overlay)
    assert f"configuration: {ROOT}/config.yaml + {tmp_path}/overlay.yaml" in out
    sources = record_of("id_bom/sasrec/heads-1/seed0")["sources"]
    assert [source["settings"] for source in sources] == [{"training": {"epochs": 2}}, {"heads": 1}]
    assert sources[0]["from"] == "models.sasrec of config.yaml + overlay.yaml"  # a record names no folder of a machine
    assert f"tuned settings: {ROOT}/hparams" in out
    assert all(json.dumps(source["settings"]) in out for source in sources)


def test_tuned_settings_are_found_from_any_folder(createrec, tmp_path):
    """The run stands in another folder than the configuration that names `hparams`."""
    project = tmp_path / "project"
    (project / "hparams" / "id_bom").mkdir(parents=True)
    (project / "hparams" / "id_bom" / "svd.yaml").write_text("rank: 3\n")
    shutil.copy(ROOT / "config.yaml", project)
    shutil.copy(CASES / "id_bom.csv", project)
    (project / "own.yaml").write_text("datasets: {id_bom: {file: {path: id_bom.csv}}}\n")
    command = ["run", "id_bom", "svd", "--device", "cpu", "--config"]
    assert cli.main([*command, str(project / "config.yaml"), str(project / "own.yaml")]) == 0
    record = record_of("id_bom/svd/table2/seed0")
    assert record["settings"]["rank"] == 3
    assert record["sources"] == [{"from": "hparams/id_bom/svd.yaml", "settings": {"rank": 3}}]


# --- old preparations ----------------------------------------------------------------------------------------------


def test_a_changed_file_and_another_cut_change_the_statistics(createrec, tmp_path):
    lines = (CASES / "id_bom.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    file = tmp_path / "d.csv"
    file.write_text("".join(lines[:200]), encoding="utf-8")
    overlay = {"datasets": {"shop": {"file": {"path": "d.csv"}}}}
    _, out, _ = createrec("stats", "shop", "--json", overlay=overlay)
    first = json.loads(out)
    file.write_text("".join(lines), encoding="utf-8")
    overlay["setups"] = {"temporal": {"test_quantile": 0.5}}
    status, out, err = createrec("stats", "shop", "--json", overlay=overlay)
    second = json.loads(out)
    assert status == 0
    assert (first["interactions"], second["interactions"]) == (199, 320)
    times = sorted(int(line.split(",")[2]) for line in lines[1:])
    assert second["test_cut"] == (times[159] + times[160]) // 2  # every user has 3 rows or more
    assert "shop is prepared again" in err and "shop is split again" in err


# --- targets that were seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seen", "users"), [("s_repeat", 1.0, 40), ("s_repeat300", 0.95, 60)])
def test_a_removed_target_is_no_hit_and_is_said(createrec, name, seen, users):
    status, _, err = createrec("run", name, "svd", "--device", "cpu", overlay=own(name))
    assert status == 0
    folder = f"{name}/svd/table2/seed0"
    record, ranks = record_of(folder), ranks_of(folder)
    assert len(ranks) == users
    assert record["data"]["seen_targets"] == pytest.approx(seen)
    hits = round((1 - seen) * users)  # at the most: the targets that their users had not seen
    assert (ranks <= 100).sum() <= hits
    assert record["metrics"]["recall@100"] == (ranks <= 100).mean() <= hits / users
    assert record["metrics"]["ndcg@100"] == np.where(ranks <= 100, 1 / np.log2(ranks + 1.0), 0).mean()
    assert f"{100 * seen:.1f} % of the test targets are items that their users had before" in err
    assert "set remove_seen: false" in err


@pytest.mark.parametrize(("name", "recall"), [("s_repeat", 1.0), ("s_repeat300", 58 / 60)])
def test_a_seen_target_that_stays_in_the_ranking_is_found(createrec, name, recall):
    status, *_ = createrec("run", name, "svd", "--device", "cpu", overlay=own(name, remove_seen=False))
    assert status == 0
    assert record_of(f"{name}/svd/table2/seed0")["metrics"]["recall@100"] == pytest.approx(recall)


# --- nobody to ask -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        (
            "t_all_same",
            "random",
            "t_all_same, temporal: nothing to split in time: all 320 interactions are at the time",
        ),
        ("s_one_item", "svd", "s_one_item, temporal: nothing to rank: all 250 interactions are with one item"),
    ],
)
def test_data_that_no_model_can_learn_from_are_refused_when_they_are_split(createrec, name, model, words):
    status, _, err = createrec("run", name, model, "--device", "cpu", overlay=own(name))
    assert status == 2
    assert err.count("\n") == 1 and err.startswith(f"createrec: error: {words}"), err
    assert not list(Path("results/splits").rglob("*.safetensors")) and not Path("results/runs").exists()


def test_switches_that_leave_nobody_to_ask_are_null_in_the_record(createrec):
    """Each user's last items occur in nobody's training rows."""
    status, _, err = createrec("run", "s_test_only", "random", "--device", "cpu", overlay=own("s_test_only"))
    assert status == 0
    record = record_of("s_test_only/random/table2/seed0")
    cold = {name: values for name, values in record["sensitivity"].items() if "drop_cold_items=true" in name}
    assert len(cold) == 2 and all(values == OVERALL for values in cold.values())
    assert all(value is not None for value in record["metrics"].values())
    assert "no test target occurs in training: with drop_cold_items nobody is left to ask" in err


def test_a_run_that_would_ask_nobody_is_refused_before_it_is_trained(createrec):
    overlay = own("s_test_only") | {"evaluation": {"drop_cold_items": True}}
    status, _, err = createrec("run", "s_test_only", "random", "--device", "cpu", overlay=overlay)
    assert status == 2
    assert "these switches of the evaluation leave nobody to ask: " in err and "drop_cold_items=true" in err
    assert not list(Path("results/runs").rglob("*.json"))


LONE = [(0, item, time) for time, item in enumerate((0, 1, 2, 3, 4, 0, 1))]
LATE = [(user, item, time) for user in range(4) for time, item in ((1, 0), (2, 1), (9, 2), (9, 3), (9, 4))]


@pytest.mark.parametrize(
    ("rows", "users", "setup", "words"),
    [
        (LONE, 1, TemporalSetup(), "nothing to learn from others: all 7 interactions are of one user"),
        (LONE, 1, LeaveOneOutSetup(), "nothing to learn from others"),
        (LATE, 4, TemporalSetup(), "no test user: of the users that can be learnt from, none has interactions after"),
    ],
)
def test_other_data_without_a_question(tmp_path, rows, users, setup, words):
    data = interactions_of(rows, users, 5)
    source = {"file": None, "origin": "made", "sha256": None}
    write_dataset(tmp_path, "made", Reading(data), "", source)
    files = [tmp_path / name for name in ("interactions.parquet", "dataset.json", "split.safetensors", "split.json")]
    with pytest.raises(DataError, match=f"made, {setup.kind}: {words}"):
        write_split(setup, *files)
    assert not files[2].exists() and not files[3].exists()


def test_a_split_that_asks_somebody_is_not_refused():
    refuse_without_queries(small_split())
    refuse_without_queries(split(interactions_of(LATE, 4, 5), LeaveOneOutSetup()))


def test_a_matrix_smaller_than_the_rank_is_said_and_in_the_record(createrec):
    status, _, err = createrec("run", "s_repeat", "svd", "--device", "cpu", overlay=own("s_repeat", remove_seen=False))
    note = "rank 64 is more than a matrix of 40 users and 9 items has: 8 factors"
    assert status == 0
    assert f"note: {note}" in err
    assert record_of("s_repeat/svd/table2/seed0")["notes"] == [note]
