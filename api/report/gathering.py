"""What a report is made of, as plain data: read by the services that answer each part, within one request."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.alerts.schemas import KeptAlert
from api.assignments.schemas import Adherence, AssignmentRead
from api.goals.schemas import GoalProgress, GoalRead
from instruments.concerns import vocabulary
from scoring.growth.trajectory import Status
from scoring.progress import Change, Progress

_WORST_FIRST: Final = ("harmed", "deteriorated", "unchanged", "improved", "recovered", None)


@dataclass(frozen=True)
class Scale:
    """The scale that stands for an instrument, with its picture."""

    progress: Progress
    status: Status | None
    """Of the expected course."""
    expected: dict[str, Any]
    picture: bytes = b""

    @property
    def concerns(self) -> str:
        """What the instrument is about, the foremost first, in the words of the vocabulary."""
        known = vocabulary()
        return ", ".join(known[one].name for one in self.progress.instrument.concerns[:2] if one in known)


@dataclass(frozen=True)
class Contents:
    """Everything that a report could tell; how much of it fits is the sheet's to find out."""

    client_id: uuid.UUID
    external_id: str | None
    day: date
    scales: Sequence[Scale]
    more_scales: int
    without_definition: Sequence[str]
    alerts: Sequence[KeptAlert]
    more_alerts: bool
    goals: Sequence[tuple[int, GoalRead]]
    """Those that are pursued, with the number of each among all."""
    goal_progress: GoalProgress
    work: Sequence[AssignmentRead]
    adherence: Adherence
    due: Sequence[dict[str, Any]]
    more_due: bool
    names: dict[str, str]
    """Of instruments, by their codes."""


def primary(series: Sequence[Progress]) -> list[Progress]:
    """One scale of each instrument that was answered, the total or the first: what got worse first, then the newest."""
    found: dict[str, Progress] = {}
    for one in series:
        code = one.instrument.code
        if one.points and (code not in found or one.figures.scale.id == one.instrument.overall_scale):
            found[code] = one
    return sorted(found.values(), key=_urgency)


def _urgency(one: Progress) -> tuple[int, float, str]:
    change = one.from_baseline
    category = change.category if isinstance(change, Change) else None
    newest = max(point["answered_at"] for point in one.points)
    return _WORST_FIRST.index(category), -newest.timestamp(), one.instrument.code


def joined(alerts: Sequence[KeptAlert]) -> list[tuple[KeptAlert, str | None]]:
    """Alerts with what they mean; those that one form raised by several scales that got worse are one."""
    together: dict[tuple[uuid.UUID, str], list[tuple[KeptAlert, str]]] = {}
    for alert in alerts:
        scale, _, change = (alert.meaning or "").rpartition(": ")
        key = (alert.response_id, change) if alert.kind == "worsening" and scale else (alert.id, "")
        together.setdefault(key, []).append((alert, scale))
    return [
        (many[0][0], f"{', '.join(scale for _, scale in many)}: {change}" if change else many[0][0].meaning)
        for (_, change), many in together.items()
    ]


def pursued(goals: Sequence[GoalRead]) -> list[tuple[int, GoalRead]]:
    """Goals that have not been dropped, by number."""
    return [(number, goal) for number, goal in enumerate(goals, 1) if goal.dropped_on is None]


def standing(work: Sequence[AssignmentRead]) -> list[AssignmentRead]:
    """What is still to be done by the day on which it is due, then what became of the rest, the newest first."""
    kept = [one for one in work if one.withdrawn_on is None]
    open_ = sorted((one for one in kept if one.completion is None), key=lambda one: one.due_on)
    done = sorted((one for one in kept if one.completion is not None), key=lambda one: one.due_on, reverse=True)
    return [*open_, *done]
