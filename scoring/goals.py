"""Weighted T scores of individual goals: the plan of one, and its arithmetic for one form and for a block.

T = offset + factor * sum(w x) / sqrt((1 - r) sum(w^2) + r sum(w)^2), over the goals that are in use and rated. A root
has no last digit, so the score is what is nearest to it in units of 10^-10 points, exactly: decided in whole numbers,
it does not depend on how or in which order it is worked out, and a cutoff of 56.6 means 56.6.

References
----------
Kiresuk & Sherman (1968), Community Mental Health Journal 4:443-453
Turner-Stokes (2009), doi:10.1177/0269215508101742, with its erratum: the printed formulas are wrong
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from instruments.schema import Item, ScaleRule
from scoring.errors import PlanError
from scoring.logic import Bools, exact

if TYPE_CHECKING:
    from scoring.plan import ItemPlan

UNITS = 10**10
"""Units in a point."""
LARGEST = 2**53  # beyond it a float no longer holds every whole number, and the two executions could differ
FARTHEST = 2**43  # up to here four roundings of a float move a number of units by less than DOUBT
DOUBT = 0.01
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GoalPlan:
    """One slot: positions of its items."""

    rating: int
    minus: int | None
    needs: int | None
    weight: int

    @property
    def rated_by(self) -> tuple[int, ...]:
        """Items that the goal is not rated without."""
        return tuple(item for item in (self.rating, self.minus, self.needs) if item is not None)


@dataclass(frozen=True, slots=True)
class Reading:
    """The goals of one form: sums over those that are rated, and what became of the others."""

    total: int
    squares: int
    weight: int
    rated: int
    open: tuple[int, ...]
    """Unanswered items of goals that are in use."""
    dropped: int
    unused: tuple[int, ...]
    """Ratings of the slots that are not in use."""


@dataclass(frozen=True, slots=True)
class TPlan:
    """Points are numerator * total / (divisor * sqrt(own * squares + shared * weight^2)), above the offset."""

    goals: tuple[GoalPlan, ...]
    numerator: int
    divisor: int
    own: int
    shared: int

    def read(self, items: Sequence[ItemPlan], values: Sequence[int | None]) -> Reading:
        """The sums of one form."""
        total = squares = weight = rated = dropped = 0
        open_: list[int] = []
        unused: list[int] = []
        for goal in self.goals:
            given = [(item, values[item]) for item in goal.rated_by]
            w = _worth(items, goal.weight, values)
            if not w or any(value is not None and items[item].worth[value] is None for item, value in given):
                unused.append(goal.rating)
                continue
            unanswered = [item for item, value in given if value is None]
            if unanswered:
                open_ += unanswered
                dropped += 1
                continue
            x = _worth(items, goal.rating, values) - (0 if goal.minus is None else _worth(items, goal.minus, values))
            total, squares, weight, rated = total + w * x, squares + w * w, weight + w, rated + 1
        return Reading(total, squares, weight, rated, tuple(dict.fromkeys(open_)), dropped, tuple(unused))

    def points(self, total: int, squares: int, weight: int) -> int:
        """Units above the offset, rounded half to even."""
        top = (self.numerator * UNITS * total) ** 2
        bottom = self.divisor**2 * (self.own * squares + self.shared * weight**2)
        units = math.isqrt(top // bottom)
        odd = (2 * units + 1) ** 2 * bottom  # the point half-way to the next unit, squared
        if 4 * top > odd or (4 * top == odd and units % 2):
            units += 1
        return units if self.numerator * total >= 0 else -units

    def over(
        self,
        worth: Callable[[int], npt.NDArray[Any]],
        unanswered: Callable[[int], Bools],
        left_out: Callable[[int], Bools],
    ) -> tuple[Ints, Ints, Ints]:
        """Units above the offset, and how many goals are rated and dropped, for each form of a block.

        An answer that there is not, or that is left out, is worth 0.
        """
        nothing = np.zeros_like(worth(self.goals[0].weight), np.int64)
        total, squares, weight, rated, dropped = (nothing.copy() for _ in range(5))
        for goal in self.goals:
            w = worth(goal.weight).astype(np.int64)
            used = w > 0
            open_ = np.zeros_like(used)
            for item in goal.rated_by:
                used &= ~left_out(item)
                open_ |= unanswered(item)
            dropped += used & open_
            w *= used & ~open_
            x = worth(goal.rating).astype(np.int64)
            if goal.minus is not None:
                x -= worth(goal.minus)
            total, squares, weight, rated = total + w * x, squares + w * w, weight + w, rated + (w > 0)
        radicand = np.where(rated > 0, self.own * squares + self.shared * weight * weight, 1)
        units = self.numerator * total / (self.divisor * np.sqrt(radicand)) * UNITS
        points = np.rint(units).astype(np.int64)
        # where the float lies so near to half a unit that its own error could have decided, whole numbers decide
        doubtful = (np.abs(np.abs(units - points) - 0.5) < DOUBT) & (rated > 0)
        for row in np.flatnonzero(doubtful).tolist():
            points[row] = self.points(int(total[row]), int(squares[row]), int(weight[row]))
        return points, rated, dropped


def _worth(items: Sequence[ItemPlan], item: int, values: Sequence[int | None]) -> int:
    """What an answer is worth; 0 where there is none, or where it is left out."""
    value = values[item]
    return 0 if value is None else items[item].worth[value] or 0


def t_plan(where: str, rule: ScaleRule, items: Mapping[str, tuple[int, Item]], unit: int) -> tuple[TPlan, int, int]:
    """The plan of a weighted T score, its offset in units, and a bound of all its whole numbers.

    Raises
    ------
    PlanError
        ``min`` and ``max`` are not what the goals give, or numbers that are too large or too fine.
    """
    goals = rule.goals or ()
    r, factor, offset = exact(rule.correlation or Decimal(0)), exact(rule.factor), exact(rule.offset)
    plan = TPlan(
        tuple(
            GoalPlan(
                items[goal.rating][0],
                None if goal.minus is None else items[goal.minus][0],
                None if goal.needs is None else items[goal.needs][0],
                items[goal.weight][0],
            )
            for goal in goals
        ),
        factor.numerator * r.denominator,
        factor.denominator * unit,
        (r.denominator - r.numerator) * r.denominator,
        r.numerator * r.denominator,
    )
    spans = [_span(items[goal.rating][1], None if goal.minus is None else items[goal.minus][1]) for goal in goals]
    lowest, highest = min(low for low, _ in spans), max(high for _, high in spans)
    if lowest == highest:
        raise PlanError(f"{where}: every form would score the same")
    n, farthest = len(goals), max(abs(lowest), abs(highest))
    # all goals alike, with one weight: the more of them, the farther from the offset
    spread = _root_above(n / ((1 - r) + n * r))
    ends = [factor * x * k + offset for x in (lowest, highest) for k in (Fraction(1), spread)]
    low, high = math.floor(min(ends)), math.ceil(max(ends))
    if (exact(rule.min), exact(rule.max)) != (Fraction(low), Fraction(high)):
        raise PlanError(f"{where}: min..max is {rule.min}..{rule.max}, but its goals give {low}..{high}")
    heaviest = n * unit * max(_ends(items[goal.weight][1].score_of.values())[1] for goal in goals)
    bounds: list[Fraction | int] = [
        abs(plan.numerator) * heaviest * farthest * unit,
        (plan.own + plan.shared) * heaviest**2,
        plan.divisor,
        max(abs(low), abs(high)) * UNITS,
    ]
    largest = math.ceil(max(bounds))
    if largest >= LARGEST or abs(factor) * farthest * spread * UNITS >= FARTHEST or (offset * UNITS).denominator != 1:
        raise PlanError(f"{where}: its numbers need more than 53 bits or ten decimals; simplify factor or weights")
    return plan, int(offset * UNITS), largest


def _span(rating: Item, minus: Item | None) -> tuple[Fraction, Fraction]:
    low, high = _ends(rating.score_of.values())
    less, more = (Fraction(0), Fraction(0)) if minus is None else _ends(minus.score_of.values())
    return low - more, high - less


def _ends(worths: Iterable[Any]) -> tuple[Fraction, Fraction]:
    found = [exact(worth) for worth in worths]
    return min(found), max(found)


def _root_above(square: Fraction) -> Fraction:
    """The square root of a number, or what is just above it where it has no end."""
    scale = 10**30
    floor = Fraction(math.isqrt(square.numerator * scale**2 // square.denominator), scale)
    return floor if floor**2 == square else floor + Fraction(1, scale)
