"""The plan: who wins among layers of settings, and which trainings are shared."""

from pathlib import Path

import pytest
import yaml

from createrec.config import load, merge, read_yaml, validate
from createrec.errors import ConfigError
from createrec.plan import GROUPS, make_run, plan, resolve, runs, single_run

CONFIG = Path(__file__).parents[2] / "config.yaml"
BEAUTY = "amazon-beauty"


@pytest.fixture(scope="module")
def config():
    return validate(merge(read_yaml(CONFIG), {"hparams": None}))


def tuned(tmp_path, files, **overlay):
    """A configuration whose tuned settings are these, {model: settings}, for Beauty."""
    folder = tmp_path / "hparams" / BEAUTY
    folder.mkdir(parents=True)
    for model, settings in files.items():
        (folder / f"{model}.yaml").write_text(yaml.safe_dump(settings))
    return validate(merge(read_yaml(CONFIG), {"hparams": str(tmp_path / "hparams"), **overlay}))


def test_later_layers_win(tmp_path):
    """Class default < tuned file < config.yaml < variant."""
    files = {"sasrec": {"heads": 4, "blocks": 4, "dropout": 0.4}}
    config = tuned(tmp_path, files, models={"sasrec": {"kind": "sasrec", "blocks": 5, "dropout": 0.5}})
    found = resolve(config, BEAUTY, "sasrec", {"dropout": 0.6})
    assert (found["feedforward_factor"], found["heads"], found["blocks"], found["dropout"]) == (1, 4, 5, 0.6)
    assert resolve(config, "ml-1m", "sasrec")["heads"] == 2, "another dataset's tuning is not ours"
    assert resolve(config, BEAUTY, "sasrec", tuned=False)["heads"] == 2


def test_create_builds_on_its_tuned_parts(tmp_path):
    files = {
        "sasrec": {"dimension": 32, "heads": 1, "training": {"learning_rate": 0.005}},
        "ultragcn": {"dimension": 16, "l2": 0.5},
        "bert4rec": {"mask_probability": 0.6},
        "create": {"global_weight": 0.3, "sequence": {"dropout": 0.45}},
    }
    config = tuned(tmp_path, files)
    found = resolve(config, BEAUTY, "create")
    assert found["dimension"] == 32, "the sequence side's"
    assert found["training"]["learning_rate"] == 0.005
    assert (found["sequence"]["heads"], found["sequence"]["dropout"]) == (1, 0.45)
    assert (found["graph"]["l2"], found["global_weight"]) == (0.5, 0.3)
    other = resolve(config, BEAUTY, "create", {"sequence": {"kind": "bert4rec"}})
    assert other["sequence"]["mask_probability"] == 0.6
    assert other["sequence"]["dropout"] == 0.3, "what was tuned for another kind means nothing here"


def test_naming_the_default_kind_changes_nothing(tmp_path):
    """A tuned part without its kind is of the default kind: so the ablations share the main table's run."""
    config = tuned(tmp_path, {"create": {"graph": {"l2": 0.7}, "sequence": {"dropout": 0.1}}})
    plain = resolve(config, BEAUTY, "create")
    named = resolve(config, BEAUTY, "create", {"graph": {"kind": "ultragcn"}, "sequence": {"kind": "sasrec"}})
    assert plain == named
    assert named["graph"]["l2"] == 0.7
    swapped = resolve(config, BEAUTY, "create", {"graph": {"kind": "lightgcn"}})
    assert swapped["graph"]["kind"] == "lightgcn"
    assert swapped["graph"]["l2"] == resolve(config, BEAUTY, "lightgcn")["l2"]


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "gsau", "selfgnn"])
def test_an_unset_length_is_the_datasets(config, name):
    assert resolve(config, BEAUTY, name)["max_length"] == 50
    assert resolve(config, "ml-1m", name)["max_length"] == 200
    assert resolve(config, "ml-1m", name, {"max_length": 7})["max_length"] == 7
    assert resolve(config, "ml-1m", name, {"max_length": None})["max_length"] == 200


def test_an_unset_length_inside_create_is_the_datasets(config):
    for override in ({}, {"sequence": {"max_length": None}}, {"sequence": {"kind": "bert4rec"}}):
        assert resolve(config, "ml-1m", "create", override)["sequence"]["max_length"] == 200


