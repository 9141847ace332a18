"""Statements that requests and jobs run alike, though over different drivers: named parameters, plain rows."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from api.db import RawConnection
from api.protocols.matching import Answered, Slot


class Queries(Protocol):
    """Runs SQL with parameters as ``:name``, in one transaction within one organisation."""

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """What a query finds."""


class Statements(Queries, Protocol):
    """Writes besides."""

    async def each(self, sql: str, many: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""


class OfSession:
    """Over the session of a request."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """What a query finds; what the session has not written yet is written first."""
        await self._session.flush()
        return (await (await self._session.connection()).execute(text(sql), parameters)).all()

    async def each(self, sql: str, many: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        if many:
            await (await self._session.connection()).execute(text(sql), many)


class OfJob:
    """Over the connection of a job."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        self._connection = connection

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """What a query finds."""
        return await (await self._connection.execute(_named(sql), parameters)).fetchall()

    async def each(self, sql: str, many: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        if many:
            async with self._connection.cursor() as cursor:
                await cursor.executemany(_named(sql), many)


class OfConnection:
    """Over a connection of the driver, for who only reads."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """What a query finds."""
        names = list(parameters)
        numbered = re.sub(r"(?<!:):(\w+)", lambda found: f"${names.index(found[1]) + 1}", sql)
        found: list[Any] = await self._connection.fetch(numbered, *parameters.values())
        return found


def _named(sql: str) -> bytes:
    return re.sub(r":(\w+)", r"%(\1)s", sql).encode()


_SLOTS: Final = """
select s.client_id, s.id, s.episode_protocol_id, s.episode_id, s.instrument, s.instrument_version, s.variant,
       s.opens_on, s.due_on, s.overdue_on, s.closes_on, s.last_on
from protocol_slot s
where s.client_id = any(:clients) and s.instrument = any(:instruments) and not s.cancelled
"""
_RESPONSES: Final = """
select r.client_id, coalesce(r.root_id, r.id), r.episode_id, r.instrument, r.instrument_version, r.variant,
       r.answered_at
from response r
where r.client_id = any(:clients) and r.instrument = any(:instruments)
  and r.answered_at < (cast(:day as date) + 1) at time zone 'UTC'
  and (select u.response_id from superseded u
       where u.organisation_id = r.organisation_id and u.response_id = r.id) is null
"""

Found = dict[tuple[uuid.UUID, str], tuple[list[Slot], list[Answered]]]
"""By client and instrument: all slots that are not cancelled, and all responses that hold."""


async def slots_and_responses(
    queries: Queries, clients: Collection[uuid.UUID], instruments: Collection[str], day: date = date.max
) -> Found:
    """What has to be known to say which response fills which slot; of responses, those answered by a day (UTC)."""
    found: Found = {}
    asked: dict[str, Any] = {"clients": list(clients), "instruments": list(instruments)}
    for client_id, *slot in await queries.rows(_SLOTS, **asked):
        made = Slot(*slot)
        found.setdefault((client_id, made.instrument), ([], []))[0].append(made)
    if not found:
        return found
    # A day further than the calendar goes would be past what the database adds up.
    for client_id, *response in await queries.rows(_RESPONSES, **asked, day=min(day, date(9999, 12, 30))):
        answered = Answered(*response)
        pair = found.get((client_id, answered.instrument))
        if pair is not None:
            pair[1].append(answered)
    return found
