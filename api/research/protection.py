"""Disclosure control of all scales of an instrument at once, and the views that answers are made from.

Whatever is asked, the answer is a part of one protected table: every dimension subset is a margin of it, and the people
behind `change` and its categories are cells of it. A later home of releases: a release is what :func:`protect` returns,
kept under a number instead of made anew from live rows; a ledger of questions and noise would come between it and
:class:`View`.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from api.research.population import APART, CATEGORIES, Moments, Population
from scoring.disclosure_cubes import protect_by_cubes
from scoring.disclosure_table import EMPTY, Key, ProtectedTable
from scoring.proportions import Proportion, wilson

CONFIDENCE: Final = 0.95
KEPT: Final = 64


class Protections:
    """Protected tables by the counts they were made from: the same counts are not worked on twice.

    What is kept is a function of counts alone, so organisations may share it.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Mapping[str, ProtectedTable]] = OrderedDict()
        self._lock = Lock()

    def of(self, populations: Mapping[str, Population], threshold: int) -> Mapping[str, ProtectedTable]:
        """The tables of all scales under one pattern of suppression."""
        name = _fingerprint(populations, threshold)
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
                return found
        made = protect_by_cubes(
            {scale: population.table for scale, population in populations.items()},
            threshold,
            sensitive={scale: population.sensitive for scale, population in populations.items()},
        )
        with self._lock:
            self._kept[name] = made
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def _fingerprint(populations: Mapping[str, Population], threshold: int) -> bytes:
    digest = hashlib.sha256(str(threshold).encode())
    for scale, population in populations.items():
        digest.update(repr((scale, population.has_categories, population.dimensions)).encode())
        digest.update(population.table.people.tobytes())
        digest.update(population.table.scores.tobytes())
    return digest.digest()


@dataclass(frozen=True)
class Group:
    """A cell of an answer that may be published; ``categories`` holds None for those that are suppressed."""

    n_people: int
    values: Moments
    categories: Mapping[str, Proportion | None]


@dataclass(frozen=True)
class View:
    """One scale as it may be published. Every method gives None where a cell is suppressed."""

    population: Population
    table: ProtectedTable

    def level(self, key: Key) -> Group | None:
        """Scores of a group; ``key`` is of the lattice's three dimensions."""
        if self._hidden(key, None):
            return None
        people = self.population.table.cells.get((*key, None), EMPTY).n_people
        return Group(people, self.population.values.get(key, NOTHING), {})

    def change(self, key: Key) -> Group | None:
        """Changes of a group. Their number follows from two other cells, or from three, so it is shown with those."""
        shown = not (self._hidden(key, None) or self._hidden(key, APART))
        if not (shown or not any(self._hidden(key, name) for name in CATEGORIES)):
            return None
        values = self.population.changes.get(key, NOTHING)
        rates = {
            name: None if self._hidden(key, name) else wilson(self.population.count((*key, name)), values.n)
            for name in CATEGORIES
            if self.population.has_categories and values.n
        }
        return Group(values.n, values, rates)

    def _hidden(self, key: Key, outcome: str | None) -> bool:
        # A level that nobody has is not in the table. It is published as empty.
        cell = self.table.cells.get((*key, outcome))
        return cell is not None and cell.reason is not None


NOTHING: Final = Moments(0, None, None)


def rounding_step(width: float, n: int) -> float:
    """The least of 1, 2, 5, 10, ... (or a tenth, a hundredth, ... of them) that is not below ``width / n``.

    One of ``n`` people whose scores span ``width`` moves a mean by at most that, so nobody's coming or going can be
    read from a mean that is rounded to it.

    >>> rounding_step(34, 11), rounding_step(34, 34), rounding_step(34, 500)
    (5.0, 1.0, 0.1)
    """
    leverage = width / n
    power = math.floor(math.log10(leverage))
    # By division: 3 * 10**-2 is not what 0.03 reads as.
    steps = (float(f"{digit}e{exponent}") for exponent in (power, power + 1) for digit in (1, 2, 5))
    return next(step for step in steps if step >= leverage * (1 - 1e-12))


def rounded(value: float | None, step: float) -> float | None:
    """The multiple of ``step`` that is nearest, as its shortest decimal; None stays.

    >>> rounded(25.31, 0.2), rounded(None, 5.0)
    (25.4, None)
    """
    if value is None:
        return None
    digits = max(0, -math.floor(math.log10(step)))
    return round(round(value / step) * step, digits) + 0.0  # no -0.0
