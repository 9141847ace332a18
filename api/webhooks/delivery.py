"""What workers read and write of webhooks. Each function is part of a transaction within one organisation."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import psycopg

from api.ids import new_id
from api.webhooks.retries import OVERLOADED, PATIENCE, SHORTEST_PAUSE, pause_after
from api.webhooks.sending import Answer, Message

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Outcome = Literal["delivered", "retried", "failed", "disabled"]

KEPT: Final = timedelta(days=30)
"""How long it is kept what became of a message, and so for how long it can be sent again."""
MOST_FORGOTTEN: Final = 1_000
DISABLED: Final = "webhook.disabled"
"""Type of the message by which the organisation's other endpoints learn that one was given up."""

# Messages and the deliveries that they become change hands in one statement: all of it, or nothing. Of several workers
# each takes other messages. An endpoint hears of what happened since it was made (less five minutes, for clocks that
# differ), and never of itself. While it is disabled it is noted what it missed.
_HAND_OUT: Final = """
with waiting as (
  select id, topic, resource_id, created_at from outbox
  where organisation_id = %(organisation_id)s and delivered_at is null and id >= (
    select first_uuid_at(min(created_at) - interval '5 minutes') from webhook
    where organisation_id = %(organisation_id)s)
  order by id limit %(limit)s for update skip locked
), made as (
  insert into webhook_delivery
    (organisation_id, webhook_id, id, type, resource_id, occurred_at, state, next_attempt_at)
  select w.organisation_id, w.id, m.id, m.topic, m.resource_id, m.created_at,
         case when w.enabled then 'pending' else 'disabled' end, case when w.enabled then now() end
  from waiting m
  join webhook w on w.organisation_id = %(organisation_id)s and w.id <> m.resource_id
    and w.created_at - interval '5 minutes' <= m.created_at and (w.types is null or m.topic = any (w.types))
  on conflict do nothing
  returning webhook_id
), handed as (
  update outbox set delivered_at = now() from waiting
  where outbox.organisation_id = %(organisation_id)s and outbox.id = waiting.id returning outbox.id
)
select (select count(*) from handed), array(select distinct webhook_id from made)
"""


async def hand_out(connection: Connection, organisation_id: uuid.UUID, limit: int) -> tuple[int, Sequence[uuid.UUID]]:
    """Turn waiting messages into deliveries: how many messages, and to which endpoints."""
    cursor = await connection.execute(_HAND_OUT, {"organisation_id": organisation_id, "limit": limit})
    row = await cursor.fetchone()
    return (0, ()) if row is None else (row[0], row[1])


@dataclass(frozen=True, slots=True)
class Lease:
    """An endpoint that this worker may send to until then. Whoever finds another time in the row has lost it."""

    organisation_id: uuid.UUID
    webhook_id: uuid.UUID
    until: datetime
    url: str
    sealed: tuple[bytes, ...]
    """The secrets that sign, sealed, the present one first."""

    @property
    def key(self) -> dict[str, Any]:
        """What names the row while the lease is held."""
        return {"organisation_id": self.organisation_id, "webhook_id": self.webhook_id, "until": self.until}


_LEASE: Final = """
update webhook set busy_until = clock_timestamp() + %(length)s
where organisation_id = %(organisation_id)s and id = %(webhook_id)s and enabled
  and coalesce(paused_until, '-infinity') <= now() and coalesce(busy_until, '-infinity') {held}
returning busy_until, url, secret_sealed, case when previous_until > now() then previous_sealed end
"""
_TAKE: Final = _LEASE.format(held="<= now()")
_PROLONG: Final = _LEASE.format(held="= %(until)s")


async def take(
    connection: Connection, organisation_id: uuid.UUID, webhook_id: uuid.UUID, length: timedelta
) -> Lease | None:
    """The lease of an endpoint; none while another worker has it, or nothing may be sent to it."""
    given = {"organisation_id": organisation_id, "webhook_id": webhook_id, "length": length}
    return _lease(organisation_id, webhook_id, await (await connection.execute(_TAKE, given)).fetchone())


async def prolong(connection: Connection, lease: Lease, length: timedelta) -> Lease | None:
    """The lease for longer, with what the endpoint is now; none if it was lost or nothing may be sent any more."""
    row = await (await connection.execute(_PROLONG, lease.key | {"length": length})).fetchone()
    return _lease(lease.organisation_id, lease.webhook_id, row)


def _lease(organisation_id: uuid.UUID, webhook_id: uuid.UUID, row: tuple[Any, ...] | None) -> Lease | None:
    if row is None:
        return None
    return Lease(organisation_id, webhook_id, row[0], row[1], tuple(bytes(one) for one in row[2:] if one is not None))


async def release(connection: Connection, lease: Lease, paused: timedelta | None = None) -> None:
    """Give the lease back; with ``paused`` nobody sends to the endpoint for so long."""
    await connection.execute(
        "update webhook set busy_until = null, paused_until = coalesce(now() + %(paused)s, paused_until) "
        "where organisation_id = %(organisation_id)s and id = %(webhook_id)s and busy_until = %(until)s",
        lease.key | {"paused": paused},
    )


