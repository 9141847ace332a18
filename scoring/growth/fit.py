"""Fitting a growth model to many persons' scores. Slow (seconds), and loads statsmodels: never in a request.

statsmodels' `MixedLM` gives a first answer. It may stop early and still say that it has converged, so its answer and
several others are starts of a search that knows the exact likelihood (:mod:`scoring.growth.likelihood`), and what comes
out is checked: no start may reach a better likelihood, and its slope there is as good as nothing. Time and scores are
centred and scaled for the search and brought back afterwards.

References
----------
Laird & Ware (1982), doi:10.2307/2529876; Bates et al. (2015), doi:10.18637/jss.v067.i01
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from scoring.cutoffs import Floats
from scoring.growth.likelihood import Ints, Sums, cholesky, log_likelihood, profile, square
from scoring.growth.model import CLOCKS, Clock, GrowthModel, ticked

Method = Literal["reml", "ml"]
Code = Literal[
    "too-few-persons",
    "too-few-with-three",
    "slope-not-identified",
    "no-spread",
    "not-converged",
    "bands-do-not-hold",
]

STARTS: Final = ((1.0, 0.0, 1.0), (0.3, 0.0, 0.05), (2.0, -0.5, 0.5), (1.0, 0.0, 0.0))
"""Relative factors that the search starts from besides statsmodels' own: lower left corner in the middle."""
BOUNDS: Final = ((0.0, None), (None, None), (0.0, None))
FLAT: Final = 1e-3
"""Largest slope of the log-likelihood that counts as none, for each parameter of the search (of the order of 1)."""
SINGULAR: Final = 1e-4
"""A relative factor whose diagonal is below this is of a singular fit; what lme4 calls so too."""
STEP: Final = 1e-5
"""Of the differences that slopes of the log-likelihood are taken from."""
SEPARATE: Final = 1e-9
"""Weeks by which two times have to differ."""


