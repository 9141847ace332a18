"""Sealing: everything gets in, once, in whatever order transactions end and however often workers run or die."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest
from pydantic import SecretStr

from api.audit.sealing import LATENESS, seal_batch
from api.organisations.repository import ensure_organisation
from api.responses.recording import record
from api.startup import derived_keys
from tests.audit.trail import INSERT, Sealed, ago, brief, confine, event, own_settings, run_job
from tests.conftest import Tenant, Urls
from tests.factories import make_client, make_recording


async def order(trail: Sealed) -> list[uuid.UUID]:
    """Events in the order in which they were sealed."""
    return [row[0] for row in await trail.rows("select event_id from audit_seal order by sequence")]


async def connect(trail: Sealed) -> psycopg.AsyncConnection[Any]:
    """A connection like those of a worker."""
    return await psycopg.AsyncConnection.connect(trail.urls.service, autocommit=True)


@pytest.mark.parametrize(("number", "batches"), [(9, 3), (10, 4), (12, 4), (1, 1)])
async def test_a_run_seals_all_in_batches_each_with_a_head(trail: Sealed, number: int, batches: int) -> None:
    ids = await trail.write(number)
    assert await trail.seal(limit=3) == number
    assert await order(trail) == ids
    heads = await trail.rows("select sequence from audit_head order by 1")
    assert [row[0] for row in heads] == [min(3 * (at + 1), number) for at in range(batches)]
    assert await trail.seal(limit=3) == 0
    assert len(await trail.rows("select from audit_head")) == batches, "where nothing was sealed nothing is signed"
    assert await trail.found() == []


async def test_an_event_that_commits_after_a_younger_one_was_sealed_gets_in(trail: Sealed, database: Urls) -> None:
    slow = await asyncpg.connect(database.superuser)
    early = event(trail.organisation_id, at=ago(seconds=40))
    async with slow.transaction():
        await slow.execute(INSERT, *early)
        (young,) = await trail.write()
        assert await trail.seal() == 1
    await slow.close()
    assert await trail.seal() == 1
    assert await order(trail) == [young, early.id]
    found = await trail.verify()
    assert (found.faults, found.remarks) == ([], []), "within the lateness that is allowed for"


async def test_what_comes_later_than_that_is_found_by_the_sweep_and_told(trail: Sealed) -> None:
    await trail.write(2)
    await trail.seal()
    late = event(trail.organisation_id, at=datetime.now(UTC) - LATENESS - timedelta(minutes=1))
    await trail.superuser.execute(INSERT, *late)
    assert await trail.seal() == 0
    assert await trail.seal(whole=True) == 1
    found = await trail.verify()
    assert found.faults == []
    assert brief(found.remarks) == [("late", 3, late.id)]


async def test_a_clock_that_is_ahead_hides_nobody_elses_events(trail: Sealed) -> None:
    ahead = await trail.write(at=datetime.now(UTC) + timedelta(hours=5))
    await trail.seal()
    others = await trail.write(3)
    assert await trail.seal() == 3
    assert await order(trail) == ahead + others
    assert await trail.found() == []


async def test_a_run_that_ends_amid_its_batches_is_taken_up_by_the_next(trail: Sealed) -> None:
    """Events of hours, of which the first batches were sealed: the claim of the head stays behind what is left."""
    ids = [(await trail.write(at=ago(hours=hours)))[0] for hours in (30, 20, 10, 5, 1)]
    keys = derived_keys(trail.settings)
    async with await connect(trail) as connection, connection.transaction():
        await confine(connection, trail.organisation_id)
        batch = await seal_batch(connection, keys, trail.organisation_id, limit=2)
    assert batch is not None
    assert (batch.sealed, batch.more) == (2, True)
    assert await trail.seal() == 3
    assert await order(trail) == ids
    assert await trail.found() == []


async def test_ids_that_hold_no_time_are_sealed_too(trail: Sealed) -> None:
    ids = sorted([uuid.uuid4() for _ in range(7)])
    for one in ids:
        await trail.superuser.execute(INSERT, *event(trail.organisation_id)._replace(id=one))
    assert await trail.seal(limit=3) == 7
    assert await order(trail) == ids
    assert (await trail.verify()).faults == []


async def test_only_one_seals_an_organisation_at_a_time(trail: Sealed) -> None:
    await trail.write(5)
    keys = derived_keys(trail.settings)
    async with await connect(trail) as first, await connect(trail) as second, first.transaction():
        await confine(first, trail.organisation_id)
        assert await seal_batch(first, keys, trail.organisation_id) is not None
        async with second.transaction():
            await confine(second, trail.organisation_id)
            assert await seal_batch(second, keys, trail.organisation_id) is None
    assert len(await order(trail)) == 5


async def test_a_batch_is_sealed_whole_or_not_at_all(trail: Sealed) -> None:
    await trail.write(5)
    keys = derived_keys(trail.settings)
    async with await connect(trail) as connection, connection.transaction(force_rollback=True):
        await confine(connection, trail.organisation_id)
        await seal_batch(connection, keys, trail.organisation_id)
    for table in ("audit_seal", "audit_head", "audit_client", "audit_key"):
        assert await trail.rows(f"select from {table}") == []


async def test_texts_of_every_sort_are_sealed_as_they_are(trail: Sealed) -> None:
    words = ['quote " and \\', "control \x01\x1f\x7f\n", "é 漢 \U0001f600 \u2028", "", "x" * 5_000]
    for word in words:
        await trail.write(subject=word, request_id=word)
    await trail.write(at=datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
    assert await trail.seal() == len(words) + 1
    assert await trail.found() == []


async def test_nobody_changes_a_link_or_a_head_by_way_of_the_service(
    trail: Sealed, service: asyncpg.Connection
) -> None:
    await trail.write()
    await trail.seal()
    for statement in (
        "update audit_seal set hash = sha256('x')",
        "delete from audit_seal",
        "update audit_head set hash = sha256('x')",
        "delete from audit_head",
        "delete from audit_client",
        "update audit_key set public_key = sha256('x')",
        "delete from audit_key",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)


@pytest.fixture
async def clinics(fresh_database: Urls, settings: Any) -> AsyncIterator[dict[str, Sealed]]:
    """Two organisations in a database of their own, each with three recorded responses."""
    own = own_settings(settings, fresh_database)
    superuser = await asyncpg.connect(fresh_database.superuser)
    service = await asyncpg.connect(fresh_database.service)
    async with asyncpg.create_pool(fresh_database.service, min_size=1, max_size=2) as pool:
        found = {}
        for slug in ("one", "two"):
            organisation_id = await ensure_organisation(service, slug, slug)
            client_id = await make_client(service, organisation_id)
            for _ in range(3):
                await record(pool, make_recording(organisation_id, client_id, recorded_at=datetime.now(UTC)))
            found[slug] = Sealed(fresh_database, own, superuser, organisation_id)
    await service.close()
    yield found
    await superuser.close()


async def failed(trail: Sealed) -> list[str]:
    rows = await trail.superuser.fetch("select task_name from jobs.procrastinate_jobs where status = 'failed'")
    return [row[0] for row in rows]


@pytest.mark.parametrize("task", ["seal_audit", "sweep_audit"])
async def test_the_jobs_seal_every_organisation_into_a_chain_of_its_own(clinics: dict[str, Sealed], task: str) -> None:
    for _ in range(2):
        await asyncio.gather(*(run_job(clinics["one"].settings, task) for _ in range(2)))
        for trail in clinics.values():
            found = await trail.verify()
            assert (found.faults, found.sealed, found.unsealed) == ([], 3, 0)
    assert await failed(clinics["one"]) == []
    keys = await clinics["one"].superuser.fetch("select organisation_id, public_key from audit_key")
    assert len({row["public_key"] for row in keys}) == 2


async def test_another_master_key_seals_nothing_there_and_everything_elsewhere(clinics: dict[str, Sealed]) -> None:
    one, two = clinics["one"], clinics["two"]
    await one.seal()
    await one.write(2)
    other = one.settings.model_copy(update={"master_key": SecretStr(secrets.token_hex(32))})
    await run_job(other, "seal_audit")
    assert set(await failed(one)) == {"seal_audit"}
    assert (await one.verify()).unsealed == 2
    assert len(await order(two)) == 3
    await run_job(one.settings, "seal_audit")
    assert (await one.verify()).unsealed == 0


@pytest.mark.parametrize("role", ["service", "owner"])
async def test_the_list_of_organisations_is_all_that_is_told(clinics: dict[str, Sealed], role: str) -> None:
    connection = await asyncpg.connect(getattr(clinics["one"].urls, role))
    ids = {row[0] for row in await connection.fetch("select * from organisation_ids()")}
    assert ids == {trail.organisation_id for trail in clinics.values()}
    assert await connection.fetch("select * from organisation") == [], "the door is closed again"
    await connection.execute("set fathomline.listing = 'on'")
    seen = len(await connection.fetch("select * from organisation"))
    assert seen == (2 if role == "owner" else 0), "the service does not open it by itself"
    await connection.close()


async def test_the_request_pays_one_row(
    trail: Sealed, tenant: Tenant, opened: Any, service: asyncpg.Connection, superuser: asyncpg.Connection
) -> None:
    """No index of the events but their key, and nothing else written: all else is made when they are sealed."""
    indexes = await superuser.fetch(
        "select indexrelid::regclass::text from pg_index where indrelid = 'audit_event'::regclass"
    )
    assert [row[0] for row in indexes] == ["pk_audit_event"]
    triggers = await superuser.fetch(
        "select tgname, tgtype::integer & 4 as on_insert from pg_trigger where tgrelid = 'audit_event'::regclass"
    )
    assert [tuple(row) for row in triggers] == [("append_only", 0)]
    client_id = await make_client(service, tenant.id)
    await record(opened.pool, make_recording(tenant.id, client_id))
    assert len(await trail.rows("select from audit_event")) == 1
    for table in ("audit_seal", "audit_head", "audit_client", "audit_key"):
        assert await trail.rows(f"select from {table}") == []
