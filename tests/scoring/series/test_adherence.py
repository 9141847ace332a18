"""Work beside an outcome series."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scoring.series.adherence import Outcome, Work, beside, tally
from tests.scoring.series.test_described import _neither, of
from tests.scoring.test_progress import START


def on(day: int, outcome: Outcome = "done", **members: Any) -> Work:
    return Work(START.date() + timedelta(days=day), outcome, **members)


class TestTally:
    def test_by_hand(self) -> None:
        found = tally(
            [
                on(1, minutes=20, distress_before=8, distress_after=3),
                on(2, "partly", minutes=5, distress_before=6, distress_after=5),
                on(3, "not-done", distress_before=4),
                on(4, "overdue"),
                on(5, "open"),
            ]
        )
        assert (found["set"], found["done"], found["partly"], found["not_done"], found["overdue"], found["open"]) == (
            5, 1, 1, 1, 1, 1
        )  # fmt: skip
        assert (found["rate"], found["rate_with_partly"]) == (0.25, 0.5)
        assert (found["minutes"], found["minutes_of"]) == (25, 2)
        # of the two that have both: 7 before, 4 after
        assert found["distress"] == {"n": 2, "before": 7, "after": 4, "fell_by": 3}

    def test_nothing(self) -> None:
        found = tally([])
        assert (found["set"], found["rate"], found["rate_with_partly"], found["distress"]) == (0, None, None, None)
        assert tally([on(1, "open")])["rate"] is None

    def test_minutes_of_none_are_not_minutes_of_0(self) -> None:
        assert (tally([on(1, minutes=0)])["minutes_of"], tally([on(1)])["minutes_of"]) == (1, 0)


class TestBeside:
    def test_each_is_in_the_stretch_that_ends_on_its_day_or_later(self) -> None:
        found = beside(of(20, 14, 16), [on(day) for day in (-3, 0, 1, 7, 8, 14, 15)])
        # measurements on the days 0, 7 and 14
        assert [one["work"]["done"] for one in found["stretches"]] == [2, 2]
        assert (found["before"]["done"], found["after"]["done"], found["total"]["done"]) == (2, 1, 7)
        first, second = found["stretches"]
        assert (first["since"]["value"], first["until"]["value"], first["days"]) == (20, 14, 7)
        assert (first["change"], first["benefit"], second["benefit"]) == (-6, 6, -2)

    def test_two_measurements_of_one_day_have_nothing_between(self) -> None:
        found = beside(of(20, 19, step=0.1), [on(0), on(1)])
        assert [one["work"]["set"] for one in found["stretches"]] == [0]
        assert (found["before"]["set"], found["after"]["set"]) == (1, 1)

    def test_without_measurements(self) -> None:
        found = beside(of(None), [on(1)])
        assert (found["stretches"], found["before"], found["after"], found["total"]["done"]) == ([], None, None, 1)

    def test_without_direction(self) -> None:
        assert beside(of(1, 2, instrument=_neither()), [])["stretches"][0]["benefit"] is None
        assert beside(of(1, 2, instrument=_neither()), [])["stretches"][0]["change"] == 1


@given(st.lists(st.integers(-20, 60), max_size=12), st.integers(0, 6))
def test_each_is_counted_once(days: list[int], measurements: int) -> None:
    found = beside(of(*range(measurements)), [on(day) for day in days])
    parts = [one["work"]["set"] for one in found["stretches"]]
    if measurements:
        assert sum(parts) + found["before"]["set"] + found["after"]["set"] == len(days)
    assert found["total"]["set"] == len(days)
