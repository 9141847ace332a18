"""Scales and conditions as FHIRPath.

Every expression is empty where we give no value. Counts and sums are taken over ``%values``, a variable of the score's
item: what its parts are worth, without those that have no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from instruments.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    CountCondition,
    ItemCondition,
    NotOf,
    ScaleCondition,
)
from instruments.fhir.answers import Answers, accepted, among, left_out, number
from instruments.rules import Goal, ScaleRule
from instruments.schema import Instrument

DECIMALS = 9
"""A score is rounded to so many before it is compared: in binary, 3 times 0.6 is 1.7999..., and 1.8 has to be met."""
_COMPARATORS = {"at_least": ">=", "at_most": "<=", "above": ">", "below": "<"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A calculated expression, with the variables that it uses, in order."""

    text: str
    variables: tuple[tuple[str, str], ...] = ()


def total(collection: str) -> str:
    """The sum of a collection of numbers; ``aggregate`` is in the specification, ``sum`` is not."""
    return f"{collection}.aggregate($this + $total, 0)"


def score_of(link: str) -> str:
    """The value of another score: a renderer writes it into the response."""
    return f"%resource.item.where({among('linkId', [link])}).answer.value"


class Writer:
    """Writes the rules of one instrument under one variant."""

    def __init__(self, instrument: Instrument, variant: str, skips: int | None = None) -> None:
        self.answers = Answers(instrument, variant, skips)
        self.rules = {scale.id: scale.rule_for(variant) for scale in instrument.scales}

    def scale(self, scale_id: str) -> Expression:
        """The value of a scale."""
        rule = self.rules[scale_id]
        if rule.goals is not None:
            return self._weighted_t(rule)
        variables = [("values", self._values(rule.parts, rule))]
        n = len(rule.parts)
        match rule.missing.rule:
            case "all":
                guard = f"%values.count() = {n}"
            case "prorate":
                guard = f"%values.count() >= {rule.missing.min_answered}"
                if rule.missing.required:
                    variables.append(("required", self._values(rule.missing.required, rule)))
                    guard += f" and %required.count() = {len(rule.missing.required)}"
            case _:
                variables += self._outside(rule)
                guard = f"%values.count() >= {rule.missing.min_answered} and %values.count() + %outside = {n}"
        if rule.counts is not None:
            variables.append(("met", self._met(rule.parts, rule.counts)))
        value = self._affine(scale_id, self._raw(rule, n))
        if rule.clamp:
            low, high = number(rule.min), number(rule.max)
            value = f"({value}).select(iif($this < {low}, {low}, iif($this > {high}, {high}, $this)))"
        return Expression(f"iif({guard}, {value}, {{}})", tuple(variables))

    def condition(self, condition: Condition) -> str:
        """A condition: true, false, or empty where the answers do not decide it."""
        match condition:
            case AllOf():
                return " and ".join(f"({self.condition(part)})" for part in condition.all_)
            case AnyOf():
                return " or ".join(f"({self.condition(part)})" for part in condition.any_)
            case NotOf():
                return f"({self.condition(condition.not_)}).not()"
            case ItemCondition():
                item = self.answers.items[condition.item]
                return self.answers.is_one_of(condition.item, accepted(condition, item))
            case ScaleCondition():
                value = f"{score_of(condition.scale)}.round({DECIMALS})"
                if condition.one_of is not None:
                    return f"{value} in ({' | '.join(number(one) for one in condition.one_of)})"
                operand = getattr(condition, condition.comparator)
                return f"{value} {_COMPARATORS[condition.comparator]} {number(operand)}"
            case _:
                return self._count(condition)

    def _values(self, parts: tuple[str, ...], rule: ScaleRule) -> str:
        if rule.items is not None:
            return self.answers.worth(parts)
        return f"%resource.item.where({among('linkId', parts)}).answer.value"

    def _outside(self, rule: ScaleRule) -> list[tuple[str, str]]:
        """Variables, the last of which is how many parts do not apply."""
        if rule.items is not None:
            left = {name: left_out(self.answers.items[name]) for name in rule.parts}
            return [("outside", self.answers.how_many(rule.parts, left))]
        found: dict[str, tuple[str, str]] = {}
        for name in rule.parts:
            self._not_applicable(name, found)
        terms = (f"iif(%{found[name][0]}, 1, 0)" for name in rule.parts)
        return [*found.values(), ("outside", " + ".join(terms))]

    def _not_applicable(self, scale_id: str, found: dict[str, tuple[str, str]]) -> None:
        """Add variables that say whether a scale has no value although nothing below it is unanswered."""
        if scale_id in found:
            return
        rule = self.rules[scale_id]
        text = f"{score_of(scale_id)}.empty()"
        if rule.items is not None:
            every = {name: frozenset(self.answers.items[name].options) for name in rule.parts}
            text += f" and {self.answers.how_many(rule.parts, every)} = {len(rule.parts)}"
        else:
            for name in rule.parts:
                self._not_applicable(name, found)
                text += f" and ({score_of(name)}.exists() or %{found[name][0]})"
        found[scale_id] = f"without{len(found) + 1}", text

    def _met(self, parts: tuple[str, ...], counts: Comparison) -> str:
        items = self.answers.items
        # an option that is left out is no value of its part, even where the comparison names it
        allowed = {name: accepted(counts, items[name]) & items[name].score_of.keys() for name in parts}
        return self.answers.how_many(parts, allowed)

    def _raw(self, rule: ScaleRule, n: int) -> str:
        if rule.weights is not None:
            return " + ".join(f"{number(w)} * {self._values((name,), rule)}" for name, w in self._in_order(rule))
        found = "%met" if rule.method == "count" else total("%values")
        if rule.method == "mean":
            return f"{found} / %values.count()"
        if rule.missing.rule == "prorate":
            return f"{found} * {n} / %values.count()"
        return found

    @staticmethod
    def _in_order(rule: ScaleRule) -> list[tuple[str, Decimal]]:
        return [(name, rule.weights[name]) for name in rule.parts] if rule.weights is not None else []

    def _affine(self, scale_id: str, raw: str) -> str:
        rule = self.rules[scale_id]
        if rule.rescale is None:
            factor, shift, offset = Fraction(rule.factor), Fraction(0), Fraction(rule.offset)
        else:
            low, high = self.raw_range(scale_id)
            bottom, top = map(Fraction, rule.rescale)
            factor, shift, offset = (top - bottom) / (high - low), low, bottom
            raw = f"({raw} - {_signed(shift)})"
        if factor != 1 and rule.weights is not None and rule.rescale is None:
            raw = f"({raw})"
        value = raw if factor == 1 else f"{raw} * {_signed(factor)}"
        return value if offset == 0 else f"{value} + {_signed(offset)}"

    def raw_range(self, scale_id: str) -> tuple[Fraction, Fraction]:
        """What the parts of a scale give at least and at most, before they are transformed."""
        rule = self.rules[scale_id]
        low = high = Fraction(0)
        for name in rule.parts:
            if rule.method == "count":
                ends = [Fraction(0), Fraction(1)]
            elif rule.items is not None:
                scores = self.answers.items[name].score_of.values()
                ends = [Fraction(min(scores)), Fraction(max(scores))]
            else:
                ends = [Fraction(self.rules[name].min), Fraction(self.rules[name].max)]
            weight = Fraction(rule.weights[name]) if rule.weights is not None else Fraction(1)
            low, high = low + min(end * weight for end in ends), high + max(end * weight for end in ends)
        n = len(rule.parts) if rule.method == "mean" else 1
        return low / n, high / n

    def _count(self, condition: CountCondition) -> str:
        items, names = self.answers.items, condition.count
        met = self.answers.how_many(names, {name: accepted(condition, items[name]) for name in names})
        answered = self.answers.how_many(names, {name: frozenset(items[name].options) for name in names})
        possible = f"{met} + {len(names)} - ({answered}) >= {condition.needed}"
        if condition.or_missing:
            return possible
        return f"iif({met} >= {condition.needed}, true, iif({possible}, {{}}, false))"

    def _weighted_t(self, rule: ScaleRule) -> Expression:
        goals = rule.goals or ()
        weights = "".join(_appended(index, self._goal(goal, "weight")) for index, goal in enumerate(goals))
        products = "".join(_appended(index, self._goal(goal, "product")) for index, goal in enumerate(goals))
        r, factor = Fraction(rule.correlation or 0), Fraction(rule.factor)
        squares = total("%weights.select($this * $this)")
        spread = f"({number(1 - r)} * {squares} + {number(r)} * {total('%weights')}.power(2)).sqrt()"
        value = f"{_signed(factor)} * {total('%products')} / {spread}"
        if rule.offset:
            value = f"{number(rule.offset)} + {value}"
        text = f"iif(%weights.count() >= {rule.missing.min_answered}, {value}, {{}})"
        return Expression(text, (("weights", weights), ("products", products)))

    def _goal(self, goal: Goal, what: str) -> str:
        """The weight of a slot, or weight times rating: empty where it is not in use or not rated."""
        weight, rating = self.answers.worth([goal.weight]), self.answers.worth([goal.rating])
        others = [self.answers.worth([name]) for name in (goal.rating, goal.minus, goal.needs) if name is not None]
        rated = " and ".join([f"{weight} > 0", *(f"{other}.exists()" for other in others)])
        if goal.minus is not None:
            rating = f"({rating} - {self.answers.worth([goal.minus])})"
        return f"iif({rated}, {weight if what == 'weight' else f'{weight} * {rating}'}, {{}})"


def _appended(index: int, text: str) -> str:
    return f".combine({text})" if index else text


def _signed(value: Fraction) -> str:
    """A number where an operator stands before it; a quotient is taken in turn (``* 100 / 28``)."""
    return f"({number(value)})" if value < 0 else number(value)
