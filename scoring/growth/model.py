"""A growth model: a straight course for each person, around the course of all.

``y = b0 + b1 t + u0 + u1 t + e`` with ``(u0, u1) ~ N(0, G)`` and ``e ~ N(0, s2)``. ``t`` is in weeks, or in the natural
logarithm of weeks and one, by which most of a change comes early; both are 0 at the first score. What is known of a
person is known from that person's scores alone: the conditional mean of ``(u0, u1)`` and its covariance. Everything
here is closed arithmetic on a handful of numbers; how the numbers are found is in :mod:`scoring.growth.fit`.

References
----------
Laird & Ware (1982), doi:10.2307/2529876
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.cutoffs import Floats

Pair = tuple[float, float]
Square = tuple[Pair, Pair]
Clock = Literal["weeks", "log-weeks"]
CLOCKS: Final[tuple[Clock, ...]] = get_args(Clock)

ASYMMETRY: Final = 1e-9
"""Relative difference by which two halves of a covariance may differ."""


def ticked(clock: Clock, weeks: npt.ArrayLike) -> Floats:
    """Weeks (>= 0) as a model with this clock counts them."""
    t = np.asarray(weeks, np.float64)
    return t if clock == "weeks" else np.log1p(t)


def _quadratic(rows: Floats, matrix: Floats) -> Floats:
    """``x' A x`` of each row."""
    found: Floats = np.einsum("ij,jk,ik->i", rows, matrix, rows)
    return found


@dataclass(frozen=True)
class Course:
    """What is predicted at each time, in points.

    ``latent_sd`` is the spread of where people truly are, ``observed_sd`` that of what they score.
    """

    mean: Floats
    latent_sd: Floats
    observed_sd: Floats


@dataclass(frozen=True)
class GrowthModel:
    """The parameters, in points and weeks.

    Parameters
    ----------
    intercept, slope
        Of the course of all: points at week 0, and points a unit of the clock.
    fixed_covariance
        How well these two are known: their covariance.
    random_covariance
        ``G``: variance of intercepts, covariance, variance of slopes, as a 2 x 2 matrix.
    residual_variance
        Of one score around the person's own course.
    clock
        What time is counted in.

    Raises
    ------
    ValueError
        There is no such clock, a number is not finite, a matrix is not a covariance, or the residual variance is not
        above 0.
    """

    intercept: float
    slope: float
    fixed_covariance: Square
    random_covariance: Square
    residual_variance: float
    clock: Clock = "weeks"

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise ValueError(f"clock has to be one of {', '.join(CLOCKS)}")
        numbers = (self.intercept, self.slope, *self.fixed_covariance[0], *self.fixed_covariance[1])
        if not all(map(math.isfinite, (*numbers, *self.random_covariance[0], *self.random_covariance[1]))):
            raise ValueError("each parameter has to be a finite number")
        for name in ("fixed_covariance", "random_covariance"):
            (a, b), (c, d) = getattr(self, name)
            scale = math.sqrt(abs(a * d))
            if a < 0 or d < 0 or abs(b - c) > ASYMMETRY * max(scale, 1e-300) or abs(b) > scale * (1 + ASYMMETRY):
                raise ValueError(f"{name} is not a covariance matrix")
        if not 0 < self.residual_variance < math.inf:
            raise ValueError(f"residual_variance has to be > 0, got {self.residual_variance}")

    @cached_property
    def fixed(self) -> Floats:
        """Intercept and slope, shape (2,)."""
        return np.array((self.intercept, self.slope))

    @cached_property
    def uncertainty(self) -> Floats:
        """Covariance of the fixed part, shape (2, 2)."""
        return np.array(self.fixed_covariance)

    @cached_property
    def spread(self) -> Floats:
        """``G``, shape (2, 2)."""
        return np.array(self.random_covariance)

    def design(self, weeks: npt.ArrayLike) -> Floats:
        """A row ``(1, t)`` for each week, shape (n, 2)."""
        t = np.atleast_1d(ticked(self.clock, weeks))
        return np.column_stack((np.ones_like(t), t))

    def of_all(self, weeks: npt.ArrayLike) -> Course:
        """The course of somebody of whom no score is known."""
        x = self.design(weeks)
        latent = _quadratic(x, self.uncertainty) + _quadratic(x, self.spread)
        return Course(x @ self.fixed, np.sqrt(latent), np.sqrt(latent + self.residual_variance))

    def person(self, weeks: npt.ArrayLike, values: npt.ArrayLike) -> Person:
        """What the scores of one person, at these weeks, say of the person's own course.

        Raises
        ------
        ValueError
            The two differ in length, nothing is given, or a number is not finite.
        """
        x, y = self.design(weeks), np.atleast_1d(np.asarray(values, np.float64))
        if x.shape[0] != y.shape[0] or not len(y) or not np.isfinite(x).all() or not np.isfinite(y).all():
            raise ValueError("a score for each week has to be given, all of them numbers")
        v = x @ self.spread @ x.T + self.residual_variance * np.eye(len(y))
        gain = np.linalg.solve(v, x @ self.spread).T  # G Z' V^-1
        covariance = self.spread - gain @ x @ self.spread
        return Person(self, gain @ (y - x @ self.fixed), (covariance + covariance.T) / 2, np.eye(2) - gain @ x)

    @cached_property
    def from_baseline(self) -> FromBaseline:
        """The same for one score at week 0, worked out for every such score at once."""
        (g00, g01), (_, g11) = self.random_covariance
        (f00, f01), (_, f11) = self.fixed_covariance
        s2 = self.residual_variance
        v = g00 + s2
        k0, k1 = g00 / v, g01 / v
        c00, c01, c11 = g00 * s2 / v, g01 * s2 / v, g11 - g01 * g01 / v
        a = 1 - k0  # how much of the fixed part a prediction still leans on: (a - k1 t, t)
        return FromBaseline(
            self,
            (k0, k1),
            (
                c00 + s2 + a * a * f00,
                2 * (c01 - a * k1 * f00 + a * f01),
                c11 + k1 * k1 * f00 - 2 * k1 * f01 + f11,
            ),
        )

    def document(self) -> dict[str, Any]:
        """As plain data; :meth:`of_document` takes it back."""
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "fixed_covariance": [list(row) for row in self.fixed_covariance],
            "random_covariance": [list(row) for row in self.random_covariance],
            "residual_variance": self.residual_variance,
            "clock": self.clock,
        }

    @classmethod
    def of_document(cls, given: dict[str, Any]) -> GrowthModel:
        """From plain data; :class:`ValueError` as the class itself."""
        matrices = {
            name: tuple(tuple(map(float, row)) for row in given[name])
            for name in ("fixed_covariance", "random_covariance")
        }
        return cls(
            intercept=float(given["intercept"]),
            slope=float(given["slope"]),
            residual_variance=float(given["residual_variance"]),
            clock=given.get("clock", "weeks"),
            **matrices,  # type: ignore[arg-type]  # two rows of two: the schema and the class see to it
        )


