"""What falls due, by one call of the database function `read_due` for a page.

That is a measured path: the organisation, the audit event and the rows take one round trip. What the function cannot
tell, which of several windows a response lies in it fills, is found out here by the rule that holds everywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import asyncpg

from api.db import Database
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import RequestInvalid
from api.protocols.following import catch_up, today, unfilled
from api.protocols.schemas import SINCE, DueQuery
from api.protocols.store import OfSession
from api.security.principal import Principal

_OPEN: Final = frozenset({"due", "overdue"})
_LAST: Final = uuid.UUID(int=2**128 - 1)
_MEMBERS: Final = (
    "id", "client_id", "episode_id", "episode_protocol_id", "clinician", "entry", "occurrence", "instrument",
    "instrument_version", "variant", "opens_on", "due_on", "overdue_on", "closes_on", "last_on", "status",
)  # fmt: skip
_NAMES: Final = tuple("version" if name == "instrument_version" else name for name in _MEMBERS)
_CONTENDED: Final = len(_MEMBERS)
_COLUMNS: Final = ", ".join(  # ids as text: they go out as that, and the driver's own type is not written as JSON
    f"{name}::text" if name == "id" or name.endswith("_id") else name for name in (*_MEMBERS, "contended")
)
_CALL: Final = f"select {_COLUMNS} from read_due({', '.join(f'${number}' for number in range(1, 15))})"  # noqa: S608  - names of columns and numbered placeholders


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page goes on: among those that are open, or after them among those that are closed."""

    closed: bool
    day: date
    id: uuid.UUID

    @classmethod
    def first(cls, *, closed: bool) -> Place:
        """Before all others; those that are closed go backwards."""
        return cls(closed, date.max, _LAST) if closed else cls(closed, date.min, uuid.UUID(int=0))

    @classmethod
    def read(cls, cursor: str) -> Place:
        """The place that a cursor names; :class:`RequestInvalid` where it is none."""
        at, row_id = decode_cursor(cursor)
        if at.time() not in (time(), time(second=1)):
            detail = "has to be the `next` of a page"
            raise RequestInvalid(
                errors=[{"parameter": "cursor", "in": "query", "code": "cursor-invalid", "detail": detail}]
            )
        return cls(at.second == 1, at.date(), row_id)

    def written(self) -> str:
        """As a cursor."""
        return encode_cursor(datetime.combine(self.day, time(second=int(self.closed)), UTC), self.id)


async def due_page(
    database: Database, principal: Principal, request_id: str, query: DueQuery
) -> tuple[date, list[dict[str, Any]], str | None]:
    """The day that is told of, a page of slots that nobody has answered, and the cursor of the next.

    Raises
    ------
    RequestInvalid
        The cursor is none.
    """
    day = query.date or today()
    since = query.since or day - SINCE if day - date.min > SINCE else date.min
    place = Place.first(closed=False) if query.cursor is None else Place.read(query.cursor)
    event: uuid.UUID | None = new_id()
    found: list[asyncpg.Record] = []
    while True:
        wanted = [status for status in query.status if (status in _OPEN) != place.closed]
        missing = query.limit + 1 - len(found)
        rows: Sequence[asyncpg.Record] = ()
        if wanted or event is not None:
            arguments = (query.clinician, query.client_id, day, place.closed, wanted, since, place.day, place.id)
            async with database.pool.acquire() as connection:
                rows = await connection.fetch(
                    _CALL, principal.organisation_id, principal.subject, principal.role, request_id, event,
                    *arguments, missing,
                )  # fmt: skip
        event = None
        if rows and rows[0]["status"] == "stale":
            async with database.session(principal.organisation_id) as session:
                await catch_up(OfSession(session), principal.organisation_id, day)
            continue
        found += await _unanswered(database, principal.organisation_id, rows, day)
        if len(found) > query.limit:
            break
        if len(rows) == missing:
            place = _after(rows[-1], closed=place.closed)
        elif place.closed:
            break
        else:
            place = Place.first(closed=True)
    shown = found[: query.limit]
    more = None
    if len(found) > query.limit:
        more = _after(shown[-1], closed=shown[-1]["status"] not in _OPEN).written()
    return day, [dict(zip(_NAMES, row[:_CONTENDED], strict=True)) for row in map(tuple, shown)], more


def _after(row: asyncpg.Record, *, closed: bool) -> Place:
    return Place(closed, row["last_on"] if closed else row["overdue_on"], uuid.UUID(row["id"]))


async def _unanswered(
    database: Database, organisation_id: uuid.UUID, rows: Sequence[asyncpg.Record], day: date
) -> list[asyncpg.Record]:
    """Those of the rows that no response fills, by the rule where windows overlap."""
    contended = [
        (uuid.UUID(row["id"]), uuid.UUID(row["client_id"]), row["instrument"]) for row in rows if row[_CONTENDED]
    ]
    if not contended:
        return [*rows]
    async with database.session(organisation_id) as session:
        empty = await unfilled(OfSession(session), contended, day)
    return [row for row in rows if not row[_CONTENDED] or uuid.UUID(row["id"]) in empty]
