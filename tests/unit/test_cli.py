"""The command line: what it does for a small dataset from file to recommendation, and how it says what is wrong."""

import argparse
import contextlib
import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from support import interactions, plain_settings, run_of

from createrec import cli
from createrec.kinds import CATALOGUE, of_role
from createrec.runs.commands import _ids

TINY = {"epochs": 2, "batch_size": 16, "edge_batch_size": 64, "learning_rate": 0.01}
MODELS = ("sasrec", "lightgcn", "create", "poprnd")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with one's own dataset, a configuration, and trained runs of it."""
    folder = tmp_path_factory.mktemp("project")
    data = interactions(users=60, items=40, seed=2)
    with (folder / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "time"])
        writer.writerows(
            (data.user_ids[u], data.item_ids[i], t) for u, i, t in zip(data.user, data.item, data.time, strict=True)
        )
    models = {name: plain_settings(name, **({"training": TINY} if name != "poprnd" else {})) for name in MODELS}
    models |= {name: plain_settings(name) for name in ("ultragcn", "bert4rec")}
    empty = {"datasets": [], "models": [], "seeds": []}
    sweep = {"datasets": [], "values": [], "seeds": []}
    config = {
        "datasets": {"mine": {"max_length": 7, "file": {"path": str(folder / "mine.csv")}}},
        "models": models,
        "hparams": None,
        "evaluation": {"cutoffs": [5]},
        "table1": [],
        "table2": empty,
        "table3": empty,
        "figure2": {"datasets": [], "seeds": []},
        "ablations": {
            **{name: sweep for name in ("graph_size", "warmup", "barlow_weight")},
            "alignment": {"datasets": [], "graphs": [], "alignments": [], "seeds": []},
            "backbone": {"datasets": [], "sequences": [], "graphs": [], "seeds": []},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for name in MODELS:
        assert main(folder, "run", "mine", name, "--device", "cpu") == 0
    return folder


def main(folder, command, *arguments):
    options = ["--config", str(folder / "config.yaml")] if command in ("run", "stats", "models") else []
    results = ["--results", str(folder / "results")] if command == "run" else []
    return cli.main([command, *arguments, *options, *results])


def run_folder(project, model):
    return project / "results" / "runs" / "mine" / model / "table2" / "seed0"


def recommended(project, capsys, model, *arguments):
    capsys.readouterr()
    assert cli.main(["recommend", str(run_folder(project, model)), "--device", "cpu", *arguments]) == 0
    out, err = capsys.readouterr()
    return [json.loads(line)["items"] for line in out.splitlines()], err


def popularity(project):
    """Items by their count in the training rows, ties by index; in the dataset's own ids."""
    from createrec.data.interactions import Interactions
    from createrec.data.split import Split

    made = Split.load(project / "results/splits/mine/temporal/split.safetensors")
    names = Interactions.load(project / "results/data/mine/interactions.parquet").item_ids
    counts = np.bincount(made.items[made.training_rows("test")], minlength=made.item_count)
    return [names[item] for item in sorted(range(len(counts)), key=lambda item: (-counts[item], item))]


def test_run_writes_what_the_contract_names(project):
    for model in MODELS:
        folder = run_folder(project, model)
        assert sorted(path.name for path in folder.iterdir()) == [
            "model.safetensors",
            "ranks.parquet",
            "record.json",
            "training.json",
        ]
        record = json.loads((folder / "record.json").read_text())
        assert set(record["metrics"]) == {"ndcg@5", "recall@5", "coverage@5"}


def test_recommendations_are_known_items_and_none_of_the_history(project, capsys):
    lists, err = recommended(project, capsys, "create", "--history", "i3,i7,i1", "-k", "6")
    assert len(lists) == 1 and len(set(lists[0])) == 6
    assert not set(lists[0]) & {"i3", "i7", "i1"}
    assert all(name.startswith("i") for name in lists[0])
    assert not err


def test_the_order_of_a_history_matters_to_a_sequence_model(project, capsys):
    first, _ = recommended(project, capsys, "sasrec", "--history", "i3,i7,i1,i9", "-k", "30")
    second, _ = recommended(project, capsys, "sasrec", "--history", "i9,i1,i7,i3", "-k", "30")
    assert first != second


def test_unknown_items_are_left_out_and_named(project, capsys):
    plain, _ = recommended(project, capsys, "create", "--history", "i3,i7")
    mixed, err = recommended(project, capsys, "create", "--history", "i3,never-seen,i7")
    assert mixed == plain
    assert "never-seen" in err and "i7" not in err


@pytest.mark.parametrize("history", ["", "never-seen"])
@pytest.mark.parametrize("model", ["sasrec", "create"])
def test_an_empty_history_gets_the_most_popular(project, capsys, model, history):
    lists, err = recommended(project, capsys, model, "--history", history, "-k", "5")
    assert lists == [popularity(project)[:5]]
    assert "the model has nothing to go by here; these are the most popular items" in err


def own_items(project, user):
    """All that the file says of a user, oldest first."""
    rows = list(csv.DictReader((project / "mine.csv").open(newline="")))
    own = [(int(row["time"]), place, row["item"]) for place, row in enumerate(rows) if row["user"] == user]
    return [item for _, _, item in sorted(own)]


@pytest.mark.parametrize("model", ["sasrec", "lightgcn", "create"])
def test_a_user_without_a_history_gets_what_follows_on_their_own(project, capsys, model):
    users = [f"u{user}" for user in range(60)]
    lists, _ = recommended(project, capsys, model, "--user", *users, "-k", "40")
    for user, items in zip(users, lists, strict=True):
        assert not set(items) & set(own_items(project, user))
        assert set(items) | set(own_items(project, user)) == set(popularity(project))
    asked = ",".join(own_items(project, "u7"))
    assert recommended(project, capsys, model, "--user", "u7", "--history", asked, "-k", "40")[0] == [lists[7]]
    assert len({tuple(items[:5]) for items in lists}) > 10, "users differ"


def test_a_model_of_users_gives_others_the_most_popular_and_says_so(project, capsys):
    stranger, err = recommended(project, capsys, "lightgcn", "--history", "i3,i7", "--user", "nobody", "-k", "5")
    assert "user nobody: the model has nothing to go by here; these are the most popular items" in err
    nameless, _ = recommended(project, capsys, "lightgcn", "--history", "i3,i7", "-k", "5")
    expected = [name for name in popularity(project) if name not in ("i3", "i7")][:5]
    assert stranger == nameless == [expected]


def test_a_named_user_is_never_offered_what_they_had_whatever_history_is_given(project, capsys):
    for model in ("lightgcn", "create"):
        lists, _ = recommended(project, capsys, model, "--user", "u3", "--history", "i3", "-k", "40")
        assert not set(lists[0]) & {*own_items(project, "u3"), "i3"}


def test_an_unknown_user_without_a_history_is_an_error(project, capsys):
    capsys.readouterr()
    assert cli.main(["recommend", str(run_folder(project, "create")), "--user", "nobody", "--device", "cpu"]) == 2
    assert "mine has no user 'nobody'" in capsys.readouterr().err


def test_a_line_holds_everything_about_an_answer(project, capsys):
    capsys.readouterr()
    folder = str(run_folder(project, "create"))
    assert cli.main(["recommend", folder, "--history", "never-seen", "-k", "3", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    items = popularity(project)[:3]
    assert json.loads(out) == {"user": None, "items": items, "unknown": ["never-seen"], "popularity": True}
    assert "not in the catalogue, left out: never-seen" in err and "these are the most popular items" in err


def test_lists_of_all_users_go_to_a_table(project, capsys, tmp_path):
    path = tmp_path / "lists.parquet"
    folder = str(run_folder(project, "create"))
    capsys.readouterr()
    assert cli.main(["recommend", folder, "--all-users", "-k", "3", "--output", str(path), "--device", "cpu"]) == 0
    assert capsys.readouterr().out == f"{path}: lists of 60 users\n"
    rows = pq.read_table(path).to_pylist()
    assert {row["rank"] for row in rows} == {1, 2, 3} and len({row["user"] for row in rows}) == 60
    one = [row["item"] for row in rows if row["user"] == "u5"]
    assert recommended(project, capsys, "create", "--user", "u5", "-k", "3")[0] == [one]


@pytest.mark.parametrize("text", ['i1,"a,b"', '["i1", "a,b"]', ' i1 , "a,b" '])
def test_ids_with_commas_are_read(text):
    assert _ids(text) == ["i1", "a,b"]


def test_ids_of_another_preparation_are_refused(project, capsys):
    """The split speaks in numbers; with the ids of other rows they would name other items."""
    path = project / "results/data/mine/dataset.json"
    original = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(original) | {"dataset_hash": "another"}))
        capsys.readouterr()
        assert cli.main(["recommend", str(run_folder(project, "create")), "--user", "u1", "--device", "cpu"]) == 2
        assert "mine: was prepared again since it was split for this run" in capsys.readouterr().err
    finally:
        path.write_text(original)


def test_nothing_that_left_the_ranking_comes_back_when_more_is_asked_for(project, capsys):
    lists, _ = recommended(project, capsys, "sasrec", "--history", "i3,i7", "-k", "1000")
    assert len(lists[0]) == len(popularity(project)) - 2
    assert not set(lists[0]) & {"i3", "i7"}


def test_a_file_of_histories(project, capsys, tmp_path):
    (tmp_path / "histories.txt").write_text("i3,i7\n\ni1, i2\n")
    lists, _ = recommended(project, capsys, "create", "--histories", str(tmp_path / "histories.txt"), "-k", "4")
    single = [
        recommended(project, capsys, "create", "--history", text, "-k", "4")[0][0] for text in ("i3,i7", "", "i1,i2")
    ]
    assert lists == single


def test_a_run_trained_by_the_rules_recommends_too(project, capsys):
    """They give a training no switches of the evaluation; the record knows them."""
    before, _ = recommended(project, capsys, "create", "--history", "i3,i7")
    path = run_folder(project, "create") / "training.json"
    original = path.read_text()
    training = json.loads(original)
    training["run"]["evaluation"] = {}
    try:
        path.write_text(json.dumps(training))
        assert recommended(project, capsys, "create", "--history", "i3,i7")[0] == before
    finally:
        path.write_text(original)


def test_stats_prints_the_split(project, capsys, monkeypatch):
    monkeypatch.chdir(project)
    capsys.readouterr()
    assert main(project, "stats", "mine", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["train_interactions"] + 0 < facts["interactions"]
    assert facts["dataset"] == "mine"


def command_of_evaluate(project, run, folder):
    split = project / "results/splits/mine/temporal"
    return [
        "evaluate",
        *("--settings", json.dumps(run), "--split", str(split / "split.safetensors")),
        *("--statistics", str(split / "split.json"), "--model", str(folder / "model.safetensors")),
        *("--history", str(folder / "training.json"), "--device", "cpu"),
        *("--record", str(project / "again.json"), "--ranks", str(project / "again.parquet")),
    ]


def test_evaluate_repeats_the_record_and_refuses_another_training(project, capsys):
    folder = run_folder(project, "create")
    run = json.loads((folder / "training.json").read_text())["run"]
    assert cli.main(command_of_evaluate(project, run, folder)) == 0
    again, record = (json.loads(path.read_text()) for path in (project / "again.json", folder / "record.json"))
    assert again["metrics"] == record["metrics"]
    assert again["sensitivity"] == record["sensitivity"]
    for change in ({"seed": 5}, {"settings": {**run["settings"], "warmup_epochs": 9}}, {"fold": "validation"}):
        capsys.readouterr()
        assert cli.main(command_of_evaluate(project, {**run, **change}, folder)) == 2
        err = capsys.readouterr().err
        assert f"training.json: was trained otherwise: {next(iter(change))}" in err and "train the run again" in err


SLICE = json.dumps(run_of("sasrec").slice())
NOWHERE = ["--split", "none.safetensors", "--statistics", "none.json", "--model", "m", "--history", "h"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "mien", "sasrec"], "unknown dataset 'mien'; known: mine; did you mean 'mine'?"),
        (["run", "mine", "sasrecc"], "unknown model 'sasrecc'; known: "),
        (["run", "mine", "sasrec", "--set", "dropuot=0.1"], "dropuot: no such key; known: kind, dimension, training, "),
        (["run", "mine", "sasrec", "--set", "dropout"], "expected KEY=VALUE"),
        (["run", "mine", "sasrec", "--set", "training=1", "training.epochs=2"], "training"),
        (["run", "mine", "sasrec", "--set", "heads=3"], "multiple of heads 3"),
        (["run", "mine", "sasrec", "--device", "tpu"], "device 'tpu': expected auto, cpu, cuda or cuda:N"),
        (["run", "mine", "sasrec", "--device", "cuda:77"], "device 'cuda:77': "),
        (["stats", "beuty"], "unknown dataset 'beuty'"),
        (["train", "--settings", "{", *NOWHERE], "--settings: not JSON"),
        (["train", "--settings", "[1]", *NOWHERE], "expected a JSON object"),
        (["train", "--settings", '{"sead": 1}', *NOWHERE], "no such key 'sead'; known: dataset, "),
        (["train", "--settings", '{"seed": 1}', *NOWHERE], "lacks dataset, model, variant, setup, fold, settings"),
        (["train", "--settings", SLICE, *NOWHERE], "none.safetensors"),
        (["recommend", "nowhere", "--history", "i1"], "nowhere: not a trained run"),
        (["recommend", "nowhere"], "give one of --history, --histories, --user and --all-users"),
        (["recommend", "nowhere", "--user", "a", "--all-users"], "--user goes alone"),
        (["recommend", "nowhere", "--history", "i1", "-k", "0"], "-k must be 1 or more"),
        (["collect", "none.json", "--output", "metrics.csv"], "none.json: no such file"),
    ],
)
def test_errors_are_one_message_without_a_traceback(project, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(project)
    capsys.readouterr()
    assert main(project, *arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith("createrec: error: ") and err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err + out


def test_a_configuration_with_a_misspelt_key_is_explained(project, capsys, tmp_path):
    (tmp_path / "overlay.yaml").write_text("evalution: {}\n")
    files = [str(project / "config.yaml"), str(tmp_path / "overlay.yaml")]
    assert cli.main(["models", "--config", *files]) == 2
    assert "evalution" in capsys.readouterr().err


def test_models_lists_the_configurations_models_and_those_of_the_catalogue(project, capsys):
    capsys.readouterr()
    assert main(project, "models") == 0
    listed = capsys.readouterr().out.split()
    assert set(listed) == {*MODELS, "ultragcn", "bert4rec", *of_role("model")}
    assert len(set(listed)) == len(listed)


def test_models_lists_every_kind_with_its_code(capsys):
    assert cli.main(["models", "--kinds"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOGUE)
    assert ["graph", "lightgcn", "LightGCN", "createrec.models.lightgcn:LightGCNEncoder"] in [x.split() for x in lines]


def test_an_option_with_several_values_takes_those_of_every_time():
    options = cli.parser().parse_args(["run", "mine", "sasrec", "--set", "a=1", "b=2", "--seed", "3", "--set", "c=4"])
    assert (options.set, options.seed) == (["a=1", "b=2", "c=4"], 3)
    overlays = cli.parser().parse_args(["stats", "mine", "--config", "one.yaml", "--config", "two.yaml"]).config
    assert [path.name for path in overlays] == ["one.yaml", "two.yaml"]


def test_no_option_loses_what_it_was_given_first(capsys):
    """Whatever an option of any command is given twice, it keeps both or says that it cannot."""
    (commands,) = (action for action in cli.parser()._actions if action.choices)
    tried = 0
    for name, command in commands.choices.items():
        for action in command._actions:
            if action.option_strings and action.nargs != 0 and not isinstance(action, argparse._HelpAction):
                flag, value = action.option_strings[0], str(next(iter(action.choices or ["1"])))
                known = argparse.Namespace()
                with contextlib.suppress(SystemExit):
                    command.parse_known_args([flag, value, flag, value], known)
                kept = getattr(known, action.dest)
                said = capsys.readouterr().err
                assert kept == 2 * [kept[0]] if action.nargs else f"{flag} is given twice" in said, (name, flag)
                tried += 1
    assert tried > 60


def test_a_setting_given_twice_is_refused(project, capsys):
    ways = (["dropout=0.1", "dropout=0.2"], ["training.epochs=1", 'training={"batch_size": 8}'])
    for pairs in ways:
        arguments = ["run", "mine", "sasrec", "--config", str(project / "config.yaml"), "--set", *pairs]
        assert cli.main(arguments) == 2
        assert "before; give it once" in capsys.readouterr().err
