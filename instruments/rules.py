"""The rules of a definition: scales, ways to score, skips, caseness, validity and alerts."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from instruments.conditions import Comparison, Condition, Strict
from instruments.parts import Identifier, Scoped, Sourced


class MissingRule(Strict):
    """What happens to a scale when some of its items (or scales) have no value.

    ``all``: every part is needed. ``prorate``: the value is made as if the absent parts were like the present ones.
    ``applicable``: every part that applies is needed, and the value is made of those alone: a sum is not enlarged.
    """

    rule: Literal["all", "prorate", "applicable"]
    min_answered: int | None = Field(default=None, ge=1)
    required: tuple[str, ...] = Field(default=(), description="with prorate: parts without which there is no score")

    @model_validator(mode="after")
    def _min_answered_given(self) -> Self:
        if (self.rule != "all") != (self.min_answered is not None):
            raise ValueError("min_answered goes with rule: prorate or applicable, and only with them")
        if self.required and self.rule != "prorate":
            raise ValueError("required goes with rule: prorate, and only with it: the others need every part anyway")
        return self


class Goal(Strict):
    """One slot of a weighted T score: the items that hold its rating and its weight."""

    rating: str
    weight: str
    minus: str | None = Field(default=None, description="an item whose answer is taken away from the rating")
    needs: str | None = Field(default=None, description="an item without whose answer the goal counts as not rated")

    @model_validator(mode="after")
    def _items_differ(self) -> Self:
        if len(set(self.items)) != len(self.items):
            raise ValueError("a goal names an item twice; rating, minus, needs and weight are items of their own")
        return self

    @property
    def items(self) -> tuple[str, ...]:
        """Every item of the slot, the rating first and the weight last."""
        return tuple(name for name in (self.rating, self.minus, self.needs, self.weight) if name is not None)


class ScaleRule(Strict):
    """How a scale's value is made. Values are in the scale's points.

    ``weighted-t`` is offset + factor * sum(w x) / sqrt((1 - r) sum(w^2) + r sum(w)^2) over the goals that are rated,
    with x a rating (less ``minus``), w its weight and r ``correlation``. A goal without a weight, or with weight 0, is
    not in use. ``min`` and ``max`` are then what all goals with one weight give, rounded outward to whole numbers.
    """

    items: tuple[str, ...] | None = None
    scales: tuple[str, ...] | None = None
    goals: tuple[Goal, ...] | None = None
    method: Literal["sum", "mean", "count", "weighted-t"]
    counts: Comparison | None = Field(default=None, description="with method count: which raw answers are counted")
    correlation: Decimal | None = Field(default=None, ge=0, le=1, description="expected mean correlation of the goals")
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
        if (self.method == "weighted-t") != (self.goals is not None) or (self.goals is None) != (
            self.correlation is None
        ):
            raise ValueError("goals and correlation go with method: weighted-t, and only with it")
        if self.goals is not None:
            self._weighted_t_alone()
        elif (self.items is None) == (self.scales is None):
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
        if self.rescale is not None and self.missing.rule == "applicable" and self.method != "mean":
            raise ValueError("rescale maps the range of all parts; with missing rule: applicable use a mean")
        if self.factor == 0:
            raise ValueError("factor 0 makes every score the same")
        if self.min >= self.max:
            raise ValueError("min must be below max")
        if self.missing.min_answered is not None and self.missing.min_answered > len(self.parts):
            raise ValueError(f"min_answered is {self.missing.min_answered}, but there are {len(self.parts)} parts")
        for name in self.missing.required:
            if name not in self.parts:
                raise ValueError(f"required names {name!r}, which is not one of the parts")
        return self

    def _weighted_t_alone(self) -> None:
        for name in ("items", "scales", "weights", "rescale"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} does not go with method: weighted-t")
        if self.clamp:
            raise ValueError("clamp does not go with method: weighted-t")
        if self.missing.rule != "prorate" or self.missing.required:
            raise ValueError("method weighted-t leaves out goals that are not rated: missing must be rule: prorate")

    @property
    def parts(self) -> tuple[str, ...]:
        """Ids of the items or scales that the value is made of; of the ratings where it is made of goals."""
        if self.goals is not None:
            return tuple(goal.rating for goal in self.goals)
        return (self.items if self.items is not None else self.scales) or ()


class ScaleVariant(Strict):
    """What a named variant changes in a scale's rule; members not given stay as they are."""

    items: tuple[str, ...] | None = None
    missing: MissingRule | None = None
    factor: Decimal | None = None
    offset: Decimal | None = None
    rescale: tuple[Decimal, Decimal] | None = None
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


class Skip(Scoped):
    """Questions that an earlier answer lets a person pass over, and the answer that they then count with.

    Where ``when`` surely holds, those of ``items`` that are unanswered count as answered with ``answer``. Skips are
    taken in order; a later one sees what an earlier one filled in.
    """

    id: Identifier
    meaning: str = Field(min_length=1, max_length=160)
    when: Condition
    items: tuple[str, ...] = Field(min_length=1)
    answer: int


class Caseness(Scoped):
    """A diagnostic or caseness rule over items and scales: met, not met, or unknown."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=160)
    when: Condition


class Validity(Scoped):
    """When a score does not mean what it seems to mean."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=200)
    when: Condition
    scales: tuple[str, ...] = Field(min_length=1)
    suppress: bool = Field(default=True, description="hold back bands, cutoffs and change; False: only say it")


class Alert(Scoped):
    """An answer, or a score, that somebody has to see now."""

    id: Identifier
    meaning: str = Field(min_length=1, max_length=160)
    severity: Literal["urgent", "notice"]
    when: Condition
