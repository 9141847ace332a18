"""Compiling a definition into a plan: whole-number arithmetic that scores one form or a block of forms.

Published factors are decimals (0.6 of a sum), prorating divides, means divide. In binary floating point that would
give 1.7999... where the manual says 1.8, and another result again when the order of additions changes. A plan
therefore works in whole numbers: every scale has a fixed denominator, its value is ``points / denominator``, and the
only division is the last step. That division is correctly rounded in Python and in NumPy alike, so both executions
agree to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from graphlib import TopologicalSorter
from operator import itemgetter
from typing import Any, Protocol

from instruments.conditions import Condition, ItemCondition, ScaleCondition, leaves, only_scale
from instruments.items import GATE, RATING, TwoStep
from instruments.schema import Instrument, Item, ScaleRule
from scoring.errors import PlanError, UnknownVariant
from scoring.logic import Test, compile_condition, exact
from scoring.result import AlertResult, Flag
from scoring.scales import ScalePlan, Scene, compile_scale, held
from scoring.shortcut import Shortcut

MOST_VALIDITY_RULES = 63  # those that hold for a row of a frame are the bits of one whole number


class _Conditional(Protocol):
    """Any rule with a condition."""

    @property
    def when(self) -> Condition: ...


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """One item: what each option is worth, in units of 1/plan.unit; None for an option that is left out."""

    id: str
    worth: dict[int, int | None]
    not_applicable: frozenset[int]
    two_step: TwoStep | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What may be given under a name: the item's answer itself, or one of the two steps that it is asked in."""

    item: int
    options: frozenset[int]
    step: bool


@dataclass(frozen=True, slots=True)
class SkipPlan:
    """Items that count as answered with ``answer`` where they are unanswered and the test surely holds."""

    id: str
    test: Test
    items: tuple[int, ...]
    answer: int


@dataclass(slots=True, weakref_slot=True)
class Plan:
    """A definition under one variant, compiled."""

    instrument: Instrument
    variant: str
    unit: int
    items: tuple[ItemPlan, ...]
    skips: tuple[SkipPlan, ...]
    scales: tuple[ScalePlan, ...]
    order: tuple[int, ...]
    caseness: tuple[tuple[str, Test], ...]
    validity: tuple[tuple[Flag, Test], ...]
    alerts: tuple[tuple[AlertResult, Test], ...]
    position: dict[str, int]
    takes: dict[str, Taken]
    """By the name that it is given under, what may be answered."""
    pick: Callable[[Any], Sequence[Any]]
    not_applicable_of: tuple[frozenset[int], ...]
    needs_review: tuple[str, ...]
    shortcut: Shortcut | None = None


def plan_of(instrument: Instrument, variant: str | None = None) -> Plan:
    """The plan of a definition, compiled at the first call and kept with the definition.

    Raises
    ------
    UnknownVariant
        The definition declares no such variant.
    PlanError
        Its rules contradict one another.
    """
    plan: Plan | None = instrument.compiled.get(variant)
    if plan is None:
        name = instrument.variant_ids[0] if variant is None else variant
        if name not in instrument.variant_ids:
            raise UnknownVariant(instrument.code, name, instrument.variant_ids)
        plan = instrument.compiled[variant] = instrument.compiled[name] = _compile(instrument, name)
    return plan


