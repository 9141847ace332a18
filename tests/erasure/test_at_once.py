"""Erasing while others write to the same record: what they wrote is erased too, or they were refused."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import httpx
import pytest

from tests.api.people import People
from tests.conftest import Tenant
from tests.erasure.whole import ERASE, ERASED, ok, recording, rows_of

Write = Callable[[httpx.AsyncClient, str], Coroutine[Any, Any, httpx.Response]]
ROUNDS = 4


def posting(path: str, **body: object) -> Write:
    async def write(http: httpx.AsyncClient, episode: str) -> httpx.Response:
        client, _, episode_id = episode.partition("/")
        return await http.post(path.format(client=client, episode=episode_id), json=body)

    return write


async def record(http: httpx.AsyncClient, episode: str) -> httpx.Response:
    client, _, episode_id = episode.partition("/")
    request = recording(client)
    request["json"] |= {"episode_id": episode_id}
    return await http.post("/v1/responses", **request)


async def couple(http: httpx.AsyncClient, episode: str) -> httpx.Response:
    partner = ok(await http.post("/v1/clients", json={}))["id"]
    body = {"clients": [episode.partition("/")[0], partner], "joined_on": "2026-01-12"}
    return await http.post("/v1/couples", json=body)


GOAL = {"kind": "target", "wording": "words", "target": 8, "baseline": 2, "set_on": "2026-01-12"}
WRITES: dict[str, Write] = {
    "response": record,
    "couple": couple,
    "session": posting("/v1/clients/{client}/episodes/{episode}/sessions", held_at="2026-03-01T10:00:00Z"),
    "goal": posting("/v1/clients/{client}/goals", **GOAL),
    "consent": posting("/v1/clients/{client}/research-consent", given=True, stated_on="2026-01-12"),
    "assignment": posting("/v1/clients/{client}/assignments", kind="reading", set_on="2026-01-12", due_on="2026-01-19"),
}


@pytest.mark.parametrize("kind", WRITES)
async def test_no_row_is_ever_left_behind(
    people: People, superuser: asyncpg.Connection, tenant: Tenant, kind: str
) -> None:
    http, seen = people.ehr.http, set()
    for turn in range(ROUNDS):
        client = await people.ehr.client()
        begun = {"started_on": "2026-02-01", "format": "individual"}
        episode = ok(await http.post(f"/v1/clients/{client}/episodes", json=begun))["id"]

        async def erase(client: str = client, turn: int = turn) -> httpx.Response:
            await asyncio.sleep(0.004 * turn)
            return await people.admin.http.delete(f"/v1/clients/{client}", params=ERASE)

        erased, *answers = await asyncio.gather(erase(), *(WRITES[kind](http, f"{client}/{episode}") for _ in range(6)))
        assert erased.status_code == 200, erased.text
        for answer in answers:
            assert answer.status_code in (201, 404, 410, 422, 503), answer.text
            seen.add(answer.status_code)
        rows = await rows_of(superuser, tenant.id, client)
        assert {table: found for table, found in rows.items() if found} == {}
        for child, parent, column in ORPHANS:
            query = (
                f"select count(*) from {child} t where t.organisation_id = $1 and not exists (select from {parent} p "  # noqa: S608  - names from above
                f"where p.organisation_id = t.organisation_id and p.id = t.{column})"
            )
            assert await superuser.fetchval(query, tenant.id) == 0, child
    assert len(ERASED) > 15
    assert seen & {201, 404, 410, 422}


ORPHANS = (
    ("score", "response", "response_id"),
    ("idempotency_key", "response", "response_id"),
    ("care_session", "episode", "episode_id"),
    ("couple_consent", "couple_member", "member_id"),
    ("goal_rating", "goal", "goal_id"),
)


async def test_whoever_holds_the_record_is_waited_for_and_what_they_wrote_is_erased(
    people: People, service: asyncpg.Connection, superuser: asyncpg.Connection, tenant: Tenant
) -> None:
    client = await people.ehr.client()
    begun = {"started_on": "2026-02-01", "format": "individual"}
    episode = ok(await people.ehr.http.post(f"/v1/clients/{client}/episodes", json=begun))["id"]
    transaction = service.transaction()
    await transaction.start()
    await service.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
    await service.execute(
        "insert into care_session (organisation_id, id, episode_id, held_at, held_on, created_at, updated_at)"
        " values ($1, $2, $3, now(), now()::date, now(), now())",
        tenant.id,
        uuid.uuid4(),
        uuid.UUID(episode),
    )
    erasing = asyncio.create_task(people.admin.http.delete(f"/v1/clients/{client}", params=ERASE))
    await asyncio.sleep(0.3)
    assert not erasing.done()
    await transaction.commit()
    erased = ok(await erasing)
    assert erased["removed"]["care_session"] == 1
    rows = await rows_of(superuser, tenant.id, client)
    assert {table: found for table, found in rows.items() if found} == {}


@pytest.mark.parametrize("kind", WRITES)
async def test_who_writes_while_it_is_being_erased_is_refused(
    people: People, service: asyncpg.Connection, superuser: asyncpg.Connection, tenant: Tenant, kind: str
) -> None:
    client = await people.ehr.client()
    begun = {"started_on": "2026-02-01", "format": "individual"}
    episode = ok(await people.ehr.http.post(f"/v1/clients/{client}/episodes", json=begun))["id"]
    transaction = service.transaction()
    await transaction.start()
    erase = "select erase_client($1, $2, $3, now(), 'admin-1', 'asked-for', null)"
    assert await service.fetchval(erase, tenant.id, uuid.UUID(client), uuid.uuid4()) is not None
    writing = asyncio.create_task(WRITES[kind](people.ehr.http, f"{client}/{episode}"))
    await asyncio.sleep(0.3)
    assert not writing.done(), "it waits to see what becomes of the client"
    await transaction.commit()
    assert (await writing).status_code in (404, 410)
    rows = await rows_of(superuser, tenant.id, client)
    assert {table: found for table, found in rows.items() if found} == {}


async def test_of_two_at_once_one_erases(people: People) -> None:
    client = await people.ehr.client()
    answers = await asyncio.gather(*(people.admin.http.delete(f"/v1/clients/{client}", params=ERASE) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 410, 410]
