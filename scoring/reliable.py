"""Measurement error and the change that must be exceeded, with their provenance: computed, or as published.

By default Jacobson and Truax's threshold, from the standard deviation and reliability that the definition gives for
progress. A definition may tie a published threshold to a variant: whoever asks for that variant is judged by it. A
method that expects regression to the mean takes that mean from a clinical sample that the definition or the caller
names; one that needs moments of a sample after treatment cannot be had for one person, as no norm has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np

from instruments.parts import ChangeThreshold, Norm, ProgressParameters, Sourced
from instruments.schema import Instrument
from scoring.change import (
    confidence_of_change,
    critical_value,
    minimal_detectable_change,
    reliable_change_index,
    reliable_change_threshold,
    standard_error_of_difference,
    standard_error_of_measurement,
)
from scoring.change_methods import edwards_nunnally, gulliksen_lord_novick, nunnally_kotsch
from scoring.cutoffs import Floats, HigherIs
from scoring.norms import NormChoice

Regressed = Literal["gulliksen-lord-novick", "edwards-nunnally", "nunnally-kotsch"]
"""Methods that expect regression to the mean of a sample before treatment."""
OfSample = Literal["hsu-linn-nord", "hageman-arrindell"]
"""Methods that need moments of a sample after treatment too."""
ProgressMethod = Literal["jacobson-truax", "published-threshold"] | Regressed | OfSample

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
NO_PUBLISHED: Final = Unavailable(
    "no-published-threshold", "The definition has no published amount of reliable change for this scale and variant."
)
NO_CLINICAL_SAMPLE: Final = Unavailable(
    "no-clinical-sample",
    "This method needs the mean of a clinical sample before treatment, and the definition names none for this scale; "
    "name one by norm.",
)
NO_MOMENTS_AFTER: Final = Unavailable(
    "no-moments-after",
    "This method needs the moments of a sample after treatment, which no norm gives; it is for files of many persons "
    "(fathomline change).",
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

    @cached_property
    def mdc_90(self) -> float:
        """The smallest change outside measurement error nine times of ten, in points."""
        return minimal_detectable_change(self.sd, self.reliability, confidence=0.90)

    @cached_property
    def mdc_95(self) -> float:
        """The same nineteen times of twenty."""
        return minimal_detectable_change(self.sd, self.reliability, confidence=0.95)

    def expected(self, before: float) -> float:
        """The score that a later one is held against: the earlier one itself."""
        return before

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
            "mean": None,
            "published": None,
            **provenance(given),
            "warnings": list(self.warnings),
        }


_FORMULAS: Final[dict[Regressed, str]] = {
    "gulliksen-lord-novick": "rci = ((last - mean) - reliability x (baseline - mean)) / (sd x sqrt(1 - reliability^2))",
    "edwards-nunnally": "rci = (last - (reliability x (baseline - mean) + mean)) / (sd x sqrt(1 - reliability))",
    "nunnally-kotsch": "rci = (last - (reliability x (baseline - mean) + mean)) "
    "/ (sd x sqrt(reliability^2 x (1 - reliability) + 1 - reliability))",
}
_INDEX: Final = {
    "gulliksen-lord-novick": gulliksen_lord_novick,
    "edwards-nunnally": edwards_nunnally,
    "nunnally-kotsch": nunnally_kotsch,
}


@dataclass(frozen=True)
class RegressedChange(ReliableChange):
    """A later score against the one that regression to the mean of a clinical sample makes expected.

    ``threshold`` is what the distance from the expected score must exceed, in points.
    """

    method: Regressed
    sample: Norm

    @cached_property
    def mean(self) -> float:
        """Of the clinical sample, in points."""
        return float(self.sample.mean or 0)

    @cached_property
    def threshold(self) -> float:
        """What the distance from the expected score must exceed."""
        r = self.reliability
        share = {
            "gulliksen-lord-novick": 1 - r**2,
            "edwards-nunnally": 1 - r,
            "nunnally-kotsch": r**2 * (1 - r) + (1 - r),
        }
        return self.critical * self.sd * math.sqrt(share[self.method])

    def expected(self, before: float) -> float:
        """Regression to the mean: ``mean + reliability x (before - mean)``."""
        return self.mean + self.reliability * (before - self.mean)

    def index(self, before: Floats, after: Floats) -> Floats:
        """The index of each pair by the method, with the moments of the sample."""
        return _INDEX[self.method](before, after, reliability=self.reliability, mean_pre=self.mean, sd_pre=self.sd)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data."""
        sample = self.sample
        mean = {"value": self.mean, "norm": sample.id, "sample": sample.sample, **provenance(sample)}
        # the threshold is known no better than the least known of what it rests on
        evidence = "memory" if "memory" in (self.given.evidence, sample.evidence) else "derived"
        return {
            **super().document,
            "method": self.method,
            "formula": _FORMULAS[self.method],
            "mean": mean,
            "evidence": evidence,
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

    def expected(self, before: float) -> float:
        """The score that a later one is held against: the earlier one itself."""
        return before

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
            "mean": None,
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
    method: ProgressMethod | None = None,
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
    method
        The one asked for; by default the published amount that the variant is tied to, else Jacobson and Truax's.
    """
    made = _made(instrument, scale_id, higher_is, variant, parameters, clinical, method)
    if isinstance(made, Unavailable):
        return made
    warnings: list[str] = []
    if isinstance(made, ReliableChange) and made.spread is not None and made.spread.sd != made.given.sd:
        warnings.append("reliability-of-another-sample")
    if isinstance(made, RegressedChange) and made.sample.sd is not None and float(made.sample.sd) != made.sd:
        warnings.append("mean-of-another-sample")
    farthest = bounds[1] - bounds[0]  # a published amount has to be reached, any other exceeded
    if made.threshold > farthest or (made.threshold == farthest and not isinstance(made, PublishedChange)):
        warnings.append("threshold-exceeds-scale")
    return replace(made, warnings=tuple(warnings))


def _made(
    instrument: Instrument,
    scale_id: str,
    higher_is: HigherIs,
    variant: str,
    parameters: ProgressParameters | None,
    clinical: NormChoice | None,
    method: ProgressMethod | None,
) -> ReliableChange | PublishedChange | Unavailable:
    if method in (None, PUBLISHED):
        published = _published(instrument, scale_id, variant, any_variant=method == PUBLISHED)
        if published is not None:
            return PublishedChange(higher_is, published, ())
        if method == PUBLISHED:
            return NO_PUBLISHED
    if method in get_args(OfSample):
        return NO_MOMENTS_AFTER
    if parameters is None:
        return NO_PARAMETERS
    asked = clinical.norm if clinical is not None and clinical.by == "caller" else None
    if method is None or method == METHOD:
        return ReliableChange(higher_is, parameters, asked, ())
    if clinical is None or clinical.by == "rule":
        return NO_CLINICAL_SAMPLE
    return RegressedChange(higher_is, parameters, asked, (), method, clinical.norm)  # type: ignore[arg-type]  # what is left


def _published(instrument: Instrument, scale_id: str, variant: str, *, any_variant: bool) -> ChangeThreshold | None:
    """The published amount that a variant is tied to; or, of any that holds under it, the best known."""
    amounts = [
        c
        for c in instrument.changes
        if c.scale == scale_id and c.kind == "reliable-change" and c.evidence != "derived" and c.holds_under(variant)
    ]
    tied = [c for c in amounts if c.variants]
    if not any_variant:
        return tied[0] if tied else None
    return min(amounts, key=lambda c: (not c.variants, c.evidence == "memory"), default=None)
