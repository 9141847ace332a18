"""The figures that progress on a scale rests on, with their provenance, worked out once for a definition.

Which cutoff decides the category, the first that there is of:

1. Jacobson and Truax's c, where the norms of both populations were read or derived;
2. the first published cutoff that was read, of those that are reported with every result;
3. c, where a norm is from memory;
4. the first other published cutoff that is reported with every result;
5. b (functional norm alone), then a (clinical norm alone).

A figure that somebody has seen goes before one that has yet to be checked, and c before a published cutoff of the same
standing, as it belongs to the method. One that no possible score could cross, or whose case side contradicts the
scale's direction, never decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from instruments.parts import Cutoff as PublishedCutoff
from instruments.parts import Evidence, Norm, ProgressParameters, Sourced
from instruments.schema import Instrument, Scale
from scoring.change import (
    critical_value,
    reliable_change_threshold,
    standard_error_of_difference,
    standard_error_of_measurement,
)
from scoring.cutoffs import CutoffKind, HigherIs, OnCutoff, cutoff

SIGNIFICANCE: Final = 0.05
METHOD: Final = "jacobson-truax"

_FORMULAS: Final[dict[CutoffKind, str]] = {
    "a": "clinical mean, two clinical standard deviations towards better",
    "b": "functional mean, two functional standard deviations towards worse",
    "c": "(clinical SD x functional mean + functional SD x clinical mean) / (clinical SD + functional SD)",
}
_ROLES: Final[dict[CutoffKind, tuple[str, ...]]] = {
    "a": ("clinical",),
    "b": ("functional",),
    "c": ("clinical", "functional"),
}


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
    """Measurement error and the change that must be exceeded, in points, two-sided at ``SIGNIFICANCE``."""

    higher_is: HigherIs
    parameters: ProgressParameters
    warnings: tuple[str, ...]

    @cached_property
    def sd(self) -> float:
        """Standard deviation in points."""
        return float(self.parameters.sd)

    @cached_property
    def reliability(self) -> float:
        """Reliability of the scale, 0..1."""
        return float(self.parameters.reliability)

    @cached_property
    def critical(self) -> float:
        """What the reliable change index must exceed."""
        return critical_value(SIGNIFICANCE)

    @cached_property
    def threshold(self) -> float:
        """What a change in points must exceed."""
        return reliable_change_threshold(self.sd, self.reliability, significance=SIGNIFICANCE)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data."""
        given = self.parameters
        return {
            "available": True,
            "method": METHOD,
            "formula": "rci = (last - baseline) / (sd x sqrt(2 x (1 - reliability)))",
            "significance": SIGNIFICANCE,
            "critical": self.critical,
            "standard_error_of_measurement": standard_error_of_measurement(self.sd, self.reliability),
            "standard_error_of_difference": standard_error_of_difference(self.sd, self.reliability),
            "threshold": self.threshold,
            "sd": {"value": self.sd, "sample": given.sd_sample},
            "reliability": {
                "value": self.reliability,
                "kind": given.reliability_kind,
                "sample": given.reliability_sample,
            },
            **provenance(given),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class ProgressCutoff:
    """A cutoff between the clinical and the functional side, in points.

    ``clinical_side`` is the comparison that makes a score a case. ``on_cutoff`` is the side of a score that equals the
    cutoff. ``warnings``: ``outside-scale`` (nobody can cross it), ``populations-reversed``, ``against-direction`` (the
    side that counts as a case is the better one).
    """

    id: str
    kind: Literal["jacobson-truax", "published"]
    value: float
    clinical_side: str
    on_cutoff: OnCutoff
    formula: str | None
    meaning: str
    warnings: tuple[str, ...]
    norms: tuple[Norm, ...] = ()
    published: PublishedCutoff | None = None

    @property
    def evidence(self) -> Evidence:
        """Of a published one as the definition has it; one from norms is no better known than they are."""
        if self.published is not None:
            return self.published.evidence
        return "memory" if any(norm.evidence == "memory" for norm in self.norms) else "derived"

    def document(self, *, deciding: bool) -> dict[str, Any]:
        """As plain data."""
        published = self.published
        rests_on = self.norms if published is None else (published,)
        return {
            "id": self.id,
            "kind": self.kind,
            "value": self.value,
            "clinical_side": self.clinical_side,
            "decides": deciding,
            "meaning": self.meaning,
            "formula": self.formula,
            "warnings": list(self.warnings),
            "norms": [_norm_document(norm) for norm in self.norms],
            "sample": None if published is None else published.sample,
            "n": None if published is None else published.n,
            "sensitivity": _number(published and published.sensitivity),
            "specificity": _number(published and published.specificity),
            "accuracy_evidence": None if published is None else _of_accuracy(published),
            "source": "; ".join(dict.fromkeys(part.source for part in rests_on)),
            "evidence": self.evidence,
            "note": None if published is None else published.note,
        }


def _of_accuracy(published: PublishedCutoff) -> Evidence | None:
    """How well sensitivity and specificity are known; None where there are none."""
    if published.sensitivity is None and published.specificity is None:
        return None
    return published.accuracy_evidence or published.evidence


def _norm_document(norm: Norm) -> dict[str, Any]:
    return {
        "id": norm.id,
        "population": norm.population,
        "sample": norm.sample,
        "n": norm.n,
        "mean": _number(norm.mean),
        "sd": _number(norm.sd),
        **provenance(norm),
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclass(frozen=True)
class Figures:
    """All that progress on one scale, under one variant, is computed with."""

    scale: Scale
    minimum: float
    maximum: float
    reliable_change: ReliableChange | Unavailable
    cutoffs: tuple[ProgressCutoff, ...]
    rules_from_memory: tuple[str, ...]
    """Of the scale's scoring rule and the variant, those that rest on memory, by name."""

    @property
    def higher_is(self) -> Literal["better", "worse", "neither"]:
        """What a high score means."""
        return self.scale.higher_is

    @cached_property
    def deciding(self) -> ProgressCutoff | None:
        """The cutoff that the category goes by; None: by reliable change alone."""
        fit = [c for c in self.cutoffs if not c.warnings]
        published = [c for c in fit if c.kind == "published"]
        a, b, c = ([one for one in fit if one.id == f"jacobson-truax-{kind}"] for kind in "abc")
        derived = [one for one in c if one.evidence == "derived"]
        read = [one for one in published if one.evidence == "read"]
        return next(iter((*derived, *read, *c, *published, *b, *a)), None)

    @cached_property
    def needs_review(self) -> tuple[str, ...]:
        """What the judgement rests on that is from memory and has to be checked, by name."""
        reliable, cutoff = self.reliable_change, self.deciding
        error = isinstance(reliable, ReliableChange) and reliable.parameters.evidence == "memory"
        found = [*self.rules_from_memory, *(["reliable-change"] if error else [])]
        if cutoff is not None and cutoff.evidence == "memory":
            found.append(f"cutoff {cutoff.id}")
        return tuple(found)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data; made once, and never changed by those who use it."""
        return {
            "scale": self.scale.id,
            "scale_name": self.scale.name,
            "higher_is": self.higher_is,
            "range": {"min": self.minimum, "max": self.maximum},
            "reliable_change": self.reliable_change.document,
            "cutoffs": [c.document(deciding=c is self.deciding) for c in self.cutoffs],
            "needs_review": list(self.needs_review),
        }


def figures(instrument: Instrument, scale_id: str, variant: str) -> Figures:
    """The figures of a scale under a variant; kept with the definition. ``KeyError`` where there is no such scale."""
    key = f"progress:{scale_id}:{variant}"
    kept: Figures | None = instrument.compiled.get(key)
    if kept is None:
        kept = instrument.compiled[key] = _figures(instrument, instrument.scale(scale_id), variant)
    return kept


def _figures(instrument: Instrument, scale: Scale, variant: str) -> Figures:
    rule = scale.rule_for(variant)
    bounds = float(rule.min), float(rule.max)
    rules = _rules_from_memory(instrument, scale, variant)
    parameters = next((p for p in instrument.progress if p.scale == scale.id), None)
    if scale.higher_is == "neither":
        return Figures(scale, *bounds, NO_DIRECTION, (), rules)
    published = tuple(_published(c, scale.higher_is, bounds) for c in instrument.cutoffs if _counts(c, scale))
    if parameters is None:
        return Figures(scale, *bounds, NO_PARAMETERS, published, rules)
    reliable = ReliableChange(scale.higher_is, parameters, ())
    if reliable.threshold >= bounds[1] - bounds[0]:
        reliable = ReliableChange(scale.higher_is, parameters, ("threshold-exceeds-scale",))
    cutoffs = (*_from_norms(instrument, parameters, scale.higher_is, bounds), *published)
    return Figures(scale, *bounds, reliable, cutoffs, rules)


def _rules_from_memory(instrument: Instrument, scale: Scale, variant: str) -> tuple[str, ...]:
    """The variant, the scale and whatever scales it is made of, as far as they rest on memory."""
    below, waiting = {scale.id}, [scale.id]
    while waiting:
        parts = instrument.scale(waiting.pop()).rule_for(variant).scales or ()
        waiting += [part for part in parts if part not in below]
        below.update(parts)
    names = {f"variant {variant}", *(f"scale {name}" for name in below)}
    return tuple(name for name in instrument.review_of(variant) if name in names)


def _counts(published: PublishedCutoff, scale: Scale) -> bool:
    return published.scale == scale.id and published.primary


def _from_norms(
    instrument: Instrument, parameters: ProgressParameters, higher_is: HigherIs, bounds: tuple[float, float]
) -> Iterator[ProgressCutoff]:
    """Cutoffs a, b and c, as far as the definition names norms for them."""
    norms = {norm.id: norm for norm in instrument.norms}
    roles = {"clinical": parameters.clinical, "functional": parameters.functional}
    given = {role: norms[name] for role, name in roles.items() if name is not None}
    moments: dict[str, float | None] = {}
    for role, norm in given.items():
        moments |= {f"mean_{role}": _number(norm.mean), f"sd_{role}": _number(norm.sd)}
    for kind, needed in _ROLES.items():
        if given.keys() >= set(needed):
            made = cutoff(kind, higher_is=higher_is, scale=bounds, **moments)
            yield ProgressCutoff(
                f"jacobson-truax-{kind}",
                "jacobson-truax",
                made.value,
                "below" if higher_is == "better" else "above",
                "neither",
                _FORMULAS[kind],
                f"{kind} of Jacobson and Truax",
                made.warnings,
                tuple(given[role] for role in needed),
            )


def _published(given: PublishedCutoff, higher_is: HigherIs, bounds: tuple[float, float]) -> ProgressCutoff:
    side, (low, high) = given.comparator, bounds
    value = float(getattr(given, side))
    warnings = []
    # Somebody must be able to be a case, and somebody not to be one.
    if not (low < value <= high if side in ("at_least", "below") else low <= value < high):
        warnings.append("outside-scale")
    if (side in ("at_least", "above")) != (higher_is == "worse"):
        warnings.append("against-direction")
    return ProgressCutoff(
        given.id,
        "published",
        value,
        side,
        "clinical" if side in ("at_least", "at_most") else "functional",
        None,
        given.meaning,
        tuple(warnings),
        published=given,
    )
