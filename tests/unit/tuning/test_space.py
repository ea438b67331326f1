"""What a study searches: the spaces of config.yaml, and how they become slices of the configuration."""

from pathlib import Path

import pytest
import yaml

from createrec.config import ModelSettings, ProjectConfig, load, merge, validate
from createrec.errors import ConfigError
from createrec.plan import resolve
from createrec.tuning.space import nested, study_slice, trial_settings

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config.yaml"


@pytest.fixture(scope="module")
def config() -> ProjectConfig:
    return load([CONFIG])


def with_overlay(folder: Path, text: str) -> ProjectConfig:
    overlay = folder / "overlay.yaml"
    overlay.write_text(text)
    return load([CONFIG, overlay])


@pytest.mark.parametrize("model", yaml.safe_load(CONFIG.read_text())["tuning"]["spaces"])
def test_the_spaces_of_the_project_hold_existing_settings_and_the_defaults(config, model: str) -> None:
    for dataset in config.datasets:
        study = study_slice(config, dataset, model)  # refuses what the model does not have
        assert set(study["space"]) == set(config.tuning.spaces[model])
        assert len(study["first"]) == 1 + len(config.tuning.first.get(model, ()))
        defaults = study["first"][0]
        assert merge(study["run"]["settings"], nested(defaults, study["run"]["settings"])) == study["run"]["settings"]
        for trial in study["first"]:
            assert set(trial) == set(study["space"])
            settings = trial_settings(study["run"]["settings"], trial, 200)
            validate({"model": settings}, model, ModelSettings)


def test_every_model_of_the_paper_that_is_fitted_has_a_space(config) -> None:
    named = yaml.safe_load(CONFIG.read_text())["models"]
    fitted = {name for name in named if hasattr(config.models[name], "training")}
    fitted -= {"gru4rec"}  # with the settings of the study it is compared with (docs/validation.md), not searched
    closed_form = {"svd", "svd-fold-in", "markov", "itemknn", "ease"}
    assert fitted | closed_form == set(config.tuning.spaces)


def test_all_studies_have_one_budget_and_run_on_validation(config) -> None:
    studies = [study_slice(config, "amazon-beauty", model) for model in config.tuning.models]
    assert all(study["tuning"] == studies[0]["tuning"] for study in studies)
    assert {study["run"]["fold"] for study in studies} == {"validation"}


def test_what_the_configuration_fixes_is_not_searched(tmp_path: Path) -> None:
    config = with_overlay(tmp_path, "models: {sasrec: {dropout: 0.35, training: {batch_size: 64}}}")
    study = study_slice(config, "amazon-beauty", "sasrec")
    assert set(config.tuning.spaces["sasrec"]) - set(study["space"]) == {"dropout", "training.batch_size"}
    assert all("dropout" not in trial for trial in study["first"])
    assert study["run"]["settings"]["dropout"] == 0.35


def test_create_starts_from_its_encoders_tuned_settings_and_not_from_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "hparams" / "amazon-beauty"
    folder.mkdir(parents=True)
    (folder / "sasrec.yaml").write_text("dropout: 0.45\ndimension: 128\ntraining: {learning_rate: 0.002}\n")
    (folder / "ultragcn.yaml").write_text("negatives: 77\ndimension: 32\n")
    (folder / "create.yaml").write_text("global_weight: 0.7\n")
    config = with_overlay(tmp_path, f"hparams: {tmp_path / 'hparams'}")
    settings = study_slice(config, "amazon-beauty", "create")["run"]["settings"]
    assert settings["sequence"]["dropout"] == 0.45
    assert settings["graph"]["negatives"] == 77
    assert (settings["dimension"], settings["training"]["learning_rate"]) == (128, 0.002)
    assert settings["global_weight"] == resolve(config, "ml-1m", "create")["global_weight"] != 0.7
    assert resolve(config, "amazon-beauty", "create")["global_weight"] == 0.7


def test_search_all_adds_the_encoders_settings(tmp_path: Path) -> None:
    config = with_overlay(tmp_path, "tuning: {search_all: true}")
    space = study_slice(config, "amazon-beauty", "create")["space"]
    alone = config.tuning.spaces
    own = set(alone["create"])
    assert {"sequence.dropout", "graph.negatives", "dimension", "training.learning_rate"} <= set(space) - own
    assert (
        len(space) == len(own) + len(alone["sasrec"]) + len(alone["ultragcn"]) - 3
    )  # one dimension, one learning rate, one size of an edge batch
    assert space["training.learning_rate"]["high"] == alone["sasrec"]["training.learning_rate"].high


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("dropuot: [0.1]", "dropuot"),
        ("training.rate: {low: 0.1, high: 0.2}", "training.rate"),
        ("blocks.more: [1]", "blocks.more"),
        ("dropout: [0.1, 1.5]", "dropout"),
        ("blocks: {low: 0, high: 3}", "blocks"),
    ],
)
def test_a_space_that_does_not_fit_the_model_is_refused_by_name(tmp_path: Path, space: str, message: str) -> None:
    config = with_overlay(tmp_path, f"tuning: {{spaces: {{sasrec: {{{space}}}}}}}")
    with pytest.raises(ConfigError, match=message):
        study_slice(config, "ml-1m", "sasrec")


@pytest.mark.parametrize(
    "space",
    ["{low: 0.3, high: 0.1}", "{low: 0.0, high: 0.1, log: true}", "[]", "0.3", "{low: 0, high: 1, to: 2}"],
)
def test_a_range_that_is_none_is_refused(tmp_path: Path, space: str) -> None:
    with pytest.raises(ConfigError, match=r"tuning\.spaces\.sasrec\.dropout"):
        with_overlay(tmp_path, f"tuning: {{spaces: {{sasrec: {{dropout: {space}}}}}}}")


def test_an_overlay_replaces_a_range_by_a_list(tmp_path: Path) -> None:
    config = with_overlay(tmp_path, "tuning: {spaces: {sasrec: {dropout: [0.3, 0.4, 0.5]}}}")
    assert study_slice(config, "ml-1m", "sasrec")["space"]["dropout"] == [0.3, 0.4, 0.5]


def test_a_first_trial_leaves_to_the_sampler_what_a_narrower_space_excludes(tmp_path: Path) -> None:
    config = with_overlay(tmp_path, "tuning: {spaces: {sasrec: {blocks: [1, 2]}}}")
    first = study_slice(config, "ml-1m", "sasrec")["first"]
    assert [trial.get("blocks") for trial in first] == [2, None, 2, 1, 2, None]
    assert all("dropout" in trial for trial in first)


def test_a_first_trial_of_a_setting_that_is_not_searched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"first\.sasrec: dropuot"):
        with_overlay(tmp_path, "tuning: {first: {sasrec: [{dropuot: 0.5}]}}")


def test_a_model_without_settings_has_no_study(config) -> None:
    with pytest.raises(ConfigError, match="nothing to search"):
        study_slice(config, "ml-1m", "random")


def test_parts_are_named_with_their_kind() -> None:
    settings = {"kind": "create", "alignment": {"kind": "barlow", "barlow_weight": 0.2}, "training": {"epochs": 5}}
    partial = nested({"alignment.barlow_weight": 0.4, "training.epochs": 7}, settings)
    assert partial == {"alignment": {"kind": "barlow", "barlow_weight": 0.4}, "training": {"epochs": 7}}
