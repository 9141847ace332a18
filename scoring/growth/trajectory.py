"""Where a client is expected to be, given the first score, and whether the client is on the way there.

A later score is held against what the reference predicts from the client's own first score. It is out of the ordinary
where it lies beyond a band of the prediction on the bad side: 68 of 100 scores lie within the narrow band, 80 of 100
within the wide one, so 16 and 10 of 100 lie below. Both shares, and the rule that the first calls for watching and the
second for acting, are from memory of the literature and to be checked; the arithmetic is not.

References
----------
Finch, Lambert & Schaalje (2001), doi:10.1002/cpp.286: the idea of tolerance bands around an expected course.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from scoring.change import ChangeCategory
from scoring.growth.reference import MIN_PERSONS, Reference
from scoring.progress import NO_MEASUREMENT, ONE_MEASUREMENT, Point, Progress
from scoring.reliable import NO_DIRECTION, Unavailable

Status = Literal["on-track", "watch", "not-on-track"]

Z_68: Final = 0.994457883209753
"""Half the width of a band that holds 68 of 100, in standard deviations."""
Z_80: Final = 1.2815515655446004
"""The same of 80 of 100."""
RULE: Final = {
    "watch": "worse than the 68 % band of what is predicted from the first score",
    "not_on_track": "worse than the 80 % band",
    "unless": "the benefit is already reliable",
    "evidence": "memory",
    "note": "The bands' shares and what each calls for are from memory of the literature, to be checked",
}
STEPS: Final = 24
"""The curve is given at so many equal steps at most."""
_ORDER: Final[Mapping[Status, int]] = {"on-track": 0, "watch": 1, "not-on-track": 2}
_RELIABLE: Final = frozenset({ChangeCategory.RECOVERED.value, ChangeCategory.IMPROVED.value})
_WEEK: Final = 7 * 86_400

OTHER_SCALE: Final = Unavailable(
    "reference-of-another-scale",
    "The reference is of another instrument, version, variant or scale, so nothing can be expected by it.",
)
WITHIN_COURSE: Final = Unavailable(
    "baseline-within-course",
    "The reference speaks of courses from their first score on, and the chosen baseline has earlier ones in its own.",
)
TOO_SMALL: Final = Unavailable(
    "reference-too-small",
    f"The reference rests on fewer than {MIN_PERSONS} persons, too few for its bands to mean what they say.",
)


def weeks_between(start: datetime, end: datetime) -> float:
    """Time in weeks; what a reference counts in."""
    return (end - start).total_seconds() / _WEEK


def expected(progress: Progress, reference: Reference | Unavailable) -> dict[str, Any]:
    """What was to be expected of one series, as plain data.

    Parameters
    ----------
    progress
        The series; what is not used in it is not judged.
    reference
        What the course is held against, or why there is none.

    Returns
    -------
    dict
        ``available`` with ``code`` and ``detail`` where it is not. Otherwise ``status``, from when on it has been so
        (``since``), each later measurement with its prediction, and the curve from the first measurement on.
        ``status`` is None where the newest measurement lies beyond the last week that the reference speaks of.
    """
    if isinstance(reference, Unavailable):
        return reference.document
    figures, baseline = progress.figures, progress.baseline
    if figures.higher_is == "neither":
        return NO_DIRECTION.document
    if baseline is None or baseline["value"] is None:
        return NO_MEASUREMENT.document
    if reference.persons < MIN_PERSONS:
        return TOO_SMALL.document
    if (reference.instrument, reference.scale) != (progress.instrument.code, figures.scale.id):
        return OTHER_SCALE.document
    start = baseline["answered_at"]
    if _within_course(progress, baseline):
        return WITHIN_COURSE.document
    later = [point for point in progress.points if point["used"] and point["answered_at"] > start]
    if not later:
        return ONE_MEASUREMENT.document
    judge = _Judge(reference, baseline["value"], figures.minimum, figures.maximum, figures.higher_is == "better")
    points: list[dict[str, Any]] = []
    flags: list[Status | None] = []
    for point in later:
        weeks = weeks_between(start, point["answered_at"])
        reliable = point["category"] in _RELIABLE
        row, flag = judge.point(weeks, point["value"] or 0.0, reliable=reliable)
        points.append({"answered_at": point["answered_at"], "response_id": point["response_id"], **row})
        flags.append(flag)
    status = flags[-1]
    return {
        "available": True,
        "reference": reference.document,
        "rule": RULE,
        "status": status,
        "since": _since(later, flags),
        "points": points,
        "curve": judge.curve(points[-1]["weeks"]),
    }


def _within_course(progress: Progress, baseline: Point) -> bool:
    """Whether a baseline was chosen that its own course does not begin with: most change comes early, and what is
    expected after a first score is not what is to be expected from a later one on. Somebody without an episode has one
    course."""
    used = [point for point in progress.points if point["used"]]
    whole = all(point["episode_id"] is None for point in used)
    return any(
        point["answered_at"] < baseline["answered_at"]
        and (whole or (baseline["episode_id"] is not None and point["episode_id"] == baseline["episode_id"]))
        for point in used
    )


def _since(points: Sequence[Mapping[str, Any]], flags: Sequence[Status | None]) -> datetime | None:
    """From which measurement on the client has been as far off as now, or further; None where not off."""
    last = flags[-1]
    if last is None or last == "on-track":
        return None
    found: datetime = points[-1]["answered_at"]
    for point, flag in zip(reversed(points), reversed(flags), strict=True):
        if flag is None or _ORDER[flag] < _ORDER[last]:
            break
        found = point["answered_at"]
    return found


class _Judge:
    """The predictions for one client by one reference."""

    def __init__(self, reference: Reference, baseline: float, low: float, high: float, better: bool) -> None:
        self._known = reference.model.from_baseline
        self._start, self._rate = self._known.line(baseline)
        self._horizon, self._low, self._high = reference.horizon, low, high
        self._direction = 1 if better else -1

    def _within(self, value: float) -> float:
        """Nobody scores beyond the ends of the scale, so nothing beyond them is expected."""
        return min(max(value, self._low), self._high)

    def at(self, weeks: float) -> dict[str, float | None]:
        """Prediction and bands at a week, in points within the scale; None beyond the horizon."""
        if weeks > self._horizon:
            return dict.fromkeys(("predicted", "low_68", "high_68", "low_80", "high_80"))
        known = self._known
        mean, sd = self._within(self._start + self._rate * known.time(weeks)), known.observed_sd(weeks)
        return {
            "predicted": mean,
            "low_68": self._within(mean - Z_68 * sd),
            "high_68": self._within(mean + Z_68 * sd),
            "low_80": self._within(mean - Z_80 * sd),
            "high_80": self._within(mean + Z_80 * sd),
        }

    def point(self, weeks: float, value: float, *, reliable: bool) -> tuple[dict[str, Any], Status | None]:
        """One measurement with its prediction, ``z`` (below 0 is worse than predicted), and what that calls for."""
        row: dict[str, Any] = {"weeks": weeks, **self.at(weeks)}
        if row["predicted"] is None:
            return row | {"z": None, "status": None}, None
        z = self._direction * (value - row["predicted"]) / self._known.observed_sd(weeks)
        status: Status = "on-track"
        if not reliable and z < -Z_68:
            status = "not-on-track" if z < -Z_80 else "watch"
        return row | {"z": z, "status": status}, status

    def curve(self, last: float) -> list[dict[str, Any]]:
        """The expected course: whole weeks to a while after the last measurement, thinned to ``STEPS``."""
        end = int(min(self._horizon, last * 1.25 + 4))
        sizes = (1, 2, 4, 13, 26, 52)
        size = sizes[min(bisect_right([n * STEPS for n in sizes], end - 1), len(sizes) - 1)] if end > 1 else 1
        weeks = [float(week) for week in range(0, end + 1, size)]
        return [{"weeks": week, **self.at(week)} for week in weeks]


def described(progress: Progress, reference: Reference | Unavailable) -> dict[str, Any]:
    """The part of a series' document that is about what was expected."""
    return {"expected": expected(progress, reference)}
