"""The shape of an instrument definition.

A definition holds facts and figures only: keys, ranges, rules, norms, each with where it comes from and how well that
is known. The published wording is never part of it; ``topic`` is ours. Whatever can be wrong inside one definition is
refused when it is loaded, so that scoring can rely on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from instruments.conditions import Strict
from instruments.consistency import Inconsistent, mistakes
from instruments.items import Item, ItemVariant, NotApplicable, TwoStep
from instruments.parts import (
    Applicability,
    BandSet,
    ChangeThreshold,
    Citation,
    Comparable,
    Cutoff,
    Identifier,
    LanguageTag,
    Licence,
    Loinc,
    Norm,
    ProgressParameters,
    Reliability,
    Scoped,
    Sourced,
)
from instruments.rules import (
    Alert,
    Caseness,
    Goal,
    MissingRule,
    Scale,
    ScaleRule,
    ScaleVariant,
    Skip,
    Validity,
    Variant,
)

__all__ = [
    "STANDARD",
    "Alert",
    "Caseness",
    "Described",
    "Form",
    "Goal",
    "Instrument",
    "Item",
    "ItemVariant",
    "Listed",
    "MissingRule",
    "NotApplicable",
    "Scale",
    "ScaleRule",
    "ScaleVariant",
    "Skip",
    "TwoStep",
    "Validity",
    "Variant",
]
STANDARD = "standard"
OVERALL = "total"


class Described(Strict):
    """What a catalogue says of a questionnaire, whether its scoring is known or not."""

    code: Identifier
    name: str = Field(min_length=1, max_length=160)
    measures: str
    concerns: tuple[str, ...] = Field(min_length=1)
    population: str
    applicability: Applicability
    recall: str
    recall_days: int | None = Field(default=None, ge=1)
    minutes: int | None = Field(default=None, ge=1)
    languages: tuple[LanguageTag, ...] = Field(default=(), description="those it was validated in, the original first")
    languages_validated: str | None = None
    citation: Citation
    licence: Licence
    open_questions: tuple[str, ...] = Field(default=(), description="conflicts and gaps that a user should know")

    @model_validator(mode="after")
    def _languages_once(self) -> Self:
        for index, tag in enumerate(self.languages):
            if tag in self.languages[:index]:
                raise ValueError(f"languages: {tag!r} occurs twice")
        return self


class Listed(Described):
    """A questionnaire that is in the catalogue but cannot be scored, because a fact about its scoring is not known."""

    missing: tuple[str, ...] = Field(min_length=1, description="each fact that is missing, and where it would be found")
    known: str | None = Field(default=None, description="what is known of its scores, in a sentence or two")


class Form(Strict):
    """One of several printed forms that differ in a topic only, chosen by anatomy."""

    id: Identifier
    organs: tuple[str, ...] = Field(min_length=1)


class Instrument(Described):
    """A questionnaire as data: one version, never changed once published."""

    version: int = Field(ge=1)
    coding_note: str | None = None
    loinc: Loinc | None = None
    comparable_with: tuple[Comparable, ...] = ()
    forms: tuple[Form, ...] = ()
    variants: tuple[Variant, ...] = ()
    items: tuple[Item, ...] = Field(min_length=1, max_length=500)
    skips: tuple[Skip, ...] = ()
    scales: tuple[Scale, ...] = Field(min_length=1, max_length=100)
    caseness: tuple[Caseness, ...] = ()
    validity: tuple[Validity, ...] = ()
    alerts: tuple[Alert, ...] = ()
    cutoffs: tuple[Cutoff, ...] = ()
    bands: tuple[BandSet, ...] = ()
    norms: tuple[Norm, ...] = ()
    reliabilities: tuple[Reliability, ...] = ()
    changes: tuple[ChangeThreshold, ...] = ()
    progress: tuple[ProgressParameters, ...] = ()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        found = list(mistakes(self))
        if found:
            raise Inconsistent(found)
        return self

    @cached_property
    def variant_ids(self) -> tuple[str, ...]:
        """The ways to score, the default first."""
        return tuple(variant.id for variant in self.variants) or (STANDARD,)

    @cached_property
    def overall_scale(self) -> str:
        """The scale that stands for the instrument where one has to: its total, or the first where it has none."""
        ids = [scale.id for scale in self.scales]
        return OVERALL if OVERALL in ids else ids[0]

    @cached_property
    def answer_names(self) -> tuple[str, ...]:
        """What answers may be given under: the items' ids, and the two parts of each item that is printed as two."""
        return tuple(name for item in self.items for name in item.names)

    def items_under(self, variant: str) -> tuple[Item, ...]:
        """The items as a variant prints and codes them."""
        kept: tuple[Item, ...] | None = self.compiled.get(("items", variant))
        if kept is None:
            kept = self.compiled[("items", variant)] = tuple(item.under(variant) for item in self.items)
        return kept

    def scored_alike(self, one: str, other: str) -> bool:
        """Whether two variants give the same values: they differ, if at all, in what is read from them."""
        key = ("alike", one, other)
        kept: bool | None = self.compiled.get(key)
        if kept is None:
            kept = self.compiled[key] = self._values_of(one) == self._values_of(other)
        return kept

    def only_missing_differs(self, variant: str) -> bool:
        """Whether a complete form scores the same under some other variant that does not rest on memory."""
        key = ("only-missing", variant)
        kept: bool | None = self.compiled.get(key)
        if kept is None:
            known = {one.id for one in self.variants if one.evidence != "memory"} - {variant}
            own = self._values_of(variant, complete=True)
            kept = self.compiled[key] = any(own == self._values_of(one, complete=True) for one in known)
        return kept

    def _values_of(self, variant: str, *, complete: bool = False) -> tuple[Any, ...]:
        """All that the values of scores follow from; of complete forms only, what does not speak of missing answers."""
        items = [(set(item.options), item.score_of) for item in self.items_under(variant)]
        skips = [(skip.when, skip.items, skip.answer) for skip in self.skips if skip.holds_under(variant)]
        rules = [scale.rule_for(variant) for scale in self.scales]
        if not complete:
            return items, skips, rules
        return items, [rule.model_dump(exclude={"missing"}) for rule in rules]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the definition's content, independent of layout and comments.

        What is left at its default is left out, so that a member added to the schema later changes no checksum.
        """
        content = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def compiled(self) -> dict[str | tuple[str | None, ...] | None, Any]:
        """Where what is worked out from this definition is kept.

        Under a variant's id, or None, is its plan and nothing else: whoever asks for a form to be scored may name
        anything as the variant. All else is under a tuple.
        """
        return {}

    @cached_property
    def needs_review(self) -> tuple[str, ...]:
        """Rules that rest on memory, by name: those of every variant."""
        return tuple(name for name, rule in self._rules() if rule.evidence == "memory")

    def review_of(self, variant: str) -> tuple[str, ...]:
        """Rules behind the results of one variant that rest on memory, by name: shown with each of those results."""
        held = {name for name, rule in self._rules() if not isinstance(rule, Scoped) or rule.holds_under(variant)}
        held -= {f"variant {other}" for other in self.variant_ids if other != variant}
        return tuple(name for name in self.needs_review if name in held)

    def _rules(self) -> Iterator[tuple[str, Sourced]]:
        """Whatever says something in a result: figures for progress, and what is listed only, are left out."""
        yield from ((f"variant {variant.id}", variant) for variant in self.variants)
        yield from ((f"skip {skip.id}", skip) for skip in self.skips)
        yield from ((f"scale {scale.id}", scale) for scale in self.scales)
        yield from ((f"caseness {rule.id}", rule) for rule in self.caseness)
        yield from ((f"validity {rule.id}", rule) for rule in self.validity)
        yield from ((f"alert {rule.id}", rule) for rule in self.alerts)
        yield from ((f"cutoff {cutoff.id}", cutoff) for cutoff in self.cutoffs if cutoff.primary)
        yield from ((f"bands {bands.id}", bands) for bands in self.bands if bands.default)

    def scale(self, scale_id: str) -> Scale:
        """The scale with an id; ``KeyError`` where there is none."""
        for scale in self.scales:
            if scale.id == scale_id:
                return scale
        raise KeyError(scale_id)