def test_the_loss_is_the_datasets_unless_settings_name_one(config):
    assert resolve(config, BEAUTY, "sasrec")["loss"]["kind"] == "full"
    assert resolve(config, "yambda-50m", "sasrec")["loss"]["kind"] == "scalable"
    assert resolve(config, "yambda-50m", "sasrec", tuned=False)["loss"]["kind"] == "scalable"
    for override in ({}, {"sequence": {"kind": "sasrec"}}):
        assert resolve(config, "yambda-50m", "create", override)["sequence"]["loss"]["kind"] == "scalable"
    assert resolve(config, "yambda-50m", "sasrec", {"loss": {"kind": "full"}})["loss"] == {"kind": "full"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("beuty", "sasrec"), "unknown dataset 'beuty'; known: .*amazon-beauty"),
        ((BEAUTY, "sasrecc"), "unknown model 'sasrecc'; known: .*sasrec"),
        ((BEAUTY, "sasrec", {"dropuot": 1}), "(?s)models.sasrec for amazon-beauty.*dropuot"),
        ((BEAUTY, "create", {"graph": {"layers": 2}}), "(?s)graph.ultragcn.layers|graph.*layers"),
    ],
)
def test_what_does_not_exist_is_named(config, arguments, message):
    with pytest.raises(ConfigError, match=message):
        resolve(config, *arguments)


@pytest.mark.parametrize("name", ["sasrec", "create"])
def test_heads_that_do_not_divide_the_dimension_are_refused_before_anything_trains(config, name):
    heads = {"heads": 3} if name == "sasrec" else {"sequence": {"heads": 3}}
    with pytest.raises(ConfigError, match=rf"models.{name} for \S+: dimension \d+ is not a multiple of heads 3"):
        resolve(config, next(iter(config.datasets)), name, heads)


def test_the_rankings_switch_follows_dataset_and_setup(config):
    assert make_run(config, BEAUTY, "sasrec").evaluation["remove_seen"] is True
    assert make_run(config, "yambda-50m", "sasrec").evaluation["remove_seen"] is False
    assert make_run(config, BEAUTY, "sasrec", setup="leave-one-out").evaluation["remove_seen"] is False
    own = validate(merge(read_yaml(CONFIG), {"hparams": None, "evaluation": {"remove_seen": False}}))
    assert make_run(own, BEAUTY, "sasrec").evaluation["remove_seen"] is False


def test_every_group_is_planned_and_sized_by_the_configuration(config):
    groups = plan(config)
    assert list(groups) == list(GROUPS)
    part = config.table2
    assert len(groups["table2"]) == len(part.datasets) * len(part.models) * len(part.seeds)
    part = config.ablations.backbone
    assert len(groups["ablation_backbone"]) == len(part.datasets) * len(part.seeds) * len(part.sequences) * len(
        part.graphs
    )
    for name in ("warmup", "barlow_weight", "graph_size"):
        sweep = getattr(config.ablations, name)
        cells = groups[f"ablation_{name}"]
        assert len(cells) == len(sweep.datasets) * len(sweep.values) * len(sweep.seeds)
        assert {cell.labels[name] for cell in cells} == set(sweep.values)


def test_the_same_training_has_one_folder_and_one_folder_one_training(config):
    cells = [cell for group in plan(config).values() for cell in group]
    folders, keys = {}, {}
    for cell in cells:
        folders.setdefault(cell.run.key, set()).add(cell.run.folder)
        keys.setdefault(cell.run.folder, set()).add(cell.run.key)
    assert all(len(found) == 1 for found in folders.values())
    assert all(len(found) == 1 for found in keys.values())
    assert set(runs(config)) == set(keys)


def test_the_main_tables_run_stands_in_the_ablations(config):
    """The whole graph, the default warm-up's neighbours, the default backbone: CREATE itself, trained once."""
    groups = plan(config)
    main = {cell.run.folder for cell in groups["table2"]}
    whole = [cell for cell in groups["ablation_graph_size"] if cell.labels["graph_size"] == 100 and cell.run.seed == 0]
    assert whole and all(cell.run.folder in main for cell in whole)
    backbone = [c for c in groups["ablation_backbone"] if c.labels == {"sequence": "sasrec", "graph": "ultragcn"}]
    assert backbone and all(cell.run.folder in main for cell in backbone if cell.run.dataset in config.table2.datasets)


