"""From persons' yearly scores to tables: counts for disclosure control, sums for what is published of them.

One table a scale, with a fourth dimension besides the lattice's three: what the row says about change. Every score of
a person and year is in exactly one of its levels, so the counts behind `level`, `change` and `reliable_change` are
cells and margins of one table and are protected as such.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from api.clients.codes import gender_group
from api.research.lattice import LATTICE
from api.research.repository import PersonYear
from scoring.change import ChangeCategory, change_category
from scoring.disclosure import Cell, Dimension, Table
from scoring.disclosure_table import Key
from scoring.reliable import PublishedChange, ReliableChange

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

APART: Final = "no-change-counted"
"""Of a person with one score, or not the last score of a person with several."""
CATEGORIES: Final = ("improved", "no-reliable-change", "deteriorated")
OUTCOME: Final = Dimension("outcome", (APART, *CATEGORIES))
_CATEGORY_OF: Final = {
    ChangeCategory.IMPROVED: 1,
    ChangeCategory.UNCHANGED: 2,
    ChangeCategory.DETERIORATED: 3,
}
_WITHOUT_PARAMETERS: Final = 2
"""Where a scale has no categories all changes are put into one, which is then the number of changes."""


@dataclass(frozen=True)
class Moments:
    """Number, mean and standard deviation (n - 1) of values; None where there are too few."""

    n: int
    mean: float | None
    sd: float | None


class Population:
    """The rows of one scale, placed in the lattice of all scales.

    Parameters
    ----------
    rows
        Of one scale.
    dimensions
        The lattice's three, with the levels that occur.
    reliable
        The scale's parameters, or None where it has none.
    """

    def __init__(
        self,
        rows: Sequence[PersonYear],
        dimensions: tuple[Dimension, ...],
        reliable: ReliableChange | PublishedChange | None,
    ) -> None:
        self.dimensions = (*dimensions, OUTCOME)
        self.shape = tuple(len(dimension.levels) + 1 for dimension in self.dimensions)
        self.has_categories = reliable is not None
        self._person = np.array([row.person for row in rows], np.int64)
        self._value = np.array([row.value for row in rows], np.float64)
        first = np.array([row.first for row in rows], np.float64)
        changed = np.array([row.changed for row in rows], np.bool_)
        self._change = np.where(changed, self._value - first, 0.0)
        outcome = np.where(changed, _outcomes(first, self._value, reliable), 0)
        places = [
            {level: at for at, level in enumerate(dimension.levels, start=1)} for dimension in self.dimensions[:3]
        ]
        self._at = (
            *(
                np.array([place[level] for level in column], np.int64)
                for place, column in zip(places, _levels(rows), strict=True)
            ),
            outcome + 1,
        )
        self._changed = changed

    def _cell(self, given: tuple[bool, ...]) -> Ints:
        """The cell of each row where only the given dimensions divide; the others are at their margin."""
        cell = np.zeros(self._person.shape, np.int64)
        for at, size, use in zip(self._at, self.shape, given, strict=True):
            cell = cell * size + (at if use else 0)
        return cell

    def _margins(self) -> list[Ints]:
        return [self._cell(given) for given in itertools.product((False, True), repeat=len(self.shape))]

    def _sums(self, weight: Floats | None, cells: Sequence[Ints]) -> Floats:
        size = int(np.prod(self.shape))
        total = np.zeros(size)
        for cell in cells:
            total += np.bincount(cell, weight, size)
        return total

    @cached_property
    def table(self) -> Table:
        """People and scores of every cell with all margins."""
        margins = self._margins()
        scores = self._sums(None, margins).astype(np.int64)
        size, people = int(np.prod(self.shape)), np.zeros(int(np.prod(self.shape)), np.int64)
        everybody = int(self._person.max(initial=0)) + 1
        for cell in margins:
            people += np.bincount(np.unique(cell * everybody + self._person) // everybody, minlength=size)
        return Table(
            self.dimensions,
            {self.key(int(at)): Cell(int(people[at]), int(scores[at])) for at in np.flatnonzero(scores)},
        )

    def key(self, place: int) -> Key:
        """The key of a cell by its place."""
        at = np.unravel_index(place, self.shape)
        return tuple(
            dimension.levels[int(own) - 1] if own else None for dimension, own in zip(self.dimensions, at, strict=True)
        )

    @cached_property
    def sensitive(self) -> frozenset[Key]:
        """Empty categories of groups that are all in one: publishing their 0 would tell the outcome of each member."""
        if not self.has_categories:
            return frozenset()
        found = set()
        for key in self.groups():
            counts = {name: self.count((*key, name)) for name in CATEGORIES}
            if sum(count > 0 for count in counts.values()) == 1:
                found |= {(*key, name) for name, count in counts.items() if not count}
        return frozenset(found)

    def groups(self) -> list[Key]:
        """Every key of the lattice's three dimensions, margins included."""
        return list(itertools.product(*((None, *dimension.levels) for dimension in self.dimensions[:3])))

    def count(self, key: Key) -> int:
        """Scores of a cell."""
        cell = self.table.cells.get(key)
        return 0 if cell is None else cell.n_scores

    @cached_property
    def values(self) -> dict[Key, Moments]:
        """Moments of the scores, by key of the lattice's three dimensions."""
        return self._moments(self._value, np.ones(self._person.shape, np.bool_))

    @cached_property
    def changes(self) -> dict[Key, Moments]:
        """Moments of the changes, last minus first, of people with two or more scores."""
        return self._moments(self._change, self._changed)

    def _moments(self, value: Floats, use: npt.NDArray[np.bool_]) -> dict[Key, Moments]:
        found: dict[Key, Moments] = {}
        for given in itertools.product((False, True), repeat=3):
            cell = self._cell((*given, False))[use]
            size = int(np.prod(self.shape))
            n = np.bincount(cell, minlength=size)
            mean = np.bincount(cell, value[use], size) / np.maximum(n, 1)
            # Around the mean: a sum of squares would cancel where the spread is small against the values.
            spread = np.bincount(cell, (value[use] - mean[cell]) ** 2, size)
            for at in np.flatnonzero(n):
                several = n[at] > 1
                found[self.key(int(at))[:3]] = Moments(
                    int(n[at]), float(mean[at]), float(np.sqrt(spread[at] / (n[at] - 1))) if several else None
                )
        return found


def _outcomes(first: Floats, last: Floats, reliable: ReliableChange | PublishedChange | None) -> Ints:
    """The place of each change among the levels of `OUTCOME`, by reliable change without a cutoff."""
    if reliable is None:
        return np.full(first.shape, _WITHOUT_PARAMETERS)
    index = reliable.index(first, last)
    category = change_category(first, last, index, higher_is=reliable.higher_is, critical=reliable.critical)
    return np.array([_CATEGORY_OF[one] for one in category], np.int64)


def _levels(rows: Sequence[PersonYear]) -> tuple[list[str], list[str], list[str]]:
    """The level of each row on each dimension of the lattice."""
    return (
        [LATTICE.calendar_year.level(row.year) for row in rows],
        [LATTICE.age_band.level(row.age) for row in rows],
        [gender_group(row.gender) for row in rows],
    )


def occurring(rows: Sequence[PersonYear], dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """The dimensions with those levels that any row has; one level at least. An empty level is known to be empty."""
    return tuple(
        Dimension(
            dimension.name, tuple(level for level in dimension.levels if level in present) or dimension.levels[:1]
        )
        for dimension, present in zip(dimensions, map(set, _levels(rows)), strict=True)
    )
