"""T scores of a client's own goals over time, by the formula of a definition and the engine's arithmetic.

On each day what counts is the newest rating of each goal up to then, over the goals that are pursued: a dropped goal
is left out with its weight from the day on which it was dropped, one without a rating until it has one; both are named.
The T score at the start, and the one as each was first rated, are of the same goals, so that changes are about one set.

References
----------
Kiresuk & Sherman (1968), Community Mental Health Journal 4:443-453
Turner-Stokes (2009), doi:10.1177/0269215508101742, with its erratum
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

import instruments
from scoring.goals import UNITS, TPlan
from scoring.logic import exact


class Formula(BaseModel):
    """Whose formula it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str
    version: int
    scale: str


class Rating(NamedTuple):
    """What a goal was rated with on a day."""

    rated_on: date
    value: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """A goal in levels, with its current ratings in order."""

    id: uuid.UUID
    weight: int
    baseline: int
    set_on: date
    dropped_on: date | None
    ratings: tuple[Rating, ...]


class Scores(NamedTuple):
    """T scores in points: reached, at the start, and the one less the other."""

    t: float
    t_baseline: float
    change: float


@dataclass(frozen=True, slots=True)
class Point:
    """Where the goals stood at the end of a day; ids of goals by what became of them."""

    day: date
    scores: Scores | None
    from_first: Scores | None
    """The same goals, with the first rating of each in the place of its start."""
    rated: tuple[uuid.UUID, ...]
    unrated: tuple[uuid.UUID, ...]
    unweighted: tuple[uuid.UUID, ...]
    dropped: tuple[uuid.UUID, ...]

    @property
    def status(self) -> str:
        """As of a score of the catalogue: `prorated` where a goal that counts has no rating."""
        if self.scores is None:
            return "insufficient" if self.unrated else "not_applicable"
        return "prorated" if self.unrated else "complete"


@cache
def formula() -> Formula:
    """The definition and scale that the formula is taken from."""
    text = Path(__file__).with_name("attainment.yaml").read_text(encoding="utf-8")
    return Formula.model_validate(yaml.safe_load(text))


@cache
def _plan() -> tuple[TPlan, int]:
    """The arithmetic, and the offset in units."""
    named = formula()
    scales = instruments.load(named.instrument, named.version).scales
    rule = next(scale for scale in scales if scale.id == named.scale)
    if rule.correlation is None:
        raise ValueError(f"{named.instrument}@{named.version}: {named.scale} is no weighted T score")
    r, factor, offset = exact(rule.correlation), exact(rule.factor), exact(rule.offset)
    own, shared = (r.denominator - r.numerator) * r.denominator, r.numerator * r.denominator
    return TPlan((), factor.numerator * r.denominator, factor.denominator, own, shared), int(offset * UNITS)


def t_scores(goals: Sequence[tuple[int, int, int]]) -> Scores | None:
    """The T scores of goals, each its weight, its level at the start and the one reached; None without any weight.

    Examples
    --------
    >>> t_scores([(1, -1, 0), (1, -1, 0)])
    Scores(t=50.0, t_baseline=37.5965265411, change=12.4034734589)
    """
    plan, offset = _plan()
    weight = sum(w for w, _, _ in goals)
    if not weight:
        return None
    squares = sum(w * w for w, _, _ in goals)

    def points(total: int, above: int) -> float:
        return float(Fraction(plan.points(total, squares, weight) + above, UNITS))

    before, after = sum(w * start for w, start, _ in goals), sum(w * level for w, _, level in goals)
    return Scores(points(after, offset), points(before, offset), points(after - before, 0))


def timeline(goals: Sequence[Scaled]) -> Iterator[Point]:
    """Where the goals stood on each day on which one was rated or dropped, oldest first."""
    days = {rating.rated_on for goal in goals for rating in goal.ratings}
    for day in sorted(days | {goal.dropped_on for goal in goals if goal.dropped_on is not None}):
        yield _point(day, [goal for goal in goals if goal.set_on <= day])


def _point(day: date, known: Sequence[Scaled]) -> Point:
    dropped = tuple(goal.id for goal in known if goal.dropped_on is not None and goal.dropped_on <= day)
    pursued = [goal for goal in known if goal.id not in dropped]
    counted: list[tuple[int, int, int]] = []
    first: list[tuple[int, int, int]] = []
    rated: list[uuid.UUID] = []
    unrated: list[uuid.UUID] = []
    for goal in (goal for goal in pursued if goal.weight):
        newest = next((rating for rating in reversed(goal.ratings) if rating.rated_on <= day), None)
        if newest is None:
            unrated.append(goal.id)
        else:
            rated.append(goal.id)
            counted.append((goal.weight, goal.baseline, newest.value))
            first.append((goal.weight, goal.ratings[0].value, newest.value))
    unweighted = tuple(goal.id for goal in pursued if not goal.weight)
    scores = (t_scores(counted), t_scores(first))
    return Point(day, *scores, tuple(rated), tuple(unrated), unweighted, dropped)
