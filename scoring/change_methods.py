"""Reliable change indices that use the moments of a sample, and one entry for all methods.

With these methods a person's index depends on who else is in the sample, so the moments are always passed in: from the
file at hand (:func:`sample_moments`) or from a norm. M1, S1 and M2, S2 are mean and SD (divisor n - 1) before and
after.

References
----------
Hsu (1989), Behavioral Assessment 11:459-467; Hsu (1995), doi:10.1037/0022-006X.63.1.141
Speer (1992), doi:10.1037/0022-006X.60.3.402
Nunnally & Kotsch (1983), doi:10.1111/j.2044-8260.1983.tb00582.x
Hageman & Arrindell (1999), doi:10.1016/S0005-7967(99)00032-7
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.change import (
    check_reliability,
    critical_value,
    in_errors,
    paired,
    reliable_change_index,
    standard_error_of_measurement,
)
from scoring.cutoffs import Floats, NotComputable, finite, scores, spread

Method = Literal[
    "jacobson-truax",
    "gulliksen-lord-novick",
    "hsu-linn-nord",
    "edwards-nunnally",
    "nunnally-kotsch",
    "hageman-arrindell",
]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Moments:
    """Moments of the pairs that have both scores, in points.

    ``correlation`` is None where it does not exist: one of the SDs is 0.
    """

    n: int
    mean_pre: float
    sd_pre: float
    mean_post: float
    sd_post: float
    correlation: float | None


@dataclass(frozen=True)
class ChangeIndex:
    """An index per person and what it must exceed: two-sided, except for Hageman and Arrindell's one-sided test."""

    method: Method
    rci: Floats
    critical: float


def sample_moments(pre: npt.ArrayLike, post: npt.ArrayLike) -> Moments:
    """Moments of the complete pairs; a person without one of the scores counts in neither occasion.

    Raises
    ------
    NotComputable
        ``too-few-pairs``: a standard deviation needs two.

    >>> sample_moments([1, 2, 3, float("nan")], [1, 3, 5, 9]).sd_post
    2.0
    """
    before, after = paired(pre, post)
    complete = ~(np.isnan(before) | np.isnan(after))
    x, y = before[complete], after[complete]
    if x.size < 2:
        raise NotComputable("too-few-pairs", "moments need two complete pairs")
    sd_x, sd_y = _sd(x), _sd(y)
    covariance = float(np.sum((x - x.mean()) * (y - y.mean())) / (x.size - 1))
    correlation = None if sd_x * sd_y == 0 else min(1.0, max(-1.0, covariance / (sd_x * sd_y)))
    return Moments(int(x.size), float(x.mean()), sd_x, float(y.mean()), sd_y, correlation)


def _sd(values: Floats) -> float:
    """Exactly 0 where all are the same: rounding of the mean would leave 1e-16, by which any change were reliable."""
    return 0.0 if values.min() == values.max() else float(np.std(values, ddof=1))


def _deviation(value: float, name: str) -> float:
    if spread(value, name) == 0:
        raise NotComputable("no-spread", f"no reliable change index where {name} is 0")
    return value


def _size(before: Floats, after: Floats, *means: float) -> Floats:
    """How large the numbers in a numerator are, for :func:`scoring.change.in_errors`."""
    return np.asarray(np.maximum(np.maximum(np.abs(before), np.abs(after)), max(abs(mean) for mean in means)))


def gulliksen_lord_novick(
    pre: npt.ArrayLike, post: npt.ArrayLike, *, reliability: float, mean_pre: float, sd_pre: float
) -> Floats:
    """``((x2 - M1) - r (x1 - M1)) / (S1 sqrt(1 - r^2))``: change against regression to the mean before.

    Shapes, missing scores and errors as in :func:`scoring.change.reliable_change_index`, here and below.

    >>> gulliksen_lord_novick([20.0], [10.0], reliability=0.8, mean_pre=20, sd_pre=5).round(4)
    array([-3.3333])
    """
    return _residual(pre, post, reliability, mean_pre, mean_pre, sd_pre)


def hsu_linn_nord(
    pre: npt.ArrayLike, post: npt.ArrayLike, *, reliability: float, mean_pre: float, sd_pre: float, mean_post: float
) -> Floats:
    """``((x2 - M2) - r (x1 - M1)) / (S1 sqrt(1 - r^2))``: the same, with the score after centred on its own mean.

    >>> hsu_linn_nord([20.0], [10.0], reliability=0.8, mean_pre=20, sd_pre=5, mean_post=16).round(4)
    array([-2.])
    """
    return _residual(pre, post, reliability, mean_pre, mean_post, sd_pre)


