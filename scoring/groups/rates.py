"""Rates of what became of people, each with its denominator by name and Wilson's interval.

A rate without its denominator says little: of all who started, of those with both scores, or of those who began on the
clinical side (only they can recover). Each is here, under its own name, and none is the default.

References
----------
Wilson (1927), doi:10.1080/01621459.1927.10502953
Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scoring.change import paired
from scoring.cutoffs import HigherIs, OnCutoff, direction, is_clinical, is_functional
from scoring.proportions import wilson

Codes = npt.NDArray[np.int8]

CATEGORIES: Final = ("recovered", "improved", "unchanged", "deteriorated", "harmed")
"""In the order of their codes; those of :class:`scoring.change.ChangeCategory`."""
UNKNOWN: Final = -1

DENOMINATORS: Final[dict[str, str]] = {
    "started": "All who started, whether or not there is a score of theirs; who has none counts as not reached.",
    "completers": "Those with a score before and a score after.",
    "clinical-at-start": "Those whose first score is on the clinical side, with or without a later one.",
    "clinical-at-start-completers": "Those whose first score is on the clinical side and who have a later one.",
}

MEASURES: Final[dict[str, tuple[str, ...]]] = {
    "reliably-improved": ("recovered", "improved"),
    "recovered": ("recovered",),
    "improved-not-recovered": ("improved",),
    "unchanged": ("unchanged",),
    "reliably-worse": ("deteriorated", "harmed"),
    "deteriorated": ("deteriorated",),
    "harmed": ("harmed",),
}
"""By the name of a rate, the categories that it counts. ``reliably-worse`` is what most papers call deteriorated."""

_CLINICAL: Final = ("clinical-at-start", "clinical-at-start-completers")


@dataclass(frozen=True)
class Rate:
    """``count`` of ``n``; the rate and its limits are None for n = 0, where there is none."""

    measure: str
    denominator: str
    count: int
    n: int
    rate: float | None
    low: float | None
    high: float | None

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Tally:
    """How many became what. The five categories add up to ``completers``.

    The clinical counts are None where the scale has no cutoff; then nobody is recovered or harmed either.
    """

    started: int
    completers: int
    categories: dict[str, int]
    clinical_at_start: int | None
    clinical_at_start_completers: int | None

    def of(self, denominator: str) -> int | None:
        """People of a denominator; None without a cutoff."""
        found: int | None = getattr(self, denominator.replace("-", "_"))
        return found


def rate(measure: str, denominator: str, count: int, n: int, *, confidence: float = 0.95) -> Rate:
    """A rate with Wilson's interval."""
    found = wilson(count, n, confidence=confidence)
    if found is None:
        return Rate(measure, denominator, count, n, None, None, None)
    return Rate(measure, denominator, count, n, found.rate, found.low, found.high)


def category_codes(
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    rci: npt.ArrayLike,
    *,
    higher_is: HigherIs,
    critical: float,
    cutoff: float | None = None,
    on_cutoff: OnCutoff = "neither",
) -> Codes:
    """:func:`scoring.change.change_category` for many people: places in ``CATEGORIES``, or ``UNKNOWN``.

    >>> category_codes([20, 8], [8, 20], [-4.0, 4.0], higher_is="worse", critical=1.96, cutoff=10).tolist()
    [0, 4]
    """
    sign = direction(higher_is)
    if not 0 < critical < np.inf:
        raise ValueError(f"critical must be > 0 and finite, got {critical}")
    before, after = paired(pre, post)
    index = np.broadcast_to(np.asarray(rci, np.float64), before.shape)
    improved, worse = sign * index > critical, sign * index < -critical
    codes = np.full(before.shape, 2, np.int8)
    codes[improved], codes[worse] = 1, 3
    if cutoff is not None:
        began_clinical = is_clinical(before, cutoff, higher_is=higher_is, on_cutoff=on_cutoff)
        ends_functional = is_functional(after, cutoff, higher_is=higher_is, on_cutoff=on_cutoff)
        codes[improved & began_clinical & ends_functional] = 0
        codes[worse & ~began_clinical & ~ends_functional] = 4
    codes[np.isnan(before) | np.isnan(after) | np.isnan(index)] = UNKNOWN
    return codes


def tally(
    pre: npt.ArrayLike,
    codes: npt.ArrayLike,
    *,
    higher_is: HigherIs,
    cutoff: float | None = None,
    on_cutoff: OnCutoff = "neither",
) -> Tally:
    """Counts of a group.

    Parameters
    ----------
    pre : array_like, shape (n,)
        First score of each who started; NaN where there is none.
    codes : array_like of int, shape (n,)
        What became of each (:func:`category_codes`).
    """
    before, became = np.asarray(pre, np.float64), np.asarray(codes)
    if before.shape != became.shape:
        raise ValueError("pre and codes must be of one length")
    known = became != UNKNOWN
    counts = np.bincount(became[known], minlength=len(CATEGORIES)).tolist()
    clinical = None
    if cutoff is not None:
        clinical = is_clinical(before, cutoff, higher_is=higher_is, on_cutoff=on_cutoff)
    return Tally(
        started=int(before.size),
        completers=int(known.sum()),
        categories=dict(zip(CATEGORIES, counts, strict=True)),
        clinical_at_start=None if clinical is None else int(clinical.sum()),
        clinical_at_start_completers=None if clinical is None else int((clinical & known).sum()),
    )


def rates(counted: Tally, *, confidence: float = 0.95) -> Iterator[Rate]:
    """Every rate of a tally over every denominator that it means something of.

    Recovery is over those who began clinical too. Without a cutoff there is no recovery and no harm to tell apart, so
    their rates are left out.
    """
    for measure, categories in MEASURES.items():
        if counted.clinical_at_start is None and measure not in ("reliably-improved", "unchanged", "reliably-worse"):
            continue
        count = sum(counted.categories[name] for name in categories)
        for denominator in ("started", "completers", *(_CLINICAL if measure == "recovered" else ())):
            n = counted.of(denominator)
            assert n is not None  # noqa: S101  - with a cutoff all are there, and without one those that need none
            yield rate(measure, denominator, count, n, confidence=confidence)
