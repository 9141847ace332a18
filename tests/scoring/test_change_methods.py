"""The reliable change methods that need sample moments: a reference implementation person by person, and refusals."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.change import change_category, standard_error_of_difference, standard_error_of_measurement
from scoring.change_methods import (
    METHODS,
    Moments,
    change_index,
    edwards_nunnally,
    gulliksen_lord_novick,
    hageman_arrindell,
    hsu_linn_nord,
    nunnally_kotsch,
    reliability_of_difference,
    sample_moments,
)
from scoring.cutoffs import NotComputable

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_statistics" / "change.json").read_text())
LETTERS = {"recovered": "R", "improved": "I", "unchanged": "U", "deteriorated": "D", "harmed": "H", None: "?"}
close = {"rel": GOLDEN["tolerance"], "abs": GOLDEN["tolerance"]}


def people(case: dict[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[int]]:
    """Scores of the case's data set, and the places of those persons that the case lists."""
    data = GOLDEN["sets"][case["set"]]
    places = [data["id"].index(person) for person in case["ids"]]
    return np.array(data["pre"], float), np.array(data["post"], float), places


def of_part(part: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in GOLDEN["cases"] if case["part"] == part]


def letters(categories: Any, places: list[int]) -> str:
    return "".join(LETTERS[category] for category in categories[places])


@pytest.mark.parametrize("case", of_part("distribution"))
def test_index_and_category_of_each_person_equal_the_reference(case: dict[str, Any]) -> None:
    pre, post, places = people(case)
    moments = sample_moments(pre, post)
    expected = case["moments"]
    assert moments.n == expected["n_used"] == len(places)
    assert (moments.mean_pre, moments.sd_pre, moments.mean_post, moments.sd_post) == pytest.approx(
        (expected["m_pre"], expected["sd_pre"], expected["m_post"], expected["sd_post"]), **close
    )
    found = change_index(
        case["method"],
        pre,
        post,
        reliability=case["reliability"],
        reliability_post=case["reliability_post"],
        significance=case["significance"],
        moments=moments,
    )
    assert found.method == case["method"]
    assert found.critical == pytest.approx(case["critical"], **close)
    for index, reference in zip(found.rci[places], case["rci"], strict=True):
        if reference is None:  # the package divides by 0: we say infinite, or 0 for no change
            assert math.isinf(index) or index == 0
        else:
            assert index == pytest.approx(reference, **close)
    category = change_category(pre, post, found.rci, higher_is=case["higher_is"], critical=found.critical)
    # The package has no category for 0/0; a person who did not change is unchanged to us.
    assert letters(category, places) == case["categories"].replace("-", "U")
    everyone = set(range(len(pre)))
    assert all(category[place] is None for place in everyone - set(places))


@pytest.mark.parametrize("case", of_part("distribution"))
def test_standard_errors_equal_the_reference(case: dict[str, Any]) -> None:
    sd, r = case["moments"]["sd_pre"], case["reliability"]
    if "s_diff" in case:
        assert standard_error_of_difference(sd, r) == pytest.approx(case["s_diff"], **close)
    if "se_measurement" in case:
        assert standard_error_of_measurement(sd, r) == pytest.approx(case["se_measurement"], **close)
    if "r_dd" in case:
        moments = sample_moments(*people(case)[:2])
        assert moments.correlation is not None
        found = reliability_of_difference(
            reliability=r, sd_pre=moments.sd_pre, sd_post=moments.sd_post, correlation=moments.correlation
        )
        assert found == pytest.approx(case["r_dd"], **close)


@pytest.mark.parametrize("case", of_part("combined"))
def test_category_with_a_cutoff_equals_the_reference(case: dict[str, Any]) -> None:
    pre, post, places = people(case)
    found = change_index(
        case["method"],
        pre,
        post,
        reliability=case["reliability"],
        reliability_post=case["reliability_post"],
        significance=case["significance"],
        moments=sample_moments(pre, post),
    )
    category = change_category(
        pre, post, found.rci, higher_is=case["higher_is"], critical=found.critical, cutoff=case["cutoff"]
    )
    assert letters(category, places) == case["categories"].replace("-", "U")


def test_every_method_has_reference_values() -> None:
    assert {case["method"] for case in GOLDEN["cases"] if case["part"] == "distribution"} == set(METHODS)


def test_all_five_categories_occur_in_the_reference() -> None:
    assert set("".join(case["categories"] for case in GOLDEN["cases"] if case["part"] == "combined")) >= set("RIUD")


