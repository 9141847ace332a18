"""Whom a reference holds for: by format and modality of the care, and by where the first score lies."""

from __future__ import annotations

from typing import Final

from instruments.schema import Instrument
from scoring.plan import plan_of

STRATA: Final = ("format", "modality", "severity")
"""By what a reference may be narrowed, the one that counts most first."""


def severity(instrument: Instrument, variant: str, scale_id: str, value: float) -> str | None:
    """The label of the definition's band that a value lies in; None where the scale has no such band.

    Raises
    ------
    KeyError
        The instrument has no such scale.
    """
    scale = next((one for one in plan_of(instrument, variant).scales if one.id == scale_id), None)
    if scale is None:
        raise KeyError(scale_id)
    return scale.band(round(value * scale.denominator))


def severities(instrument: Instrument, variant: str, scale_id: str) -> tuple[str, ...]:
    """The labels that there are, lowest first."""
    scale = next((one for one in plan_of(instrument, variant).scales if one.id == scale_id), None)
    return () if scale is None else tuple(band.label for band in scale.bands)
