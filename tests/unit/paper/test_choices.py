"""How far the choice of settings moves a model, and what that does to the verdict on a gain."""

import csv
import math
import statistics

import pytest
import yaml
from made_up import settings, write_record

from createrec.config import validate
from createrec.paper.choices import by_settings, choice_spread, relative_spread
from createrec.paper.claims import judge
from createrec.paper.headline import headlines
from createrec.paper.records import Results
from createrec.paper.tables import write_table
from createrec.plan import _hparams, plan

BEAUTY = "amazon-beauty"
NEXT = {
    "sasrec": {"trial-3": {"dropout": 0.5}, "trial-1": {"heads": 1, "training": {"epochs": 9}}},
    "create": {"trial-0": {"warmup_epochs": 7}},
}


@pytest.fixture
def configured(tmp_path):
    folder = tmp_path / "hparams" / BEAUTY
    folder.mkdir(parents=True)
    for model, others in NEXT.items():
        (folder / f"{model}.next.yaml").write_text(yaml.safe_dump(others, sort_keys=False))
    part = {"datasets": [BEAUTY], "models": ["sasrec", "create"], "seeds": [0, 1]}
    yield validate(settings() | {"hparams": str(folder.parent), "choices": part})
    _hparams.cache_clear()


def results_of(world, config, levels, spread=0.0):
    """Records of NDCG@10 by (model, settings); seed 1 is `spread` above seed 0."""
    for cell in plan(config)["choices"]:
        place = (cell.run.model, cell.labels["settings"])
        if place in levels:
            write_record(world.records, cell.run, ndcg=levels[place] + spread * cell.run.seed)
    return Results(config, world.records, world.data, world.splits)


LEVELS = {
    ("sasrec", "chosen"): 0.02,
    ("sasrec", "trial-3"): 0.021,
    ("sasrec", "trial-1"): 0.022,
    ("create", "chosen"): 0.025,
    ("create", "trial-0"): 0.023,
}


def test_the_chosen_settings_are_table_2s_run_and_the_others_have_places_of_their_own(configured) -> None:
    cells = plan(configured)["choices"]
    assert {(cell.run.model, cell.labels["settings"], cell.run.variant) for cell in cells} == {
        ("sasrec", "chosen", "table2"),
        ("sasrec", "trial-3", "choice-trial-3"),
        ("sasrec", "trial-1", "choice-trial-1"),
        ("create", "chosen", "table2"),
        ("create", "trial-0", "choice-trial-0"),
        ("create", "encoder-trial-3", "choice-encoder-trial-3"),
        ("create", "encoder-trial-1", "choice-encoder-trial-1"),
    }
    found = {cell.run.variant: cell.run.settings for cell in cells if cell.run.model == "sasrec"}
    assert found["choice-trial-3"] == {**found["table2"], "dropout": 0.5}
    assert found["choice-trial-1"] == {
        **found["table2"],
        "heads": 1,
        "training": {**found["table2"]["training"], "epochs": 9},
    }


def test_create_is_built_and_trained_on_the_encoders_other_settings(configured) -> None:
    cells = [cell for cell in plan(configured)["choices"] if cell.run.model == "create"]
    chosen, other = (
        next(cell.run.settings for cell in cells if cell.labels["settings"] == name)
        for name in ("chosen", "encoder-trial-1")
    )
    assert other["sequence"] == {**chosen["sequence"], "heads": 1}
    assert other["training"] == {**chosen["training"], "epochs": 9}
    assert {key: other[key] for key in ("graph", "alignment", "warmup_epochs")} == {
        key: chosen[key] for key in ("graph", "alignment", "warmup_epochs")
    }


def test_without_a_search_there_is_nothing_to_compare(world) -> None:
    part = {"datasets": [BEAUTY], "models": ["sasrec", "create"], "seeds": [0]}
    config = validate(settings() | {"choices": part})
    assert {cell.labels["settings"] for cell in plan(config)["choices"]} == {"chosen"}
    results = Results(config, world.records, world.data, world.splits)
    assert choice_spread(results, BEAUTY, ("sasrec", "create")) is None


def test_the_spread_is_over_means_of_settings_and_both_sides_count(world, configured) -> None:
    results = results_of(world, configured, LEVELS, spread=0.002)
    assert list(by_settings(results, BEAUTY, "sasrec")) == ["chosen", "trial-3", "trial-1"]
    sides = [statistics.stdev(means) / statistics.fmean(means) for means in ([0.021, 0.022, 0.023], [0.026, 0.024])]
    assert choice_spread(results, BEAUTY, ("sasrec", "create")) == pytest.approx(math.hypot(*sides))
    assert choice_spread(results, BEAUTY, ("sasrec",)) == pytest.approx(sides[0])


