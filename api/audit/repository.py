"""Every query that reads the trail. Row-level security confines each to the organisation of the session.

Newest first, by the id of the event, which begins with the time at which it was made. What is sealed is found by the
indexes of its links; what is not is looked through, which is what the last head does not claim: minutes, where workers
run.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from api.audit import chain
from api.audit.related import CLIENTS_OF
from api.audit.tables import DONE

LAST: Final = uuid.UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; None is any. ``since`` and ``until`` (exclusive) are about when they were made."""

    subject: str | None = None
    role: str | None = None
    action: str | None = None
    resource: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def given(self) -> dict[str, str]:
        """The members of an event that are asked for."""
        found = asdict(self)
        return {name: found[name] for name in ("subject", "role", "action", "resource", "outcome") if found[name]}


class Found(NamedTuple):
    """An event, and its place in the chain if it is sealed."""

    event: chain.Event
    sequence: int | None


class Linked(NamedTuple):
    """A link, and its event if that is there."""

    sequence: int
    hash: bytes
    event: chain.Event | None


# Planned on empty tables, or on one organisation's share of a large one, these could become reads of whole tables. No
# sort: what is asked for comes in its order from one index, and another with a sort would be the whole trail's.
_PLAIN: Final = (
    "select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true), "
    "set_config('enable_sort', 'off', true)"
)
_EVENT: Final = (
    "e.organisation_id, e.id, e.at, e.subject, e.role, e.action, e.resource, e.resource_id, e.request_id, e.outcome"
)
_SEALED: Final = "s.organisation_id = e.organisation_id and s.event_id = e.id"
# A look-up by the key for each row. As a join it could begin with the events, all of them, where statistics are older
# than the rows: the planner then takes a trail for a few rows, which are in the order that is asked for.
_LOOKED_UP: Final = "lateral (select * from audit_event e where e.organisation_id = {0} and e.id = {1} limit 1) e"
# Asked for by itself: below row-level security the planner takes no bound of an index from a query inside another.
_FLOOR: Final = """
select first_uuid_at(h.complete_until) from audit_head h
where h.organisation_id = :organisation_id order by h.sequence desc limit 1
"""


def _range(column: str, wanted: Wanted) -> str:
    clauses = [f"{column} < :before"]
    if wanted.since is not None:
        clauses.append(f"{column} >= first_uuid_at(:since)")
    if wanted.until is not None:
        clauses.append(f"{column} < first_uuid_at(:until)")
    return " and ".join(clauses)


def _equal(table: str, wanted: Wanted) -> str:
    clauses = [f"{table}.{name} = :{name}" for name in wanted.given()]
    if table == "s" and wanted.outcome is not None and wanted.outcome not in DONE:
        clauses.append("s.outcome not in ('done', 'created')")  # said as the index of the rest has it
    return "".join(f" and {clause}" for clause in clauses)


def events_query(wanted: Wanted) -> str:
    """SQL of the newest events that are wanted, with their place in the chain."""
    if not {name for name in wanted.given() if name != "outcome" or wanted.outcome not in DONE}:
        return f"""
select {_EVENT}, (select s.sequence from audit_seal s where {_SEALED})
from audit_event e
where e.organisation_id = :organisation_id and {_range("e.id", wanted)}{_equal("e", wanted)}
order by e.id desc limit :limit
"""  # noqa: S608  - names of columns; every value is a parameter
    return _merged(
        f"""
select s.event_id as id from audit_seal s
where s.organisation_id = :organisation_id and {_range("s.event_id", wanted)}{_equal("s", wanted)}
order by s.event_id desc limit :limit
""",  # noqa: S608  - names of columns; every value is a parameter
        wanted,
    )


