"""Partners over a sample of couples: do they resemble each other more than strangers do, and how far apart are they?

References
----------
Kenny, Kashy & Cook (2006), Dyadic Data Analysis
Shrout & Fleiss (1979), doi:10.1037/0033-2909.86.2.420 (interval of ICC(1,1))
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.change import critical_value
from scoring.cutoffs import Floats
from scoring.dyads.discrepancy import Agreement, agreement, mean_squares
from scoring.dyads.profiles import complete, pearson


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval, None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Partners:
    """Couples of whom both have a score; ``left_out`` are those of whom one has not.

    ``pearson`` is for roles that can be told apart (with Fisher's interval, from four couples), ``icc`` for those that
    cannot: ICC(1,1) with its exact interval. ``standardised`` are the discrepancies of each by z in its own role.
    ``t`` and ``p_value`` are of the mean discrepancy.
    """

    n: int
    left_out: int
    pearson: Estimate | None
    pearson_p: float | None
    icc: Estimate | None
    f: float | None
    discrepancy: Agreement
    t: float | None
    p_value: float | None
    standardised: tuple[float, ...] | None


def partners(a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95) -> Partners:
    """Resemblance and discrepancy of partners.

    Parameters
    ----------
    a, b : array_like, shape (couples,)
        Scores in points, one role each (or in any order, where roles cannot be told apart: then ``icc`` alone holds).

    Raises
    ------
    NotComputable
        ``too-few``: fewer than three complete couples.
    ValueError
        Not of one length, or ``confidence`` out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    first, second = complete(a, b)
    n = len(first)
    apart = agreement(first, second)
    r = pearson(first, second)
    icc, ratio = _icc(first, second, (1 - confidence) / 2)
    t = apart.mean / (apart.sd / math.sqrt(n)) if apart.sd else None
    return Partners(
        n,
        int(np.size(a)) - n,
        None if r is None else _fisher(r, n, confidence),
        None if r is None else _p_of_t(math.inf if abs(r) == 1 else r * math.sqrt((n - 2) / (1 - r * r)), n - 2),
        icc,
        ratio,
        apart,
        t,
        None if t is None else _p_of_t(t, n - 1),
        _standardised(first, second),
    )


def _p_of_t(t: float, df: int) -> float:
    return float(2 * special.stdtr(df, -abs(t)))


def _fisher(r: float, n: int, confidence: float) -> Estimate:
    if n < 4 or abs(r) == 1:
        return Estimate(r, None, None)
    reach = critical_value(1 - confidence) / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach))


def _icc(first: Floats, second: Floats, tail: float) -> tuple[Estimate | None, float | None]:
    """ICC(1,1) with its interval, and the ratio that it is made of."""
    between, within = mean_squares(first, second)
    if between + within == 0:
        return None, None
    value = (between - within) / (between + within)
    if within == 0:
        return Estimate(value, None, None), None
    n, ratio = len(first), between / within
    low = ratio / special.fdtri(n - 1, n, 1 - tail)
    high = ratio * special.fdtri(n, n - 1, 1 - tail)
    return Estimate(value, float((low - 1) / (low + 1)), float((high - 1) / (high + 1))), ratio


def _standardised(first: Floats, second: Floats) -> tuple[float, ...] | None:
    if any((scores == scores[0]).all() for scores in (first, second)):  # rounding of the mean would leave a spread
        return None
    spreads = first.std(ddof=1), second.std(ddof=1)
    z = (first - first.mean()) / spreads[0] - (second - second.mean()) / spreads[1]
    return tuple(z.tolist())
