"""Standardised differences: values of four packages, laws, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from scoring.cutoffs import NotComputable
from scoring.groups import effect_sizes as es
from scoring.groups.noncentral import noncentral_t_cdf, noncentrality_limits
from tests.scoring.groups.golden import column, golden

GOLDEN = golden("effect_sizes")
EXACT, NONCENTRAL = GOLDEN["tolerance"], GOLDEN["tolerance_noncentral"]
NAMED: dict[str, Callable[..., es.Effect]] = {
    "d_rm": es.d_rm,
    "d_av_cumming_rootmeansquare": es.d_av_cumming,
    "d_z": lambda pairs, confidence: es.d_z(pairs, interval="normal", confidence=confidence),
    "becker_d_sd_pre": es.d_pre,
}
paired_cases = pytest.mark.parametrize("case", GOLDEN["paired"], ids=lambda c: str(c["id"]))
samples = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=30)


def pairs_of(case: dict[str, Any]) -> es.PairedMoments:
    return es.paired_moments(column(case["pre"]), column(case["post"]))


def limits(effect: es.Effect) -> dict[str, float | None]:
    return {"est": effect.estimate, "lower": effect.low, "upper": effect.high}


@paired_cases
def test_moments_are_of_complete_pairs(case: dict[str, Any]) -> None:
    pairs = pairs_of(case)
    assert pairs.n == case["n"]
    assert pairs.change.sd == pytest.approx(case["sd_diff"], abs=EXACT)
    assert pairs.correlation == pytest.approx(case["r"], abs=EXACT)


@paired_cases
@pytest.mark.parametrize("name", NAMED)
def test_normal_intervals_equal_effectsize(case: dict[str, Any], name: str) -> None:
    found = NAMED[name](pairs_of(case), confidence=case["conf"])
    assert found.interval == "normal"
    expected = case["effectsize_normal_ci"][name]
    assert limits(found) == pytest.approx(expected["unadjusted"], abs=EXACT)
    assert limits(es.corrected(found, case["n"] - 1)) == pytest.approx(expected["hedges_adjusted"], abs=EXACT)


def test_a_sign_that_is_towards_better_is_left_alone() -> None:
    found = es.d_rm(pairs_of(GOLDEN["paired"][0]), confidence=0.95)
    assert found.towards("better") is found
    turned = found.towards("worse")
    assert (turned.estimate, turned.low, turned.high) == (-found.estimate, -(found.high or 0), -(found.low or 0))


@paired_cases
def test_exact_intervals_equal_effectsize_and_mbess(case: dict[str, Any]) -> None:
    found = es.d_z(pairs_of(case), confidence=case["conf"])
    assert found.interval == "noncentral-t"
    assert limits(found) == pytest.approx(case["effectsize_noncentral_t"]["d_z"], abs=NONCENTRAL)
    assert (found.low, found.high) == pytest.approx(
        (case["MBESS_ci_sm"]["lower"], case["MBESS_ci_sm"]["upper"]), abs=NONCENTRAL
    )
    assert limits(es.corrected(found, case["n"] - 1)) == pytest.approx(
        case["effectsize_noncentral_t"]["g_z"], abs=NONCENTRAL
    )


@paired_cases
def test_the_other_d_av_equals_mote(case: dict[str, Any]) -> None:
    found = es.d_av_lakens(pairs_of(case), confidence=case["conf"])
    assert limits(found) == pytest.approx(case["MOTE"], abs=NONCENTRAL)


@paired_cases
def test_intervals_by_metafors_variances(case: dict[str, Any]) -> None:
    pairs = pairs_of(case)
    made = {
        "SMCC": es.d_z(pairs, interval="smcc"),
        "SMCR": es.d_pre(pairs, interval="smcr"),
        "SMCRH": es.d_pre(pairs, interval="smcrh"),
    }
    for name, found in made.items():
        expected = case["metafor_escalc"][name]
        assert found.estimate == pytest.approx(expected["yi"], abs=EXACT)
        assert (found.low, found.high) == pytest.approx((expected["lower"], expected["upper"]), abs=EXACT)
        assert found.correction == es.hedges_correction(pairs.n - 1)


@pytest.mark.parametrize("case", GOLDEN["between"], ids=lambda c: str(c["id"]))
def test_between_groups_equals_effectsize_and_mbess(case: dict[str, Any]) -> None:
    first, second = es.moments(column(case["group1"])), es.moments(column(case["group2"]))
    found = es.between(first, second, confidence=case["conf"])
    assert limits(found) == pytest.approx(case["cohens_d"], abs=NONCENTRAL)
    assert (found.low, found.high) == pytest.approx(
        (case["MBESS_ci_smd"]["lower"], case["MBESS_ci_smd"]["upper"]), abs=NONCENTRAL
    )
    assert limits(es.corrected(found, first.n + second.n - 2)) == pytest.approx(case["hedges_g"], abs=NONCENTRAL)


def test_hedges_factor_is_exact() -> None:
    table = GOLDEN["hedges_j"]
    assert [es.hedges_correction(m) for m in table["df"]] == pytest.approx(table["j_exact"], abs=1e-13)


def test_hedges_factor_of_large_samples_goes_on_where_logarithms_end() -> None:
    assert es.hedges_correction(2001) - es.hedges_correction(2000) == pytest.approx(1.875e-7, rel=1e-3)
    assert es.hedges_correction(10**9) == pytest.approx(1 - 0.75e-9, abs=1e-15)


@pytest.mark.parametrize("df", [1, 0, -1, math.nan])
def test_hedges_factor_needs_two_degrees_of_freedom(df: float) -> None:
    with pytest.raises(NotComputable) as refused:
        es.hedges_correction(df)
    assert refused.value.reason == "too-few"


def test_two_groups_before_and_after_by_hand() -> None:
    """Gains of 4 and 1 over the common standard deviation before of 2, with the factor of 4 degrees of freedom."""
    treated = es.paired_moments([10, 12, 14], [14, 16, 18])
    control = es.paired_moments([10, 12, 14], [11, 13, 15])
    found = es.d_ppc2(treated, control)
    assert found.estimate == pytest.approx(0.7978845608028654 * (4 - 1) / 2)
    assert (found.low, found.high, found.interval) == (None, None, None)
    assert es.corrected(found, 10).low is None
    assert found.document()["interval_method"] is None
    assert found.towards("worse").low is None


@given(samples)
def test_the_sign_goes_with_direction_and_order(rows: list[tuple[int, int]]) -> None:
    pre, post = np.array(rows, float).T
    assume(np.ptp(post - pre) > 0 and np.ptp(pre) > 0 and np.ptp(post) > 0)
    there, back = es.paired_moments(pre, post), es.paired_moments(post, pre)
    for made in (es.d_z, es.d_av_cumming, es.d_av_lakens):
        found, turned = made(there), made(back)
        assert turned.estimate == pytest.approx(-found.estimate)
        worse = found.towards("worse")
        assert (worse.estimate, worse.low, worse.high) == pytest.approx((turned.estimate, turned.low, turned.high))
        assert found.towards("better") is found
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.estimate < found.high or math.isclose(found.low, found.high)
        assert np.sign(found.estimate) == np.sign((post - pre).mean().round(10))


@given(samples)
def test_points_of_another_size_change_nothing(rows: list[tuple[int, int]]) -> None:
    pre, post = np.array(rows, float).T
    assume(np.ptp(post - pre) > 0 and np.ptp(pre) > 0)
    found, scaled = (es.d_pre(es.paired_moments(pre * by, post * by)) for by in (1, 4)) if np.ptp(post) else (0, 0)
    assert found == scaled or limits(found) == pytest.approx(limits(scaled))  # type: ignore[arg-type]  # both are effects


@pytest.mark.parametrize(
    ("make", "pre", "post", "reason"),
    [
        (es.d_z, [1, 2, 3], [2, 3, 4], "no-spread"),
        (es.d_rm, [1, 2, 3], [2, 3, 4], "no-spread"),
        (es.d_rm, [1, 1, 1], [2, 3, 4], "no-correlation"),
        (es.d_pre, [1, 2, 3], [4, 4, 4], "no-correlation"),
        (es.d_av_cumming, [0.1, 0.1, 0.1], [0.3, 0.3, 0.3], "no-spread"),
        (es.d_av_lakens, [1, 1], [2, 2], "no-spread"),
    ],
)
def test_what_has_no_spread_is_refused(make: Callable[..., es.Effect], pre: Any, post: Any, reason: str) -> None:
    with pytest.raises(NotComputable) as refused:
        make(es.paired_moments(pre, post))
    assert refused.value.reason == reason


@pytest.mark.parametrize("values", [[], [1.0], [math.nan, 2.0]])
def test_one_value_has_no_spread(values: list[float]) -> None:
    with pytest.raises(NotComputable) as refused:
        es.moments(values)
    assert refused.value.reason == "too-few"


def test_one_pair_is_too_few_and_two_are_enough() -> None:
    with pytest.raises(NotComputable, match="at least 2"):
        es.paired_moments([1, 2, math.nan], [3, math.nan, 4])
    assert es.d_z(es.paired_moments([1, 2], [3, 5])).n == 2


def test_both_groups_without_spread_are_refused() -> None:
    alike = es.moments([3.0, 3.0])
    with pytest.raises(NotComputable) as refused:
        es.between(alike, alike)
    assert refused.value.reason == "no-spread"


def test_an_interval_of_another_figure_is_refused() -> None:
    pairs = es.paired_moments([1, 2, 3], [2, 2, 5])
    with pytest.raises(ValueError, match="d_z has no interval 'smcr'"):
        es.d_z(pairs, interval="smcr")


def test_every_interval_is_told_in_words() -> None:
    found = es.d_z(es.paired_moments([1, 2, 3], [2, 2, 5])).document()
    assert found["interval_method"] == es.METHODS["noncentral-t"]
    assert {"name", "formula", "n", "estimate", "low", "high", "confidence", "correction"} <= found.keys()


@given(st.floats(-8, 8), st.integers(1, 200), st.floats(-8, 8))
def test_the_distribution_equals_the_librarys_where_that_has_one(t: float, df: int, ncp: float) -> None:
    expected = float(stats.nct.cdf(t, df, ncp))
    assume(not math.isnan(expected))  # as it is far out in the tail
    assert noncentral_t_cdf(t, df, ncp) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("t", "df"), [(1000, 5), (-1000, 100_000), (300, 250_000), (1e7, 3), (0, 1), (0.01, 1)])
def test_limits_far_out_are_finite_and_hold_their_place(t: float, df: int) -> None:
    low, high = noncentrality_limits(t, df)
    assert low < high
    assert noncentral_t_cdf(t, df, low) == pytest.approx(0.975, abs=1e-8)
    assert noncentral_t_cdf(t, df, high) == pytest.approx(0.025, abs=1e-8)


def test_a_normal_that_lies_beyond_everything() -> None:
    assert noncentral_t_cdf(100.0, 2, -50.0) == 1.0
    assert noncentral_t_cdf(100.0, 2, 1e5) == pytest.approx(0.0, abs=1e-12)


def test_a_wide_interval_is_looked_for_further_out() -> None:
    low, high = noncentrality_limits(0.0, 10, confidence=0.99999)
    assert (low, high) == pytest.approx((-4.4171734, 4.4171734))


def test_change_beyond_all_measure_is_refused() -> None:
    with pytest.raises(NotComputable) as refused:
        noncentrality_limits(1e9, 10)
    assert refused.value.reason == "too-extreme"


@pytest.mark.parametrize(("df", "confidence"), [(0, 0.95), (math.nan, 0.95), (3, 0.0), (3, 1.0), (3, math.nan)])
def test_limits_out_of_range_are_refused(df: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        noncentrality_limits(1.0, df, confidence=confidence)


def test_where_everybody_changed_alike_an_interval_without_width_is_none() -> None:
    """The spread of the change is 0, so the normal interval of d_av would be from the estimate to the estimate."""
    pairs = es.paired_moments([10.1, 14.3, 19.2], [7.1, 11.3, 16.2])
    found = es.corrected(es.d_av_cumming(pairs), 2).towards("worse")
    assert found.estimate == pytest.approx(3 / math.sqrt(np.var([10.1, 14.3, 19.2], ddof=1)) * 0.5641895835)
    assert (found.low, found.high, found.interval, found.document()["interval_method"]) == (None, None, None, None)
