"""What was to be expected of a client's series: by the reference that fits the care and the first score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.progress.repository import Episode
from api.references.active import References
from scoring.growth import expected
from scoring.growth.stratum import severity
from scoring.progress import Progress


def care_of(episodes: Sequence[Episode], asked: str | None) -> Episode | None:
    """The episode whose format and modality count: the one that was asked for, else the newest that is open."""
    if asked is not None:
        return next((one for one in episodes if one.id == asked), None)
    return next((one for one in reversed(episodes) if one.ended_on is None), episodes[-1] if episodes else None)


def expected_of(one: Progress, references: References, care: Episode | None) -> dict[str, Any]:
    """The part `expected` of a series' document."""
    scale, baseline = one.figures.scale.id, one.baseline
    label = None
    if baseline is not None and baseline["value"] is not None:
        label = severity(one.instrument, one.variant, scale, baseline["value"])
    reference = references.find(
        one.instrument.code,
        one.instrument.version,
        one.variant,
        scale,
        format=None if care is None else care.format,
        modality=None if care is None else care.modality,
        severity=label,
    )
    return expected(one, reference)
