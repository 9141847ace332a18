"""The database function of the hot path, as the service calls it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from api.db import Database
from api.ids import new_id
from api.responses.recording import AlertToRecord, ScoreToRecord, record, record_many
from tests.conftest import Tenant
from tests.factories import NOON, make_client, make_episode, make_recording

TABLES = ("response", "score", "alert", "audit_event", "outbox", "idempotency_key")


async def counts(superuser: asyncpg.Connection, organisation_id: uuid.UUID) -> dict[str, int]:
    """How many rows each table has of the organisation."""
    return {
        table: await superuser.fetchval(f"select count(*) from {table} where organisation_id = $1", organisation_id)  # noqa: S608  - our names
        for table in TABLES
    }


NOTHING = dict.fromkeys(TABLES, 0)
ONE = {"response": 1, "score": 2, "alert": 0, "audit_event": 1, "outbox": 1, "idempotency_key": 1}


@pytest.fixture
async def client_id(service: asyncpg.Connection, tenant: Tenant) -> uuid.UUID:
    return await make_client(service, tenant.id)


async def test_one_call_writes_all_that_belongs_to_a_response(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    alert = AlertToRecord(new_id(), "constant-worry", "3", "high")
    wanted = make_recording(tenant.id, client_id, alerts=(alert,))
    got = await record(opened.pool, wanted)
    assert (got.outcome, got.response_id, got.document) == ("created", wanted.id, wanted.document)
    assert await counts(superuser, tenant.id) == ONE | {"alert": 1, "outbox": 2}
    row = await superuser.fetchrow("select * from response where id = $1", wanted.id)
    assert row["document"] == wanted.document, "the text must come back byte for byte"
    assert (row["client_id"], row["recorded_by"], row["answered_at"]) == (client_id, "ehr-1", wanted.answered_at)
    scores = await superuser.fetch(
        "select scale, value, status from score where response_id = $1 order by 1", wanted.id
    )
    assert [tuple(score) for score in scores] == [("ease", None, "insufficient"), ("total", 10.5, "prorated")]
    topics = await superuser.fetch(
        "select topic, resource_id from outbox where organisation_id = $1 order by 1", tenant.id
    )
    assert [tuple(topic) for topic in topics] == [("alert.raised", alert.id), ("response.recorded", wanted.id)]
    event = await superuser.fetchrow("select * from audit_event where organisation_id = $1", tenant.id)
    assert (event["subject"], event["action"], event["resource_id"]) == ("ehr-1", "record", wanted.id)


async def test_the_same_key_and_request_replay_the_first_document(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    first = make_recording(tenant.id, client_id, idempotency_key="k")
    again = make_recording(tenant.id, client_id, idempotency_key="k", document='{"another": "id"}')
    await record(opened.pool, first)
    got = await record(opened.pool, again)
    assert (got.outcome, got.response_id, got.document) == ("replayed", first.id, first.document)
    assert await counts(superuser, tenant.id) == ONE


async def test_the_same_key_with_another_request_is_a_conflict_and_stores_nothing(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    await record(opened.pool, make_recording(tenant.id, client_id, idempotency_key="k"))
    other = make_recording(tenant.id, client_id, idempotency_key="k", request_hash=hashlib.sha256(b"b").digest())
    got = await record(opened.pool, other)
    assert (got.outcome, got.response_id, got.document) == ("conflict", None, None)
    assert await counts(superuser, tenant.id) == ONE


async def test_idempotency_comes_before_the_client(opened: Database, tenant: Tenant, client_id: uuid.UUID) -> None:
    await record(opened.pool, make_recording(tenant.id, client_id, idempotency_key="k"))
    got = await record(opened.pool, make_recording(tenant.id, new_id(), idempotency_key="k"))
    assert got.outcome == "replayed"


async def test_a_key_belongs_to_its_subject(opened: Database, tenant: Tenant, client_id: uuid.UUID) -> None:
    for subject in ("ehr-1", "ehr-2"):
        got = await record(opened.pool, make_recording(tenant.id, client_id, idempotency_key="k", subject=subject))
        assert got.outcome == "created"


async def test_without_a_key_every_request_is_new(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    for _ in range(2):
        got = await record(opened.pool, make_recording(tenant.id, client_id, idempotency_key=None))
        assert got.outcome == "created"
    assert await counts(superuser, tenant.id) == {name: 2 * n for name, n in ONE.items()} | {"idempotency_key": 0}


async def test_concurrent_duplicates_make_one_row_and_all_get_its_document(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    wanted = [
        make_recording(tenant.id, client_id, idempotency_key="k", document=f'{{"attempt": {n}}}') for n in range(20)
    ]
    results = await asyncio.gather(*(record(opened.pool, one) for one in wanted))
    assert sorted(result.outcome for result in results) == ["created"] + ["replayed"] * 19
    assert len({(result.response_id, result.document) for result in results}) == 1
    assert await counts(superuser, tenant.id) == ONE


async def test_an_unknown_client_stores_nothing_and_leaves_the_key_free(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    got = await record(opened.pool, make_recording(tenant.id, new_id(), idempotency_key="k"))
    assert (got.outcome, got.response_id, got.document) == ("client_unknown", None, None)
    assert await counts(superuser, tenant.id) == NOTHING
    assert (await record(opened.pool, make_recording(tenant.id, client_id, idempotency_key="k"))).outcome == "created"


async def test_another_organisations_client_is_unknown(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant, client_id: uuid.UUID
) -> None:
    got = await record(opened.pool, make_recording(other_tenant.id, client_id))
    assert got.outcome == "client_unknown"
    assert await counts(superuser, other_tenant.id) == NOTHING


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": (ScoreToRecord("total", None, "complete", valid=True),)},
        {"scores": (ScoreToRecord("total", 1.0, "insufficient", valid=True),)},
        {"scores": (ScoreToRecord("total", 1.0, "complete", valid=True),) * 2},
        {"answers": "[]"},
        {"document": "{not json"},
    ],
)
async def test_what_the_database_refuses_leaves_no_part_behind(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID, changes: dict[str, Any]
) -> None:
    with pytest.raises((asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)):
        await record(opened.pool, make_recording(tenant.id, client_id, **changes))
    assert await counts(superuser, tenant.id) == NOTHING


async def test_the_organisation_does_not_stay_with_the_connection(
    service: asyncpg.Connection, opened: Database, tenant: Tenant, client_id: uuid.UUID
) -> None:
    await record(opened.pool, make_recording(tenant.id, client_id))
    async with opened.pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from response") == 0


async def test_the_days_of_an_episode_that_is_being_changed_are_waited_for(
    opened: Database, superuser: asyncpg.Connection, service: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    episode_id = await make_episode(service, tenant.id, client_id)
    late = make_recording(tenant.id, client_id, episode_id=episode_id, answered_at=NOON + timedelta(days=90))
    transaction = superuser.transaction()
    await transaction.start()
    ended = "update episode set ended_on = started_on, end_reason = 'completed' where id = $1"
    await superuser.execute(ended, episode_id)
    recording = asyncio.create_task(record(opened.pool, late))
    done, _ = await asyncio.wait([recording], timeout=0.2)
    assert not done, "it waits for what the other transaction makes of the episode"
    await transaction.commit()
    assert (await recording).outcome == "outside_episode"
    assert await counts(superuser, tenant.id) == NOTHING


async def test_an_episode_that_is_recorded_in_is_not_changed_meanwhile(
    superuser: asyncpg.Connection, service: asyncpg.Connection, tenant: Tenant, client_id: uuid.UUID
) -> None:
    """Whoever changes its days sees every response that was found to lie within them."""
    episode_id = await make_episode(service, tenant.id, client_id)
    within = make_recording(tenant.id, client_id, episode_id=episode_id)
    transaction = service.transaction()
    await transaction.start()
    await record_many(service, [within])
    with pytest.raises(asyncpg.LockNotAvailableError):
        await superuser.execute("select from episode where id = $1 for no key update nowait", episode_id)
    await transaction.commit()
    assert await counts(superuser, tenant.id) == ONE
