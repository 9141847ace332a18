"""The jobs that deliver messages: one hands them out to endpoints, one sends what waits for one endpoint.

Nothing is lost with a job: what waits is found in the tables, by `watch`, whatever becomes of the jobs that it queues.
An endpoint is sent to by one job at a time, which holds a lease on it; the lease of a worker that was killed runs out,
and another sends what it had not noted as delivered, perhaps once more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from procrastinate import App, JobContext
from procrastinate.exceptions import AlreadyEnqueued

from api import logging
from api.job_database import connector_of, within
from api.metrics import Metrics
from api.security import crypto
from api.webhooks import delivery
from api.webhooks.sending import TIMEOUT, Answer, Message, Sender

POLL: Final = 1.0
"""Seconds between two looks at whether anything waits."""
MOST_WAITING: Final = 200
"""Organisations, and endpoints, that are queued at one look."""
MESSAGES: Final = 500
"""Messages handed out in one transaction."""
AT_ONCE: Final = 8
"""Messages on their way to one endpoint at once."""
TURN: Final = 10.0
"""Seconds after which a job lets others have their turn; what is left is queued again."""
MOST_DELIVERIES: Final = 4
"""Endpoints that a worker sends to at once: half of the jobs that the one inside the service runs."""
LEASE: Final = timedelta(seconds=2 * TIMEOUT)
MISSING_KEY_PAUSE: Final = timedelta(minutes=10)

CONTEXT: Final = "webhooks"
HAND_OUT: Final = "hand_out_messages"
DELIVER: Final = "deliver_messages"


class Room:
    """How many deliveries a worker has under way, so that some of its jobs are always left for others.

    An endpoint that does not answer takes a job for as long as it is waited for, and an organisation may have many. So
    the endpoints of one organisation get half of what there is, and those of all no more than ``most``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: Counter[uuid.UUID] = Counter()

    def enter(self, organisation_id: uuid.UUID) -> bool:
        """Whether there was room; then `leave` has to follow."""
        if self._busy.total() >= self._most or self._busy[organisation_id] >= max(1, self._most // 2):
            return False
        self._busy[organisation_id] += 1
        return True

    def leave(self, organisation_id: uuid.UUID) -> None:
        self._busy[organisation_id] -= 1
        if not self._busy[organisation_id]:
            del self._busy[organisation_id]


@dataclass(frozen=True, slots=True)
class Delivering:
    """What a worker needs to deliver."""

    sender: Sender
    keys: crypto.Keys
    metrics: Metrics | None = None
    """Where attempts are counted; a worker of its own shows none."""
    room: Room = field(default_factory=lambda: Room(MOST_DELIVERIES))


async def hand_out_messages(context: JobContext, organisation_id: str) -> dict[str, int]:
    """Hand the waiting messages of an organisation out to its endpoints, and queue what sends them."""
    own = uuid.UUID(organisation_id)
    handed = 0
    begun = time.monotonic()
    endpoints: set[uuid.UUID] = set()
    while time.monotonic() - begun < TURN:
        async with within(context.app, own) as connection:
            number, found = await delivery.hand_out(connection, own, MESSAGES)
        handed += number
        endpoints.update(found)
        if number < MESSAGES:
            break
    for webhook_id in endpoints:
        await _queue(context.app, own, webhook_id)
    return {"handed_out": handed}


async def deliver_messages(context: JobContext, organisation_id: str, webhook_id: str) -> dict[str, int]:
    """Send what waits for an endpoint; nothing while another worker does. The counts of outcomes.

    What fails here, other than by the endpoint's fault, leaves the lease to run out: so a fault of ours is met twice a
    minute and not in every second.
    """
    delivering, own = _delivering(context), uuid.UUID(organisation_id)
    if not delivering.room.enter(own):
        return {"busy": 1}  # `watch` sees to it that it is queued again
    try:
        return await _deliver(context, delivering, own, uuid.UUID(webhook_id))
    finally:
        delivering.room.leave(own)


async def _deliver(context: JobContext, delivering: Delivering, own: uuid.UUID, to: uuid.UUID) -> dict[str, int]:
    counts: Counter[str] = Counter()
    held: delivery.Lease | None = None
    begun = time.monotonic()
    try:
        while held is None or time.monotonic() - begun < TURN:
            async with within(context.app, own) as connection:
                if held is None:
                    lease = await delivery.take(connection, own, to, LEASE)
                else:
                    lease = await delivery.prolong(connection, held, LEASE)
                batch = [] if lease is None else await delivery.due(connection, lease, AT_ONCE)
                if lease is not None and not batch:
                    await delivery.forget(connection, lease)
            held = lease or held
            if lease is None or not batch:
                break
            counts.update(await _send(context, delivering, lease, batch))
    except crypto.Unreadable:
        await _release(context, held, MISSING_KEY_PAUSE)
        raise
    except asyncio.CancelledError:
        await _release(context, held)
        raise
    await _release(context, held)
    return dict(counts)


async def _send(
    context: JobContext, delivering: Delivering, lease: delivery.Lease, batch: list[tuple[Message, int]]
) -> list[delivery.Outcome]:
    """Send a batch, all at once, and keep what became of it."""
    keys = [
        crypto.open_webhook_secret(
            delivering.keys, sealed, organisation_id=lease.organisation_id, webhook_id=lease.webhook_id
        )
        for sealed in lease.sealed
    ]
    answers: list[Answer] = await asyncio.gather(
        *(delivering.sender.send(lease.url, keys, message) for message, _ in batch)
    )
    tried = [(message, attempts, answer) for (message, attempts), answer in zip(batch, answers, strict=True)]
    async with within(context.app, lease.organisation_id) as connection:
        outcomes, because = await delivery.record(connection, lease, tried)
    if because is not None:
        logging.logger.warning("webhook", state="disabled", because=because)
    if delivering.metrics is not None:
        for outcome in outcomes:
            delivering.metrics.webhooks.labels(outcome).inc()
    return outcomes


async def _release(context: JobContext, lease: delivery.Lease | None, paused: timedelta | None = None) -> None:
    if lease is not None:
        async with within(context.app, lease.organisation_id) as connection:
            await delivery.release(connection, lease, paused)


def _delivering(context: JobContext) -> Delivering:
    found = context.additional_context.get(CONTEXT)
    if not isinstance(found, Delivering):
        raise TypeError("this worker was not given what it needs to deliver")
    return found


async def watch(app: App) -> None:
    """Queue what waits anywhere, once in a second, until cancelled.

    Recording a response tells nobody that something waits: a notification would make all that record wait for each
    other when they commit.
    """
    while True:
        try:
            for organisation_id, webhook_id in await _waiting(app):
                await _queue(app, organisation_id, webhook_id)
        except Exception as error:  # the worker itself notices when its database is gone; anything else may pass
            logging.logger.error("webhooks", state="not-watched", **logging.describe(error))
            await asyncio.sleep(10 * POLL)
        await asyncio.sleep(POLL)


async def _waiting(app: App) -> list[tuple[uuid.UUID, uuid.UUID | None]]:
    async with connector_of(app).pool.connection() as connection:
        cursor = await connection.execute("select * from webhooks_waiting(%s)", (MOST_WAITING,))
        return [(row[0], row[1]) for row in await cursor.fetchall()]


async def _queue(app: App, organisation_id: uuid.UUID, webhook_id: uuid.UUID | None) -> None:
    """Queue the job of an endpoint, or that which hands out, unless it is queued already."""
    task, given = HAND_OUT, {"organisation_id": str(organisation_id)}
    if webhook_id is not None:
        task, given = DELIVER, given | {"webhook_id": str(webhook_id)}
    lock = ":".join((task, *given.values()))
    with suppress(AlreadyEnqueued):
        await app.configure_task(task, queueing_lock=lock).defer_async(**given)


def register(app: App) -> None:
    """Make the tasks known."""
    for name, task in ((HAND_OUT, hand_out_messages), (DELIVER, deliver_messages)):
        app.task(name=name, pass_context=True)(task)