SAMPLE = Moments(n=50, mean_pre=20.0, sd_pre=5.0, mean_post=16.0, sd_post=6.0, correlation=0.5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("reliability", "words"), [(-0.1, "reliability"), (1.1, "reliability"), (math.nan, "reliability")]
)
def test_a_reliability_out_of_range_is_refused(method: Any, reliability: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        change_index(method, [1], [2], reliability=reliability, moments=SAMPLE)


@pytest.mark.parametrize("method", METHODS)
def test_infinite_scores_are_refused(method: Any) -> None:
    with pytest.raises(ValueError, match="pre must be finite"):
        change_index(method, [math.inf], [2], reliability=0.8, moments=SAMPLE)


@pytest.mark.parametrize("method", METHODS)
def test_without_spread_before_there_is_no_index(method: Any) -> None:
    flat = Moments(n=50, mean_pre=20, sd_pre=0, mean_post=16, sd_post=6, correlation=0.5)
    with pytest.raises(NotComputable, match=r"standard deviation is 0|sd_pre is 0") as caught:
        change_index(method, [1], [2], reliability=0.8, moments=flat)
    assert caught.value.reason == "no-spread"


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_score_gives_a_missing_index(method: Any) -> None:
    for reliability in (0.8, 1.0):
        found = change_index(method, [math.nan, 20, 20], [10, math.nan, 10], reliability=reliability, moments=SAMPLE)
        assert np.isnan(found.rci).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda mean: gulliksen_lord_novick([1], [2], reliability=0.8, mean_pre=mean, sd_pre=5),
        lambda mean: hsu_linn_nord([1], [2], reliability=0.8, mean_pre=mean, sd_pre=5, mean_post=16),
        lambda mean: edwards_nunnally([1], [2], reliability=0.8, mean_pre=mean, sd_pre=5),
        lambda mean: nunnally_kotsch([1], [2], reliability=0.8, mean_pre=mean, sd_pre=5),
        lambda mean: hageman_arrindell(
            [1], [2], reliability=0.8, mean_pre=mean, sd_pre=5, mean_post=16, sd_post=5, correlation=0.5
        ),
    ],
)
@pytest.mark.parametrize("mean", [math.nan, math.inf])
def test_a_mean_must_be_finite(call: Any, mean: float) -> None:
    with pytest.raises(ValueError, match="mean_pre must be a finite number"):
        call(mean)


@pytest.mark.parametrize("mean", [math.nan, -math.inf])
def test_the_later_mean_must_be_finite(mean: float) -> None:
    with pytest.raises(ValueError, match="mean_post must be a finite number"):
        hsu_linn_nord([1], [2], reliability=0.8, mean_pre=20, sd_pre=5, mean_post=mean)
    with pytest.raises(ValueError, match="mean_post must be a finite number"):
        hageman_arrindell([1], [2], reliability=0.8, mean_pre=20, sd_pre=5, mean_post=mean, sd_post=5, correlation=0.5)


def test_the_later_reliability_is_the_first_one_unless_given() -> None:
    common = {"reliability": 0.8, "mean_pre": 20.0, "sd_pre": 5.0}
    alone = nunnally_kotsch([20], [10], **common)
    np.testing.assert_array_equal(alone, nunnally_kotsch([20], [10], reliability_post=0.8, **common))
    assert abs(nunnally_kotsch([20], [10], reliability_post=0.9, **common)[0]) > abs(alone[0])
    with pytest.raises(ValueError, match="reliability_post must be in"):
        nunnally_kotsch([20], [10], reliability_post=1.2, **common)


def test_differences_that_vary_less_than_error_have_no_index() -> None:
    noisy = Moments(n=50, mean_pre=20, sd_pre=5, mean_post=16, sd_post=5, correlation=0.9)
    with pytest.raises(NotComputable, match="no more than measurement error") as caught:
        change_index("hageman-arrindell", [1], [2], reliability=0.8, moments=noisy)
    assert caught.value.reason == "difference-unreliable"


def test_a_reliability_of_the_difference_of_exactly_zero_is_not_one() -> None:
    # All exact in binary: SEM 1, so error alone gives differences a variance of 2; theirs is 4 + 4 - 8 * 0.75 = 2.
    with pytest.raises(NotComputable, match="no more than measurement error"):
        reliability_of_difference(reliability=0.75, sd_pre=2, sd_post=2, correlation=0.75)


@pytest.mark.parametrize("sd", [5.0, 0.1])
def test_differences_that_do_not_vary_have_no_index(sd: float) -> None:
    with pytest.raises(NotComputable, match="do not vary") as caught:
        reliability_of_difference(reliability=0.8, sd_pre=sd, sd_post=sd, correlation=1.0)
    assert caught.value.reason == "no-spread"


def test_without_spread_afterwards_hageman_and_arrindell_have_no_index() -> None:
    with pytest.raises(NotComputable, match="sd_post is 0"):
        reliability_of_difference(reliability=0.8, sd_pre=5, sd_post=0, correlation=0.5)
    flat = sample_moments([10, 20, 30], [7, 7, 7])
    assert flat.correlation is None
    with pytest.raises(NotComputable, match="do not vary") as caught:
        change_index("hageman-arrindell", [10], [7], reliability=0.8, moments=flat)
    assert caught.value.reason == "no-correlation"