def test_each_ablation_changes_what_it_says(config):
    groups = plan(config)
    for cell in groups["ablation_warmup"]:
        assert cell.run.settings["warmup_epochs"] == cell.labels["warmup"]
    for cell in groups["ablation_barlow_weight"]:
        assert cell.run.settings["alignment"]["barlow_weight"] == cell.labels["barlow_weight"]
    for cell in groups["ablation_graph_size"]:
        percent = cell.labels["graph_size"]
        assert cell.run.settings["graph"]["graph_percent"] == (None if percent == 100 else percent)
    for cell in groups["ablation_backbone"]:
        found = {part: cell.run.settings[part]["kind"] for part in ("sequence", "graph")}
        assert found == cell.labels
    for cell in groups["figure2"]:
        assert cell.run.fold == "validation"
    for cell in groups["table3"]:
        assert cell.run.setup == "leave-one-out"


def test_runs_of_different_seeds_settings_or_folds_differ(config):
    base = make_run(config, BEAUTY, "create")
    others = [
        make_run(config, BEAUTY, "create", seed=1),
        make_run(config, BEAUTY, "create", fold="validation"),
        make_run(config, BEAUTY, "create", setup="leave-one-out"),
        make_run(config, BEAUTY, "create", overrides={"warmup_epochs": 1}),
    ]
    assert len({run.key for run in (base, *others)}) == 5
    assert make_run(config, BEAUTY, "create", "another-name").key == base.key


def test_the_shipped_configuration_resolves_every_run():
    assert runs(load([CONFIG]))


def test_trainings_of_the_sensitivity_change_one_thing_each(config):
    cells = [cell for cell in plan(config)["sensitivity"] if (cell.run.dataset, cell.run.seed) == (BEAUTY, 0)]
    for model in ("sasrec", "create"):
        default = make_run(config, BEAUTY, model)
        found = {cell.labels["switch"]: cell.run for cell in cells if cell.run.model == model}
        assert set(found) == {"max_length=10", "max_length=200", "retrained=false", "positions=oldest"}
        for length in (10, 200):
            run = found[f"max_length={length}"]
            own = {"sequence": {"max_length": length}} if model == "create" else {"max_length": length}
            assert run.settings == merge(default.settings, own) != default.settings
            assert (run.fold, run.evaluation) == ("test", default.evaluation)
        own = {"sequence": {"positions": "oldest"}} if model == "create" else {"positions": "oldest"}
        assert found["positions=oldest"].settings == merge(default.settings, own) != default.settings
        assert found["retrained=false"].settings == default.settings
        assert found["retrained=false"].fold == "unretrained"


def test_a_reading_may_be_another_models_training(config):
    cells = [cell for cell in plan(config)["sensitivity"] if cell.labels["switch"] == "fold_in=true"]
    assert {cell.run.dataset for cell in cells} == {BEAUTY, "amazon-sports", "ml-1m"}
    assert {(cell.run.model, cell.labels["shown_as"], cell.run.settings["fold_in"]) for cell in cells} == {
        ("svd-fold-in", "svd", True)
    }


def test_beyond_stands_beside_the_papers_own_runs(config):
    cells = plan(config)["beyond"]
    office = {
        (cell.run.model, cell.run.variant, cell.run.setup) for cell in cells if cell.run.dataset == "amazon-office"
    }
    simple = {"popular", "markov", "itemknn", "ease", "bprmf"}
    assert {(model, "beyond-leave-one-out", "leave-one-out") for model in simple} < office
    assert ("loom", "table3", "leave-one-out") in office
    assert "svd" not in {model for model, *_ in office}, "Table 3 has none"
    beauty = {(cell.run.model, cell.run.variant) for cell in cells if cell.run.dataset == BEAUTY}
    assert {("svd", "table2"), ("ease", "beyond")} < beauty


# --- a person's own runs -------------------------------------------------------------------------------------------


def variant(config, model="sasrec", seed=0, **asked):
    return single_run(config, BEAUTY, model, seed, **asked).variant


