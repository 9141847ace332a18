"""Scoring many forms at once, without a Python loop over rows.

The same plan as for one form, over arrays. Rows are taken in blocks that fit the processor's cache: the arithmetic is
so light that moving a column of a million numbers through memory once for every step would cost more than the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from instruments.items import GATE, RATING
from instruments.schema import Instrument
from scoring.alerts import Tests
from scoring.answers import checked, whole
from scoring.block import Block, Floats, Workspace, tables_of
from scoring.errors import CellFault, InvalidAnswers, InvalidFrame
from scoring.plan import ItemPlan, Plan, plan_of
from scoring.result import STATUSES

BLOCK = 16_384
FEW_RULES = 5
"""Validity rules whose combinations are looked for one by one."""
STATUS_TYPE = pd.CategoricalDtype(list(STATUSES))


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Scores of a frame, and the cells that were refused. Rows with a fault have no scores."""

    scores: pd.DataFrame
    faults: tuple[CellFault, ...]
    alerts: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """By the id of each alert rule, the rows in which it surely holds; empty unless they were asked for."""


def score_frame(instrument: Instrument, frame: pd.DataFrame, *, variant: str | None = None) -> pd.DataFrame:
    """Score every row of a frame; the same as ``score`` row by row, vectorised.

    Parameters
    ----------
    instrument : Instrument
    frame : DataFrame, shape (n, any)
        One column an item, named by the item's id (or the two of an item in two steps, ``<id>.gate`` and
        ``<id>.rating``). NaN, None and an absent column are unanswered. Other columns are ignored.
    variant : str, optional
        A scoring variant that the definition names; its default otherwise.

    Returns
    -------
    DataFrame, shape (n, ...)
        With the frame's index: for each scale ``<id>`` (float, points; NaN where there is no score) and
        ``<id>_status`` (category); then each caseness rule (nullable boolean), and ``flags`` (the ids of the validity
        rules that hold, joined by a semicolon).

    Raises
    ------
    InvalidFrame
        With every cell that is no option of its item, and steps of one item that do not go together.
    ValueError
        Two columns of one item, or a column named by the number 1 where the item is ``"1"``.
    UnknownVariant
        The definition has no such variant.
    """
    result = evaluate_frame(instrument, frame, variant=variant)
    if result.faults:
        raise InvalidFrame(result.faults)
    return result.scores


def evaluate_frame(
    instrument: Instrument, frame: pd.DataFrame, *, variant: str | None = None, alerts: bool = False, added: Tests = ()
) -> FrameResult:
    """Like ``score_frame``, but rows with faults are left without scores (status missing) and reported.

    With ``alerts`` it also says which alert rules hold where, the definition's and those ``added`` (as compiled by
    :func:`scoring.alerts.compile_rules`); they hold nowhere in rows with faults.
    """
    plan = plan_of(instrument, variant)
    _refuse_unclear_columns(plan, frame.columns)
    columns = [_column(frame, item) for item in plan.items]
    tables = tables_of(plan)
    n = len(frame)
    workspace = Workspace(len(columns), min(BLOCK, n))
    values = {scale.id: np.empty(n, np.float64) for scale in plan.scales}
    statuses = {scale.id: np.empty(n, np.int8) for scale in plan.scales}
    caseness = {name: (np.empty(n, np.bool_), np.empty(n, np.bool_)) for name, _ in plan.caseness}
    flags: npt.NDArray[Any] = np.zeros(n, np.uint8 if len(plan.validity) <= FEW_RULES else np.int64)
    refused = np.zeros(n, np.bool_)
    asked = (*plan.alerts, *added) if alerts else ()
    alarms = {alert.id: np.zeros(n, np.bool_) for alert, _ in asked}
    faults: list[CellFault] = []
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        block = Block(plan, tables, columns, rows, workspace)
        if block.bad is not None:
            faults.extend(_cell_faults(plan, frame, block.bad, start))
            refused[rows] = block.bad.any(axis=0)
        for place, scale in enumerate(plan.scales):
            np.divide(block.points_of[place], scale.denominator, out=values[scale.id][rows])
            statuses[scale.id][rows] = block.status_of[place]
            without = block.without_value(place)
            if without is not None:
                np.copyto(values[scale.id][rows], np.nan, where=without)
        for name, test in plan.caseness:
            sure, possible = test.over(block)
            caseness[name][0][rows], caseness[name][1][rows] = sure, sure != possible
        for bit, (_, test) in enumerate(plan.validity):
            flags[rows] |= test.over(block)[0].astype(flags.dtype) << bit
        for alert, test in asked:
            alarms[alert.id][rows] = test.over(block)[0] & ~refused[rows]

    out: dict[str, object] = {}
    for scale in plan.scales:
        codes = statuses[scale.id]
        if faults:
            values[scale.id][refused] = np.nan
            codes = np.where(refused, np.int8(-1), codes)
        out[scale.id] = values[scale.id]
        out[f"{scale.id}_status"] = pd.Categorical.from_codes(codes, dtype=STATUS_TYPE)
    for name, (sure, unknown) in caseness.items():
        out[name] = pd.arrays.BooleanArray(sure, unknown | refused)
    out["flags"] = _flag_names(plan, np.where(refused, flags.dtype.type(0), flags) if faults else flags)
    return FrameResult(pd.DataFrame(out, index=frame.index, copy=False), tuple(faults), alarms)


