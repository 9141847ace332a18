"""Measurement error, reliable change and categories: published values, laws, edges and refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.change import (
    ChangeCategory,
    change_category,
    confidence_of_change,
    critical_value,
    minimal_detectable_change,
    reliable_change_index,
    reliable_change_threshold,
    standard_error_of_difference,
    standard_error_of_measurement,
)
from scoring.cutoffs import NotComputable

GOLDEN = Path(__file__).parents[1] / "golden_statistics"
ERRORS = json.loads((GOLDEN / "measurement_error.json").read_text())
CUTOFFS = json.loads((GOLDEN / "cutoffs.json").read_text())
points = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 2))


@pytest.mark.parametrize("case", ERRORS["cases"], ids=lambda c: f"sd{c['sd']}-r{c['reliability']}")
def test_measurement_error_equals_the_reference(case: dict[str, float]) -> None:
    sd, r = case["sd"], case["reliability"]
    close = lambda expected: pytest.approx(expected, abs=ERRORS["tolerance"])  # noqa: E731 - one line says it
    assert standard_error_of_measurement(sd, r) == close(case["sem"])
    assert standard_error_of_difference(sd, r) == close(case["s_diff"])
    assert minimal_detectable_change(sd, r, confidence=0.90) == close(case["mdc90"])
    assert minimal_detectable_change(sd, r) == close(case["mdc95"])
    assert minimal_detectable_change(sd, r, n=25) == close(case["mdc95_group_n25"])
    assert reliable_change_threshold(sd, r) == close(case["mdc95"])


@pytest.mark.parametrize("case", CUTOFFS["cases"], ids=lambda c: c["id"])
def test_raw_threshold_equals_a_second_package(case: dict[str, Any]) -> None:
    sd, r, expected = case["sd_clinical"], case["reliability"], case["CECPfuns"]
    tolerance = CUTOFFS["tolerance"]
    assert reliable_change_threshold(sd, r) == pytest.approx(expected["rci_raw_95"], abs=tolerance)
    assert reliable_change_threshold(sd, r, significance=0.10) == pytest.approx(expected["rci_raw_90"], abs=tolerance)


def test_critical_values_are_quantiles_and_not_rounded() -> None:
    assert critical_value() == pytest.approx(1.959963984540054, abs=1e-12)
    assert critical_value(0.05, one_sided=True) == pytest.approx(1.6448536269514722, abs=1e-12)


@pytest.mark.parametrize("significance", [0, 1, -0.1, 1.5, math.nan])
def test_a_significance_out_of_range_is_refused(significance: float) -> None:
    with pytest.raises(ValueError, match="significance must be between 0 and 1"):
        critical_value(significance)


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 1.5, math.nan])
def test_a_confidence_out_of_range_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        minimal_detectable_change(5, 0.8, confidence=confidence)


def test_the_mean_of_nobody_has_no_detectable_change() -> None:
    with pytest.raises(ValueError, match="n must be >= 1, got 0"):
        minimal_detectable_change(5, 0.8, n=0)


@pytest.mark.parametrize("function", [standard_error_of_measurement, standard_error_of_difference])
@pytest.mark.parametrize(
    ("sd", "reliability", "words"),
    [
        (-1, 0.8, "sd must be >= 0"),
        (math.nan, 0.8, "sd must be >= 0"),
        (math.inf, 0.8, "sd must be >= 0 and finite"),
        (5, -0.01, r"reliability must be in \[0, 1\]"),
        (5, 1.01, r"reliability must be in \[0, 1\]"),
        (5, math.nan, r"reliability must be in \[0, 1\]"),
    ],
)
def test_bad_parameters_are_refused(function: Any, sd: float, reliability: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        function(sd, reliability)
    with pytest.raises(ValueError, match=words):
        reliable_change_index([1], [2], sd=sd, reliability=reliability)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e101])
def test_infinite_scores_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="pre must be finite"):
        reliable_change_index([bad], [2], sd=5, reliability=0.8)
    with pytest.raises(ValueError, match="post must be finite"):
        reliable_change_index([2], [bad], sd=5, reliability=0.8)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        reliable_change_index([1, 2], [1, 2, 3], sd=5, reliability=0.8)


def test_without_spread_there_is_no_index() -> None:
    with pytest.raises(NotComputable, match="standard deviation is 0") as caught:
        reliable_change_index([1], [2], sd=0, reliability=0.8)
    assert caught.value.reason == "no-spread"


def test_without_error_any_change_is_reliable_and_none_is_none() -> None:
    rci = reliable_change_index([1, 5, 3, math.nan], [2, 4, 3, 3], sd=5, reliability=1)
    np.testing.assert_array_equal(rci, [math.inf, -math.inf, 0, math.nan])
    found = change_category([1, 5, 3, math.nan], [2, 4, 3, 3], rci, higher_is="better", critical=1.96)
    assert found.tolist() == ["improved", "deteriorated", "unchanged", None]


def test_a_missing_score_gives_a_missing_index_and_no_category() -> None:
    pre, post = [math.nan, 10, 10], [5, math.nan, 5]
    rci = reliable_change_index(pre, post, sd=2, reliability=0.9)
    assert np.isnan(rci).tolist() == [True, True, False]
    found = change_category(pre, post, rci, higher_is="worse", critical=1.96, cutoff=8)
    assert found.tolist() == [None, None, "recovered"]


@pytest.mark.parametrize(("pre", "post", "rci"), [(math.nan, 5, -3), (9, math.nan, -3), (9, 5, math.nan)])
def test_whatever_is_missing_there_is_no_category(pre: float, post: float, rci: float) -> None:
    assert change_category([pre], [post], [rci], higher_is="worse", critical=1.96, cutoff=8).tolist() == [None]


@pytest.mark.parametrize(
    ("pre", "post", "rci", "category"),
    [
        (20, 8, -2.0, "recovered"),
        (20, 10, -2.0, "improved"),  # ends on the cutoff: not functional
        (10, 8, -2.0, "improved"),  # began on the cutoff: not clinical
        (20, 8, -1.96, "unchanged"),  # exactly at the critical value
        (8, 20, 1.96, "unchanged"),
        (8, 20, 2.0, "harmed"),
        (10, 20, 2.0, "harmed"),
        (8, 10, 2.0, "harmed"),
        (8, 9, 2.0, "deteriorated"),
        (12, 20, 2.0, "deteriorated"),
        (20, 8, 0.0, "unchanged"),  # crossed, but not reliably
        (8, 20, 0.0, "unchanged"),
    ],
)
def test_the_category_is_strict_both_ways(pre: float, post: float, rci: float, category: str) -> None:
    found = change_category([pre], [post], [rci], higher_is="worse", critical=1.96, cutoff=10)
    assert found.tolist() == [category]
    mirrored = change_category([-pre], [-post], [-rci], higher_is="better", critical=1.96, cutoff=-10)
    assert mirrored.tolist() == [category]


@pytest.mark.parametrize(
    ("on_cutoff", "pre", "post", "rci", "category"),
    [
        ("clinical", 10, 5, -2, "recovered"),
        ("clinical", 15, 10, -2, "improved"),
        ("clinical", 10, 15, 2, "deteriorated"),
        ("clinical", 5, 10, 2, "harmed"),
        ("functional", 10, 5, -2, "improved"),
        ("functional", 15, 10, -2, "recovered"),
        ("functional", 10, 15, 2, "harmed"),
        ("functional", 5, 10, 2, "deteriorated"),
    ],
)
def test_a_published_rule_says_which_side_the_cutoff_is_on(
    on_cutoff: Any, pre: float, post: float, rci: float, category: str
) -> None:
    found = change_category([pre], [post], [rci], higher_is="worse", critical=1.96, cutoff=10, on_cutoff=on_cutoff)
    assert found.tolist() == [category]


def test_without_a_cutoff_the_category_rests_on_the_change_alone() -> None:
    found = change_category([20, 20, 20], [8, 32, 20], [-3, 3, 0], higher_is="worse", critical=1.96)
    assert found.tolist() == ["improved", "deteriorated", "unchanged"]
    assert all(isinstance(category, ChangeCategory) for category in found)


@pytest.mark.parametrize("critical", [0, -1, math.inf, math.nan])
def test_a_critical_value_must_be_positive(critical: float) -> None:
    with pytest.raises(ValueError, match="critical must be > 0"):
        change_category([1], [2], [3], higher_is="worse", critical=critical)


def test_a_direction_must_be_named() -> None:
    with pytest.raises(ValueError, match="'better' or 'worse', got 'lower'"):
        change_category([1], [2], [3], higher_is="lower", critical=1.96)  # type: ignore[arg-type] # that is the point


def test_confidence_of_a_change() -> None:
    found = confidence_of_change([0.0, 1.959963984540054, -1.959963984540054, math.inf, math.nan])
    np.testing.assert_allclose(found.p_value, [1, 0.05, 0.05, 0, math.nan], atol=1e-12)
    np.testing.assert_allclose(found.probability, [0.5, 0.975, 0.975, 1, math.nan], atol=1e-12)


sds, reliabilities = st.floats(0.1, 50), st.floats(0, 1)


@given(st.lists(st.tuples(points, points), min_size=1), sds, reliabilities)
def test_swapping_the_occasions_turns_the_sign(pairs: list[tuple[float, float]], sd: float, r: float) -> None:
    pre, post = np.array(pairs).T
    there = reliable_change_index(pre, post, sd=sd, reliability=r)
    back = reliable_change_index(post, pre, sd=sd, reliability=r)
    np.testing.assert_array_equal(there, -back)


@given(points, points, sds, reliabilities)
def test_the_index_exceeds_its_critical_value_where_the_change_exceeds_the_threshold(
    pre: float, post: float, sd: float, r: float
) -> None:
    threshold, change = reliable_change_threshold(sd, r), abs(post - pre)
    if not math.isclose(threshold, change, rel_tol=1e-9):
        (rci,) = np.abs(reliable_change_index([pre], [post], sd=sd, reliability=r))
        assert (rci > critical_value()) == (change > threshold)


@given(st.lists(st.tuples(points, points), min_size=1), st.one_of(st.none(), points), sds, reliabilities, st.data())
def test_turning_the_scale_over_changes_no_category(
    pairs: list[tuple[float, float]], cutoff: float | None, sd: float, r: float, data: st.DataObject
) -> None:
    on_cutoff = data.draw(st.sampled_from(["neither", "clinical", "functional"]))
    pre, post = np.array(pairs).T
    rci = reliable_change_index(pre, post, sd=sd, reliability=r)
    found = change_category(pre, post, rci, higher_is="better", critical=1.96, cutoff=cutoff, on_cutoff=on_cutoff)
    turned = change_category(
        -pre,
        -post,
        -rci,
        higher_is="worse",
        critical=1.96,
        cutoff=None if cutoff is None else -cutoff,
        on_cutoff=on_cutoff,
    )
    assert found.tolist() == turned.tolist()
    assert None not in found.tolist()


def test_a_fine_scale_has_a_finite_index() -> None:
    # A standard error below 1 point, even far below, is still an error.
    for sd in (0.5, 1e-3, 1e-9):
        assert reliable_change_index([0.0], [sd], sd=sd, reliability=0.5).tolist() == pytest.approx([1.0])


def test_none_is_a_missing_score() -> None:
    rci = reliable_change_index([None, 20], [5, 10], sd=5, reliability=0.8)  # type: ignore[list-item] # from a database
    assert np.isnan(rci).tolist() == [True, False]
    found = change_category([1, 2], [1, 2], [None, 0], higher_is="better", critical=1.96)  # type: ignore[list-item] # so too
    assert found.tolist() == [None, "unchanged"]
    assert np.isnan(confidence_of_change([None, 0]).probability).tolist() == [True, False]  # type: ignore[list-item] # so too


def test_a_lenient_criterion_is_allowed() -> None:
    found = change_category([1, 1], [2, 2], [0.7, 0.6], higher_is="better", critical=critical_value(0.5))
    assert found.tolist() == ["improved", "unchanged"]