def test_what_is_no_change_has_the_main_tables_place(config):
    plain = make_run(config, BEAUTY, "sasrec")
    assert single_run(config, BEAUTY, "sasrec") == plain
    assert single_run(config, BEAUTY, "sasrec", overrides={"dropout": plain.settings["dropout"]}) == plain
    assert variant(config, seed=77) == "table2"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"overrides": {"training": {"epochs": 1}}}, "training.epochs-1"),
        ({"overrides": {"training": {"epochs": 1}, "dropout": 0.1}}, "dropout-0.1_training.epochs-1"),
        ({"overrides": {"loss": {"kind": "sampled"}}}, "loss.kind-sampled"),
        ({"overrides": {"training": {"learning_rate": 1}}}, "training.learning_rate-1.0"),
        ({"setup": "time-to-split"}, "time-to-split"),
        ({"fold": "validation", "overrides": {"heads": 4}}, "validation_heads-4"),
        ({"setup": "leave-one-out", "overrides": {"dropout": 0.1}}, "leave-one-out_dropout-0.1"),
        ({"variant": "mine", "overrides": {"dropout": 0.1}}, "mine"),
    ],
)
def test_a_run_of_ones_own_is_named_by_what_differs(config, asked, name):
    assert variant(config, **asked) == name


def test_the_order_of_what_differs_does_not_matter(config):
    one, other = {"dropout": 0.1, "heads": 4}, {"heads": 4, "dropout": 0.1}
    assert variant(config, overrides=one) == variant(config, overrides=other)


def test_what_the_plan_asks_for_too_has_its_place_there(config):
    assert variant(config, setup="leave-one-out") == "table3"
    assert variant(config, "create", fold="validation") == "figure2"
    assert variant(config, "create", overrides={"warmup_epochs": 10}) == "warmup-10"
    assert variant(config, "create", seed=77, overrides={"warmup_epochs": 10}) == "warmup_epochs-10"


def test_long_and_strange_names_are_cut_and_told_apart(config):
    long = {"training": {"epochs": 7, "batch_size": 9, "learning_rate": 0.1234567890123, "weight_decay": 0.123456789}}
    name = variant(config, overrides=long)
    assert len(name) <= 100
    long["training"]["weight_decay"] = 0.9
    assert variant(config, overrides=long) != name


@pytest.mark.parametrize("name", ["table2", "length-10"])
def test_no_other_run_takes_a_place_of_the_plan(config, name):
    with pytest.raises(ConfigError, match=rf"--variant {name}: .*sasrec/{name}/seed0 is the place of another run"):
        single_run(config, BEAUTY, "sasrec", variant=name, overrides={"dropout": 0.17})


