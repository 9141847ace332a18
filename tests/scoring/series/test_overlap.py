"""Non-overlap: reference values of R, the same in exact fractions, edge cases, and laws."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.change import critical_value
from scoring.cutoffs import HigherIs, NotComputable
from scoring.series.overlap import FORMULAS, Phases, nap_interval, overlap
from scoring.series.slopes import MOST, Series

GOLDEN = json.loads((Path(__file__).parents[2] / "golden_statistics" / "single_case.json").read_text())
NEAR, NEAR_INTERVAL, SINGLE = (
    GOLDEN[name] for name in ("tolerance", "tolerance_interval", "tolerance_single_precision")
)
named = pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])


def phases(case: dict[str, Any]) -> Phases:
    return Phases(case["before"], case["after"], higher_is=case["higher_is"])


def in_fractions(before: list[int], after: list[int]) -> tuple[Fraction, Fraction, float]:
    """The slope of phase A, and both taus of what is left above the line, exactly: more is better."""
    values, m = [Fraction(value) for value in [*before, *after]], len(before)
    slope = median([(values[j] - values[i]) / (j - i) for i in range(m) for j in range(i + 1, m)])
    rest = [value - slope * place for place, value in enumerate(values)]
    s = sum((b > a) - (b < a) for a in rest[:m] for b in rest[m:])
    between, apart = m * len(after), sum(a != b for i, a in enumerate(rest) for b in rest[i + 1 :])
    return slope, Fraction(s, between), s / math.sqrt(between * apart) if apart else 0.0


class TestReferences:
    @named
    def test_nap_and_tau(self, case: dict[str, Any]) -> None:
        found, expected = phases(case).overlap(), case["expected"]
        assert found.nap.value == pytest.approx(expected["nap"], abs=NEAR)
        assert found.tau == pytest.approx(expected["tau"], abs=NEAR)
        for name in ("unbiased", "hanley", "null"):
            assert getattr(found.nap, name) == pytest.approx(expected[name], abs=NEAR)
        low, high = expected["interval"]
        assert low is None or found.nap.low == pytest.approx(low, abs=NEAR_INTERVAL)
        assert found.nap.high == pytest.approx(high, abs=NEAR_INTERVAL)
        assert (found.tau_low, found.tau_high) == (2 * found.nap.low - 1, 2 * found.nap.high - 1)

    @named
    def test_the_variants_of_tau_u(self, case: dict[str, Any]) -> None:
        found, expected = phases(case).overlap().tau_u, case["expected"]
        assert found["parker-minus-trend-a"] == pytest.approx(expected["parker"], abs=NEAR)
        sign = 1 if case["higher_is"] == "better" else -1  # scan reports the raw direction
        for kind in ("tau_a", "tau_b"):
            for name, value in expected[kind].items():
                mine = found[f"{kind.replace('_', '-')}-{name}"]  # type: ignore[index]  # one of the seven
                assert mine == (None if value is None else pytest.approx(sign * value, abs=NEAR))

    @named
    def test_baseline_corrected(self, case: dict[str, Any]) -> None:
        found, expected = phases(case).corrected_anyway(), case["expected"]
        sign = 1 if case["higher_is"] == "better" else -1  # the line of the package is in the raw direction
        assert [sign * found.slope, sign * found.intercept] == pytest.approx(expected["line"], abs=NEAR)
        if "residual_tau" not in expected["noisy"]:
            assert found.plain_tau == pytest.approx(expected["residual_tau"], abs=NEAR)
        if "tarlow" not in expected["noisy"]:
            assert found.value == pytest.approx(expected["tarlow"], abs=SINGLE)
            assert found.standard_error == pytest.approx(expected["tarlow_se"], abs=SINGLE)

    @named
    def test_baseline_corrected_in_fractions(self, case: dict[str, Any]) -> None:
        sign = 1 if case["higher_is"] == "better" else -1
        slope, plain, value = in_fractions(*([sign * each for each in case[phase]] for phase in ("before", "after")))
        found = phases(case).corrected_anyway()
        assert found.slope == pytest.approx(float(slope), abs=1e-12)
        assert found.plain_tau == pytest.approx(float(plain), abs=1e-12)
        assert found.value == pytest.approx(value, abs=1e-12)

    def test_what_the_references_call_equal_decides_two_of_them(self) -> None:
        """The figures that are left out above are off by more than their precision, and the exact ones are not."""
        noisy = {case["id"]: case["expected"]["noisy"] for case in GOLDEN["cases"] if case["expected"]["noisy"]}
        assert noisy == {"hand_increase": ["tarlow"], "dec_trend_seed52": ["residual_tau"]}


class TestByHand:
    def test_one_name_five_figures(self) -> None:
        """What is called Tau-U in print, of one set of data: none of them is another."""
        found = phases(GOLDEN["cases"][0])
        told = {name: round(value, 3) for name, value in found.overlap().tau_u.items() if value is not None}
        assert told["parker-minus-trend-a"] == 0.738
        assert (told["tau-a-minus-trend-a"], told["tau-b-minus-trend-a"]) == (0.544, 0.474)
        assert len({*told.values(), round(found.corrected().value, 3)}) == 8
        assert told.keys() == FORMULAS.keys()

    def test_parkers_can_exceed_1(self) -> None:
        assert overlap([1, 2, 1, 0, 0], [9, 9], higher_is="better").tau_u["parker-minus-trend-a"] > 1  # type: ignore[operator]  # m, n > 0

    def test_complete_separation_has_a_lower_limit(self) -> None:
        found = overlap([1, 2, 3], [10, 11, 12, 13], higher_is="better").nap
        # the root of 12 (1-x)(2-x)(1+x) = z^2 x [4.5 + 6 x (1-x)]
        x = found.low
        assert 12 * (1 - x) * (2 - x) * (1 + x) == pytest.approx(1.959963985**2 * x * (4.5 + 6 * x * (1 - x)))
        assert (found.value, found.high) == (1, 1)
        worst = overlap([10, 11, 12, 13], [1, 2, 3], higher_is="better").nap
        assert (worst.value, worst.low) == (0, 0)
        assert worst.high == pytest.approx(1 - x)

    def test_lower_is_better(self) -> None:
        assert overlap([9, 8], [7, 5, 6], higher_is="worse").nap.value == 1
        assert overlap([9, 8], [7, 5, 6], higher_is="better").nap.value == 0

    def test_one_measurement_before(self) -> None:
        found = overlap([5], [6, 7, 5], higher_is="better")
        assert found.nap.value == pytest.approx(2.5 / 3)
        assert found.nap.unbiased is None
        assert found.tau_u["parker-minus-trend-a"] == found.tau
        assert overlap([5, 6], [6], higher_is="better").nap.unbiased is None

    def test_measurements_of_one_moment(self) -> None:
        """Pairs of one time are no trend; the design of tau-b does not count them."""
        found = Phases([1, 2, 3], [4, 5], higher_is="better", times_before=[0, 0, 1], times_after=[2, 3]).overlap()
        # S_AB = 6, S_A = 2 (two pairs at two times), all ten pairs apart in score
        assert found.tau_u["tau-a-minus-trend-a"] == pytest.approx((6 - 2) / (6 + 3))
        assert found.tau_u["tau-b-minus-trend-a"] == pytest.approx((6 - 2) / math.sqrt((6 + 2) * 10))

    def test_measurements_of_one_moment_in_a_series(self) -> None:
        """A series with two measurements at one time is not in order of time: nothing of it is taken over."""
        part = Phases.within(Series([0, 0, 1, 2, 3], [1, 2, 3, 4, 5]), 3, "better")
        apart = Phases([1, 2, 3], [4, 5], higher_is="better", times_before=[0, 0, 1], times_after=[2, 3])
        assert part.overlap() == apart.overlap()

    def test_missing_scores_are_left_out(self) -> None:
        assert overlap([1, math.nan, 2], [3, math.nan], higher_is="better").nap.m == 2

    def test_a_trend_that_just_goes_on_is_no_effect(self) -> None:
        found = Phases(range(6), range(6, 12), higher_is="better")
        assert found.overlap().nap.value == 1
        assert (found.corrected().value, found.corrected().plain_tau) == (0, 0)


class TestRefused:
    @pytest.mark.parametrize(
        ("before", "after", "reason"),
        [
            ([], [1], "none-before"),
            ([1], [], "none-after"),
            ([math.nan], [1], "none-before"),
            (range(MOST), [1], "too-many"),
        ],
    )
    def test_no_phases(self, before: Any, after: Any, reason: str) -> None:
        with pytest.raises(NotComputable) as caught:
            Phases(before, after, higher_is="better")
        assert caught.value.reason == reason

    @pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
    def test_a_line_is_carried_on_from_five_measurements(self, m: int) -> None:
        made = Phases(range(m), [9, 8], higher_is="better")
        if m >= 5:
            assert made.corrected().slope == 1
            return
        with pytest.raises(NotComputable, match=f"there are {m}") as caught:
            made.corrected()
        assert caught.value.reason == "short-baseline"

    def test_a_baseline_of_one_moment_has_no_line(self) -> None:
        made = Phases(range(5), [9], higher_is="better", times_before=[0] * 5, times_after=[1])
        with pytest.raises(NotComputable) as caught:
            made.corrected()
        assert caught.value.reason == "one-time"

    def test_phases_in_the_wrong_order(self) -> None:
        with pytest.raises(ValueError, match="must not be later"):
            Phases([1, 2], [3], higher_is="better", times_before=[0, 5], times_after=[4])

    def test_scales_without_direction(self) -> None:
        with pytest.raises(ValueError, match="higher_is"):
            overlap([1], [2], higher_is="neither")  # type: ignore[arg-type]  # that is the point

    @pytest.mark.parametrize(
        ("value", "m", "n", "confidence"),
        [(1.1, 2, 2, 0.95), (-0.1, 2, 2, 0.95), (math.nan, 2, 2, 0.95), (0.5, 0, 2, 0.95), (0.5, 2, 0, 0.95)]
        + [(0.5, 2, 2, confidence) for confidence in (0, 1, 95, math.nan)],
    )
    def test_intervals_of_nothing(self, value: float, m: int, n: int, confidence: float) -> None:
        with pytest.raises(ValueError, match=r"a NAP is from 0 to 1|confidence"):
            nap_interval(value, m, n, confidence=confidence)


values = st.lists(st.integers(0, 12), min_size=1, max_size=14)


@given(values, values)
def test_by_counting_pairs(before: list[int], after: list[int]) -> None:
    found = overlap(before, after, higher_is="better")
    better = sum((b > a) + 0.5 * (b == a) for a in before for b in after)
    assert found.nap.value == pytest.approx(better / (len(before) * len(after)))
    assert 0 <= found.nap.low <= found.nap.value + 1e-12
    assert found.nap.value - 1e-12 <= found.nap.high <= 1


@given(values, values)
def test_mirrored(before: list[int], after: list[int]) -> None:
    """What is better the one way is worse the other, by as much."""
    one, other = (overlap(before, after, higher_is=way) for way in ("better", "worse"))
    assert one.nap.value == pytest.approx(1 - other.nap.value)
    assert (one.nap.low, one.nap.high) == pytest.approx((1 - other.nap.high, 1 - other.nap.low))
    assert one.nap.hanley == pytest.approx(other.nap.hanley)
    for variant, value in one.tau_u.items():
        opposite = other.tau_u[variant]
        assert (value is None) == (opposite is None)
        assert value is None or opposite is None or value == pytest.approx(-opposite)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_the_limits_are_roots(m: int, n: int, share: float, confidence: float) -> None:
    value = round(share * 2 * m * n) / (2 * m * n)  # each of the m n pairs counts whole, half or not at all
    square, h = critical_value(1 - confidence) ** 2, (m + n) / 2 - 1
    for x in nap_interval(value, m, n, confidence=confidence):
        u = x * (1 - x)
        left, right = m * n * (value - x) ** 2 * (2 - x) * (1 + x), square * u * (2 + h + (1 + 2 * h) * u)
        assert left == pytest.approx(right, abs=1e-8 * m * n)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=14),
    st.integers(1, 13),
    st.sampled_from(["better", "worse"]),
)
def test_parts_of_a_series_are_phases(steps: list[tuple[int, int]], place: int, higher_is: HigherIs) -> None:
    """What is taken over from the whole series is what its parts give when they are looked at alone."""
    times = [sum(step for step, _ in steps[: n + 1]) for n in range(len(steps))]
    scores, m = [score for _, score in steps], min(place, len(steps) - 1)
    apart = Phases(scores[:m], scores[m:], higher_is=higher_is, times_before=times[:m], times_after=times[m:])
    part = Phases.within(Series(times, scores), m, higher_is)
    assert part.overlap() == apart.overlap()
    assert (part.a.s, part.b.s, part.a.alike, part.b.alike) == (apart.a.s, apart.b.s, apart.a.alike, apart.b.alike)
    if m > 1 and times[0] < times[m - 1]:
        assert part.corrected_anyway() == apart.corrected_anyway()
