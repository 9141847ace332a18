"""Who needs attention: one number for each client, by which a caseload is ordered.

The first of these decides, then the next: an urgent open alert, an open alert, harmed, deteriorated, not on track,
something overdue. Whoever agrees in all of them follows by id.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.caseload import BEST_FIRST, Integers
from scoring.change import ChangeCategory

Reason = Literal["urgent-alert", "alert", "harmed", "deteriorated", "not-on-track", "overdue"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""In order, the foremost first."""
_BITS: Final[dict[Reason, int]] = {reason: 1 << place for place, reason in enumerate(reversed(REASONS))}
MOST: Final = (1 << len(REASONS)) - 1

_HARMED: Final = BEST_FIRST.index(ChangeCategory.HARMED) + 1
_DETERIORATED: Final = BEST_FIRST.index(ChangeCategory.DETERIORATED) + 1


def attention(
    urgent: npt.ArrayLike, alerts: npt.ArrayLike, ranks: Integers, off: npt.ArrayLike, overdue: npt.ArrayLike
) -> Integers:
    """The number of each client; the higher, the sooner.

    Parameters
    ----------
    urgent, alerts, overdue
        How many open urgent alerts, open alerts, and overdue slots there are.
    ranks
        Of the category: its place in `scoring.caseload.BEST_FIRST` and 1, or 0.
    off
        Whether the client is not on track.
    """
    holds: dict[Reason, npt.NDArray[np.bool_]] = {
        "urgent-alert": np.asarray(urgent) > 0,
        "alert": np.asarray(alerts) > 0,
        "harmed": ranks == _HARMED,
        "deteriorated": ranks == _DETERIORATED,
        "not-on-track": np.asarray(off, np.bool_),
        "overdue": np.asarray(overdue) > 0,
    }
    found = np.zeros(len(ranks), np.int64)
    for reason, where in holds.items():
        found[where] |= _BITS[reason]
    return found


def reasons(number: int) -> list[Reason]:
    """What a number stands for, the foremost first.

    >>> reasons(attention([1], [2], np.array([5]), [False], [0]).item())
    ['urgent-alert', 'alert', 'harmed']
    """
    return [reason for reason in REASONS if number & _BITS[reason]]
