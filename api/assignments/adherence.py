"""How much of the work between sessions was done, week by week: counts of what was due, by what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

_LAST_MIDNIGHT: Final = timedelta(hours=12)
"""How far the last places on earth are behind UTC."""


def earliest_today() -> date:
    """The earliest day that it still is anywhere on earth: a day before it is over for everybody."""
    return (datetime.now(UTC) - _LAST_MIDNIGHT).date()


@dataclass(frozen=True, slots=True)
class Work:
    """One assignment and what was recorded of it last; ``outcome`` None where nothing was."""

    due_on: date
    withdrawn: bool = False
    outcome: str | None = None
    completed_on: date | None = None
    minutes: int | None = None


@dataclass(slots=True)
class Tally:
    """Counts of assignments. ``set`` is the sum of done, partly, not_done, overdue and open."""

    set: int = 0
    done: int = 0
    partly: int = 0
    not_done: int = 0
    overdue: int = 0
    open: int = 0
    late: int = field(default=0)
    """Those done, or partly, after the day on which they were due; among done and partly."""
    withdrawn: int = 0
    minutes: int = 0

    def add(self, work: Work, today: date) -> None:
        """Count one more, as it stands on a day."""
        if work.withdrawn:
            self.withdrawn += 1
            return
        self.set += 1
        self.minutes += work.minutes or 0
        if work.outcome is None:
            if work.due_on < today:
                self.overdue += 1
            else:
                self.open += 1
            return
        if work.outcome == "not-done":
            self.not_done += 1
            return
        if work.outcome == "done":
            self.done += 1
        else:
            self.partly += 1
        self.late += work.completed_on is not None and work.completed_on > work.due_on

    @property
    def rate(self) -> float | None:
        """Share of those done among those that are not open any more; None while there are none."""
        return self._share(self.done)

    @property
    def rate_with_partly(self) -> float | None:
        """The same share of those done or partly done."""
        return self._share(self.done + self.partly)

    def _share(self, part: int) -> float | None:
        decided = self.set - self.open
        return part / decided if decided else None


def by_week(works: Iterable[Work], today: date) -> list[tuple[date, Tally]]:
    """The tally of each week (by its Monday, ISO 8601) in which something was due, oldest first.

    ``today``: whatever was due before it and has no outcome is overdue.

    Examples
    --------
    >>> [(day, tally)] = by_week([Work(date(2026, 1, 14), outcome="done"), Work(date(2026, 1, 18))], date(2026, 1, 18))
    >>> str(day), tally.done, tally.open, tally.rate
    ('2026-01-12', 1, 1, 1.0)
    """
    weeks: dict[date, Tally] = defaultdict(Tally)
    for work in works:
        weeks[work.due_on - timedelta(days=work.due_on.weekday())].add(work, today)
    return sorted(weeks.items(), key=lambda week: week[0])


def overall(works: Iterable[Work], today: date) -> Tally:
    """The tally of all."""
    tally = Tally()
    for work in works:
        tally.add(work, today)
    return tally
