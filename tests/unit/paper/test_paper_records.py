"""Estimates over seeds, and records that do not belong where they lie."""

import json

import pytest
from scipy import stats

from createrec.errors import DataError
from createrec.paper.records import NO_DATA, NOT_RUN, Estimate
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
    with pytest.raises(DataError, match=r"seed0/record\.json: seed is 7, but its place in the plan is for 0"):
        results.record(world.run("amazon-beauty/create/table2/seed0"))


def test_records_of_different_splits_do_not_stand_in_one_table(world):
    path = world.records / "amazon-beauty/create/table2/seed1/record.json"
    record = json.loads(path.read_text()) | {"data": {"split_hash": "another"}}
    path.write_text(json.dumps(record))
    results = world.results()
    with pytest.raises(DataError, match="different splits of amazon-beauty"):
        results.estimate(results.cells("table2", "amazon-beauty", "create"), "ndcg@10", "amazon-beauty")


def test_half_a_record_is_refused(world):
    path = world.records / "amazon-beauty/create/table2/seed0/record.json"
    record = json.loads(path.read_text())
    del record["metrics"]
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="lacks metrics"):
        world.results().record(world.run("amazon-beauty/create/table2/seed0"))


def test_settings_that_changed_since_are_found(world):
    path = world.records / "amazon-beauty/create/table2/seed0/record.json"
    record = json.loads(path.read_text())
    results = world.results()
    assert results.drifted(results.plan["table2"]) == []
    record["settings"]["dimension"] = 8
    path.write_text(json.dumps(record))
    results = world.results()
    assert [run.folder for run in results.drifted(results.plan["table2"])] == ["amazon-beauty/create/table2/seed0"]


def test_data_at_hand_decides_how_a_missing_run_is_called(world):
    results = world.results()
    assert results.missing("amazon-beauty") == NOT_RUN
    (world.data / "amazon-beauty" / "dataset.json").unlink()
    assert results.missing("amazon-beauty") == NO_DATA
