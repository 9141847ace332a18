"""How alike two profiles are: the scores of two people on the same parts, in the same order and unit.

Similarity has several meanings, so each has its name: Pearson and Spearman see the shape alone, the squared distance
sees level, spread and shape, the double-entry correlation all three in one number, and the distinctive correlation the
shape that is left when what most people look like is taken away (strangers correlate highly in raw profiles).

References
----------
Cronbach & Gleser (1953), doi:10.1037/h0057173 (squared distance = elevation + scatter + shape)
Kenny, Kashy & Cook (2006), Dyadic Data Analysis (double entry)
Furr (2008), doi:10.1111/j.1467-6494.2008.00516.x (distinctive similarity; the identifier is from memory, to be checked)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.cutoffs import Floats, NotComputable, scores


@dataclass(frozen=True, slots=True)
class Similarity:
    """Two profiles over ``n`` parts, a and b; those that either lacks are left out.

    ``squared_distance`` is the sum of ``(a - b)^2`` and that of ``elevation`` (difference of levels), ``scatter`` (of
    spreads) and ``shape`` (the rest), all in squared units. ``elevation_difference`` is the mean of a less that of b.
    A profile without spread has no shape: its correlations are None, and ``scatter_ratio`` is 0 where it is a's and
    None where it is b's. ``double_entry`` is None only where all scores of both are equal. ``distinctive`` is None
    without norm profiles, or where nothing is left of one.
    """

    n: int
    pearson: float | None
    spearman: float | None
    double_entry: float | None
    squared_distance: float
    elevation: float
    scatter: float
    shape: float
    elevation_difference: float
    scatter_ratio: float | None
    mean_absolute: float
    root_mean_square: float
    distinctive: float | None


def complete(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The pairs of which both are there. ValueError where the two are not of one length."""
    first, second = scores(a, "a"), scores(b, "b")
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"both must be of one length, got {first.shape} and {second.shape}")
    there = ~(np.isnan(first) | np.isnan(second))
    return first[there], second[there]


def pearson(a: Floats, b: Floats) -> float | None:
    """Correlation of complete pairs; None where either does not vary."""
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return None
    x, y = a - a.mean(), b - b.mean()
    found: float = (x @ y).item() / math.sqrt((x @ x).item() * (y @ y).item())
    return max(-1.0, min(1.0, found))


def double_entry(a: Floats, b: Floats) -> float | None:
    """Correlation of (a, b) with (b, a): how alike, whoever is named first. None where all are equal."""
    return pearson(np.concatenate([a, b]), np.concatenate([b, a]))


def similarity(
    a: npt.ArrayLike, b: npt.ArrayLike, *, norm_a: npt.ArrayLike | None = None, norm_b: npt.ArrayLike | None = None
) -> Similarity:
    """How alike two profiles are.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        Scores of two people on the same parts, in one unit. NaN is a missing one.
    norm_a, norm_b : array_like, shape (n,)
        What people in the place of each usually look like, for the distinctive correlation; both, or neither.

    Raises
    ------
    NotComputable
        ``no-pairs``: there is no part that both have.
    ValueError
        Not of one length, one norm profile alone, or one with gaps.

    >>> found = similarity([1, 2, 3, 4], [2, 3, 4, 5])
    >>> found.pearson, found.squared_distance, found.elevation
    (1.0, 4.0, 4.0)
    """
    first, second = complete(a, b)
    n = len(first)
    if not n:
        raise NotComputable("no-pairs", "there is no part that both have a score of")
    apart = first - second
    level = apart.mean().item()
    x, y = first - first.mean(), second - second.mean()
    size_a, size_b = math.sqrt((x @ x).item()), math.sqrt((y @ y).item())
    squared, elevation, scatter = (apart @ apart).item(), n * level * level, (size_a - size_b) ** 2
    flat_a, flat_b = bool((first == first[0]).all()), bool((second == second[0]).all())
    return Similarity(
        n=n,
        pearson=pearson(first, second),
        spearman=pearson(_ranks(first), _ranks(second)),
        double_entry=double_entry(first, second),
        squared_distance=squared,
        elevation=elevation,
        scatter=scatter,
        shape=max(squared - elevation - scatter, 0.0),
        elevation_difference=level,
        scatter_ratio=None if flat_b else 0.0 if flat_a else size_a / size_b,
        mean_absolute=np.abs(apart).mean().item(),
        root_mean_square=math.sqrt(squared / n),
        distinctive=_distinctive(a, b, norm_a, norm_b),
    )


def _distinctive(
    a: npt.ArrayLike, b: npt.ArrayLike, norm_a: npt.ArrayLike | None, norm_b: npt.ArrayLike | None
) -> float | None:
    if norm_a is None and norm_b is None:
        return None
    if norm_a is None or norm_b is None:
        raise ValueError("norm profiles come for both, or for neither")
    first, second, usual_a, usual_b = (scores(given, "profile") for given in (a, b, norm_a, norm_b))
    if first.shape != usual_a.shape or second.shape != usual_b.shape:
        raise ValueError("a norm profile has the parts that the profile has")
    if np.isnan(usual_a).any() or np.isnan(usual_b).any():
        raise ValueError("a norm profile has no gaps")
    # what is left of decimals is decimal; rounding takes away what their binary form adds to a difference
    return pearson(*complete((first - usual_a).round(10), (second - usual_b).round(10)))


def _ranks(values: Floats) -> Floats:
    """From 1, with the mean rank for ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks
