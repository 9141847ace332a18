"""What is marked as answered is never what is due: after whatever happens, the page is that of pure matching."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from api.protocols.settling import mark, unmarked
from api.protocols.store import OfJob
from api.settings import Settings
from tests.api.people import Person
from tests.audit.trail import confine, run_job
from tests.conftest import Tenant, Urls
from tests.protocols.clinic import (
    MATCH,
    answered,
    assigned,
    attended,
    changed,
    due,
    entry,
    episode_of,
    made,
    scheduled,
    today,
)

CLOSE = {"opens_before": 2, "overdue_after": 1, "closes_after": 4}
WIDE = {"opens_before": 8, "overdue_after": 3, "closes_after": 12}
DAYS = 70
VOID = {"reason": "invented"}


@asynccontextmanager
async def working(database: Urls, tenant: Tenant) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection as a job has it, in a transaction within the test's organisation."""
    async with await psycopg.AsyncConnection.connect(database.service) as connection:
        await confine(connection, tenant.id)
        yield connection


async def marked(database: Urls, tenant: Tenant) -> int:
    """Do what the job does, for the test's organisation; how many slots were marked."""
    async with working(database, tenant) as connection:
        statements = OfJob(connection)
        return await mark(statements, tenant.id, await unmarked(statements, tenant.id))


class World:
    """One client's episode with two protocols whose windows overlap, and things that happen to it by chance."""

    def __init__(self, ehr: Person, path: str, followed: list[dict[str, Any]], seed: int) -> None:
        self.ehr, self.path, self.followed, self.chance = ehr, path, followed, random.Random(seed)
        self.first_day = today() - timedelta(days=DAYS)
        self.responses: list[str] = []
        self.sessions: list[str] = []

    def day(self) -> date:
        return self.first_day + timedelta(days=self.chance.randrange(DAYS + 1))

    async def happen(self) -> None:
        """One thing, by chance; most are responses."""
        await self.chance.choice(
            [self.answer, self.answer, self.answer, self.void, self.amend, self.attend, self.miss, self.shift, self.end]
        )()

    async def answer(self) -> None:
        here = self.chance.random() < 0.7
        more = {} if here else {"episode_id": None}
        self.responses.append(await answered(self.ehr, self.path, self.day(), **more))

    async def void(self) -> None:
        if self.responses:
            one = self.responses.pop(self.chance.randrange(len(self.responses)))
            answer = await self.ehr.http.post(f"/v1/responses/{one}/void", json=VOID, headers=MATCH)
            assert answer.status_code == 200, answer.text

    async def amend(self) -> None:
        if self.responses:
            one = self.chance.choice(self.responses)
            sent = VOID | {"answered_at": f"{self.day()}T13:00:00Z"}
            answer = await self.ehr.http.post(f"/v1/responses/{one}/amend", json=sent, headers=MATCH)
            assert answer.status_code < 300, answer.text

    async def attend(self) -> None:
        self.sessions.append(await attended(self.ehr, self.path, self.day()))

    async def miss(self) -> None:
        if self.sessions:
            await changed(self.ehr, self.chance.choice(self.sessions), attendance="missed")

    async def shift(self) -> None:
        first = self.first_day - timedelta(days=self.chance.randrange(1, 5))
        await changed(self.ehr, self.path, started_on=str(first))

    async def end(self) -> None:
        await changed(self.ehr, self.path, ended_on=str(today()), end_reason="completed")
        if self.chance.random() < 0.8:
            await changed(self.ehr, self.path, ended_on=None, end_reason=None)

    async def agrees(self) -> None:
        """What is due by the index and its marks is what the schedule says, which knows of no mark."""
        client_id = self.path.split("/")[3]
        for day in (today(), today() + timedelta(days=9), today() - timedelta(days=20)):
            expected = {
                (slot["id"], slot["status"])
                for slot in (await scheduled(self.ehr, self.path, day))["slots"]
                if slot["status"] in ("due", "overdue", "missed", "expired")
            }
            for whose in ({}, {"clinician": "c-1"}, {"client_id": client_id}):
                found = await due(self.ehr, date=day, **whose)
                assert {(item["id"], item["status"]) for item in found} == expected, (day, whose)


async def world(ehr: Person, admin: Person, seed: int) -> World:
    path = await episode_of(ehr, started_on=str(today() - timedelta(days=DAYS)), clinician="c-1")
    protocols = [
        await made(admin, entry("weeks", every=1, window=CLOSE), entry("sessions", every=1, window=WIDE), code="a"),
        await made(admin, entry("weeks", every=3, window=WIDE), entry("baseline", window=WIDE), entry("end"), code="b"),
    ]
    return World(ehr, path, [await assigned(ehr, path, one) for one in protocols], seed)


async def _lived(ehr: Person, admin: Person, database: Urls, tenant: Tenant, seed: int, steps: int) -> int:
    lives, number = await world(ehr, admin, seed), 0
    for step in range(steps):
        await lives.happen()
        if lives.chance.random() < 0.4:
            number += await marked(database, tenant)
        if step % 3 == 2:
            await lives.agrees()
    return number


