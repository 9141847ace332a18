"""What a series says besides its change. The PHQ-9 invented here has an error of a difference of exactly 2 points."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments import Instrument
from scoring.progress import Progress, progress
from scoring.series import Start, described
from scoring.series.slopes import MOST
from tests.scoring.test_progress import START, changed, invented, measured, with_norms

PARTS = ("trend", "non_overlap", "milestones")
NORMED = invented(**with_norms(clinical=(16, 4), functional=(4, 4)))
"""Lower is better, cutoff c at 10; a change of more than 3.92 points is reliable."""


def of(*values: float | None, instrument: Instrument = NORMED, step: float = 7, **changes: Any) -> Progress:
    """One measurement a week."""
    found = [measured(value, day=step * n, variant="prorated", **changes) for n, value in enumerate(values)]
    return progress(instrument, "total", found)


def after(weeks: float) -> Start:
    return Start(START + timedelta(weeks=weeks), "session")


def code(part: dict[str, Any]) -> str | None:
    assert part["available"] is (part.get("code") is None)
    return part.get("code")


class TestTrend:
    def test_per_week(self) -> None:
        found = described(of(20, 18, 16, 14, 13, 10, 9, 6))["trend"]
        assert found["theil_sen"]["slope"] == -2
        assert found["least_squares"]["slope"] == pytest.approx(-81 / 42)
        assert (found["n"], found["weeks"], found["since"], found["direction"]) == (8, 7, START, "better")
        assert found["kendall"]["s"] == -28

    def test_by_real_dates(self) -> None:
        days = (0, 1, 30, 31)
        points = [
            measured(value, day=day, variant="prorated") for day, value in zip(days, (20, 19, 10, 9), strict=True)
        ]
        found = described(progress(NORMED, "total", points))["trend"]
        # slopes a day: -1/1, -10/30, -11/31, -9/29, -10/30, -1/1; the median of the six is between -1/3 and -11/31
        assert found["theil_sen"]["slope"] == pytest.approx(-7 * (1 / 3 + 11 / 31) / 2)

    def test_the_next_measurement(self) -> None:
        ahead = described(of(20, 18, 17, 14))["trend"]["next"]
        assert ahead["at"] == START + timedelta(weeks=4)
        assert ahead["value"] == pytest.approx(12.5)  # 20.1 - 1.9 x 4
        assert ahead["low"] < 12.5 < ahead["high"]
        assert not ahead["outside_scale"]
        assert described(of(9, 6, 4, 0))["trend"]["next"]["outside_scale"]

    @pytest.mark.parametrize(
        ("values", "direction"),
        [
            ((20, 18, 16, 14, 13, 10, 9, 6), "better"),
            ((6, 9, 10, 13, 14, 16, 18, 20), "worse"),
            ((6, 9, 5, 8, 5, 9, 6, 7), "not-distinguishable"),
            ((5, 5, 5, 5), "not-distinguishable"),
            ((20, 15, 10, 5), "not-distinguishable"),  # 2 of 24 orders without a trend: 8 %, and not 5
            ((20, 10, 5), "not-distinguishable"),  # 2 of 6: 33 %
            ((20, 15, 10, 5, 1), "better"),  # 2 of 120
            ((20, 5), None),
        ],
    )
    def test_direction(self, values: tuple[float, ...], direction: str | None) -> None:
        assert described(of(*values))["trend"]["direction"] == direction

    def test_two_measurements_do_not_fit_a_line_well(self) -> None:
        assert described(of(20, 5))["trend"]["least_squares"]["r_squared"] is None
        assert described(of(20, 5, 9))["trend"]["least_squares"]["r_squared"] == pytest.approx(0.501381, abs=1e-6)

    def test_without_direction_there_is_a_slope_and_no_word(self) -> None:
        found = described(of(1, 2, 3, 4, instrument=_neither()))
        assert (found["trend"]["theil_sen"]["slope"], found["trend"]["direction"]) == (1, None)
        assert code(found["non_overlap"]) == "no-direction"
        assert {code(part) for part in found["milestones"].values()} == {"no-direction"}

    def test_two_measurements(self) -> None:
        found = described(of(20, 13))["trend"]
        assert (found["theil_sen"]["slope"], found["theil_sen"]["low"], found["next"]) == (-7, None, None)
        assert found["least_squares"]["low"] is None

    def test_what_is_left_out_is_in_no_slope(self) -> None:
        whole = [measured(v, day=7 * n, variant="prorated") for n, v in enumerate((20, 18, 16))]
        invalid = measured(0.0, day=10, variant="prorated", valid=False)
        missing = measured(None, day=11, variant="prorated")
        assert described(progress(NORMED, "total", [*whole, invalid, missing]), after(0.5)) == described(
            progress(NORMED, "total", whole), after(0.5)
        )

    @pytest.mark.parametrize(
        ("values", "step", "reason"),
        [
            ((), 7, "no-measurement"),
            ((None,), 7, "no-measurement"),
            ((5,), 7, "one-measurement"),
            ((5, 6), 0, "one-time"),
        ],
    )
    def test_not_available(self, values: tuple[float | None, ...], step: float, reason: str) -> None:
        found = described(of(*values, step=step), after(-1))
        assert code(found["trend"]) == reason
        assert code(found["non_overlap"]) == ("no-measurement" if reason == "no-measurement" else "none-before")

    def test_more_than_are_compared(self) -> None:
        found = described(of(*(n % 20 for n in range(MOST + 1)), step=1), after(3))
        assert code(found["trend"]["theil_sen"]) == code(found["trend"]["kendall"]) == "too-many"
        assert found["trend"]["least_squares"]["low"] is not None
        assert found["trend"]["direction"] is None
        assert code(found["non_overlap"]) == "too-many"


class TestNonOverlap:
    def test_before_and_after(self) -> None:
        found = described(of(20, 21, 19, 22, 20, 15, 12, 9), after(5))["non_overlap"]
        assert (found["before"], found["after"], found["nap"]["value"]) == (5, 3, 1)
        assert found["start"] == {"at": START + timedelta(weeks=5), "by": "session"}
        assert 0 < found["nap"]["low"] < 1
        assert found["tau"]["low"] == 2 * found["nap"]["low"] - 1
        assert all(one["formula"] and one["variant"] != "tau-u" for one in found["tau_u"])
        assert found["baseline_corrected"]["available"]
        # slopes of 20 21 19 22 20 by week: 1 -2 3 -2 | -.5 .5 .5 | .667 -.333 | 0; the median is 0.25
        assert found["baseline_corrected"]["slope_before"] == pytest.approx(0.25)

    def test_a_short_baseline_is_not_carried_on(self) -> None:
        found = described(of(20, 21, 19, 22, 20, 15, 12), after(3.5))["non_overlap"]
        assert (found["before"], code(found["baseline_corrected"])) == (4, "short-baseline")

    def test_what_is_answered_as_care_starts_is_after(self) -> None:
        assert described(of(20, 21, 19), after(1))["non_overlap"]["before"] == 1

    def test_without_a_session_the_first_day_is_before(self) -> None:
        day = START.date()
        start = Start.of(day, None)
        assert (start.at, start.by) == (datetime(2026, 1, 6, tzinfo=UTC), "episode")
        assert described(of(20, 21, 19), start)["non_overlap"]["before"] == 1
        held = Start.of(date(2025, 1, 1), START)
        assert (held.at, held.by) == (START, "session")

    @pytest.mark.parametrize(
        ("start", "reason"), [(None, "no-start-of-care"), (after(-1), "none-before"), (after(9), "none-after")]
    )
    def test_not_available(self, start: Start | None, reason: str) -> None:
        assert code(described(of(20, 18, 16), start)["non_overlap"]) == reason


class TestMilestones:
    def test_reached_and_kept(self) -> None:
        found = described(of(18, 15, 13, 12, 9, 8))["milestones"]
        better, recovered, worse = (found[name] for name in ("reliable_improvement", "recovery", "reliable_worsening"))
        assert (better["days"], better["measurements"], better["stability"]) == (14, 2, "kept")
        assert (better["measurements_since"], better["lost"], better["censored"]) == (3, None, False)
        assert (recovered["days"], recovered["measurements"], recovered["stability"]) == (28, 4, "kept")
        assert (worse["reached"], worse["censored"], worse["days"], worse["measurements"]) == (False, True, 35, 5)
        assert (worse["stability"], worse["response_id"]) == (None, None)

    def test_lost_and_regained(self) -> None:
        lost = described(of(18, 13, 12, 17, 16))["milestones"]["reliable_improvement"]
        assert (lost["measurements"], lost["stability"], lost["lost"]["days"]) == (1, "lost", 21)
        assert lost["lost"]["response_id"] == "id-0021.00"
        regained = described(of(18, 13, 17, 12))["milestones"]["reliable_improvement"]
        assert (regained["stability"], regained["lost"]["days"]) == ("regained", 14)

    def test_recovery_that_falls_back_to_improvement(self) -> None:
        found = described(of(18, 9, 12))["milestones"]
        assert (found["recovery"]["stability"], found["reliable_improvement"]["stability"]) == ("lost", "kept")

    def test_reached_at_the_last_measurement(self) -> None:
        found = described(of(18, 17, 13))["milestones"]["reliable_improvement"]
        assert (found["reached"], found["stability"], found["measurements_since"]) == (True, "not-known", 0)

    def test_worse(self) -> None:
        found = described(of(8, 8, 15))["milestones"]
        assert (found["reliable_worsening"]["days"], found["reliable_worsening"]["stability"]) == (14, "not-known")
        assert code(found["recovery"]) == "began-functional"

    def test_without_a_cutoff_there_is_no_recovery(self) -> None:
        found = described(of(18, 2, instrument=invented()))["milestones"]
        assert code(found["recovery"]) == "no-cutoff"
        assert found["reliable_improvement"]["reached"]

    @pytest.mark.parametrize(
        ("values", "reason"), [((), "no-measurement"), ((18,), "one-measurement"), ((18, 2), "no-parameters")]
    )
    def test_not_available(self, values: Sequence[float], reason: str) -> None:
        found = described(of(*values, instrument=invented(progress=[])))["milestones"]
        assert {code(part) for part in found.values()} == {reason}


def _neither() -> Instrument:
    scales = [{**scale.model_dump(by_alias=True), "higher_is": "neither"} for scale in NORMED.scales]
    return changed(NORMED, scales=scales, progress=[], norms=[])


def test_a_baseline_in_the_middle() -> None:
    """Trend and milestones count from the baseline that was chosen; what lies before it stays for the phases."""
    whole = of(20, 19, 18, 13, 12)
    moved = Progress(**{**vars(of(18, 13, 12)), "points": whole.points, "baseline": whole.points[2]})
    found = described(moved, after(1.5))
    assert (found["trend"]["n"], found["trend"]["since"]) == (3, START + timedelta(weeks=2))
    assert (found["non_overlap"]["before"], found["non_overlap"]["after"]) == (2, 3)
    assert found["milestones"]["reliable_improvement"]["days"] == 7


@given(st.lists(st.one_of(st.none(), st.integers(0, 27)), max_size=12), st.integers(-10, 100))
def test_whatever_the_series(values: list[int | None], day: int) -> None:
    start = Start(START + timedelta(days=day), "session")
    made = of(*(None if value is None else float(value) for value in values))
    found = described(made, start)
    assert tuple(found) == PARTS
    used = sum(point["used"] for point in made.points)
    assert found["trend"]["available"] == (used > 1)
    if found["non_overlap"]["available"]:
        assert found["non_overlap"]["before"] + found["non_overlap"]["after"] == used
    for one in found["milestones"].values():
        if one["available"] and one["reached"]:
            assert 1 <= one["measurements"] <= used - 1 - one["measurements_since"]
            assert one["censored"] == (one["stability"] is None)
