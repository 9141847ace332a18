"""The shape of an instrument definition.

A definition holds facts and figures only: keys, ranges, rules, norms, each with where it comes from and how well that
is known. The published wording is never part of it; ``topic`` is ours. Whatever can be wrong inside one definition is
refused when it is loaded, so that scoring can rely on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from instruments.conditions import Comparison, Condition, Strict
from instruments.consistency import Inconsistent, mistakes
from instruments.parts import (
    Applicability,
    BandSet,
    ChangeThreshold,
    Citation,
    Cutoff,
    Licence,
    Norm,
    ProgressParameters,
    Reliability,
    Sourced,
)

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
ItemIdentifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,19}$")]
Meaning = Literal["no-activity", "no-attempt", "no-partner", "not-relevant"]
STANDARD = "standard"


class NotApplicable(Strict):
    """An option that says that the question does not apply."""

    value: int
    meaning: Meaning
    scored: bool = Field(description="True: its value enters the sum as published. False: it is left out of the scale.")


class Item(Strict):
    """One question: what may be answered, and what an answer scores."""

    id: ItemIdentifier
    topic: str = Field(min_length=1, max_length=80)
    topic_by_form: dict[Identifier, str] | None = None
    options: tuple[int, ...] = Field(min_length=2, max_length=101, description="values in print order")
    reverse: bool = Field(default=False, description="the scored value is lowest + highest - answer")
    scored: dict[int, Decimal] | None = Field(default=None, description="what each option scores, where not its value")
    not_applicable: tuple[NotApplicable, ...] = ()

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if len(set(self.options)) != len(self.options):
            raise ValueError("an option value occurs twice; each option needs its own")
        if any(abs(value) > 10_000 for value in self.options):
            raise ValueError("option values lie between -10000 and 10000")
        for option in self.not_applicable:
            if option.value not in self.options:
                raise ValueError(f"not_applicable names {option.value}, which is not among the options")
        if self.scored is not None:
            if self.reverse:
                raise ValueError("give reverse or scored, not both: scored already says what each option is worth")
            needed = set(self.options) - {o.value for o in self.not_applicable if not o.scored}
            if set(self.scored) != needed:
                raise ValueError(f"scored must give a value for exactly the options {sorted(needed)}")
        if not self.substantive:
            raise ValueError("every option is a not-applicable one; nothing is left to score")
        return self

    @property
    def substantive(self) -> tuple[int, ...]:
        """Options that are not not-applicable ones."""
        outside = {option.value for option in self.not_applicable}
        return tuple(value for value in self.options if value not in outside)

    @cached_property
    def score_of(self) -> dict[int, Decimal]:
        """What each option scores; options that are left out of a scale are absent."""
        left_out = {option.value for option in self.not_applicable if not option.scored}
        used = [value for value in self.options if value not in left_out]
        if self.scored is not None:
            return {value: self.scored[value] for value in used}
        # a reversed item turns within its substantive options: a zero for "does not apply" stays a zero
        turned = min(self.substantive) + max(self.substantive)
        return {
            value: Decimal(turned - value if self.reverse and value in self.substantive else value) for value in used
        }


class MissingRule(Strict):
    """What happens to a scale when some of its items (or scales) have no value."""

    rule: Literal["all", "prorate"]
    min_answered: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _min_answered_given(self) -> Self:
        if (self.rule == "prorate") != (self.min_answered is not None):
            raise ValueError("min_answered goes with rule: prorate, and only with it")
        return self


class ScaleRule(Strict):
    """How a scale's value is made. Values are in the scale's points."""

    items: tuple[str, ...] | None = None
    scales: tuple[str, ...] | None = None
    method: Literal["sum", "mean", "count"]
    counts: Comparison | None = Field(default=None, description="with method count: which raw answers are counted")
    weights: dict[str, Decimal] | None = None
    factor: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    rescale: tuple[Decimal, Decimal] | None = Field(default=None, description="map the possible range onto this one")
    clamp: bool = Field(default=False, description="pull the value into min..max (a published floor)")
    missing: MissingRule
    min: Decimal
    max: Decimal

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.items is None) == (self.scales is None):
            raise ValueError("a scale is made of items or of scales: give one of the two lists")
        if not self.parts:
            raise ValueError("the list of parts is empty")
        if len(set(self.parts)) != len(self.parts):
            raise ValueError("a part is listed twice")
        if (self.method == "count") != (self.counts is not None):
            raise ValueError("counts goes with method: count, and only with it")
        if self.method == "count" and self.items is None:
            raise ValueError("method count counts items, not scales")
        if self.weights is not None and set(self.weights) != set(self.parts):
            raise ValueError("weights must name exactly the parts")
        if self.weights is not None and (self.method != "sum" or self.missing.rule != "all"):
            raise ValueError("weights go with method: sum and missing rule: all")
        if self.rescale is not None and (self.factor != 1 or self.offset != 0):
            raise ValueError("give rescale, or factor and offset, not both")
        if self.rescale is not None and not self.rescale[0] < self.rescale[1]:
            raise ValueError("rescale needs a lower and a higher bound")
        if self.factor == 0:
            raise ValueError("factor 0 makes every score the same")
        if self.min >= self.max:
            raise ValueError("min must be below max")
        if self.missing.min_answered is not None and self.missing.min_answered > len(self.parts):
            raise ValueError(f"min_answered is {self.missing.min_answered}, but there are {len(self.parts)} parts")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Ids of the items or scales that the value is made of."""
        return (self.items if self.items is not None else self.scales) or ()


