"""Measurement error, reliable change and the category of a change.

Scores are in points of one scale; nothing is rounded. Of the methods for a reliable change index this module holds
Jacobson and Truax's, the only one that needs no moments of a sample; the others are in :mod:`scoring.change_methods`.

References
----------
Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12
Christensen & Mendoza (1986), Behavior Therapy 17:305-308 (the sqrt(2) in the standard error of a difference)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.cutoffs import (
    Bools,
    Floats,
    HigherIs,
    NotComputable,
    OnCutoff,
    direction,
    is_clinical,
    is_functional,
    scores,
    spread,
)

Categories = npt.NDArray[np.object_]


class ChangeCategory(StrEnum):
    """What became of a person between two occasions.

    ``HARMED`` is a reliable worsening of someone who began on the functional side and ended on the clinical one.
    Many papers count it under deteriorated.
    """

    RECOVERED = "recovered"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    DETERIORATED = "deteriorated"
    HARMED = "harmed"


@dataclass(frozen=True)
class Confidence:
    """How sure a change is, element by element.

    ``p_value`` is two-sided: how often error alone gives a difference at least as large. ``probability`` is one-sided,
    Phi(|RCI|): from 0.5 for no change at all towards 1.
    """

    p_value: Floats
    probability: Floats


def check_reliability(reliability: float, name: str = "reliability") -> float:
    """A reliability in 0..1, or ValueError."""
    if not 0 <= reliability <= 1:  # also refuses NaN
        raise ValueError(f"{name} must be in [0, 1], got {reliability}")
    return float(reliability)


def standard_error_of_measurement(sd: float, reliability: float) -> float:
    """Spread of observed scores around a person's true score, in points: ``sd * sqrt(1 - reliability)``.

    Parameters
    ----------
    sd
        Standard deviation of the scores in the sample that the reliability comes from, in points; >= 0.
    reliability
        Of the scale, 0..1. The caller reports which kind it was (retest, alpha).

    Raises
    ------
    ValueError
        Either out of range.

    >>> round(standard_error_of_measurement(7.5, 0.8), 6)
    3.354102
    """
    return spread(sd, "sd") * math.sqrt(1 - check_reliability(reliability))


def standard_error_of_difference(sd: float, reliability: float) -> float:
    """Spread, in points, of the difference of two scores of a person who has not changed: ``sqrt(2) * SEM``.

    >>> round(standard_error_of_difference(7.5, 0.8), 6)
    4.743416
    """
    return spread(sd, "sd") * math.sqrt(2 * (1 - check_reliability(reliability)))


def critical_value(significance: float = 0.05, *, one_sided: bool = False) -> float:
    """What a reliable change index must exceed: the normal quantile itself, not 1.96.

    >>> round(critical_value(0.05), 6)
    1.959964
    """
    if not 0 < significance < 1:
        raise ValueError(f"significance must be between 0 and 1, got {significance}")
    return float(-special.ndtri(significance if one_sided else significance / 2))


def reliable_change_threshold(sd: float, reliability: float, *, significance: float = 0.05) -> float:
    """The raw change, in points, that must be exceeded to be reliable (Jacobson and Truax).

    >>> round(reliable_change_threshold(7.5, 0.8), 6)
    9.296925
    """
    return critical_value(significance) * standard_error_of_difference(sd, reliability)


def minimal_detectable_change(sd: float, reliability: float, *, confidence: float = 0.95, n: int = 1) -> float:
    """Smallest change outside measurement error, in points, of one person or of the mean of ``n`` persons.

    For one person it is the same number as :func:`reliable_change_threshold`.

    References
    ----------
    Weir (2005), doi:10.1519/15184.1

    >>> round(minimal_detectable_change(7.5, 0.8, confidence=0.90), 6)
    7.802226
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    return critical_value(1 - confidence) * standard_error_of_difference(sd, reliability) / math.sqrt(n)


def in_errors(numerator: Floats, denominator: float, scale: float | Floats) -> Floats:
    """``numerator / denominator`` where a perfectly reliable scale has a denominator of 0.

    With no measurement error any change is reliable and none is none, so the index is +-inf or 0, never NaN unless
    a score is missing. ``scale`` is the size of the numbers that the numerator was made of: a remainder below what
    their rounding leaves is no change.
    """
    if denominator > 0:
        return np.asarray(numerator / denominator)
    noise = 1e-12 * np.maximum(scale, 1.0)
    index = np.where(np.abs(numerator) <= noise, 0.0, np.copysign(np.inf, numerator))
    return np.asarray(np.where(np.isnan(numerator), np.nan, index))


