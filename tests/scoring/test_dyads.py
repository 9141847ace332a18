"""Two people on one scale: reference values of R, edge cases, and laws."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scoring.cutoffs import NotComputable
from scoring.dyads.discrepancy import (
    agreement,
    mean_squares,
    paired_occasions,
    pairwise_icc,
    reliability_of_difference,
    shift,
    standard_error,
    standardised,
)
from scoring.dyads.partners import partners
from scoring.dyads.profiles import similarity
from scoring.groups.reliability import intraclass

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_statistics" / "dyadic.json").read_text())
NEAR, NEAR_ITERATIVE = GOLDEN["tolerance"], GOLDEN["tolerance_iterative"]


def profile(values: list[float | None] | None) -> list[float] | None:
    return None if values is None else [math.nan if value is None else value for value in values]


def near(value: float | list[float] | None, tolerance: float = NEAR) -> Any:
    return None if value is None else pytest.approx(value, abs=tolerance)


def near_all(*values: float) -> Any:
    return pytest.approx(values, abs=NEAR)


class TestReferences:
    @pytest.mark.parametrize("case", GOLDEN["profiles"], ids=lambda case: case["id"])
    def test_profiles(self, case: dict[str, Any]) -> None:
        given_, expected = case["input"], case["expected"]
        a, b = profile(given_["partner_a"]), profile(given_["partner_b"])
        assert a is not None
        assert b is not None
        found = similarity(a, b, norm_a=profile(given_["norm_profile_a"]), norm_b=profile(given_["norm_profile_b"]))
        assert found.n == expected["n_items"]
        assert found.pearson == near(expected["r_pearson"])
        assert found.spearman == near(expected["r_spearman"])
        assert found.double_entry == near(expected["r_double_entry_icc"])
        assert found.squared_distance == near(expected["d2_sum_squared_difference"])
        assert found.root_mean_square == near(expected["rms_difference"])
        assert found.mean_absolute == near(expected["mean_absolute_difference"])
        assert found.elevation_difference == near(expected["elevation_difference"])
        assert found.scatter_ratio == near(expected["scatter_ratio_sd"])
        assert found.distinctive == near(expected.get("distinctive_r_pearson"))

    @pytest.mark.parametrize("case", GOLDEN["samples"], ids=lambda case: case["id"])
    def test_partners(self, case: dict[str, Any]) -> None:
        a, b, expected = profile(case["input"]["a"]), profile(case["input"]["b"]), case["expected"]
        assert a is not None
        assert b is not None
        found = partners(a, b)
        assert (found.n, found.left_out) == (expected["n_dyads"], len(a) - expected["n_dyads"])
        assert found.pearson is not None
        told = expected["pearson_r_distinguishable"]
        assert [found.pearson.value, found.pearson.low, found.pearson.high] == near([told["r"], *told["ci95"]])
        assert found.pearson_p == near(told["p"])
        assert found.icc is not None
        told = expected["icc11_indistinguishable_psych"]
        assert [found.icc.value, found.icc.low, found.icc.high] == near([told["icc"], told["lower95"], told["upper95"]])
        assert found.f == near(told["F"])
        assert found.discrepancy.icc == near(told["icc"])
        assert found.discrepancy.double_entry == near(expected["icc_double_entry"])
        told, apart = expected["discrepancy"], found.discrepancy
        assert [apart.mean, apart.sd, apart.mean_absolute] == near([told["mean"], told["sd"], told["mean_absolute"]])
        assert [apart.low, apart.high] == near([told["bland_altman_lower"], told["bland_altman_upper"]])
        assert [found.t, found.p_value] == near([told["t"], told["p"]])
        assert list(found.standardised or ()) == near(told["standardized_d_each"])

    @pytest.mark.parametrize("case", GOLDEN["samples"], ids=lambda case: case["id"])
    def test_other_forms_of_the_icc(self, case: dict[str, Any]) -> None:
        a, b = profile(case["input"]["a"]), profile(case["input"]["b"])
        found = {one.form: one.value for one in intraclass(np.array([a, b]).T).iccs}
        assert found["(2,1)"] == near(case["expected"]["icc21_psych"], NEAR_ITERATIVE)
        assert found["(3,1)"] == near(case["expected"]["icc31_psych"], NEAR_ITERATIVE)
        assert found["(1,1)"] == near(pairwise_icc(a, b))  # type: ignore[arg-type]  # there are both


class TestProfiles:
    def test_parts_of_the_distance_by_hand(self) -> None:
        found = similarity([1, 3], [2, 8])
        # levels 2 and 5: 2 x 9 = 18; spreads sqrt(2) and sqrt(18): 8; both go up alike: nothing is left
        assert (found.squared_distance, found.elevation, found.scatter, found.shape) == near_all(26, 18, 8, 0)
        assert found.scatter_ratio == near(1 / 3)

    def test_flat_profiles(self) -> None:
        one, both = similarity([3, 3, 3], [1, 2, 3]), similarity([3, 3], [3, 3])
        assert (one.pearson, one.spearman, one.scatter_ratio) == (None, None, 0)
        assert similarity([1, 2, 3], [3, 3, 3]).scatter_ratio is None
        assert (both.double_entry, both.scatter_ratio, both.squared_distance) == (None, None, 0)
        assert one.double_entry == near(-3 / 7)

    def test_one_part(self) -> None:
        found = similarity([3], [5])
        assert (found.n, found.pearson, found.squared_distance, found.elevation) == (1, None, 4, 4)
        assert found.double_entry == -1

    def test_the_distinctive_is_what_is_left(self) -> None:
        usual = [1.1, 2.2, 3.3]
        assert similarity([2.1, 3.2, 4.3], [1, 2, 4], norm_a=usual, norm_b=usual).distinctive is None
        assert similarity([2.1, 2.2, 3.3], [5.1, 2.2, 3.3], norm_a=usual, norm_b=usual).distinctive == near(1)

    @pytest.mark.parametrize(
        ("a", "b", "norms", "words"),
        [
            ([1, 2], [1], {}, "one length"),
            ([[1]], [[1]], {}, "one length"),
            ([1, math.inf], [1, 2], {}, "finite"),
            ([1, 2], [1, 2], {"norm_a": [1, 2]}, "for both, or for neither"),
            ([1, 2], [1, 2], {"norm_b": [1, 2]}, "for both, or for neither"),
            ([1, 2], [1, 2], {"norm_a": [1], "norm_b": [1, 2]}, "has the parts"),
            ([1, 2], [1, 2], {"norm_a": [1, math.nan], "norm_b": [1, 2]}, "no gaps"),
        ],
    )
    def test_bad_input(self, a: Any, b: Any, norms: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            similarity(a, b, **norms)

    @pytest.mark.parametrize(("a", "b"), [([], []), ([1, math.nan], [math.nan, 2])])
    def test_nothing_in_common(self, a: Any, b: Any) -> None:
        with pytest.raises(NotComputable) as caught:
            similarity(a, b)
        assert caught.value.reason == "no-pairs"


class TestOccasions:
    def test_the_nearest_within_the_window(self) -> None:
        assert paired_occasions([0, 7, 30], [6, 33, 90], 14) == [(1, 0), (2, 1)]
        assert paired_occasions([0, 7], [21], 14) == [(1, 0)]
        assert paired_occasions([0, 7], [21.5], 14) == []
        assert paired_occasions([5], [5], 0) == [(0, 0)]
        assert paired_occasions([], [1], 14) == paired_occasions([1], [], 14) == []

    def test_never_crosswise(self) -> None:
        """The nearest pair, 10 and 9, stands; 0 would be as near to 11 as the window allows, but across it."""
        assert paired_occasions([0, 10], [9, 11], 14) == [(1, 0)]
        assert paired_occasions([9, 11], [0, 10], 14) == [(0, 1)]

    def test_of_equally_near_ones_the_earlier(self) -> None:
        assert paired_occasions([10], [8, 12], 14) == [(0, 0)]

    @pytest.mark.parametrize("window", [-1, math.nan])
    def test_no_window(self, window: float) -> None:
        with pytest.raises(ValueError, match="window"):
            paired_occasions([1], [1], window)


class TestDiscrepancy:
    def test_errors_add_up(self) -> None:
        assert standard_error(3, 4) == 5
        found = shift(10, 1, (3, 4))
        # -9 / (sqrt(2) x 5) = -1.2728; 2 (1 - Phi(1.2728)) = 0.2031
        assert (found.points, found.narrowed, found.reliable) == (-9, 9, False)
        assert found.index == near(-1.2727922061)
        assert found.p_value == near(0.2031, 1e-4)
        assert shift(10, -10, (3, 4)).narrowed == 0
        assert shift(10, -10, (3, 4)).reliable
        assert shift(0.3, 0.1 + 0.2, (3, 4)).points == 0

    @pytest.mark.parametrize("errors", [None, (0, 0)])
    def test_without_errors_there_is_no_index(self, errors: tuple[float, float] | None) -> None:
        found = shift(3, 5, errors)
        assert (found.points, found.narrowed, found.error, found.index, found.reliable) == (2, -2, None, None, None)

    def test_each_by_its_own_role(self) -> None:
        assert standardised(20, 12, norms=((15, 5), (12, 4))) == 1
        with pytest.raises(NotComputable) as caught:
            standardised(20, 12, norms=((15, 5), (12, 0)))
        assert caught.value.reason == "no-spread"

    def test_reliability_of_differences(self) -> None:
        assert reliability_of_difference(0.9, 0.8, 0.0) == near(0.85)
        assert reliability_of_difference(0.8, 0.8, 0.8) == near(0)
        with pytest.raises(NotComputable):
            reliability_of_difference(0.9, 0.9, 1)
        with pytest.raises(ValueError, match="correlation"):
            reliability_of_difference(0.9, 0.9, 1.1)
        with pytest.raises(ValueError, match="reliability"):
            reliability_of_difference(1.9, 0.9, 0)

    @pytest.mark.parametrize("sem", [-1, math.nan, math.inf])
    def test_errors_that_cannot_be(self, sem: float) -> None:
        with pytest.raises(ValueError, match="sem_first"):
            standard_error(sem, 1)


class TestAgreement:
    def test_by_hand(self) -> None:
        found = agreement([10, 12, 15], [11, 12, 17])
        # -1, 0, -2: mean -1, sd 1; means 10.5, 12, 16: MSB = 2 x 16.1667 / 2, MSW = (1 + 0 + 4) / 6
        assert (found.mean, found.sd, found.mean_absolute) == (-1, 1, 1)
        assert (found.low, found.high) == (near(-2.959964, 1e-6), near(0.959964, 1e-6))
        assert found.icc == near((16.1666667 - 0.8333333) / (16.1666667 + 0.8333333), 1e-6)

    def test_series_that_do_not_move(self) -> None:
        same, apart = agreement([5, 5, 5], [5, 5, 5]), agreement([5.3, 5.3, 5.3], [0.2, 0.2, 0.2])
        assert (same.icc, same.double_entry, same.pearson, same.sd) == (None, None, None, 0)
        assert (apart.icc, apart.double_entry, apart.pearson, apart.sd) == (-1, near(-1), None, 0)

    @pytest.mark.parametrize(("a", "b"), [([], []), ([1, 2], [1, 2]), ([1, 2, math.nan], [1, 2, 3])])
    def test_too_few_pairs(self, a: list[float], b: list[float]) -> None:
        with pytest.raises(NotComputable) as caught:
            agreement(a, b)
        assert caught.value.reason == "too-few"

    def test_two_pairs_at_least(self) -> None:
        with pytest.raises(NotComputable):
            mean_squares(np.array([1.0]), np.array([2.0]))


class TestPartners:
    def test_alike_in_all(self) -> None:
        found = partners([1, 2, 3], [1, 2, 3])
        assert found.pearson is not None
        assert found.icc is not None
        assert (found.pearson.value, found.pearson.low, found.pearson_p) == (1, None, 0)
        assert (found.icc.value, found.icc.low, found.f, found.t, found.p_value) == (1, None, None, None, None)

    def test_nobody_differs(self) -> None:
        found = partners([2, 2, 2], [2, 2, 2])
        assert (found.pearson, found.pearson_p, found.icc, found.standardised) == (None, None, None, None)

    def test_scores_that_are_one_decimal_have_no_spread(self) -> None:
        assert np.std([0.1, 0.1, 0.1], ddof=1) > 0, "what rounding of the mean leaves"
        assert partners([0.1, 0.1, 0.1], [1, 2, 4]).standardised is None

    def test_three_couples_have_no_fishers_interval(self) -> None:
        found = partners([1, 2, 4], [1, 3, 3])
        assert found.pearson is not None
        assert (found.pearson.low, found.pearson.high) == (None, None)

    @pytest.mark.parametrize("confidence", [0, 1, math.nan])
    def test_confidence(self, confidence: float) -> None:
        with pytest.raises(ValueError, match="confidence"):
            partners([1, 2, 4], [1, 3, 3], confidence=confidence)


profiles = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 40).map(lambda v: v / 4), min_size=n, max_size=n)] * 2)
)


@given(profiles)
def test_the_distance_is_the_sum_of_its_parts_and_the_same_for_both(pair: tuple[list[float], list[float]]) -> None:
    one, other = similarity(*pair), similarity(*reversed(pair))
    assert one.squared_distance == pytest.approx(one.elevation + one.scatter + one.shape, abs=1e-9)
    assert min(one.elevation, one.scatter, one.shape) >= 0
    assert (one.pearson, one.double_entry) == (near(other.pearson), near(other.double_entry))
    assert one.squared_distance == other.squared_distance
    assert one.elevation_difference == pytest.approx(-other.elevation_difference)


moments = st.lists(st.integers(0, 300), max_size=12).map(sorted)


@given(moments, moments, st.integers(0, 40))
def test_occasions_are_paired_once_in_order_and_within_the_window(
    first: list[int], second: list[int], window: int
) -> None:
    found = paired_occasions(first, second, window)
    assert all(abs(first[i] - second[j]) <= window for i, j in found)
    for one, after in pairwise(found):
        assert one[0] < after[0]
        assert one[1] < after[1]
    left = ([t for i, t in enumerate(first) if i not in {p[0] for p in found}],
            [t for j, t in enumerate(second) if j not in {p[1] for p in found}])  # fmt: skip
    if not found:
        assert all(abs(a - b) > window for a in left[0] for b in left[1])


@given(profiles.filter(lambda pair: len(pair[0]) >= 3))
def test_agreement_is_the_same_for_both(pair: tuple[list[float], list[float]]) -> None:
    one, other = agreement(*pair), agreement(*reversed(pair))
    assert (one.icc, one.double_entry) == (near(other.icc), near(other.double_entry))
    assert (one.low, one.high) == (near(-other.high), near(-other.low))
    assert one.icc is None or -1 <= one.icc <= 1


@pytest.mark.parametrize(("n", "share"), [(3, 0.77), (10, 0.91), (1000, 0.95)])
def test_limits_of_agreement_of_few_pairs_hold_less_than_they_are_named_for(n: int, share: float) -> None:
    """As the documentation says: (d - mean) / (sd sqrt(1 + 1/n)) of a further discrepancy d is t on n - 1."""
    found = agreement(np.arange(n) ** 2, np.arange(n))
    reach = (found.high - found.mean) / (found.sd * math.sqrt(1 + 1 / n))
    assert round(float(1 - 2 * stats.t.sf(reach, n - 1)), 2) == share