def _compile(instrument: Instrument, variant: str) -> Plan:
    _names_differ(instrument)
    validity = held(instrument.validity, variant)
    if len(validity) > MOST_VALIDITY_RULES:
        raise PlanError(f"{instrument.code}: more than {MOST_VALIDITY_RULES} validity rules")
    forms = instrument.items_under(variant)
    rules = {scale.id: scale.rule_for(variant) for scale in instrument.scales}
    items = {item.id: (index, item) for index, item in enumerate(forms)}
    unit = math.lcm(*(exact(v).denominator for item in forms for v in item.score_of.values()))
    order = _in_order(rules)
    compiled: dict[str, ScalePlan] = {}
    ranges: dict[str, tuple[Fraction, Fraction]] = {}
    scene = Scene(instrument, variant, rules, items, unit, compiled, ranges)
    for scale_id in order:
        compiled[scale_id], ranges[scale_id] = compile_scale(scene, scale_id)
    places = {scale.id: index for index, scale in enumerate(instrument.scales)}
    denominators = {scale_id: (places[scale_id], plan.denominator) for scale_id, plan in compiled.items()}

    def test(rule: _Conditional) -> Test:
        return compile_condition(rule.when, items, denominators)

    item_plans = tuple(_item(item, unit) for item in forms)
    alerts = held(instrument.alerts, variant)
    return Plan(
        instrument=instrument,
        variant=variant,
        unit=unit,
        items=item_plans,
        scales=tuple(_placed(compiled[scale.id], places, rules) for scale in instrument.scales),
        order=tuple(places[scale_id] for scale_id in order),
        skips=tuple(
            SkipPlan(skip.id, test(skip), tuple(items[name][0] for name in skip.items), skip.answer)
            for skip in held(instrument.skips, variant)
        ),
        caseness=tuple((rule.id, test(rule)) for rule in held(instrument.caseness, variant)),
        validity=tuple((Flag(v.id, v.meaning, v.scales, v.suppress), test(v)) for v in validity),
        alerts=tuple(
            (
                AlertResult(a.id, a.meaning, a.severity, items_of(a.when, item_plans, compiled), only_scale(a.when)),
                test(a),
            )
            for a in alerts
        ),
        position={item.id: index for index, item in enumerate(forms)},
        takes={name: taken for index, item in enumerate(item_plans) for name, taken in _takes(index, item)},
        pick=_picker([item.id for item in forms]),
        not_applicable_of=tuple(item.not_applicable for item in item_plans),
        needs_review=instrument.review_of(variant),
    )


def _names_differ(instrument: Instrument) -> None:
    """A scored frame has one column for each of these."""
    names = [name for scale in instrument.scales for name in (scale.id, f"{scale.id}_status")]
    names += [*(rule.id for rule in instrument.caseness), "flags"]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(
            f"{instrument.code}: two columns of a scored file would be named {twice[0]!r}; rename a scale or rule"
        )


def items_of(when: Condition, items: Sequence[ItemPlan], compiled: Mapping[str, ScalePlan]) -> tuple[str, ...]:
    """Each item that a condition looks at, once; of a scale, those that it is made of."""
    names: list[str] = []
    for leaf in leaves(when):
        match leaf:
            case ScaleCondition():
                names += [items[place].id for place in compiled[leaf.scale].leaves]
            case ItemCondition():
                names.append(leaf.item)
            case _:
                names += leaf.count
    return tuple(dict.fromkeys(names))


def _picker(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """Like ``itemgetter``, but always a sequence, also for a single key."""
    if len(keys) == 1:
        only = keys[0]
        return lambda values: (values[only],)
    return itemgetter(*keys)


def _placed(scale: ScalePlan, places: dict[str, int], rules: dict[str, ScaleRule]) -> ScalePlan:
    """A scale made of scales refers to them by their place in the definition."""
    if not scale.of_items:
        scale.parts = tuple(places[name] for name in rules[scale.id].parts)
    return scale


def _in_order(rules: dict[str, ScaleRule]) -> list[str]:
    """Scales so that each comes after those it is made of. (A circle is refused when the definition is read.)"""
    return list(TopologicalSorter({name: rule.scales or () for name, rule in rules.items()}).static_order())


def _item(item: Item, unit: int) -> ItemPlan:
    worth: dict[int, int | None] = dict.fromkeys(item.options)
    for value, scored in item.score_of.items():
        worth[value] = int(exact(scored) * unit)
    return ItemPlan(item.id, worth, frozenset(option.value for option in item.not_applicable), item.two_step)


def _takes(place: int, item: ItemPlan) -> Iterator[tuple[str, Taken]]:
    yield item.id, Taken(place, frozenset(item.worth), step=False)
    if item.two_step is not None:
        yield f"{item.id}.{GATE}", Taken(place, frozenset((0, 1)), step=True)
        yield f"{item.id}.{RATING}", Taken(place, frozenset(item.two_step.yes), step=True)