def _residual(
    pre: npt.ArrayLike, post: npt.ArrayLike, reliability: float, centre_pre: float, centre_post: float, sd_pre: float
) -> Floats:
    before, after = paired(pre, post)
    r, sd = check_reliability(reliability), _deviation(sd_pre, "sd_pre")
    m1, m2 = finite(centre_pre, "mean_pre"), finite(centre_post, "mean_post")
    return in_errors((after - m2) - r * (before - m1), sd * math.sqrt(1 - r**2), _size(before, after, m1, m2))


def edwards_nunnally(
    pre: npt.ArrayLike, post: npt.ArrayLike, *, reliability: float, mean_pre: float, sd_pre: float
) -> Floats:
    """``(x2 - [r (x1 - M1) + M1]) / (S1 sqrt(1 - r))``: distance from the estimated true score before (Speer's form).

    The original was an interval of two standard errors of measurement, so 2 in the place of the normal quantile.

    >>> edwards_nunnally([20.0], [10.0], reliability=0.75, mean_pre=20, sd_pre=5)
    array([-4.])
    """
    before, after = paired(pre, post)
    r, sd, mean = check_reliability(reliability), _deviation(sd_pre, "sd_pre"), finite(mean_pre, "mean_pre")
    numerator = after - (r * (before - mean) + mean)
    return in_errors(numerator, standard_error_of_measurement(sd, r), _size(before, after, mean))


def nunnally_kotsch(
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    *,
    reliability: float,
    mean_pre: float,
    sd_pre: float,
    reliability_post: float | None = None,
) -> Floats:
    """``(x2 - [r (x1 - M1) + M1]) / sqrt(r^2 S1^2 (1 - r) + S1^2 (1 - r_post))``.

    S1 stands in both terms, as in the implementation that the golden values come from. ``reliability_post`` is the
    scale's reliability on the second occasion; left out, it is the first's.

    >>> nunnally_kotsch([20.0], [10.0], reliability=0.8, mean_pre=20, sd_pre=5).round(3)
    array([-3.492])
    """
    before, after = paired(pre, post)
    r, sd, mean = check_reliability(reliability), _deviation(sd_pre, "sd_pre"), finite(mean_pre, "mean_pre")
    later = r if reliability_post is None else check_reliability(reliability_post, "reliability_post")
    error = sd * math.sqrt(r**2 * (1 - r) + (1 - later))
    return in_errors(after - (r * (before - mean) + mean), error, _size(before, after, mean))


def reliability_of_difference(*, reliability: float, sd_pre: float, sd_post: float, correlation: float) -> float:
    """R_dd of Hageman and Arrindell, with the error variance of the first occasion in both.

    Raises
    ------
    NotComputable
        ``no-spread``: an SD is 0, or the differences do not vary. ``difference-unreliable``: R_dd is not above 0.

    >>> round(reliability_of_difference(reliability=0.8, sd_pre=5, sd_post=6, correlation=0.5), 4)
    0.6774
    """
    s1, s2 = _deviation(sd_pre, "sd_pre"), _deviation(sd_post, "sd_post")
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be in [-1, 1], got {correlation}")
    error = standard_error_of_measurement(s1, reliability) ** 2
    variance = s1**2 + s2**2 - 2 * s1 * s2 * correlation
    if variance <= 1e-12 * (s1**2 + s2**2):
        raise NotComputable("no-spread", "the differences do not vary, so their reliability does not exist")
    value = (variance - 2 * error) / variance
    if value <= 0:
        raise NotComputable("difference-unreliable", "the differences vary no more than measurement error would")
    return value


