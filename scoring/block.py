"""One block of forms while it is scored: the plan's arithmetic over arrays.

Shapes: a matrix has one row an item and one column a form. Where nothing is unanswered in a block (or nothing is left
out) the matrix that would say so is None, and the steps that need it are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.goals import TPlan
from scoring.logic import Bools, how_many
from scoring.plan import Plan
from scoring.scales import ScalePlan

COMPLETE, PRORATED, INSUFFICIENT, NOT_APPLICABLE = range(4)
SMALL = 2**14  # totals below this can be added up in 16 bits, four times as fast as in 64
NARROW = 2**31  # and numbers below this in 32
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Small = npt.NDArray[np.int16]
Count = npt.NDArray[Any]
"""Small whole numbers, not negative."""
Points = npt.NDArray[Any]
"""Whole numbers, 32 bits where the plan allows, else 64."""


@dataclass(frozen=True, slots=True)
class ItemTable:
    """One item whose options are not simply lowest..highest, each worth its value."""

    number: int
    option: Bools
    """Whether lowest + index is an option."""
    worth: Ints
    left_out: Bools
    """Whether that option is left out of scoring."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What every block of a plan needs."""

    lowest: Small
    width: npt.NDArray[np.uint16]
    special: tuple[ItemTable, ...]
    wide: bool
    """Whether totals need 64 bits."""


def tables_of(plan: Plan) -> Tables:
    """Look-up tables of a plan's items."""
    lowest = [min(item.worth) for item in plan.items]
    width = [max(item.worth) - low + 1 for item, low in zip(plan.items, lowest, strict=True)]
    special = []
    for number, item in enumerate(plan.items):
        every = range(lowest[number], lowest[number] + width[number])
        if all(item.worth.get(value) == value for value in every):
            continue
        worth = [item.worth.get(value) for value in every]
        special.append(
            ItemTable(
                number,
                np.array([value in item.worth for value in every]),
                np.array([0 if w is None else w for w in worth], np.int64),
                np.array([w is None and value in item.worth for w, value in zip(worth, every, strict=True)]),
            )
        )
    largest = sum(max((abs(w) for w in item.worth.values() if w is not None), default=0) for item in plan.items)
    heaviest = max(abs(weight) for scale in plan.scales if scale.of_items for weight in scale.weights)
    return Tables(
        np.array(lowest, np.int16)[:, None],
        np.array(width, np.uint16)[:, None],
        tuple(special),
        largest * heaviest >= SMALL,
    )


class Workspace:
    """Matrices that every block writes into anew: fresh memory for each would cost more than the arithmetic."""

    def __init__(self, items: int, size: int) -> None:
        self.answers = np.empty((items, size), np.int16)
        self.index = np.empty((items, size), np.int16)
        self.outside = np.empty((items, size), np.bool_)
        self.compared = np.empty((items, size), np.bool_)


