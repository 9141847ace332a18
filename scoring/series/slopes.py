"""The slope of a series over real dates: least squares, Theil and Sen, and Kendall's test of a trend.

Times may be unequally spaced and in any unit; slopes are in points of the scale per that unit. The sign is that of the
scale: whether up is better is the caller's to say. What there is no figure for raises :class:`NotComputable`:
``too-few`` (fewer than two measurements), ``one-time`` (all at one moment), ``too-many`` (pairs are compared, and their
number grows with the square).

References
----------
Theil (1950); Sen (1968), doi:10.1080/01621459.1968.10480934 (Theil-Sen and its interval)
Kendall (1970), Rank Correlation Methods, 4th ed. (variance of S with ties in both; exact distribution without)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.change import critical_value
from scoring.cutoffs import Floats, NotComputable, scores

Ints = npt.NDArray[np.intp]

MOST: Final = 500
"""Measurements whose pairs are compared: 125,000 pairs, some milliseconds."""
KEPT: Final = 128
"""Measurements up to which what follows from their number or times alone is kept for the next series."""
EXACT_UP_TO: Final = 33
"""Measurements without ties up to which the exact distribution of Kendall's S is used; above, the normal one."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A further measurement at a time, by the line, with the interval that one new measurement lies in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """A straight line by least squares. With two measurements it has no error, so all that needs one is None.

    ``slope`` is per unit of time; ``intercept`` is the line at time 0. ``low`` and ``high`` are the t interval of the
    slope. ``r_squared`` is None where all scores are equal.
    """

    n: int
    slope: float
    intercept: float
    standard_error: float | None
    low: float | None
    high: float | None
    residual_sd: float | None
    r_squared: float | None
    mean_time: float
    spread_of_times: float
    """Sum of the squared distances of the times from their mean."""
    quantile: float | None

    def predict(self, at: float) -> Prediction | None:
        """One new measurement at a time; None where the line has no error."""
        if self.residual_sd is None or self.quantile is None:
            return None
        value = self.intercept + self.slope * at
        wide = math.sqrt(1 + 1 / self.n + (at - self.mean_time) ** 2 / self.spread_of_times)
        reach = self.quantile * self.residual_sd * wide
        return Prediction(value, value - reach, value + reach)


@dataclass(frozen=True, slots=True)
class TheilSen:
    """The median of the slopes of all pairs at two different times, and its interval by ranks.

    ``level_reached`` is False where there are too few pairs for the level that was asked for: the interval is then from
    the smallest slope to the largest, or has no more than these data can give.
    """

    slope: float
    low: float
    high: float
    intercept: float
    """``median(y - slope * t)``: half of the measurements lie above the line and half below. The definition of R's
    mblm and of scipy's ``joint``."""
    pairs: int
    level_reached: bool


@dataclass(frozen=True, slots=True)
class Kendall:
    """Kendall's S over real dates, as tau-b and as the test of Mann and Kendall.

    ``variance``, ``z`` (continuity-corrected) are those of the normal approximation. ``tau_b`` is None where all scores
    are equal. ``p_value`` is two-sided: exact without ties and with few measurements, else normal.
    """

    n: int
    s: int
    tau_b: float | None
    variance: float
    z: float
    p_value: float
    p_method: Literal["exact", "normal"]


@lru_cache(maxsize=256)
def _pairs_of(n: int) -> tuple[Ints, Ints]:
    """Positions of the earlier and of the later of each pair."""
    found: tuple[Ints, Ints] = np.triu_indices(n, 1)
    return found


def _between(values: Floats) -> Floats:
    """Of each pair, in the order of the first and then of the second, the second less the first."""
    # positions are kept for the usual lengths alone: those of 500 would take 2 MB each
    earlier, later = _pairs_of(len(values)) if len(values) <= KEPT else _pairs_of.__wrapped__(len(values))
    return values.take(later) - values.take(earlier)


@lru_cache(maxsize=16)
def _lags_of(times: bytes) -> Floats:
    """Of times as they lie in memory. The scales of one instrument have the same, one after the other."""
    return _between(np.frombuffer(times))


