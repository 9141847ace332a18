"""Invented clients whose true course is known: for telling how far a signal about courses can be believed.

Lower is better throughout, on a scale of 0 to 60 points. Every world has the same true variances as far as that can be;
they differ in what a straight line with normal deviations gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

WEEKS: Final = 16
LOWEST, HIGHEST = 0.0, 60.0
START, RATE = 32.0, -0.8
"""Of the average course: points at the beginning, and points a week."""
SD_START, SD_RATE, CORRELATION = 7.0, 0.7, -0.15
NOISE: Final = 3.5
"""Standard deviation of a score around the client's own course, in points."""
SKIPPED: Final = 0.15
"""Share of weekly scores that are missing for no reason."""


@dataclass(frozen=True)
class Clients:
    """``true`` and ``scores`` have a row a client and a column a week; a score that was not taken is NaN."""

    true: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.true)

    def columns(self) -> tuple[list[int], Floats, Floats]:
        """Ids, weeks and scores in long form."""
        who, week = np.nonzero(~np.isnan(self.scores))
        return who.tolist(), week.astype(np.float64), self.scores[who, week]


World = Callable[[Generator, int], Clients]


def _deviations(random: Generator, n: int, *, tails: float | None = None) -> Floats:
    covariance = CORRELATION * SD_START * SD_RATE
    spread = np.array(((SD_START**2, covariance), (covariance, SD_RATE**2)))
    found = random.multivariate_normal((0.0, 0.0), spread, n)
    return found if tails is None else found * _fat(random, n, tails)[:, None]


def _fat(random: Generator, shape: int | tuple[int, ...], df: float) -> Floats:
    """Factors that make normal deviations Student's t with a variance of 1."""
    return np.sqrt((df - 2) / random.chisquare(df, shape))


def _clients(random: Generator, true: Floats, noise: Floats) -> Clients:
    scores = true + noise
    gaps = random.random(scores.shape) < SKIPPED
    gaps[:, 0] = False
    scores[gaps] = np.nan
    return Clients(true, scores)


def _straight(random: Generator, n: int, *, tails: float | None = None) -> Clients:
    week = np.arange(WEEKS + 1.0)
    u = _deviations(random, n, tails=tails)
    true = START + RATE * week + u[:, :1] + u[:, 1:] * week
    noise = random.normal(0, NOISE, true.shape)
    return _clients(random, true, noise if tails is None else noise * _fat(random, true.shape, tails))


def as_modelled(random: Generator, n: int) -> Clients:
    """Straight courses and normal deviations: what the model says."""
    return _straight(random, n)


def heavy_tails(random: Generator, n: int) -> Clients:
    """The same with deviations by Student's t with 4 degrees of freedom, of persons and of scores."""
    return _straight(random, n, tails=4.0)


def curved(random: Generator, n: int) -> Clients:
    """Most of the change comes early: each course is bent, to the same place after all the weeks."""
    week = np.arange(WEEKS + 1.0)
    bent = WEEKS * (1 - np.exp(-week / 4.0)) / (1 - np.exp(-WEEKS / 4.0))
    u = _deviations(random, n)
    true = START + RATE * bent + u[:, :1] + u[:, 1:] * bent
    return _clients(random, true, random.normal(0, NOISE, true.shape))


def _left(clients: Clients, leaving: npt.NDArray[np.bool_]) -> Clients:
    """Without the scores after the first week in which a client leaves; that of the week itself is still taken."""
    gone = np.cumsum(leaving, axis=1) - leaving > 0
    return replace(clients, scores=np.where(gone, np.nan, clients.scores))


def leaving_by_score(random: Generator, n: int) -> Clients:
    """Who is well leaves: each week half of those whose last score is below 18, and 3 of 100 of the others."""
    clients = _straight(random, n)
    share = np.where(np.nan_to_num(clients.scores, nan=HIGHEST) < 18.0, 0.5, 0.03)
    return _left(clients, random.random(share.shape) < share)


def leaving_by_course(random: Generator, n: int) -> Clients:
    """Who truly gets worse stays away: each week 15 of 100 of them, whatever they score, and 3 of 100 of the others.

    What makes them leave is not in the data, so no model of the data can put it right.
    """
    clients = _straight(random, n)
    worse = clients.true[:, -1:] > clients.true[:, :1]
    return _left(clients, random.random(clients.true.shape) < np.where(worse, 0.15, 0.03))


def as_scored(random: Generator, n: int) -> Clients:
    """Whole points within the ends of the scale, which many reach: courses stop at the best score."""
    clients = _straight(random, n)
    moved = replace(clients, true=clients.true - 12, scores=clients.scores - 12)
    return Clients(np.clip(moved.true, LOWEST, HIGHEST), np.clip(np.round(moved.scores), LOWEST, HIGHEST))


def by_severity(random: Generator, n: int) -> Clients:
    """Straight courses of those alone whose first score is 32 or more: one stratum by severity."""
    found = _straight(random, 4 * n)
    kept = np.flatnonzero(found.scores[:, 0] >= 32)[:n]
    return Clients(found.true[kept], found.scores[kept])


WORLDS: Final[Mapping[str, World]] = {
    "as modelled": as_modelled,
    "curved courses": curved,
    "heavy tails": heavy_tails,
    "leaving when well": leaving_by_score,
    "leaving when worse": leaving_by_course,
    "whole points, floor": as_scored,
    "one severity band": by_severity,
}