class ScaleVariant(Strict):
    """What a named variant changes in a scale's rule; members not given stay as they are."""

    items: tuple[str, ...] | None = None
    missing: MissingRule | None = None
    factor: Decimal | None = None
    clamp: bool | None = None
    min: Decimal | None = None
    max: Decimal | None = None


class Scale(ScaleRule, Sourced):
    """One score of the instrument."""

    id: Identifier
    name: str = Field(min_length=1, max_length=80)
    higher_is: Literal["better", "worse", "neither"]
    variants: dict[Identifier, ScaleVariant] = Field(default_factory=dict)

    def rule_for(self, variant: str) -> ScaleRule:
        """The rule of this scale under a variant."""
        base = {name: getattr(self, name) for name in ScaleRule.model_fields}
        changed = self.variants.get(variant)
        if changed is not None:
            base |= {name: value for name, value in changed if value is not None}
        return ScaleRule(**base)


class Variant(Sourced):
    """A published way to score that differs from others in print."""

    id: Identifier
    name: str = Field(min_length=1, max_length=120)


class Caseness(Sourced):
    """A diagnostic or caseness rule over items and scales: met, not met, or unknown."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=160)
    when: Condition


class Validity(Sourced):
    """When a score does not mean what it seems to mean."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=200)
    when: Condition
    scales: tuple[str, ...] = Field(min_length=1)
    suppress: bool = Field(default=True, description="hold back bands, cutoffs and change; False: only say it")


class Alert(Sourced):
    """A raw answer that somebody has to see now."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=160)
    severity: Literal["urgent", "notice"]
    when: Condition


class Form(Strict):
    """One of several printed forms that differ in a topic only, chosen by anatomy."""

    id: Identifier
    organs: tuple[str, ...] = Field(min_length=1)


class Instrument(Strict):
    """A questionnaire as data: one version, never changed once published."""

    code: Identifier
    version: int = Field(ge=1)
    name: str = Field(min_length=1, max_length=160)
    measures: str
    concerns: tuple[str, ...] = Field(min_length=1)
    population: str
    applicability: Applicability
    recall: str
    recall_days: int | None = Field(default=None, ge=1)
    minutes: int | None = Field(default=None, ge=1)
    languages_validated: str | None = None
    coding_note: str | None = None
    citation: Citation
    licence: Licence
    forms: tuple[Form, ...] = ()
    variants: tuple[Variant, ...] = ()
    items: tuple[Item, ...] = Field(min_length=1, max_length=500)
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
    open_questions: tuple[str, ...] = Field(default=(), description="conflicts and gaps that a user should know")

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
    def checksum(self) -> str:
        """SHA-256 of the definition's content, independent of layout and comments.

        What is left at its default is left out, so that a member added to the schema later changes no checksum.
        """
        content = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def compiled(self) -> dict[str | None, Any]:
        """Where ``scoring`` keeps the plans that it compiled from this definition."""
        return {}

    @cached_property
    def needs_review(self) -> tuple[str, ...]:
        """Rules that rest on memory, by name: those of every variant."""
        return tuple(name for name, rule in self._rules() if rule.evidence == "memory")

    def review_of(self, variant: str) -> tuple[str, ...]:
        """Rules behind the results of one variant that rest on memory, by name: shown with each of those results."""
        others = {f"variant {other}" for other in self.variant_ids if other != variant}
        return tuple(name for name in self.needs_review if name not in others)

    def _rules(self) -> Iterator[tuple[str, Sourced]]:
        """Whatever says something in a result: figures for progress, and what is listed only, are left out."""
        yield from ((f"variant {variant.id}", variant) for variant in self.variants)
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
