"""A batch of stored answers, scored by another definition and compared with the scores that they have. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from api.rescoring.report import Bools, Codes, Column, Floats, Report, ScaleReport
from instruments import Instrument
from scoring import evaluate_frame
from scoring.errors import UnknownVariant
from scoring.plan import Plan, plan_of
from scoring.result import STATUSES

STATUS_CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(STATUSES)}
Old = tuple[list[str], list[float | None], list[str], list[bool]]
"""The scores that a response has: scales, values, statuses, and whether no validity rule holds them back."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Responses as they lie in the table, in the order of their ids."""

    ids: Sequence[uuid.UUID]
    variants: Sequence[str]
    answers: Sequence[str]
    old: Sequence[Old]
    alerts: frozenset[tuple[uuid.UUID, str]]
    """Response and rule of the alerts that were raised for them."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class NewScores:
    """Scores of some responses on one scale, to be stored; values are NaN where the status says that there is none."""

    ids: list[uuid.UUID]
    scale: str
    values: list[float]
    statuses: list[int]
    valid: list[bool]


def rescore(stored: Stored, recorded: Instrument, to: Instrument, report: Report) -> list[NewScores]:
    """Score a batch by ``to`` and tell ``report`` what has changed. ``recorded`` is what the old scores are read by."""
    made: list[NewScores] = []
    places: dict[str, list[int]] = {}
    for place, variant in enumerate(stored.variants):
        places.setdefault(variant, []).append(place)
    for variant, own in places.items():
        try:
            before, after = plan_of(recorded, variant), plan_of(to, variant)
        except UnknownVariant:
            for place in own:
                report.refuse("unknown-variant", str(stored.ids[place]))
            continue
        made += _of_variant(stored, np.array(own), before, after, report)
    return made


def _of_variant(
    stored: Stored, own: npt.NDArray[np.int64], before: Plan, after: Plan, report: Report
) -> list[NewScores]:
    given = [orjson.loads(stored.answers[place]) for place in own]
    frame, strange = _frame(given, after)
    found = evaluate_frame(after.instrument, frame, variant=after.variant, alerts=True)
    reasons = dict.fromkeys(strange, "unknown-item")
    for fault in found.faults:
        reasons.setdefault(fault.row, fault.code)
    for row in sorted(reasons):
        report.refuse(reasons[row], str(stored.ids[own[row]]))
    kept = np.ones(len(own), np.bool_)
    kept[list(reasons)] = False
    own = own[kept]
    ids = [stored.ids[place] for place in own]
    report.scored += len(ids)
    if not ids:
        return []

    new = _new(found.scores[kept], after)
    old = _old([stored.old[place] for place in own])
    changed = np.zeros(len(ids), np.bool_)
    plans = [{scale.id: scale for scale in plan.scales} for plan in (before, after)]
    for scale in dict.fromkeys((*new, *old)):
        columns = [side.get(scale) or Column.absent(len(ids)) for side in (old, new)]
        told = report.scales.setdefault(scale, ScaleReport())
        changed |= told.add(columns[0], columns[1], plans[0].get(scale), plans[1].get(scale))
    report.changed += int(changed.sum())
    _tell_alerts(stored, ids, {rule: rows[kept] for rule, rows in found.alerts.items()}, before, report)
    return [
        NewScores(ids, scale, column.values.tolist(), column.statuses.tolist(), column.valid.tolist())
        for scale, column in new.items()
    ]


def _frame(given: list[dict[str, Any]], plan: Plan) -> tuple[pd.DataFrame, list[int]]:
    """Answers as columns of numbers, and the rows with an answer to something that is no item.

    Columns of Python's objects would be looked at one by one in scoring; what was recorded is numbers or nothing.
    """
    columns = {name: np.array([answers.get(name) for answers in given], np.float64) for name in plan.takes}
    known = plan.takes.keys()
    strange = [row for row, answers in enumerate(given) if not answers.keys() <= known]
    return pd.DataFrame(columns), strange


def _new(scores: pd.DataFrame, plan: Plan) -> dict[str, Column]:
    """The columns of the scales, with whether a validity rule holds each back."""
    masks = scores["flags"].cat.codes.to_numpy()
    holding = {flag.id: flag for flag, _ in plan.validity if flag.suppress}
    named = [
        [holding[flag] for flag in names.split(";") if flag in holding] for names in scores["flags"].cat.categories
    ]
    columns = {}
    for scale in plan.scales:
        free = np.array([not any(scale.id in flag.scales for flag in flags) for flags in named], np.bool_)
        statuses: Codes = np.asarray(scores[f"{scale.id}_status"].cat.codes, np.int8)
        values: Floats = scores[scale.id].to_numpy(np.float64)
        columns[scale.id] = Column(values, statuses, free[masks])
    return columns


def _old(rows: list[Old]) -> dict[str, Column]:
    """The stored scores as columns, a group at a time of those that have the same scales: in practice all."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(tuple(row[0]), []).append(place)
    columns: dict[str, Column] = {}
    for scales, places in groups.items():
        values = np.array([rows[place][1] for place in places], np.float64)
        statuses = np.array([[STATUS_CODES[name] for name in rows[place][2] or ()] for place in places], np.int8)
        valid = np.array([rows[place][3] for place in places], np.bool_)
        for number, scale in enumerate(scales):
            column = columns.setdefault(scale, Column.absent(len(rows)))
            column.values[places] = values[:, number]
            column.statuses[places] = statuses[:, number]
            column.valid[places] = valid[:, number]
    return columns


def _tell_alerts(stored: Stored, ids: list[uuid.UUID], holding: dict[str, Bools], before: Plan, report: Report) -> None:
    for rule, rows in holding.items():
        report.alerts_new[rule] += sum((ids[row], rule) not in stored.alerts for row in np.nonzero(rows)[0])
    if stored.alerts:
        places = {response_id: row for row, response_id in enumerate(ids)}
        known = {alert.id for alert, _ in before.alerts}
        for response_id, rule in stored.alerts:
            row = places.get(response_id)
            if row is not None and rule in known and not (rule in holding and holding[rule][row]):
                report.alerts_gone[rule] += 1
    report.alerts_new += type(report.alerts_new)()  # drops the rules with none
