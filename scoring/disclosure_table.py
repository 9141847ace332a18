"""What a table for publication is made of: dimensions, cells with all margins, and the same after protection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scoring.proportions import Proportion

Key = tuple[str | None, ...]
"""A level of each dimension, in the dimensions' order; None is the margin over all levels."""

Ints = npt.NDArray[np.int64]
LARGEST_COUNT = 2**40

SUPPRESSED = "disclosure-control"
"""The one reason that a suppressed cell gives.

Published reasons must not tell the small cells from those hidden to protect them. With a threshold of 11 and counts
1, 1 and 11 under a published total of 13, the three are safe together; told that two are small, 1 to 10, and one is
not, anyone can work out all three.
"""


@dataclass(frozen=True)
class Dimension:
    """A way to divide people or their scores: a name and all its levels."""

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a dimension without levels or with one twice."""
        if not self.levels or len(set(self.levels)) != len(self.levels):
            raise ValueError(f"dimension {self.name!r} needs levels, each once")


@dataclass(frozen=True)
class Cell:
    """What is known of a cell before protection.

    ``n_people`` are distinct persons, ``n_scores`` their scores. Rates are over the people or the scores of the cell
    (their ``n`` is one of the two counts); a rate among some of them only, say those clinical at the start, has counts
    of its own and so needs a table of its own, protected together with this one.
    """

    n_people: int
    n_scores: int
    mean: float | None = None
    sd: float | None = None
    rates: Mapping[str, Proportion | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse counts that cannot be, and rates over something else than the cell."""
        if not 0 <= self.n_people <= self.n_scores <= LARGEST_COUNT or (self.n_people == 0) != (self.n_scores == 0):
            raise ValueError("a cell has at least one score a person, no person without a score, and no negative count")
        for name, rate in self.rates.items():
            if rate is not None and rate.n not in (self.n_people, self.n_scores):
                raise ValueError(f"rate {name!r} is not over the people or the scores of its cell")


EMPTY = Cell(0, 0)


@dataclass(frozen=True)
class Lattice:
    """All cells of a table with its margins, in an order that does not depend on how dimensions and levels were listed.

    ``lines`` are the sums an attacker can use: a margin's place, and the places of the cells that make it up. They come
    in such an order too: a solver given the same rows in another order may choose another of several best answers.
    """

    keys: tuple[Key, ...]
    lines: tuple[tuple[int, tuple[int, ...]], ...]

    @classmethod
    def of(cls, dimensions: tuple[Dimension, ...]) -> Lattice:
        """The lattice of these dimensions."""
        by_name = sorted(range(len(dimensions)), key=lambda place: dimensions[place].name)
        keys: list[Key] = []
        for labels in itertools.product(*((None, *sorted(dimensions[place].levels)) for place in by_name)):
            labelled = dict(zip(by_name, labels, strict=True))
            keys.append(tuple(labelled[place] for place in range(len(dimensions))))
        index = {key: place for place, key in enumerate(keys)}
        lines = [
            (
                index[key],
                tuple(index[(*key[:axis], level, *key[axis + 1 :])] for level in sorted(dimensions[axis].levels)),
            )
            for key in keys
            for axis in by_name
            if key[axis] is None
        ]
        return cls(tuple(keys), tuple(lines))

    @cached_property
    def margins_of(self) -> tuple[tuple[int, ...], ...]:
        """For each cell the places of all margins that count it."""
        index = {key: place for place, key in enumerate(self.keys)}
        found = []
        for key in self.keys:
            wider: Iterator[Key] = itertools.product(*({level, None} for level in key))
            found.append(tuple(sorted(index[other] for other in wider if other != key)))
        return tuple(found)


