"""Conditions of a definition, compiled: one tree, evaluated for one form or for a whole block of forms.

Three-valued throughout. For one form the values are ``True``, ``False`` and ``None`` (unknown); for a block they are
two boolean arrays, *surely met* and *possibly met*, so that unknown is possible but not sure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from instruments.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    CountCondition,
    ItemCondition,
    NotOf,
)
from instruments.schema import Item
from scoring.errors import PlanError

Bools = npt.NDArray[np.bool_]
MOST_DIGITS = 30


def exact(value: Decimal) -> Fraction:
    """A number of a definition as a fraction.

    Raises
    ------
    PlanError
        It is so large or so fine that its digits alone would fill the memory.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MOST_DIGITS or value.adjusted() > MOST_DIGITS:
        raise PlanError(f"a number has more than {MOST_DIGITS} digits before or after the point")
    return Fraction(value)


class Block(Protocol):
    """What a compiled condition reads of a block of forms."""

    def met(self, item: int, allowed: frozenset[int]) -> Bools:
        """Where the raw answer to an item is one of ``allowed``."""
        ...

    def missing(self, item: int) -> Bools:
        """Where an item is unanswered."""
        ...

    def counted(
        self, items: tuple[int, ...], allowed: tuple[frozenset[int], ...]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """How many of some items have an answer among their allowed ones, and how many are unanswered."""
        ...

    def points(self, scale: int) -> tuple[npt.NDArray[Any], Bools]:
        """A scale's value in units of 1/denominator, and where it has one."""
        ...


class Test(Protocol):
    """A compiled condition."""

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        """Whether it is met for one form; ``None`` where missing answers could still decide."""
        ...

    def over(self, block: Block) -> tuple[Bools, Bools]:
        """Where it is surely met, and where possibly, in a block of forms."""
        ...

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        """Whether it can be met by a complete form without not-applicable answers (those of each item given)."""
        ...


@dataclass(frozen=True, slots=True)
class ItemTest:
    """The raw answer to one item is one of some values."""

    item: int
    allowed: frozenset[int]

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        answer = answers[self.item]
        return None if answer is None else answer in self.allowed

    def over(self, block: Block) -> tuple[Bools, Bools]:
        met = block.met(self.item, self.allowed)
        return met, met | block.missing(self.item)

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        return bool(self.allowed - not_applicable[self.item])


@dataclass(frozen=True, slots=True)
class CountTest:
    """At least ``needed`` items have an answer among their allowed values."""

    items: tuple[int, ...]
    allowed: tuple[frozenset[int], ...]
    needed: int
    or_missing: bool

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        met = missing = 0
        for item, allowed in zip(self.items, self.allowed, strict=True):
            answer = answers[item]
            if answer is None:
                missing += 1
            elif answer in allowed:
                met += 1
        if self.or_missing:
            return met + missing >= self.needed
        if met >= self.needed:
            return True
        return None if met + missing >= self.needed else False

    def over(self, block: Block) -> tuple[Bools, Bools]:
        met, open_ = block.counted(self.items, self.allowed)
        possible: Bools = met + open_ >= self.needed
        return (possible, possible) if self.or_missing else (met >= self.needed, possible)

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        open_ = sum(
            bool(allowed - not_applicable[item]) for item, allowed in zip(self.items, self.allowed, strict=True)
        )
        return open_ >= self.needed


def how_many(rows: list[Bools], *, only_whether: bool = False) -> npt.NDArray[Any]:
    """In how many of the rows each position is True; with ``only_whether``, 1 where it is in any."""
    if len(rows) > 255 and not only_whether:
        wide = rows[0].astype(np.int16)
        for row in rows[1:]:
            wide += row
        return wide
    count = rows[0].view(np.uint8).copy()  # a boolean is a byte of 0 or 1
    for row in rows[1:]:
        if only_whether:
            count |= row.view(np.uint8)
        else:
            count += row.view(np.uint8)
    return count


@dataclass(frozen=True, slots=True)
class ScaleTest:
    """A scale's value, in units of 1/denominator, lies in a range or among some values."""

    scale: int
    low: int | None
    high: int | None
    among: frozenset[int] | None

    def accepts(self, points: int) -> bool:
        """Whether a value is met."""
        if self.among is not None:
            return points in self.among
        return (self.low is None or points >= self.low) and (self.high is None or points <= self.high)

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        value = points[self.scale]
        return None if value is None else self.accepts(value)

    def over(self, block: Block) -> tuple[Bools, Bools]:
        points, present = block.points(self.scale)
        if self.among is not None:
            met = np.isin(points, sorted(self.among))
        else:
            met = np.ones(len(points), np.bool_)
            if self.low is not None:
                met &= points >= self.low
            if self.high is not None:
                met &= points <= self.high
        return met & present, met | ~present

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class AllTest:
    """Every part is met."""

    parts: tuple[Test, ...]

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        results = [part.holds(answers, points) for part in self.parts]
        return False if False in results else None if None in results else True

    def over(self, block: Block) -> tuple[Bools, Bools]:
        results = [part.over(block) for part in self.parts]
        return np.logical_and.reduce([r[0] for r in results]), np.logical_and.reduce([r[1] for r in results])

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        return all(part.possible(not_applicable) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyTest:
    """At least one part is met."""

    parts: tuple[Test, ...]

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        results = [part.holds(answers, points) for part in self.parts]
        return True if True in results else None if None in results else False

    def over(self, block: Block) -> tuple[Bools, Bools]:
        results = [part.over(block) for part in self.parts]
        return np.logical_or.reduce([r[0] for r in results]), np.logical_or.reduce([r[1] for r in results])

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        return any(part.possible(not_applicable) for part in self.parts)


@dataclass(frozen=True, slots=True)
class NotTest:
    """The part is not met."""

    part: Test

    def holds(self, answers: Sequence[int | None], points: Sequence[int | None]) -> bool | None:
        result = self.part.holds(answers, points)
        return None if result is None else not result

    def over(self, block: Block) -> tuple[Bools, Bools]:
        sure, possible = self.part.over(block)
        return ~possible, ~sure

    def possible(self, not_applicable: Sequence[frozenset[int]]) -> bool:
        return True


def compile_condition(
    condition: Condition, items: Mapping[str, tuple[int, Item]], scales: Mapping[str, tuple[int, int]]
) -> Test:
    """Compile a condition.

    Parameters
    ----------
    items : mapping of item id to (position, item)
    scales : mapping of scale id to (position, denominator of its values)
    """
    match condition:
        case AllOf():
            return AllTest(tuple(compile_condition(part, items, scales) for part in condition.all_))
        case AnyOf():
            return AnyTest(tuple(compile_condition(part, items, scales) for part in condition.any_))
        case NotOf():
            return NotTest(compile_condition(condition.not_, items, scales))
        case ItemCondition():
            position, item = items[condition.item]
            return ItemTest(position, accepted(condition, item))
        case CountCondition():
            chosen = [items[name] for name in condition.count]
            allowed = tuple(accepted(condition, item) for _, item in chosen)
            return CountTest(
                tuple(position for position, _ in chosen),
                allowed,
                condition.needed,
                condition.or_missing,
            )
        case _:
            position, denominator = scales[condition.scale]
            return scale_test(condition, position, denominator)


def accepted(comparison: Comparison, item: Item) -> frozenset[int]:
    """The raw answers to an item that meet a comparison.

    An option that is left out of scoring (not applicable) has no size: only ``one_of`` can name it.
    """
    operand = comparison.operand
    if isinstance(operand, tuple):
        chosen = frozenset(operand)
        return frozenset(value for value in item.options if value in chosen)
    left_out = {option.value for option in item.not_applicable if not option.scored}
    candidates = [value for value in item.options if value not in left_out]
    match comparison.comparator:
        case "at_least":
            return frozenset(value for value in candidates if value >= operand)
        case "at_most":
            return frozenset(value for value in candidates if value <= operand)
        case "above":
            return frozenset(value for value in candidates if value > operand)
        case _:
            return frozenset(value for value in candidates if value < operand)


def scale_test(comparison: Comparison, position: int, denominator: int) -> ScaleTest:
    """Compile a comparison of a scale's value, exactly, in units of 1/denominator."""
    operand = comparison.operand
    if isinstance(operand, tuple):
        points = [exact(value) * denominator for value in operand]
        return ScaleTest(position, None, None, frozenset(int(v) for v in points if v.denominator == 1))
    bound = exact(operand) * denominator
    match comparison.comparator:
        case "at_least":
            return ScaleTest(position, math.ceil(bound), None, None)
        case "at_most":
            return ScaleTest(position, None, math.floor(bound), None)
        case "above":
            return ScaleTest(position, math.floor(bound) + 1, None, None)
        case _:
            return ScaleTest(position, None, math.ceil(bound) - 1, None)
