"""Ours beside the paper's, and CREATE tested against each baseline, from made-up records and ranks."""

import csv
import json
import math

import numpy as np
import pytest
from made_up import write_ranks, write_record
from scipy import stats

from createrec.errors import DataError
from createrec.paper.comparison import NO_RANKS, compare, run_tests, write_pages
from createrec.paper.reported import reported_values

FILES = [f"{name}.{suffix}" for name in ("comparison", "claims", "significance") for suffix in ("csv", "md", "html")]


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ndcg(ranks: list[int]) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10) / len(ranks)


def rank_world(world, dataset: str = "amazon-beauty") -> dict[str, list[list[int]]]:
    """Ranks of 30 users for the models of Table 2 on one dataset: CREATE ranks most targets first."""
    generator = np.random.default_rng(0)
    ranks = {
        model: [generator.integers(1, top, 30).tolist() for _ in range(2)]
        for model, top in (("create", 5), ("sasrec", 30), ("random", 200))
    }
    for model, seeds in ranks.items():
        for seed, one in enumerate(seeds):
            run = world.run(f"{dataset}/{model}/table2/seed{seed}")
            write_record(world.records, run, ndcg=ndcg(one))
            write_ranks(world.records, run, one)
    return ranks


def outcome(world, dataset: str, baseline: str, metric: str = "ndcg@10"):
    found = {(test.table, test.dataset, test.baseline, test.metric): test for test in run_tests(world.results())}
    return found["table2", dataset, baseline, metric]


def test_every_reported_number_stands_beside_ours(world):
    compared = compare(world.results())
    without_table5 = [row for row in reported_values() if row.table != "table5"]
    assert [id(row.reported) for row in compared if row.reported.table == "table2"] == [
        id(row) for row in without_table5 if row.table == "table2"
    ]
    # Table 5 names no dataset: its eight numbers stand beside the one that is configured here.
    assert sum(row.reported.table == "table5" for row in compared) == 8
    assert len(compared) == len(without_table5) + 8


def test_a_row_by_hand(world):
    write_pages(world.results(), world.out)
    found = {(row["table"], row["dataset"], row["method"], row["metric"]): row for row in rows(world.out / FILES[0])}
    row = found["table2", "amazon-beauty", "CREATE", "ndcg@10"]
    half = stats.t.ppf(0.975, 1) * 0.1  # two seeds, 2.0 and 2.2: deviation 0.1 * sqrt(2), divided by sqrt(2)
    expected = {
        "paper": 2.15,
        "paper_std": 0.01,
        "ours": 2.1,
        "interval_low": 2.1 - half,
        "interval_high": 2.1 + half,
        "relative_difference_percent": 100 * (2.1 / 2.15 - 1),
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected)
    assert (row["paper_inside_interval"], row["status"], row["seeds"]) == ("yes", "run", "2")
    absent = found["table2", "yambda-50m", "CREATE", "ndcg@10"]
    assert (absent["paper"], absent["ours"], absent["status"]) == ("1.54", "", "not run (data not at hand)")
    counts = found["table1", "amazon-beauty", "", "items"]
    assert (float(counts["paper"]), float(counts["ours"])) == (12101, 12000)
    assert found["table2", "ml-1m", "CREATE", "ndcg@10"]["label"] == "ML-1M, 31 % of timestamps interpolated"


def test_the_page_shows_both_numbers(world):
    write_pages(world.results(), world.out)
    text = (world.out / "comparison.md").read_text()
    assert "2.15 → 2.10 [0.83, 3.37] (−2 %)" in text
    assert "0.003 → not run †" in text


def test_without_records_everything_is_named_not_run(empty_world):
    write_pages(empty_world.results(), empty_world.out)
    assert {row["ours"] for row in rows(empty_world.out / "comparison.csv")} == {""}
    assert {row["verdict"] for row in rows(empty_world.out / "claims.csv")} == {"not run"}
    assert {row["verdict"] for row in rows(empty_world.out / "significance.csv")} == {"not run (data not at hand)"}


def test_the_same_records_give_the_same_bytes(world):
    rank_world(world)
    for name in ("first", "second"):
        write_pages(world.results(), world.out / name)
    for file in FILES:
        assert (world.out / "first" / file).read_bytes() == (world.out / "second" / file).read_bytes()


