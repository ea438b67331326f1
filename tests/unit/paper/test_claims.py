"""Verdicts by their rules, each on numbers small enough to judge by eye."""

import numpy as np
import pytest
from scipy import stats

from createrec.paper.claims import (
    RULES,
    Side,
    ahead,
    best,
    contrast,
    difference,
    gained,
    judge,
    judge_flat,
    judge_interior,
    judge_peak,
    judge_plateau,
    ordered,
    paper_text,
)
from createrec.paper.records import Estimate


def around(mean: float, spread: float = 0.0001) -> Estimate:
    """Three seeds around a mean."""
    return Estimate((mean - spread, mean, mean + spread), 3)


def side(name: str, mean: float | None, paper: float, spread: float = 0.0001) -> Side:
    return Side(name, Estimate((), 3) if mean is None else around(mean, spread), paper)


def curve(*means: float | None, spread: float = 0.0001, values=(0, 0.1, 0.5, 1)) -> dict[float, Estimate]:
    return {
        value: Estimate((), 3) if mean is None else around(mean, spread)
        for value, mean in zip(values, means, strict=True)
    }


def test_difference_is_welchs():
    first, second = (0.020, 0.023, 0.021), (0.015, 0.018, 0.010)
    centre, interval = difference(Estimate(first, 3), Estimate(second, 3))
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert centre == pytest.approx(np.mean(first) - np.mean(second))
    assert interval == pytest.approx((expected.low, expected.high))


def test_contrasts():
    assert contrast(around(0.02), around(0.01)) == "clearly ahead"
    assert contrast(around(0.02, 0.01), around(0.019, 0.01)) == "ahead"
    assert contrast(around(0.01), around(0.02)) == "clearly behind"
    assert contrast(Estimate((0.02,), 1), Estimate((0.01,), 1)) == "ahead"  # one seed is never clear
    assert contrast(around(0.02), around(0.02)) == "even"
    same = Estimate((0.02, 0.02), 2)  # no deviation at all, as Random's formula or SVD may give
    assert contrast(same, Estimate((0.01, 0.01), 2)) == "clearly ahead"


@pytest.mark.parametrize(
    ("first", "second", "spread", "verdict"),
    [
        (0.02, 0.01, 0.0001, "reproduced"),
        (0.02, 0.019, 0.01, "partly"),
        (0.01, 0.02, 0.0001, "not reproduced"),
        (0.01, 0.02, 0.1, "not reproduced"),
        (None, 0.02, 0.0001, "not run"),
    ],
)
def test_ahead(first, second, spread, verdict):
    claim = ahead("Table 4", "x", "a beats b", side("a", first, 2.0, spread), side("b", second, 1.0, spread))
    assert claim.verdict == verdict
    assert claim.paper == "a 2.00, b 1.00"


def test_ahead_shows_both_means_and_their_difference():
    claim = ahead("Table 4", "x", "a beats b", side("a", 0.02, 2.0), side("b", 0.01, 1.0))
    # Welch with equal spreads s = 0.01 %: standard error s * sqrt(2 / 3), 4 degrees of freedom, t = 2.776.
    assert claim.ours == "a 2.00 ± 0.01, b 1.00 ± 0.01; difference +1.00 [+0.98, +1.02]"


@pytest.mark.parametrize(
    ("first", "spread", "verdict"),
    [(0.011, 0.01, "reproduced"), (0.02, 0.0001, "not reproduced"), (None, 0.01, "not run")],
)
def test_even(first, spread, verdict):
    claim = ahead("Table 4", "x", "same", side("a", first, 2.0, spread), side("b", 0.01, 2.0, spread), "even")
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("baselines", "verdict"),
    [
        ((0.01, 0.015), "reproduced"),
        ((0.01, 0.01995), "partly"),
        ((0.01, None), "partly"),
        ((0.01, 0.021), "not reproduced"),
        ((0.01, 0.02), "not reproduced"),
        ((None, None), "not run"),
    ],
)
def test_best(baselines, verdict):
    create = side("CREATE", 0.02, 2.15)
    sides = [side(name, mean, 1.5) for name, mean in zip("ab", baselines, strict=True)]
    assert best("Table 2", "x", "CREATE is best", create, sides).verdict == verdict


def test_best_says_where_the_paper_contradicts_itself():
    create, rival = side("CREATE", 0.02, 3.4), side("BERT4Rec", 0.01, 4.3)
    claim = best("Table 2", "x", "CREATE is best", create, [rival])
    assert paper_text(claim) == "CREATE 3.40, best baseline BERT4Rec 4.30 (the paper's own numbers contradict it)"


@pytest.mark.parametrize(
    ("create", "verdict"),
    [
        (0.023, "reproduced"),
        (0.0205, "partly"),
        (0.0199, "undecided"),  # behind, by less than the noise of choosing settings
        (0.0189, "not reproduced"),
        (None, "not run"),
    ],
)
def test_gain_needs_half_of_the_papers(create, verdict):
    # The paper gains 20 %, so ours must reach 10 %.
    claim = gained("Table 2", "x", "gain", side("CREATE", create, 1.2), side("SASRec", 0.02, 1.0))
    assert (claim.verdict, claim.paper) == (verdict, "+20 %")


