"""Reliability in one's own sample: alpha, omega, intraclass correlations, and measurement error by both routes.

Rows with a gap are left out; ``n`` in every result is that of the rows used. Items must be scored in one direction
before: none is turned here.

References
----------
Cronbach (1951), doi:10.1007/BF02310555
Feldt (1965), doi:10.1007/BF02289499
McDonald (1999), Test Theory
Shrout & Fleiss (1979), doi:10.1037/0033-2909.86.2.420
McGraw & Wong (1996), doi:10.1037/1082-989X.1.1.30
Weir (2005), doi:10.1519/15184.1 (from memory, to be checked)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from scoring.cutoffs import Floats, NotComputable, scores

IccForm = Literal["(1,1)", "(2,1)", "(3,1)", "(1,k)", "(2,k)", "(3,k)"]
_OF_MEANS: Final[tuple[IccForm, ...]] = ("(1,k)", "(2,k)", "(3,k)")


@dataclass(frozen=True)
class Alpha:
    """Cronbach's alpha of ``k`` items in ``n`` complete rows, with Feldt's interval; it can be negative.

    ``standardised`` is that of the items at equal spread, None where one does not vary. ``error`` is the standard error
    of measurement, in points of the total: ``sd sqrt(1 - alpha)``; None of a negative alpha, by which the error would
    be larger than the whole spread.
    """

    n: int
    left_out: int
    k: int
    alpha: float
    low: float
    high: float
    confidence: float
    standardised: float | None
    sd: float
    error: float | None

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"available": True, "interval_method": "Feldt, by F on n - 1 and (n - 1)(k - 1)", **self.__dict__}


@dataclass(frozen=True)
class Omega:
    """McDonald's omega total by a one-factor model of the covariances, fitted by maximum likelihood.

    ``heywood``: a residual variance is not above 0, so the value is not to be trusted. ``just_identified``: with three
    items the model fits whatever the data are.
    """

    n: int
    left_out: int
    k: int
    omega: float
    loadings: tuple[float, ...]
    residuals: tuple[float, ...]
    heywood: bool
    just_identified: bool

    def document(self) -> dict[str, Any]:
        """As plain data."""
        warnings = [
            *(["heywood-case"] if self.heywood else []),
            *(["just-identified"] if self.just_identified else []),
        ]
        return {
            "available": True,
            "n": self.n,
            "left_out": self.left_out,
            "k": self.k,
            "omega": self.omega,
            "method": "one factor, maximum likelihood; (sum of loadings)^2 over that plus the residual variances",
            "warnings": warnings,
        }


@dataclass(frozen=True)
class Icc:
    """An intraclass correlation; (1,.) one-way, (2,.) absolute agreement, (3,.) consistency; k: of the mean.

    What the mean of k would have is None where the single one is so far below 0 that it does not exist. The limits of
    (2,.) are None where Satterthwaite's degrees of freedom fall below 1, which only a negative correlation can do: they
    need not hold the correlation then.
    """

    form: IccForm
    value: float | None
    low: float | None
    high: float | None

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Retest:
    """Scores of ``n`` persons on ``k`` occasions: the correlations, and measurement error in points.

    ``error_consistency`` is ``sqrt(MSE)``, ``error_agreement`` adds what occasions differ by; both are preferred to
    ``error_from_icc``, ``sd sqrt(1 - ICC(2,1))``, which goes with the spread of the sample.
    """

    n: int
    left_out: int
    k: int
    confidence: float
    iccs: tuple[Icc, ...]
    sd: float
    error_consistency: float
    error_agreement: float
    error_from_icc: float

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"available": True, **self.__dict__, "iccs": [icc.document() for icc in self.iccs]}


def cronbach_alpha(items: npt.ArrayLike, *, confidence: float = 0.95) -> Alpha:
    """Alpha of the items of a scale.

    Parameters
    ----------
    items : array_like, shape (persons, items)
        Scored answers; NaN is a gap, and its row is left out.

    Raises
    ------
    NotComputable
        ``one-item``, ``too-few`` (fewer than two complete rows), ``no-spread`` (the total does not vary).
    ValueError
        Not two dimensions, or ``confidence`` out of range.

    >>> found = cronbach_alpha([[1, 1], [2, 2], [3, 3], [4, 3]])
    >>> round(found.alpha, 6), found.n
    (0.949153, 4)
    """
    given, left_out = _complete(items)
    n, k = given.shape
    if k < 2:
        raise NotComputable("one-item", "internal consistency needs at least two items")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    total = float(given.sum(axis=1).var(ddof=1))
    if not total > 1e-12 * max(1.0, float(np.abs(given).max()) ** 2):
        raise NotComputable("no-spread", "the total does not vary")
    alpha = k / (k - 1) * (1 - float(given.var(axis=0, ddof=1).sum()) / total)
    tail, df = (1 - confidence) / 2, (n - 1, (n - 1) * (k - 1))
    low, high = (1 - (1 - alpha) * float(special.fdtri(*df, p)) for p in (1 - tail, tail))
    sd = math.sqrt(total)
    error = sd * math.sqrt(1 - alpha) if 0 <= alpha <= 1 else None
    return Alpha(n, left_out, k, alpha, low, high, confidence, _standardised(given), sd, error)


def _standardised(given: Floats) -> float | None:
    k = given.shape[1]
    if (given.min(axis=0) == given.max(axis=0)).any():
        return None
    correlations = np.corrcoef(given, rowvar=False)
    mean = (float(correlations.sum()) - k) / (k * (k - 1))
    below = 1 + (k - 1) * mean
    return k * mean / below if below > 1e-12 else None


def omega_total(items: npt.ArrayLike) -> Omega:
    """Omega total of the items of a scale, by one factor.

    Raises
    ------
    NotComputable
        ``two-items`` (fewer than three: not identified), ``too-few`` (not more complete rows than items),
        ``no-spread`` (an item does not vary, or items repeat each other), ``no-convergence``.

    Parameters
    ----------
    items : array_like, shape (persons, items)
        As for :func:`cronbach_alpha`.
    """
    given, left_out = _complete(items)
    n, k = given.shape
    if k < 3:
        raise NotComputable("two-items", "one factor is not identified by fewer than three items")
    if n <= k:
        raise NotComputable("too-few", f"a factor of {k} items needs more than {k} complete rows, there are {n}")
    if (given.min(axis=0) == given.max(axis=0)).any():
        raise NotComputable("no-spread", "an item has one answer only")
    sds = given.std(axis=0)
    correlations: Floats = np.asarray(np.corrcoef(given, rowvar=False))
    if np.linalg.eigvalsh(correlations)[0] < 1e-9:
        raise NotComputable("no-spread", "an item is made up of the others, so no factor can be fitted")
    loadings, residuals = _one_factor(correlations)
    loadings, residuals = loadings * sds, residuals * sds**2
    loadings *= math.copysign(1.0, loadings.sum())  # a factor can be read either way round
    common = float(loadings.sum()) ** 2
    omega = common / (common + float(residuals.sum()))
    return Omega(
        n,
        left_out,
        k,
        omega,
        tuple(loadings.tolist()),
        tuple(residuals.tolist()),
        heywood=bool((residuals <= 1e-9 * sds**2).any()),
        just_identified=k == 3,
    )


def _one_factor(correlations: Floats) -> tuple[Floats, Floats]:
    """Loadings and residual variances of largest likelihood; a residual may come out below 0 (a Heywood case)."""
    k = len(correlations)

    def misfit(parameters: Floats) -> tuple[float, Floats]:
        loading, residual = parameters[:k], parameters[k:]
        implied = np.outer(loading, loading) + np.diag(residual)
        try:
            root = np.linalg.cholesky(implied)
        except np.linalg.LinAlgError:  # outside what a covariance matrix can be: the search turns back
            return np.inf, np.zeros(2 * k)
        inverse = np.linalg.inv(implied)
        value = 2 * float(np.log(np.diag(root)).sum()) + float((correlations * inverse).sum())
        slope = inverse @ (implied - correlations) @ inverse
        return value, np.concatenate((2 * slope @ loading, np.diag(slope)))

    values, vectors = np.linalg.eigh(correlations)
    loading = vectors[:, -1] * math.sqrt(max(values[-1] - 1, 0.1))
    start = np.concatenate((loading, np.maximum(1 - loading**2, 0.2)))
    found = optimize.minimize(misfit, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000})
    # "precision loss" is said at the optimum as well; what counts is that the slope is gone
    if not np.abs(found.jac).max() < 1e-5:
        raise NotComputable("no-convergence", "no one-factor model of largest likelihood was found")
    return found.x[:k], found.x[k:]


def intraclass(rows: npt.ArrayLike, *, confidence: float = 0.95) -> Retest:
    """Intraclass correlations of the same persons on two or more occasions (or by raters), by analysis of variance.

    Parameters
    ----------
    rows : array_like, shape (persons, occasions)
        Scores in points; rows with a gap are left out.

    Raises
    ------
    NotComputable
        ``one-occasion``, ``too-few`` (fewer than two complete rows), ``no-spread`` (persons do not differ).
    ValueError
        Not two dimensions, or ``confidence`` out of range.
    """
    given, left_out = _complete(rows)
    n, k = given.shape
    if k < 2:
        raise NotComputable("one-occasion", "agreement needs at least two occasions")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    mean, persons, occasions = given.mean(), given.mean(axis=1), given.mean(axis=0)
    scale = 1e-12 * float(((given - mean) ** 2).mean())  # a remainder of rounding is none
    between = _cleared(k * float(((persons - mean) ** 2).sum()) / (n - 1), scale)
    if not between:
        raise NotComputable("no-spread", "the persons do not differ in their means")
    columns = _cleared(n * float(((occasions - mean) ** 2).sum()) / (k - 1), scale)
    rest = given - persons[:, None] - occasions[None, :] + mean
    residual = _cleared(float((rest**2).sum()) / ((n - 1) * (k - 1)), scale)
    within = _cleared(float(((given - persons[:, None]) ** 2).sum()) / (n * (k - 1)), scale)
    squares = _Squares(between, columns, residual, within)
    single = _single(n, k, squares, (1 - confidence) / 2)
    averages = (
        Icc(form, *(_of_mean(value, k) for value in (icc.value, icc.low, icc.high)))
        for form, icc in zip(_OF_MEANS, single, strict=True)
    )
    sd = float(given.std(ddof=1))
    return Retest(
        n,
        left_out,
        k,
        confidence,
        (*single, *averages),
        sd,
        error_consistency=math.sqrt(residual),
        error_agreement=math.sqrt(residual + max(columns - residual, 0.0) / n),
        error_from_icc=sd * math.sqrt(max(1 - _agreement(n, k, squares), 0.0)),
    )


def _cleared(square: float, noise: float) -> float:
    return square if square > noise else 0.0


class _Squares(NamedTuple):
    """Mean squares: between persons, between occasions, what is left, and within persons."""

    persons: float
    occasions: float
    residual: float
    within: float


def _single(n: int, k: int, squares: _Squares, tail: float) -> tuple[Icc, Icc, Icc]:
    persons, _, residual, within = squares
    df = (n - 1) * (k - 1)
    return (
        Icc("(1,1)", *_by_ratio(persons, within, k, (n - 1, n * (k - 1)), tail)),
        Icc("(2,1)", *_agreement_limits(n, k, squares, tail)),
        Icc("(3,1)", *_by_ratio(persons, residual, k, (n - 1, df), tail)),
    )


def _by_ratio(above: float, below: float, k: int, df: tuple[int, int], tail: float) -> tuple[float, float, float]:
    """``(F - 1) / (F + k - 1)`` of F and of its limits; 1 throughout where there is no error at all."""
    if not below:
        return 1.0, 1.0, 1.0
    ratio = above / below
    # the F distribution's quantiles with the degrees of freedom swapped are each other's inverse
    found = (ratio, ratio / float(special.fdtri(*df, 1 - tail)), ratio / float(special.fdtri(*df, tail)))
    value, low, high = ((one - 1) / (one + k - 1) for one in found)
    return value, low, high


def _agreement(n: int, k: int, squares: _Squares) -> float:
    persons, occasions, residual, _ = squares
    return (persons - residual) / (persons + (k - 1) * residual + k * (occasions - residual) / n)


def _agreement_limits(
    n: int, k: int, squares: _Squares, tail: float
) -> tuple[float, float, float] | tuple[float, None, None]:
    """By Satterthwaite's degrees of freedom (Shrout & Fleiss; McGraw & Wong)."""
    persons, occasions, residual, _ = squares
    value = _agreement(n, k, squares)
    if not occasions and not residual:
        return 1.0, 1.0, 1.0
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    df = (a * occasions + b * residual) ** 2 / (
        (a * occasions) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1))
    )
    if df < 1:  # a and b cancel each other: quantiles of F on the wrong side of 1
        return value, None, None
    below = float(special.fdtri(n - 1, df, 1 - tail))
    above = float(special.fdtri(df, n - 1, 1 - tail))
    error = k * occasions + (k * n - k - n) * residual
    return (
        value,
        n * (persons - below * residual) / (below * error + n * persons),
        n * (above * persons - residual) / (error + n * above * persons),
    )


def _of_mean(single: float | None, k: int) -> float | None:
    """Spearman and Brown's step from one occasion to the mean of k."""
    if single is None:
        return None
    below = 1 + (k - 1) * single
    return k * single / below if below > 1e-12 else None


def _complete(rows: npt.ArrayLike) -> tuple[Floats, int]:
    """Rows without a gap, and how many have one."""
    given = scores(rows, "rows")
    if given.ndim != 2:
        raise ValueError("rows must be of two dimensions")
    kept = given[~np.isnan(given).any(axis=1)]
    if len(kept) < 2:
        raise NotComputable("too-few", f"at least 2 complete rows are needed, there are {len(kept)}")
    return kept, len(given) - len(kept)
