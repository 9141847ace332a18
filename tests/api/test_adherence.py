"""How much of the work was done: the laws of the counts, and what is late, overdue or open."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.assignments.adherence import Tally, Work, by_week, earliest_today, overall
from api.times import today as latest_today

TODAY = date(2026, 3, 4)  # a Wednesday
DAYS = st.dates(date(2026, 1, 1), date(2026, 5, 1))
WORK = st.builds(
    Work,
    due_on=DAYS,
    withdrawn=st.booleans(),
    outcome=st.sampled_from([None, "done", "partly", "not-done"]),
    completed_on=DAYS,
    minutes=st.none() | st.integers(0, 500),
)
WORKS = st.lists(WORK, max_size=40)
COUNTS = ("set", "done", "partly", "not_done", "overdue", "open", "late", "withdrawn", "minutes")


@given(WORKS)
def test_everything_is_counted_once(works: list[Work]) -> None:
    weeks = by_week(works, TODAY)
    for week, tally in weeks:
        due = [work for work in works if week <= work.due_on < week + timedelta(days=7)]
        assert due
        assert week.weekday() == 0
        assert tally.set == tally.done + tally.partly + tally.not_done + tally.overdue + tally.open
        assert tally.set + tally.withdrawn == len(due)
        assert tally.late <= tally.done + tally.partly
    assert [week for week, _ in weeks] == sorted({week for week, _ in weeks})
    total = overall(works, TODAY)
    for name in COUNTS:
        assert getattr(total, name) == sum(getattr(tally, name) for _, tally in weeks)


@given(WORKS)
def test_by_outcome(works: list[Work]) -> None:
    given_out = Counter(work.outcome for work in works if not work.withdrawn)
    total = overall(works, TODAY)
    assert (total.done, total.partly, total.not_done) == (
        given_out["done"], given_out["partly"], given_out["not-done"]
    )  # fmt: skip
    assert total.overdue + total.open == given_out[None]
    assert total.minutes == sum(work.minutes or 0 for work in works if not work.withdrawn)


@given(WORKS)
def test_rates(works: list[Work]) -> None:
    total = overall(works, TODAY)
    if total.set == total.open:
        assert (total.rate, total.rate_with_partly) == (None, None)
    else:
        assert total.rate is not None
        assert total.rate_with_partly is not None
        assert 0 <= total.rate <= total.rate_with_partly <= 1


@given(WORKS, DAYS)
def test_as_days_pass_what_is_open_becomes_overdue_and_nothing_else(works: list[Work], later: date) -> None:
    before, after = overall(works, min(TODAY, later)), overall(works, max(TODAY, later))
    assert after.open <= before.open
    assert after.open + after.overdue == before.open + before.overdue
    assert all(getattr(after, name) == getattr(before, name) for name in COUNTS if name not in ("open", "overdue"))


@pytest.mark.parametrize(
    ("due_on", "expected"),
    [(TODAY - timedelta(days=1), (1, 0)), (TODAY, (0, 1)), (TODAY + timedelta(days=1), (0, 1))],
)
def test_overdue_from_the_day_after(due_on: date, expected: tuple[int, int]) -> None:
    tally = overall([Work(due_on)], TODAY)
    assert (tally.overdue, tally.open) == expected


@pytest.mark.parametrize(("day", "late"), [(date(2026, 3, 3), 0), (date(2026, 3, 4), 0), (date(2026, 3, 5), 1)])
@pytest.mark.parametrize("outcome", ["done", "partly"])
def test_late(day: date, late: int, outcome: str) -> None:
    assert overall([Work(TODAY, outcome=outcome, completed_on=day)], TODAY).late == late
    assert overall([Work(TODAY, outcome="not-done", completed_on=day)], TODAY).late == 0


def test_a_week_goes_from_monday_to_sunday() -> None:
    works = [Work(date(2026, 3, day)) for day in (1, 2, 8, 9)]
    assert [(str(week), tally.set) for week, tally in by_week(works, TODAY)] == [
        ("2026-02-23", 1), ("2026-03-02", 2), ("2026-03-09", 1)
    ]  # fmt: skip
    assert by_week([], TODAY) == []
    assert overall([], TODAY) == Tally()


def test_a_day_is_over_when_it_is_over_everywhere() -> None:
    assert earliest_today() <= datetime.now(UTC).date() <= latest_today()
    assert latest_today() - earliest_today() <= timedelta(days=2)
