"""An invented clinic in the database: episodes with scores as they are, written by the owner of the tables."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import asyncpg

from api.ids import new_id

START = date(2025, 1, 6)


@dataclass(frozen=True)
class Form:
    """A form with one score. ``day`` counts from the start of the episode."""

    day: int
    value: float | None
    apart: bool = False
    """Recorded with no episode."""
    instrument: str = "phq-9"
    scale: str = "total"
    variant: str = "prorated"
    version: int = 1
    valid: bool = True
    answers: dict[str, int] | None = None
    hour: int = 12


@dataclass(frozen=True)
class Course:
    """One episode of one client."""

    forms: Sequence[Form]
    days: int | None = 84
    """How long it went on; none: it has not ended."""
    started: date = START
    reason: str = "completed"
    modality: str | None = "in-person"
    format: str = "individual"
    concerns: tuple[str, ...] = ("mood",)
    sessions: int = 2
    missed: int = 0


def course(*values: float | None, **members: Any) -> Course:
    """Scores four weeks apart, from the first day on."""
    return Course([Form(28 * number, value) for number, value in enumerate(values)], **members)


async def store(owner: asyncpg.Connection, organisation_id: uuid.UUID, courses: Sequence[Course]) -> list[uuid.UUID]:
    """Write them all; the ids of all forms, in order."""
    clients, episodes, sessions, responses, scores = [], [], [], [], []
    made = datetime(2025, 1, 1, tzinfo=UTC)
    for one in courses:
        client, episode = new_id(), new_id()
        clients.append((organisation_id, client, b"\0" * 60, made, made))
        ended = None if one.days is None else one.started + timedelta(days=one.days)
        reason = None if ended is None else one.reason
        episodes.append(
            (
                *(organisation_id, episode, client, one.started, ended, reason, one.modality, one.format),
                *(list(one.concerns), made, made),
            )
        )
        for number in range(one.sessions + one.missed):
            held = datetime.combine(one.started + timedelta(days=7 * number), time(9), UTC)
            attendance = "attended" if number < one.sessions else "missed"
            sessions.append((organisation_id, new_id(), episode, held, held.date(), attendance, made, made))
        for form in one.forms:
            response = new_id()
            at = datetime.combine(one.started + timedelta(days=form.day), time(form.hour), UTC)
            responses.append(
                (
                    *(organisation_id, response, client, form.instrument, form.version, "0" * 64, form.variant),
                    *(json.dumps(form.answers or {}), at, made, "ehr-1", "{}", True, None if form.apart else episode),
                )
            )
            status = "insufficient" if form.value is None else "complete"
            scores.append((organisation_id, response, form.scale, form.value, status, form.valid))
    async with owner.transaction():
        await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for into, rows in (
            ("client (organisation_id, id, key_wrapped, created_at, updated_at)", clients),
            (
                "episode (organisation_id, id, client_id, started_on, ended_on, end_reason, modality, format, concerns,"
                " created_at, updated_at)",
                episodes,
            ),
            (
                "care_session (organisation_id, id, episode_id, held_at, held_on, attendance, created_at, updated_at)",
                sessions,
            ),
            (
                "response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum,"
                " variant, answers, answered_at, recorded_at, recorded_by, document, valid, episode_id)",
                responses,
            ),
            ("score (organisation_id, response_id, scale, value, status, valid)", scores),
        ):
            if rows:
                places = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
                await owner.executemany(f"insert into {into} values ({places})", rows)  # noqa: S608  - constants
    return [row[1] for row in responses]
