"""How far apart two people are on one scale, over time: pairing their occasions, discrepancies, change, agreement.

A discrepancy is the score of the first less that of the second. Differences carry the errors of both scores, so each
figure here has its own measurement error, and two people who score differently need not differ.

References
----------
Bland & Altman (1986), doi:10.1016/S0140-6736(86)90837-8 (limits of agreement)
Kenny, Kashy & Cook (2006), Dyadic Data Analysis
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy.typing as npt

from scoring.change import check_reliability, confidence_of_change, critical_value
from scoring.cutoffs import Floats, NotComputable, finite, spread
from scoring.dyads.profiles import complete, double_entry, pearson

FEWEST: Final = 3
"""Pairs of occasions that agreement over time is told of from."""


def paired_occasions(first: Sequence[float], second: Sequence[float], window: float) -> list[tuple[int, int]]:
    """Which occasions of two people belong together: the nearest first, each once, and never crosswise.

    Parameters
    ----------
    first, second
        Times of each in ascending order, in one unit.
    window
        How far apart two may be, >= 0, both ends included.

    Returns
    -------
    list of (int, int)
        Places in ``first`` and ``second``, in order of time. Of equally near ones the earlier pair goes first.

    >>> paired_occasions([0, 30], [2, 33, 90], window=14)
    [(0, 0), (1, 1)]
    """
    if not window >= 0:
        raise ValueError(f"window must be >= 0, got {window}")
    near: list[tuple[float, int, int]] = []
    begin = 0
    for i, at in enumerate(first):
        while begin < len(second) and second[begin] < at - window:
            begin += 1
        j = begin
        while j < len(second) and second[j] <= at + window:
            near.append((abs(second[j] - at), i, j))
            j += 1
    chosen: list[tuple[int, int]] = []
    for _, i, j in sorted(near):
        place = bisect_left(chosen, (i, j))
        after_before = place == 0 or (chosen[place - 1][0] < i and chosen[place - 1][1] < j)
        if after_before and (place == len(chosen) or (chosen[place][0] > i and chosen[place][1] > j)):
            insort(chosen, (i, j))
    return chosen


def standard_error(sem_first: float, sem_second: float) -> float:
    """Of one discrepancy, in points: what errors of measurement alone make of two people who do not differ.

    >>> standard_error(3.0, 4.0)
    5.0
    """
    return math.hypot(spread(sem_first, "sem_first"), spread(sem_second, "sem_second"))


def standardised(first: float, second: float, *, norms: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """Each against its own role's sample (mean, standard deviation), and then the one less the other.

    Raises
    ------
    NotComputable
        ``no-spread``: a standard deviation of 0.

    >>> standardised(20.0, 12.0, norms=((15.0, 5.0), (12.0, 4.0)))
    1.0
    """
    z = []
    for value, (mean, sd) in zip((first, second), norms, strict=True):
        if spread(sd, "sd") == 0:
            raise NotComputable("no-spread", "nothing is standardised by a standard deviation of 0")
        z.append((finite(value, "score") - finite(mean, "mean")) / sd)
    return z[0] - z[1]


def reliability_of_difference(reliability_first: float, reliability_second: float, correlation: float) -> float:
    """Of the discrepancies of a sample whose two roles have equal variances: ``((ra + rb) / 2 - rab) / (1 - rab)``.

    The more alike partners are, the less reliable is what tells them apart. The formula is from memory, to be checked.

    Raises
    ------
    NotComputable
        ``no-spread``: partners correlate perfectly.

    >>> round(reliability_of_difference(0.9, 0.9, 0.5), 6)
    0.8
    """
    mean = (check_reliability(reliability_first) + check_reliability(reliability_second)) / 2
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be in [-1, 1], got {correlation}")
    if correlation == 1:
        raise NotComputable("no-spread", "partners who are alike in all have no discrepancy to be reliable")
    return (mean - correlation) / (1 - correlation)


@dataclass(frozen=True, slots=True)
class Shift:
    """The last discrepancy against the first. ``points`` is signed, ``narrowed`` says how much nearer they are.

    ``index`` is ``points`` over ``error``, and ``p_value`` how often errors of measurement alone give as much
    (two-sided); None where the errors are not known, or are 0.
    """

    points: float
    narrowed: float
    error: float | None
    index: float | None
    p_value: float | None
    reliable: bool | None


def shift(first: float, last: float, errors: tuple[float, float] | None, *, significance: float = 0.05) -> Shift:
    """How a discrepancy has changed between two occasions.

    Parameters
    ----------
    first, last
        Signed discrepancies, in points.
    errors
        Standard errors of measurement of both people on this scale; None where they are not known. Four scores take
        part, each with its error: ``sqrt(2) * sqrt(SEM_1^2 + SEM_2^2)``.

    >>> shift(10.0, 4.0, (3.0, 4.0)).index.__round__(6)
    -0.848528
    """
    # scores are finite decimals; rounding takes away what their binary form adds to a difference
    points, narrowed = round(last - first, 10), round(abs(first) - abs(last), 10)
    if errors is None or (error := math.sqrt(2) * standard_error(*errors)) == 0:
        return Shift(points, narrowed, None, None, None, None)
    index = points / error
    found = confidence_of_change([index]).p_value.item()
    return Shift(points, narrowed, error, index, found, abs(index) > critical_value(significance))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two series at the occasions that belong together.

    ``icc`` is the pairwise intraclass correlation, ICC(1,1); ``double_entry`` the same idea by correlation. Both see
    level and course; ``pearson`` sees the course alone: whether the two go up and down together. Each is None where
    there is nothing to go by. ``low`` and ``high`` are the limits of agreement, mean -+ 1.96 SD: 95 % of discrepancies
    lie within them as far as mean and SD are known, so of many pairs; of further discrepancies after three pairs 77 %,
    after ten 91 %.
    """

    n: int
    mean: float
    mean_absolute: float
    sd: float
    low: float
    high: float
    icc: float | None
    double_entry: float | None
    pearson: float | None


