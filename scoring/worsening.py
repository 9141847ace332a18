"""Which scores could be worse than a baseline by more than measurement error, and by how much they would have to be.

The figures are those that :mod:`scoring.progress` judges by where nothing else is asked for: Jacobson and Truax's
threshold with the definition's parameters, or the published amount that the variant is tied to. So what is found by
these limits is what progress calls worse, reliably.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from instruments.schema import Instrument
from scoring.reliable import PublishedChange, Unavailable, reliable_change
from scoring.result import Result

_HALF: Final = 5e-11
"""Changes are compared with a published amount as rounded to ten decimals (`PublishedChange.index`)."""


class Watched(NamedTuple):
    """A scale with a direction and a measurement error.

    ``beyond`` is the change that has to be exceeded, in points, signed as changes for the worse are. ``best`` is the
    best score that the scale has: only a score that lies beyond the limit from it can be worse than some baseline.
    """

    scale: str
    name: str
    beyond: float
    best: float

    def worse(self, value: float, baseline: float) -> bool:
        """Whether a score is worse than a baseline by more than measurement error."""
        return value - baseline > self.beyond if self.beyond > 0 else value - baseline < self.beyond


def watched(instrument: Instrument, variant: str) -> tuple[Watched, ...]:
    """The scales of a definition under a variant whose change can be told from error; kept with the definition."""
    kept: tuple[Watched, ...] | None = instrument.compiled.get(("worsening", variant))
    if kept is None:
        kept = instrument.compiled["worsening", variant] = tuple(_watched(instrument, variant))
    return kept


def _watched(instrument: Instrument, variant: str) -> list[Watched]:
    found = []
    for scale in instrument.scales:
        if scale.higher_is == "neither":
            continue
        rule = scale.rule_for(variant)
        bounds = float(rule.min), float(rule.max)
        parameters = next((p for p in instrument.progress if p.scale == scale.id and p.holds_under(variant)), None)
        reliable = reliable_change(instrument, scale.id, scale.higher_is, variant, parameters, None, bounds)
        if isinstance(reliable, Unavailable):
            continue
        limit = reliable.threshold - (_HALF if isinstance(reliable, PublishedChange) else 0.0)
        up = scale.higher_is == "worse"
        found.append(Watched(scale.id, scale.name, limit if up else -limit, bounds[0] if up else bounds[1]))
    return found


def could_be_worse(instrument: Instrument, result: Result) -> list[tuple[Watched, float]]:
    """The usable scores of a form that are reliably worse than the best possible one, with the limit of each."""
    scores = result.scores
    return [
        (one, value)
        for one in watched(instrument, result.variant)
        if (value := scores[one.scale].value) is not None and scores[one.scale].valid and one.worse(value, one.best)
    ]


def alike(instrument: Instrument, variant: str) -> tuple[str, ...]:
    """The variants whose scores may be put beside those of one: itself, and those that only read them differently."""
    kept: tuple[str, ...] | None = instrument.compiled.get(("alike", variant))
    if kept is None:
        others = (other for other in instrument.variant_ids if other != variant)
        kept = (variant, *(other for other in others if instrument.scored_alike(variant, other)))
        instrument.compiled["alike", variant] = kept
    return kept
