"""Standardised differences: before and after in one group, and between two groups.

The sign is post minus pre, or first group minus second; :meth:`Effect.towards` turns it so that better is positive.
Several figures go by "the" pre-post d, and several intervals by "the" interval: each has its own name here, and the
output says which.

References
----------
Hedges (1981), doi:10.3102/10769986006002107
Becker (1988), doi:10.1111/j.2044-8317.1988.tb00901.x
Morris & DeShon (2002), doi:10.1037/1082-989X.7.1.105
Morris (2008), doi:10.1177/1094428106291059
Cumming (2012), Understanding the New Statistics
Lakens (2013), doi:10.3389/fpsyg.2013.00863
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.change import critical_value, paired
from scoring.cutoffs import Floats, HigherIs, NotComputable, direction, scores
from scoring.groups.noncentral import noncentrality_limits

Interval = Literal["noncentral-t", "normal", "smcc", "smcr", "smcrh"]

METHODS: Final[dict[Interval, str]] = {
    "noncentral-t": "limits of the noncentrality of t, in standard deviations",
    "normal": "estimate plus and minus z standard errors, as R effectsize repeated_measures_d does",
    "smcc": "normal, with the variance of metafor's SMCC: 1/n + g^2/(2n)",
    "smcr": "normal, with the variance of metafor's SMCR: 2(1 - r)/n + g^2/(2n)",
    "smcrh": "normal, with the variance of metafor's SMCRH, which lets the two spreads differ",
}

_LARGE: Final = 2000


@dataclass(frozen=True)
class Moments:
    """One sample: how many, mean and standard deviation (n - 1) in points. ``sd`` is 0 where all are the same."""

    n: int
    mean: float
    sd: float


@dataclass(frozen=True)
class PairedMoments:
    """Complete pairs; ``correlation`` is None where a column does not vary."""

    pre: Moments
    post: Moments
    change: Moments
    correlation: float | None

    @property
    def n(self) -> int:
        """Pairs."""
        return self.change.n


@dataclass(frozen=True)
class Effect:
    """A standardised difference with its interval.

    ``name`` says which one, ``interval`` how the limits were made (a key of ``METHODS``; None where there are none),
    ``correction`` the factor of Hedges that estimate and limits were multiplied by (1: none).
    """

    name: str
    formula: str
    n: int
    estimate: float
    low: float | None
    high: float | None
    interval: Interval | None
    confidence: float
    correction: float = 1.0

    def towards(self, higher_is: HigherIs) -> Effect:
        """The same with a positive sign where people got better."""
        if direction(higher_is) == 1:
            return self
        low, high = (None, None) if self.low is None or self.high is None else (-self.high, -self.low)
        return replace(self, estimate=-self.estimate, low=low, high=high)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "available": True,
            "name": self.name,
            "formula": self.formula,
            "n": self.n,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "interval": self.interval,
            "interval_method": None if self.interval is None else METHODS[self.interval],
            "correction": self.correction,
        }


def hedges_correction(df: float) -> float:
    """Hedges' exact factor, ``Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2))`` by logarithms; m = df of the SD.

    Raises
    ------
    NotComputable
        ``too-few``: m < 2, where the factor does not exist or the SD is of nothing.

    >>> round(hedges_correction(10), 6)
    0.922746
    """
    if not df >= 2:
        raise NotComputable("too-few", f"Hedges' correction needs at least 2 degrees of freedom, there are {df}")
    if df > _LARGE:  # the logarithms' difference loses digits; what the series leaves out is below 1e-13
        return 1 - 3 / (4 * df) - 7 / (32 * df**2) - 9 / (128 * df**3)
    return math.exp(float(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) - math.log(df / 2) / 2)


def moments(values: npt.ArrayLike, name: str = "values") -> Moments:
    """Of the scores that are there.

    Raises
    ------
    NotComputable
        ``too-few``: fewer than two.

    >>> moments([1.0, 2.0, 3.0])
    Moments(n=3, mean=2.0, sd=1.0)
    """
    given = scores(values, name).ravel()
    return _moments(given[~np.isnan(given)])


def _moments(given: Floats) -> Moments:
    if len(given) < 2:
        raise NotComputable("too-few", f"a spread needs at least 2 values, there are {len(given)}")
    if given.min() == given.max():  # rounding of the mean would leave a spread of 1e-17
        return Moments(len(given), float(given[0]), 0.0)
    return Moments(len(given), float(given.mean()), float(given.std(ddof=1)))


def paired_moments(pre: npt.ArrayLike, post: npt.ArrayLike) -> PairedMoments:
    """Of the persons with both scores; the others are left out.

    Raises
    ------
    NotComputable
        ``too-few``: fewer than two pairs.
    """
    before, after = (column.ravel() for column in paired(pre, post))
    both = ~(np.isnan(before) | np.isnan(after))
    before, after = before[both], after[both]
    # scores are finite decimals; rounding takes away what their binary form adds to a difference, and nothing else
    first, last, change = _moments(before), _moments(after), _moments((after - before).round(10))
    if not first.sd or not last.sd:
        return PairedMoments(first, last, change, None)
    covariance = float(((before - first.mean) * (after - last.mean)).sum() / (first.n - 1))
    return PairedMoments(first, last, change, min(1.0, max(-1.0, covariance / (first.sd * last.sd))))


def d_z(pairs: PairedMoments, *, interval: Interval = "noncentral-t", confidence: float = 0.95) -> Effect:
    """Mean change in standard deviations of the change. For tests and power; not comparable between groups.

    ``interval``: ``noncentral-t``, ``normal`` or ``smcc``; the last gives the corrected figure straight away.
    """
    if interval == "noncentral-t":
        return _exact("d_z", "mean(post - pre) / sd(post - pre)", pairs, pairs.change.sd, confidence)
    return _normal(
        "d_z",
        "mean(post - pre) / sd(post - pre)",
        pairs,
        pairs.change.sd,
        {"normal": lambda d: 1 / pairs.n + d**2 / (2 * pairs.n), "smcc": lambda g: 1 / pairs.n + g**2 / (2 * pairs.n)},
        interval,
        confidence,
    )


def d_rm(pairs: PairedMoments, *, confidence: float = 0.95) -> Effect:
    """``d_z sqrt(2 (1 - r))``: the change in standard deviations of a score, by way of the correlation."""
    shared = _shared(pairs)
    if shared == 0 or not pairs.change.sd:
        raise NotComputable("no-spread", "the change does not vary, so d_rm does not exist")
    return _normal(
        "d_rm",
        "mean(post - pre) / sd(post - pre) x sqrt(2 (1 - r))",
        pairs,
        pairs.change.sd / math.sqrt(shared),
        {"normal": lambda d: shared * (1 / pairs.n + d**2 / (2 * pairs.n))},
        "normal",
        confidence,
    )


def d_av_cumming(pairs: PairedMoments, *, confidence: float = 0.95) -> Effect:
    """Mean change over the root mean square of both standard deviations (Cumming)."""
    spread = math.sqrt((pairs.pre.sd**2 + pairs.post.sd**2) / 2)
    error = pairs.change.sd / math.sqrt(pairs.n)
    return _normal(
        "d_av_cumming",
        "mean(post - pre) / sqrt((sd_pre^2 + sd_post^2) / 2)",
        pairs,
        spread,
        {"normal": lambda _: (error / spread) ** 2},
        "normal",
        confidence,
    )


def d_av_lakens(pairs: PairedMoments, *, confidence: float = 0.95) -> Effect:
    """Mean change over the mean of both standard deviations (Lakens). Not the same number as Cumming's.

    The interval is by noncentral t with ``d sqrt(n)`` in the place of t, as MOTE has it. It ignores the correlation, so
    it is wide where that is high.
    """
    return _exact(
        "d_av_lakens",
        "mean(post - pre) / ((sd_pre + sd_post) / 2)",
        pairs,
        (pairs.pre.sd + pairs.post.sd) / 2,
        confidence,
    )


def d_pre(pairs: PairedMoments, *, interval: Interval = "normal", confidence: float = 0.95) -> Effect:
    """Mean change in standard deviations before (Becker; Glass): the usual one for outcomes of a service.

    ``interval``: ``normal``, ``smcr`` or ``smcrh``; the last two give the corrected figure straight away.
    """
    shared, n, ratio = _shared(pairs), pairs.n, (pairs.change.sd / pairs.pre.sd) ** 2
    return _normal(
        "d_pre",
        "mean(post - pre) / sd_pre",
        pairs,
        pairs.pre.sd,
        {
            "normal": lambda d: shared / n + d**2 / (2 * n),
            "smcr": lambda g: shared / n + g**2 / (2 * n),
            "smcrh": lambda g: hedges_correction(n - 1) ** 2 * (ratio / (n - 1) + g**2 / (2 * (n - 1))),
        },
        interval,
        confidence,
    )


def corrected(effect: Effect, df: float) -> Effect:
    """Estimate and limits times Hedges' exact factor for the degrees of freedom of the SD (n - 1 for pairs)."""
    factor = hedges_correction(df)
    low, high = (None if limit is None else factor * limit for limit in (effect.low, effect.high))
    return replace(effect, estimate=factor * effect.estimate, low=low, high=high, correction=factor)


