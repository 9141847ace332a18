"""Measurement error and the change that must be exceeded, with their provenance: computed, or as published.

By default Jacobson and Truax's threshold, from the standard deviation and reliability that the definition gives for
progress. A definition may tie a published threshold to a variant: whoever asks for that variant is judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from instruments.parts import ChangeThreshold, Norm, ProgressParameters, Sourced
from instruments.schema import Instrument
from scoring.change import (
    confidence_of_change,
    critical_value,
    reliable_change_index,
    reliable_change_threshold,
    standard_error_of_difference,
    standard_error_of_measurement,
)
from scoring.cutoffs import Floats, HigherIs
from scoring.norms import NormChoice

SIGNIFICANCE: Final = 0.05
METHOD: Final = "jacobson-truax"
PUBLISHED: Final = "published-threshold"


@dataclass(frozen=True)
class Unavailable:
    """A figure that is not there: a stable code and a sentence."""

    code: str
    detail: str

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"available": False, "code": self.code, "detail": self.detail}


NO_DIRECTION: Final = Unavailable(
    "no-direction", "On this scale higher is neither better nor worse, so there is no improvement to speak of."
)
NO_PARAMETERS: Final = Unavailable(
    "no-parameters",
    "The definition has no standard deviation with a fitting reliability for this scale, "
    "so measurement error cannot be told from change.",
)


def provenance(part: Sourced) -> dict[str, Any]:
    """Where a part of a definition comes from and how well that is known."""
    return {"source": part.source, "evidence": part.evidence, "note": part.note}


@dataclass(frozen=True)
class ReliableChange:
    """Measurement error and the change that must be exceeded, in points, two-sided at ``SIGNIFICANCE``.

    ``spread`` is a sample that a caller asked for, whose standard deviation takes the place of the definition's.
    """

    higher_is: HigherIs
    given: ProgressParameters
    spread: Norm | None
    warnings: tuple[str, ...]

    @cached_property
    def sd(self) -> float:
        """Standard deviation in points."""
        return float(self.given.sd if self.spread is None or self.spread.sd is None else self.spread.sd)

    @cached_property
    def reliability(self) -> float:
        """Reliability of the scale, 0..1."""
        return float(self.given.reliability)

    @cached_property
    def critical(self) -> float:
        """What the reliable change index must exceed."""
        return critical_value(SIGNIFICANCE)

    @cached_property
    def threshold(self) -> float:
        """What a change in points must exceed."""
        return reliable_change_threshold(self.sd, self.reliability, significance=SIGNIFICANCE)

    def index(self, before: Floats, after: Floats) -> Floats:
        """The reliable change index of each pair; a change is reliable beyond ``critical``."""
        return reliable_change_index(before, after, sd=self.sd, reliability=self.reliability)

    def probability(self, index: Floats) -> list[float | None]:
        """Two-sided: how often error alone gives a change at least as large."""
        found: list[float | None] = confidence_of_change(index).p_value.tolist()
        return found

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data."""
        given = self.given
        return {
            "available": True,
            "method": METHOD,
            "formula": "rci = (last - baseline) / (sd x sqrt(2 x (1 - reliability)))",
            "significance": SIGNIFICANCE,
            "critical": self.critical,
            "standard_error_of_measurement": standard_error_of_measurement(self.sd, self.reliability),
            "standard_error_of_difference": standard_error_of_difference(self.sd, self.reliability),
            "threshold": self.threshold,
            "sd": {"value": self.sd, "sample": given.sd_sample if self.spread is None else self.spread.sample},
            "reliability": {
                "value": self.reliability,
                "kind": given.reliability_kind,
                "sample": given.reliability_sample,
            },
            "published": None,
            **provenance(given),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class PublishedChange:
    """A published amount of change that counts as reliable when it is reached; there is no index and no probability."""

    higher_is: HigherIs
    given: ChangeThreshold
    warnings: tuple[str, ...]

    @property
    def threshold(self) -> float:
        """The change in points that has to be reached: of a range the larger end, which all of its samples support."""
        return float(self.given.value if self.given.upper is None else self.given.upper)

    @property
    def critical(self) -> float:
        """What :meth:`index` must exceed."""
        return 1.0

    def index(self, before: Floats, after: Floats) -> Floats:
        """Change in units just below the threshold, so that a change of exactly the threshold exceeds 1."""
        # scores are finite decimals; rounding takes away what their binary form adds to a difference
        index: Floats = (after - before).round(10) / np.nextafter(self.threshold, 0.0)
        return index

    def probability(self, index: Floats) -> list[float | None]:
        """Unknown for each: the publication gives an amount and no error."""
        return [None] * len(index)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "available": True,
            "method": PUBLISHED,
            "formula": "|last - baseline| >= threshold",
            "significance": None,
            "critical": None,
            "standard_error_of_measurement": None,
            "standard_error_of_difference": None,
            "threshold": self.threshold,
            "sd": None,
            "reliability": None,
            "published": {"id": self.given.id, "method": self.given.method},
            **provenance(self.given),
            "warnings": list(self.warnings),
        }


def reliable_change(
    instrument: Instrument,
    scale_id: str,
    higher_is: HigherIs,
    variant: str,
    parameters: ProgressParameters | None,
    clinical: NormChoice | None,
    bounds: tuple[float, float],
) -> ReliableChange | PublishedChange | Unavailable:
    """What tells a change on a scale that has a direction from measurement error.

    Parameters
    ----------
    parameters
        What the definition says of progress on the scale under the variant.
    clinical
        The clinical sample; where a caller chose it, its standard deviation is used.
    bounds
        Lowest and highest possible score, in points.
    """
    amounts = (c for c in instrument.changes if c.scale == scale_id and c.kind == "reliable-change")
    tied = (c for c in amounts if c.variants and c.evidence != "derived")
    published = next((c for c in tied if c.holds_under(variant)), None)
    made: ReliableChange | PublishedChange
    warnings: list[str] = []
    if published is not None:
        made = PublishedChange(higher_is, published, ())
    elif parameters is None:
        return NO_PARAMETERS
    else:
        asked = clinical.norm if clinical is not None and clinical.by == "caller" else None
        if asked is not None and asked.sd != parameters.sd:
            warnings.append("reliability-of-another-sample")
        made = ReliableChange(higher_is, parameters, asked, ())
    if made.threshold >= bounds[1] - bounds[0]:
        warnings.append("threshold-exceeds-scale")
    return replace(made, warnings=tuple(warnings))
