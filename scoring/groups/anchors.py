"""How much change matters to people: minimal important change by an external anchor, and minimal detectable change.

The anchor is a person's own rating of the change. ``benefit`` is change with a positive sign where the person got
better, in points. The figures of different methods differ, so each has its name.

References
----------
Jaeschke et al. (1989), doi:10.1016/0197-2456(89)90005-6
Terluin et al. (2015), doi:10.1016/j.jclinepi.2015.03.015
Terluin et al. (2017), doi:10.1016/j.jclinepi.2016.12.015
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from scoring.change import minimal_detectable_change
from scoring.cutoffs import Bools, Floats, NotComputable, scores

Criterion = Literal["youden", "closest-corner"]

ADJUSTMENT: Final = (0.090, 0.103)
"""Of the adjusted predictive method: constant and weight of the correlation. From memory, to be checked."""
LOOSEST_ANCHOR: Final = 0.3
"""The least rank correlation of benefit and anchor that is usually asked for. From memory, to be checked."""


@dataclass(frozen=True)
class MeanChange:
    """Mean benefit of those who say they are a little better, and that minus the mean of the unchanged."""

    n_minimal: int
    n_unchanged: int
    minimal: float
    difference: float | None


@dataclass(frozen=True)
class Threshold:
    """Benefit above which the anchor is told best, halfway between neighbouring values, with its errors."""

    value: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Roc:
    """Area under the curve (ties half), and every threshold that is best by the criterion."""

    n: int
    n_important: int
    area: float
    criterion: Criterion
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True)
class Predictive:
    """Predictive modelling: the benefit at which an important change is as likely as it is overall.

    ``adjusted`` takes away what a share of improved that is not one half adds; its coefficients are from memory.
    """

    n: int
    share: float
    intercept: float
    slope: float
    value: float
    correlation: float
    adjusted: float
    evidence: Literal["memory"] = "memory"


@dataclass(frozen=True)
class Detectable:
    """Minimal detectable change of one person, and whether a minimal important change lies inside that error."""

    error_90: float
    error_95: float
    important: float | None
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"available": True, **self.__dict__, "warnings": list(self.warnings)}


def anchor_correlation(benefit: npt.ArrayLike, anchor: npt.ArrayLike) -> tuple[float, tuple[str, ...]]:
    """Spearman's rank correlation of benefit and anchor, with ``weak-anchor`` where it is below ``LOOSEST_ANCHOR``.

    Raises
    ------
    NotComputable
        ``too-few`` (fewer than three pairs), ``no-spread`` in either.
    """
    gained, rating = _both(benefit, anchor)
    if len(gained) < 3:
        raise NotComputable("too-few", f"a correlation needs at least 3 pairs, there are {len(gained)}")
    found = _correlation(stats.rankdata(gained), stats.rankdata(rating))
    return found, () if abs(found) >= LOOSEST_ANCHOR else ("weak-anchor",)


def mean_change(benefit: npt.ArrayLike, minimal: npt.ArrayLike, unchanged: npt.ArrayLike) -> MeanChange:
    """The mean-change method.

    Parameters
    ----------
    benefit : array_like, shape (n,)
        NaN is left out.
    minimal, unchanged : array_like of bool, shape (n,)
        Who says "a little better", and who "no change".

    Raises
    ------
    NotComputable
        ``too-few``: nobody is a little better.
    """
    gained = scores(benefit, "benefit").ravel()
    there = ~np.isnan(gained)
    better, same = (gained[there & np.asarray(who, np.bool_).ravel()] for who in (minimal, unchanged))
    if not len(better):
        raise NotComputable("too-few", "nobody is minimally better")
    mean = float(better.mean())
    return MeanChange(len(better), len(same), mean, mean - float(same.mean()) if len(same) else None)


def roc(benefit: npt.ArrayLike, important: npt.ArrayLike, *, criterion: Criterion = "youden") -> Roc:
    """Thresholds of benefit that tell an important change best, all of them where several are equally good.

    Parameters
    ----------
    important : array_like, shape (n,)
        1 or True where the anchor says that the change is important; NaN is left out.
    criterion
        ``youden``: largest sensitivity + specificity; ``closest-corner``: least squared distance from both being 1.

    Raises
    ------
    NotComputable
        ``one-outcome``: all or none are important; ``no-spread``: all changes are the same.

    >>> roc([1, 2, 3, 4], [0, 0, 1, 1]).thresholds
    (Threshold(value=2.5, sensitivity=1.0, specificity=1.0),)
    """
    if criterion not in ("youden", "closest-corner"):
        raise ValueError(f"criterion must be youden or closest-corner, got {criterion!r}")
    gained, outcome = _dichotomous(benefit, important)
    values, place = np.unique(gained, return_inverse=True)
    yes = np.bincount(place, outcome, len(values))
    no = np.bincount(place, ~outcome, len(values))
    # the count at or below each value; a threshold lies halfway to the next, the outermost ones tell nobody apart
    missed, right = np.cumsum(yes)[:-1], np.cumsum(no)[:-1]
    sensitivity, specificity = 1 - missed / yes.sum(), right / no.sum()
    area = float((yes * (np.cumsum(no) - no / 2)).sum() / (yes.sum() * no.sum()))
    youden, corner = sensitivity + specificity, (1 - sensitivity) ** 2 + (1 - specificity) ** 2
    merit = youden if criterion == "youden" else -corner
    best = np.flatnonzero(merit >= merit.max() - 1e-12)
    middle = (values[1:] + values[:-1]) / 2
    found = tuple(Threshold(float(middle[i]), float(sensitivity[i]), float(specificity[i])) for i in best)
    return Roc(len(gained), int(outcome.sum()), area, criterion, found)


def predictive(benefit: npt.ArrayLike, important: npt.ArrayLike) -> Predictive:
    """Minimal important change by predictive modelling: logistic regression of the anchor on benefit.

    Raises
    ------
    NotComputable
        ``one-outcome``, ``no-spread`` (benefit does not vary), ``separated`` (a threshold tells all apart, so the
        regression has no finite slope), ``no-relation`` (its slope is 0).
    """
    gained, outcome = _dichotomous(benefit, important)
    yes, no = gained[outcome], gained[~outcome]
    if yes.min() >= no.max() or no.min() >= yes.max():
        raise NotComputable("separated", "a threshold of benefit tells the two groups apart without overlap")
    mean, sd = float(gained.mean()), float(gained.std(ddof=1))
    at_zero, per_sd = _logistic((gained - mean) / sd, outcome)
    if abs(per_sd) < 1e-9:
        raise NotComputable("no-relation", "important changes are not larger than others")
    slope = per_sd / sd
    intercept = at_zero - slope * mean
    share = float(outcome.mean())
    odds = math.log(share / (1 - share))
    value = (odds - intercept) / slope
    correlation = _correlation(gained, outcome.astype(np.float64))
    adjusted = value - (ADJUSTMENT[0] + ADJUSTMENT[1] * correlation) * sd * odds
    return Predictive(len(gained), share, intercept, slope, value, correlation, adjusted)


def detectable(sd: float, reliability: float, *, important: float | None = None) -> Detectable:
    """Minimal detectable change, with ``important-below-error`` where the important change cannot be told from it.

    ``sd`` and ``reliability`` as :func:`scoring.change.minimal_detectable_change`; ``important`` in points.
    """
    at_90, at_95 = (minimal_detectable_change(sd, reliability, confidence=sure) for sure in (0.90, 0.95))
    within = important is not None and important < at_95
    return Detectable(at_90, at_95, important, ("important-below-error",) if within else ())


def _logistic(x: Floats, outcome: Bools) -> tuple[float, float]:
    """Intercept and slope of largest likelihood, which has one top as the groups overlap.

    A search that cannot overshoot, and a few of Newton's steps from where it ends, which give the last digits.
    """
    y = outcome.astype(np.float64)

    def misfit(at: Floats) -> tuple[float, Floats]:
        line = at[0] + at[1] * x
        residual = special.expit(line) - y
        return float((np.logaddexp(0, line) - y * line).sum()), np.array([residual.sum(), (residual * x).sum()])

    found = optimize.minimize(misfit, np.zeros(2), jac=True, method="BFGS").x
    design = np.stack((np.ones_like(x), x))
    for _ in range(4):
        p = special.expit(found @ design)
        found = found + np.linalg.solve((design * (p * (1 - p))) @ design.T, design @ (y - p))
    return float(found[0]), float(found[1])


def _both(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = scores(first, "benefit").ravel(), scores(second, "anchor").ravel()
    if a.shape != b.shape:
        raise ValueError("benefit and anchor must be of one length")
    there = ~(np.isnan(a) | np.isnan(b))
    return a[there], b[there]


def _dichotomous(benefit: npt.ArrayLike, important: npt.ArrayLike) -> tuple[Floats, Bools]:
    gained, outcome = _both(benefit, np.asarray(important, np.float64))
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise ValueError("important must be 0 or 1")
    yes: Bools = outcome == 1
    if yes.all() or not yes.any():
        raise NotComputable("one-outcome", "all changes are important, or none is")
    if gained.min() == gained.max():
        raise NotComputable("no-spread", "all changes are the same")
    return gained, yes


def _correlation(a: Floats, b: Floats) -> float:
    if a.min() == a.max() or b.min() == b.max():
        raise NotComputable("no-spread", "benefit or anchor does not vary")
    return float(np.corrcoef(a, b)[0, 1])
