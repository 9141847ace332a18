"""Corrections by one call of a database function each: one round trip, one commit, as in recording."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import asyncpg

from api.responses.recording import EPISODE_MARGIN, ResponseToRecord, of_alerts, of_scores

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Outcome = Literal["created", "replayed", "conflict", "stale", "episode_unknown", "outside_episode"]

_REFUSED: Final[dict[str, Outcome]] = {"FL001": "episode_unknown", "FL002": "outside_episode"}
"""What `amend_response` raises, so that nothing of it stays; by SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an amendment and a void response have in common."""

    organisation_id: uuid.UUID
    subject: str
    role: str
    request_id: str
    idempotency_key: str | None
    request_hash: bytes
    root_id: uuid.UUID
    current_id: uuid.UUID
    """The row that was read, and that has to be the current one still."""
    reason_code: str
    reason_sealed: bytes
    at: datetime
    event_id: uuid.UUID


class Corrected(NamedTuple):
    """What became of it.

    ``created`` comes with the new row's id and document; ``replayed`` with the id of the row that the first request
    made, or of the root where it found the response void; all others with neither, and nothing was stored.
    """

    outcome: Outcome
    row_id: uuid.UUID | None
    document: str | None


_VOID: Final = f"select * from void_response({', '.join(f'${n}' for n in range(1, 13))})"  # noqa: S608  - only numbered placeholders
_AMEND: Final = f"select * from amend_response({', '.join(f'${n}' for n in range(1, 46))})"  # noqa: S608  - as above


async def void(pool: asyncpg.Pool[asyncpg.Record], correction: Correction) -> Corrected:
    """Find a response void, durably."""
    async with pool.acquire() as connection:
        return await void_over(connection, correction)


async def void_over(connection: Connection, correction: Correction) -> Corrected:
    """The same in the transaction of a connection, if it has one."""
    row = await connection.fetchrow(_VOID, *_common(correction))
    return Corrected(row["outcome"], row["response_id"], None)


async def amend(pool: asyncpg.Pool[asyncpg.Record], correction: Correction, response: ResponseToRecord) -> Corrected:
    """Put a response right, durably: a new row with scores and alerts of its own."""
    async with pool.acquire() as connection:
        return await amend_over(connection, correction, response)


async def amend_over(connection: Connection, correction: Correction, response: ResponseToRecord) -> Corrected:
    """The same in the transaction of a connection, if it has one."""
    r = response
    try:
        row = await connection.fetchrow(
            _AMEND,
            *_common(correction),
            r.id,
            r.instrument_version,
            r.definition_checksum,
            r.variant,
            r.answers,
            r.setting,
            r.answered_at,
            r.episode_id,
            EPISODE_MARGIN,
            r.document,
            r.valid,
            *of_scores(r),
            r.organs,
            r.partner,
            r.outside,
            *of_alerts(r),
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate not in _REFUSED:
            raise
        return Corrected(_REFUSED[error.sqlstate], None, None)
    return Corrected(row["outcome"], row["response_id"], row["document"])


def _common(c: Correction) -> tuple[object, ...]:
    return (
        c.organisation_id,
        c.subject,
        c.role,
        c.request_id,
        c.idempotency_key,
        c.request_hash,
        c.root_id,
        c.current_id,
        c.reason_code,
        c.reason_sealed,
        c.at,
        c.event_id,
    )