def test_a_deleted_record_empties_its_numbers_and_no_other(world):
    write_pages(world.results(), world.out / "before")
    for seed in (0, 1):
        (world.records / f"ml-1m/sasrec/table2/seed{seed}/record.json").unlink()
    write_pages(world.results(), world.out / "after")
    before, after = (rows(world.out / name / "comparison.csv") for name in ("before", "after"))
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert {(row["table"], row["dataset"], row["method"], row["ours"], row["status"]) for row in changed} == {
        ("table2", "ml-1m", "SASRec", "", "not run")
    }
    assert len(changed) == 6


def test_tests_pair_users_after_averaging_seeds(world):
    ranks = rank_world(world)
    score = {
        model: np.mean([[1 / math.log2(rank + 1) if rank <= 10 else 0 for rank in one] for one in seeds], axis=0)
        for model, seeds in ranks.items()
    }
    found = outcome(world, "amazon-beauty", "sasrec")
    assert found.users == 30
    assert found.seeds == (2, 2)
    assert found.means == pytest.approx((score["create"].mean(), score["sasrec"].mean()))
    assert found.t == pytest.approx(stats.ttest_rel(score["create"], score["sasrec"]).pvalue)
    assert found.interval[0] < found.difference < found.interval[1]


def test_holm_covers_the_comparisons_of_a_table(world):
    rank_world(world)
    pair = [outcome(world, "amazon-beauty", baseline) for baseline in ("sasrec", "random")]
    smaller, larger = sorted(pair, key=lambda test: test.t)
    assert smaller.t_holm == pytest.approx(2 * smaller.t)
    assert larger.t_holm == pytest.approx(max(larger.t, 2 * smaller.t))
    rank_world(world, "ml-1m")  # twice as many comparisons on the same metric
    again = [outcome(world, name, model) for name in ("amazon-beauty", "ml-1m") for model in ("sasrec", "random")]
    smallest = min(again, key=lambda test: test.t)
    assert smallest.t_holm == pytest.approx(4 * smallest.t)


def test_verdicts_follow_the_corrected_test(world):
    rank_world(world)
    assert outcome(world, "amazon-beauty", "sasrec").verdict == "CREATE better"
    for seed in (0, 1):
        create, sasrec = (world.run(f"amazon-beauty/{name}/table2/seed{seed}") for name in ("create", "sasrec"))
        alike = [1 + (user + seed) % 12 for user in range(30)]
        for run in (create, sasrec):
            write_record(world.records, run, ndcg=ndcg(alike))
            write_ranks(world.records, run, alike)
    assert outcome(world, "amazon-beauty", "sasrec").verdict == "no difference shown"


def test_a_difference_within_the_spread_of_seeds_is_said_to_hold_with_these_seeds(world):
    # CREATE's first seed is far ahead for every user, its second far behind: users agree, seeds do not.
    for model, seeds in (("create", (1, 9)), ("sasrec", (4, 4))):
        for seed, rank in enumerate(seeds):
            run = world.run(f"amazon-beauty/{model}/table2/seed{seed}")
            ranks = [rank + user % 2 for user in range(30)]
            write_record(world.records, run, ndcg=ndcg(ranks))
            write_ranks(world.records, run, ranks)
    found = outcome(world, "amazon-beauty", "sasrec")
    assert found.t_holm < 0.05
    assert found.interval[0] < 0 < found.interval[1]
    assert found.verdict == "CREATE better, with these seeds"


def test_missing_ranks_are_called_so(world):
    assert outcome(world, "amazon-beauty", "sasrec").verdict == NO_RANKS
    (world.records / "amazon-beauty/sasrec/table2/seed0/record.json").unlink()
    (world.records / "amazon-beauty/sasrec/table2/seed1/record.json").unlink()
    assert outcome(world, "amazon-beauty", "sasrec").verdict == "not run"


def test_ranks_of_other_users_are_refused(world):
    ranks = rank_world(world)
    run = world.run("amazon-beauty/sasrec/table2/seed0")
    write_ranks(world.records, run, ranks["sasrec"][0], users=list(range(1, 31)))
    with pytest.raises(DataError, match="not the same users"):
        run_tests(world.results())


def test_ranks_that_are_not_the_records_are_refused(world):
    rank_world(world)
    path = world.records / "amazon-beauty/sasrec/table2/seed0/record.json"
    record = json.loads(path.read_text())
    record["metrics"]["ndcg@10"] += 0.01
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="not that of the record"):
        run_tests(world.results())
