"""Small-cell control of large tables: alternatives are put together from cubes instead of searched for by a solver.

What is published and what is proven is as in :mod:`scoring.disclosure`: a small cell is safe when another table exists
that agrees with every published cell and has at least ``threshold`` people in it, and each such alternative is checked
in whole numbers. It differs in how alternatives are found. In every dimension two places move: a level against another
one, so that the margin stays, or a level together with the margin. The product over the dimensions is a cube whose
corners move by the same number up or down, and every line of the lattice adds up again. A cell is filled by one cube,
and further cubes then take back what is dear to hide, such as totals. That hides more than the least possible, and
takes seconds where integer programming takes minutes, so it serves tables of four dimensions.

References
----------
Giessing & Repsilber (2002), in Inference Control in Statistical Databases, LNCS 2316 (the hypercube method)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scoring.disclosure_table import (
    EMPTY,
    Ints,
    Key,
    ProtectedTable,
    Table,
    protected_cell,
    whole_number,
)

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
PASSES = 2
"""Rounds over all needs; the second knows what the others hide anyway."""
STEPS = 60
"""Improvements tried of one alternative."""
MARGIN = 8
"""How many cells it is worth to publish a margin instead, for each dimension that it sums over."""


def protect_by_cubes(
    tables: Mapping[str, Table], threshold: int, *, sensitive: Mapping[str, Collection[Key]] = MappingProxyType({})
) -> dict[str, ProtectedTable]:
    """Tables about the same people, all with one pattern of suppression.

    Parameters
    ----------
    tables
        One or more, of the same dimensions and levels.
    threshold
        Fewest people that a published cell may have; >= 2. Empty cells are published unless they are ``sensitive``.
    sensitive
        By table, further cells that are hidden like small ones, whatever they count: it must be possible that they
        hold the threshold. Say, the empty categories of a group that is all in one category.

    Raises
    ------
    ValueError
        No table, tables of different dimensions, a key that is no cell, or a threshold below 2.

    >>> from scoring.disclosure import Cell, Dimension
    >>> region = Dimension("region", ("north", "south", "west"))
    >>> people = {("north",): 3, ("south",): 20, ("west",): 14, (None,): 37}
    >>> table = Table((region,), {key: Cell(n, n) for key, n in people.items()})
    >>> sorted(protect_by_cubes({"": table}, 11)[""].hidden)
    [('north',), ('west',)]
    """
    whole_number(threshold, 2, "threshold")
    every = list(tables.values())
    if len({table.lattice.keys for table in every}) != 1:
        raise ValueError("tables that are protected together must have the same dimensions and levels")
    keys = every[0].lattice.keys
    place = {key: number for number, key in enumerate(keys)}
    small = [(table.people > 0) & (table.people < threshold) for table in every]
    for own, name in zip(small, tables, strict=True):
        for key in sensitive.get(name, ()):
            if key not in place:
                raise ValueError(f"not a cell of table {name!r}: {key}")
            own[place[key]] = True
    hidden = _Cubes(every, threshold).hidden(small)
    found = {}
    for (name, table), own in zip(tables.items(), small, strict=True):
        cells = {
            key: protected_cell(table.cells.get(key, EMPTY), hidden=bool(hide))
            for key, hide in zip(keys, hidden, strict=True)
        }
        found[name] = ProtectedTable(
            dimensions=table.dimensions,
            threshold=threshold,
            cells=MappingProxyType(cells),
            small=frozenset(keys[at] for at in np.flatnonzero(own)),
            complementary=frozenset(keys[at] for at in np.flatnonzero(hidden & ~own)),
            unproven=False,
        )
    return found


@dataclass(frozen=True)
class _Need:
    """A cell (its place in the lattice) of one of the tables, and how many more people it might have to hold."""

    table: int
    place: int
    more: int


class _Cubes:
    """Alternatives over one lattice, seen as an array in which index 0 of each axis is the margin."""

    def __init__(self, tables: Sequence[Table], threshold: int) -> None:
        self.threshold = threshold
        self.shape = tuple(
            len(dimension.levels) + 1 for dimension in sorted(tables[0].dimensions, key=lambda one: one.name)
        )
        self.size = math.prod(self.shape)
        self.people = [table.people for table in tables]
        # Who has several scores leaves some behind, so a person must stay with them.
        self.least = [(table.scores > table.people).astype(np.int64) for table in tables]
        self.wide = np.array([key.count(None) for key in tables[0].lattice.keys])
        everybody = np.sum(self.people, axis=0)
        # Fewest cells first, then fewest people in them; a margin only where cells alone cannot do.
        self.cost: Floats = float(MARGIN) ** self.wide + everybody / (everybody.max() + 1)
        self.cubes_at = lru_cache(maxsize=None)(self._cubes_at)

    def hidden(self, small: Sequence[Bools]) -> Bools:
        """The cells to hide: the small ones of any table, and whatever an alternative moves."""
        needs = [
            _Need(number, int(place), max(1, self.threshold - int(self.people[number][place])))
            for number, own in enumerate(small)
            for place in np.flatnonzero(own)
        ]
        # What is small in a margin is small below it too: wide cells first, they leave the least choice.
        needs.sort(key=lambda need: (-self.wide[need.place], need.place, need.table))
        base: Bools = np.logical_or.reduce(small)
        used = np.zeros(self.size, np.int64)
        moved: list[Bools] = [np.zeros(self.size, np.bool_)] * len(needs)
        for _ in range(PASSES):
            for number, need in enumerate(needs):
                used -= moved[number]
                moved[number] = self._alternative(need, base | (used > 0)) != 0
                used += moved[number]
        return base | (used > 0)

    def _alternative(self, need: _Need, hidden: Bools) -> Ints:
        """A shift of the need's table that fills its cell; moves as few cells outside ``hidden`` as was found.

        It starts with the cube that moves with all its margins, which always fits. From there cubes are added at the
        dearest cell that moved and need not have, as long as that makes the whole cheaper. Whole steps take a cell
        back at once; parts of steps find several donors where no single one is large enough.
        """
        price = np.where(hidden, 0.0, self.cost)
        found = [self._improved(need, price, parts=parts) for parts in (False, True)]
        return min(found, key=lambda shift: float(price[shift != 0].sum()))

    def _improved(self, need: _Need, price: Floats, *, parts: bool) -> Ints:
        shift = np.zeros(self.size, np.int64)
        self._step(need, shift, price, need.place, need.more, first=True, parts=False)
        given_up = np.zeros(self.size, np.bool_)
        for _ in range(STEPS):
            moved = np.where((shift != 0) & ~given_up, price, 0.0)
            dearest = int(moved.argmax())
            if not moved[dearest]:
                break
            given_up[dearest] = not self._step(
                need, shift, price, dearest, -int(shift[dearest]), first=False, parts=parts
            )
        return shift

    def _step(self, need: _Need, shift: Ints, price: Floats, place: int, by: int, *, first: bool, parts: bool) -> bool:
        """Add to ``shift`` the cube that changes ``place`` by so many, or by a part, at the least price, if any."""
        corners, signs = self.cubes_at(place)
        now = shift[corners]
        down = signs * by < 0
        room = np.where(down, (self.people[need.table] - self.least[need.table])[corners] + now, abs(by)).min(axis=1)
        amount = np.minimum(room, abs(by)) if parts else np.where(room >= abs(by), abs(by), 0)
        new: Ints = now + signs * (amount * (1 if by > 0 else -1))[:, None]
        moved: Floats = np.abs(new).astype(float) - np.abs(now) if parts else (new != 0).astype(float) - (now != 0)
        change = (moved * price[corners]).sum(axis=1)
        wanted = (amount > 0) & (first | (change < 0))
        if not first:
            wanted &= ~(down & (corners == need.place)).any(axis=1)
        # Of equal ones the one listed first, so that the same table is always protected the same way.
        order = np.argsort(change, kind="stable")
        for choice in order[wanted[order]]:
            after = shift.copy()
            after[corners[choice]] = new[choice]
            if self._fits(self.people[need.table] + after):
                shift[:] = after
                return True
        return False

    def _fits(self, counts: Ints) -> bool:
        """Whether no cell outgrows its margin. Lines add up by construction, and a cube keeps counts above 0."""
        table = counts.reshape(self.shape)
        return all(
            bool((np.take(table, 0, axis) >= np.delete(table, 0, axis).max(axis)).all()) for axis in range(table.ndim)
        )

    def _cubes_at(self, place: int) -> tuple[npt.NDArray[np.intp], Ints]:
        """Every cube that has a cell as a corner: places of the corners, and whether they move with it or against."""
        at = np.unravel_index(place, self.shape)
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        partners = [[other for other in range(size) if other != own] for own, size in zip(at, self.shape, strict=True)]
        corners, signs = [], []
        for chosen in itertools.product(*partners):
            where, sign = [0], [1]
            for own, other, stride in zip(at, chosen, strides, strict=True):
                turn = -1 if own and other else 1
                where = [spot + int(end) * stride for spot in where for end in (own, other)]
                sign = [one * end for one in sign for end in (1, turn)]
            corners.append(where)
            signs.append(sign)
        return np.array(corners, np.intp), np.array(signs, np.int64)