def hageman_arrindell(
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    *,
    reliability: float,
    mean_pre: float,
    sd_pre: float,
    mean_post: float,
    sd_post: float,
    correlation: float,
) -> Floats:
    """``((x2 - x1) R_dd + (M2 - M1) (1 - R_dd)) / (sqrt(R_dd) sqrt(2) SEM)``, to be tested one-sided.

    The change is shrunk towards the sample's mean change, so a person who did not change has an index other than 0.

    >>> hageman_arrindell(
    ...     [20.0], [10.0], reliability=0.8, mean_pre=20, sd_pre=5, mean_post=15, sd_post=6, correlation=0.5
    ... ).round(3)
    array([-3.222])
    """
    before, after = paired(pre, post)
    m1, m2 = finite(mean_pre, "mean_pre"), finite(mean_post, "mean_post")
    r_dd = reliability_of_difference(reliability=reliability, sd_pre=sd_pre, sd_post=sd_post, correlation=correlation)
    error = math.sqrt(2 * r_dd) * standard_error_of_measurement(sd_pre, reliability)
    numerator = (after - before) * r_dd + (m2 - m1) * (1 - r_dd)
    return in_errors(numerator, error, _size(before, after, m1, m2))


def functional_index(
    post: npt.ArrayLike, cutoff: float, *, reliability: float, sd_pre: float, mean_post: float, sd_post: float
) -> Floats:
    """``(M2 + (x2 - M2) R_22 - cutoff) / (sqrt(R_22) SEM)``: how far beyond a cutoff the true score afterwards lies.

    Hageman and Arrindell count a person as functional where this, with the sign of better, exceeds the one-sided
    critical value. ``cutoff`` is one from error-free standard deviations (:func:`scoring.cutoffs.error_free_sd`).

    Raises
    ------
    NotComputable
        ``no-spread`` where an SD is 0; ``error-exceeds-spread`` where the scores afterwards vary no more than
        measurement error would make them.

    >>> functional_index([10.0], 14.0, reliability=0.8, sd_pre=5, mean_post=15, sd_post=6).round(4)
    array([-1.5931])
    """
    after = scores(post, "post")
    s1, s2, mean = _deviation(sd_pre, "sd_pre"), _deviation(sd_post, "sd_post"), finite(mean_post, "mean_post")
    error = standard_error_of_measurement(s1, reliability)
    if error >= s2:
        raise NotComputable("error-exceeds-spread", "the scores after vary no more than measurement error would")
    r_22 = 1 - (error / s2) ** 2
    limit = finite(cutoff, "cutoff")
    return in_errors(mean + (after - mean) * r_22 - limit, math.sqrt(r_22) * error, _size(after, after, mean, limit))


def change_index(
    method: Method,
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    *,
    reliability: float,
    moments: Moments,
    reliability_post: float | None = None,
    significance: float = 0.05,
) -> ChangeIndex:
    """The index of each person by a named method, with the critical value that belongs to it.

    Raises
    ------
    NotComputable
        As the method's own function; ``no-correlation`` where Hageman and Arrindell's method lacks one.
    ValueError
        An unknown method, or an input out of range.

    >>> sample = Moments(n=50, mean_pre=20, sd_pre=5, mean_post=15, sd_post=6, correlation=0.5)
    >>> change_index("jacobson-truax", [20.0], [10.0], reliability=0.8, moments=sample).rci.round(3)
    array([-3.162])
    """
    mean, sd = moments.mean_pre, moments.sd_pre
    if method == "jacobson-truax":
        rci = reliable_change_index(pre, post, sd=sd, reliability=reliability)
    elif method == "gulliksen-lord-novick":
        rci = gulliksen_lord_novick(pre, post, reliability=reliability, mean_pre=mean, sd_pre=sd)
    elif method == "hsu-linn-nord":
        rci = hsu_linn_nord(pre, post, reliability=reliability, mean_pre=mean, sd_pre=sd, mean_post=moments.mean_post)
    elif method == "edwards-nunnally":
        rci = edwards_nunnally(pre, post, reliability=reliability, mean_pre=mean, sd_pre=sd)
    elif method == "nunnally-kotsch":
        rci = nunnally_kotsch(
            pre, post, reliability=reliability, mean_pre=mean, sd_pre=sd, reliability_post=reliability_post
        )
    elif method == "hageman-arrindell":
        if moments.correlation is None:
            raise NotComputable("no-correlation", "the scores before or after do not vary")
        rci = hageman_arrindell(
            pre,
            post,
            reliability=reliability,
            mean_pre=mean,
            sd_pre=sd,
            mean_post=moments.mean_post,
            sd_post=moments.sd_post,
            correlation=moments.correlation,
        )
    else:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return ChangeIndex(method, rci, critical_value(significance, one_sided=method == "hageman-arrindell"))
