"""Whose an own instrument is, and what nobody can change about it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api import migrate
from api.authoring.listing import AT_ONCE
from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.db import Database
from instruments import UnknownInstrument
from scoring.plan import Plan, plan_of
from tests.api.people import People, Person, problem, web
from tests.authoring.definitions import submission
from tests.authoring.test_lifecycle import PATH, draft_of, drafted, publish, published
from tests.conftest import Tenant, Urls

TABLES = ("instrument_draft", "own_instrument", "own_instrument_retirement")
APPEND_ONLY = TABLES[1:]


@pytest.fixture
async def filled(people: People) -> None:
    """A published version, retired, and a draft of the next."""
    await published(people.admin)
    await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire")
    await drafted(people.admin, version=2)


@pytest.fixture
async def elsewhere(app: FastAPI, other_tenant: Tenant) -> AsyncIterator[Person]:
    """An administrator of the other organisation."""
    async with web(app, other_tenant.slug, "admin") as client:
        yield Person(client)


@pytest.mark.usefixtures("filled")
class TestElsewhere:
    async def test_nothing_is_there(self, elsewhere: Person, people: People) -> None:
        tag = {"If-Match": "*"}
        asked = [
            ("get", f"{PATH}/own-lamp", {}),
            ("get", f"{PATH}/own-lamp/versions/1", {}),
            ("post", f"{PATH}/own-lamp/score", {"json": {"answers": {}}}),
            ("post", f"{PATH}/own-lamp/versions/1/retire", {}),
            ("get", draft_of(version=2), {}),
            ("put", draft_of(version=2), {"json": submission(version=2), "headers": tag}),
            ("delete", draft_of(version=2), {"headers": tag}),
            ("post", f"{draft_of(version=2)}/validate", {}),
            ("post", f"{draft_of(version=2)}/preview", {"json": {"answers": {}}}),
            ("post", f"{PATH}/own-lamp/versions/2/publish", {"headers": tag}),
        ]
        for method, path, more in asked:
            problem(await elsewhere.http.request(method, path, **more), 404, "not-found")
        assert (await elsewhere.http.get(f"{PATH}?q=own-")).json()["items"] == []
        answer = await people.elsewhere.respond(await people.elsewhere.client(), instrument="own-lamp", answers={})
        assert problem(answer, 422, "request-invalid")["errors"][0]["code"] == "unknown-instrument"
        progress = await people.elsewhere.http.get(
            f"/v1/clients/{await people.elsewhere.client()}/progress?instrument=own-lamp"
        )
        assert problem(progress, 422, "request-invalid")["errors"][0]["code"] == "unknown-instrument"
        assert (await people.admin.http.get(draft_of(version=2))).status_code == 200, "theirs is untouched"

    async def test_the_same_code_is_another_instrument(self, elsewhere: Person, people: People) -> None:
        await published(elsewhere, name="Another lamp")
        names = [(await person.http.get(f"{PATH}/own-lamp")).json()["name"] for person in (people.ehr, elsewhere)]
        assert names == ["Lamplight Ease Scale (invented)", "Another lamp"]
        statuses = [(await person.http.get(f"{PATH}/own-lamp")).json()["status"] for person in (people.ehr, elsewhere)]
        assert statuses == ["retired", "published"]


class TestScope:
    @pytest.mark.parametrize("role", ["ehr", "clinician", "researcher"])
    async def test_only_administrators_write(self, people: People, role: str) -> None:
        person: Person = getattr(people, role)
        problem(await person.http.post(PATH, json=submission()), 403, "forbidden")
        problem(await person.http.post(f"{PATH}/validate", json=submission()), 403, "forbidden")
        made = await drafted(people.admin)
        problem(await person.http.get(draft_of()), 403, "forbidden")
        tag = {"If-Match": made.headers["etag"]}
        for path in (f"{PATH}/own-lamp/versions/1/publish", f"{PATH}/own-lamp/versions/1/retire"):
            problem(await person.http.post(path, headers=tag), 403, "forbidden")

    async def test_without_a_token_no_body_is_read(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.post(PATH, content="a: [", headers={"Content-Type": "application/yaml"})
        problem(answer, 401, "unauthenticated")


@pytest.mark.usefixtures("filled")
class TestImmutable:
    @pytest.mark.parametrize("table", APPEND_ONLY)
    @pytest.mark.parametrize("change", ["update {} set version = version", "delete from {}", "truncate {} cascade"])
    async def test_nobody_changes_what_was_published(
        self,
        service: asyncpg.Connection,
        owner: asyncpg.Connection,
        superuser: asyncpg.Connection,
        tenant: Tenant,
        table: str,
        change: str,
    ) -> None:
        for connection in (service, owner, superuser):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change.format(table))
            await transaction.rollback()

    @pytest.mark.parametrize("table", TABLES)
    async def test_without_an_organisation_there_is_nothing(self, service: asyncpg.Connection, table: str) -> None:
        assert await service.fetchval(f"select count(*) from {table}") == 0  # noqa: S608  - names from the list above

    async def test_a_shipped_code_cannot_even_be_stored(self, superuser: asyncpg.Connection) -> None:
        for table in TABLES[:2]:
            transaction = superuser.transaction()
            await transaction.start()
            await superuser.execute("set local session_replication_role = replica")  # the trigger aside
            with pytest.raises(asyncpg.CheckViolationError):
                await superuser.execute(f"update {table} set code = 'fsfi'")  # noqa: S608  - as above
            await transaction.rollback()


async def test_however_many_drafts_there_are_each_is_listed_once(people: People) -> None:
    numbers = [3, 1, *range(10, 10 + 2 * AT_ONCE)]
    for version in numbers:
        await drafted(people.admin, version=version)
    await drafted(people.admin, code="own-a")
    items = (await people.admin.http.get(f"{PATH}?status=draft")).json()["items"]
    assert [(one["code"], one["version"]) for one in items] == [
        ("own-a", 1),
        *(("own-lamp", version) for version in sorted(numbers)),
    ]


async def test_trail(people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
    made = await drafted(people.admin)
    tag = {"If-Match": made.headers["etag"]}
    changed = await people.admin.http.put(draft_of(), json=submission(name="B"), headers=tag)
    await people.admin.http.put(draft_of(), json=submission(), headers=tag)
    tag = {"If-Match": changed.headers["etag"]}
    await people.admin.http.post(f"{PATH}/own-lamp/versions/1/publish", headers=tag)
    await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire")
    await people.admin.http.post(f"{PATH}/own-none/versions/1/publish", headers=tag)
    second = await people.admin.http.post(PATH, json={"definition": submission(version=2)["definition"]})
    tag = {"If-Match": second.headers["etag"]}
    await people.admin.http.post(f"{PATH}/own-lamp/versions/2/publish", headers=tag)
    await people.admin.http.delete(draft_of(version=2), headers=tag)
    rows = await superuser.fetch("select * from audit_event where organisation_id = $1 order by id", tenant.id)
    assert [(row["action"], row["outcome"]) for row in rows] == [
        ("create-draft", "done"),
        ("replace-draft", "done"),
        ("replace-draft", "stale"),
        ("publish", "done"),
        ("retire", "done"),
        ("publish", "not-found"),
        ("create-draft", "done"),
        ("publish", "golden-cases-failed"),
        ("delete-draft", "done"),
    ]
    first, none, last = rows[0]["resource_id"], rows[5]["resource_id"], rows[6]["resource_id"]
    assert [row["resource_id"] for row in rows] == [first] * 5 + [none] + [last] * 3
    assert (none, first != last) == (None, True)
    assert {(row["resource"], row["subject"]) for row in rows} == {("instrument", "admin-1")}


async def test_a_draft_cannot_come_while_its_version_is_being_published(
    people: People, service: asyncpg.Connection, superuser: asyncpg.Connection, tenant: Tenant
) -> None:
    await drafted(people.admin)
    async with service.transaction():  # what publishing does, stopped before its end
        await service.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
        await service.execute("delete from instrument_draft")
        await service.execute(
            "insert into own_instrument values ($1, 'own-lamp', 1, $1, repeat('0', 64), '{}', '[]', now(), 's')",
            tenant.id,
        )
        again = asyncio.create_task(people.admin.http.post(PATH, json=submission()))
        waiting = "select count(*) from pg_locks where not granted"
        while not await superuser.fetchval(waiting):
            assert not again.done(), "it did not wait"
            await asyncio.sleep(0.01)
    problem(await again, 409, "instrument-version-taken")
    assert await superuser.fetchval("select count(*) from instrument_draft where organisation_id = $1", tenant.id) == 0


class TestKeptInMemory:
    async def test_it_is_bounded(self, people: People, opened: Database, tenant: Tenant) -> None:
        for version in (1, 2, 3):
            await published(people.admin, version=version)
        own = OwnInstruments(opened.pool, most_plans=2)
        library = Library(own)
        first = await library.get(tenant.id, "own-lamp", 1)
        assert await library.get(tenant.id, "own-lamp", 1) is first
        for version in (2, 3):
            await library.get(tenant.id, "own-lamp", version)
        assert len(own._kept) == 2
        again = await library.get(tenant.id, "own-lamp", 1)
        assert (again.checksum == first.checksum, again is first) == (True, False)
        own.close()

    async def test_lists_compile_none_and_push_none_out(self, people: People, app: FastAPI, tenant: Tenant) -> None:
        for code in ("own-a", "own-b", "own-c"):
            await published(people.admin, code=code)
        await people.admin.http.post(f"{PATH}/own-c/versions/1/retire")
        own = app.state.library.own
        for _ in range(2):
            found = (await people.ehr.http.get(f"{PATH}?q=own-")).json()["items"]
            statuses = {one["code"]: one["status"] for one in found}
            assert statuses == {"own-a": "published", "own-b": "published", "own-c": "retired"}
        assert not [key for key in own._kept if key[0] == tenant.id]
        assert {key[1] for key, _ in own._listed if key[0] == tenant.id} == {"own-a", "own-b", "own-c"}

    async def test_what_is_let_go_is_gone_at_once(self, people: People, opened: Database, tenant: Tenant) -> None:
        """Without waiting for the garbage collector, which looks for cycles too seldom to keep up."""
        for version in (1, 2):
            await published(people.admin, version=version)
        own = OwnInstruments(opened.pool, most_plans=1)
        gc.collect()
        gc.disable()
        try:
            first = weakref.ref(plan_of(await Library(own).get(tenant.id, "own-lamp", 1)))
            assert first() is not None
            await Library(own).get(tenant.id, "own-lamp", 2)
            assert first() is None
        finally:
            gc.enable()
            own.close()

    async def test_nothing_stays_of_a_check(self, people: People) -> None:
        made = await drafted(people.admin)
        contradiction = submission(version=2)
        contradiction["definition"]["scales"][0]["max"] = 9
        gc.collect()
        before = {id(one) for one in gc.get_objects() if isinstance(one, Plan)}
        gc.disable()
        try:
            for body in (submission(version=2), contradiction):
                assert (await people.admin.http.post(f"{PATH}/validate", json=body)).status_code == 200
            answer = await people.admin.http.post(f"{draft_of()}/preview", json={"answers": {"1": 3, "2": 3, "3": 0}})
            assert answer.status_code == 200
            assert (await publish(people.admin, made)).status_code == 201
            assert {id(one) for one in gc.get_objects() if isinstance(one, Plan)} <= before
        finally:
            gc.enable()

    async def test_by_the_length_of_its_text_too(self, people: People, opened: Database, tenant: Tenant) -> None:
        for version in (1, 2):
            await published(people.admin, version=version)
        own = OwnInstruments(opened.pool, most_text=1_500)
        for version in (1, 2):
            await Library(own).get(tenant.id, "own-lamp", version)
        assert len(own._kept) == 1
        own.close()

    async def test_those_who_ask_at_once_wait_for_one(self, people: People, opened: Database, tenant: Tenant) -> None:
        await published(people.admin)
        own = OwnInstruments(opened.pool)
        found = await asyncio.gather(*(Library(own).get(tenant.id, "own-lamp") for _ in range(20)))
        assert {id(one) for one in found} == {id(found[0])}
        own.close()

    async def test_it_is_ready_to_score(self, people: People, opened: Database, tenant: Tenant) -> None:
        await published(people.admin)
        own = OwnInstruments(opened.pool)
        found = await Library(own).get(tenant.id, "own-lamp")
        assert all(found.compiled[variant].shortcut is not None for variant in (None, *found.variant_ids))
        own.close()

    async def test_codes_that_cannot_be_are_not_asked_for(self, tenant: Tenant) -> None:
        library = Library(OwnInstruments(None))  # type: ignore[arg-type]  # a query would fail
        for code in ("own-", "own-\0", "own-" + "a" * 37, "own-A", "fsfi-x"):
            with pytest.raises(UnknownInstrument):
                await library.get(tenant.id, code)
        assert (await library.get(tenant.id, "fsfi")).code == "fsfi"

    async def test_what_was_changed_behind_our_back_is_not_used(
        self, people: People, opened: Database, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        await published(people.admin)
        async with superuser.transaction():
            await superuser.execute("set local session_replication_role = replica")
            await superuser.execute(
                'update own_instrument set definition = (definition::jsonb || \'{"name": "B"}\')::json '
                "where organisation_id = $1",
                tenant.id,
            )
        own = OwnInstruments(opened.pool)
        with pytest.raises(RuntimeError, match="not the one that was published"):
            await Library(own).get(tenant.id, "own-lamp")
        own.close()


async def test_migration_up_down_and_up_again_on_data(fresh_database: Urls) -> None:
    connection = await asyncpg.connect(fresh_database.superuser)
    await connection.execute(
        """
        insert into organisation (organisation_id, slug, name) values (gen_random_uuid(), 'a', 'A');
        insert into instrument_draft
          select organisation_id, 'own-a', 2, gen_random_uuid(), 1, '{}', '[]', now(), now(), 's' from organisation;
        insert into own_instrument
          select organisation_id, 'own-a', 1, gen_random_uuid(), repeat('0', 64), '{}', '[]', now(), 's'
          from organisation;
        insert into own_instrument_retirement select organisation_id, 'own-a', 1, now(), 's' from organisation;
        """
    )
    migrate.downgrade(fresh_database.owner, "0004")
    left = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    assert not {row[0] for row in left} & set(TABLES)
    assert await connection.fetchval("select to_regproc('read_own_instrument')") is None
    migrate.upgrade(fresh_database.owner)
    assert await connection.fetchval("select count(*) from own_instrument") == 0
    assert await connection.fetchval("select count(*) from organisation") == 1
    await connection.close()
