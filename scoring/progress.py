"""Progress of one person on one scale: the series, change, how sure it is, and what became of the person.

By default Jacobson and Truax's reliable change with the parameters of the definition; the formulas are those of
:mod:`scoring.change`, :mod:`scoring.change_methods` and :mod:`scoring.cutoffs`. Which figures a scale has, and where
they come from, is worked out once for a definition by :mod:`scoring.progress_figures`. Nothing is guessed: what a
definition has no figure for is ``available: False`` with a code and a sentence.

References
----------
Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from operator import itemgetter
from typing import Any, Final, Literal

from instruments.schema import Instrument
from scoring import change_amounts
from scoring.cutoffs import is_clinical, is_functional
from scoring.progress_figures import Figures, figures
from scoring.progress_points import (
    FIRST,
    NO_MEASUREMENT,
    NOTHING_AFTER,
    ONE_MEASUREMENT,
    REASONS,
    Baseline,
    Change,
    Measurement,
    Point,
    Reason,
    change_between,
    place_of_baseline,
    points_of,
    reason_of,
    rows_of,
    usual_variant,
)
from scoring.reliable import NO_DIRECTION, ProgressMethod, PublishedChange, Unavailable

__all__ = [
    "FIRST",
    "NO_MEASUREMENT",
    "ONE_MEASUREMENT",
    "PARTS",
    "REASONS",
    "Band",
    "Baseline",
    "Change",
    "Measurement",
    "Point",
    "Progress",
    "Reason",
    "Side",
    "progress",
    "usual_variant",
]

Side = Literal["clinical", "functional", "on-cutoff"]
PARTS: Final = ("points", "trend", "expected")
"""Parts of a series' document that can be left out of it."""


@dataclass(frozen=True)
class Band:
    """Scores that do not differ reliably from what the baseline makes expected, in points, cut off at the scale's ends.

    By Jacobson and Truax's method, and by a published amount, the baseline itself is what is expected.

    ``can_improve`` and ``can_worsen`` say whether the scale goes on beyond the band (as far as its edge, where a
    published amount has only to be reached): from a baseline near an end of the scale no score could be a reliable
    change.
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
        middle = reliable.expected(baseline["value"])
        low, high = middle - reliable.threshold, middle + reliable.threshold
        if isinstance(reliable, PublishedChange):  # its edge has to be reached, not exceeded
            low, high = round(low, 10), round(high, 10)
            below, above = low >= self.figures.minimum, high <= self.figures.maximum
        else:
            below, above = low > self.figures.minimum, high < self.figures.maximum
        better_above = self.figures.higher_is == "better"
        return Band(
            max(low, self.figures.minimum),
            min(high, self.figures.maximum),
            can_improve=above if better_above else below,
            can_worsen=below if better_above else above,
        )

    @property
    def detectable_change(self) -> dict[str, Any]:
        """The smallest changes outside measurement error, as plain data."""
        found: dict[str, Any] = self.figures.document["detectable_change"]
        return found

    @cached_property
    def minimal_change(self) -> dict[str, Any]:
        """Whether the change from the baseline reaches the published minimal important ones, as plain data."""
        if self.figures.higher_is == "neither":
            return NO_DIRECTION.document
        change, baseline = self.from_baseline, self.baseline
        return change_amounts.minimal_change(
            self.figures.amounts,
            None if baseline is None else baseline["value"],
            None if isinstance(change, Unavailable) else change.benefit,
        )

    @cached_property
    def percentage(self) -> dict[str, Any]:
        """The change from the baseline in percent, the scale's lowest score subtracted first, as plain data."""
        change, baseline = self.from_baseline, self.baseline
        if isinstance(change, Unavailable) or baseline is None or baseline["value"] is None:
            return change.document if isinstance(change, Unavailable) else NO_MEASUREMENT.document
        return change_amounts.percentage(baseline["value"], change.points, self.figures.minimum)

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

    def document(self, parts: Collection[str] = PARTS) -> dict[str, Any]:
        """As plain data; times and ids as they are. ``points`` are None where they are not among the parts."""
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
            "minimal_change": self.minimal_change,
            "percentage": self.percentage,
            "left_out": [
                {"reason": reason, "measurements": count, "detail": REASONS[reason]}
                for reason, count in self.left_out.items()
            ],
            "points": self.points if "points" in parts else None,
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
    method: ProgressMethod | None = None,
    baseline: Baseline | Unavailable = FIRST,
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
    method
        Of reliable change; by default the published amount that the variant is tied to, else Jacobson and Truax's.
    baseline
        The measurement that change is measured from; or why there is none.

    Returns
    -------
    Progress
        With every measurement in ``points``. The baseline is the first one used, unless one is chosen.

    Raises
    ------
    KeyError
        The instrument has no such scale, or the scale no such sample.
    """
    ordered = sorted(measurements, key=itemgetter(0, 1, 2))
    comparable = (instrument.version,) if versions is None else versions
    if variant is None:
        variant = usual_variant(instrument, ordered, comparable)
    known = figures(instrument, scale_id, variant, norm=norm, method=method)
    known_variants = instrument.variant_ids if variant in instrument.variant_ids else ()
    alike = {variant, *(other for other in known_variants if instrument.scored_alike(variant, other))}
    reasons = [reason_of(m, comparable, alike) for m in ordered]
    used = [m.value for m, reason in zip(ordered, reasons, strict=True) if reason is None and m.value is not None]
    place = place_of_baseline(baseline, ordered, reasons)
    first = None if isinstance(place, Unavailable) else place
    rows, from_previous = rows_of(used, first, known)
    points = points_of(ordered, reasons, iter(rows))
    usable = [point for point in points if point["used"]]
    made = partial(Progress, instrument, known, variant, points)
    if not usable:
        return made(None, None, NO_MEASUREMENT, NO_MEASUREMENT)
    start, last = None if first is None else usable[first], usable[-1]
    if len(usable) == 1:
        return made(start, last, place if isinstance(place, Unavailable) else ONE_MEASUREMENT, ONE_MEASUREMENT)
    since_previous = change_between(usable[-2], last, from_previous, known)
    if isinstance(place, Unavailable):
        return made(None, last, place, since_previous)
    if start is last or start is None:
        return made(start, last, NOTHING_AFTER, since_previous)
    return made(start, last, change_between(start, last, rows[-1], known), since_previous)