class Block:
    """The answers of one block of rows, and every scale's points and status in it.

    Only one block of a workspace can be in use at a time.
    """

    def __init__(
        self, plan: Plan, tables: Tables, columns: list[Floats | None], rows: slice, workspace: Workspace
    ) -> None:
        self._plan = plan
        self.size = size = rows.stop - rows.start
        index, outside = workspace.index[:, :size], workspace.outside[:, :size]
        self._answers: Small = workspace.answers[:, :size]
        with np.errstate(invalid="ignore"):  # what does not fit 16 bits, NaN included, is seen by comparing back
            for number, column in enumerate(columns):
                if column is None:
                    outside[number] = True
                else:
                    np.copyto(self._answers[number], column[rows], casting="unsafe")
                    np.not_equal(self._answers[number], column[rows], out=outside[number])
        np.subtract(self._answers, tables.lowest, out=index)
        outside |= np.greater_equal(index.view(np.uint16), tables.width, out=workspace.compared[:, :size])
        for table in tables.special:
            outside[table.number] |= ~table.option.take(index[table.number], mode="clip")
        self._unanswered: Bools | None = None
        self.bad: Bools | None = None
        if outside.any():
            bad = workspace.compared[:, :size]
            for number, column in enumerate(columns):
                if column is None:
                    bad[number] = False
                else:  # greater-than of booleans is and-not, in one step
                    np.greater(outside[number], np.isnan(column[rows]), out=bad[number])
            self.bad = bad if bad.any() else None
            # a refused cell is scored as unanswered, and its row is blanked by the caller
            self._unanswered = outside
            np.multiply(self._answers, ~outside, out=self._answers)  # twice as fast as copying zeros there
        self._counts: dict[tuple[tuple[int, ...], tuple[frozenset[int], ...]], tuple[Count, Count]] = {}
        if plan.skips and self._unanswered is not None:
            self._skip(self._unanswered, index, tables)

        self._worth: Small | Ints = self._answers.astype(np.int64) if tables.wide else self._answers
        self._left_out: Bools | None = None
        if tables.special:
            self._worth = self._worth.copy() if self._worth is self._answers else self._worth
            for table in tables.special:
                row = index[table.number]
                self._worth[table.number] = table.worth.take(row, mode="clip")
                if table.left_out.any():
                    if self._left_out is None:
                        self._left_out = np.zeros(self._answers.shape, np.bool_)
                    self._left_out[table.number] = table.left_out.take(row, mode="clip")
        if self._unanswered is not None:
            if tables.special:
                np.copyto(self._worth, 0, where=self._unanswered)
            if self._left_out is not None:
                self._left_out &= ~self._unanswered
        self.points_of: list[Points] = [np.empty(0, np.int64)] * len(plan.scales)
        self.status_of: list[Codes | int] = [COMPLETE] * len(plan.scales)
        for place in plan.order:
            scale = plan.scales[place]
            if scale.goals is not None:
                self._work_out_goals(place, scale, scale.goals)
            else:
                self._work_out(place, scale)

    def without_value(self, place: int) -> Bools | None:
        """Where a scale has no value; None where every form has one."""
        status = self.status_of[place]
        if isinstance(status, int):
            return None
        without: Bools = np.greater_equal(status, INSUFFICIENT)
        return without if without.any() else None

    def met(self, item: int, allowed: frozenset[int]) -> Bools:
        """Where the raw answer to an item is one of ``allowed``."""
        answers = self._answers[item]
        result: Bools
        if len(allowed) == 1:
            result = answers == next(iter(allowed))
        elif allowed and max(allowed) - min(allowed) + 1 == len(allowed):
            result = (answers >= min(allowed)) & (answers <= max(allowed))
        else:
            result = np.isin(answers, sorted(allowed))
        return result if self._unanswered is None else np.greater(result, self._unanswered[item])

    def missing(self, item: int) -> Bools:
        """Where an item is unanswered."""
        return np.zeros(self.size, np.bool_) if self._unanswered is None else self._unanswered[item]

    def counted(self, items: tuple[int, ...], allowed: tuple[frozenset[int], ...]) -> tuple[Count, Count]:
        """How many of some items have an answer among their allowed ones, and how many are unanswered.

        Kept, because rules of one definition like to count the same: eight zeros of fifteen, and any of the fifteen.
        """
        found = self._counts.get((items, allowed))
        if found is None:
            met = how_many([self.met(item, values) for item, values in zip(items, allowed, strict=True)])
            found = self._counts[items, allowed] = met, how_many([self.missing(item) for item in items])
        return found

    def points(self, scale: int) -> tuple[Points, Bools]:
        """A scale's value in units of 1/denominator, and where it has one."""
        without = self.without_value(scale)
        return self.points_of[scale], np.ones(self.size, np.bool_) if without is None else ~without

    def _skip(self, unanswered: Bools, index: Small, tables: Tables) -> None:
        """Answer what an earlier answer lets a person pass over, before anything is worth anything."""
        for rule in self._plan.skips:
            surely, _ = rule.test.over(self)
            for item in rule.items:
                filled = surely & unanswered[item]
                self._answers[item][filled] = rule.answer
                index[item][filled] = rule.answer - tables.lowest[item]
                unanswered[item] &= ~filled
            self._counts.clear()  # made from the answers as they were

    def _work_out_goals(self, place: int, scale: ScalePlan, goals: TPlan) -> None:
        none = np.zeros(self.size, np.bool_)
        points, rated, dropped = goals.over(
            lambda item: self._worth[item],
            lambda item: none if self._unanswered is None else self._unanswered[item],
            lambda item: none if self._left_out is None else self._left_out[item],
        )
        few = rated < scale.min_parts
        status = np.where(few, np.int8(INSUFFICIENT), (dropped > 0) * np.int8(PRORATED))
        np.copyto(status, NOT_APPLICABLE, where=few & (dropped == 0))
        points += scale.offset
        np.copyto(points, 0, where=few)
        self.points_of[place], self.status_of[place] = points, status

    def _work_out(self, place: int, scale: ScalePlan) -> None:
        parts = self._parts(scale)
        total = parts[0] * scale.weights[0] if scale.weights[0] != 1 else parts[0].copy()
        for part, weight in zip(parts[1:], scale.weights[1:], strict=True):
            total += part * weight if weight != 1 else part
        points: Points = total.astype(np.int32) if scale.largest < NARROW else total.astype(np.int64)
        unanswered, left_out, prorated = self._states(scale)
        status: Codes | int = COMPLETE
        few: Bools | None = None
        gone = left_out if unanswered is None else unanswered if left_out is None else unanswered + left_out
        if gone is None:
            points *= scale.multiplier[len(scale.parts)]
        else:
            if scale.min_parts == len(scale.parts):
                few = gone > 0
                points *= scale.multiplier[len(scale.parts)]
                status = few * np.int8(INSUFFICIENT)
            else:
                present = len(scale.parts) - gone
                few = present < scale.min_parts
                for needed in scale.required:
                    few |= self._lacks(scale, needed)
                if scale.applicable and unanswered is not None:
                    few |= unanswered > 0
                points *= np.array(scale.multiplier, points.dtype).take(present)
                status = np.where(few, np.int8(INSUFFICIENT), np.int8(0) if scale.applicable else gone > 0)
            if left_out is not None:
                np.copyto(status, NOT_APPLICABLE, where=few if unanswered is None else few & (unanswered == 0))
        points += scale.offset
        if scale.clamp is not None:
            np.clip(points, *scale.clamp, out=points)
        if prorated is not None:
            status = np.maximum(status, prorated.view(np.int8) * np.int8(PRORATED))
        if few is not None:
            np.copyto(points, 0, where=few)
        self.points_of[place], self.status_of[place] = points, status

    def _parts(self, scale: ScalePlan) -> list[Points]:
        if scale.counted is not None:
            return [
                self.met(item, allowed).astype(np.int16)
                for item, allowed in zip(scale.parts, scale.counted, strict=True)
            ]
        if scale.of_items:
            if self._left_out is None:
                return [self._worth[item] for item in scale.parts]
            return [np.where(self._left_out[item], 0, self._worth[item]) for item in scale.parts]
        parts = [self.points_of[part] for part in scale.parts]
        return [part.astype(np.int64, copy=False) for part in parts] if scale.largest >= NARROW else parts

    def _lacks(self, scale: ScalePlan, part: int) -> Bools:
        """Where one part of a scale has no value."""
        place = scale.parts[part]
        if not scale.of_items:
            without = self.without_value(place)
            return np.zeros(self.size, np.bool_) if without is None else without
        return self.missing(place) if self._left_out is None else self.missing(place) | self._left_out[place]

    def _states(self, scale: ScalePlan) -> tuple[Count | None, Count | None, Bools | None]:
        """How many parts are unanswered and left out, for each form, and where a part is prorated.

        Where every part is needed, only whether there are any: that is all that matters, and quicker to see.
        """
        strict = scale.min_parts == len(scale.parts)
        if scale.of_items:
            return _counted(self._unanswered, scale.parts, strict), _counted(self._left_out, scale.parts, strict), None
        statuses = [status for part in scale.parts if not isinstance(status := self.status_of[part], int)]
        if not statuses:
            return None, None, None
        matrix = np.stack(statuses)
        rows = tuple(range(len(statuses)))
        return (
            _counted(matrix == INSUFFICIENT, rows, strict),
            _counted(matrix == NOT_APPLICABLE, rows, strict),
            (matrix == PRORATED).any(axis=0),
        )


def _counted(matrix: Bools | None, rows: tuple[int, ...], only_whether: bool) -> Count | None:
    """How many of the rows hold (or 1 where any does), for each form; None where none holds anywhere."""
    if matrix is None:
        return None
    count = how_many([matrix[row] for row in rows], only_whether=only_whether)
    return count if count.any() else None
