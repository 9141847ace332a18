"""Reading a client's scores, by one call of the database function `read_progress`.

That is a measured path: the organisation, the audit event and the rows take one round trip.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

import asyncpg

from api.ids import new_id
from api.problems import NotFound
from api.security.principal import Principal
from scoring.progress import Measurement

Rows = dict[str, dict[str, list[Measurement]]]
"""Measurements by instrument and scale."""

_CALL: Final = "select * from read_progress($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


async def measurements(
    pool: asyncpg.Pool[asyncpg.Record],
    principal: Principal,
    request_id: str,
    client_id: uuid.UUID,
    instrument: str | None,
    scale: str | None,
    episode_id: uuid.UUID | None,
    as_of: datetime | None = None,
) -> Rows:
    """A client's scores, of one instrument, scale and episode or of all; that they were read is in the audit trail.

    What holds now, or what held at a time by what had been recorded then.

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
        )
    if not rows:
        raise NotFound("There is no such client." if episode_id is None else "There is no such client or episode.")
    found: Rows = {}
    if rows[0]["instrument"] is None:
        return found
    for row in rows:
        found.setdefault(row[0], {}).setdefault(row[1], []).append(Measurement._make(row[2:]))
    return found
