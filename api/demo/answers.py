"""From how troubled somebody is to the answers on a form.

A graded model: every item leans on a level common to its scale, so that items of one scale agree more with each other
than with those of another, and scales of one person more than those of two. Which end of an item is the troubled one
follows from the definition; no instrument is known here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import NormalDist

from instruments.conditions import CountCondition, ItemCondition, leaves
from instruments.schema import Instrument, Item, Scale

_NORMAL = NormalDist()
DOMAIN_SD = 0.45
"""How far a person's scales lie apart, for good."""
SESSION_SD = 0.2
"""How far a scale strays at one session."""
ITEM_SD = 0.4
"""How far one answer strays."""
ALARMING = -1.3
"""Answers that would raise an alert are rarer than the form's other answers by this much."""


def normal(chance: random.Random, sd: float) -> float:
    """A normal draw. From `random()` alone, which is the only method whose stream Python promises to keep."""
    return _NORMAL.inv_cdf(min(max(chance.random(), 1e-12), 1 - 1e-12)) * sd


@dataclass(frozen=True, slots=True)
class Question:
    """One item as the model sees it: its options from the untroubled end to the troubled one."""

    item: str
    domain: str
    ladder: tuple[int, ...]
    shift: float
    elsewhere: dict[str, int]
    """Meaning of a not-applicable option (such as ``no-activity``) to its value."""


def questions(instrument: Instrument) -> tuple[Question, ...]:
    """The items of a form in print order."""
    return tuple(_question(instrument, item) for item in instrument.items)


def _question(instrument: Instrument, item: Item) -> Question:
    scale = _scale_of(instrument, item.id)
    better_up = scale is not None and scale.higher_is != "worse"
    worth = item.score_of if scale is not None else {value: value for value in item.options}
    ladder = sorted(item.substantive, key=lambda value: worth[value], reverse=better_up)
    return Question(
        item.id,
        scale.id if scale is not None else "",
        tuple(ladder),
        ALARMING if item.id in _alarming(instrument) else 0.0,
        {option.meaning: option.value for option in item.not_applicable},
    )


def _scale_of(instrument: Instrument, item: str) -> Scale | None:
    """The narrowest scale that an item belongs to."""
    own = [scale for scale in instrument.scales if scale.items is not None and item in scale.items]
    return min(own, key=lambda scale: len(scale.parts), default=None)


def _alarming(instrument: Instrument) -> set[str]:
    found: set[str] = set()
    for alert in instrument.alerts:
        for leaf in leaves(alert.when):
            if isinstance(leaf, ItemCondition):
                found.add(leaf.item)
            elif isinstance(leaf, CountCondition):
                found |= set(leaf.count)
    return found


def domain_levels(asked: tuple[Question, ...], chance: random.Random) -> dict[str, float]:
    """Where a person's scales of this instrument lie relative to each other, for good."""
    return {domain: normal(chance, DOMAIN_SD) for domain in dict.fromkeys(question.domain for question in asked)}


def fill_in(
    asked: tuple[Question, ...],
    level: float,
    domains: dict[str, float],
    chance: random.Random,
    *,
    absent: frozenset[str] = frozenset(),
    leaves_out: float = 0.0,
    breaks_off: float = 0.0,
) -> dict[str, int]:
    """The answers of one session, by item id; what was skipped is absent. At least one item is answered.

    Parameters
    ----------
    asked
        The form, from `questions`.
    level
        How troubled, 0 in the middle of the options.
    domains
        What `domain_levels` gave for this person and instrument.
    chance
        Drawn from the same number of times whatever the answers are, so a changed probability moves nothing else.
    absent
        Meanings of not-applicable options that hold at this session, such as ``no-activity``.
    leaves_out, breaks_off
        Probability to skip an item, and to leave the form before its end.
    """
    today = {domain: level + offset + normal(chance, SESSION_SD) for domain, offset in domains.items()}
    stopped_at = len(asked)
    if chance.random() < breaks_off:
        stopped_at = 1 + int(chance.random() * (len(asked) - 1))
    answers: dict[str, int] = {}
    for number, question in enumerate(asked):
        felt = today[question.domain] + question.shift + normal(chance, ITEM_SD)
        skipped = chance.random() < leaves_out
        if number >= stopped_at or (skipped and number > 0):
            continue
        meaning = next((name for name in question.elsewhere if name in absent), None)
        if meaning is not None:
            answers[question.item] = question.elsewhere[meaning]
        else:
            steps = len(question.ladder)
            answers[question.item] = question.ladder[min(int(_NORMAL.cdf(felt) * steps), steps - 1)]
    return answers