def between(first: Moments, second: Moments, *, confidence: float = 0.95) -> Effect:
    """First mean minus second over the pooled standard deviation, with the exact interval."""
    df = first.n + second.n - 2
    pooled = pooled_sd(first, second)
    unit = math.sqrt(1 / first.n + 1 / second.n)
    estimate = (first.mean - second.mean) / pooled
    low, high = (ncp * unit for ncp in noncentrality_limits(estimate / unit, df, confidence=confidence))
    formula = "(mean_1 - mean_2) / sqrt(((n_1 - 1) sd_1^2 + (n_2 - 1) sd_2^2) / (n_1 + n_2 - 2))"
    return Effect("d_between", formula, first.n + second.n, estimate, low, high, "noncentral-t", confidence)


def d_ppc2(treated: PairedMoments, control: PairedMoments, *, confidence: float = 0.95) -> Effect:
    """Difference of two groups' changes over the pooled standard deviation before, with Hedges' factor (Morris).

    It has no interval here: its sampling variance rests on a common pre-post correlation that nobody has checked.
    """
    spread = pooled_sd(treated.pre, control.pre)
    factor = hedges_correction(treated.n + control.n - 2)
    estimate = factor * (treated.change.mean - control.change.mean) / spread
    formula = "J x ((post - pre)_treated - (post - pre)_control) / pooled sd_pre"
    return Effect("d_ppc2", formula, treated.n + control.n, estimate, None, None, None, confidence, factor)