def client_query(wanted: Wanted) -> str:
    """SQL of the newest events that concern the client ``:client_id``, with their place in the chain."""
    return _merged(
        f"""
select e.id from audit_client l
cross join {_LOOKED_UP.format("l.organisation_id", "l.event_id")}
where l.organisation_id = :organisation_id and l.client_id = :client_id
  and {_range("l.event_id", wanted)}{_equal("e", wanted)}
order by l.event_id desc limit :limit
""",  # noqa: S608  - names of columns; every value is a parameter
        wanted,
        f" and exists (select from ({CLIENTS_OF}) c where c.id = :client_id)",
    )


def _merged(sealed: str, wanted: Wanted, further: str = "") -> str:
    """The newest of what is sealed and of what is not yet."""
    return f"""
with sealed as ({sealed}), waiting as (
  select e.id from audit_event e
  where e.organisation_id = :organisation_id and {_range("e.id", wanted)} and e.id >= :floor
    and (select s.sequence from audit_seal s where {_SEALED}) is null{_equal("e", wanted)}{further}
  order by e.id desc limit :limit
), found as (
  select id from sealed union all select id from waiting order by id desc limit :limit
)
select {_EVENT}, (select s.sequence from audit_seal s where {_SEALED})
from found cross join {_LOOKED_UP.format(":organisation_id", "found.id")}
order by found.id desc
"""  # noqa: S608  - names of columns; every value is a parameter


_CHAIN: Final = f"""
select s.sequence, s.hash, {_EVENT} from audit_seal s
left join {_LOOKED_UP.format("s.organisation_id", "s.event_id")} on true
where s.organisation_id = :organisation_id and s.sequence > :after order by s.sequence limit :limit
"""  # noqa: S608  - names of columns; every value is a parameter
_HEAD: Final = """
select h.sequence, h.previous, h.hash, h.sealed_at, h.complete_until, h.key_id, h.signature, k.public_key
from audit_head h join audit_key k on k.organisation_id = h.organisation_id and k.id = h.key_id
where h.organisation_id = :organisation_id order by h.sequence desc limit 1
"""


class AuditRepository:
    """The trail of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self._organisation_id = organisation_id

    async def _rows(self, query: str, **given: Any) -> Sequence[Any]:
        connection = await self.session.connection()
        await connection.execute(text(_PLAIN))
        return (await connection.execute(text(query), {"organisation_id": self._organisation_id} | given)).all()

    async def newest(
        self, wanted: Wanted, before: uuid.UUID | None, limit: int, client_id: uuid.UUID | None = None
    ) -> list[Found]:
        """Events, newest first, from a place in that order on; with ``client_id`` those that concern the client."""
        given: dict[str, Any] = dict(wanted.given())
        given |= {name: at for name, at in (("since", wanted.since), ("until", wanted.until)) if at is not None}
        query = events_query(wanted)
        if client_id is not None:
            query, given["client_id"] = client_query(wanted), client_id
        if ":floor" in query:
            floor = await self._rows(_FLOOR)
            given["floor"] = floor[0][0] if floor else uuid.UUID(int=0)
        rows = await self._rows(query, **given, before=before or LAST, limit=limit)
        return [Found(chain.Event(*row[:-1]), row[-1]) for row in rows]

    async def client_exists(self, client_id: uuid.UUID) -> bool:
        """Whether the organisation has such a client, or had one who was erased."""
        query = (
            "select 1 from client where organisation_id = :organisation_id and id = :client_id union all "
            "select 1 from erasure where organisation_id = :organisation_id and client_id = :client_id"
        )
        return bool(await self._rows(query, client_id=client_id))

    async def links(self, after: int, limit: int) -> list[Linked]:
        """Links in the order of the chain."""
        rows = await self._rows(_CHAIN, after=after, limit=limit)
        return [Linked(row[0], bytes(row[1]), None if row[3] is None else chain.Event(*row[2:])) for row in rows]

    async def head(self) -> tuple[chain.Head, bytes, bytes] | None:
        """The last head, its signature, and the public key that it is signed by."""
        for row in await self._rows(_HEAD):
            return chain.Head(self._organisation_id, row[0], row[1], bytes(row[2]), *row[3:6]), row[6], row[7]
        return None
