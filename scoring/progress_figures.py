"""The figures that progress on a scale rests on, with their provenance, worked out once for a definition.

Which cutoff decides the category, the first that there is of:

1. Jacobson and Truax's c, where the samples of both populations were read or derived;
2. the first published cutoff that was read, of those that are reported with every result;
3. c, where a sample is from memory;
4. the first other published cutoff that is reported with every result;
5. b (functional sample alone), then a (clinical sample alone).

A figure that somebody has seen goes before one that has yet to be checked, and c before a published cutoff of the same
standing, as it belongs to the method. Samples that only the rule of :mod:`scoring.norms` put together are named, and
so are the cutoffs between them, but these decide nothing: patients of another complaint, or the divorced, are clinical
samples too. A caller who asks for a sample has it decide. Of published cutoffs for different groups of people none
decides. A cutoff that no possible score could cross, or whose case
side contradicts the scale's direction, never decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from instruments.parts import Cutoff as PublishedCutoff
from instruments.parts import Evidence, Norm
from instruments.schema import Instrument, Scale
from scoring.change_amounts import Amount, amounts_of, detectable_change
from scoring.cutoffs import CutoffKind, HigherIs, OnCutoff, cutoff
from scoring.norms import By, NormChoice, Role, choose_norms
from scoring.reliable import (
    METHOD,
    NO_DIRECTION,
    ProgressMethod,
    PublishedChange,
    RegressedChange,
    ReliableChange,
    Unavailable,
    provenance,
    reliable_change,
)

_FORMULAS: Final[dict[CutoffKind, str]] = {
    "a": "clinical mean, two clinical standard deviations towards better",
    "b": "functional mean, two functional standard deviations towards worse",
    "c": "(clinical SD x functional mean + functional SD x clinical mean) / (clinical SD + functional SD)",
}
_ROLES: Final[dict[CutoffKind, tuple[Role, ...]]] = {
    "a": ("clinical",),
    "b": ("functional",),
    "c": ("clinical", "functional"),
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
    choices: tuple[NormChoice, ...] = ()
    published: PublishedCutoff | None = None

    @property
    def norms(self) -> tuple[Norm, ...]:
        """The samples of a cutoff that is computed from some."""
        return tuple(choice.norm for choice in self.choices)

    @property
    def group(self) -> str | None:
        """Whom a published one holds for, where that is not everybody."""
        return None if self.published is None else self.published.group

    @property
    def deliberate(self) -> bool:
        """Whether its samples were put together by the definition or by whoever asked, and not by the rule."""
        return all(choice.by != "rule" for choice in self.choices)

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
            "group": self.group,
            "formula": self.formula,
            "warnings": list(self.warnings),
            "norms": [_norm_document(choice.norm, choice.by) for choice in self.choices],
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


def _norm_document(norm: Norm, by: By) -> dict[str, Any]:
    return {
        "id": norm.id,
        "chosen_by": by,
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
    reliable_change: ReliableChange | PublishedChange | Unavailable
    cutoffs: tuple[ProgressCutoff, ...]
    norms: tuple[NormChoice, ...]
    rules_from_memory: tuple[str, ...]
    """Of the scale's scoring rule and the variant, those that rest on memory, by name."""
    error: ReliableChange | Unavailable
    """Measurement error of the scale, whichever method judges."""
    amounts: tuple[Amount, ...]
    """Published minimal important changes of the scale."""

    @property
    def higher_is(self) -> Literal["better", "worse", "neither"]:
        """What a high score means."""
        return self.scale.higher_is

    @cached_property
    def deciding(self) -> ProgressCutoff | None:
        """The cutoff that the category goes by; None: by reliable change alone."""
        groups = {c.published.group for c in self.cutoffs if c.published is not None} - {None}
        # whose limit it is cannot be told from a score: of limits for different people none decides
        fit = [c for c in self.cutoffs if not c.warnings and c.deliberate and (len(groups) < 2 or not c.group)]
        published = [c for c in fit if c.kind == "published"]
        a, b, c = ([one for one in fit if one.id == f"jacobson-truax-{kind}"] for kind in "abc")
        derived = [one for one in c if one.evidence == "derived"]
        read = [one for one in published if one.evidence == "read"]
        return next(iter((*derived, *read, *c, *published, *b, *a)), None)

    @cached_property
    def needs_review(self) -> tuple[str, ...]:
        """What the judgement rests on that is from memory and has to be checked, by name."""
        reliable, cutoff = self.reliable_change, self.deciding
        error = not isinstance(reliable, Unavailable) and "memory" in (
            reliable.given.evidence,
            reliable.sample.evidence if isinstance(reliable, RegressedChange) else None,
        )
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
            "detectable_change": detectable_change(self.error),
            "cutoffs": [c.document(deciding=c is self.deciding) for c in self.cutoffs],
            "norms": [choice.document() for choice in self.norms],
            "needs_review": list(self.needs_review),
        }


