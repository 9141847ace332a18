"""Compiling the scales of a definition: weights, multipliers and limits as whole numbers over one denominator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from instruments.parts import Scoped
from instruments.schema import Instrument, Item, ScaleRule
from scoring.errors import PlanError
from scoring.goals import LARGEST, UNITS, TPlan, t_plan
from scoring.logic import ScaleTest, accepted, exact, scale_test
from scoring.result import CutoffResult

Rule = TypeVar("Rule", bound=Scoped)


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
    applicable: bool
    """Whether the parts that apply are all needed, and make the value alone."""
    required: tuple[int, ...]
    """Which of the parts there is no value without, as places among them."""
    can_lack: bool
    """Whether answers that do not apply can leave it without a value."""
    goals: TPlan | None
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


def held(rules: tuple[Rule, ...], variant: str) -> tuple[Rule, ...]:
    """Those that hold under a variant."""
    return tuple(rule for rule in rules if rule.holds_under(variant))


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known while the scales of a definition are compiled, one after the other."""

    instrument: Instrument
    variant: str
    rules: dict[str, ScaleRule]
    items: dict[str, tuple[int, Item]]
    unit: int
    compiled: dict[str, ScalePlan]
    ranges: dict[str, tuple[Fraction, Fraction]]

    def where(self, scale_id: str) -> str:
        """The scale as faults name it."""
        return f"{self.instrument.code}: scale {scale_id!r}"

    def interpreted(self, scale_id: str, denominator: int, **rule: Any) -> ScalePlan:
        """A scale with the bands and cutoffs that its value is read by."""
        sets = held(self.instrument.bands, self.variant)
        band_set = next((bands for bands in sets if bands.scale == scale_id and bands.default), None)
        bands = () if band_set is None else band_set.bands
        return ScalePlan(
            id=scale_id,
            denominator=denominator,
            bands=tuple(BandPlan(math.ceil(exact(band.min) * denominator), band.label) for band in bands),
            band_top=math.floor(exact(bands[-1].max) * denominator) if bands else 0,
            band_set=None if band_set is None else band_set.id,
            cutoffs=tuple(
                (
                    scale_test(cutoff, 0, denominator),
                    CutoffResult(cutoff.id, True, cutoff.meaning),
                    CutoffResult(cutoff.id, False, cutoff.meaning),
                )
                for cutoff in held(self.instrument.cutoffs, self.variant)
                if cutoff.scale == scale_id and cutoff.primary
            ),
            **rule,
        )


def compile_scale(scene: Scene, scale_id: str) -> tuple[ScalePlan, tuple[Fraction, Fraction]]:
    """One scale, and its range in points. Those that it is made of must be compiled already.

    Raises
    ------
    PlanError
        Its limits are not what its parts give, or its numbers are too large or too fine.
    """
    return _goals(scene, scale_id) if scene.rules[scale_id].goals is not None else _scale(scene, scale_id)


def _goals(scene: Scene, scale_id: str) -> tuple[ScalePlan, tuple[Fraction, Fraction]]:
    """A weighted T score: its parts are the ratings, one for each goal."""
    rule = scene.rules[scale_id]
    plan, offset, largest = t_plan(scene.where(scale_id), rule, scene.items, scene.unit)
    parts, n = tuple(goal.rating for goal in plan.goals), len(plan.goals)
    made = scene.interpreted(
        scale_id,
        UNITS,
        of_items=True,
        parts=parts,
        leaves=parts,
        counted=None,
        weights=(1,) * n,
        multiplier=(1,) * (n + 1),
        offset=offset,
        largest=largest,
        clamp=None,
        min_parts=rule.missing.min_answered or n,
        applicable=False,
        required=(),
        can_lack=True,
        goals=plan,
    )
    return made, (exact(rule.min), exact(rule.max))


def _scale(scene: Scene, scale_id: str) -> tuple[ScalePlan, tuple[Fraction, Fraction]]:
    rule, where, items = scene.rules[scale_id], scene.where(scale_id), scene.items
    unit, compiled, ranges = scene.unit, scene.compiled, scene.ranges
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
    min_parts, applicable = rule.missing.min_answered or n, rule.missing.rule == "applicable"
    can_go = [_can_lack(scene, rule, name) for name in rule.parts]
    if applicable and rule.method != "mean":
        # a sum is not enlarged: parts that are left out take what they would add at least, or at most, with them
        lows = [max(end[0], Fraction(0)) for end, goes in zip(ends, can_go, strict=True) if goes]
        highs = [min(end[1], Fraction(0)) for end, goes in zip(ends, can_go, strict=True) if goes]
        low -= sum(sorted(lows, reverse=True)[: n - min_parts], Fraction(0))
        high -= sum(sorted(highs)[: n - min_parts], Fraction(0))
    low, high = sorted((low * factor + offset, high * factor + offset))

    minimum, maximum = exact(rule.min), exact(rule.max)
    if (low, high) != (minimum, maximum) and not (rule.clamp and low <= minimum < maximum <= high):
        raise PlanError(f"{where}: min..max is {rule.min}..{rule.max}, but its parts give {float(low)}..{float(high)}")
    enlarged = not applicable or rule.method == "mean"
    if min_parts < n and enlarged and len(set(spans)) > 1 and not rule.clamp:
        raise PlanError(f"{where}: prorating parts of different ranges can leave min..max; say clamp: true")

    # total * multiplier[present] + offset, all whole, over one denominator for every possible number of parts
    present = range(min_parts, n + 1)
    share = {
        k: Fraction(1, k) if rule.method == "mean" else Fraction(1) if applicable else Fraction(n, k) for k in present
    }
    ratios = {k: factor / (part_unit * weight_unit) * share[k] for k in present}
    denominator = math.lcm(
        offset.denominator, minimum.denominator, maximum.denominator, *(ratio.denominator for ratio in ratios.values())
    )
    multiplier = tuple(int(ratios[k] * denominator) if k in ratios else 0 for k in range(n + 1))
    bound = max(abs(low), abs(high), *(abs(v) for end in ends for v in end)) * denominator
    total_bound = sum(max(abs(a), abs(b)) for a, b in ends) * part_unit * weight_unit * max(map(abs, multiplier))
    largest = math.ceil(max(bound, total_bound + abs(offset) * denominator, Fraction(denominator)))
    if largest >= LARGEST:
        raise PlanError(f"{where}: its numbers need more than 53 bits; simplify factors or the missing rule")

    plan = scene.interpreted(
        scale_id,
        denominator,
        of_items=rule.items is not None,
        parts=tuple(items[name][0] for name in rule.parts) if rule.items is not None else (),
        leaves=_leaves(rule, items, compiled),
        counted=counted,
        weights=tuple(weights),
        multiplier=multiplier,
        offset=int(offset * denominator),
        largest=largest,
        clamp=(int(minimum * denominator), int(maximum * denominator)) if rule.clamp else None,
        min_parts=min_parts,
        applicable=applicable,
        required=tuple(rule.parts.index(name) for name in rule.missing.required),
        can_lack=sum(can_go) > n - min_parts or any(can_go[rule.parts.index(name)] for name in rule.missing.required),
        goals=None,
    )
    return plan, (low, high) if not rule.clamp else (minimum, maximum)


def _can_lack(scene: Scene, rule: ScaleRule, part: str) -> bool:
    """Whether a part can be left out because it does not apply."""
    if rule.items is None:
        return scene.compiled[part].can_lack
    item = scene.items[part][1]
    return len(item.score_of) < len(item.options)


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
