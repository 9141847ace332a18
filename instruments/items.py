"""One question of a questionnaire as data: what may be answered, and what an answer scores."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from instruments.conditions import Strict
from instruments.parts import Identifier

ItemIdentifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,19}$")]
Meaning = Literal["no-activity", "no-attempt", "no-partner", "not-relevant"]
Options = Annotated[tuple[int, ...], Field(min_length=2, max_length=101)]
GATE, RATING = "gate", "rating"


class NotApplicable(Strict):
    """An option that says that the question does not apply."""

    value: int
    meaning: Meaning
    scored: bool = Field(description="True: its value enters the sum as published. False: it is left out of the scale.")


class TwoStep(Strict):
    """How a yes/no question and the rating that follows a yes become one answer.

    Answers are then given as ``<id>.gate`` (0 or 1) and ``<id>.rating`` (a key of ``yes``), or already converted.
    """

    no: int = Field(description="the option that a no stands for")
    yes: dict[int, int] = Field(min_length=1, description="the option that each rating stands for")


class ItemVariant(Strict):
    """What a named variant changes in an item: another printed form or coding; members not given stay as they are."""

    options: Options | None = None
    reverse: bool | None = None
    scored: dict[int, Decimal] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.options is None and self.reverse is None and self.scored is None:
            raise ValueError("the variant changes nothing; give options, reverse or scored")
        return self


class Item(Strict):
    """One question: what may be answered, and what an answer scores."""

    id: ItemIdentifier
    topic: str = Field(min_length=1, max_length=80)
    topic_by_form: dict[Identifier, str] | None = None
    options: Options = Field(description="values in print order")
    reverse: bool = Field(default=False, description="the scored value is lowest + highest - answer")
    scored: dict[int, Decimal] | None = Field(default=None, description="what each option scores, where not its value")
    not_applicable: tuple[NotApplicable, ...] = ()
    two_step: TwoStep | None = None
    variants: dict[Identifier, ItemVariant] = Field(default_factory=dict)

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
        if self.two_step is not None:
            reached = [self.two_step.no, *self.two_step.yes.values()]
            if sorted(reached) != sorted(self.substantive):
                raise ValueError(f"two_step must lead to each of the options {sorted(self.substantive)} exactly once")
            if any(abs(rating) > 10_000 for rating in self.two_step.yes):
                raise ValueError("ratings of two_step lie between -10000 and 10000")
        return self

    def under(self, variant: str) -> Item:
        """The item as a variant prints and codes it."""
        changed = self.variants.get(variant)
        if changed is None:
            return self
        base = {name: getattr(self, name) for name in Item.model_fields if name != "variants"}
        return Item(**base | {name: value for name, value in changed if value is not None})

    @property
    def names(self) -> tuple[str, ...]:
        """What an answer to the item may be given under."""
        return (self.id,) if self.two_step is None else (self.id, f"{self.id}.{GATE}", f"{self.id}.{RATING}")

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