def _refuse_unclear_columns(plan: Plan, columns: pd.Index[Any]) -> None:
    """An answer that is overlooked would count as missing, so columns that may be meant are refused."""
    given = [name for name in columns if str(name) in plan.takes]
    for name in given:
        if not isinstance(name, str):
            raise ValueError(f"column {name} is named by a number; item ids are text: {str(name)!r}")
    if len(set(given)) != len(given):
        raise ValueError(f"two columns are named {next(name for name in given if given.count(name) > 1)!r}")


def _column(frame: pd.DataFrame, item: ItemPlan) -> Floats | None:
    """The answers to an item: NaN where unanswered, infinite where a cell is wrong; None without a column."""
    own = _given(frame, item.id)
    if item.two_step is None:
        return own
    gate, rating = _given(frame, f"{item.id}.{GATE}"), _given(frame, f"{item.id}.{RATING}")
    if gate is None and rating is None:
        return own
    nothing = np.full(len(frame), np.nan)
    gate, rating, own = (nothing if column is None else column for column in (gate, rating, own))
    made = np.where(gate == 0, float(item.two_step.no), nothing)
    for value, option in item.two_step.yes.items():
        made[(gate == 1) & (rating == value)] = option
    rated, gated = ~np.isnan(rating), ~np.isnan(gate)
    wrong = (rated & ((gate != 1) | ~np.isin(rating, list(item.two_step.yes)))) | (gated & (gate != 0) & (gate != 1))
    twice = ~np.isnan(own) & (rated | gated)
    return np.where(wrong | twice, np.inf, np.where(np.isnan(own), made, own))


def _given(frame: pd.DataFrame, name: str) -> Floats | None:
    return _numbers(frame[name]) if name in frame.columns else None


def _numbers(column: pd.Series) -> Floats:
    """A column as floats: NaN where unanswered, infinite where the cell is not a number at all."""
    kind = column.dtype.kind
    if kind == "b":
        return np.where(column.isna(), np.nan, np.inf)
    if kind in "iuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.empty(len(column), np.float64)
    for row, (cell, empty) in enumerate(zip(column, column.isna(), strict=True)):
        value, code = (np.nan, None) if empty else whole(cell)
        numbers[row] = np.inf if value is None or code is not None else float(min(max(value, -1e9), 1e9))
    return numbers


def _cell_faults(plan: Plan, frame: pd.DataFrame, bad: npt.NDArray[np.bool_], start: int) -> Iterator[CellFault]:
    # by row, then by column, as a person reads the file
    for row, number in zip(*np.nonzero(bad.T), strict=True):
        place = start + int(row)
        names = [name for name in plan.instrument.items[number].names if name in frame.columns]
        given = {name: frame[name].iloc[place] for name in names}
        try:
            checked(plan, {name: cell for name, cell in given.items() if not _empty(cell)})
        except InvalidAnswers as error:
            for fault in error.faults:
                yield CellFault(place, fault.pointer.removeprefix("/answers/"), fault.code, fault.detail)


def _empty(cell: Any) -> bool:
    return pd.api.types.is_scalar(cell) and bool(pd.isna(cell))


def _flag_names(plan: Plan, flags: npt.NDArray[np.integer[Any]]) -> pd.Categorical[Any]:
    """Bit masks as the ids of the rules that hold; few different masks occur, so each is spelled out once."""
    codes, masks = _looked_up(plan, flags) if flags.dtype == np.uint8 else pd.factorize(flags)
    ids = [flag.id for flag, _ in plan.validity]
    names = [";".join(name for bit, name in enumerate(ids) if mask >> bit & 1) for mask in masks.tolist()]
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))


def _looked_up(plan: Plan, flags: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """As ``factorize``, several times as fast: the place of each mask among those that occur, and these in order."""
    of_rows = flags.tobytes()
    masks = [mask for mask in range(1 << len(plan.validity)) if mask in of_rows]
    places = bytearray(256)
    for place, mask in enumerate(masks):
        places[mask] = place
    return np.frombuffer(bytearray(of_rows.translate(places)), np.int8), np.array(masks)
