"""Alert rules: those of a definition and those that somebody adds to it, in one language and by one arithmetic.

A rule is compiled under a plan once and then asked of one form (:func:`decide`) or of a block of forms (its test's
``over``; :func:`scoring.frame.evaluate_frame` does so). Before that :func:`faults` says what could never fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instruments.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    CountCondition,
    ItemCondition,
    NotOf,
    ScaleCondition,
    leaves,
    only_scale,
)
from instruments.items import Item
from instruments.schema import Instrument
from scoring.answers import checked, skip
from scoring.errors import PlanError
from scoring.logic import Test, accepted, compile_condition, exact
from scoring.plan import Plan, items_of
from scoring.result import AlertResult, Result

Place = tuple[str | int, ...]
Tests = tuple[tuple[AlertResult, Test], ...]
SHOWN = 20


@dataclass(frozen=True, slots=True)
class AddedRule:
    """A rule that is not the definition's own."""

    id: str
    meaning: str
    severity: str
    when: Condition


@dataclass(frozen=True, slots=True)
class RuleFault:
    """What of a condition does not fit the definition: where it stands, a code, and what would have been right."""

    place: Place
    code: str
    detail: str


def compile_rules(plan: Plan, rules: Iterable[AddedRule]) -> Tests:
    """Rules as tests of a plan's forms. Those that look at something that the definition does not have are left out."""
    forms = plan.instrument.items_under(plan.variant)
    items = {item.id: (place, item) for place, item in enumerate(forms)}
    scales = {scale.id: (place, scale.denominator) for place, scale in enumerate(plan.scales)}
    made_of = {scale.id: scale for scale in plan.scales}
    return tuple(
        (
            AlertResult(
                rule.id, rule.meaning, rule.severity, items_of(rule.when, plan.items, made_of), only_scale(rule.when)
            ),
            compile_condition(rule.when, items, scales),
        )
        for rule in rules
        if _named(rule.when) <= items.keys() | scales.keys()
    )


def decide(
    plan: Plan, tests: Tests, answers: Mapping[str, Any], result: Result
) -> tuple[list[AlertResult], list[AlertResult]]:
    """Of one form that was scored under the plan: the alerts that hold, and those that unanswered items leave open."""
    values = checked(plan, answers)
    skip(plan, values)
    points = [
        None if value is None else round(value * scale.denominator)
        for scale, value in ((scale, result.scores[scale.id].value) for scale in plan.scales)
    ]
    decided = [(alert, test.holds(values, points)) for alert, test in tests]
    return [alert for alert, holds in decided if holds], [alert for alert, holds in decided if holds is None]


def faults(instrument: Instrument, when: Condition) -> Iterator[RuleFault]:
    """Everything in a condition that the definition does not have, and what no form of it could ever meet."""
    forms = [{item.id: item for item in instrument.items_under(variant)} for variant in instrument.variant_ids]
    scales = {scale.id: scale for scale in instrument.scales}
    for place, leaf in _placed(when):
        try:
            numbers = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
            for number in numbers:
                exact(number)
        except PlanError as error:
            yield RuleFault((*place, leaf.comparator), "impossible-value", str(error))
            continue
        match leaf:
            case ScaleCondition():
                if leaf.scale not in scales:
                    yield RuleFault((*place, "scale"), "unknown-scale", _one_of(scales))
                elif detail := _beyond(instrument, leaf):
                    yield RuleFault((*place, leaf.comparator), "impossible-value", detail)
            case ItemCondition():
                yield from _of_items(forms, leaf, place, [((*place, "item"), leaf.item)])
            case _:
                named = [((*place, "count", number), name) for number, name in enumerate(leaf.count)]
                yield from _of_items(forms, leaf, place, named)
                for at, name in named:
                    if name in leaf.count[: named.index((at, name))]:
                        yield RuleFault(at, "listed-twice", f"names {name!r} once")


def _of_items(
    forms: Sequence[Mapping[str, Item]], leaf: Comparison, place: Place, named: Sequence[tuple[Place, str]]
) -> Iterator[RuleFault]:
    for at, name in named:
        items = [form[name] for form in forms if name in form]
        if not items:
            yield RuleFault(at, "unknown-item", _one_of(forms[0]))
            continue
        options = sorted({value for item in items for value in item.options})
        takes = f"item {name!r} takes {', '.join(map(str, options[:SHOWN]))}{', …' if len(options) > SHOWN else ''}"
        if leaf.one_of is not None:
            for position, value in enumerate(leaf.one_of):
                if value not in options:
                    yield RuleFault((*place, "one_of", position), "impossible-value", f"is an answer: {takes}")
        elif not any(accepted(leaf, item) for item in items):
            yield RuleFault((*place, leaf.comparator), "impossible-value", f"is met by some answer: {takes}")


def _beyond(instrument: Instrument, leaf: ScaleCondition) -> str | None:
    """Why no score of the scale could meet a comparison; None where one could."""
    rules = [instrument.scale(leaf.scale).rule_for(variant) for variant in instrument.variant_ids]
    low, high = min(rule.min for rule in rules), max(rule.max for rule in rules)
    wanted = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
    met = {
        "at_least": wanted[0] <= high,
        "above": wanted[0] < high,
        "at_most": wanted[0] >= low,
        "below": wanted[0] > low,
        "one_of": all(low <= value <= high for value in wanted),
    }
    return None if met[leaf.comparator] else f"is met by some score: {leaf.scale!r} goes from {low} to {high}"


def _placed(
    when: Condition, place: Place = ()
) -> Iterator[tuple[Place, ItemCondition | ScaleCondition | CountCondition]]:
    """Every comparison in a condition, with where it stands."""
    match when:
        case AllOf():
            for number, part in enumerate(when.all_):
                yield from _placed(part, (*place, "all", number))
        case AnyOf():
            for number, part in enumerate(when.any_):
                yield from _placed(part, (*place, "any", number))
        case NotOf():
            yield from _placed(when.not_, (*place, "not"))
        case _:
            yield place, when


def _named(when: Condition) -> set[str]:
    found: set[str] = set()
    for leaf in leaves(when):
        match leaf:
            case ScaleCondition():
                found.add(leaf.scale)
            case ItemCondition():
                found.add(leaf.item)
            case _:
                found.update(leaf.count)
    return found


def _one_of(known: Iterable[str]) -> str:
    names = list(known)
    return f"has to be one of {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}"
