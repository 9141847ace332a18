"""The exact likelihood of a growth model, and what follows from the data once its variances are known.

With intercept and slope both fixed and random, ``Z = X``, so a person enters by six sums alone (how many scores, and
sums of time, time squared, score, time times score, score squared). Nothing of the size of a person's series is ever
inverted, and all persons are worked through at once.

With ``G = s2 L L'``: ``V^-1 = (I - Z M Z') / s2`` where ``M = L (I + L' S L)^-1 L'`` and ``S = Z'Z``, also where ``L``
is singular.

References
----------
Bates et al. (2015), doi:10.18637/jss.v067.i01: the relative factor ``L`` and the profiled criterion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.cutoffs import Floats
from scoring.growth.model import GrowthModel, Square

Ints = npt.NDArray[np.int64]
LOG_2_PI = math.log(2 * math.pi)
FIXED = 2
"""Fixed effects: intercept and slope."""


@dataclass(frozen=True)
class Sums:
    """The six sums of each person: ``s`` (n, 2, 2), ``p`` (n, 2), ``q`` (n,); and how many scores there are in all."""

    s: Floats
    p: Floats
    q: Floats
    scores: int

    @classmethod
    def of(cls, person: Ints, weeks: Floats, values: Floats) -> Sums:
        """From scores in long form; ``person`` counts from 0 and leaves no number out."""

        def total(of: Floats) -> Floats:
            return np.asarray(np.bincount(person, weights=of), np.float64)

        n, t = total(np.ones_like(weeks)), total(weeks)
        s = np.stack((np.stack((n, t), -1), np.stack((t, total(weeks * weeks)), -1)), -2)
        return cls(s, np.stack((total(values), total(weeks * values)), -1), total(values * values), len(values))


def _kept(factor: Floats, s: Floats) -> tuple[Floats, float]:
    """``M`` of each person, and the sum of ``log |I + L'SL|``."""
    inner = np.eye(2) + factor.T @ s @ factor
    (a, b), (c, d) = np.moveaxis(inner, 0, -1)
    determinant = a * d - b * c
    inverse = np.moveaxis(np.array(((d, -b), (-c, a))) / determinant, -1, 0)
    return factor @ inverse @ factor.T, float(np.log(determinant).sum())


@dataclass(frozen=True)
class Profile:
    """What the data say once ``L`` is given: the best fixed part, residual variance, and the log-likelihood."""

    fixed: Floats
    precision: Floats
    """``sum X'V^-1X`` times the residual variance."""
    residual_variance: float
    log_likelihood: float


def profile(sums: Sums, factor: Floats, *, reml: bool) -> Profile:
    """The best fixed part and residual variance for a relative factor ``L``, and how likely the scores then are.

    Parameters
    ----------
    factor
        Lower triangular, shape (2, 2); ``G`` is its square times the residual variance.
    reml
        The restricted likelihood (constants as in lme4, nlme and statsmodels), else the full one.
    """
    m, log_determinants = _kept(factor, sums.s)
    sm = sums.s @ m
    precision = (sums.s - sm @ sums.s).sum(0)
    moment = (sums.p - np.einsum("nij,nj->ni", sm, sums.p)).sum(0)
    square = float((sums.q - np.einsum("ni,nij,nj->n", sums.p, m, sums.p)).sum())
    fixed = np.linalg.solve(precision, moment)
    free = sums.scores - FIXED if reml else sums.scores
    variance = max(square - float(fixed @ moment), np.finfo(float).tiny) / free
    twice = log_determinants + free * (LOG_2_PI + math.log(variance) + 1)
    if reml:
        twice += float(np.linalg.slogdet(precision)[1])
    return Profile(fixed, precision, variance, -twice / 2)


def log_likelihood(sums: Sums, model: GrowthModel, *, reml: bool) -> float:
    """How likely the scores are by a model, its fixed part and all variances taken as they are."""
    factor = cholesky(model.spread / model.residual_variance)
    m, log_determinants = _kept(factor, sums.s)
    sm = sums.s @ m
    precision = (sums.s - sm @ sums.s).sum(0)
    off = sums.p - sums.s @ model.fixed
    square = sums.q - 2 * sums.p @ model.fixed + np.einsum("i,nij,j->n", model.fixed, sums.s, model.fixed)
    rest = float((square - np.einsum("ni,nij,nj->n", off, m, off)).sum()) / model.residual_variance
    free = sums.scores - FIXED if reml else sums.scores
    twice = log_determinants + free * (LOG_2_PI + math.log(model.residual_variance)) + rest
    if reml:
        twice += float(np.linalg.slogdet(precision)[1])
    return -twice / 2


def cholesky(matrix: Floats) -> Floats:
    """The lower triangular square root of a 2 x 2 covariance, also of a singular one."""
    a = math.sqrt(max(matrix[0, 0], 0.0))
    b = matrix[1, 0] / a if a > 0 else 0.0
    return np.array(((a, 0.0), (b, math.sqrt(max(matrix[1, 1] - b * b, 0.0)))))


@dataclass(frozen=True)
class Effects:
    """Each person's deviation from the course of all, in the order of the persons.

    ``mean`` (n, 2) is the conditional mean (BLUP) of intercept and slope, ``covariance`` (n, 2, 2) the conditional
    covariance given the fixed part, ``whole`` (n, 2, 2) that of the person's whole course, fixed part and deviation,
    with the uncertainty of the fixed part.
    """

    mean: Floats
    covariance: Floats
    whole: Floats


def effects(sums: Sums, model: GrowthModel) -> Effects:
    """The deviations of the persons that a model was fitted on."""
    s2, g = model.residual_variance, model.spread
    m, _ = _kept(cholesky(g / s2), sums.s)
    residual = sums.p - sums.s @ model.fixed
    # G Z'V^-1 = (G - G S M) Z' / s2 = M Z': M is what the scores leave of L L', and G = s2 L L'
    mean = np.einsum("nij,nj->ni", m, residual)
    covariance = s2 * m
    leaning = np.eye(2) - m @ sums.s
    whole = covariance + leaning @ model.uncertainty @ np.swapaxes(leaning, -1, -2)
    return Effects(mean, covariance, whole)


def square(matrix: Floats) -> Square:
    """A symmetric 2 x 2 matrix as plain numbers."""
    middle = float(matrix[0, 1] + matrix[1, 0]) / 2
    return (float(matrix[0, 0]), middle), (middle, float(matrix[1, 1]))
