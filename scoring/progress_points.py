"""The measurements of a series, which of them are used, and what each says against the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, TypedDict

import numpy as np

from instruments.schema import Instrument
from scoring.change import change_category
from scoring.cutoffs import Floats
from scoring.progress_figures import Figures
from scoring.reliable import PublishedChange, ReliableChange, Unavailable

Reason = Literal["no-value", "validity-rule-failed", "other-version", "other-variant"]

REASONS: Final[dict[Reason, str]] = {
    "no-value": "Too little was answered, or the scale does not apply, so there is no score.",
    "validity-rule-failed": "A validity rule of the instrument says that the score does not mean what it seems to.",
    "other-version": "Scored by another version of the definition, which is not declared comparable.",
    "other-variant": "Scored by another variant of the instrument.",
}
"""Why a measurement is shown but not used for change. The first that holds is given."""

NO_MEASUREMENT: Final = Unavailable("no-measurement", "There is no measurement that can be used.")
ONE_MEASUREMENT: Final = Unavailable("one-measurement", "There is one usable measurement; change needs two.")
NONE_BEFORE_EPISODE: Final = Unavailable(
    "no-measurement-before-episode", "There is no measurement from before the episode that can be used."
)
NOTHING_AFTER: Final = Unavailable(
    "nothing-after-baseline", "The baseline is the newest measurement that can be used; there is nothing to compare."
)
BASELINE_WITHOUT_SCORE: Final = Unavailable(
    "baseline-without-score", "The response that is to be the baseline has no measurement on this scale."
)
BASELINE_NOT_USED: Final = {
    reason: Unavailable("baseline-not-used", f"The measurement that is to be the baseline is not used. {why}")
    for reason, why in REASONS.items()
}


class Measurement(NamedTuple):
    """One scale of one response, as it was stored. ``value`` is in points, None where the status says so."""

    answered_at: datetime
    recorded_at: datetime
    response_id: str
    version: int
    variant: str
    value: float | None
    status: str
    valid: bool
    amended: bool = False
    """Whether it was put right after it had been recorded."""
    episode_id: str | None = None
    """The course of therapy that it belongs to; None outside any."""


class Point(TypedDict):
    """One measurement and what it says against the baseline; the last five are None where it is not used.

    They are None on the baseline and before it too, except that nothing is left out of it: it is what the others are
    compared with.
    """

    response_id: str
    answered_at: datetime
    version: int
    variant: str
    value: float | None
    status: str
    amended: bool
    episode_id: str | None
    used: bool
    reason: Reason | None
    change: float | None
    change_from_previous: float | None
    rci: float | None
    p_value: float | None
    category: str | None


@dataclass(frozen=True)
class Baseline:
    """Which measurement change is measured from: the first that is used, unless one is chosen.

    ``response_id``: that response's. ``before``: the last used one that was answered before this moment and does not
    belong to ``episode_id``.
    """

    response_id: str | None = None
    before: datetime | None = None
    episode_id: str | None = None


FIRST: Final = Baseline()


@dataclass(frozen=True)
class Change:
    """The last usable measurement against an earlier one.

    ``points`` is last minus earlier in points of the scale; ``benefit`` is the same with a positive sign where the
    person got better, None where the scale has no direction. ``rci``, ``p_value`` (two-sided: how often error alone
    gives a difference at least as large) and ``category`` are None where the scale has no parameters.
    """

    since: datetime
    days: float
    points: float
    benefit: float | None
    rci: float | None
    p_value: float | None
    category: str | None
    error: ReliableChange | None = None
    """Measurement error of the scale; None where it is not known."""

    @property
    def direction(self) -> Literal["better", "worse", "same"] | None:
        """In words; None where the scale has no direction."""
        if self.benefit is None:
            return None
        return "same" if self.benefit == 0 else "better" if self.benefit > 0 else "worse"

    @property
    def probability(self) -> float | None:
        """How sure the change is, one-sided: Phi(\\|rci\\|), from 0.5 for none towards 1."""
        return None if self.p_value is None else 1 - self.p_value / 2

    def document(self) -> dict[str, Any]:
        """As plain data."""
        error, size = self.error, abs(self.points)
        return {
            "since": self.since,
            "days": self.days,
            "points": self.points,
            "direction": self.direction,
            "rci": self.rci,
            "p_value": self.p_value,
            "probability": self.probability,
            "beyond_mdc_90": None if error is None else size > error.mdc_90,
            "beyond_mdc_95": None if error is None else size > error.mdc_95,
            "category": self.category,
        }


def usual_variant(instrument: Instrument, measurements: Iterable[Measurement], versions: Collection[int]) -> str:
    """The variant to judge by where none is asked for: that of the newest usable measurement, else the default."""
    usable = [m for m in measurements if m.value is not None and m.valid and m.version in versions]
    return max(usable, key=itemgetter(0, 1, 2)).variant if usable else instrument.variant_ids[0]


def reason_of(m: Measurement, comparable: Collection[int], variants: Collection[str]) -> Reason | None:
    """Why a measurement is not used; None where it is."""
    if m.value is None:
        return "no-value"
    if not m.valid:
        return "validity-rule-failed"
    if m.version not in comparable:
        return "other-version"
    return None if m.variant in variants else "other-variant"


def place_of_baseline(
    chosen: Baseline | Unavailable, ordered: Sequence[Measurement], reasons: Sequence[Reason | None]
) -> int | Unavailable:
    """The place of the baseline among the measurements that are used, or why there is none."""
    if isinstance(chosen, Unavailable):
        return chosen
    if chosen == FIRST:
        return 0 if None in reasons else NO_MEASUREMENT
    used = [m for m, reason in zip(ordered, reasons, strict=True) if reason is None]
    if chosen.response_id is not None:
        for m, reason in zip(ordered, reasons, strict=True):
            if m.response_id == chosen.response_id:
                return used.index(m) if reason is None else BASELINE_NOT_USED[reason]
        return BASELINE_WITHOUT_SCORE
    earlier = [
        place
        for place, m in enumerate(used)
        if (chosen.before is None or m.answered_at < chosen.before)
        and (m.episode_id is None or m.episode_id != chosen.episode_id)
    ]
    return earlier[-1] if earlier else NONE_BEFORE_EPISODE


Row = tuple[float | None, float | None, float | None, float | None, str | None]
NOTHING: Final[Row] = (None, None, None, None, None)


def rows_of(values: Sequence[float], first: int | None, known: Figures) -> tuple[list[Row], Row]:
    """Change from the baseline, change from the one before, index, p and category of each value.

    Nothing for the baseline, at place ``first``, and what lies before it; nothing at all without one. And the same of
    the last value with the one before it in the place of the baseline.
    """
    count = len(values)
    if count < 2:
        return [NOTHING] * count, NOTHING
    series = np.asarray(values, np.float64)
    start = count if first is None else first + 1
    before = np.full(count - start + 1, 0.0 if first is None else series[first])
    before[-1] = series[-2]
    after = np.append(series[start:], series[-1])
    # Scores are finite decimals; rounding takes away what their binary form adds to a difference, and nothing else.
    change = (after - before).round(10).tolist()
    previous = (series[start:] - series[start - 1 : -1]).round(10).tolist()
    reliable = known.reliable_change
    if isinstance(reliable, Unavailable):
        index = p_value = category = [None] * len(change)
    else:
        index, p_value, category = _tested(before, after, reliable, known)
    rows = list(zip(change[:-1], previous, index[:-1], p_value[:-1], category[:-1], strict=True))
    return [NOTHING] * start + rows, (change[-1], change[-1], index[-1], p_value[-1], category[-1])


def _tested(
    before: Floats, after: Floats, reliable: ReliableChange | PublishedChange, known: Figures
) -> tuple[list[Any], list[Any], list[Any]]:
    rci = reliable.index(before, after)
    cutoff = known.deciding
    category = change_category(
        before,
        after,
        rci,
        higher_is=reliable.higher_is,
        critical=reliable.critical,
        cutoff=None if cutoff is None else cutoff.value,
        on_cutoff="neither" if cutoff is None else cutoff.on_cutoff,
    )
    # `_value_` is what `value` gives, without a descriptor written in Python: this runs for every point
    told = rci.tolist() if isinstance(reliable, ReliableChange) else [None] * len(rci)
    return told, reliable.probability(rci), [c._value_ for c in category.tolist()]


def points_of(ordered: Sequence[Measurement], reasons: Sequence[Reason | None], rows: Iterator[Row]) -> list[Point]:
    """Each measurement with its row, which only those have that are used."""
    points: list[Point] = []
    for m, reason in zip(ordered, reasons, strict=True):
        change, previous, rci, p_value, category = next(rows) if reason is None else NOTHING
        points.append(
            {
                "response_id": m.response_id,
                "answered_at": m.answered_at,
                "version": m.version,
                "variant": m.variant,
                "value": m.value,
                "status": m.status,
                "amended": m.amended,
                "episode_id": m.episode_id,
                "used": reason is None,
                "reason": reason,
                "change": change,
                "change_from_previous": previous,
                "rci": rci,
                "p_value": p_value,
                "category": category,
            }
        )
    return points


def change_between(since: Point, last: Point, row: Row, known: Figures) -> Change:
    """A row as a change from one measurement to the last."""
    points, _, rci, p_value, category = row
    higher_is = known.higher_is
    benefit = None if points is None or higher_is == "neither" else points if higher_is == "better" else -points
    days = (last["answered_at"] - since["answered_at"]).total_seconds() / 86_400
    error = known.error if isinstance(known.error, ReliableChange) else None
    return Change(since["answered_at"], days, points or 0.0, benefit, rci, p_value, category, error)