@pytest.mark.parametrize("values", [[], [0.02], [0.0, 0.0]])
def test_one_setting_or_none_has_no_spread(values) -> None:
    assert relative_spread(values) is None


def test_the_table_tells_settings_apart_and_says_what_the_choice_moves(world, configured) -> None:
    results = results_of(world, configured, LEVELS, spread=0.002)
    write_table(results, "choices", world.out / "choices")
    with (world.out / "choices.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "ndcg@10" and row["mean_percent"]]
    assert [(row["model"], row["settings"], float(row["mean_percent"])) for row in rows] == [
        ("sasrec", "chosen", 2.1),
        ("sasrec", "trial-3", 2.2),
        ("sasrec", "trial-1", 2.3),
        ("create", "chosen", 2.6),
        ("create", "trial-0", 2.4),
    ]
    text = (world.out / "choices.md").read_text()
    assert "Amazon Beauty: SASRec has an NDCG@10 of 2.20 ± 0.10 over its 3 settings" in text
    assert "the chosen ones have 2.10 ± 0.14 over seeds." in text
    assert "of the means over settings CREATE's is +14 % against SASRec's" in text
    assert "the choice of settings moves that by ± 7 %." in text
    assert "the other way round" not in text, "CREATE as chosen is above every setting of SASRec"


def test_where_other_luck_would_turn_the_order_the_table_says_so(world, configured) -> None:
    results = results_of(world, configured, LEVELS | {("sasrec", "trial-3"): 0.026})
    write_table(results, "choices", world.out / "choices")
    told = (
        "with other luck the order would be the other way round: SASRec with trial-3 has 2.60, CREATE as chosen 2.50."
    )
    assert f"Amazon Beauty: {told}" in (world.out / "choices.md").read_text()


def test_the_headline_says_what_the_choice_moves_and_where_sasrec_would_be_ahead(world, configured) -> None:
    def line(levels):
        results = results_of(world, configured, levels)
        return next(one for one in headlines(results, judge(results)) if one.name == "gain").evidence[0]

    start = "Amazon Beauty: +25 % (the paper: +15 %); the choice of settings moves it by ±"
    assert line(LEVELS).startswith(start) and "above CREATE" not in line(LEVELS)
    told = "; with settings that could as well have been chosen SASRec has 2.60, above CREATE"
    assert line(LEVELS | {("sasrec", "trial-3"): 0.026}).endswith(told)


# CREATE +15 % in the paper. Ours: +25 %, clear over seeds. With settings as far apart as the third row's, luck of the
# choice would explain it.
@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        ({}, "reproduced"),
        ({("sasrec", "trial-3"): 0.0201, ("create", "trial-0"): 0.0249}, "reproduced"),
        ({("sasrec", "trial-3"): 0.0201, ("create", "trial-0"): 0.015}, "partly"),
        ({("sasrec", "trial-3"): 0.0252, ("create", "trial-0"): 0.0249}, "partly"),
    ],
)
def test_a_gain_that_the_choice_of_settings_explains_is_not_reproduced(world, configured, others, verdict) -> None:
    chosen = {place: level for place, level in LEVELS.items() if place[1] == "chosen"}
    results = results_of(world, configured, chosen | others, spread=0.0001)
    claim = next(
        claim
        for claim in judge(results)
        if (claim.source, claim.dataset, claim.rule) == ("Table 2", BEAUTY, "gain") and "NDCG@10" in claim.statement
    )
    assert claim.verdict == verdict
    assert ("choice of settings ±" in claim.ours) is bool(others)
    ahead = others.get(("sasrec", "trial-3"), 0) > LEVELS["create", "chosen"]
    assert ("SASRec under other good settings" in claim.ours) is ahead


def test_a_loss_within_the_noise_of_choosing_is_undecided(world, configured) -> None:
    levels = {("sasrec", "chosen"): 0.02, ("create", "chosen"): 0.018}
    claims = [judge(results_of(world, configured, levels, spread=0.0001))]
    claims.append(judge(results_of(world, configured, levels | {("create", "trial-0"): 0.024}, spread=0.0001)))
    place = (BEAUTY, "gain", "Table 2")
    found = [
        next(claim.verdict for claim in part if (claim.dataset, claim.rule, claim.source) == place) for part in claims
    ]
    assert found == ["not reproduced", "undecided"]