class Series:
    """Scores at times, without the missing ones; what the statistics share is worked out once.

    Parameters
    ----------
    times : array_like, shape (n,)
        In any unit and order; finite.
    values : array_like, shape (n,)
        Scores in points; NaN is a missing one and is left out with its time.

    Raises
    ------
    ValueError
        Not of one length, or not finite.
    """

    def __init__(self, times: npt.ArrayLike, values: npt.ArrayLike) -> None:
        t, y = np.asarray(times, np.float64), scores(values, "values")
        if t.ndim != 1 or t.shape != y.shape:
            raise ValueError(f"times and values must be of one length, got {t.shape} and {y.shape}")
        if not np.isfinite(t).all():
            raise ValueError("times must be finite")
        there = ~np.isnan(y)
        # scores are finite decimals: what their binary form adds must not tell two equal ones apart
        self.times, self.values = (t, y.round(10)) if there.all() else (t[there], y[there].round(10))
        self.n = len(self.times)

    def part(self, begin: int, end: int, sign: int) -> Series:
        """Some of it, with values turned by ``sign``; what was checked is not checked again."""
        made = object.__new__(Series)
        made.times, made.values, made.n = self.times[begin:end], sign * self.values[begin:end], end - begin
        if self.in_order:
            made.in_order = True
        return made

    @cached_property
    def in_order(self) -> bool:
        """Whether each time is later than the one before."""
        return bool((self.times[1:] > self.times[:-1]).all())

    @cached_property
    def rises(self) -> Floats:
        """Of each pair, the later in the array minus the earlier, in points."""
        if self.n > MOST:
            raise NotComputable("too-many", f"pairs are compared up to {MOST} measurements, got {self.n}")
        return _between(self.values)

    @cached_property
    def lags(self) -> Floats:
        """The same of their times."""
        return _lags_of(self.times.tobytes()) if self.n <= KEPT else _between(self.times)

    @cached_property
    def slopes(self) -> Floats:
        """Of all pairs at two different times, the smallest first."""
        dy, dt = self.rises, self.lags
        if not self.in_order:
            apart = dt != 0
            dy, dt = dy[apart], dt[apart]
        return np.sort(dy / dt)

    @cached_property
    def ways(self) -> tuple[int, int]:
        """How many pairs rise, and how many fall."""
        return int(np.count_nonzero(self.rises > 0)), int(np.count_nonzero(self.rises < 0))

    @cached_property
    def s(self) -> int:
        """Kendall's S with time: pairs that rise less pairs that fall; those at one time are neither."""
        if self.in_order:
            return self.ways[0] - self.ways[1]
        return int((np.sign(self.rises) @ np.sign(self.lags)).item())

    @property
    def alike(self) -> int:
        """Pairs of equal scores."""
        return self.n * (self.n - 1) // 2 - sum(self.ways)

    @property
    def at_once(self) -> int:
        """Pairs at one time."""
        return 0 if self.in_order else pairs_within(group_sizes(self.times))

    @cached_property
    def ties(self) -> tuple[list[int], list[int]]:
        """How many share one time, and one score: of each group of more than one its size."""
        return [] if self.in_order else group_sizes(self.times), group_sizes(self.values)

    def needs_two_times(self) -> None:
        """Raise :class:`NotComputable` unless there are two measurements at different times."""
        if self.n < 2:
            raise NotComputable("too-few", f"a slope needs two measurements, got {self.n}")
        if self.in_order:
            return
        if self.times.min() == self.times.max():
            raise NotComputable("one-time", "a slope needs measurements at two different times")

    def least_squares(self, confidence: float = 0.95) -> LeastSquares:
        """The line by least squares, with the t interval of its slope. Raises :class:`NotComputable`."""
        alpha = _alpha(confidence)
        self.needs_two_times()
        t, y, n = self.times, self.values, self.n
        mean_time, mean = t.sum().item() / n, y.sum().item() / n
        dt, dy = t - mean_time, y - mean
        sxx, syy = (dt @ dt).item(), (dy @ dy).item()
        flat = bool((y == y[0]).all())
        slope = 0.0 if flat else (dt @ dy).item() / sxx
        intercept = mean - slope * mean_time
        made = (n, slope, intercept)
        rest = (None if flat else min(slope * slope * sxx / syy, 1.0), mean_time, sxx)
        if n == 2:
            return LeastSquares(*made, None, None, None, None, *rest, None)
        residuals = dy - slope * dt
        residual_sd = 0.0 if flat else math.sqrt((residuals @ residuals).item() / (n - 2))
        error, quantile = residual_sd / math.sqrt(sxx), _t_quantile(n - 2, alpha)
        reach = quantile * error
        return LeastSquares(*made, error, slope - reach, slope + reach, residual_sd, *rest, quantile)

    def theil_sen(self, confidence: float = 0.95) -> TheilSen:
        """The median slope of all pairs, with Sen's interval. Raises :class:`NotComputable`."""
        alpha = _alpha(confidence)
        self.needs_two_times()
        slopes = self.slopes
        slope = middle(slopes)
        # where there are ties in both, scipy takes out twice what they have together, down to a variance below 0
        count, variance = len(slopes), _variance(self.n, *self.ties)
        reach = _normal_quantile(alpha) * math.sqrt(variance)
        # Python rounds a half to the even number, as numpy does
        lower, upper = round((count - reach) / 2) - 1, round((count + reach) / 2)
        return TheilSen(
            slope,
            slopes[max(lower, 0)].item(),
            slopes[min(upper, count - 1)].item(),
            self.intercept(slope),
            count,
            lower >= 0 and upper <= count - 1,
        )

    def intercept(self, slope: float) -> float:
        """``median(y - slope * t)``: where, at time 0, a line of this slope lies that halves the measurements."""
        return middle(np.sort(self.values - slope * self.times))

    def intercept_of_medians(self, slope: float) -> float:
        """The other definition, ``median(y) - slope * median(t)``: the default of scipy (``separate``)."""
        return middle(np.sort(self.values)) - slope * middle(np.sort(self.times))

    def kendall(self) -> Kendall:
        """Kendall's tau-b with time, and the test of Mann and Kendall. Raises :class:`NotComputable`."""
        self.needs_two_times()
        s = self.s
        of_time, of_score = self.ties
        every = self.n * (self.n - 1) // 2
        apart = (every - self.at_once) * (every - self.alike)
        tau = None if apart == 0 else max(-1.0, min(1.0, s / math.sqrt(apart)))
        variance = _variance(self.n, of_time, of_score)
        z = 0.0 if s == 0 or variance == 0 else (s - math.copysign(1, s)) / math.sqrt(variance)
        if of_time or of_score or self.n > EXACT_UP_TO:
            return Kendall(self.n, s, tau, variance, z, 2 * special.ndtr(-abs(z)).item(), "normal")
        return Kendall(self.n, s, tau, variance, z, _exact_p(self.n, abs(s)), "exact")


