"""The figures that services are judged by nationally, as `instruments/services.yaml` defines them.

Nothing here names an instrument: a measure is two columns of scores with what a case is and how much change counts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from instruments.conditions import Comparison
from instruments.services import Quantifier, Service, ServiceMeasure, When
from scoring.change import paired
from scoring.cutoffs import Bools, Floats, HigherIs, OnCutoff, direction, is_clinical, is_functional
from scoring.groups.rates import Rate, rate
from scoring.reliable import PublishedChange, ReliableChange

_COMPARED: Final[dict[str, Callable[[Floats, float], Bools]]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
_OVER: Final[dict[Quantifier, Callable[[Bools], Bools]]] = {
    "any": lambda held: np.asarray(held.any(axis=0)),
    "all": lambda held: np.asarray(held.all(axis=0)),
    "none": lambda held: ~np.asarray(held.any(axis=0)),
}


@dataclass(frozen=True)
class Measured:
    """One measure of a group: who has both scores, who is a case when, and whose change is reliable either way.

    Each array has one element a person; where a score is missing only ``both`` says anything.
    """

    both: Bools
    case_at_start: Bools
    case_at_end: Bools
    improved: Bools
    deteriorated: Bools


@dataclass(frozen=True)
class ServiceFigures:
    """The rates of one definition. ``not_measured`` finished a course and lack a score; ``short`` did not finish."""

    service: Service
    started: int
    short: int
    not_measured: int
    rates: tuple[Rate, ...]

    def document(self) -> dict[str, Any]:
        """As plain data; how well the definition is known is a part of it."""
        meaning = {metric.id: metric.meaning for metric in self.service.metrics}
        return {
            "available": True,
            "id": self.service.id,
            "name": self.service.name,
            "meaning": self.service.meaning,
            "source": self.service.source,
            "evidence": self.service.evidence,
            "note": self.service.note,
            "started": self.started,
            "too_few_sessions": self.short,
            "not_measured": self.not_measured,
            "denominators": {one.id: one.meaning for one in self.service.counted},
            "rates": [{**found.document(), "meaning": meaning[found.measure]} for found in self.rates],
        }


def by_definition(measure: ServiceMeasure, pre: npt.ArrayLike, post: npt.ArrayLike) -> Measured:
    """A measure by what the definition says a case and a reliable change are; NaN is a missing score."""
    before, after = paired(pre, post)
    benefit = (direction(measure.higher_is) * (after - before)).round(10)  # scores are finite decimals
    return Measured(
        ~np.isnan(benefit),
        _holds(measure.case, before),
        _holds(measure.case, after),
        benefit >= measure.reliable_change,
        benefit <= -measure.reliable_change,
    )


def by_figures(
    reliable: ReliableChange | PublishedChange,
    cutoff: float,
    on_cutoff: OnCutoff,
    higher_is: HigherIs,
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
) -> Measured:
    """The scale that was asked about, by its own cutoff and reliable change.

    Who ends on a computed cutoff, whose own value is on neither side, has not left being a case behind, as little as
    such a person is recovered by the category.
    """
    before, after = paired(pre, post)
    index = direction(higher_is) * reliable.index(before, after)
    where = {"cutoff": cutoff, "higher_is": higher_is, "on_cutoff": on_cutoff}
    return Measured(
        ~np.isnan(index),
        is_clinical(before, **where),  # type: ignore[arg-type]  # the types of the arguments above
        ~is_functional(after, **where),  # type: ignore[arg-type]  # as above
        index > reliable.critical,
        index < -reliable.critical,
    )


def service_figures(
    service: Service, measures: Sequence[Measured], attended: npt.ArrayLike, *, confidence: float = 0.95
) -> ServiceFigures:
    """The rates of a definition.

    Parameters
    ----------
    measures
        In the order of the definition, each over the same persons.
    attended : array_like of int, shape (n,)
        Sessions that took place.

    Raises
    ------
    ValueError
        Not as many measures as the definition has, or of different lengths.
    """
    expected = 1 if service.measures == "asked" else len(service.measures)
    sessions = np.asarray(attended)
    if len(measures) != expected or any(one.both.shape != sessions.shape for one in measures):
        raise ValueError(f"{service.id} needs {expected} measures, and of each person the sessions")
    least = 0 if service.course is None else service.course.attended_at_least
    finished: Bools = sessions >= least
    measured: Bools = finished & np.all([one.both for one in measures], axis=0)
    counted = {one.id: measured & _true(one.when, measures) for one in service.counted}
    found = []
    for metric in service.metrics:
        among = counted[metric.of]
        reached = among & _true(metric.when, measures)
        found.append(rate(metric.id, metric.of, int(reached.sum()), int(among.sum()), confidence=confidence))
    return ServiceFigures(
        service,
        started=int(sessions.size),
        short=int((~finished).sum()),
        not_measured=int((finished & ~measured).sum()),
        rates=tuple(found),
    )


def _holds(case: Comparison, values: Floats) -> Bools:
    side = case.comparator
    return _COMPARED[side](values, float(getattr(case, side)))


def _true(when: When, measures: Sequence[Measured]) -> Bools:
    held = [_OVER[how](np.stack([getattr(one, name) for one in measures])) for name, how in when.given.items()]
    return np.asarray(np.all(held, axis=0)) if held else np.ones(measures[0].both.shape, np.bool_)
