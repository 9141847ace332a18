"""No 201 without a commit: commits that fail, a database that goes away, and one that comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

import api.db
from api import migrate
from api.app import create_app
from api.embedded import acquire
from api.organisations.repository import ensure_organisation
from api.settings import Settings
from tests.api.people import Person, problem, web
from tests.conftest import Urls
from tests.platform.embedding import servers


@asynccontextmanager
async def service_on(urls: Urls, settings: Settings) -> AsyncIterator[FastAPI]:
    """The application on a database that the test may treat badly, with the organisation `demo` in it."""
    app = create_app(
        settings.model_copy(update={"database_url": SecretStr(urls.service), "pool_size": 2, "write_pool_size": 3})
    )
    async with app.router.lifespan_context(app):
        async with app.state.database.pool.acquire() as connection:
            await ensure_organisation(connection, "demo", "Demo")
        yield app


@pytest.fixture
async def app(fresh_database: Urls, settings: Settings) -> AsyncIterator[FastAPI]:
    async with service_on(fresh_database, settings) as made:
        yield made


@pytest.fixture
async def superuser(fresh_database: Urls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database.superuser)
    yield connection
    await connection.close()


@pytest.fixture
async def ehr(app: FastAPI) -> AsyncIterator[Person]:
    async with web(app, "demo", "ehr") as http:
        yield Person(http)


REFUSE_COMMIT = """
create function refuse_commit() returns trigger language plpgsql as $$
begin raise exception 'refused at the commit'; end $$;
create constraint trigger refuse_commit after insert on {table}
deferrable initially deferred for each row execute function refuse_commit()
"""
ALLOW_COMMIT = "drop trigger refuse_commit on {table}; drop function refuse_commit()"


class TestCommitFails:
    """A deferred constraint lets every statement succeed and fails the commit, as a full disk may."""

    async def test_recording(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        await superuser.execute(REFUSE_COMMIT.format(table="response"))
        answer = await ehr.respond(client_id, key="k")
        problem(answer, 500, "internal-error")
        assert "refused" not in answer.text
        for table in ("response", "score", "outbox", "idempotency_key"):
            assert await superuser.fetchval(f"select count(*) from {table}") == 0, table  # noqa: S608  - names above
        await superuser.execute(ALLOW_COMMIT.format(table="response"))
        assert (await ehr.respond(client_id, key="k")).status_code == 201
        assert await superuser.fetchval("select count(*) from response") == 1

    async def test_making_and_changing_a_client(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client(external_id="A-1")
        await superuser.execute(REFUSE_COMMIT.format(table="audit_event"))
        problem(await ehr.http.post("/v1/clients", json={}), 500, "internal-error")
        problem(await ehr.http.patch(f"/v1/clients/{client_id}", json={"partnered": True}), 500, "internal-error")
        assert await superuser.fetchval("select count(*) from client") == 1
        assert await superuser.fetchval("select partnered from client") is None

    async def test_reading_without_its_audit_event(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        made = await ehr.respond(client_id)
        await superuser.execute(REFUSE_COMMIT.format(table="audit_event"))
        for path in (made.headers["location"], f"/v1/clients/{client_id}", f"/v1/clients/{client_id}/responses"):
            problem(await ehr.http.get(path), 500, "internal-error")


class TestDatabaseGone:
    async def kill_backends(self, superuser: asyncpg.Connection) -> None:
        await superuser.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid()"
        )

    async def test_idle_connections_die(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        assert (await ehr.respond(client_id)).status_code == 201
        await self.kill_backends(superuser)
        await asyncio.sleep(0.2)
        answers = [await ehr.respond(client_id) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [201] * 5
        assert (await ehr.http.get(f"/v1/clients/{client_id}")).status_code == 200

    async def test_connection_dies_while_it_records(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        async with superuser.transaction():
            await superuser.execute("lock table response in exclusive mode")  # the recording waits here
            waiting = asyncio.create_task(ehr.respond(client_id, key="k"))
            await self.until_waiting(superuser)
            await self.kill_backends(superuser)
        answer = await waiting
        problem(answer, 503, "service-unavailable")
        assert answer.headers["retry-after"]
        assert await superuser.fetchval("select count(*) from response") == 0
        assert (await ehr.respond(client_id, key="k")).status_code == 201

    async def until_waiting(self, superuser: asyncpg.Connection) -> None:
        for _ in range(200):
            if await superuser.fetchval("select exists (select from pg_locks where not granted)"):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("nobody waited for the table")

    async def test_server_stops_and_comes_back(
        self, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = await asyncio.to_thread(acquire, tmp_path)
        await asyncio.to_thread(migrate.upgrade, held.url_owner)
        urls = Urls(held.url_service, held.url_owner, held.url_owner)
        async with service_on(urls, settings) as app, web(app, "demo", "ehr") as http:
            ehr = Person(http)
            client_id = await ehr.client()
            first = await ehr.respond(client_id, key="first")
            listed = await ehr.http.get("/v1/instruments")
            await asyncio.to_thread(held.close)
            monkeypatch.setattr("api.catalogue.own.FRESH", -1.0)
            for answer in (
                await ehr.respond(client_id, key="k"),
                await ehr.http.get(f"/v1/clients/{client_id}"),
                await ehr.http.post("/v1/clients", json={}),
                await ehr.http.get(f"/v1/clients/{client_id}/responses"),
                await ehr.http.get("/health/ready"),
            ):
                problem(answer, 503, "service-unavailable")
                assert answer.headers["retry-after"]
            assert (await ehr.http.get("/v1/instruments")).content == listed.content, "from memory"
            assert (await ehr.http.get("/v1/instruments/fsfi")).status_code == 200, "what needs no database goes on"
            with await asyncio.to_thread(acquire, tmp_path):
                assert (await ehr.respond(client_id, key="k")).status_code == 201
                assert (await ehr.respond(client_id, key="first")).content == first.content
                assert (await ehr.http.get(f"/v1/clients/{client_id}")).status_code == 200
                assert (await ehr.http.get("/health/ready")).status_code == 200

    async def test_server_falls_silent(
        self, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Frozen, or behind a network that swallows everything: connections stand, and nothing comes back."""
        monkeypatch.setattr(api.db, "SILENCE", 0.5)
        hasty = settings.model_copy(update={"statement_timeout": 0.5})
        with await asyncio.to_thread(acquire, tmp_path) as held:
            await asyncio.to_thread(migrate.upgrade, held.url_owner)
            urls = Urls(held.url_service, held.url_owner, held.url_owner)
            async with service_on(urls, hasty) as app, web(app, "demo", "ehr") as http:
                ehr = Person(http)
                client_id = await ehr.client()
                frozen = servers(tmp_path)
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    async with asyncio.timeout(30):
                        answers = await asyncio.gather(
                            ehr.respond(client_id, key="k"),
                            http.get(f"/v1/clients/{client_id}"),
                            http.get(f"/v1/clients/{client_id}/progress"),
                            http.post("/v1/clients", json={}),
                            http.get("/health/ready"),
                        )
                finally:
                    for pid in frozen:
                        os.kill(pid, signal.SIGCONT)
                for answer in answers:
                    problem(answer, 503, "service-unavailable")
                assert (await ehr.respond(client_id, key="k")).status_code == 201
                assert (await http.get(f"/v1/clients/{client_id}")).status_code == 200


async def test_more_refusals_at_once_than_connections(ehr: Person) -> None:
    """A refused request leaves its event over the other pool, so requests that hold connections wait for none."""
    answers = await asyncio.wait_for(
        asyncio.gather(*(ehr.http.get(f"/v1/clients/{uuid.uuid4()}") for _ in range(30))), 20
    )
    assert {answer.status_code for answer in answers} == {404}
    assert isinstance(answers[0], httpx.Response)
