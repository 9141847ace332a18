"""Where many people stand on one scale, in one pass over arrays: what :mod:`scoring.progress` says of each by itself.

From the first and the last usable score of each person; the figures and formulas are those of progress, so the category
is the same. What is told here orders people; what is shown of one is progress itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from scoring.change import ChangeCategory, change_category
from scoring.cutoffs import Floats
from scoring.growth.reference import Reference
from scoring.growth.trajectory import Z_80
from scoring.progress_figures import Figures
from scoring.reliable import Unavailable

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

BEST_FIRST: Final = (
    ChangeCategory.RECOVERED,
    ChangeCategory.IMPROVED,
    ChangeCategory.UNCHANGED,
    ChangeCategory.DETERIORATED,
    ChangeCategory.HARMED,
)
"""Ranks of categories are places in this list, from 1 on; 0 is no category."""
_RANKS: Final[dict[str | None, int]] = {None: 0} | {category.value: rank for rank, category in enumerate(BEST_FIRST, 1)}
_RELIABLY_BETTER: Final = (_RANKS[ChangeCategory.RECOVERED], _RANKS[ChangeCategory.IMPROVED])


def rank_of(category: str | None) -> int:
    """The place of a category in `BEST_FIRST` and 1; 0 of none."""
    return _RANKS[category]


def category_ranks(known: Figures, first: Floats, last: Floats) -> Integers:
    """The rank of each person's category; 0 where the scale has none.

    Parameters
    ----------
    known
        The figures of the scale under the variant by which all of them are judged.
    first, last
        The first and the last usable score of each, in points; of somebody with one score NaN as the last.
    """
    reliable, cutoff = known.reliable_change, known.deciding
    if isinstance(reliable, Unavailable):
        return np.zeros(len(first), np.int64)
    found = change_category(
        first,
        last,
        reliable.index(first, last),
        higher_is=reliable.higher_is,
        critical=reliable.critical,
        cutoff=None if cutoff is None else cutoff.value,
        on_cutoff="neither" if cutoff is None else cutoff.on_cutoff,
    )
    return np.fromiter((_RANKS[category] for category in found.tolist()), np.int64, len(found))


def off_track(
    known: Figures, reference: Reference, first: Floats, last: Floats, weeks: Floats, ranks: Sequence[int] | Integers
) -> Bools:
    """Who is not on track by a reference: the last score is worse than the 80 % band, and no benefit is reliable.

    Parameters
    ----------
    weeks
        From the first score to the last.
    ranks
        Of the categories of the changes: :func:`category_ranks`.
    """
    course = reference.model.from_baseline
    judged = (weeks > 0) & (weeks <= reference.horizon) & ~np.isnan(last) & ~np.isin(ranks, _RELIABLY_BETTER)
    found = np.zeros(len(first), np.bool_)
    direction = 1 if known.higher_is == "better" else -1
    for place in np.flatnonzero(judged).tolist() if known.higher_is != "neither" else []:
        start, rate = course.line(float(first[place]))
        week = float(weeks[place])
        predicted = min(max(start + rate * course.time(week), known.minimum), known.maximum)
        found[place] = direction * (float(last[place]) - predicted) / course.observed_sd(week) < -Z_80
    return found
