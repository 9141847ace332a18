"""What an attacker can work out of a table with hidden cells, and which further cells must be hidden to stop it.

The attacker knows every published cell, that scores add up over each dimension, that people and scores are
whole numbers with at least one score a person, and (more than is published, to be on the safe side) how many people
are counted in several cells of each line. A small hidden cell is safe when another table exists that agrees with all
of that and has at least ``threshold`` people in it. Such an alternative is searched for by integer programming and then
checked in whole numbers, so that no tolerance of the solver enters the proof.

An alternative is written as its difference from the true table, in people; each person who comes or goes has one
score. It leaves the overlaps as they are. Both only make alternatives rarer: more is hidden, never less.

References
----------
Fischetti & Salazar (2001), doi:10.1287/mnsc.47.7.1008.9807 (complementary suppression as an integer programme)
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from scoring.disclosure_table import Ints, Key, Lattice, Table

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NODE_LIMIT = 2000
"""Branches a search may take; a count and not a time, so that the same table is always protected the same way."""

JOINT_LIMIT = 600
"""Largest (small cells x cells) for which the least suppression is searched for at once."""


class Unproven(Exception):
    """It could not be shown within the seconds allowed, or the solver's answer does not stand up."""


@dataclass(frozen=True)
class Clock:
    """Seconds that are left; a search that runs past them raises :class:`Unproven`."""

    deadline: float

    @classmethod
    def start(cls, seconds: float) -> Clock:
        """A clock that runs out in so many seconds."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left, > 0."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise Unproven
        return remaining


@dataclass(frozen=True)
class Need:
    """A small cell (its place in the lattice) of one of the tables, and how many more people it might have to hold."""

    table: int
    place: int
    more: int


class Search:
    """Complementary suppression for tables of one lattice that are published with one pattern of hidden cells."""

    def __init__(self, tables: Sequence[Table], threshold: int, clock: Clock) -> None:
        self.tables, self.threshold, self.clock = tables, threshold, clock
        self.lattice: Lattice = tables[0].lattice
        self.size = len(self.lattice.keys)
        self._cost = self._costs()
        self._sums = [self._system(table) for table in tables]

    def needs(self, small: Sequence[Bools]) -> list[Need]:
        """What must be possible of each small cell: to hold the threshold."""
        return [
            Need(number, int(place), int(self.threshold - table.people[place]))
            for number, table in enumerate(self.tables)
            for place in np.flatnonzero(small[number])
        ]

    def run(self, small: Sequence[Bools]) -> Bools:
        """The cells to hide: the small ones of any table and as few others as were found to be enough.

        Raises
        ------
        Unproven
            Nothing was shown; the caller has to hide everything.
        """
        self.clock.left()
        hidden: Bools = np.logical_or.reduce(small)
        needs = self.needs(small)
        found = self._joint(needs, hidden) if len(needs) * self.size <= JOINT_LIMIT else None
        if found is None:
            found = self._one_by_one(needs, hidden)
        # What no alternative moves can be published: every alternative still agrees with it.
        moved: Bools = np.logical_or.reduce([hidden, *(shift != 0 for shift in found)])
        return moved

    def is_alternative(self, need: Need, shift: Ints) -> bool:
        """Whether the true counts plus ``shift`` are a table that could be and fills the cell, in whole numbers.

        It agrees with what is published since every cell that it moves is hidden then.
        """
        table = self.tables[need.table]
        people, scores = table.people + shift, table.scores + shift
        return bool(
            people[need.place] >= self.threshold
            and (people >= 0).all()
            and ((people == 0) == (scores == 0)).all()
            and all(
                shift[parent] == shift[list(children)].sum() and people[parent] >= people[list(children)].max()
                for parent, children in self.lattice.lines
            )
        )

    def _costs(self) -> Floats:
        """Fewest cells first, then fewest people in them; a margin only where cells alone cannot do."""
        wide = np.array([key.count(None) for key in self.lattice.keys])
        people = np.sum([table.people for table in self.tables], axis=0)
        inner = int((wide == 0).sum())
        return np.asarray(np.where(wide == 0, 1, inner * wide + 1) + people / (people[wide == 0].sum() + 1))

    def _system(self, table: Table) -> tuple[sparse.csr_array, Floats, Floats]:
        """Rows over the shift of each cell that keep an alternative consistent, with their lower and upper ends."""
        rows, low, high = [], [], []
        for parent, children in self.lattice.lines:
            row = np.zeros(self.size)
            row[parent] = -1
            row[list(children)] = 1
            rows.append(row)
            low.append(0.0)
            high.append(0.0)
            if table.people[list(children)].sum() > table.people[parent]:
                # Where people overlap, the sum alone would let a cell outgrow its margin.
                for child in children:
                    row = np.zeros(self.size)
                    row[parent], row[child] = -1, 1
                    rows.append(row)
                    low.append(-np.inf)
                    high.append(float(table.people[parent] - table.people[child]))
        return sparse.csr_array(np.array(rows)), np.array(low), np.array(high)

    def _reach(self, table: Table) -> tuple[Floats, Floats]:
        """How far each cell may shift down and up."""
        # Who has several scores leaves some behind, so a person must stay with them.
        removable = table.people - (table.scores > table.people)
        return -np.minimum(removable, self.threshold).astype(float), np.full(self.size, float(self.threshold))

    def _solve(self, needs: Sequence[Need], hidden: Bools, open_: Bools) -> list[Ints] | None:
        """Alternatives for these needs that together move as few cells outside ``hidden`` as can be.

        Only cells in ``hidden`` or ``open_`` may move. None where there are none or the search was cut short.
        """
        free, may_move = np.flatnonzero(open_ & ~hidden), hidden | open_
        blocks, columns = [], self.size * len(needs)
        rows_low, rows_high, low, high = [], [], [], []
        for number, need in enumerate(needs):
            system, system_low, system_high = self._sums[need.table]
            down, up = self._reach(self.tables[need.table])
            down, up = np.where(may_move, down, 0), np.where(may_move, up, 0)
            down[need.place] = need.more
            low.append(down)
            high.append(up)
            before, after = sparse.csr_array((1, self.size * number)), columns - self.size * (number + 1)
            blocks.append(_place(system, before.shape[1], after + free.size))
            rows_low.append(system_low)
            rows_high.append(system_high)
            if free.size:
                # down * y <= shift <= up * y, with y = 1 where the cell is hidden for it.
                pick = sparse.csr_array((np.ones(free.size), (np.arange(free.size), free)), (free.size, self.size))
                for bound, ends in ((up, (-np.inf, 0.0)), (down, (0.0, np.inf))):
                    left = _place(pick, self.size * number, after)
                    blocks.append(sparse.hstack([left, sparse.diags_array(-bound[free])], format="csr"))
                    rows_low.append(np.full(free.size, ends[0]))
                    rows_high.append(np.full(free.size, ends[1]))
        matrix = sparse.vstack(blocks, format="csr")
        answer = optimize.milp(
            np.concatenate([np.zeros(columns), self._cost[free]]),
            integrality=np.ones(columns + free.size, np.int64),
            bounds=optimize.Bounds(
                np.concatenate([*low, np.zeros(free.size)]), np.concatenate([*high, np.ones(free.size)])
            ),
            constraints=optimize.LinearConstraint(matrix, np.concatenate(rows_low), np.concatenate(rows_high)),
            options={"node_limit": NODE_LIMIT, "time_limit": self.clock.left(), "mip_rel_gap": 0.0},
        )
        self.clock.left()
        if answer.x is None:
            return None
        shifts = np.rint(answer.x[:columns]).astype(np.int64).reshape(len(needs), self.size)
        if all(self.is_alternative(need, shift) for need, shift in zip(needs, shifts, strict=True)):
            return list(shifts)
        return None  # the solver was wrong beyond rounding

    def _joint(self, needs: Sequence[Need], hidden: Bools) -> list[Ints] | None:
        """The least suppression for all needs at once."""
        if not needs:
            return []
        return self._solve(needs, hidden, np.ones(self.size, bool))

    def _one_by_one(self, needs: Sequence[Need], hidden: Bools) -> list[Ints]:
        """Each need in turn with what is hidden by then, and where that is not enough, with the least more."""
        everything = np.ones(self.size, bool)
        nothing = ~everything
        found: list[Ints] = []
        for need in needs:
            shifts = self._solve([need], hidden, nothing) or self._solve([need], hidden, everything)
            shift = self._with_margins(need) if shifts is None else shifts[0]
            found.append(shift)
            hidden = hidden | (shift != 0)
        return found

    def _with_margins(self, need: Need) -> Ints:
        """The alternative that is always there: more people in the cell and in all its margins."""
        shift = np.zeros(self.size, np.int64)
        shift[[need.place, *self.lattice.margins_of[need.place]]] = need.more
        return shift


def _place(block: sparse.csr_array, before: int, after: int) -> sparse.csr_array:
    """The block with so many empty columns on either side."""
    rows = block.shape[0]
    return sparse.csr_array(
        sparse.hstack([sparse.csr_array((rows, before)), block, sparse.csr_array((rows, after))], format="csr")
    )


@dataclass(frozen=True)
class Interval:
    """What an attacker can say of a count: it lies in ``low..high``; ``high`` None is without an end."""

    low: int
    high: int | None


@dataclass(frozen=True)
class CellIntervals:
    """Intervals of the people and of the scores of a hidden cell."""

    people: Interval
    scores: Interval


def attacker_intervals(
    table: Table, hidden: Collection[Key], of: Collection[Key] | None = None, *, seconds: float = 60.0
) -> Mapping[Key, CellIntervals]:
    """Smallest and largest possible counts of hidden cells, from everything that is published.

    This does not share its model with the search: it works on the counts themselves, with people and scores free of
    each other, so it is an independent check of what the search has chosen.

    Parameters
    ----------
    table
        The true table.
    hidden
        Keys of the cells that are not published, margins among them.
    of
        Those of ``hidden`` to answer for; None for all.
    seconds
        For all of it together.

    Raises
    ------
    Unproven
        Not finished in time.
    ValueError
        A key that is no cell, or in ``of`` but not hidden.

    References
    ----------
    The attacker's problem as in Fischetti & Salazar (2001), doi:10.1287/mnsc.47.7.1008.9807
    """
    keys = table.lattice.keys
    wanted = sorted(hidden if of is None else of, key=str)
    unknown = (set(hidden) - set(keys)) | (set(wanted) - set(hidden))
    if unknown:
        raise ValueError(f"not hidden cells of this table: {sorted(map(str, unknown))}")
    clock, index = Clock.start(seconds), {key: place for place, key in enumerate(keys)}
    attack = _Attack(table, np.array([key in set(hidden) for key in keys], bool), clock)
    size, found = len(keys), {}
    for key in wanted:
        people, scores = attack.interval(index[key]), attack.interval(size + index[key])
        found[key] = CellIntervals(people, scores)
    return found


class _Attack:
    """The attacker's integer programme; people come first in its variables, then scores."""

    def __init__(self, table: Table, hidden: Bools, clock: Clock) -> None:
        self.clock, size = clock, len(table.lattice.keys)
        # What the published cells bound is at most their sum; what they do not bound gets past it.
        self.most = int(table.scores.sum())
        self.cap = float(2 * self.most + 2)
        counts = np.concatenate([table.people, table.scores]).astype(float)
        unknown = np.concatenate([hidden, hidden])
        self.bounds = optimize.Bounds(np.where(unknown, 0, counts), np.where(unknown, self.cap, counts))
        rows, low, high = [], [], []

        def add(terms: Mapping[int, float], least: float, most: float) -> None:
            row = np.zeros(2 * size)
            for place, factor in terms.items():
                row[place] = factor
            rows.append(row)
            low.append(least)
            high.append(most)

        for parent, children in table.lattice.lines:
            twice = float(table.people[list(children)].sum() - table.people[parent])
            add({parent: -1, **dict.fromkeys(children, 1)}, twice, twice)
            add({size + parent: -1, **{size + child: 1 for child in children}}, 0, 0)
            for child in children:
                add({parent: 1, child: -1}, 0, math.inf)
        for place in map(int, np.flatnonzero(hidden)):
            add({place: -1.0, size + place: 1.0}, 0, math.inf)
            add({place: self.cap, size + place: -1.0}, 0, math.inf)
        self.matrix, self.low, self.high = sparse.csr_array(np.array(rows)), np.array(low), np.array(high)

    def interval(self, variable: int) -> Interval:
        """Both ends of a variable."""
        high = self._extreme(variable, -1)
        return Interval(self._extreme(variable, 1), None if high > self.most else high)

    def _extreme(self, variable: int, sign: int) -> int:
        objective = np.zeros(self.bounds.lb.size)
        objective[variable] = sign
        answer = optimize.milp(
            objective,
            integrality=np.ones(objective.size, np.int64),
            bounds=self.bounds,
            constraints=optimize.LinearConstraint(self.matrix, self.low, self.high),
            options={"time_limit": self.clock.left(), "mip_rel_gap": 0.0},
        )
        if answer.status != 0:
            raise Unproven
        counts = np.rint(answer.x)
        sums = self.matrix @ counts
        if not ((sums >= self.low) & (sums <= self.high)).all():
            raise Unproven
        return int(counts[variable])
