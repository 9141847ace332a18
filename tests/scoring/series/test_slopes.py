"""Slopes over time: reference values of scipy, R and pymannkendall, edge cases, and laws."""

from __future__ import annotations

import json
import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.cutoffs import NotComputable
from scoring.series.slopes import EXACT_UP_TO, MOST, Kendall, Series, kendall, least_squares, theil_sen

GOLDEN = json.loads((Path(__file__).parents[2] / "golden_statistics" / "slopes.json").read_text())
NEAR = GOLDEN["tolerance"]
named = pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])


def series(case: dict[str, Any]) -> Series:
    return Series(case["t"], [math.nan if value is None else value for value in case["y"]])


class TestReferences:
    @named
    def test_theil_sen(self, case: dict[str, Any]) -> None:
        found, expected = series(case).theil_sen(), case["expected"]["theil_sen"]
        assert found.slope == pytest.approx(expected["slope"], abs=NEAR)
        assert [found.low, found.high] == pytest.approx(expected["interval"], abs=NEAR)
        assert found.intercept == pytest.approx(expected["intercept_joint"], abs=NEAR)
        assert series(case).intercept_of_medians(found.slope) == pytest.approx(expected["intercept_separate"], abs=NEAR)

    @pytest.mark.parametrize(
        "case", [case for case in GOLDEN["cases"] if "least_squares" in case["expected"]], ids=lambda case: case["id"]
    )
    def test_least_squares(self, case: dict[str, Any]) -> None:
        found, expected = series(case).least_squares(), case["expected"]["least_squares"]
        for member in ("slope", "intercept", "residual_sd"):
            assert getattr(found, member) == pytest.approx(expected[member], abs=NEAR)
        assert found.standard_error == pytest.approx(expected["se_slope"], abs=NEAR)
        assert [found.low, found.high] == pytest.approx(expected["slope_ci95"], abs=NEAR)
        assert found.r_squared == (None if expected["r2"] is None else pytest.approx(expected["r2"], abs=NEAR))
        ahead, there = expected["predict_next"], found.predict(expected["predict_next"]["t"])
        assert there is not None
        assert [there.value, there.low, there.high] == pytest.approx(
            [ahead["fit"], ahead["lower95"], ahead["upper95"]], abs=NEAR
        )

    @pytest.mark.parametrize(
        "case", [case for case in GOLDEN["cases"] if "kendall_scipy" in case["expected"]], ids=lambda case: case["id"]
    )
    def test_kendall(self, case: dict[str, Any]) -> None:
        found, expected = series(case).kendall(), case["expected"]["kendall_scipy"]
        assert found.tau_b == (None if expected["tau"] is None else pytest.approx(expected["tau"], abs=NEAR))
        if expected["p"] is not None:
            # scipy's p is exact without ties and as few as here, else normal without correction for continuity
            plain = math.erfc(abs(found.s) / math.sqrt(2 * found.variance))
            exact = found.p_method == "exact"
            assert (found.p_value if exact else plain) == pytest.approx(expected["p"], abs=NEAR)
        if (other := case["expected"].get("mann_kendall")) is not None:
            assert [found.s, found.variance, found.z] == pytest.approx([other["s"], other["var_s"], other["z"]])
            corrected = math.erfc(abs(found.z) / math.sqrt(2))
            assert corrected == pytest.approx(other["p"], abs=NEAR)
            assert found.p_method == "exact" or found.p_value == pytest.approx(other["p"], abs=NEAR)