@dataclass(frozen=True)
class Table:
    """A table of one to four dimensions with every margin; a key that is left out is an empty cell.

    Scores add up exactly over any dimension. People need not: who answered in two years counts once in each and once
    in the margin, so a margin of people lies between the largest of its cells and their sum.
    """

    dimensions: tuple[Dimension, ...]
    cells: Mapping[Key, Cell]

    def __post_init__(self) -> None:
        """Refuse unknown keys, and counts that contradict each other."""
        names = [dimension.name for dimension in self.dimensions]
        if not 1 <= len(names) <= 4 or len(set(names)) != len(names):
            raise ValueError("a table has one to four dimensions of different names")
        object.__setattr__(self, "cells", MappingProxyType(dict(self.cells)))
        unknown = self.cells.keys() - set(self.lattice.keys)
        if unknown:
            raise ValueError(f"not cells of this table: {sorted(map(str, unknown))}")
        people, scores = self.people, self.scores
        for parent, children in self.lattice.lines:
            parts, key = list(children), self.lattice.keys[parent]
            if scores[parent] != scores[parts].sum():
                raise ValueError(f"the scores of {key} are not the sum of its cells")
            if not people[parts].max() <= people[parent] <= people[parts].sum():
                raise ValueError(f"the people of {key} cannot be those of its cells")

    @cached_property
    def lattice(self) -> Lattice:
        """The cells in canonical order."""
        return Lattice.of(self.dimensions)

    @cached_property
    def people(self) -> Ints:
        """Distinct people of each cell, in the lattice's order."""
        return np.array([self.cells.get(key, EMPTY).n_people for key in self.lattice.keys], np.int64)

    @cached_property
    def scores(self) -> Ints:
        """Scores of each cell, in the lattice's order."""
        return np.array([self.cells.get(key, EMPTY).n_scores for key in self.lattice.keys], np.int64)


@dataclass(frozen=True)
class ProtectedCell:
    """A cell fit for publication. Where ``reason`` is not None everything else is None: nothing is known, not 0."""

    n_people: int | None
    n_scores: int | None
    mean: float | None
    sd: float | None
    rates: Mapping[str, Proportion | None]
    reason: str | None


@dataclass(frozen=True)
class ProtectedTable:
    """A table fit for publication as a whole and in any part.

    ``small`` and ``complementary`` say why a cell is hidden. They are for tests and audits and must never be published
    (see :data:`SUPPRESSED`). ``unproven`` is true where everything was hidden because safety could not be shown within
    the bounds.
    """

    dimensions: tuple[Dimension, ...]
    threshold: int
    cells: Mapping[Key, ProtectedCell]
    small: frozenset[Key] = field(repr=False)
    complementary: frozenset[Key] = field(repr=False)
    unproven: bool

    @property
    def hidden(self) -> frozenset[Key]:
        """The keys of all suppressed cells."""
        return self.small | self.complementary

    def group_by(self, names: Iterable[str]) -> dict[Key, ProtectedCell]:
        """The part of the table that divides by these dimensions, in their order and that of their levels.

        Every question about the same data must be answered from one protected table: two tables protected apart can
        give each other away.

        Raises
        ------
        ValueError
            A name that is not a dimension, or twice.
        """
        wanted = tuple(names)
        own = {dimension.name: dimension for dimension in self.dimensions}
        if len(set(wanted)) != len(wanted) or not own.keys() >= set(wanted):
            raise ValueError(f"group by some of {', '.join(own)}, each once")
        found: dict[Key, ProtectedCell] = {}
        for levels in itertools.product(*(own[name].levels for name in wanted)):
            labelled = dict(zip(wanted, levels, strict=True))
            found[tuple(levels)] = self.cells[tuple(labelled.get(dimension.name) for dimension in self.dimensions)]
        return found


def protected_cell(cell: Cell, *, hidden: bool) -> ProtectedCell:
    """A cell as it may be published: as it is, or with everything suppressed."""
    if hidden:
        nothing: dict[str, Proportion | None] = dict.fromkeys(cell.rates)
        return ProtectedCell(None, None, None, None, MappingProxyType(nothing), SUPPRESSED)
    rates = MappingProxyType(dict(cell.rates))
    return ProtectedCell(cell.n_people, cell.n_scores, cell.mean, cell.sd, rates, None)


def whole_number(value: int, least: int, name: str) -> int:
    """An int of at least ``least``, or ValueError; True is no number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST_COUNT:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return value


def seconds_allowed(value: float) -> float:
    """A finite number of seconds >= 0, or ValueError."""
    if not 0 <= value < math.inf:
        raise ValueError(f"seconds must be >= 0 and finite, got {value}")
    return float(value)
