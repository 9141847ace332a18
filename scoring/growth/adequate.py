"""From many persons' scores to a reference, or the reason why they do not make one.

What is asked of them is more than that a model can be fitted: there have to be enough persons for the bands to mean
what they say, and the bands have to hold on the very persons that they were made of, early and late. A model that fails
that is the wrong one for this scale, however well it was estimated.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scoring.growth.fit import Fit, GrowthError, Series, fit_by_clock
from scoring.growth.model import GrowthModel
from scoring.growth.reference import MIN_AT_HORIZON, MIN_PERSONS, MIN_WITH_THREE
from scoring.growth.trajectory import Z_68, Z_80

LARGEST_MISS: Final = 0.08
"""By how much the share of scores within the 80 % band may be off."""
LARGEST_MISS_OF_A_THIRD: Final = 0.12
"""The same of the first, the middle and the last third of the later scores: fewer, so chance does more."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Courses:
    """What a reference is made of: each person's scores, in weeks from the first of them.

    ``left_out`` is how many persons have but one.
    """

    series: Series
    left_out: int

    @classmethod
    def of(cls, ids: Sequence[Hashable], weeks: npt.ArrayLike, values: npt.ArrayLike) -> Courses:
        """From columns in any order, time counted in weeks from anywhere; :class:`ValueError` as `Series.of`."""
        everybody = Series.of(ids, weeks, values)
        counts = everybody.counts
        firsts = np.flatnonzero(np.r_[True, np.diff(everybody.person) > 0]) if len(counts) else np.empty(0, np.int64)
        since = everybody.weeks - everybody.weeks[firsts][everybody.person]
        later = np.bincount(everybody.person, weights=since > 0, minlength=len(counts)) > 0
        rows = later[everybody.person]
        taking = [everybody.ids[one] for one in everybody.person[rows].tolist()]
        return cls(Series.of(taking, since[rows], everybody.values[rows]), int((~later).sum()))

    @property
    def horizon(self) -> float:
        """The last week at which enough persons were still seen."""
        last = np.zeros(len(self.series.ids))
        np.maximum.at(last, self.series.person, self.series.weeks)
        return float(np.sort(last)[-min(MIN_AT_HORIZON, len(last))])


@dataclass(frozen=True)
class Holding:
    """Shares of later scores within the bands of what the first predicts, on the persons of the fit themselves."""

    within_68: float
    within_80: float
    by_third: tuple[float, float, float]
    """Within the 80 % band: of the earliest, the middle and the latest third."""

    @property
    def sound(self) -> bool:
        """Whether the bands hold about as many as they say, early and late."""
        misses = [abs(share - 0.8) for share in self.by_third]
        return abs(self.within_80 - 0.8) <= LARGEST_MISS and max(misses) <= LARGEST_MISS_OF_A_THIRD

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"within_68": self.within_68, "within_80": self.within_80, "by_third": list(self.by_third)}


def holding(series: Series, model: GrowthModel, *, low: float, high: float) -> Holding:
    """How many of the later scores of persons lie within the bands; ``low`` and ``high`` are the ends of the scale."""
    first = np.r_[True, np.diff(series.person) > 0]
    known = model.from_baseline
    lines = np.array([known.line(score) for score in series.values[first].tolist()])[series.person]
    weeks, later = series.weeks, ~first
    time = np.array([known.time(week) for week in weeks.tolist()])
    sd = np.array([known.observed_sd(week) for week in weeks.tolist()])
    off = np.abs(series.values - np.clip(lines[:, 0] + lines[:, 1] * time, low, high)) / sd
    thirds = np.array_split(off[later][np.argsort(weeks[later], kind="stable")], 3)
    early, middle, late = (float((third < Z_80).mean()) for third in thirds)
    return Holding(float((off[later] < Z_68).mean()), float((off[later] < Z_80).mean()), (early, middle, late))


@dataclass(frozen=True)
class ReferenceFit:
    """A model that is fit to be a reference, and how it came about."""

    fit: Fit
    horizon: float
    holding: Holding
    likelihoods: dict[str, float]
    left_out: int

    def document(self) -> dict[str, Any]:
        """As plain data: `model`, counts, `horizon`, and `report`."""
        return {
            "model": self.fit.model.document(),
            "persons": self.fit.persons,
            "observations": self.fit.observations,
            "horizon": self.horizon,
            "report": {
                **self.fit.document(),
                "log_likelihood_by_clock": self.likelihoods,
                "holding": self.holding.document(),
                "left_out": self.left_out,
            },
        }


def reference_fit(courses: Courses, *, low: float, high: float) -> ReferenceFit:
    """Fit a reference.

    Parameters
    ----------
    low, high
        The ends of the scale, in points.

    Raises
    ------
    GrowthError
        Too few persons, too few of them with three scores, a model that cannot be fitted, or bands that do not hold.
    """
    series = courses.series
    persons, three = len(series.ids), int((series.counts >= 3).sum())
    if persons < MIN_PERSONS:
        raise GrowthError(
            "too-few-persons", f"{persons} persons have a first and a later score; it takes {MIN_PERSONS} at least."
        )
    if three < MIN_WITH_THREE:
        raise GrowthError(
            "too-few-with-three",
            f"{three} of {persons} persons have three scores or more; it takes {MIN_WITH_THREE} at least.",
        )
    fitted, likelihoods = fit_by_clock(series)
    held = holding(series, fitted.model, low=low, high=high)
    if not held.sound:
        shares = ", ".join(f"{100 * share:.0f}" for share in (held.within_80, *held.by_third))
        raise GrowthError(
            "bands-do-not-hold",
            "The bands that should hold 80 of 100 scores hold, in all and early, midway and late: "
            f"{shares}. Courses on this scale are not of the shape that the model has.",
        )
    return ReferenceFit(fitted, courses.horizon, held, likelihoods, courses.left_out)