class TestByHand:
    def test_the_exact_p_counts_orders(self) -> None:
        # of the 24 orders of four values, S is 6 in one and -6 in one: 2 / 24; at least 4 either way in 8 of them
        assert kendall([0, 1, 2, 3], [1, 2, 3, 4]).p_value == pytest.approx(2 / 24)
        assert kendall([0, 1, 2, 3], [1, 2, 4, 3]).p_value == pytest.approx(8 / 24)

    @pytest.mark.parametrize("n", [2, 3, 5, 6])
    def test_the_exact_p_by_going_through_all_orders(self, n: int) -> None:
        every = [kendall(range(n), order) for order in permutations(range(n))]
        for found in every[:: max(1, len(every) // 40)]:
            as_far = sum(abs(other.s) >= abs(found.s) for other in every)
            assert found.p_value == pytest.approx(as_far / len(every))

    def test_beyond_some_length_the_normal_approximation(self) -> None:
        n = EXACT_UP_TO
        order = [(7 * k) % (n + 1) for k in range(n + 1)]
        assert kendall(range(n), order[:n]).p_method == "exact"
        longer = kendall(range(n + 1), order)
        assert (longer.p_method, longer.variance) == ("normal", (n + 1) * n * (2 * n + 7) / 18)

    def test_real_dates_count(self) -> None:
        """Two answers of one moment are neither a rise nor a fall, whatever their order."""
        found = kendall([0, 1, 1, 2, 3], [9, 8, 6, 6, 5])
        # ten pairs: one at one time, one of equal scores, eight that fall; ties (1,1) and (6,6):
        # (5 * 4 * 15 - 18 - 18) / 18 + 2 * 2 / (2 * 5 * 4) = 14.666667 + 0.1
        assert found.s == -8
        assert found.variance == pytest.approx(14.766666667)
        assert found.tau_b == pytest.approx(-8 / 9)
        assert theil_sen([0, 1, 1, 2, 3], [9, 8, 6, 6, 5]).pairs == 9

    def test_unequal_distances_count(self) -> None:
        # slopes: 10/1, 12/10, 2/9: the median is 1.2
        assert theil_sen([0, 1, 10], [0, 10, 12]).slope == pytest.approx(1.2)

    def test_an_outlier_moves_one_and_not_the_other(self) -> None:
        t, y = np.arange(9.0), np.arange(9.0)
        y[4] = 100
        assert theil_sen(t, y).slope == 1
        assert (least_squares(t, y).residual_sd or 0) > 30

    def test_two_measurements_have_a_slope_and_no_error(self) -> None:
        line = least_squares([0, 7], [20, 13])
        assert (line.slope, line.intercept) == (-1, 20)
        assert (line.standard_error, line.low, line.high, line.residual_sd) == (None,) * 4
        assert line.predict(8) is None
        robust = theil_sen([0, 7], [20, 13])
        assert (robust.slope, robust.low, robust.high, robust.level_reached) == (-1, -1, -1, False)
        assert kendall([0, 7], [20, 13]).p_value == 1

    def test_few_pairs_do_not_reach_the_level(self) -> None:
        assert not theil_sen([0, 1, 2], [10, 7, 8]).level_reached
        assert theil_sen(range(8), [9, 7, 8, 6, 5, 5, 3, 2]).level_reached

    def test_constant_scores(self) -> None:
        line, robust, test = (found([0, 1, 2, 3], [5, 5, 5, 5]) for found in (least_squares, theil_sen, kendall))
        assert isinstance(test, Kendall)
        assert (line.slope, line.low, line.high, line.r_squared) == (0, 0, 0, None)  # type: ignore[union-attr]  # the first
        assert (robust.slope, robust.low, robust.high) == (0, 0, 0)  # type: ignore[union-attr]  # the second
        assert (test.tau_b, test.z, test.p_value) == (None, 0, 1)

    def test_all_pairs_tied_in_both_ways(self) -> None:
        """Three at each of two times, all of one score at each: the terms of ties in both."""
        t, y = [0, 0, 0, 1, 1, 1], [4, 4, 4, 4, 4, 2]
        found = kendall(t, y)
        reference: Any = stats.kendalltau(np.array(t), np.array(y), method="asymptotic")
        assert found.tau_b == pytest.approx(reference.statistic)
        assert math.erfc(abs(found.s) / math.sqrt(2 * found.variance)) == pytest.approx(reference.pvalue)

    def test_sens_interval_with_ties_in_both(self) -> None:
        """The variance of S is that of all permutations, where the formula without the joint terms is below 0."""
        t, y = [0, 0, 1], [0, 0, 1]
        of_orders = [kendall(t, order).s for order in permutations(y)]
        assert kendall(t, y).variance == pytest.approx(sum(s * s for s in of_orders) / len(of_orders))
        assert theil_sen(t, y).slope == 1

    def test_equal_scores_are_equal_in_binary_too(self) -> None:
        assert kendall([0, 1, 2], [0.1 + 0.2, 0.3, 0.2]).s == -2

    def test_wider_with_more_confidence(self) -> None:
        case = series(GOLDEN["cases"][0])
        assert case.least_squares(0.99).low < case.least_squares(0.9).low  # type: ignore[operator]  # ten measurements
        assert case.theil_sen(0.99).low < case.theil_sen(0.8).low


class TestRefused:
    @pytest.mark.parametrize("name", ["least_squares", "theil_sen", "kendall"])
    @pytest.mark.parametrize(
        ("t", "y", "reason"),
        [
            ([], [], "too-few"),
            ([0], [1], "too-few"),
            ([0, 1], [math.nan, 1], "too-few"),
            ([3, 3, 3], [1, 2, 3], "one-time"),
        ],
    )
    def test_no_slope(self, name: str, t: list[float], y: list[float], reason: str) -> None:
        with pytest.raises(NotComputable) as caught:
            getattr(Series(t, y), name)()
        assert caught.value.reason == reason

    @pytest.mark.parametrize("name", ["theil_sen", "kendall"])
    def test_too_many_to_compare_in_pairs(self, name: str) -> None:
        long = Series(range(MOST + 1), range(MOST + 1))
        with pytest.raises(NotComputable) as caught:
            getattr(long, name)()
        assert caught.value.reason == "too-many"
        assert long.least_squares().slope == pytest.approx(1)
        assert Series(range(MOST), range(MOST)).theil_sen().slope == 1

    @pytest.mark.parametrize(
        ("t", "y", "words"),
        [
            ([0, 1], [1], "one length"),
            ([[0, 1]], [[1, 2]], "one length"),
            ([0, math.nan], [1, 2], "times must be finite"),
            ([0, math.inf], [1, 2], "times must be finite"),
            ([0, 1], [1, math.inf], "finite scores"),
        ],
    )
    def test_bad_input(self, t: Any, y: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Series(t, y)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan, -1])
    @pytest.mark.parametrize("find", [least_squares, theil_sen])
    def test_bad_confidence(self, find: Any, confidence: float) -> None:
        with pytest.raises(ValueError, match="confidence"):
            find([0, 1, 2], [1, 2, 4], confidence=confidence)


days = st.lists(st.integers(0, 400), min_size=2, max_size=25).filter(lambda found: min(found) < max(found))
scored = days.flatmap(lambda t: st.tuples(st.just(t), st.lists(st.integers(0, 60), min_size=len(t), max_size=len(t))))


@settings(max_examples=40)
@given(scored)
def test_scipy_agrees_whatever_the_series(given_: tuple[list[int], list[int]]) -> None:
    t, y = given_
    if len(set(t)) == len(t) or len(set(y)) == len(y):  # with ties in both it has another variance, which can be < 0
        robust = theil_sen(t, y)
        reference: Any = stats.theilslopes(np.array(y, float), np.array(t, float), method="joint")  # type: ignore[call-overload]  # a literal
        assert robust.slope == pytest.approx(reference.slope, abs=1e-9)
        assert robust.intercept == pytest.approx(reference.intercept, abs=1e-9)
        assert (robust.low, robust.high) == pytest.approx((reference.low_slope, reference.high_slope), abs=1e-9)
    if len(set(y)) > 1:
        found = kendall(t, y)
        method = "exact" if found.p_method == "exact" else "asymptotic"
        other: Any = stats.kendalltau(np.array(t), np.array(y), method=method)  # type: ignore[call-overload]  # a literal
        assert found.tau_b == pytest.approx(other.statistic)
        if found.p_method == "exact":
            assert found.p_value == pytest.approx(other.pvalue)
        elif found.variance:
            assert math.erfc(abs(found.s) / math.sqrt(2 * found.variance)) == pytest.approx(other.pvalue)


@given(scored, st.integers(-50, 50), st.integers(1, 9))
def test_order_origin_and_unit(given_: tuple[list[int], list[int]], origin: int, unit: int) -> None:
    """Neither the order of the measurements nor where time begins matters; slopes go with the unit of time."""
    t, y = given_
    turned = Series([(at - origin) / unit for at in reversed(t)], [*reversed(y)])
    plain = Series(t, y)
    assert turned.least_squares().slope == pytest.approx(plain.least_squares().slope * unit, abs=1e-7)
    assert turned.theil_sen().slope == pytest.approx(plain.theil_sen().slope * unit, abs=1e-7)
    assert turned.kendall().s == plain.kendall().s
    at = (t[0] - origin) / unit
    assert turned.least_squares().intercept + turned.least_squares().slope * at == pytest.approx(
        plain.least_squares().intercept + plain.least_squares().slope * t[0], abs=1e-6
    )


@given(scored)
def test_turned_upside_down(given_: tuple[list[int], list[int]]) -> None:
    t, y = given_
    up, down = Series(t, y), Series(t, [-value for value in y])
    assert (up.theil_sen().low, up.theil_sen().high) == pytest.approx((-down.theil_sen().high, -down.theil_sen().low))
    assert (up.kendall().s, up.kendall().p_value) == (-down.kendall().s, down.kendall().p_value)
