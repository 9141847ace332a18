"""What workers may meet: each other, a kill, a wrong key, a deleted endpoint; and how far they can look."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from procrastinate.exceptions import ConnectorException

from api import jobs
from api.security import crypto
from api.webhooks import jobs as webhook_jobs
from api.webhooks.sending import TIMEOUT
from benchmarks.receiver import Got, Receiver, answer
from tests.api.people import Person
from tests.webhooks.conftest import Worker, make
from tests.webhooks.test_delivery import happen


async def test_a_killed_worker_leaves_a_lease_that_runs_out(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    await happen(ehr)
    await superuser.execute(
        "update webhook set busy_until = now() + interval '30 seconds' where id = $1", uuid.UUID(made["id"])
    )
    await worker.run()
    assert receiver.got == [], "another has it"
    await superuser.execute("update webhook set busy_until = now() where id = $1", uuid.UUID(made["id"]))
    await worker.run()
    assert len(receiver.got) == 1
    assert (await worker.webhook(made["id"]))["busy_until"] is None


async def test_two_workers_do_not_send_the_same(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    await happen(ehr, 30)
    given = {"organisation_id": str(worker.tenant.id), "webhook_id": made["id"]}
    for _ in range(3):  # without the lock of the queue
        await worker.app.configure_task(webhook_jobs.HAND_OUT).defer_async(organisation_id=given["organisation_id"])
        await worker.app.configure_task(webhook_jobs.DELIVER).defer_async(**given)
    await worker.run()
    assert len(receiver.got) == len(set(receiver.ids)) == 30
    assert await worker.failed() == []


async def test_a_worker_that_is_told_to_stop_leaves_the_lease_to_others(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)

    async def silent(_: Got) -> bytes | None:
        await asyncio.sleep(60)
        return None

    receiver.behave = silent
    await happen(ehr)
    await webhook_jobs._queue(worker.app, worker.tenant.id, None)
    running = asyncio.create_task(worker.app.run_worker_async(shutdown_graceful_timeout=0.2))
    await receiver.until(1)
    running.cancel()
    await asyncio.wait([running], timeout=10)
    assert running.done()
    assert (await worker.webhook(made["id"]))["busy_until"] is None
    assert await worker.deliveries("state", "attempts") == [("pending", 0)]
    receiver.always(answer(200))
    await worker.run()
    assert await worker.deliveries("state", "attempts") == [("delivered", 1)]
    assert len(set(receiver.ids)) == 1


async def test_endpoints_that_do_not_answer_leave_room_for_other_jobs(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    """More of them than a worker has jobs at once: audit events are sealed all the same, and each is sent to later."""
    silent = asyncio.Event()

    async def waiting(_: Got) -> bytes | None:
        await silent.wait()
        return answer(200)

    receiver.behave = waiting
    for _ in range(jobs.CONCURRENCY + 2):
        await make(admin, receiver.url)
    await happen(ehr)
    await webhook_jobs._queue(worker.app, worker.tenant.id, None)
    running = asyncio.create_task(worker.app.run_worker_async(shutdown_graceful_timeout=0.2))
    try:
        await receiver.until(1)
        await asyncio.sleep(0.5)
        sealed = "select count(*) from audit_seal where organisation_id = $1"
        assert await superuser.fetchval(sealed, worker.tenant.id) == 0
        await worker.app.configure_task("seal_audit").defer_async(timestamp=0)
        async with asyncio.timeout(TIMEOUT - 3):  # sooner than an endpoint is given up
            while not await superuser.fetchval(sealed, worker.tenant.id):
                await asyncio.sleep(0.05)
        assert len(receiver.got) == webhook_jobs.MOST_DELIVERIES // 2, "of one organisation"
    finally:
        silent.set()
        running.cancel()
        await asyncio.wait([running], timeout=10)
    receiver.always(answer(200))
    for _ in range(jobs.CONCURRENCY):
        await worker.later()
    assert {state for (state,) in await worker.deliveries("state")} == {"delivered"}


def test_room_is_shared_by_organisations() -> None:
    room, one, other, third = webhook_jobs.Room(4), uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    assert [room.enter(one) for _ in range(3)] == [True, True, False]
    assert [room.enter(other) for _ in range(3)] == [True, True, False]
    assert not room.enter(third), "all of it is taken"
    room.leave(one)
    assert room.enter(third)
    assert not room.enter(one)


async def test_a_wrong_master_key_is_our_fault_and_not_the_endpoints(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    await happen(ehr)
    kept = (await worker.webhook(made["id"]))["secret_sealed"]
    await superuser.execute("update webhook set secret_sealed = 'x' where id = $1", uuid.UUID(made["id"]))
    await worker.run()
    row = await worker.webhook(made["id"])
    assert (row["enabled"], row["failing_since"], row["busy_until"]) == (True, None, None)
    assert row["paused_until"] > datetime.now(UTC) + timedelta(minutes=9)
    assert await worker.failed() == [webhook_jobs.DELIVER]
    assert await worker.deliveries("state", "attempts") == [("pending", 0)]
    await superuser.execute("update webhook set secret_sealed = $2 where id = $1", uuid.UUID(made["id"]), kept)
    await worker.later()
    assert len(receiver.got) == 1
    assert issubclass(crypto.Unreadable, Exception)


async def test_what_is_deleted_is_sent_no_more(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    receiver.always(answer(500))
    await happen(ehr)
    await worker.run()
    await admin.delete(f"/v1/webhooks/{made['id']}", headers={"If-Match": "*"})
    await worker.later()
    assert len(receiver.got) == 1
    assert await worker.deliveries("id") == []
    given = {"organisation_id": str(worker.tenant.id), "webhook_id": made["id"]}
    await worker.app.configure_task(webhook_jobs.DELIVER).defer_async(**given)
    await worker.run()
    assert await worker.failed() == []


async def test_what_became_of_old_messages_is_forgotten(
    admin: httpx.AsyncClient, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    for days, state in ((31, "delivered"), (31, "failed"), (31, "pending"), (29, "delivered")):
        await superuser.execute(
            "insert into webhook_delivery (organisation_id, webhook_id, id, type, resource_id, occurred_at, state, "
            "next_attempt_at) select $1, $2, (left(first_uuid_at(now() - $3::interval)::text, 24) || "
            "right(gen_random_uuid()::text, 12))::uuid, 'webhook.test', $2, now() - $3::interval, $4::text, "
            "case when $4 = 'pending' then now() end",
            worker.tenant.id,
            uuid.UUID(made["id"]),
            timedelta(days=days),
            state,
        )
    await worker.run()
    assert len(receiver.got) == 1, "what waited was sent at last"
    assert await worker.deliveries("state", "occurred_at < now() - interval '30 days'") == [("delivered", False)]


class TestReach:
    """How far the function and its policies go."""

    async def test_it_tells_ids_of_what_waits_and_closes_the_door(
        self, admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, service: asyncpg.Connection
    ) -> None:
        made = await make(admin, receiver.url)
        own = worker.tenant.id
        asked = "select webhook_id::text from webhooks_waiting(10000) where organisation_id = $1"
        assert await service.fetch(asked, own) == []
        await happen(ehr)
        async with service.transaction():
            assert [row[0] for row in await service.fetch(asked, own)] == [None]
            assert await service.fetchval("select current_setting('fathomline.delivering')") == ""
            for table in ("outbox", "webhook", "webhook_delivery"):
                assert await service.fetchval(f"select count(*) from {table}") == 0  # noqa: S608  - names above
        await admin.post(f"/v1/webhooks/{made['id']}/test")
        assert {row[0] for row in await service.fetch(asked, own)} == {None, made["id"]}
        await worker.run()
        assert await service.fetch(asked, own) == []

    @pytest.mark.parametrize("role", ["service", "owner"])
    async def test_the_setting_alone_opens_what_waits_and_to_the_owner_only(
        self,
        role: str,
        admin: httpx.AsyncClient,
        ehr: Person,
        receiver: Receiver,
        worker: Worker,
        service: asyncpg.Connection,
        owner: asyncpg.Connection,
    ) -> None:
        await make(admin, receiver.url)
        await happen(ehr)
        await worker.run()
        await happen(ehr)
        connection = owner if role == "owner" else service
        async with connection.transaction():
            await connection.execute("set local fathomline.delivering = 'on'")
            seen = [
                await connection.fetchval(f"select count(*) from {table} where organisation_id = $1", worker.tenant.id)  # noqa: S608  - names below
                for table in ("outbox", "webhook", "webhook_delivery")
            ]
            changed = [
                await connection.execute(f"update {table} set organisation_id = organisation_id")  # noqa: S608  - names below
                for table in (("outbox", "webhook", "webhook_delivery") if role == "owner" else ())
            ]
        assert seen == ([1, 1, 0] if role == "owner" else [0, 0, 0])
        assert set(changed) <= {"UPDATE 0"}


async def test_the_watch_survives_a_database_that_is_away(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def waiting(app: Any) -> list[Any]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ConnectorException
        return []

    monkeypatch.setattr(webhook_jobs, "_waiting", waiting)
    monkeypatch.setattr(webhook_jobs, "POLL", 0.01)
    watching = asyncio.create_task(webhook_jobs.watch(worker.app))
    async with asyncio.timeout(10):
        while looks < 3:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.wait([watching])
