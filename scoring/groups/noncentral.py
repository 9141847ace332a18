"""Limits of the noncentrality of a t statistic: what exact intervals of standardised differences are made from.

The distribution function is integrated here rather than taken from a library, whose series give NaN far out in the
tail. With ``S = sqrt(chi2 / df)``, ``P(T <= t)`` is an integral over S or over the normal variable; the one is taken
in which the integrand is smooth, so Gauss-Legendre nodes give it to rounding error for any df and t.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import optimize, special

from scoring.cutoffs import NotComputable

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(240)
_NORMAL: Final = 9.5
"""Standard deviations beyond which the normal density is below 1e-20."""
_LARGEST: Final = 1e8
_SUREST: Final = 0.999999


def noncentral_t_cdf(t: float, df: float, ncp: float) -> float:
    """``P(T <= t)`` of the noncentral t distribution.

    Parameters
    ----------
    t
        Finite.
    df
        Degrees of freedom, >= 1.
    ncp
        Noncentrality.

    >>> round(noncentral_t_cdf(2.0, 10, 1.0), 8)
    0.80761156
    """
    if t < 0:
        return 1.0 - noncentral_t_cdf(-t, df, -ncp)
    if t == 0:
        return float(special.ndtr(-ncp))
    if t * t > 2 * df:  # over z: S >= (z + ncp) / t, which is certain below z = -ncp
        low, high = max(-_NORMAL, -ncp), _NORMAL
        if low >= high:
            return float(special.ndtr(-ncp))
        z = (high - low) / 2 * _NODES + (high + low) / 2
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        reached = special.chdtrc(df, df * ((z + ncp) / t) ** 2)
        return min(1.0, float(special.ndtr(low) + (high - low) / 2 * (_WEIGHTS * density * reached).sum()))
    low, high = (math.sqrt(special.chdtri(df, p) / df) for p in (1 - 1e-16, 1e-18))
    s = (high - low) / 2 * _NODES + (high + low) / 2
    log_density = (
        math.log(2) + df / 2 * math.log(df / 2) - special.gammaln(df / 2) + (df - 1) * np.log(s) - df * s**2 / 2
    )
    return min(1.0, float((high - low) / 2 * (_WEIGHTS * np.exp(log_density) * special.ndtr(t * s - ncp)).sum()))


def noncentrality_limits(t: float, df: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Noncentralities for which ``t`` lies at the upper and at the lower end of its distribution.

    Raises
    ------
    NotComputable
        ``too-extreme``: t is so large that it says nothing but that there is hardly any spread.
    ValueError
        ``df`` or ``confidence`` out of range.

    >>> low, high = noncentrality_limits(2.0, 20)
    >>> round(low, 5), round(high, 5)
    (-0.07708, 4.03178)
    """
    if not df >= 1:
        raise ValueError(f"df must be >= 1, got {df}")
    if not 0 < confidence <= _SUREST:
        raise ValueError(f"confidence must be above 0 and at most {_SUREST}, got {confidence}")
    if not abs(t) <= _LARGEST:
        raise NotComputable("too-extreme", "the change is so large against its spread that it has no interval")
    tail = (1 - confidence) / 2
    step = 4 * (1 + abs(t) / math.sqrt(2 * df))  # standard errors of the noncentrality, roughly

    def root(target: float, sign: int) -> float:
        far = step
        while sign * (noncentral_t_cdf(t, df, t + sign * far) - target) > 0:
            far *= 2
        near, out = t - sign * step, t + sign * far
        return float(
            optimize.brentq(lambda ncp: noncentral_t_cdf(t, df, ncp) - target, near, out, xtol=1e-12, rtol=1e-14)
        )

    return root(1 - tail, -1), root(tail, 1)