def figures(
    instrument: Instrument,
    scale_id: str,
    variant: str,
    *,
    norm: str | None = None,
    method: ProgressMethod | None = None,
) -> Figures:
    """The figures of a scale under a variant; kept with the definition, unless a sample is asked for.

    Parameters
    ----------
    norm
        Id of a sample of the scale to hold the person against, in place of the one that would be.
    method
        Of reliable change, in place of the one that would be.

    Raises
    ------
    KeyError
        There is no such scale, or no such sample with a mean and a standard deviation that can serve.
    """
    if norm is not None:  # an own instrument may have hundreds, under each variant: too many to keep
        return _figures(instrument, instrument.scale(scale_id), variant, norm, method)
    key = ("progress", scale_id, variant, method)
    kept: Figures | None = instrument.compiled.get(key)
    if kept is None:
        made = _figures(instrument, instrument.scale(scale_id), variant, None, method)
        kept = instrument.compiled[key] = made
    return kept


def _figures(
    instrument: Instrument, scale: Scale, variant: str, norm: str | None, method: ProgressMethod | None
) -> Figures:
    rule = scale.rule_for(variant)
    bounds = float(rule.min), float(rule.max)
    rules = _rules_from_memory(instrument, scale, variant)
    parameters = next((p for p in instrument.progress if p.scale == scale.id and p.holds_under(variant)), None)
    choices = choose_norms(instrument, scale.id, variant, parameters, asked=norm)
    if scale.higher_is == "neither":
        return Figures(scale, *bounds, NO_DIRECTION, (), tuple(choices.values()), rules, NO_DIRECTION, ())
    published = tuple(
        _published(c, scale.higher_is, bounds)
        for c in instrument.cutoffs
        if c.scale == scale.id and c.primary and c.holds_under(variant)
    )
    given = (instrument, scale.id, scale.higher_is, variant, parameters, choices.get("clinical"), bounds)
    error = reliable_change(*given, METHOD)
    assert not isinstance(error, PublishedChange)  # noqa: S101  - a method by error was asked for
    cutoffs = (*_from_norms(choices, scale.higher_is, bounds), *published)
    return Figures(
        scale,
        *bounds,
        reliable_change(*given, method),
        cutoffs,
        tuple(choices.values()),
        rules,
        error,
        amounts_of(instrument, scale.id, variant, error),
    )


def _rules_from_memory(instrument: Instrument, scale: Scale, variant: str) -> tuple[str, ...]:
    """The variant, the scale, whatever scales it is made of, and what is skipped in them, as far as from memory."""
    below, waiting = {scale.id}, [scale.id]
    items: set[str] = set()
    while waiting:
        rule = instrument.scale(waiting.pop()).rule_for(variant)
        parts = rule.scales or ()
        items.update(rule.items or (), *(goal.items for goal in rule.goals or ()))
        waiting += [part for part in parts if part not in below]
        below.update(parts)
    names = {f"variant {variant}", *(f"scale {name}" for name in below)}
    names |= {f"skip {skip.id}" for skip in instrument.skips if items.intersection(skip.items)}
    return tuple(name for name in instrument.review_of(variant) if name in names)


def _from_norms(
    choices: dict[Role, NormChoice], higher_is: HigherIs, bounds: tuple[float, float]
) -> Iterator[ProgressCutoff]:
    """Cutoffs a, b and c, as far as there are samples for them."""
    moments: dict[str, float | None] = {}
    for role, choice in choices.items():
        moments |= {f"mean_{role}": _number(choice.norm.mean), f"sd_{role}": _number(choice.norm.sd)}
    for kind, needed in _ROLES.items():
        if choices.keys() >= set(needed):
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
                tuple(choices[role] for role in needed),
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
