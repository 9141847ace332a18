"""Sealing: events that are not in the chain yet are put at its end, in batches, each with a signed head.

Transactions do not end in the order in which their events were made. So the order is that of sealing, and each batch
looks back: for `LATENESS` before the last one looked. What comes later still (a transaction held open for longer, a
clock far behind) is found by a sweep over all events, which the job makes now and then.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg

from api.audit import chain
from api.audit.related import CLIENTS_OF
from api.ids import new_id
from api.security import crypto

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

LATENESS: Final = timedelta(minutes=10)
"""How much later than it was made an event may become visible and still be found by the next batch. A request's
transaction ends within the limit on its statements, half a minute; the rest is for clocks that differ."""
BATCH: Final = 2_000
"""Events sealed in one transaction."""
NIL: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction sealed: how many events, the last of them, and whether there may be more after it."""

    sealed: int
    last: uuid.UUID
    more: bool


# The time of a UUIDv7 is its first 48 bits, in milliseconds. An id that was made otherwise may say any time: it only
# decides where the next batch begins to look, and the claim in the head never goes back.
_STATE: Final = """
select h.sequence, h.hash, h.complete_until, first_uuid_at(h.complete_until), now(), now() - %(lateness)s
from (values (1)) always left join lateral (
  select * from audit_head where organisation_id = %(organisation_id)s order by sequence desc limit 1) h on true
"""
# A look-up for each event: written as `not exists` it may become a join, which on empty tables is planned as one that
# reads all links for each event.
_UNSEALED: Final = """
select e.organisation_id, e.id, e.at, e.subject, e.role, e.action, e.resource, e.resource_id, e.request_id, e.outcome
from audit_event e
where e.organisation_id = %(organisation_id)s and e.id > %(above)s
  and (select s.sequence from audit_seal s where s.event_id = e.id and s.organisation_id = e.organisation_id) is null
order by e.id limit %(limit)s
"""
_NOT_PLANNED: Final = ("seqscan", "hashjoin", "mergejoin", "bitmapscan")
_SEAL: Final = """
insert into audit_seal (organisation_id, sequence, event_id, hash, subject, role, action, resource, outcome)
select %s, * from unnest(%s::bigint[], %s::uuid[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::text[],
                         %s::text[])
"""
_CLIENTS: Final = f"""
insert into audit_client (organisation_id, client_id, event_id)
select e.organisation_id, c.id, e.id from audit_event e cross join lateral ({CLIENTS_OF}) c
where e.organisation_id = %(organisation_id)s and e.id = any (%(events)s)
on conflict do nothing
"""  # noqa: S608  - our own constant
_HEAD: Final = """
insert into audit_head
  (organisation_id, sequence, previous, hash, sealed_at, complete_until, key_id, signature)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""


async def seal_batch(
    connection: Connection,
    keys: crypto.Keys,
    organisation_id: uuid.UUID,
    *,
    whole: bool = False,
    after: uuid.UUID = NIL,
    limit: int = BATCH,
) -> Batch | None:
    """Seal the oldest events that are not sealed, in the transaction of ``connection``; None while another worker does.

    ``whole`` looks at all events, not only at those that may have come since the last batch. ``after`` leaves out what
    this run has looked at already.

    Raises
    ------
    Unreadable
        The master key is not the one under which the organisation's signing key is sealed.
    """
    given = {"organisation_id": organisation_id}
    if not await _one(
        connection, "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [lock_of(organisation_id)]
    ):
        return None
    # Planned on empty tables, the look-ups by key could become reads of whole tables.
    for plan in _NOT_PLANNED:
        await connection.execute(f"set local enable_{plan} = off")
    state = await (await connection.execute(_STATE, given | {"lateness": LATENESS})).fetchone()
    if state is None:
        raise RuntimeError("a query for one row gave none")
    sequence, last_hash, claimed, since, now, until = state
    sequence, last_hash = sequence or 0, chain.START if last_hash is None else bytes(last_hash)
    cursor = await connection.execute(
        _UNSEALED, given | {"above": after if whole or since is None else max(since, after), "limit": limit}
    )
    events = [chain.Event(*row) for row in await cursor.fetchall()]
    if not events:
        return Batch(0, after, more=False)
    more = len(events) == limit
    hashes = []
    for number, event in enumerate(events, sequence + 1):
        last_hash = chain.link(event, number, last_hash)
        hashes.append(last_hash)
    if more:
        until = min(until, await _one(connection, _TIME_OF, [events[-1].id]) - LATENESS)
    key_id, private = await _key(connection, keys, organisation_id)
    head = chain.Head(
        organisation_id=organisation_id,
        sequence=sequence + len(events),
        previous=sequence,
        hash=last_hash,
        sealed_at=now,
        complete_until=until if claimed is None else max(until, claimed),
        key_id=key_id,
    )
    await connection.execute(
        _SEAL,
        (
            organisation_id,
            [*range(sequence + 1, head.sequence + 1)],
            [event.id for event in events],
            hashes,
            *([getattr(event, name) for event in events] for name in SEARCHED),
        ),
    )
    await connection.execute(_CLIENTS, given | {"events": [event.id for event in events]})
    await connection.execute(
        _HEAD,
        (
            organisation_id,
            head.sequence,
            head.previous,
            head.hash,
            head.sealed_at,
            head.complete_until,
            key_id,
            chain.sign(head, private),
        ),
    )
    return Batch(len(events), events[-1].id, more)


SEARCHED: Final = ("subject", "role", "action", "resource", "outcome")
"""Members of an event that its link repeats."""

_TIME_OF: Final = """
select least(to_timestamp(('x' || left(replace(%s::uuid::text, '-', ''), 12))::bit(48)::bigint / 1000.0), now())
"""


def lock_of(organisation_id: uuid.UUID) -> str:
    return f"audit:{organisation_id}"


async def _one(connection: Connection, statement: str, given: Any) -> Any:
    row = await (await connection.execute(statement, given)).fetchone()
    return None if row is None else row[0]


async def _key(connection: Connection, keys: crypto.Keys, organisation_id: uuid.UUID) -> tuple[uuid.UUID, bytes]:
    """The id and the private half of the newest signing key of the organisation, made if there is none.

    Only who holds the lock on the chain comes here, so no two are made at once.
    """
    cursor = await connection.execute(
        "select id, private_sealed from audit_key where organisation_id = %s order by id desc limit 1",
        [organisation_id],
    )
    row = await cursor.fetchone()
    if row is not None:
        return row[0], crypto.open_audit_key(keys, row[1], organisation_id=organisation_id, key_id=row[0])
    key_id, (private, public) = new_id(), chain.new_key()
    sealed = crypto.seal_audit_key(keys, private, organisation_id=organisation_id, key_id=key_id)
    await connection.execute(
        "insert into audit_key (organisation_id, id, public_key, private_sealed, created_at) "
        "values (%s, %s, %s, %s, now())",
        (organisation_id, key_id, public, sealed),
    )
    return key_id, private
