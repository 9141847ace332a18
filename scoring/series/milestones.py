"""When a change was reached, and whether it lasted: in days and in measurements after the baseline.

A milestone is the first measurement after the baseline whose category is of a kind: a reliable improvement (improved or
recovered), recovery (clinically significant change), a reliable worsening (deteriorated or harmed). It is judged as
progress judges each point. Who has not reached one by the last measurement is **censored** there: it is not known that
they never will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from scoring.progress import NO_MEASUREMENT, ONE_MEASUREMENT, Point, Progress
from scoring.reliable import Unavailable

Kind = Literal["reliable-improvement", "recovery", "reliable-worsening"]

KINDS: Final[dict[Kind, frozenset[str]]] = {
    "reliable-improvement": frozenset({"improved", "recovered"}),
    "recovery": frozenset({"recovered"}),
    "reliable-worsening": frozenset({"deteriorated", "harmed"}),
}
"""Which categories of a measurement against the baseline each is."""

NO_CUTOFF: Final = Unavailable("no-cutoff", "No cutoff decides on this scale, so there is no recovery to speak of.")
BEGAN_FUNCTIONAL: Final = Unavailable(
    "began-functional", "The baseline is not on the clinical side of the cutoff, so there is nothing to recover from."
)
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Milestone:
    """The first measurement of a kind, counted from the baseline, and what came after it.

    ``measurements`` counts those after the baseline up to it, so 1 is the very next. Where it was not reached,
    ``days`` and ``measurements`` are those up to the last measurement, at which it is censored. ``lost_at`` is the
    first later measurement that was of another kind, and ``regained`` whether the last one is of the kind again.
    """

    reached: bool
    days: float
    measurements: int
    point: Point | None
    later: int
    lost_at: Point | None
    regained: bool

    @property
    def stability(self) -> Literal["kept", "lost", "regained", "not-known"] | None:
        """Afterwards: kept at every later measurement, lost, regained by the last; None where it was not reached."""
        if not self.reached:
            return None
        if not self.later:
            return "not-known"
        if self.lost_at is None:
            return "kept"
        return "regained" if self.regained else "lost"

    def document(self, since: datetime) -> dict[str, Any]:
        """As plain data, with times counted from the baseline's."""
        point, lost = self.point, self.lost_at
        return {
            "available": True,
            "reached": self.reached,
            "censored": not self.reached,
            "days": self.days,
            "measurements": self.measurements,
            "response_id": None if point is None else point["response_id"],
            "answered_at": None if point is None else point["answered_at"],
            "stability": self.stability,
            "measurements_since": self.later,
            "lost": None
            if lost is None
            else {
                "response_id": lost["response_id"],
                "answered_at": lost["answered_at"],
                "days": _days(since, lost["answered_at"]),
            },
        }


def _days(since: datetime, at: datetime) -> float:
    return (at - since).total_seconds() / _DAY


def milestone(points: Sequence[Point], kind: Kind) -> Milestone:
    """The first measurement of a kind.

    Parameters
    ----------
    points
        The baseline and those used after it, in order of time, at least two; each with its category against the first.
    """
    wanted, since = KINDS[kind], points[0]["answered_at"]
    categories = [point["category"] for point in points]
    last = len(points) - 1
    if wanted.isdisjoint(categories):
        return Milestone(False, _days(since, points[-1]["answered_at"]), last, None, 0, None, False)
    holds = [category in wanted for category in categories]
    first = holds.index(True)
    lost = None if all(holds[first:]) else holds.index(False, first)
    return Milestone(
        True,
        _days(since, points[first]["answered_at"]),
        first,
        points[first],
        last - first,
        None if lost is None else points[lost],
        lost is not None and holds[-1],
    )


def baseline_among(progress: Progress, used: Sequence[Point]) -> int:
    """The place of the baseline among the points that are used; what lies before one that was chosen is left out."""
    if progress.baseline is None:
        return 0
    first = progress.baseline["response_id"]
    return next((place for place, point in enumerate(used) if point["response_id"] == first), 0)


def described(progress: Progress, points: Sequence[Point]) -> dict[str, Any]:
    """The three milestones of a series as plain data; of the ``points`` used from the baseline on."""
    missing = None
    if len(points) < 2:
        missing = ONE_MEASUREMENT if points else NO_MEASUREMENT
    elif isinstance(progress.figures.reliable_change, Unavailable):
        missing = progress.figures.reliable_change
    if missing is not None:
        return {_member(kind): missing.document for kind in KINDS}
    since = points[0]["answered_at"]
    found = {_member(kind): milestone(points, kind).document(since) for kind in KINDS}
    if not found["recovery"]["reached"] and (without := _no_recovery(progress)) is not None:
        found["recovery"] = without.document
    return found


def _no_recovery(progress: Progress) -> Unavailable | None:
    if progress.figures.deciding is None:
        return NO_CUTOFF
    return None if progress.side(progress.baseline) == "clinical" else BEGAN_FUNCTIONAL


def _member(kind: Kind) -> str:
    return kind.replace("-", "_")