class GrowthError(ValueError):
    """The scores do not bear a growth model; ``code`` says why, for programs."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True)
class Series:
    """Scores of many persons in long form, in order of person and week."""

    ids: tuple[Hashable, ...]
    person: Ints
    weeks: Floats
    values: Floats

    @property
    def counts(self) -> Ints:
        """Scores of each person."""
        return np.bincount(self.person)

    @classmethod
    def of(cls, ids: Sequence[Hashable], weeks: npt.ArrayLike, values: npt.ArrayLike) -> Series:
        """From three columns in any order; rows without a score (NaN) are left out.

        Raises
        ------
        ValueError
            The columns differ in length, or a number is not finite.
        """
        t, y = np.asarray(weeks, np.float64), np.asarray(values, np.float64)
        if not len(ids) == len(t) == len(y) or t.ndim != 1 or y.ndim != 1:
            raise ValueError("ids, weeks and values have to be columns of one length")
        if np.isinf(y).any() or not np.isfinite(t).all():
            raise ValueError("weeks and values have to be finite numbers")
        kept = np.flatnonzero(~np.isnan(y))
        numbers: dict[Hashable, int] = {}
        person = np.array([numbers.setdefault(ids[row], len(numbers)) for row in kept.tolist()], np.int64)
        order = np.lexsort((t[kept], person))
        return cls(tuple(numbers), person[order], t[kept][order], y[kept][order])


@dataclass(frozen=True)
class Fit:
    """A fitted model and how well that went.

    ``singular``: slopes or intercepts do not vary, or go together wholly; predictions then stand, the variances do not.
    ``statsmodels_short`` is by how much the log-likelihood at statsmodels' answer falls short of that at ours, None
    where it gave none. ``slope_of_likelihood`` is the largest left at the end.
    """

    model: GrowthModel
    method: Method
    log_likelihood: float
    persons: int
    observations: int
    singular: bool
    slope_of_likelihood: float
    statsmodels_short: float | None

    def document(self) -> dict[str, Any]:
        """As plain data, without the model."""
        return {
            "method": self.method,
            "log_likelihood": self.log_likelihood,
            "singular": self.singular,
            "slope_of_likelihood": self.slope_of_likelihood,
            "statsmodels_short": self.statsmodels_short,
        }


def fit_by_clock(series: Series, *, cross_check: bool = True) -> tuple[Fit, dict[str, float]]:
    """The fit by the clock that makes the scores likelier, and the full log-likelihood by each.

    Both have as many parameters, so their likelihoods (`ml`: the restricted ones depend on the unit of time) can be
    put side by side. ``cross_check`` and errors as :func:`fit`.
    """
    likelihoods = {
        str(clock): fit(series, method="ml", clock=clock, cross_check=False).log_likelihood for clock in CLOCKS
    }
    best = max(CLOCKS, key=lambda clock: likelihoods[clock])
    return fit(series, clock=best, cross_check=cross_check), dict(likelihoods)


def fit(series: Series, *, method: Method = "reml", clock: Clock = "weeks", cross_check: bool = True) -> Fit:
    """Fit random intercepts and slopes.

    Parameters
    ----------
    series
        Scores of many persons.
    method
        `reml` (variances without the bias of having estimated the fixed part) or `ml`.
    clock
        What time is counted in; weeks are then >= 0 unless it is `weeks`.
    cross_check
        Whether statsmodels is asked too, which takes most of the time.

    Raises
    ------
    GrowthError
        ``too-few-persons``: under three; ``slope-not-identified``: nobody has three scores at different times, so
        slopes cannot be told from chance; ``no-spread``: all scores lie on one line; ``not-converged``.
    """
    _bearable(series)
    t, y = ticked(clock, series.weeks), series.values
    centre, unit = float(t.mean()), float(t.std())
    level, scale = float(y.mean()), float(y.std())
    reml = method == "reml"
    sums = Sums.of(series.person, (t - centre) / unit, (y - level) / scale)

    def badness(theta: Floats) -> float:
        return -profile(sums, _factor(theta), reml=reml).log_likelihood

    first = None
    if cross_check:
        first = _statsmodels(series.person, (t - centre) / unit, (y - level) / scale, reml=reml)
    theta, slope = _searched(badness, [*STARTS, *([] if first is None else [first])])
    found, factor = profile(sums, _factor(theta), reml=reml), _factor(theta)
    # y = level + scale f and f = x'(fixed + u) with x = (1, (t - centre) / unit)
    back = scale * np.array(((1.0, -centre / unit), (0.0, 1.0 / unit)))
    fixed = back @ found.fixed + np.array((level, 0.0))
    model = GrowthModel(
        float(fixed[0]),
        float(fixed[1]),
        square(back @ np.linalg.inv(found.precision / found.residual_variance) @ back.T),
        square(back @ factor @ factor.T @ back.T * found.residual_variance),
        found.residual_variance * scale * scale,
        clock,
    )
    return Fit(
        model=model,
        method=method,
        log_likelihood=log_likelihood(Sums.of(series.person, t, y), model, reml=reml),
        persons=len(series.ids),
        observations=len(y),
        singular=bool(min(theta[0], theta[2]) < SINGULAR),
        slope_of_likelihood=slope,
        statsmodels_short=None if first is None else max(badness(np.asarray(first)) + found.log_likelihood, 0.0),
    )


def _bearable(series: Series) -> None:
    if len(series.ids) < 3:
        raise GrowthError("too-few-persons", "A growth model needs scores of three persons at the very least.")
    first = np.r_[True, np.diff(series.person) > 0]
    apart = first | np.r_[True, np.diff(series.weeks) > SEPARATE]
    if np.bincount(series.person[apart]).max() < 3:
        raise GrowthError(
            "slope-not-identified", "Nobody has three scores at different times, so slopes cannot be told from chance."
        )
    x = np.column_stack((np.ones_like(series.weeks), series.weeks - series.weeks.mean()))
    line = x @ np.linalg.lstsq(x, series.values, rcond=None)[0]
    if np.abs(series.values - line).max() <= 1e-9 * max(1.0, float(np.abs(series.values).max())):
        raise GrowthError("no-spread", "All scores lie on one line, so there is no spread to estimate.")


def _factor(theta: Floats) -> Floats:
    return np.array(((theta[0], 0.0), (theta[1], theta[2])))


def _slopes(badness: Callable[[Floats], float], theta: Floats) -> Floats:
    """By central differences; a parameter at its bound counts only where the way on leads back inside."""
    found = np.empty(3)
    for place in range(3):
        step = np.zeros(3)
        step[place] = STEP
        if place != 1 and theta[place] < STEP:
            found[place] = min((badness(theta + step) - badness(theta)) / STEP, 0.0)
        else:
            found[place] = (badness(theta + step) - badness(theta - step)) / (2 * STEP)
    return found


def _searched(badness: Callable[[Floats], float], starts: Sequence[Sequence[float]]) -> tuple[Floats, float]:
    """The parameters that no start leads beyond, and the largest slope that is left there."""
    from scipy import optimize

    def from_(start: Floats, method: Literal["L-BFGS-B", "Nelder-Mead"]) -> Floats:
        found: Floats = np.asarray(optimize.minimize(badness, start, method=method, bounds=BOUNDS, tol=1e-12).x)
        return found

    best = min((from_(np.asarray(start), "L-BFGS-B") for start in starts), key=badness)
    best = min(best, from_(best, "Nelder-Mead"), key=badness)  # where differences mislead, at the very top
    slope = float(np.abs(_slopes(badness, best)).max())
    if not slope < FLAT:
        raise GrowthError("not-converged", f"The likelihood still rises by {slope:.3g} where the search ended.")
    return best, slope


def _statsmodels(person: Ints, t: Floats, y: Floats, *, reml: bool) -> tuple[float, float, float] | None:
    """statsmodels' answer as a relative factor; None where it gives none. Whether it says it converged is not asked."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    x = np.column_stack((np.ones_like(t), t))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = MixedLM(y, x, groups=person, exog_re=x).fit(reml=reml, method="lbfgs")
        g, s2 = np.asarray(found.cov_re, np.float64), float(found.scale)
    except (np.linalg.LinAlgError, ValueError):
        return None
    if not np.isfinite(g).all() or not math.isfinite(s2) or s2 <= 0:
        return None
    factor = cholesky(g / s2)
    return float(factor[0, 0]), float(factor[1, 0]), float(factor[1, 1])