def pairwise_icc(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """ICC(1,1) of pairs whose members are interchangeable: (MSB - MSW) / (MSB + MSW); None where nothing differs.

    >>> pairwise_icc([1, 2, 3], [1, 2, 3])
    1.0
    """
    first, second = complete(a, b)
    between, within = mean_squares(first, second)
    return None if between + within == 0 else (between - within) / (between + within)


def mean_squares(first: Floats, second: Floats) -> tuple[float, float]:
    """Between pairs (n - 1 degrees of freedom) and within them (n), of at least two complete pairs."""
    n = len(first)
    if n < 2:
        raise NotComputable("too-few", f"agreement needs two pairs, got {n}")
    # scores are finite decimals; rounding takes away what their binary form adds to sums and differences
    sums, apart = (first + second).round(10), (first - second).round(10)
    off = sums - sums.mean()
    between = 0.0 if (sums == sums[0]).all() else (off @ off).item() / (2 * (n - 1))
    return between, (apart @ apart).item() / (2 * n)


def agreement(a: npt.ArrayLike, b: npt.ArrayLike) -> Agreement:
    """How far two series agree over their paired occasions.

    Raises
    ------
    NotComputable
        ``too-few``: fewer than three pairs.

    >>> agreement([10, 12, 15], [11, 12, 17]).mean
    -1.0
    """
    first, second = complete(a, b)
    n = len(first)
    if n < FEWEST:
        raise NotComputable("too-few", f"agreement over time needs {FEWEST} pairs of occasions, got {n}")
    apart = (first - second).round(10)
    mean, sd = apart.mean().item(), 0.0 if (apart == apart[0]).all() else apart.std(ddof=1).item()
    reach = critical_value(0.05) * sd
    return Agreement(
        n=n,
        mean=mean,
        mean_absolute=abs(apart).mean().item(),
        sd=sd,
        low=mean - reach,
        high=mean + reach,
        icc=pairwise_icc(first, second),
        double_entry=double_entry(first, second),
        pearson=pearson(first, second),
    )
