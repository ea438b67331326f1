"""What a run will take, from records: epochs by phase, other data, threads, the machine's rate."""

from typing import Any

import pytest

from createrec.plan import Run
from createrec.runs import cost
from createrec.runs.cost import estimate

DATA = {"train_interactions": 1000, "items": 50}


def run_of(kind: str = "create", dataset: str = "a", **settings: Any) -> Run:
    settings = {"kind": kind, "training": {"epochs": 10}, "warmup_epochs": 4, **settings}
    return Run(dataset, kind, "table2", 1, "temporal", "test", settings, {})


def record_of(kind: str = "create", dataset: str = "a", seconds: float = 6.0, **more: Any) -> dict[str, Any]:
    history = [{"phase": "warmup", "seconds": 1.0}] * 2 + [{"phase": "joint", "seconds": seconds}] * 3
    record = {
        "dataset": dataset,
        "model": kind,
        "variant": "table2",
        "seed": 0,
        "setup": "temporal",
        "fold": "test",
        "settings": {"kind": kind, "training": {"epochs": 3}, "warmup_epochs": 2, "dimension": 64},
        "data": DATA,
        "history": history,
        "device": "cpu: Some, 1 of 2 threads",
        "seconds": {"train": 20.0, "evaluate": 2.0},
        "peak_memory_bytes": 5,
    }
    return record | more


def minutes(run: Run, *records: dict[str, Any], data: dict[str, Any] | None = None, rate: float = 100.0) -> float:
    found = estimate(run, records, data, rate)
    assert found is not None
    return found.core_minutes


def test_each_phase_has_its_own_epochs():
    assert minutes(run_of(), record_of()) == pytest.approx((4 * 1.0 + 10 * 6.0 + 2.0) / 60)


def test_a_model_without_epochs_takes_what_it_took():
    record = record_of("svd", history=[])
    assert minutes(run_of("svd"), record) == pytest.approx(22.0 / 60)


def test_threads_are_cores():
    two = record_of(device="cpu: Some, 2 of 2 threads")
    assert minutes(run_of(), two) == pytest.approx(2 * minutes(run_of(), record_of()))


def test_a_card_says_nothing_of_a_processor_nor_the_other_way_round():
    here = record_of(seconds=6.0)
    card = record_of(seconds=0.1, device="cuda: Some card")
    assert minutes(run_of(), card, here) == pytest.approx(minutes(run_of(), here))
    assert estimate(run_of(), [card], DATA, 100.0) is None
    found = estimate(run_of(), [here, card], DATA, 100.0, "cuda")
    assert found is not None and found.core_minutes == pytest.approx((4 * 1.0 + 10 * 0.1 + 2.0) / 60)


def test_a_known_machine_is_compared_with_this_one(monkeypatch):
    same = minutes(run_of(), record_of())
    monkeypatch.setattr(cost, "MACHINES", {"cpu: Some": 50.0})
    assert minutes(run_of(), record_of(), rate=100.0) == pytest.approx(same / 2)


def test_other_data_are_more_or_less_work():
    twice_both = {"train_interactions": 2000, "items": 100}
    same = minutes(run_of(), record_of())
    assert minutes(run_of(dataset="b"), record_of(), data=twice_both) == pytest.approx(4 * same)
    graph = minutes(run_of("lightgcn"), record_of("lightgcn"))
    found = minutes(run_of("lightgcn", dataset="b"), record_of("lightgcn"), data=twice_both)
    assert found == pytest.approx(2 * graph)


def test_the_record_most_like_it_is_taken():
    near, other_width = record_of(seed=1), record_of(seed=2)
    other_width["settings"] = other_width["settings"] | {"dimension": 8}
    elsewhere = record_of(dataset="b", seed=3)
    found = estimate(run_of(dimension=64), [elsewhere, other_width, near], DATA, 100.0)
    assert found is not None and (found.like, found.bytes) == ("a/create/table2/seed1", 5)


def test_what_no_record_is_like_is_unknown():
    assert estimate(run_of(), [record_of("sasrec")], DATA, 100.0) is None
    assert estimate(run_of(), [record_of(fold="validation")], DATA, 100.0) is None
    assert estimate(run_of(dataset="b"), [record_of()], None, 100.0) is None