def test_a_run_says_where_its_settings_come_from(tmp_path):
    folder = tmp_path / "hparams" / BEAUTY
    folder.mkdir(parents=True)
    (folder / "sasrec.yaml").write_text("heads: 4\n")
    (tmp_path / "config.yaml").write_text(CONFIG.read_text())
    (tmp_path / "overlay.yaml").write_text("models: {sasrec: {blocks: 3}}\n")
    config = load([tmp_path / "config.yaml", tmp_path / "overlay.yaml"])
    run = single_run(config, BEAUTY, "sasrec", overrides={"dropout": 0.17})
    assert run.sources == [
        {"from": f"hparams/{BEAUTY}/sasrec.yaml", "settings": {"heads": 4}},
        {"from": "models.sasrec of config.yaml + overlay.yaml", "settings": {"blocks": 3}},
        {"from": "overrides", "settings": {"dropout": 0.17}},
    ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text(CONFIG.read_text().replace("hparams: hparams", "hparams: ../hparams"))
    sources = single_run(load([elsewhere / "config.yaml"]), BEAUTY, "sasrec").sources
    assert [source["from"] for source in sources] == [f"hparams/{BEAUTY}/sasrec.yaml"]
    assert "sources" not in run.slice(), "where a setting comes from does not change what is trained"


def test_a_folder_of_tuned_settings_that_is_not_there_is_an_error(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG.read_text())
    with pytest.raises(ConfigError, match=rf"hparams: {tmp_path}/hparams is no folder"):
        make_run(load([tmp_path / "config.yaml"]), BEAUTY, "sasrec")


TUNED_CREATE = {"alignment": {"kind": "barlow", "barlow_weight": 0.3}, "global_weight": 0.7, "training": {"epochs": 11}}
TUNED_CONTRASTIVE = {"alignment": {"kind": "contrastive", "temperature": 0.125}, "global_weight": 0.2}


def alignments(tmp_path, files, **overlay):
    """The cells of Table 4 on Beauty, seed 0: (graph, alignment) -> run."""
    config = tuned(tmp_path, files, ablations={"alignment": {"datasets": [BEAUTY]}}, **overlay)
    cells = [cell for cell in plan(config)["ablation_alignment"] if cell.run.seed == 0 and cell.labels["graph"] != "-"]
    return config, {(cell.labels["graph"], cell.labels["alignment"]): cell.run for cell in cells}


def test_an_alternative_has_creates_settings_until_it_has_a_study_of_its_own(tmp_path):
    config, cells = alignments(tmp_path, {"create": TUNED_CREATE})
    assert len(cells) == 6
    for (graph, alignment), run in cells.items():
        kinds = {"graph": {"kind": graph}, "alignment": {"kind": alignment}}
        assert run.settings == resolve(config, BEAUTY, "create", kinds)
        assert (run.model, run.settings["global_weight"], run.settings["training"]["epochs"]) == ("create", 0.7, 11)


def test_an_alternatives_study_counts_for_its_cell_alone(tmp_path):
    files = {"create": TUNED_CREATE, "create-contrastive": TUNED_CONTRASTIVE}
    _, before = alignments(tmp_path / "before", {"create": TUNED_CREATE})
    _, after = alignments(tmp_path / "after", files)
    assert [labels for labels in after if after[labels].key != before[labels].key] == [("ultragcn", "contrastive")]
    run = after["ultragcn", "contrastive"]
    assert run.settings["alignment"]["temperature"] == 0.125
    assert (run.settings["global_weight"], run.settings["training"]["epochs"]) == (0.2, 11), "the rest stays CREATE's"
    assert (run.model, run.variant) == ("create", "ultragcn-contrastive")
    assert any(source["from"].endswith("create-contrastive.yaml") for source in run.sources)


def test_what_the_configuration_says_of_create_wins_over_an_alternatives_study(tmp_path):
    files = {"create": TUNED_CREATE, "create-contrastive": TUNED_CONTRASTIVE}
    said = {"create": {"kind": "create", "global_weight": 0.9}}
    run = alignments(tmp_path, files, models=said)[1]["ultragcn", "contrastive"]
    assert (run.settings["global_weight"], run.settings["alignment"]["temperature"]) == (0.9, 0.125)


def test_another_sequence_encoder_is_trained_as_it_is_alone(tmp_path):
    """CREATE's epochs were found for SASRec: BERT4Rec inside CREATE has BERT4Rec's, until a study says otherwise."""
    files = {"create": TUNED_CREATE, "bert4rec": {"training": {"epochs": 60, "learning_rate": 0.002}}}
    config = tuned(tmp_path / "without", files)
    for found in (
        resolve(config, BEAUTY, "create", {"sequence": {"kind": "bert4rec"}}),
        resolve(config, BEAUTY, "create-bert4rec"),
        resolve(config, BEAUTY, "create-bert4rec", tuned=False),
    ):
        assert (found["training"]["epochs"], found["training"]["learning_rate"]) == (60, 0.002)
        assert found["global_weight"] == 0.7, "the rest is CREATE's"
    sources = make_run(config, BEAUTY, "create", overrides={"sequence": {"kind": "bert4rec"}}).sources
    assert [source["settings"]["training"]["epochs"] for source in sources if "training" in source["settings"]] == [60]
    assert resolve(config, BEAUTY, "create")["training"]["epochs"] == 11
    assert resolve(config, BEAUTY, "create-lightgcn")["training"]["epochs"] == 11
    config = tuned(tmp_path / "with", files | {"create-bert4rec": {"training": {"epochs": 33}}})
    assert resolve(config, BEAUTY, "create-bert4rec")["training"]["epochs"] == 33
    assert resolve(config, BEAUTY, "create-bert4rec")["training"]["learning_rate"] == 0.002


def test_an_alternatives_study_starts_from_creates_tuned_settings(tmp_path):
    config = tuned(tmp_path, {"create": TUNED_CREATE, "create-contrastive": TUNED_CONTRASTIVE})
    start = resolve(config, BEAUTY, "create-contrastive", tuned=False)
    assert (start["global_weight"], start["alignment"]["kind"]) == (0.7, "contrastive")
    assert start["alignment"]["temperature"] == 0.5
