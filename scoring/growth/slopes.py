"""Reliable change by the slopes of a growth model (hierarchical linear model), in both readings that are in use.

Both take each person's slope as the model sees it, from all the scores, pulled towards the average slope the more the
less they tell. They differ in what it is held against, and so in what they answer:

- ``against-average``: is the person on another way than the others? The deviation of the person's slope from the
  average slope, by its conditional standard deviation given the average slope, whose own uncertainty is left out. Where
  everybody gets steeply better, somebody of average improvement is unchanged, and who improves less has deteriorated.
- ``against-no-change``: has the person changed? The person's whole slope, average and deviation, by its standard error
  with the uncertainty of the average slope. That this is what Speer and Greenbaum meant is from memory.

The two are not to be mixed: a category by one says nothing of the category by the other.

References
----------
Speer & Greenbaum (1995), J Consult Clin Psychol 63:1044-1048; Raudenbush & Bryk (2002); the first reading is that of
Claus et al. (2024), doi:10.18637/jss.v111.i01.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from scoring.change import ChangeCategory, change_category, critical_value
from scoring.cutoffs import Floats, HigherIs
from scoring.growth.fit import Fit, GrowthError, Series, fit
from scoring.growth.likelihood import Sums, effects

Reading = Literal["against-average", "against-no-change"]
READINGS: Final[tuple[Reading, ...]] = ("against-average", "against-no-change")
MIN_SCORES: Final = 3
"""Scores that a person needs to take part."""


@dataclass(frozen=True)
class SlopeChange:
    """Reliable change of each person by slopes.

    Parameters
    ----------
    ids
        The persons with enough scores, in order of appearance; ``left_out`` are the others.
    estimate, standard_error
        Shape (n,), points a unit of time: the slope, or its deviation from the average one, by ``reading``.
    index
        ``estimate / standard_error``, signed as scores are; reliable beyond ``critical``.
    """

    reading: Reading
    fit: Fit
    ids: tuple[Hashable, ...]
    left_out: tuple[Hashable, ...]
    estimate: Floats
    standard_error: Floats
    index: Floats
    critical: float
    category: tuple[ChangeCategory, ...]


def slope_change(
    ids: Sequence[Hashable],
    times: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    higher_is: HigherIs,
    reading: Reading,
    significance: float = 0.05,
) -> SlopeChange:
    """Fit a growth model to a sample and judge each person by the slope.

    As all of it comes from the sample, a person's category depends on who else is in it.

    Parameters
    ----------
    ids, times, values
        Columns of one length, in any order; a score that is missing is NaN. Times in any unit.
    reading
        What a slope is held against; see the module. There is no default, as none is more usual than the other.
    significance
        Two-sided.

    Raises
    ------
    GrowthError
        The sample bears no growth model, or its slopes do not vary at all, so that nobody can be told from another.
    ValueError
        An unknown reading, or a significance out of range.
    """
    if reading not in READINGS:
        raise ValueError(f"reading has to be one of {', '.join(READINGS)}")
    critical = critical_value(significance)
    everybody = Series.of(ids, times, values)
    enough = everybody.counts >= MIN_SCORES
    rows = enough[everybody.person]
    taking = [everybody.ids[one] for one in everybody.person[rows].tolist()]
    series = Series.of(taking, everybody.weeks[rows], everybody.values[rows])
    fitted = fit(series)
    found = effects(Sums.of(series.person, series.weeks, series.values), fitted.model)
    if reading == "against-average":
        estimate, variance = found.mean[:, 1], found.covariance[:, 1, 1]
    else:
        estimate, variance = fitted.model.slope + found.mean[:, 1], found.whole[:, 1, 1]
    if not (variance > 0).all():
        raise GrowthError("slope-not-identified", "Slopes do not vary in this sample, so nobody's can be told apart.")
    error = np.sqrt(variance)
    index = estimate / error
    category = change_category(index, index, index, higher_is=higher_is, critical=critical)
    return SlopeChange(
        reading,
        fitted,
        series.ids,
        tuple(one for one, kept in zip(everybody.ids, enough.tolist(), strict=True) if not kept),
        estimate,
        error,
        index,
        critical,
        tuple(category.tolist()),
    )
