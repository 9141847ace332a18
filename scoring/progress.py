"""Progress of one person on one scale: the series, change, how sure it is, and what became of the person.

Jacobson and Truax's reliable change with the parameters of the definition; the formulas are those of
:mod:`scoring.change` and :mod:`scoring.cutoffs`. Which figures a scale has, and where they come from, is worked out
once for a definition by :mod:`scoring.progress_figures`. Nothing is guessed: what a definition has no figure for is
``available: False`` with a code and a sentence.

References
----------
Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, TypedDict

import numpy as np

from instruments.schema import Instrument
from scoring.change import change_category
from scoring.cutoffs import Floats, is_clinical, is_functional
from scoring.progress_figures import Figures, figures
from scoring.reliable import PublishedChange, ReliableChange, Unavailable

Reason = Literal["no-value", "validity-rule-failed", "other-version", "other-variant"]
Side = Literal["clinical", "functional", "on-cutoff"]

REASONS: Final[dict[Reason, str]] = {
    "no-value": "Too little was answered, or the scale does not apply, so there is no score.",
    "validity-rule-failed": "A validity rule of the instrument says that the score does not mean what it seems to.",
    "other-version": "Scored by another version of the definition, which is not declared comparable.",
    "other-variant": "Scored by another variant of the instrument.",
}
"""Why a measurement is shown but not used for change. The first that holds is given."""

NO_MEASUREMENT: Final = Unavailable("no-measurement", "There is no measurement that can be used.")
ONE_MEASUREMENT: Final = Unavailable("one-measurement", "There is one usable measurement; change needs two.")


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

    They are None on the baseline too, except that nothing is left out of it: it is what the others are compared with.
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

    @property
    def direction(self) -> Literal["better", "worse", "same"] | None:
        """In words; None where the scale has no direction."""
        if self.benefit is None:
            return None
        return "same" if self.benefit == 0 else "better" if self.benefit > 0 else "worse"

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "since": self.since,
            "days": self.days,
            "points": self.points,
            "direction": self.direction,
            "rci": self.rci,
            "p_value": self.p_value,
            "category": self.category,
        }


@dataclass(frozen=True)
class Band:
    """Scores that do not differ reliably from the baseline, in points, cut off where the scale ends.

    ``can_improve`` and ``can_worsen`` say whether the scale goes on beyond the band: from a baseline near an end of the
    scale no score could be a reliable change.
    """

    low: float
    high: float
    can_improve: bool
    can_worsen: bool


@dataclass(frozen=True)
class Progress:
    """The series of one scale and what it says; made by :func:`progress`."""

    instrument: Instrument
    figures: Figures
    variant: str
    points: list[Point]
    baseline: Point | None
    last: Point | None
    from_baseline: Change | Unavailable
    from_previous: Change | Unavailable

    @cached_property
    def band(self) -> Band | None:
        """Around the baseline; None without a baseline or without parameters."""
        reliable, baseline = self.figures.reliable_change, self.baseline
        if baseline is None or baseline["value"] is None or isinstance(reliable, Unavailable):
            return None
        low, high = baseline["value"] - reliable.threshold, baseline["value"] + reliable.threshold
        below, above = low > self.figures.minimum, high < self.figures.maximum
        better_above = self.figures.higher_is == "better"
        return Band(
            max(low, self.figures.minimum),
            min(high, self.figures.maximum),
            can_improve=above if better_above else below,
            can_worsen=below if better_above else above,
        )

    @cached_property
    def left_out(self) -> dict[Reason, int]:
        """How many measurements are not used, by reason."""
        found: dict[Reason, int] = {}
        for point in self.points:
            if (reason := point["reason"]) is not None:
                found[reason] = found.get(reason, 0) + 1
        return found

    def side(self, point: Point | None) -> Side | None:
        """The side of the deciding cutoff that a point lies on; None without either."""
        cutoff = self.figures.deciding
        if point is None or point["value"] is None or cutoff is None or self.figures.higher_is == "neither":
            return None
        where = {"higher_is": self.figures.higher_is, "on_cutoff": cutoff.on_cutoff}
        if is_clinical(point["value"], cutoff.value, **where).item():  # type: ignore[arg-type]  # both are literals
            return "clinical"
        return "functional" if is_functional(point["value"], cutoff.value, **where).item() else "on-cutoff"  # type: ignore[arg-type]  # as above

    def document(self) -> dict[str, Any]:
        """As plain data; times and ids as they are."""
        band = self.band
        return {
            "instrument": self.instrument.code,
            "instrument_name": self.instrument.name,
            "version": self.instrument.version,
            "variant": self.variant,
            **self.figures.document,
            "band": None
            if band is None
            else {"low": band.low, "high": band.high, "can_improve": band.can_improve, "can_worsen": band.can_worsen},
            "baseline": self._extreme(self.baseline),
            "last": self._extreme(self.last),
            "change": {
                "from_baseline": _change_document(self.from_baseline),
                "from_previous": _change_document(self.from_previous),
            },
            "left_out": [
                {"reason": reason, "measurements": count, "detail": REASONS[reason]}
                for reason, count in self.left_out.items()
            ],
            "points": self.points,
        }

    def _extreme(self, point: Point | None) -> dict[str, Any] | None:
        if point is None:
            return None
        return {
            "response_id": point["response_id"],
            "answered_at": point["answered_at"],
            "value": point["value"],
            "side": self.side(point),
        }


def _change_document(change: Change | Unavailable) -> dict[str, Any]:
    return change.document if isinstance(change, Unavailable) else {"available": True, **change.document()}


def progress(
    instrument: Instrument,
    scale_id: str,
    measurements: Iterable[Measurement],
    *,
    variant: str | None = None,
    versions: Collection[int] | None = None,
    norm: str | None = None,
) -> Progress:
    """The progress of one person on one scale.

    Parameters
    ----------
    instrument
        The definition that figures are taken from.
    scale_id
        One of its scales.
    measurements
        All of the person's, in any order. They are put in order of ``answered_at``, then ``recorded_at``, then id.
    variant
        The one whose scores are compared and whose figures they are judged by; by default that of the newest
        measurement that could be used. Scores of variants that only read them differently are compared as well.
    versions
        Versions of the definition whose scores are comparable; by default that of ``instrument`` alone.
    norm
        Id of a sample to hold the person against, in place of the one that would be.

    Returns
    -------
    Progress
        With every measurement in ``points``. The baseline is the first one used.

    Raises
    ------
    KeyError
        The instrument has no such scale, or the scale no such sample.
    """
    ordered = sorted(measurements, key=itemgetter(0, 1, 2))
    comparable = (instrument.version,) if versions is None else versions
    if variant is None:
        variant = usual_variant(instrument, ordered, comparable)
    known = figures(instrument, scale_id, variant, norm=norm)
    known_variants = instrument.variant_ids if variant in instrument.variant_ids else ()
    alike = {variant, *(other for other in known_variants if instrument.scored_alike(variant, other))}
    reasons = [_reason(m, comparable, alike) for m in ordered]
    used = [m.value for m, reason in zip(ordered, reasons, strict=True) if reason is None and m.value is not None]
    rows, from_previous = _rows(used, known)
    points = _points(ordered, reasons, iter(rows))
    usable = [point for point in points if point["used"]]
    made = partial(Progress, instrument, known, variant, points)
    if not usable:
        return made(None, None, NO_MEASUREMENT, NO_MEASUREMENT)
    baseline, last = usable[0], usable[-1]
    if len(usable) == 1:
        return made(baseline, last, ONE_MEASUREMENT, ONE_MEASUREMENT)
    return made(
        baseline,
        last,
        _change(baseline, last, rows[-1], known.higher_is),
        _change(usable[-2], last, from_previous, known.higher_is),
    )


def usual_variant(instrument: Instrument, measurements: Iterable[Measurement], versions: Collection[int]) -> str:
    """The variant to judge by where none is asked for: that of the newest usable measurement, else the default."""
    usable = [m for m in measurements if m.value is not None and m.valid and m.version in versions]
    return max(usable, key=itemgetter(0, 1, 2)).variant if usable else instrument.variant_ids[0]


def _reason(m: Measurement, comparable: Collection[int], variants: Collection[str]) -> Reason | None:
    if m.value is None:
        return "no-value"
    if not m.valid:
        return "validity-rule-failed"
    if m.version not in comparable:
        return "other-version"
    return None if m.variant in variants else "other-variant"


Row = tuple[float | None, float | None, float | None, float | None, str | None]
NOTHING: Final[Row] = (None, None, None, None, None)


def _rows(values: Sequence[float], known: Figures) -> tuple[list[Row], Row]:
    """Change from the first, change from the one before, index, p and category of each value; nothing for the first.

    And the same of the last value with the one before it in the place of the first.
    """
    if len(values) < 2:
        return [NOTHING] * len(values), NOTHING
    series = np.asarray(values, np.float64)
    # Scores are finite decimals; rounding takes away what their binary form adds to a difference, and nothing else.
    change = (series - series[0]).round(10).tolist()
    previous = (series[1:] - series[:-1]).round(10).tolist()
    reliable = known.reliable_change
    if isinstance(reliable, Unavailable):
        index = p_value = category = [None] * (len(values) + 1)
    else:
        before, after = np.full(len(values) + 1, series[0]), np.append(series, series[-1])
        before[-1] = series[-2]
        index, p_value, category = _tested(before, after, reliable, known)
    rows = list(zip(change[1:], previous, index[1:-1], p_value[1:-1], category[1:-1], strict=True))
    return [NOTHING, *rows], (previous[-1], previous[-1], index[-1], p_value[-1], category[-1])


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


def _points(ordered: Sequence[Measurement], reasons: Sequence[Reason | None], rows: Iterator[Row]) -> list[Point]:
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


def _change(since: Point, last: Point, row: Row, higher_is: Literal["better", "worse", "neither"]) -> Change:
    points, _, rci, p_value, category = row
    benefit = None if points is None or higher_is == "neither" else points if higher_is == "better" else -points
    days = (last["answered_at"] - since["answered_at"]).total_seconds() / 86_400
    return Change(since["answered_at"], days, points or 0.0, benefit, rci, p_value, category)
