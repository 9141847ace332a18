"""The least and the most that a scale which was read can be: a definition states both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from instruments.fhir.answers import number

if TYPE_CHECKING:
    from instruments.fhir.trial import Trial


def limits(scale: Mapping[str, Any], trial: Trial) -> tuple[str, str] | None:
    """Least and most in the scale's points; ``None`` where they are no decimals."""
    if "goals" in scale:
        low, high = _of_goals(scale, trial)
    else:
        low, high = trial.raw_range(scale)
        factor, offset = Fraction(scale.get("factor", "1")), Fraction(scale.get("offset", "0"))
        if scale["missing"]["rule"] == "applicable" and scale["method"] != "mean":
            low, high = _reduced(scale, trial, low, high)
        if "rescale" in scale:
            low, high = Fraction(scale["rescale"][0]), Fraction(scale["rescale"][1])
        else:
            low, high = sorted((low * factor + offset, high * factor + offset))
    texts = number(low), number(high)
    return None if any(" / " in text for text in texts) else texts


def _reduced(scale: Mapping[str, Any], trial: Trial, low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
    """A sum that is not enlarged can lose the parts that need not apply."""
    parts = [trial.part(scale, name) for name in scale.get("items") or scale["scales"] if trial.can_lack(scale, name)]
    most = len(scale.get("items") or scale["scales"]) - scale["missing"]["min_answered"]
    lows, highs = (
        sorted((max(end, Fraction(0)) for end, _ in parts), reverse=True),
        sorted(min(e, Fraction(0)) for _, e in parts),
    )
    return low - sum(lows[:most], Fraction(0)), high - sum(highs[:most], Fraction(0))


def _of_goals(scale: Mapping[str, Any], trial: Trial) -> tuple[Fraction, Fraction]:
    """What all goals alike give with one weight, one of them or all, rounded outward to whole numbers."""
    spans = [_span(goal, trial) for goal in scale["goals"]]
    r, n = Fraction(scale["correlation"]), len(spans)
    factor, offset = Fraction(scale.get("factor", "1")), Fraction(scale.get("offset", "0"))
    spread = math.sqrt(n / ((1 - r) + n * r))
    reached = [
        float(factor * end) * times + float(offset)
        for end in (min(low for low, _ in spans), max(high for _, high in spans))
        for times in (1.0, spread)
    ]
    return Fraction(math.floor(round(min(reached), 9))), Fraction(math.ceil(round(max(reached), 9)))


def _span(goal: Mapping[str, str], trial: Trial) -> tuple[Fraction, Fraction]:
    low, high = trial.item_range(goal["rating"])
    less, more = trial.item_range(goal["minus"]) if "minus" in goal else (Fraction(0), Fraction(0))
    return low - more, high - less
