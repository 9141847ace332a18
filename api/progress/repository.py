"""Reading a client's scores, by one call of the database function `read_progress`.

That is a measured path: the organisation, the audit event, the episodes and the scores take one round trip.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from api.ids import new_id
from api.problems import NotFound
from api.security.principal import Principal
from scoring.progress import Measurement

Rows = dict[str, dict[str, list[Measurement]]]
"""Measurements by instrument and scale."""

_CALL: Final = "select * from read_progress($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_EPISODES: Final = 12


class Session(NamedTuple):
    """An appointment that took place; where it has no modality of its own, its episode's."""

    held_at: datetime
    modality: str | None


@dataclass(frozen=True, slots=True)
class Episode:
    """A course of therapy of a client, with the sessions that took place in order of time."""

    id: str
    started_on: date
    ended_on: date | None
    format: str
    modality: str | None
    sessions: tuple[Session, ...]

    @property
    def first_session(self) -> datetime | None:
        """When the first session took place; None before it has."""
        return self.sessions[0].held_at if self.sessions else None

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": self.id,
            "started_on": self.started_on,
            "ended_on": self.ended_on,
            "format": self.format,
            "modality": self.modality,
            "first_session_at": self.first_session,
            "sessions": len(self.sessions),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """All that progress is made of: scores, and the client's episodes in order of their start."""

    rows: Rows
    episodes: tuple[Episode, ...]


async def measurements(
    pool: asyncpg.Pool[asyncpg.Record],
    principal: Principal,
    request_id: str,
    client_id: uuid.UUID,
    instrument: str | None,
    scale: str | None,
    episode_id: uuid.UUID | None,
    as_of: datetime | None = None,
    *,
    around: bool = False,
) -> Found:
    """A client's scores, of one instrument, scale and episode or of all; that they were read is in the audit trail.

    What holds now, or what held at a time by what had been recorded then. ``around``: what lies outside the episode as
    well.

    Raises
    ------
    NotFound
        No such client in the principal's organisation, or no such episode of the client.
    """
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            _CALL,
            principal.organisation_id,
            principal.subject,
            principal.role,
            request_id,
            new_id(),
            client_id,
            instrument,
            scale,
            episode_id,
            as_of,
            around,
        )
    if not rows:
        raise NotFound("There is no such client." if episode_id is None else "There is no such client or episode.")
    return Found(_grouped(rows[1:]), _episodes(rows[0][_EPISODES]))


def _grouped(rows: Sequence[asyncpg.Record]) -> Rows:
    """A row is a response, with its scores in arrays of one length."""
    found: Rows = {}
    for row in rows:
        code, at, recorded, response, version, variant, amended, episode, scales, values, statuses, valid, _ = row
        of = found.setdefault(code, {})
        for scale, value, status, holds in zip(scales, values, statuses, valid, strict=True):
            made = Measurement(at, recorded, response, version, variant, value, status, holds, amended, episode)
            if scale in of:
                of[scale].append(made)
            else:
                of[scale] = [made]
    return found


def _episodes(text: str) -> tuple[Episode, ...]:
    return tuple(
        Episode(
            one["id"],
            date.fromisoformat(one["started_on"]),
            one["ended_on"] and date.fromisoformat(one["ended_on"]),
            one["format"],
            one["modality"],
            tuple(Session(datetime.fromisoformat(s["held_at"]), s["modality"]) for s in one["sessions"]),
        )
        for one in orjson.loads(text)
    )
