"""What was to be expected of a client's series: by the reference that fits the care and the first score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from api.progress.repository import Episode
from api.references.active import References
from instruments import Instrument
from scoring.growth import expected
from scoring.growth.reference import Reference
from scoring.growth.stratum import severity
from scoring.progress import Progress
from scoring.reliable import Unavailable


def care_of(episodes: Sequence[Episode], asked: str | None) -> Episode | None:
    """The episode whose format and modality count: the one that was asked for, else the newest that is open."""
    if asked is not None:
        return next((one for one in episodes if one.id == asked), None)
    return next((one for one in reversed(episodes) if one.ended_on is None), episodes[-1] if episodes else None)


class Care(Protocol):
    """How somebody is treated, as far as references differ by it."""

    @property
    def format(self) -> str | None:
        """Individual, couple, group; None where it is not known or does not matter."""

    @property
    def modality(self) -> str | None:
        """In person or not; None likewise."""


def reference_for(
    references: References, instrument: Instrument, variant: str, scale: str, care: Care | None, severity: str | None
) -> Reference | Unavailable:
    """What a course on a scale is held against: by the care, and by the band in which the first score lies."""
    return references.find(
        instrument.code,
        instrument.version,
        variant,
        scale,
        format=None if care is None else care.format,
        modality=None if care is None else care.modality,
        severity=severity,
    )


def expected_of(one: Progress, references: References, care: Care | None) -> dict[str, Any]:
    """The part `expected` of a series' document."""
    scale, baseline = one.figures.scale.id, one.baseline
    label = None
    if baseline is not None and baseline["value"] is not None:
        label = severity(one.instrument, one.variant, scale, baseline["value"])
    return expected(one, reference_for(references, one.instrument, one.variant, scale, care, label))
