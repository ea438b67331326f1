"""Estimates over seeds, and records that do not belong where they lie."""

import json

import pytest
from scipy import stats

from createrec.errors import DataError
from createrec.paper.records import NO_DATA, NOT_RUN, Estimate, Results
from createrec.plan import plan


def test_an_estimate_by_hand():
    estimate = Estimate((0.01, 0.02, 0.03), planned=3)
    assert estimate.mean == pytest.approx(0.02)
    assert estimate.std == pytest.approx(0.01)  # divided by n - 1
    low, high = stats.t.interval(0.95, 2, loc=0.02, scale=0.01 / 3**0.5)
    assert estimate.interval == pytest.approx((low, high))
    assert estimate.status == "run"


def test_one_seed_has_no_deviation_and_no_interval():
    estimate = Estimate((0.01,), planned=3)
    assert estimate.std is None
    assert estimate.interval is None
    assert estimate.status == "run (1 of 3 seeds)"


def test_no_seed_is_not_run():
    assert Estimate((), 3).status == "not run"
    assert Estimate((), 3, missing=NO_DATA).status == "not run (data not at hand)"


def test_seeds_come_from_the_plan(world):
    results = world.results()
    cells = results.cells("table2", "amazon-beauty", "create")
    assert results.estimate(cells, "ndcg@10", "amazon-beauty").values == pytest.approx((0.02, 0.022))


def test_runs_that_two_tables_share_are_read_from_one_record(world):
    shared = {
        group: {cell.run.folder for cell in cells if cell.run.model == "create" and cell.run.seed == 0}
        for group, cells in plan(world.config).items()
    }
    assert "amazon-beauty/create/table2/seed0" in shared["table2"] & shared["ablation_alignment"]


def test_a_record_of_another_run_is_refused(world):
    path = world.records / "amazon-beauty/create/table2/seed0/record.json"
    record = json.loads(path.read_text()) | {"seed": 7}
    path.write_text(json.dumps(record))
    results = world.results()
    with pytest.raises(DataError, match=r"seed0/record\.json: .* seed is 7, the plan says 0"):
        results.record(world.run("amazon-beauty/create/table2/seed0"))


@pytest.mark.parametrize("key", ["dataset_hash", "split_hash"])
def test_a_record_of_other_data_is_refused(world, key):
    path = world.records / "amazon-beauty/create/table2/seed1/record.json"
    record = json.loads(path.read_text())
    record["data"][key] = "another"
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"create/table2/seed1/record\.json: .* other data \({key}"):
        world.results().record(world.run("amazon-beauty/create/table2/seed1"))


@pytest.mark.parametrize("file", ["data/amazon-beauty/dataset.json", "splits/amazon-beauty/temporal/split.json"])
def test_a_record_whose_data_cannot_be_compared_is_refused(world, file):
    (world.data.parent / file).unlink()
    with pytest.raises(DataError, match=rf"there is no .*{file} to compare its data with"):
        world.results().record(world.run("amazon-beauty/create/table2/seed1"))


def test_half_a_record_is_refused(world):
    path = world.records / "amazon-beauty/create/table2/seed0/record.json"
    record = json.loads(path.read_text())
    del record["metrics"]
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="lacks metrics"):
        world.results().record(world.run("amazon-beauty/create/table2/seed0"))


@pytest.mark.parametrize("part", ["settings", "evaluation"])
def test_a_record_of_other_settings_is_refused_or_left_out(world, part):
    path = world.records / "amazon-beauty/create/table2/seed0/record.json"
    record = json.loads(path.read_text())
    change = {"settings": {"dimension": 8}, "evaluation": {"target": "first"}}[part]
    record[part] |= change
    path.write_text(json.dumps(record))
    run = world.run("amazon-beauty/create/table2/seed0")
    (key,) = change
    with pytest.raises(DataError, match=rf"seed0/record\.json: .* {part}\.{key} is .*, the plan says "):
        world.results().record(run)
    results = Results(world.config, world.records, world.data, world.splits, leave_out=True)
    assert results.record(run) is None
    assert list(results.left_out_of(results.plan["table2"])) == [run.folder]
    assert results.left_out_of(results.plan["table3"]) == {}


def test_data_at_hand_decides_how_a_missing_run_is_called(world):
    results = world.results()
    assert results.missing("amazon-beauty") == NOT_RUN
    (world.data / "amazon-beauty" / "dataset.json").unlink()
    assert results.missing("amazon-beauty") == NO_DATA
