"""A record is what the plan asks for, or says in what it is not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from createrec.config import EvaluationConfig, ModelSettings, load
from createrec.matching import ADDED_SETTINGS, AddedSetting, differences, summary
from createrec.plan import make_run, runs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config():
    return load([ROOT / "config.yaml"])


@pytest.fixture
def run(config):
    return make_run(config, "amazon-beauty", "create")


def record_of(run, **data):
    """What the run's record says of it, as it is read back."""
    return json.loads(json.dumps(run.slice() | {"data": data}))


def test_a_runs_own_record_matches(run):
    assert differences(run, record_of(run)) == []
    hashes = {"dataset_hash": "a", "split_hash": "b"}
    assert differences(run, record_of(run, **hashes), hashes) == []


def test_each_difference_is_named_with_both_values(run):
    record = record_of(run, dataset_hash="a", split_hash="b") | {"seed": 4, "fold": "validation"}
    record["settings"]["training"]["epochs"] = 1
    record["settings"]["sequence"]["dropout"] = 0.9
    record["evaluation"]["cutoffs"] = [5]
    record["settings"]["gone"] = True
    del record["settings"]["graph"]["l2"]
    assert differences(run, record, {"dataset_hash": "a", "split_hash": "another"}) == [
        "seed is 4, the plan says 0",
        'fold is "validation", the plan says "test"',
        "settings.training.epochs is 1, the plan says 18",
        "settings.sequence.dropout is 0.9, the plan says 0.30000000000000004",
        f"settings.graph.l2 is not in it, the plan says {run.settings['graph']['l2']}",
        "settings.gone is true, and the plan has no such setting",
        "evaluation.cutoffs is [5], the plan says [10, 100]",
        "it was measured on other data (split_hash is not that of today's preparation)",
    ]
    assert summary(["one", "two", "three", "four", "five"]) == "one; two; three; and 2 more"


def test_what_is_no_record_is_none(run):
    found = differences(run, {}, {"split_hash": "b"})
    assert {"it has no settings", "it has no evaluation"} <= set(found)
    assert any("split_hash" in phrase for phrase in found)


def with_setting(run, value, *keys):
    """The run with one more setting, as if the code had just got it."""
    settings = json.loads(json.dumps(run.settings))
    holder = settings
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = value
    return replace(run, settings=settings)


NEW = (
    AddedSetting("sasrec", "places", "newest"),
    AddedSetting("create", "training.rhythm", 1),
    AddedSetting("evaluation", "ties", "index"),
)


@pytest.mark.parametrize(
    ("keys", "before", "other"),
    [(("sequence", "places"), "newest", "oldest"), (("training", "rhythm"), 1, 2)],
)
def test_a_record_from_before_a_setting_matches_at_the_value_the_code_had(run, keys, before, other):
    old, name = record_of(run), ".".join(keys)
    assert differences(with_setting(run, before, *keys), old, added=NEW) == []
    shown = json.dumps(other)
    assert differences(with_setting(run, other, *keys), old, added=NEW) == [
        f"settings.{name} is not in it, the plan says {shown}"
    ]
    assert differences(with_setting(run, before, *keys), old, added=()) != []


def test_an_old_value_is_that_of_one_kind_alone(config):
    """What sasrec did before says nothing of bert4rec, and nothing of a key of that name elsewhere."""
    run = make_run(config, "amazon-beauty", "create", overrides={"sequence": {"kind": "bert4rec"}})
    assert differences(with_setting(run, "newest", "sequence", "places"), record_of(run), added=NEW) != []
    assert differences(with_setting(run, "newest", "places"), record_of(run), added=NEW) != []


def test_a_record_that_names_the_setting_is_compared_by_it(run):
    newest, oldest = (with_setting(run, value, "sequence", "places") for value in ("newest", "oldest"))
    assert differences(newest, record_of(newest), added=NEW) == []
    assert differences(newest, record_of(oldest), added=NEW) != []


def test_an_older_record_matches_at_the_old_value_of_a_switch(run):
    newer = replace(run, evaluation={**run.evaluation, "ties": "index"})
    assert differences(newer, record_of(run), added=NEW) == []
    newer = replace(run, evaluation={**run.evaluation, "ties": "chance"})
    assert differences(newer, record_of(run), added=NEW) == ['evaluation.ties is not in it, the plan says "chance"']


def holders(schema, kind):
    """Every settings class of a kind."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        default = schema.model_fields.get("kind")
        found = [schema] if default is not None and default.default == kind else []
        return found + [each for field in schema.model_fields.values() for each in holders(field.annotation, kind)]
    return [each for part in getattr(schema, "__args__", ()) for each in holders(part, kind)]


@pytest.mark.parametrize("added", ADDED_SETTINGS, ids=lambda added: f"{added.kind}.{added.name}")
def test_each_added_setting_is_one_and_can_have_its_old_value(added):
    classes = [EvaluationConfig] if added.kind == "evaluation" else holders(ModelSettings, added.kind)
    assert classes, f"no settings class has the kind {added.kind}"
    for cls in classes:
        *parts, leaf = added.name.split(".")
        for part in parts:
            cls = cls.model_fields[part].annotation
        assert leaf in cls.model_fields
        value = {leaf: added.before}
        assert cls.model_validate(value).model_dump(mode="json")[leaf] == added.before


def test_no_setting_was_added_that_voids_the_published_records(config):
    """Whoever adds one adds its old value to ADDED_SETTINGS. Other values and data are for the tables to leave out."""
    compared = 0
    for run in runs(config).values():
        path = ROOT / "results" / "published" / "runs" / run.folder / "record.json"
        if path.exists():
            compared += 1
            found = differences(run, json.loads(path.read_text()))
            assert [phrase for phrase in found if "is not in it" in phrase] == [], run.folder
    assert compared > 50
