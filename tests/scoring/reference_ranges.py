"""What scores can be at the least and at the most, for comparison only: slow, and apart from the code under test."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction

from instruments.schema import Instrument, Item, ScaleRule

MANY_DIGITS = Context(prec=90)


def worth(item: Item, answer: int) -> Fraction | None:
    """What an answer scores; None where the option is left out."""
    for option in item.not_applicable:
        if option.value == answer and not option.scored:
            return None
    if item.scored is not None:
        return Fraction(item.scored[answer])
    names = {option.value for option in item.not_applicable}
    if item.reverse and answer not in names:
        ordinary = [value for value in item.options if value not in names]
        return Fraction(min(ordinary) + max(ordinary) - answer)
    return Fraction(answer)


def printed(instrument: Instrument, variant: str) -> dict[str, Item]:
    """The items as a variant has them."""
    items = {}
    for item in instrument.items:
        content = item.model_dump() | {"variants": {}}
        if variant in item.variants:
            content |= {k: v for k, v in item.variants[variant].model_dump().items() if v is not None}
        items[item.id] = Item.model_validate(content)
    return items


def spans(instrument: Instrument, rule: ScaleRule, variant: str) -> list[tuple[Fraction, Fraction]]:
    """The lowest and the highest that each part can be."""
    if rule.method == "count":
        return [(Fraction(0), Fraction(1))] * len(rule.parts)
    if rule.items is not None:
        items = printed(instrument, variant)
        found = []
        for name in rule.items:
            worths = [w for answer in items[name].options if (w := worth(items[name], answer)) is not None]
            found.append((min(worths), max(worths)))
        return found
    parts = [instrument.scale(name).rule_for(variant) for name in rule.parts]
    return [(Fraction(part.min), Fraction(part.max)) for part in parts]


def removable(instrument: Instrument, rule: ScaleRule, variant: str) -> list[bool]:
    """Which parts an answer that does not apply can leave without a value."""
    if rule.items is not None:
        items = printed(instrument, variant)
        return [any(worth(items[name], answer) is None for answer in items[name].options) for name in rule.items]
    return [_can_lack(instrument, instrument.scale(name).rule_for(variant), variant) for name in rule.parts]


def _can_lack(instrument: Instrument, rule: ScaleRule, variant: str) -> bool:
    goes = dict(zip(rule.parts, removable(instrument, rule, variant), strict=True))
    always = [name for name, can_go in goes.items() if not can_go]
    return len(always) < (rule.missing.min_answered or len(goes)) or any(goes[n] for n in rule.missing.required)


def sums(rule: ScaleRule, ends: list[tuple[Fraction, Fraction]], goes: list[bool]) -> tuple[Fraction, Fraction]:
    """The lowest and the highest sum of the parts that apply, by trying each number of parts."""
    reached: dict[int, tuple[Fraction, Fraction]] = {0: (Fraction(0), Fraction(0))}
    for (low, high), can_go in zip(ends, goes, strict=True):
        after: dict[int, tuple[Fraction, Fraction]] = {}
        for count, (lowest, highest) in reached.items():
            there = (count + 1, lowest + low, highest + high)
            for number, a, b in (there, (count, lowest, highest)) if can_go else (there,):
                old = after.get(number, (a, b))
                after[number] = min(a, old[0]), max(b, old[1])
        reached = after
    enough = [pair for count, pair in reached.items() if count >= (rule.missing.min_answered or 0)]
    return min(low for low, _ in enough), max(high for _, high in enough)


def nearest(value: Decimal) -> Fraction:
    """To ten decimals; a number exactly between two goes to the even one."""
    return Fraction(value.quantize(Decimal("0.0000000001"), context=MANY_DIGITS))


def t_above(rule: ScaleRule, rated: Iterable[tuple[Fraction, Fraction]]) -> Decimal:
    """How far the weighted T of goals, each a weight and a rating, lies above the offset."""
    goals = list(rated)
    r, weights = Fraction(rule.correlation or 0), [w for w, _ in goals]
    square = (1 - r) * sum(w * w for w in weights) + r * sum(weights) ** 2
    # by the square of the whole, so that there is one root and nothing else to round
    whole = (Fraction(rule.factor) * sum(w * x for w, x in goals)) ** 2 / square
    root = MANY_DIGITS.sqrt(MANY_DIGITS.divide(Decimal(whole.numerator), Decimal(whole.denominator)))
    return root if Fraction(rule.factor) * sum(w * x for w, x in goals) >= 0 else -root


def t_limits(instrument: Instrument, rule: ScaleRule, variant: str) -> tuple[int, int]:
    """What all goals at one end, and one goal alone, give at the most, outward to whole numbers."""
    items = printed(instrument, variant)
    lows, highs = [], []
    for goal in rule.goals or ():
        rating = [w for a in items[goal.rating].options if (w := worth(items[goal.rating], a)) is not None]
        less = [Fraction(0)]
        if goal.minus is not None:
            less = [w for a in items[goal.minus].options if (w := worth(items[goal.minus], a)) is not None]
        lows.append(min(rating) - max(less))
        highs.append(max(rating) - min(less))
    ends = [
        Fraction(t_above(rule, [(Fraction(1), x)] * n)) + Fraction(rule.offset)
        for x in (min(lows), max(highs))
        for n in (1, len(lows))
    ]
    # the root is cut off after many digits: what lies next to a whole number is that number
    tiny = Fraction(1, 10**60)
    return math.floor(min(ends) + tiny), math.ceil(max(ends) - tiny)


def raw_range(rule: ScaleRule, ends: list[tuple[Fraction, Fraction]]) -> tuple[Fraction, Fraction]:
    """The range of the combined parts, before factor, offset and rescaling."""
    low = high = Fraction(0)
    for name, (bottom, top) in zip(rule.parts, ends, strict=True):
        weight = Fraction(rule.weights[name]) if rule.weights is not None else Fraction(1)
        low += min(bottom * weight, top * weight)
        high += max(bottom * weight, top * weight)
    return (low / len(ends), high / len(ends)) if rule.method == "mean" else (low, high)


def transformed(rule: ScaleRule, raw: Fraction, ends: list[tuple[Fraction, Fraction]]) -> Fraction:
    """Factor, offset or rescaling; without clamping."""
    if rule.rescale is not None:
        low, high = raw_range(rule, ends)
        bottom, top = Fraction(rule.rescale[0]), Fraction(rule.rescale[1])
        return bottom + (raw - low) / (high - low) * (top - bottom)
    return raw * Fraction(rule.factor) + Fraction(rule.offset)