def _alpha(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    return round(1 - confidence, 12)


@lru_cache(maxsize=1024)
def _t_quantile(df: int, alpha: float) -> float:
    return float(special.stdtrit(df, 1 - alpha / 2))


_normal_quantile = lru_cache(maxsize=128)(critical_value)


def middle(ordered: npt.NDArray[Any]) -> float:
    """The median of what is in order; `np.median` takes ten times as long for as few."""
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else float(ordered[half - 1] + ordered[half]) / 2


def group_sizes(values: Floats) -> list[int]:
    """How many have one value, of each that more than one has."""
    return [count for count in Counter(values.tolist()).values() if count > 1]


def pairs_within(ties: Sequence[int]) -> int:
    """Pairs within groups of these sizes."""
    return sum(k * (k - 1) // 2 for k in ties)


def _variance(n: int, of_time: Sequence[int], of_score: Sequence[int]) -> float:
    """Of S where nothing changes, with ties in both (Kendall 1970)."""
    untied = n * (n - 1) * (2 * n + 5) - sum(k * (k - 1) * (2 * k + 5) for k in (*of_time, *of_score))
    found = untied / 18
    if of_time and of_score:
        two = [sum(k * (k - 1) for k in ties) for ties in (of_time, of_score)]
        three = [sum(k * (k - 1) * (k - 2) for k in ties) for ties in (of_time, of_score)]
        # two tied of two were all at one time, so here n is 3 at least
        found += two[0] * two[1] / (2 * n * (n - 1)) + three[0] * three[1] / (9 * n * (n - 1) * (n - 2))
    return max(found, 0.0)  # all scores equal: 0, but for rounding


@lru_cache(maxsize=EXACT_UP_TO + 1)
def _at_least(n: int) -> tuple[float, ...]:
    """Shares of the orders of ``n`` things that have at most 0, 1, 2 ... inversions."""
    counts = [1]
    for k in range(2, n + 1):
        longer = [0] * (len(counts) + k - 1)
        for place, count in enumerate(counts):
            for more in range(k):
                longer[place + more] += count
        counts = longer
    every, so_far = math.factorial(n), 0
    shares = []
    for count in counts:
        so_far += count
        shares.append(so_far / every)
    return tuple(shares)


def _exact_p(n: int, s: int) -> float:
    """Two-sided: how often a random order has an S at least as far from 0."""
    inversions = (n * (n - 1) // 2 - s) // 2
    return min(1.0, 2 * _at_least(n)[inversions])


def least_squares(times: npt.ArrayLike, values: npt.ArrayLike, *, confidence: float = 0.95) -> LeastSquares:
    """A straight line by least squares through scores at times.

    >>> found = least_squares([0, 1, 2], [10, 7, 8])
    >>> round(found.slope, 6), round(found.intercept, 6)
    (-1.0, 9.333333)
    """
    return Series(times, values).least_squares(confidence)


def theil_sen(times: npt.ArrayLike, values: npt.ArrayLike, *, confidence: float = 0.95) -> TheilSen:
    """The median slope of all pairs of scores at different times, which single outliers do not move.

    >>> theil_sen([0, 1, 2], [10, 7, 8]).slope
    -1.0
    """
    return Series(times, values).theil_sen(confidence)


def kendall(times: npt.ArrayLike, values: npt.ArrayLike) -> Kendall:
    """Whether scores go with time at all: Kendall's tau-b, and the test of Mann and Kendall.

    >>> kendall([0, 1, 2], [10, 7, 8]).p_value
    1.0
    """
    return Series(times, values).kendall()
