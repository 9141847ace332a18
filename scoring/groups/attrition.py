"""Who stayed: waves, patterns of missing, retention, and whether those who left differed from the start.

References
----------
Kaplan & Meier (1958), doi:10.1080/01621459.1958.10501452
Welch (1947), doi:10.1093/biomet/34.1-2.28
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.cutoffs import scores
from scoring.groups.effect_sizes import moments, pooled_sd


@dataclass(frozen=True)
class Step:
    """One time of a retention curve: who was still there just before, who left then, who was seen no longer for
    another reason, and the share that stays beyond it."""

    time: float
    at_risk: int
    left: int
    censored: int
    retention: float


@dataclass(frozen=True)
class Waves:
    """Persons by occasion.

    ``observed`` counts those with a score at each wave. Those with no wave at all (``never``) did not start: they are
    apart. Of those who started, ``dropouts`` were seen last before the final wave, ``complete`` at every one.
    ``monotone`` were seen at every wave until their last; ``intermittent`` have gaps before it.
    """

    n: int
    observed: tuple[int, ...]
    complete: int
    dropouts: int
    never: int
    monotone: int
    intermittent: int
    patterns: int
    missing: int
    last_wave: tuple[int, ...]
    """How many were seen last at each wave, from 0 for never."""
    retention: tuple[Step, ...]
    """Dropout happens at the wave after the last one seen; those seen at the final wave are censored there, those
    never seen at wave 1."""


@dataclass(frozen=True)
class Comparison:
    """Those who stayed against those who left, at the start: means, standardised difference and Welch's t."""

    n_stayed: int
    n_left: int
    mean_stayed: float
    mean_left: float
    difference: float
    """In pooled standard deviations, stayed minus left."""
    t: float
    df: float
    p_value: float

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"available": True, **self.__dict__}


def kaplan_meier(times: npt.ArrayLike, left: npt.ArrayLike) -> tuple[Step, ...]:
    """Share that stays beyond each time, by the product-limit estimate.

    Parameters
    ----------
    times : array_like, shape (n,)
        When somebody left or was last known to be there; finite, >= 0.
    left : array_like of bool, shape (n,)
        Whether it was leaving; otherwise it is censored at that time.

    Returns
    -------
    tuple of Step
        A step a time, in order; who is censored at a time was still at risk then. Empty for nobody.

    >>> [(step.time, step.retention) for step in kaplan_meier([1, 2, 2, 3], [True, True, False, False])]
    [(1.0, 0.75), (2.0, 0.5), (3.0, 0.5)]
    """
    when, gone = np.asarray(times, np.float64).ravel(), np.asarray(left, np.bool_).ravel()
    if when.shape != gone.shape:
        raise ValueError("times and left must be of one length")
    if not (np.isfinite(when) & (when >= 0)).all():
        raise ValueError("times must be finite and >= 0")
    moments_, place = np.unique(when, return_inverse=True)
    ends = np.bincount(place, minlength=len(moments_))
    events = np.bincount(place, gone, len(moments_)).astype(np.int64)
    risk = len(when) - np.concatenate(([0], np.cumsum(ends)[:-1])) if len(when) else ends
    retention = np.cumprod(1 - events / risk) if len(when) else np.zeros(0)
    columns = (moments_, risk, events, ends - events, retention)
    return tuple(Step(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def waves(rows: npt.ArrayLike) -> Waves:
    """Who was seen when, in scores of shape (persons, waves); NaN was not seen.

    Raises
    ------
    ValueError
        Not of two dimensions, or without a wave.
    """
    given = scores(rows, "rows")
    if given.ndim != 2 or not given.shape[1]:
        raise ValueError("rows must have one row a person and at least one wave")
    n, count = given.shape
    seen = ~np.isnan(given)
    any_, last = seen.any(axis=1), np.where(seen.any(axis=1), count - seen[:, ::-1].argmax(axis=1), 0)
    monotone = any_ & (seen.sum(axis=1) == last)
    dropout = any_ & (last < count)
    return Waves(
        n=n,
        observed=tuple(seen.sum(axis=0).tolist()),
        complete=int(seen.all(axis=1).sum()),
        dropouts=int(dropout.sum()),
        never=int((~any_).sum()),
        monotone=int(monotone.sum()),
        intermittent=int((any_ & ~monotone).sum()),
        patterns=len(np.unique(seen, axis=0)),
        missing=int((~seen).sum()),
        last_wave=tuple(np.bincount(last, minlength=count + 1).tolist()),
        retention=kaplan_meier(np.where(dropout, last + 1, np.where(any_, count, 1)), dropout),
    )


def stayed_against_left(baseline: npt.ArrayLike, stayed: npt.ArrayLike) -> Comparison:
    """Baseline scores of those who stayed against those who left; a missing one (NaN) is left out.

    Raises
    ------
    NotComputable
        ``too-few`` in either group, ``no-spread`` where neither varies.
    """
    values, kept = scores(baseline, "baseline").ravel(), np.asarray(stayed, np.bool_).ravel()
    if values.shape != kept.shape:
        raise ValueError("baseline and stayed must be of one length")
    first, second = (moments(part) for part in (values[kept], values[~kept]))
    difference = (first.mean - second.mean) / pooled_sd(first, second)
    errors = [one.sd**2 / one.n for one in (first, second)]
    t = (first.mean - second.mean) / math.sqrt(sum(errors))
    df = sum(errors) ** 2 / sum(e**2 / (one.n - 1) for e, one in zip(errors, (first, second), strict=True))
    tail = float(2 * special.stdtr(df, -abs(t)))
    return Comparison(first.n, second.n, first.mean, second.mean, difference, t, df, tail)
