"""Work between sessions beside one outcome series: what was done in each stretch between two measurements.

A piece of work is counted on the day on which it was completed or told not to have been done, else on the day by
which it was due. It belongs to the stretch whose earlier measurement was on an earlier day and whose later one on that
day or later. Nothing is inferred from the two standing beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any, Literal

from scoring.progress import Point, Progress

Outcome = Literal["done", "partly", "not-done", "overdue", "open"]


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work as it stands. Distress is from 0 to 10; what was not recorded is None."""

    day: date
    outcome: Outcome
    minutes: int | None = None
    distress_before: int | None = None
    distress_after: int | None = None


def tally(works: Iterable[Work]) -> dict[str, Any]:
    """Counts by outcome, rates of what is not open, minutes, and distress of those that have it before and after.

    >>> tally([Work(date(2026, 1, 5), "done", 20, 8, 3), Work(date(2026, 1, 6), "overdue")])["rate"]
    0.5
    """
    every = list(works)
    counts = {name: sum(work.outcome == name for work in every) for name in ("done", "partly", "not-done", "overdue")}
    decided, is_open = sum(counts.values()), len(every) - sum(counts.values())
    minutes = [work.minutes for work in every if work.minutes is not None]
    both = [
        (work.distress_before, work.distress_after)
        for work in every
        if work.distress_before is not None and work.distress_after is not None
    ]
    return {
        "set": len(every),
        "done": counts["done"],
        "partly": counts["partly"],
        "not_done": counts["not-done"],
        "overdue": counts["overdue"],
        "open": is_open,
        "rate": counts["done"] / decided if decided else None,
        "rate_with_partly": (counts["done"] + counts["partly"]) / decided if decided else None,
        "minutes": sum(minutes),
        "minutes_of": len(minutes),
        "distress": None if not both else _distress(both),
    }


def _distress(both: Sequence[tuple[int, int]]) -> dict[str, Any]:
    before, after = (sum(each[side] for each in both) / len(both) for side in (0, 1))
    return {"n": len(both), "before": before, "after": after, "fell_by": before - after}


def beside(progress: Progress, works: Iterable[Work]) -> dict[str, Any]:
    """The work of each stretch between two used measurements, and what lies before the first and after the last.

    Parameters
    ----------
    progress
        The outcome series.
    works
        All of the client's work that was not withdrawn, in any order.

    Returns
    -------
    dict
        ``stretches``, ``before``, ``after`` (None where there is no measurement), ``total``.
    """
    every = sorted(works, key=lambda work: work.day)
    points = [point for point in progress.points if point["used"]]
    days = [point["answered_at"].astimezone(UTC).date() for point in points]
    stretches = []
    for earlier, later, since, until in zip(points, points[1:], days, days[1:], strict=False):
        within = [work for work in every if since < work.day <= until]
        stretches.append(_stretch(progress, earlier, later) | {"work": tally(within)})
    return {
        "stretches": stretches,
        "before": tally(work for work in every if work.day <= days[0]) if days else None,
        "after": tally(work for work in every if work.day > days[-1]) if days else None,
        "total": tally(every),
    }


def _stretch(progress: Progress, earlier: Point, later: Point) -> dict[str, Any]:
    higher_is = progress.figures.higher_is
    change = round((later["value"] or 0.0) - (earlier["value"] or 0.0), 10)
    return {
        "since": {name: earlier[name] for name in ("response_id", "answered_at", "value")},
        "until": {name: later[name] for name in ("response_id", "answered_at", "value")},
        "days": (later["answered_at"] - earlier["answered_at"]).total_seconds() / 86_400,
        "change": change,
        "benefit": None if higher_is == "neither" else change if higher_is == "better" else -change,
    }