@pytest.mark.parametrize("correlation", [-1.01, 1.01, math.nan])
def test_a_correlation_out_of_range_is_refused(correlation: float) -> None:
    with pytest.raises(ValueError, match=r"correlation must be in \[-1, 1\]"):
        reliability_of_difference(reliability=0.8, sd_pre=5, sd_post=5, correlation=correlation)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"one of jacobson-truax, .*hageman-arrindell, got 'jt'"):
        change_index("jt", [1], [2], reliability=0.8, moments=SAMPLE)  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize("pre", [[], [1], [1, math.nan]])
def test_moments_need_two_pairs(pre: list[float]) -> None:
    with pytest.raises(NotComputable, match="two complete pairs") as caught:
        sample_moments(pre, [2] * len(pre))
    assert caught.value.reason == "too-few-pairs"


def test_moments_of_two_pairs() -> None:
    found = sample_moments([1, 3], [5, 1])
    assert astuple(found) == pytest.approx((2, 2.0, math.sqrt(2), 3.0, math.sqrt(8), -1.0), abs=1e-12)


def test_a_correlation_stays_in_range_whatever_rounding_does() -> None:
    values = np.array([0.1, 0.7, 1.3000000000000003, 2.9])
    for factor in (1e-3, 0.1, 0.3, 7.7, 1e5):
        assert sample_moments(values, factor * values).correlation == pytest.approx(1.0, abs=1e-12)
        assert -1 <= (sample_moments(values, -factor * values).correlation or 0) <= 1


@pytest.mark.parametrize(("method", "mean_post"), [("edwards-nunnally", 16.0), ("hsu-linn-nord", 20.1)])
def test_without_error_rounding_is_no_change(method: Any, mean_post: float) -> None:
    # (0.3 - 20.1) + 20.1 is not 0.3 in binary: a naive quotient would be infinite.
    moments = Moments(n=9, mean_pre=20.1, sd_pre=5, mean_post=mean_post, sd_post=5, correlation=0.5)
    found = change_index(method, [0.3, 0.7], [0.3, 0.8], reliability=1.0, moments=moments)
    assert found.rci.tolist() == [0.0, math.inf]


def differences_are_reliable(pre: Any, post: Any, r: float) -> bool:
    """Whether R_dd is clearly above 0, by its meaning: differences vary more than twice the error variance."""
    return bool(np.var(post - pre, ddof=1) > 2.001 * np.var(pre, ddof=1) * (1 - r) + 1e-6)


scores_ = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=20)


@given(scores_, st.sampled_from(METHODS), st.floats(0.3, 0.99))
def test_turning_the_scale_over_turns_every_index(pairs: list[tuple[int, int]], method: Any, r: float) -> None:
    pre, post = np.array(pairs, float).T
    assume(pre.std() > 0 and post.std() > 0)
    assume(method != "hageman-arrindell" or differences_are_reliable(pre, post, r))
    found = change_index(method, pre, post, reliability=r, moments=sample_moments(pre, post))
    turned = change_index(method, -pre, -post, reliability=r, moments=sample_moments(-pre, -post))
    np.testing.assert_allclose(found.rci, -turned.rci, rtol=1e-9, atol=1e-9)
    assert found.critical == turned.critical


@given(scores_, st.floats(0, 1))
def test_with_equal_moments_hsu_and_gulliksen_agree(pairs: list[tuple[int, int]], r: float) -> None:
    pre, post = np.array(pairs, float).T
    np.testing.assert_array_equal(
        gulliksen_lord_novick(pre, post, reliability=r, mean_pre=20, sd_pre=5),
        hsu_linn_nord(pre, post, reliability=r, mean_pre=20, sd_pre=5, mean_post=20),
    )


def test_what_counts_as_no_variation_does_not_depend_on_the_unit() -> None:
    for unit in (1e-13, 1e-7, 1e-3, 1.0, 1e6, 1e13):
        found = reliability_of_difference(reliability=0.9, sd_pre=5 * unit, sd_post=6 * unit, correlation=0.5)
        assert found == pytest.approx(26 / 31)
        with pytest.raises(NotComputable) as caught:
            reliability_of_difference(reliability=0.9, sd_pre=5 * unit, sd_post=5 * unit, correlation=1 - 1e-14)
        assert caught.value.reason == "no-spread"


def test_correlations_at_their_ends_are_allowed() -> None:
    assert reliability_of_difference(reliability=1.0, sd_pre=1, sd_post=2, correlation=-1.0) == 1.0
    assert reliability_of_difference(reliability=1.0, sd_pre=1, sd_post=2, correlation=1.0) == 1.0


def test_rounding_grows_with_the_scores() -> None:
    found = edwards_nunnally([1e6 + 0.3], [1e6 + 0.3], reliability=1.0, mean_pre=333333.1, sd_pre=5)
    assert found.tolist() == [0.0]
