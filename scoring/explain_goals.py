"""How a weighted T score came about, worked out in decimals apart from the compiled plan that made the score."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

from instruments.schema import Goal, Item, ScaleRule
from scoring.numbers import number

DIGITS = 60
TEN_DECIMALS = Decimal("1e-10")
Told = tuple[str, str, float | None, dict[str, Any]]
"""Kind, text, value and inputs of a step."""


def goals_told(
    rule: ScaleRule, items: Mapping[str, Item], given: Mapping[str, int | None]
) -> tuple[list[Told], Fraction | None]:
    """Each goal, the formula with its numbers, and the score to ten decimals; None where there is none."""
    told: list[Told] = []
    rated: list[tuple[Decimal, Decimal]] = []
    for goal in rule.goals or ():
        text, pair = _goal(goal, items, given)
        told.append(("answers", f"goal {goal.rating}: {text}", None, {name: given[name] for name in goal.items}))
        if pair is not None:
            rated.append(pair)
    needed = rule.missing.min_answered or 1
    if len(rated) < needed:
        goals, are = "goal is" if len(rated) == 1 else "goals are", "is" if needed == 1 else "are"
        told.append(("missing", f"no score: {len(rated)} {goals} in use and rated, {needed} {are} needed", None, {}))
        return told, None
    with localcontext(Context(prec=DIGITS)):
        value = _formula(told, rule, rated)
    return told, value


def _goal(goal: Goal, items: Mapping[str, Item], given: Mapping[str, int | None]) -> tuple[str, Any]:
    """What becomes of one goal, and its weight and rating where it is rated."""
    weight = _worth(items[goal.weight], given[goal.weight])
    rated_by = goal.items[:-1]
    if not weight:
        return f"no weight ({goal.weight}), not in use", None
    for name in rated_by:
        if given[name] is not None and _worth(items[name], given[name]) is None:
            return f"{name} does not apply, not in use", None
    open_ = [name for name in rated_by if given[name] is None]
    if open_:
        return f"weight {number(Fraction(weight))}, but no answer to {', '.join(open_)}: left out", None
    rating = _worth(items[goal.rating], given[goal.rating]) or Decimal(0)
    text = number(Fraction(rating))
    if goal.minus is not None:
        less = _worth(items[goal.minus], given[goal.minus]) or Decimal(0)
        text, rating = f"{text} - {number(Fraction(less))} = {number(Fraction(rating - less))}", rating - less
    return f"{text}, with weight {number(Fraction(weight))}", (weight, rating)


def _worth(item: Item, answer: int | None) -> Decimal | None:
    return None if answer is None else item.score_of.get(answer)


def _formula(told: list[Told], rule: ScaleRule, rated: list[tuple[Decimal, Decimal]]) -> Fraction:
    r = rule.correlation or Decimal(0)
    total = sum((w * x for w, x in rated), Decimal(0))
    squares, weight = sum((w * w for w, _ in rated), Decimal(0)), sum((w for w, _ in rated), Decimal(0))
    terms = " + ".join(f"{_short(w)} x {_short(x)}" for w, x in rated)
    told.append(("combine", f"weight x rating: {terms} = {_short(total)}", float(total), {}))
    square = (1 - r) * squares + r * weight * weight
    root = square.sqrt()
    own = " + ".join(f"{_short(w)}^2" for w, _ in rated)
    text = f"spread: sqrt({_short(1 - r)} x ({own}) + {_short(r)} x {_short(weight)}^2) = sqrt({_short(square)}) = "
    told.append(("combine", text + _short(root), float(root), {}))
    above = (rule.factor * total / root).quantize(TEN_DECIMALS, ROUND_HALF_EVEN)
    value = Fraction(rule.offset + above)
    text = f"{_short(rule.offset)} + {_short(rule.factor)} x {_short(total)} / {_short(root)} = {number(value)}"
    told.append(("transform", text, float(value), {}))
    return value


def _short(value: Decimal) -> str:
    return number(Fraction(value))