@pytest.mark.parametrize("seed", [1, 2])
async def test_marks_change_nothing(ehr: Person, admin: Person, database: Urls, tenant: Tenant, seed: int) -> None:
    assert await _lived(ehr, admin, database, tenant, seed, steps=21) > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 130))
async def test_marks_change_nothing_for_long(
    ehr: Person, admin: Person, database: Urls, tenant: Tenant, seed: int
) -> None:
    assert await _lived(ehr, admin, database, tenant, seed, steps=60) > 0


async def test_what_empties_a_slot_takes_its_mark(
    ehr: Person, admin: Person, database: Urls, tenant: Tenant, superuser: asyncpg.Connection
) -> None:
    async def marks() -> int:
        query = "select count(*) from protocol_slot where organisation_id = $1 and answered"
        number: int = await superuser.fetchval(query, tenant.id)
        return number

    path = await episode_of(ehr, started_on=str(today() - timedelta(days=28)), clinician="c-1")
    await assigned(ehr, path, await made(admin, entry("weeks", every=2, count=2)))
    one, _ = [await answered(ehr, path, today() - timedelta(days=days)) for days in (14, 1)]
    assert await marks() == 0, "no request sets them"
    assert (await marked(database, tenant), await marks()) == (2, 2)
    assert await marked(database, tenant) == 0
    await changed(ehr, path, clinician="c-2")
    assert await marks() == 2, "whose it is does not matter"
    await ehr.http.post(f"/v1/responses/{one}/void", json=VOID, headers=MATCH)
    assert await marks() == 0
    assert (await marked(database, tenant), await marks()) == (1, 1)
    await changed(ehr, path, started_on=str(today() - timedelta(days=29)))
    assert await marks() == 0


async def test_a_correction_waits_for_the_mark(ehr: Person, admin: Person, database: Urls, tenant: Tenant) -> None:
    """Whoever comes second sees what the first has done: no mark outlives the response that it was set for."""
    path = await episode_of(ehr, started_on=str(today()))
    await assigned(ehr, path, await made(admin, entry("baseline")))
    one = await answered(ehr, path, today() - timedelta(days=1))
    async with working(database, tenant) as connection:
        statements = OfJob(connection)
        assert await mark(statements, tenant.id, await unmarked(statements, tenant.id)) == 1
        void = asyncio.create_task(ehr.http.post(f"/v1/responses/{one}/void", json=VOID, headers=MATCH))
        await asyncio.sleep(0.2)
        assert not void.done()
    assert (await void).status_code == 200
    assert len(await due(ehr, client_id=path.split("/")[3])) == 1


async def test_a_mark_does_not_wait_for_a_correction(
    ehr: Person, admin: Person, database: Urls, tenant: Tenant
) -> None:
    path = await episode_of(ehr, started_on=str(today()))
    followed = await assigned(ehr, path, await made(admin, entry("baseline")))
    await answered(ehr, path, today() - timedelta(days=1))
    async with working(database, tenant) as busy, working(database, tenant) as connection:
        query = "select id from episode_protocol where id = %s for no key update"
        await busy.execute(query, (uuid.UUID(followed["id"]),))
        statements = OfJob(connection)
        assert await mark(statements, tenant.id, await unmarked(statements, tenant.id)) == 0
    assert await marked(database, tenant) == 1


class TestJobs:
    async def test_schedules_are_planned_further(
        self, ehr: Person, admin: Person, settings: Settings, superuser: asyncpg.Connection
    ) -> None:
        path = await episode_of(ehr, started_on=str(today()))
        row = await assigned(ehr, path, await made(admin, entry("weeks", every=1, window={
            "opens_before": 1, "overdue_after": 1, "closes_after": 3})))  # fmt: skip
        followed = uuid.UUID(row["id"])
        await superuser.execute("delete from protocol_slot where episode_protocol_id = $1", followed)
        await superuser.execute("update episode_protocol set planned_until = current_date where id = $1", followed)
        await run_job(settings, "plan_schedules", "plan_schedules")  # the second finds nothing to do
        latest = await superuser.fetchval(
            "select max(opens_on) from protocol_slot where episode_protocol_id = $1", followed
        )
        assert latest > today() + timedelta(days=56)
        until = await superuser.fetchval("select planned_until from episode_protocol where id = $1", followed)
        assert until == today() + timedelta(days=91)
        count = "select count(*), count(distinct occurrence) from protocol_slot where episode_protocol_id = $1"
        assert len({*await superuser.fetchrow(count, followed)}) == 1, "each once"

    async def test_what_is_answered_is_marked(
        self, ehr: Person, admin: Person, settings: Settings, superuser: asyncpg.Connection
    ) -> None:
        path = await episode_of(ehr, started_on=str(today()))
        row = await assigned(
            ehr, path, await made(admin, entry("baseline"), entry("baseline", instrument="phq-9", id="m"))
        )
        await answered(ehr, path, today() - timedelta(days=1))
        await run_job(settings, "mark_answered")
        query = "select entry, answered from protocol_slot where episode_protocol_id = $1"
        found = await superuser.fetch(query, uuid.UUID(row["id"]))
        assert {one["entry"]: one["answered"] for one in found} == {"baseline": True, "m": False}
        (left,) = await due(ehr, client_id=path.split("/")[3])
        assert left["entry"] == "m"