def pooled_sd(first: Moments, second: Moments) -> float:
    """Root of the mean variance, weighted by degrees of freedom; ``no-spread`` where neither varies."""
    pooled = math.sqrt(((first.n - 1) * first.sd**2 + (second.n - 1) * second.sd**2) / (first.n + second.n - 2))
    return _positive(pooled)


def _positive(spread: float) -> float:
    if not spread > 0:
        raise NotComputable("no-spread", "the scores do not vary, so a difference has no standard deviation to go by")
    return spread


def _shared(pairs: PairedMoments) -> float:
    """``2 (1 - r)``, which needs a correlation."""
    if pairs.correlation is None:
        raise NotComputable("no-correlation", "all scores of an occasion are the same, so there is no correlation")
    return 2 * (1 - pairs.correlation)


def _exact(name: str, formula: str, pairs: PairedMoments, spread: float, confidence: float) -> Effect:
    estimate, root = pairs.change.mean / _positive(spread), math.sqrt(pairs.n)
    limits = noncentrality_limits(estimate * root, pairs.n - 1, confidence=confidence)
    low, high = (ncp / root for ncp in limits)
    return Effect(name, formula, pairs.n, estimate, low, high, "noncentral-t", confidence)


def _normal(
    name: str,
    formula: str,
    pairs: PairedMoments,
    spread: float,
    variances: dict[Interval, Callable[[float], float]],
    interval: Interval,
    confidence: float,
) -> Effect:
    if interval not in variances:
        raise ValueError(f"{name} has no interval {interval!r}; it has {', '.join(variances)}")
    estimate = pairs.change.mean / _positive(spread)
    factor = 1.0 if interval == "normal" else hedges_correction(pairs.n - 1)
    estimate *= factor
    half = critical_value(1 - confidence) * math.sqrt(variances[interval](estimate))
    if half == 0:  # everybody changed alike: limits without a distance would say that the effect is certain
        return Effect(name, formula, pairs.n, estimate, None, None, None, confidence, factor)
    return Effect(name, formula, pairs.n, estimate, estimate - half, estimate + half, interval, confidence, factor)
