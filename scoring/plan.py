"""Compiling a definition into a plan: whole-number arithmetic that scores one form or a block of forms.

Published factors are decimals (0.6 of a sum), prorating divides, means divide. In binary floating point that would
give 1.7999... where the manual says 1.8, and another result again when the order of additions changes. A plan
therefore works in whole numbers: every scale has a fixed denominator, its value is ``points / denominator``, and the
only division is the last step. That division is correctly rounded in Python and in NumPy alike, so both executions
agree to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from graphlib import TopologicalSorter
from operator import itemgetter
from typing import Any

from instruments.conditions import CountCondition, ScaleCondition, leaves
from instruments.schema import Alert as AlertRule
from instruments.schema import Caseness, Instrument, Item, ScaleRule, Validity
from scoring.errors import PlanError, UnknownVariant
from scoring.logic import ScaleTest, Test, accepted, compile_condition, exact, scale_test
from scoring.result import AlertResult, CutoffResult, Flag
from scoring.shortcut import Shortcut

LARGEST = 2**53  # beyond it a float no longer holds every whole number, and the two executions could differ
MOST_VALIDITY_RULES = 63  # those that hold for a row of a frame are the bits of one whole number


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """One item: what each option is worth, in units of 1/plan.unit; None for an option that is left out."""

    id: str
    worth: dict[int, int | None]
    not_applicable: frozenset[int]


@dataclass(frozen=True, slots=True)
class BandPlan:
    """One band: from ``low`` up to the next band, in units of 1/denominator."""

    low: int
    label: str


@dataclass(slots=True)
class ScalePlan:
    """One scale. ``points = total of the parts * multiplier[number of parts with a value] + offset``."""

    id: str
    of_items: bool
    parts: tuple[int, ...]
    leaves: tuple[int, ...]
    counted: tuple[frozenset[int], ...] | None
    weights: tuple[int, ...]
    multiplier: tuple[int, ...]
    offset: int
    denominator: int
    largest: int
    clamp: tuple[int, int] | None
    min_parts: int
    bands: tuple[BandPlan, ...]
    band_top: int
    band_set: str | None
    cutoffs: tuple[tuple[ScaleTest, CutoffResult, CutoffResult], ...]

    def points(self, total: int, present: int) -> int:
        """The scale's value in units of 1/denominator, from the parts' total and how many have a value."""
        points = total * self.multiplier[present] + self.offset
        if self.clamp is not None:
            points = min(max(points, self.clamp[0]), self.clamp[1])
        return points

    def band(self, points: int) -> str | None:
        """The severity band that a value belongs to."""
        if not self.bands or points > self.band_top:
            return None
        return next((band.label for band in reversed(self.bands) if points >= band.low), None)


@dataclass(slots=True)
class Plan:
    """A definition under one variant, compiled."""

    instrument: Instrument
    variant: str
    unit: int
    items: tuple[ItemPlan, ...]
    scales: tuple[ScalePlan, ...]
    order: tuple[int, ...]
    caseness: tuple[tuple[str, Test], ...]
    validity: tuple[tuple[Flag, Test], ...]
    alerts: tuple[tuple[AlertResult, Test], ...]
    position: dict[str, int]
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
    if len(instrument.validity) > MOST_VALIDITY_RULES:
        raise PlanError(f"{instrument.code}: more than {MOST_VALIDITY_RULES} validity rules")
    rules = {scale.id: scale.rule_for(variant) for scale in instrument.scales}
    items = {item.id: (index, item) for index, item in enumerate(instrument.items)}
    unit = math.lcm(*(exact(v).denominator for item in instrument.items for v in item.score_of.values()))
    order = _in_order(rules)
    compiled: dict[str, ScalePlan] = {}
    ranges: dict[str, tuple[Fraction, Fraction]] = {}
    for scale_id in order:
        compiled[scale_id], ranges[scale_id] = _scale(instrument, scale_id, rules, items, unit, compiled, ranges)
    places = {scale.id: index for index, scale in enumerate(instrument.scales)}
    denominators = {scale_id: (places[scale_id], plan.denominator) for scale_id, plan in compiled.items()}

    def test(rule: Caseness | Validity | AlertRule) -> Test:
        return compile_condition(rule.when, items, denominators)

    item_plans = tuple(_item(item, unit) for item in instrument.items)
    return Plan(
        instrument=instrument,
        variant=variant,
        unit=unit,
        items=item_plans,
        scales=tuple(_placed(compiled[scale.id], places, rules) for scale in instrument.scales),
        order=tuple(places[scale_id] for scale_id in order),
        caseness=tuple((rule.id, test(rule)) for rule in instrument.caseness),
        validity=tuple((Flag(v.id, v.meaning, v.scales, v.suppress), test(v)) for v in instrument.validity),
        alerts=tuple((AlertResult(a.id, a.meaning, a.severity, _items_of(a)), test(a)) for a in instrument.alerts),
        position={item.id: index for index, item in enumerate(instrument.items)},
        pick=_picker([item.id for item in instrument.items]),
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


def _items_of(alert: AlertRule) -> tuple[str, ...]:
    """Each item that an alert looks at, once. (It looks at no scale: the schema refuses that.)"""
    raw = [leaf for leaf in leaves(alert.when) if not isinstance(leaf, ScaleCondition)]
    names = (name for leaf in raw for name in (leaf.count if isinstance(leaf, CountCondition) else (leaf.item,)))
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
    return ItemPlan(item.id, worth, frozenset(option.value for option in item.not_applicable))


def _scale(
    instrument: Instrument,
    scale_id: str,
    rules: dict[str, ScaleRule],
    items: dict[str, tuple[int, Item]],
    unit: int,
    compiled: dict[str, ScalePlan],
    ranges: dict[str, tuple[Fraction, Fraction]],
) -> tuple[ScalePlan, tuple[Fraction, Fraction]]:
    rule = rules[scale_id]
    where = f"{instrument.code}: scale {scale_id!r}"
    n = len(rule.parts)
    counted: tuple[frozenset[int], ...] | None = None
    if rule.counts is not None:
        # an option that is left out is no value of its part, even where the comparison names it
        counted = tuple(
            accepted(rule.counts, item) & item.score_of.keys() for item in (items[p][1] for p in rule.parts)
        )
        part_unit, spans = 1, [(Fraction(0), Fraction(1))] * n
    elif rule.items is not None:
        scored = [items[name][1].score_of.values() for name in rule.parts]
        part_unit, spans = unit, [(exact(min(values)), exact(max(values))) for values in scored]
    else:
        part_unit = math.lcm(*(compiled[name].denominator for name in rule.parts))
        spans = [ranges[name] for name in rule.parts]

    given = [exact(rule.weights[name]) if rule.weights is not None else Fraction(1) for name in rule.parts]
    weight_unit = math.lcm(*(weight.denominator for weight in given))
    weights = [int(weight * weight_unit) for weight in given]
    if rule.scales is not None:  # parts come in units of their own denominators
        weights = [w * (part_unit // compiled[name].denominator) for w, name in zip(weights, rule.parts, strict=True)]

    ends = [sorted((low * w, high * w)) for (low, high), w in zip(spans, given, strict=True)]
    low, high = sum((end[0] for end in ends), Fraction(0)), sum((end[1] for end in ends), Fraction(0))
    if rule.method == "mean":
        low, high = low / n, high / n
    if low == high:
        raise PlanError(f"{where}: every form would score the same")
    factor, offset = _affine(rule, low, high)
    low, high = sorted((low * factor + offset, high * factor + offset))

    minimum, maximum = exact(rule.min), exact(rule.max)
    if (low, high) != (minimum, maximum) and not (rule.clamp and low <= minimum < maximum <= high):
        raise PlanError(f"{where}: min..max is {rule.min}..{rule.max}, but its parts give {float(low)}..{float(high)}")
    min_parts = rule.missing.min_answered or n
    if min_parts < n and len(set(spans)) > 1 and not rule.clamp:
        raise PlanError(f"{where}: prorating parts of different ranges can leave min..max; say clamp: true")

    # total * multiplier[present] + offset, all whole, over one denominator for every possible number of parts
    present = range(min_parts, n + 1)
    ratios = {k: factor / (part_unit * weight_unit) * (Fraction(n, k) if rule.method != "mean" else Fraction(1, k))
              for k in present}  # fmt: skip
    denominator = math.lcm(
        offset.denominator, minimum.denominator, maximum.denominator, *(ratio.denominator for ratio in ratios.values())
    )
    multiplier = tuple(int(ratios[k] * denominator) if k in ratios else 0 for k in range(n + 1))
    bound = max(abs(low), abs(high), *(abs(v) for end in ends for v in end)) * denominator
    total_bound = sum(max(abs(a), abs(b)) for a, b in ends) * part_unit * weight_unit * max(map(abs, multiplier))
    largest = math.ceil(max(bound, total_bound + abs(offset) * denominator, Fraction(denominator)))
    if largest >= LARGEST:
        raise PlanError(f"{where}: its numbers need more than 53 bits; simplify factors or the missing rule")

    scale = instrument.scale(scale_id)
    band_set = next((bands for bands in instrument.bands if bands.scale == scale_id and bands.default), None)
    parts = tuple(items[name][0] for name in rule.parts) if rule.items is not None else ()
    plan = ScalePlan(
        id=scale.id,
        of_items=rule.items is not None,
        parts=parts,
        leaves=_leaves(rule, items, compiled),
        counted=counted,
        weights=tuple(weights),
        multiplier=multiplier,
        offset=int(offset * denominator),
        denominator=denominator,
        largest=largest,
        clamp=(int(minimum * denominator), int(maximum * denominator)) if rule.clamp else None,
        min_parts=min_parts,
        bands=tuple(BandPlan(math.ceil(exact(b.min) * denominator), b.label) for b in band_set.bands)
        if band_set
        else (),
        band_top=math.floor(exact(band_set.bands[-1].max) * denominator) if band_set else 0,
        band_set=band_set.id if band_set else None,
        cutoffs=tuple(
            (
                scale_test(cutoff, 0, denominator),
                CutoffResult(cutoff.id, True, cutoff.meaning),
                CutoffResult(cutoff.id, False, cutoff.meaning),
            )
            for cutoff in instrument.cutoffs
            if cutoff.scale == scale_id and cutoff.primary
        ),
    )
    return plan, (low, high) if not rule.clamp else (minimum, maximum)


def _affine(rule: ScaleRule, low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
    if rule.rescale is None:
        return exact(rule.factor), exact(rule.offset)
    bottom, top = exact(rule.rescale[0]), exact(rule.rescale[1])
    factor = (top - bottom) / (high - low)
    return factor, bottom - low * factor


def _leaves(rule: ScaleRule, items: dict[str, tuple[int, Item]], compiled: dict[str, ScalePlan]) -> tuple[int, ...]:
    """Positions of the items below a scale, each once."""
    found: Iterable[int]
    if rule.items is not None:
        found = (items[name][0] for name in rule.parts)
    else:
        found = (leaf for name in rule.parts for leaf in compiled[name].leaves)
    return tuple(dict.fromkeys(found))
