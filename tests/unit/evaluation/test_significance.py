"""Paired tests and bootstrap, against scipy, textbook formulas and brute force."""

import math
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from createrec.errors import DataError
from createrec.evaluation.significance import (
    Ranks,
    bootstrap_means,
    holm,
    paired_t,
    per_user,
    percentile_interval,
    read_ranks,
    wilcoxon,
)


def test_per_user_scores_by_hand():
    rank = np.array([1, 3, 10, 11])
    np.testing.assert_allclose(per_user(rank, "ndcg@10"), [1.0, 0.5, 1 / math.log2(11), 0.0])
    np.testing.assert_array_equal(per_user(rank, "recall@10"), [1.0, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(per_user(rank, "recall@1"), [1.0, 0.0, 0.0, 0.0])


def test_paired_t_is_scipys_and_the_textbooks():
    generator = np.random.default_rng(0)
    first, second = generator.random(40), generator.random(40)
    difference = first - second
    statistic = difference.mean() / (difference.std(ddof=1) / math.sqrt(40))
    assert paired_t(first, second) == pytest.approx(2 * stats.t.sf(abs(statistic), 39))
    assert paired_t(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue)


def test_wilcoxon_drops_equal_users_and_matches_its_formula():
    # Differences 1, 2, 3, 4, -5 and two zeros: W+ = 10, W- = 5; n = 5 gives mean 7.5 and variance 13.75.
    first = np.array([1.0, 2, 3, 4, 0, 7, 7])
    second = np.array([0.0, 0, 0, 0, 5, 7, 7])
    z = (10 - 7.5) / math.sqrt(5 * 6 * 11 / 24)
    assert wilcoxon(first, second) == pytest.approx(2 * stats.norm.sf(z))


def test_no_difference_is_no_evidence():
    same = np.array([0.5, 0.0, 1.0])
    assert paired_t(same, same) == 1.0
    assert wilcoxon(same, same) == 1.0


def test_false_alarms_come_at_the_stated_rate():
    generator = np.random.default_rng(1)
    p = [paired_t(generator.random(60), generator.random(60)) for _ in range(600)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_holm_by_hand():
    # sorted: .01 * 4 = .04, .03 * 3 = .09, .04 * 2 = .08 -> .09 (never below its predecessor), .5 * 1
    assert holm([0.04, 0.01, 0.5, 0.03]) == pytest.approx([0.09, 0.04, 0.5, 0.09])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_never_rejects_what_the_step_down_rule_would_keep():
    generator = np.random.default_rng(2)
    for _ in range(50):
        p = generator.random(6) ** 3
        rejected = set()
        for step, index in enumerate(np.argsort(p)):
            if p[index] > 0.05 / (6 - step):
                break
            rejected.add(int(index))
        assert {index for index, value in enumerate(holm(p)) if value <= 0.05} == rejected


def test_bootstrap_matches_the_exact_distribution_of_a_tiny_sample():
    sample = np.array([[0.0, 1.0, 5.0], [2.0, 2.0, 8.0]])
    exact = [
        np.mean([[sample[row, user] for user in users] for row in seeds])
        for users in product(range(3), repeat=3)
        for seeds in product(range(2), repeat=2)
    ]
    drawn = bootstrap_means([sample], draws=40_000, seed=3)[:, 0]
    for threshold in np.arange(0, 8, 1 / 4) + 0.01:
        assert np.mean(drawn <= threshold) == pytest.approx(np.mean(np.array(exact) <= threshold), abs=0.01)


def test_percentile_interval_leaves_equal_tails():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))


def test_bootstrap_draws_the_same_users_for_every_model():
    users = np.random.default_rng(4).random((1, 50))
    drawn = bootstrap_means([users, users + 0.25], draws=150, seed=5)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 0.25)
    assert drawn[:, 0].std() > 0


def test_bootstrap_draws_seeds_for_each_model_apart():
    seeds = np.array([[0.0, 0.0], [1.0, 1.0]])
    drawn = bootstrap_means([seeds, seeds], draws=2000, seed=6)
    assert set(np.unique(drawn)) == {0.0, 0.5, 1.0}
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1


def test_bootstrap_repeats_itself():
    sample = np.random.default_rng(7).random((2, 30))
    first, again, other = (bootstrap_means([sample], draws=130, seed=seed) for seed in (8, 8, 9))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ranks_are_read_back(tmp_path):
    path = tmp_path / "ranks.parquet"
    pq.write_table(pa.table({"user": [0, 2], "rank": pa.array([1, 30], pa.int32())}), path)
    ranks = read_ranks(path)
    assert ranks.user.tolist() == [0, 2]
    assert ranks.rank.tolist() == [1, 30]
    assert ranks.draw.tolist() == [0, 0]


def test_draws_are_averaged_by_user():
    ranks = Ranks(np.array([2, 7, 2, 7, 9]), np.array([0, 0, 1, 1, 1]), np.array([1, 30, 2, 1, 1]))
    np.testing.assert_allclose(ranks.scores("recall@1"), [0.5, 0.5, 1.0])
    assert ranks.mean("recall@1") == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("columns", [{"rank": [1]}, {"user": [0], "rank": [0]}])
def test_bad_ranks_are_refused_by_name(tmp_path, columns):
    path = tmp_path / "ranks.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=r"ranks\.parquet"):
        read_ranks(path)


def test_ranks_that_are_no_parquet_are_refused_by_name(tmp_path):
    path = tmp_path / "ranks.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"ranks\.parquet"):
        read_ranks(path)