@dataclass(frozen=True)
class Person:
    """One person's deviation from the course of all, as far as the scores tell.

    ``effects`` is the conditional mean (BLUP) of intercept and slope, ``covariance`` the conditional covariance, given
    the fixed part; ``leaning`` is how much a prediction still leans on the fixed part.
    """

    model: GrowthModel
    effects: Floats
    covariance: Floats
    leaning: Floats

    def predict(self, weeks: npt.ArrayLike, *, plug_in: bool = False) -> Course:
        """The person's course at these weeks.

        Parameters
        ----------
        plug_in
            Take the fixed part as known without error. The band is then a little too narrow.
        """
        x = self.model.design(weeks)
        latent = _quadratic(x, self.covariance)
        if not plug_in:
            latent = latent + _quadratic(x @ self.leaning, self.model.uncertainty)
        latent = np.maximum(latent, 0.0)
        observed = np.sqrt(latent + self.model.residual_variance)
        return Course(x @ (self.model.fixed + self.effects), np.sqrt(latent), observed)


@dataclass(frozen=True)
class FromBaseline:
    """Predictions from one score at week 0: a straight line by the clock, and a variance that is a square of it."""

    model: GrowthModel
    gain: Pair
    variance: tuple[float, float, float]

    def line(self, baseline: float) -> Pair:
        """Points at week 0, and points a unit of the clock, of the course that is expected."""
        off = baseline - self.model.intercept
        return self.model.intercept + self.gain[0] * off, self.model.slope + self.gain[1] * off

    def time(self, weeks: float) -> float:
        """Weeks as the model counts them."""
        return weeks if self.model.clock == "weeks" else math.log1p(weeks)

    def observed_sd(self, weeks: float) -> float:
        """Spread of a score at a week, in points, with the uncertainty of the fixed part."""
        v0, v1, v2 = self.variance
        t = self.time(weeks)
        # no less than one score strays from where a person is; rounding may leave less, and less than nothing
        return math.sqrt(max(v0 + t * (v1 + t * v2), self.model.residual_variance))
