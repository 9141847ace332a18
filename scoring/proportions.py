"""Rates with intervals that hold for small groups and for 0 or all.

References
----------
Wilson (1927), doi:10.1080/01621459.1927.10502953
Newcombe (1998), Statistics in Medicine 17:857-872 (one rate) and 873-890 (their difference)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scoring.change import critical_value


@dataclass(frozen=True)
class Proportion:
    """``successes`` of ``n``, the rate and its Wilson interval."""

    successes: int
    n: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First rate minus second, and its interval."""

    difference: float
    low: float
    high: float


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Proportion | None:
    """A rate with Wilson's score interval, without continuity correction.

    Parameters
    ----------
    successes, n
        Counts, 0 <= successes <= n. What ``n`` is (all who started, those with both scores) is the caller's to say.
    confidence
        Between 0 and 1.

    Returns
    -------
    Proportion or None
        None for n = 0, where there is neither rate nor interval. At 0 of n the lower limit is exactly 0, at n of n
        the upper exactly 1.

    Raises
    ------
    ValueError
        Counts or confidence out of range.

    >>> found = wilson(0, 10)
    >>> found.low, round(found.high, 6)
    (0.0, 0.277533)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be from 0 to n, got {successes} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    if n == 0:
        return None
    z = critical_value(1 - confidence)
    rate = successes / n
    shrink = 1 + z**2 / n
    centre = (rate + z**2 / (2 * n)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # Rounding leaves 3e-17 where the formula gives exactly 0, and can put a limit past the rate itself.
    low = 0.0 if successes == 0 else min(centre - half, rate)
    high = 1.0 if successes == n else max(centre + half, rate)
    return Proportion(successes, n, rate, low, high)


def newcombe(first: Proportion, second: Proportion) -> Difference:
    """Difference of two independent rates, with Newcombe's hybrid interval from their Wilson limits.

    Both intervals must have been made with the same confidence, which is then the difference's.

    >>> found = newcombe(wilson(12, 40), wilson(5, 38))
    >>> round(found.low, 6), round(found.high, 6)
    (-0.016773, 0.339566)
    """
    difference = first.rate - second.rate
    return Difference(
        difference,
        difference - math.hypot(first.rate - first.low, second.high - second.rate),
        difference + math.hypot(first.high - first.rate, second.rate - second.low),
    )