@pytest.mark.parametrize(("create", "verdict"), [(0.0208, "partly"), (0.0212, "reproduced")])
def test_a_gain_within_the_noise_of_choosing_settings_is_not_reproduced(create, verdict):
    """The paper gains 6 %: half of that is not enough."""
    assert gained("Table 2", "x", "gain", side("CREATE", create, 1.06), side("SASRec", 0.02, 1.0)).verdict == verdict


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((0.05, 0.04, 0.03, 0.02, 0.01), "reproduced"),
        ((0.05, 0.04, 0.02, 0.03, 0.01), "partly"),  # 9 of 10 pairs
        ((0.05, 0.04, 0.01, 0.03, 0.02), "partly"),  # 8 of 10
        ((0.05, 0.04, 0.01, 0.02, 0.03), "not reproduced"),  # 7 of 10
        ((0.05, 0.04, None, 0.02, 0.01), "partly"),  # all pairs, but one model is missing
        ((0.01, 0.02, 0.03, 0.04, 0.05), "not reproduced"),
        ((None, None, None, None, 0.01), "not run"),
    ],
)
def test_order(means, verdict):
    sides = [side(name, mean, 5 - place) for place, (name, mean) in enumerate(zip("abcde", means, strict=True))]
    assert ordered("Table 3", "x", "order", sides).verdict == verdict


def test_peak():
    assert judge_peak(curve(0.01, 0.03, 0.02, 0.01), 0.1) == "reproduced"
    assert judge_peak(curve(0.01, 0.03, None, 0.01), 0.1) == "partly"
    assert judge_peak(curve(0.01, 0.0199, 0.02, 0.01), 0.1) == "undecided"  # another is higher, not clearly
    assert judge_peak(curve(0.01, 0.02, 0.03, 0.01), 0.1) == "not reproduced"
    assert judge_peak(curve(0.01, None, 0.03, 0.01), 0.1) == "not run"
    assert judge_peak({}, 0.1) == "not run"
    one_seed = {0: Estimate((0.01,), 1), 0.1: Estimate((0.02,), 1), 1: Estimate((0.0201,), 1)}
    assert judge_peak(one_seed, 0.1) == "not reproduced"


def test_interior():
    assert judge_interior(curve(0.01, 0.03, 0.02, 0.01)) == "reproduced"
    assert judge_interior(curve(0.01, 0.0101, 0.0101, 0.01, spread=0.01)) == "partly"
    assert judge_interior(curve(0.01, 0.03, None, 0.01)) == "partly"
    assert judge_interior(curve(0.01, 0.02, 0.03, 0.04)) == "not reproduced"
    assert judge_interior(curve(0.01, 0.02, 0.03, None)) == "not run"


def test_plateau():
    assert judge_plateau(curve(0.01, 0.02, 0.03, 0.03), 0.1) == "reproduced"
    assert judge_plateau(curve(0.01, 0.02, 0.019, 0.03), 0.1) == "partly"
    assert judge_plateau(curve(0.01, 0.02, None, 0.03), 0.1) == "partly"
    assert judge_plateau(curve(0.03, 0.02, 0.01, 0.01), 0.1) == "not reproduced"
    assert judge_plateau(curve(0.03, 0.02, None, None), 0.1) == "not run"


def test_flat():
    assert judge_flat(curve(0.01, 0.02, 0.021, 0.019), 0.1) == "reproduced"
    assert judge_flat(curve(0.01, 0.02, 0.021, 0.0135), 0.1) == "partly"
    assert judge_flat(curve(0.01, 0.02, None, 0.02), 0.1) == "partly"
    assert judge_flat(curve(0.01, 0.02, 0.04, 0.02), 0.1) == "not reproduced"
    assert judge_flat(curve(0.02, 0.01, 0.01, 0.01), 0.1) == "not reproduced"  # there was no jump
    assert judge_flat(curve(None, 0.02, 0.02, 0.02), 0.1) == "not run"


def test_every_claim_of_the_paper_is_judged_and_has_a_rule(world):
    claims = judge(world.results())
    assert {claim.source for claim in claims} == {"Table 2", "Table 3", "Table 4", "Table 5"} | {
        f"Figure {number}" for number in (3, 4, 5)
    }
    assert {claim.rule for claim in claims} == set(RULES)
    keys = [(claim.source, claim.dataset, claim.statement) for claim in claims]
    assert len(set(keys)) == len(keys)


def test_without_records_no_verdict_is_given(empty_world):
    assert {claim.verdict for claim in judge(empty_world.results())} == {"not run"}


def test_verdicts_come_from_the_records(world):
    found = {(c.source, c.dataset, c.statement): c for c in judge(world.results())}
    highest = found["Table 2", "amazon-beauty", "CREATE has the highest NDCG@10"]
    assert highest.verdict == "partly"  # ahead of SASRec and Random by too little for two seeds; six were not run
    assert "2 of 8 baselines run" in highest.ours
    assert found["Table 2", "ml-1m", "CREATE has the highest NDCG@10"].labels == (
        "ML-1M, 31 % of timestamps interpolated"
    )
    assert found["Table 2", "yambda-50m", "CREATE has the highest NDCG@10"].verdict == "not run"
    assert found["Figure 5", "amazon-beauty", "NDCG@10 jumps from no Barlow loss to a weight of 0.1"].verdict == (
        "not reproduced"  # every CREATE run of this world scores alike
    )