async def due(connection: Connection, lease: Lease, limit: int) -> list[tuple[Message, int]]:
    """Messages whose time has come, the longest waiting first, and how often each was tried."""
    cursor = await connection.execute(
        "select id, type, resource_id, occurred_at, attempts from webhook_delivery "
        "where webhook_id = %(webhook_id)s and state = 'pending' and next_attempt_at <= now() "
        "order by next_attempt_at limit %(limit)s",
        {"webhook_id": lease.webhook_id, "limit": limit},
    )
    return [(Message(*row[:4]), row[4]) for row in await cursor.fetchall()]


_RECORD: Final = """
update webhook_delivery
set state = %(state)s, attempts = attempts + 1, last_attempt_at = now(), last_status = %(status)s,
    last_error = %(failure)s, next_attempt_at = now() + %(pause)s
where organisation_id = %(organisation_id)s and webhook_id = %(webhook_id)s and id = %(id)s and state = 'pending'
"""
_STATES: Final = {"delivered": "delivered", "retried": "pending", "failed": "failed", "disabled": "disabled"}


async def record(
    connection: Connection, lease: Lease, tried: Iterable[tuple[Message, int, Answer]]
) -> tuple[list[Outcome], str | None]:
    """Keep what attempts came to, and what they mean for the endpoint.

    The outcome of each, and why the endpoint was given up, if it was.
    """
    tried = list(tried)
    gone = any(answer.status == 410 for _, _, answer in tried)
    outcomes: list[Outcome] = []
    for message, attempts, answer in tried:
        pause = None if answer.taken or gone else pause_after(attempts + 1, answer.retry_after)
        outcome: Outcome = "retried"
        if pause is None:
            outcome = "delivered" if answer.taken else "disabled" if gone else "failed"
        outcomes.append(outcome)
        await connection.execute(
            _RECORD,
            {
                "organisation_id": lease.organisation_id,
                "webhook_id": lease.webhook_id,
                "id": message.id,
                "state": _STATES[outcome],
                "status": answer.status,
                "failure": answer.failure,
                "pause": pause,
            },
        )
    because = "gone" if gone else None
    if not gone and not await _note(connection, lease, [answer for _, _, answer in tried]):
        because = "failing"
    if because is not None:
        await _disable(connection, lease, because)
    return outcomes, because


async def _note(connection: Connection, lease: Lease, answers: Sequence[Answer]) -> bool:
    """Note how the endpoint is; whether there is still patience with it."""
    pauses = [
        SHORTEST_PAUSE if answer.retry_after is None else answer.retry_after
        for answer in answers
        if answer.status in OVERLOADED
    ]
    cursor = await connection.execute(
        "update webhook set failing_since = case when %(taken)s then null else coalesce(failing_since, now()) end, "
        "paused_until = coalesce(now() + %(pause)s, paused_until) "
        "where organisation_id = %(organisation_id)s and id = %(webhook_id)s "
        "returning failing_since < now() - %(patience)s",
        lease.key
        | {
            "taken": any(answer.taken for answer in answers),
            "pause": max(pauses, default=None),
            "patience": PATIENCE,
        },
    )
    row = await cursor.fetchone()
    return row is None or not row[0]


async def _disable(connection: Connection, lease: Lease, because: str) -> None:
    """Give an endpoint up, keep what it misses, put it on record, and tell the others."""
    cursor = await connection.execute(
        "update webhook set enabled = false, disabled_because = %(because)s, version = version + 1, "
        "updated_at = greatest(now(), updated_at) "
        "where organisation_id = %(organisation_id)s and id = %(webhook_id)s and enabled",
        lease.key | {"because": because},
    )
    if cursor.rowcount == 0:
        return
    await connection.execute(
        "update webhook_delivery set state = 'disabled', next_attempt_at = null "
        "where webhook_id = %(webhook_id)s and state = 'pending'",
        lease.key,
    )
    await connection.execute(
        "insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, "
        "outcome) values (%(organisation_id)s, %(id)s, now(), 'fathomline', 'service', 'disable', 'webhook', "
        "%(webhook_id)s, '', %(because)s)",
        lease.key | {"id": new_id(), "because": because},
    )
    await connection.execute(
        "insert into outbox (organisation_id, id, topic, resource_id, created_at) "
        "values (%(organisation_id)s, %(id)s, %(topic)s, %(webhook_id)s, now())",
        lease.key | {"id": new_id(), "topic": DISABLED},
    )


async def forget(connection: Connection, lease: Lease) -> int:
    """Forget what became of some messages of long ago; how many."""
    cursor = await connection.execute(
        "delete from webhook_delivery where organisation_id = %(organisation_id)s and webhook_id = %(webhook_id)s "
        "and id in (select id from webhook_delivery where organisation_id = %(organisation_id)s "
        "and webhook_id = %(webhook_id)s and id < first_uuid_at(now() - %(kept)s) and state <> 'pending' "
        "order by id limit %(limit)s)",
        lease.key | {"kept": KEPT, "limit": MOST_FORGOTTEN},
    )
    return cursor.rowcount
