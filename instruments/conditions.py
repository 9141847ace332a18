"""Conditions over answers and scores, as data.

A condition is a small tree: comparisons of an item's raw answer or of a scale's value, counts of items that meet a
comparison, joined by ``all``, ``any`` and ``not``. It is evaluated in three-valued logic (Kleene): an unanswered item
makes a comparison unknown, and the whole is unknown only where the missing answer could still decide it. So a rule that
the given answers already meet stands, although others are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator


class Strict(BaseModel):
    """Base of every model of a definition: unknown members are refused, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Comparison(Strict):
    """Exactly one comparator, in the units of what is compared."""

    at_least: Decimal | None = None
    at_most: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    one_of: tuple[Decimal, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in COMPARATORS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(COMPARATORS)}; here: {', '.join(given) or 'none'}")
        return self

    @property
    def comparator(self) -> str:
        """The name of the comparator that is given."""
        return next(name for name in COMPARATORS if getattr(self, name) is not None)

    @property
    def operand(self) -> Decimal | tuple[Decimal, ...]:
        """The number, or for ``one_of`` the numbers, to compare with."""
        value: Decimal | tuple[Decimal, ...] = getattr(self, self.comparator)
        return value

    def in_words(self) -> str:
        """The comparison as a short phrase, for explanations."""
        if self.one_of is not None:
            return f"is one of {', '.join(str(value) for value in self.one_of)}"
        return f"{_WORDS[self.comparator]} {self.operand}"


COMPARATORS = ("at_least", "at_most", "above", "below", "one_of")
_WORDS = {"at_least": "is at least", "at_most": "is at most", "above": "is above", "below": "is below"}


class ItemCondition(Comparison):
    """The raw answer to one item, before reversing, compared."""

    item: str


class ScaleCondition(Comparison):
    """The value of one scale compared."""

    scale: str


class CountCondition(Comparison):
    """At least ``needed`` of the listed items have a raw answer that meets the comparison."""

    count: tuple[str, ...] = Field(min_length=1)
    needed: int = Field(ge=1)
    or_missing: bool = Field(default=False, description="an unanswered item counts as meeting the comparison")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.needed > len(self.count):
            raise ValueError(f"needs {self.needed} of {len(self.count)} items: it can never be met")
        return self


class AllOf(Strict):
    """Every part is met."""

    all_: tuple[Condition, ...] = Field(alias="all", min_length=1)


class AnyOf(Strict):
    """At least one part is met."""

    any_: tuple[Condition, ...] = Field(alias="any", min_length=1)


class NotOf(Strict):
    """The part is not met."""

    not_: Condition = Field(alias="not")


_KINDS = {"item": "item", "scale": "scale", "count": "count", "all": "all", "any": "any", "not": "not"}
_MODELS: dict[type[Strict], str] = {}


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((kind for key, kind in _KINDS.items() if key in value), None)
    return _MODELS.get(type(value))


Condition = Annotated[
    Annotated[ItemCondition, Tag("item")]
    | Annotated[ScaleCondition, Tag("scale")]
    | Annotated[CountCondition, Tag("count")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[NotOf, Tag("not")],
    Discriminator(
        _kind,
        custom_error_type="unknown-condition",
        custom_error_message="a condition starts with one of item, scale, count, all, any, not",
    ),
]

for _model in (AllOf, AnyOf, NotOf):
    _model.model_rebuild()
_MODELS.update(
    {ItemCondition: "item", ScaleCondition: "scale", CountCondition: "count", AllOf: "all", AnyOf: "any", NotOf: "not"}
)


def only_scale(condition: Condition) -> str | None:
    """The scale that a condition looks at, if it looks at one and at nothing else."""
    names = {leaf.scale if isinstance(leaf, ScaleCondition) else None for leaf in leaves(condition)}
    return names.pop() if len(names) == 1 else None


def leaves(condition: Condition) -> Iterator[ItemCondition | ScaleCondition | CountCondition]:
    """Every comparison in a condition, in the order of the definition."""
    match condition:
        case AllOf():
            for part in condition.all_:
                yield from leaves(part)
        case AnyOf():
            for part in condition.any_:
                yield from leaves(part)
        case NotOf():
            yield from leaves(condition.not_)
        case _:
            yield condition
