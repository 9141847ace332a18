"""What a series of progress says besides its change, as plain data: `trend`, `non_overlap` and `milestones`.

Cheap enough to be worked out in the request that asks. Each part says itself why it is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

import numpy as np

from scoring.cutoffs import Floats, HigherIs, NotComputable, direction
from scoring.progress import NO_MEASUREMENT, ONE_MEASUREMENT, Point, Progress
from scoring.reliable import NO_DIRECTION, Unavailable
from scoring.series import milestones
from scoring.series.overlap import FORMULAS, Nap, Phases
from scoring.series.slopes import Kendall, LeastSquares, Series, TheilSen, middle

WEEK: Final = 604_800.0
CONFIDENCE: Final = 0.95

ONE_TIME: Final = Unavailable("one-time", "All measurements are of one moment, so there is no slope.")
TOO_MANY: Final = Unavailable("too-many", "There are more measurements than are compared in pairs.")
NO_START: Final = Unavailable(
    "no-start-of-care", "No session and no episode is recorded, so nothing divides the series in before and after."
)
NONE_BEFORE: Final = Unavailable("none-before", "There is no usable measurement from before care started.")
NONE_AFTER: Final = Unavailable("none-after", "There is no usable measurement from after care started.")
SHORT_BASELINE: Final = Unavailable(
    "short-baseline", "A trend before care is corrected for from five measurements before it on."
)
_REASONS: Final = {each.code: each for each in (ONE_TIME, TOO_MANY, NONE_BEFORE, NONE_AFTER, SHORT_BASELINE)}


@dataclass(frozen=True, slots=True)
class Start:
    """The moment that divides a series in before (A) and after (B): what was answered before it is A.

    ``by`` is what it was taken from. Of a session it is the time at which it began. Of an episode without a session it
    is the end of its first day (UTC): nothing of the therapy can have worked in what was answered on that day.
    """

    at: datetime
    by: Literal["session", "episode"]

    @classmethod
    def of(cls, started_on: date, first_session: datetime | None) -> Start:
        """Of an episode: its first session that was held, else its first day."""
        if first_session is not None:
            return cls(first_session, "session")
        return cls(datetime.combine(started_on + timedelta(days=1), time(0), UTC), "episode")


def described(progress: Progress, start: Start | None = None) -> dict[str, Any]:
    """Trend, non-overlap and milestones of a series.

    Parameters
    ----------
    progress
        The series. Trend and milestones are of what is used from its baseline on, non-overlap of all that is used.
    start
        When care started, where that is known.
    """
    used = [point for point in progress.points if point["used"]]
    seconds = np.array([point["answered_at"].timestamp() for point in used])
    values = np.array([point["value"] for point in used], np.float64)
    first = milestones.baseline_among(progress, used)
    points = used[first:]
    whole = Series((seconds - seconds[first]) / WEEK if used else seconds, values)
    return {
        "trend": _trend(progress, points, whole.part(first, whole.n, 1) if first else whole),
        "non_overlap": _non_overlap(progress, start, whole, int(np.count_nonzero(seconds < _moment(start)))),
        "milestones": milestones.described(progress, points),
    }


def _moment(start: Start | None) -> float:
    return 0.0 if start is None else start.at.timestamp()


def _trend(progress: Progress, points: Sequence[Point], series: Series) -> dict[str, Any]:
    """The slope of the points from the baseline on, in points of the scale per week."""
    if len(points) < 2:
        return (ONE_MEASUREMENT if points else NO_MEASUREMENT).document
    times = series.times
    if times[-1] == 0:
        return ONE_TIME.document
    line = series.least_squares(CONFIDENCE)
    try:
        robust, test = _theil_sen(series.theil_sen(CONFIDENCE), len(points)), _kendall(series.kendall())
    except NotComputable as error:
        robust = test = _REASONS[error.reason].document
    return {
        "available": True,
        "n": len(points),
        "since": points[0]["answered_at"],
        "until": points[-1]["answered_at"],
        "weeks": float(times[-1]),
        "confidence": CONFIDENCE,
        "theil_sen": robust,
        "least_squares": _least_squares(line),
        "next": _next(progress, line, times, points[0]["answered_at"]),
        "kendall": test,
        "direction": _direction(progress, robust),
    }


def _theil_sen(found: TheilSen, n: int) -> dict[str, Any]:
    return {
        "available": True,
        "slope": found.slope,
        # of two measurements there is one slope: an interval of it would be a point, and say that it is certain
        "low": found.low if n > 2 else None,
        "high": found.high if n > 2 else None,
        "level_reached": found.level_reached,
        "intercept": found.intercept,
        "intercept_definition": "median(y - slope * t)",
        "pairs": found.pairs,
    }


def _least_squares(line: LeastSquares) -> dict[str, Any]:
    return {
        "slope": line.slope,
        "low": line.low,
        "high": line.high,
        "standard_error": line.standard_error,
        "intercept": line.intercept,
        "residual_sd": line.residual_sd,
        "r_squared": line.r_squared if line.n > 2 else None,  # two always lie on their line
    }


def _next(progress: Progress, line: LeastSquares, times: Floats, since: datetime) -> dict[str, Any] | None:
    """One more measurement, after the usual distance between them; None where the line has no error."""
    ahead = float(times[-1]) + middle(np.sort(times[1:] - times[:-1]))
    found = line.predict(ahead)
    if found is None:
        return None
    return {
        "at": since + timedelta(weeks=ahead),
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "outside_scale": not progress.figures.minimum <= found.value <= progress.figures.maximum,
    }


def _kendall(found: Kendall) -> dict[str, Any]:
    return {
        "available": True,
        "tau_b": found.tau_b,
        "s": found.s,
        "z": found.z,
        "p_value": found.p_value,
        "p_method": found.p_method,
    }


def _direction(progress: Progress, robust: dict[str, Any]) -> str | None:
    """Better or worse where the whole interval of the Theil-Sen slope is; else not distinguishable.

    An interval that is not of the level says nothing: of three measurements without any trend every third series rises
    or falls throughout, of four every twelfth.
    """
    low, high = robust.get("low"), robust.get("high")
    if progress.figures.higher_is == "neither" or low is None or high is None:
        return None
    if low <= 0 <= high or not robust["level_reached"]:
        return "not-distinguishable"
    return "better" if (low > 0) == (progress.figures.higher_is == "better") else "worse"


def _non_overlap(progress: Progress, start: Start | None, whole: Series, m: int) -> dict[str, Any]:
    """How much what was answered after the start of care differs from the ``m`` that were answered before it."""
    higher_is = progress.figures.higher_is
    if higher_is == "neither":
        return NO_DIRECTION.document
    if start is None:
        return NO_START.document
    if not whole.n:
        return NO_MEASUREMENT.document
    try:
        phases = Phases.within(whole, m, higher_is)
    except NotComputable as error:
        return _REASONS[error.reason].document
    found = phases.overlap(CONFIDENCE)
    return {
        "available": True,
        "start": {"at": start.at, "by": start.by},
        "before": m,
        "after": whole.n - m,
        "confidence": CONFIDENCE,
        "nap": _nap(found.nap),
        "tau": {"value": found.tau, "low": found.tau_low, "high": found.tau_high},
        "tau_u": [
            {"variant": variant, "formula": FORMULAS[variant], "value": value} for variant, value in found.tau_u.items()
        ],
        "baseline_corrected": _corrected(phases, higher_is),
    }


def _nap(found: Nap) -> dict[str, Any]:
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "standard_errors": {"unbiased": found.unbiased, "hanley": found.hanley, "null": found.null},
    }


def _corrected(phases: Phases, higher_is: HigherIs) -> dict[str, Any]:
    try:
        found = phases.corrected()
    except NotComputable as error:
        return _REASONS[error.reason].document
    return {
        "available": True,
        "method": "tarlow-2017",
        "value": found.value,
        "standard_error": found.standard_error,
        "slope_before": direction(higher_is) * found.slope,
    }
