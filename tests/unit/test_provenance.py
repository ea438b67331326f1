"""Which edits change the name of the code behind a run, and which do not."""

import shutil
from pathlib import Path

import pytest
from support import CPU, run_of, small_split

import createrec
from createrec import provenance
from createrec.config import ModelSettings, validate
from createrec.errors import ConfigError
from createrec.kinds import of_role
from createrec.provenance import STARTS, Sources, record_version, training_version
from createrec.runs.run import CHECKPOINT, train_run

PACKAGE = Path(createrec.__file__).parent
# The models alone, and CREATE with every pair of encoders.
MODELS = {name: kind.settings().model_dump(mode="json") for name, kind in of_role("model").items()}
MODELS |= {
    f"{sequence} {graph}": validate(
        {"model": {"kind": "create", "sequence": {"kind": sequence}, "graph": {"kind": graph}}}, "test", ModelSettings
    ).model.model_dump(mode="json")
    for sequence in of_role("sequence")
    for graph in of_role("graph")
}
TRANSFORMERS = {name for name in MODELS if {"sasrec", "bert4rec"} & set(name.split())}
WITHOUT_A_SEQUENCE = {*of_role("graph")} | {name for name in of_role("model") if "training" not in MODELS[name]}
WITH_ATTENTION = {*TRANSFORMERS, "create", "gsau", "mrgsrec", "selfgnn", "loom"}


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to be edited."""
    return shutil.copytree(PACKAGE, tmp_path / "src" / "createrec", ignore=shutil.ignore_patterns("__pycache__"))


def versions(package):
    """Of every model: the code of a training for the test, of one that is validated, and of its record."""
    sources = Sources(package)
    return {
        name: (
            sources.version(sources.of_training(settings, validates=False)),
            sources.version(sources.of_training(settings, validates=True)),
            sources.version(sources.of_record(settings)),
        )
        for name, settings in MODELS.items()
    }


def changed_by(package, file):
    """Models whose training, validated training or record an edit of a file changes."""
    before = versions(package)
    with (package / file).open("a") as source:
        source.write("\nEDIT = 1\n")
    after = versions(package)
    return tuple({name for name in before if before[name][which] != after[name][which]} for which in range(3))


def test_the_name_of_the_code_is_the_same_wherever_it_lies(copy):
    assert versions(copy) == versions(PACKAGE)


# Whoever reads, searches, prints or plans decides no number of a run.
NO_NUMBER = (
    *sorted(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "paper").glob("*.py")),
    "evaluation/significance.py",
    "tuning/study.py",
    "doctor/commands.py",
    "runs/commands.py",
    "runs/campaign.py",
    "data/download.py",
    "exhibits.py",
    "cli.py",
)


def test_edits_that_cannot_change_a_number_change_no_version(copy):
    before = versions(copy)
    for file in NO_NUMBER:
        with (copy / file).open("a") as source:
            source.write("\n# A comment.\nEDIT = 1\n")
    assert versions(copy) == before


@pytest.mark.parametrize(
    ("file", "models"),
    [
        ("ops/attention.py", WITH_ATTENTION),
        ("models/bert4rec.py", {name for name in MODELS if "bert4rec" in name}),
        ("models/loom.py", {"loom"}),
        ("models/create.py", {"create"} | {name for name in MODELS if " " in name}),
        ("losses/barlow_twins.py", {"create"} | {name for name in MODELS if " " in name}),
        ("losses/contrastive.py", set()),
        ("ops/softplus.py", {"ultragcn", "create"} | {name for name in MODELS if "ultragcn" in name}),
        ("models/sequence_alone.py", set(of_role("sequence"))),
        ("models/sequence_encoder.py", set(MODELS) - WITHOUT_A_SEQUENCE),
        ("training/trainer.py", set(MODELS)),
    ],
)
def test_a_changed_line_changes_the_models_that_use_it_and_only_those(copy, file, models):
    assert changed_by(copy, file) == (models, models, models)


@pytest.mark.parametrize("file", ["evaluation/ranking.py", "evaluation/metrics.py"])
def test_ranking_decides_records_and_trainings_that_are_validated(copy, file):
    assert changed_by(copy, file) == (set(), set(MODELS), set(MODELS))


def test_what_only_the_record_is_made_by(copy):
    assert changed_by(copy, "runs/record.py") == (set(), set(), set(MODELS))


def test_the_alignment_counts_that_the_settings_name(copy):
    sources = Sources(copy)
    contrastive = {**MODELS["create"], "alignment": {"kind": "contrastive"}}
    files = {path.name for path in sources.of_training(contrastive, validates=False)}
    assert "contrastive.py" in files and "barlow_twins.py" not in files


def test_every_start_is_a_file():
    assert all((PACKAGE / file).is_file() for files in STARTS.values() for file in files)


def test_settings_of_an_unknown_kind_have_no_sources():
    with pytest.raises(ConfigError, match="sasrec"):
        Sources().of_training({"kind": "sasrecc"}, validates=False)


@pytest.mark.parametrize("whole_package", [False, True])
def test_code_from_outside_counts_with_what_it_imports_from_its_own(tmp_path, monkeypatch, whole_package):
    folder = tmp_path / "theirs" if whole_package else tmp_path
    folder.mkdir(exist_ok=True)
    name = f"encoder_{whole_package}".lower()
    if whole_package:
        (folder / "__init__.py").touch()
    (folder / f"{name}.py").write_text(
        f"from {'.' if whole_package else ''}helper_{name} import WIDTH\n"
        "from createrec.models.sasrec import SASRecEncoder as Encoder\n"
    )
    (folder / f"helper_{name}.py").write_text("WIDTH = 1\n")
    (folder / "unrelated.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = f"theirs.{name}:Encoder" if whole_package else f"{name}:Encoder"
    settings = {"code": code, "dimension": 8}
    files = Sources().of_training(settings, validates=False)
    assert {folder / f"{name}.py", folder / f"helper_{name}.py", PACKAGE / "ops" / "attention.py"} <= set(files)
    assert folder / "unrelated.py" not in files
    before = Sources().version(files)
    (folder / f"helper_{name}.py").write_text("WIDTH = 2\n")
    assert Sources().version(files) != before


def test_a_checkpoint_goes_on_after_an_edit_without_a_say_and_not_after_one_with(copy, tmp_path, monkeypatch):
    made, run = small_split(), run_of("sasrec", fold="test")

    def go_on():
        monkeypatch.setattr(provenance, "_own", lambda: Sources(copy))
        epochs = []
        train_run(run, made, CPU, checkpoint_folder=tmp_path, checkpoint_seconds=0.0, report=epochs.append)
        return len(epochs)

    assert go_on() == 3
    assert (tmp_path / CHECKPOINT).exists()
    for file in ("paper/figures.py", "evaluation/significance.py", "models/bert4rec.py"):
        with (copy / file).open("a") as source:
            source.write("\n# A comment.\n")
    assert go_on() == 0, "all epochs are in the checkpoint"
    with (copy / "ops" / "attention.py").open("a") as source:
        source.write("\nEDIT = 1\n")
    assert go_on() == 3, "the checkpoint was another code's"


def test_a_record_names_the_code_that_trained_and_the_code_that_ranked():
    settings = MODELS["sasrec"]
    trained = training_version(settings, validates=False)
    assert record_version(settings, trained) == record_version(settings, trained)
    assert record_version(settings, trained) != record_version(settings, "0.1.0+of-another-day")
    assert record_version(settings, trained).startswith(f"{createrec.__version__}+")
