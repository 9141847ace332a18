"""Non-overlap of two phases of a series: how much the scores after a moment differ from those before it.

Phase A has ``m`` measurements and comes first, phase B has ``n``. All figures are for the better: above 0 (NAP: above
0.5) the later scores are better. Several statistics are called Tau-U in print; none is called so here, each has a name
of its own.

References
----------
Parker & Vannest (2009), doi:10.1016/j.beth.2008.10.006 (NAP)
Parker, Vannest, Davis & Sauber (2011), doi:10.1016/j.beth.2010.08.006 (Tau-U)
Tarlow (2017), doi:10.1177/0145445516666750 (baseline-corrected tau)
Newcombe (2006), doi:10.1002/sim.2324 (interval; the identifier is from memory, to be checked)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from scoring.change import critical_value
from scoring.cutoffs import Floats, HigherIs, NotComputable, direction
from scoring.series.slopes import MOST, Series, group_sizes, middle, pairs_within

FEWEST_TO_CORRECT: Final = 5
"""Measurements of phase A that a line has to be fitted to before it is carried on into phase B."""

TauU = Literal[
    "parker-minus-trend-a",
    "tau-a-minus-trend-a",
    "tau-b-minus-trend-a",
    "tau-a-plus-trend-b",
    "tau-b-plus-trend-b",
    "tau-a-plus-trend-b-minus-trend-a",
    "tau-b-plus-trend-b-minus-trend-a",
]
FORMULAS: Final[dict[TauU, str]] = {
    "parker-minus-trend-a": "(S_AB - S_A) / (m n); can exceed 1",
    "tau-a-minus-trend-a": "(S_AB - S_A) / (m n + m (m-1) / 2)",
    "tau-b-minus-trend-a": "(S_AB - S_A) / sqrt(pairs apart in the design x pairs apart in score)",
    "tau-a-plus-trend-b": "(S_AB + S_B) / (m n + n (n-1) / 2)",
    "tau-b-plus-trend-b": "(S_AB + S_B) / sqrt(pairs apart in the design x pairs apart in score)",
    "tau-a-plus-trend-b-minus-trend-a": "(S_AB + S_B - S_A) / all pairs",
    "tau-b-plus-trend-b-minus-trend-a": "(S_AB + S_B - S_A) / sqrt(all pairs x pairs apart in score)",
}
"""S_AB: pairs of an A and a B of which B is better, minus those of which it is worse; S_A, S_B: Kendall's S of a phase
with time. For tau-b the pairs are those of all m + n points, without those that the variant does not compare and, of
the second factor, without those of equal scores."""


@dataclass(frozen=True, slots=True)
class Nap:
    """Non-overlap of all pairs: the share in which B is better than A, ties half.

    ``unbiased``, ``hanley`` and ``null`` are three standard errors; the first is None where a phase has one
    measurement. ``low`` and ``high`` are the score interval (95 % unless asked otherwise).
    """

    m: int
    n: int
    value: float
    unbiased: float | None
    hanley: float
    null: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Corrected:
    """Tarlow's tau: of phase (0 or 1) with what is left of the scores above the line through phase A, as tau-b.

    ``slope`` and ``intercept`` (of the definition ``median(y - slope t)``) are the line's, for the better.
    ``plain_tau`` is the same without correction for ties.
    """

    value: float
    standard_error: float
    plain_tau: float
    slope: float
    intercept: float


@dataclass(frozen=True)
class Overlap:
    """All of one comparison."""

    nap: Nap
    tau: float
    """Tau of non-overlap: 2 NAP - 1, the pairs for B less those for A, over all."""
    tau_low: float
    tau_high: float
    tau_u: dict[TauU, float | None]
    """By variant; None where its denominator is 0."""


class Phases:
    """Scores before and after a moment, turned so that more is better.

    Parameters
    ----------
    before, after : array_like, shapes (m,) and (n,)
        Scores in points in order of time; NaN is a missing one and is left out with its time.
    higher_is
        What a high score means.
    times_before, times_after : array_like
        When, in any unit; by default one unit apart.

    Raises
    ------
    NotComputable
        ``none-before``, ``none-after``; ``too-many`` to compare in pairs.
    ValueError
        Not of one length, not finite, or a time of ``before`` after one of ``after``.
    """

    def __init__(
        self,
        before: npt.ArrayLike,
        after: npt.ArrayLike,
        *,
        higher_is: HigherIs,
        times_before: npt.ArrayLike | None = None,
        times_after: npt.ArrayLike | None = None,
    ) -> None:
        sign = direction(higher_is)
        y_a, y_b = (sign * np.asarray(given, np.float64) for given in (before, after))
        t_a = np.arange(1.0, 1 + y_a.size) if times_before is None else times_before
        t_b = np.arange(1.0 + y_a.size, 1 + y_a.size + y_b.size) if times_after is None else times_after
        self.a, self.b = Series(t_a, y_a), Series(t_b, y_b)
        for phase, name in ((self.a, "before"), (self.b, "after")):
            if not phase.n:
                raise NotComputable(f"none-{name}", f"there is no measurement {name} the moment")
        if self.a.n + self.b.n > MOST:
            raise NotComputable("too-many", f"pairs are compared up to {MOST} measurements")
        if self.a.times.max() > self.b.times.min():
            raise ValueError("what is before must not be later than what is after")

    @classmethod
    def within(cls, whole: Series, m: int, higher_is: HigherIs) -> Phases:
        """The first ``m`` of a series and the rest of it. It is in order of time.

        Raises
        ------
        NotComputable
            As the class.
        """
        for number, name in ((m, "before"), (whole.n - m, "after")):
            if number < 1:
                raise NotComputable(f"none-{name}", f"there is no measurement {name} the moment")
        if whole.n > MOST:
            raise NotComputable("too-many", f"pairs are compared up to {MOST} measurements")
        made, sign = cls.__new__(cls), direction(higher_is)
        made.a, made.b = whole.part(0, m, sign), whole.part(m, whole.n, sign)
        if whole.in_order:
            made.share(whole, m, sign)
        return made

    def share(self, whole: Series, m: int, sign: int) -> None:
        """Take over from the whole series which of its pairs rise and fall, as they have been counted there."""
        in_b = whole.rises[m * (2 * whole.n - m - 1) // 2 :]  # pairs are in the order of their first
        up_b, down_b = int(np.count_nonzero(in_b > 0)), int(np.count_nonzero(in_b < 0))
        between = [int(np.count_nonzero(self.sign > 0)), int(np.count_nonzero(self.sign < 0))][::sign]
        of_a = whole.ways[0] - up_b - between[0], whole.ways[1] - down_b - between[1]
        self.a.ways = (of_a[0], of_a[1]) if sign > 0 else (of_a[1], of_a[0])
        self.b.ways = (up_b, down_b) if sign > 0 else (down_b, up_b)

    @cached_property
    def sign(self) -> Floats:
        """Of each A (row) and B (column): 1 where B is better, -1 where A is, 0 where they are equal."""
        return np.sign(self.b.values[None, :] - self.a.values[:, None])

    def overlap(self, confidence: float = 0.95) -> Overlap:
        """NAP, tau of non-overlap, and the variants of Tau-U."""
        sign = self.sign
        found = _nap(sign, confidence)
        s_ab = round(sign.sum().item())
        tau_u = self._tau_u(s_ab, sign.size - int(np.count_nonzero(sign)))
        return Overlap(found, s_ab / sign.size, 2 * found.low - 1, 2 * found.high - 1, tau_u)

    def corrected(self) -> Corrected:
        """Tarlow's baseline-corrected tau, without asking first whether the trend before is significant.

        Raises
        ------
        NotComputable
            ``short-baseline``: fewer than five measurements before, whose line would be carried on;
            ``one-time``: all of them at one moment; ``no-spread``: nothing is left above the line.
        """
        if self.a.n < FEWEST_TO_CORRECT:
            detail = f"a trend before is corrected for from {FEWEST_TO_CORRECT} measurements on, there are {self.a.n}"
            raise NotComputable("short-baseline", detail)
        return self.corrected_anyway()

    def corrected_anyway(self) -> Corrected:
        """The same from two measurements before on, as other software has it; for comparison with that."""
        self.a.needs_two_times()
        slope = middle(self.a.slopes)
        intercept = self.a.intercept(slope)
        rest_a, rest_b = ((phase.values - slope * phase.times - intercept).round(10) for phase in (self.a, self.b))
        m, n = len(rest_a), len(rest_b)
        s = round(np.sign(rest_b[None, :] - rest_a[:, None]).sum().item())
        apart = math.comb(m + n, 2) - pairs_within(group_sizes(np.concatenate([rest_a, rest_b])))
        if not apart:
            # everything lies on the line: the phases do not differ at all
            return Corrected(0.0, math.sqrt(2 / (m + n)), 0.0, slope, intercept)
        tau = max(-1.0, min(1.0, s / math.sqrt(m * n * apart)))
        return Corrected(tau, math.sqrt(2 / (m + n) * (1 - tau * tau)), s / (m * n), slope, intercept)

    def _tau_u(self, s_ab: int, tied_between: int) -> dict[TauU, float | None]:
        m, n = self.a.n, self.b.n
        s_a, s_b, between, in_a, in_b = self.a.s, self.b.s, m * n, m * (m - 1) // 2, n * (n - 1) // 2
        apart_a, apart_b = in_a - self.a.at_once, in_b - self.b.at_once
        apart_in_score = between + in_a + in_b - tied_between - self.a.alike - self.b.alike

        def tau_b(s: int, compared: int) -> float | None:
            return s / math.sqrt(compared * apart_in_score) if compared * apart_in_score else None

        less, more, both = s_ab - s_a, s_ab + s_b, s_ab + s_b - s_a
        return {
            "parker-minus-trend-a": less / between,
            "tau-a-minus-trend-a": less / (between + in_a),
            "tau-b-minus-trend-a": tau_b(less, between + apart_a),
            "tau-a-plus-trend-b": more / (between + in_b),
            "tau-b-plus-trend-b": tau_b(more, between + apart_b),
            "tau-a-plus-trend-b-minus-trend-a": both / (between + in_a + in_b),
            "tau-b-plus-trend-b-minus-trend-a": tau_b(both, between + apart_a + apart_b),
        }


def _nap(sign: Floats, confidence: float) -> Nap:
    """Of the matrix (m, n) of which of each pair is better: 1, 0 or -1."""
    m, n = sign.shape
    value = (sign.sum().item() / sign.size + 1) / 2
    # with q = 1 for better, a half for a tie, 0 for worse: sums of q - NAP over each row and column, and of its square
    of_rows, of_columns = sign.sum(axis=1) / 2 + n * (0.5 - value), sign.sum(axis=0) / 2 + m * (0.5 - value)
    squares = (sign.ravel() @ sign.ravel()).item() / 4 - sign.size * (value - 0.5) ** 2
    q1, q2 = (of_rows @ of_rows).item() / (m * n * n), (of_columns @ of_columns).item() / (m * m * n)
    inner = min(max(value, 0.5 / sign.size), 1 - 0.5 / sign.size)
    within = inner * (1 - inner)
    unbiased = None
    if m > 1 and n > 1:
        unbiased = math.sqrt(max((within + n * q1 + m * q2 - 2 * squares / sign.size) / ((m - 1) * (n - 1)), 0.0))
    hanley = math.sqrt((within + (n - 1) * q1 + (m - 1) * q2) / (m * n))
    low, high = nap_interval(value, m, n, confidence=confidence)
    return Nap(m, n, value, unbiased, hanley, math.sqrt((m + n + 1) / (12 * m * n)), low, high)


def nap_interval(value: float, m: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a NAP of ``m`` measurements before and ``n`` after.

    The roots x below and above N of
    ``m n (N-x)^2 (2-x)(1+x) = z^2 x(1-x) [2 + h + (1+2h) x(1-x)]``, ``h = (m+n)/2 - 1``. At N = 1 the upper end is 1
    and the lower root is there as well; software that gives 1 for it stopped its search at the end point.

    >>> low, high = nap_interval(1.0, 3, 4)
    >>> round(low, 4), high
    (0.5397, 1.0)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    if not (0 <= value <= 1 and m >= 1 and n >= 1):
        raise ValueError(f"a NAP is from 0 to 1 of at least one measurement each, got {value} of {m} and {n}")
    return _lower(value, m, n, confidence), 1 - _lower(1 - value, m, n, confidence)


def _lower(value: float, m: int, n: int, confidence: float) -> float:
    if value == 0:
        return 0.0
    square, h, pairs = critical_value(1 - confidence) ** 2, (m + n) / 2 - 1, m * n

    def excess(x: float) -> float:
        """Left side less right side over 1 - x, which is above 0 at 0 and below it at N, also where N is 1."""
        u = x * (1 - x)
        left = (value - x) ** 2 / (1 - x) if x < 1 else 0.0
        return pairs * left * (2 + u) - square * x * (2 + h + (1 + 2 * h) * u)

    return _root(excess, 0.0, value)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that is above 0 at one end and below it at the other is 0 (false position, Illinois)."""
    at_low, at_high, side, before = function(low), function(high), 0, math.inf
    x = low
    while abs(x - before) > 1e-15:  # ends: each step comes closer, or the numbers have no more digits
        before, x = x, (low * at_high - high * at_low) / (at_high - at_low)
        at_x = function(x)
        if at_x < 0:
            high, at_high = x, at_x
            at_low, side = at_low / 2 if side < 0 else at_low, -1
        else:
            low, at_low = x, at_x
            at_high, side = at_high / 2 if side > 0 else at_high, 1
    return x


def overlap(before: npt.ArrayLike, after: npt.ArrayLike, *, higher_is: HigherIs, confidence: float = 0.95) -> Overlap:
    """NAP, tau of non-overlap and the variants of Tau-U of two phases.

    >>> overlap([20, 20, 26, 25, 22, 23], [28, 25, 24, 27, 30, 30, 29], higher_is="better").nap.value.__round__(4)
    0.9167
    """
    return Phases(before, after, higher_is=higher_is).overlap(confidence)
