"""What is told of invented clients that were held against a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Judged:
    """What became of held-out clients: coverage by score, and flags by score and client. Shares, 0 to 1."""

    scores: int
    within_68: float
    within_80: float
    by_week: tuple[float, ...]
    """Coverage of the 80 % band from the first week on."""
    flagged_scores: float
    """Of all later scores: worse than the 80 % band, and the benefit not already reliable."""
    flagged_well: float
    """Of clients who truly improve at least as the average does: flagged at any score (a false alarm)."""
    flagged_well_twice: float
    """Of the same: flagged at two scores in a row."""
    flagged_worse: float
    """Of clients who are truly worse at the end: flagged at any score (found)."""
    flagged_worse_twice: float
    weeks_to_flag: float
    """Median of those found."""


def mean(of: Sequence[Judged], what: Callable[[Judged], float]) -> float:
    """Over several fits; what one of them could not tell is left out."""
    return float(np.nanmean([what(one) for one in of]))