def paired(pre: npt.ArrayLike, post: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both occasions as float64 of one shape; ValueError where they do not fit together or hold absurd scores."""
    before, after = np.broadcast_arrays(scores(pre, "pre"), scores(post, "post"))
    return before, after


def reliable_change_index(pre: npt.ArrayLike, post: npt.ArrayLike, *, sd: float, reliability: float) -> Floats:
    """Reliable change index of each person (Jacobson and Truax): the change in standard errors of a difference.

    Parameters
    ----------
    pre, post : array_like, shape (n,), broadcastable
        Scores on one scale, in points. NaN stands for a missing score.
    sd : float
        Standard deviation in the norm sample, in points; > 0.
    reliability : float
        Of the scale, 0..1. With 1 there is no error: any change is infinitely reliable (+-inf), none is 0.

    Returns
    -------
    ndarray of float
        Signed as ``post - pre``; whether up is better is the scale's ``higher_is``, applied by
        :func:`change_category`. NaN where either score is NaN.

    Raises
    ------
    NotComputable
        ``no-spread``: ``sd`` is 0, so the standard error is not known.
    ValueError
        ``sd`` or ``reliability`` out of range, or a score that is infinite.

    References
    ----------
    Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12

    Examples
    --------
    >>> reliable_change_index([20.0], [10.0], sd=5.0, reliability=0.8).round(3)
    array([-3.162])
    """
    before, after = paired(pre, post)
    if spread(sd, "sd") == 0:
        raise NotComputable("no-spread", "no reliable change index where the standard deviation is 0")
    return in_errors(after - before, standard_error_of_difference(sd, reliability), 0.0)


def confidence_of_change(rci: npt.ArrayLike) -> Confidence:
    """How sure the changes are that have these indices, under normally distributed error.

    >>> confidence_of_change([1.959964]).probability.round(3)
    array([0.975])
    """
    size = np.abs(np.asarray(rci, np.float64))
    return Confidence(p_value=np.asarray(2 * special.ndtr(-size)), probability=np.asarray(special.ndtr(size)))


def change_category(
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    rci: npt.ArrayLike,
    *,
    higher_is: HigherIs,
    critical: float,
    cutoff: float | None = None,
    on_cutoff: OnCutoff = "neither",
) -> Categories:
    """The joint category of each person: was the change reliable, and did it cross the cutoff?

    Parameters
    ----------
    pre, post : array_like, shape (n,)
        Scores in points.
    rci : array_like, shape (n,)
        Reliable change index, signed as ``post - pre``, by any method.
    higher_is
        What a high score means.
    critical
        What the index must exceed, > 0 (:func:`critical_value`). Exactly at it is unchanged.
    cutoff
        Between the clinical and the functional population; None for a category by reliable change alone.
    on_cutoff
        The side of a score that equals the cutoff (:func:`scoring.cutoffs.is_clinical`).

    Returns
    -------
    ndarray of object
        :class:`ChangeCategory`, or None where a score or the index is missing.

    >>> change_category([20, 8], [8, 20], [-4.0, 4.0], higher_is="worse", critical=1.96, cutoff=10).tolist()
    [<ChangeCategory.RECOVERED: 'recovered'>, <ChangeCategory.HARMED: 'harmed'>]
    """
    sign = direction(higher_is)
    if not 0 < critical < math.inf:
        raise ValueError(f"critical must be > 0 and finite, got {critical}")
    before, after = paired(pre, post)
    before, after, index = np.broadcast_arrays(before, after, np.asarray(rci, np.float64))
    improved, worse = sign * index > critical, sign * index < -critical
    crossed = None
    if cutoff is not None:
        crossed = (
            is_clinical(before, cutoff, higher_is=higher_is, on_cutoff=on_cutoff),
            is_functional(after, cutoff, higher_is=higher_is, on_cutoff=on_cutoff),
        )
    return joint_category(improved, worse, crossed, missing=np.isnan(before) | np.isnan(after) | np.isnan(index))


def joint_category(improved: Bools, worse: Bools, crossed: tuple[Bools, Bools] | None, *, missing: Bools) -> Categories:
    """The category from what is known of each person.

    Parameters
    ----------
    improved, worse
        Who changed reliably, to the better and to the worse.
    crossed
        Who began on the clinical side, and who ended on the functional one; None: by reliable change alone.
    missing
        Who has no category.

    >>> yes, no = np.array([True]), np.array([False])
    >>> joint_category(yes, no, (yes, yes), missing=no).tolist()
    [<ChangeCategory.RECOVERED: 'recovered'>]
    """
    category: Categories = np.empty(improved.shape, dtype=object)
    category.fill(ChangeCategory.UNCHANGED)  # np.full would turn the member into a plain string
    category[improved] = ChangeCategory.IMPROVED
    category[worse] = ChangeCategory.DETERIORATED
    if crossed is not None:
        began_clinical, ends_functional = crossed
        category[improved & began_clinical & ends_functional] = ChangeCategory.RECOVERED
        category[worse & ~began_clinical & ~ends_functional] = ChangeCategory.HARMED
    category[missing] = None
    return category
