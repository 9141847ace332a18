"""Background jobs inside the service: they run by themselves, end with it, and take it along in nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from procrastinate.testing import InMemoryConnector
from pydantic import SecretStr

from api import jobs
from api.app import create_app
from api.cli import serve
from api.metrics import Metrics
from api.organisations.repository import ensure_organisation
from api.settings import Settings
from api.startup import derived_keys
from benchmarks.receiver import Receiver
from tests.api.people import web
from tests.conftest import Urls
from tests.webhooks.conftest import make


@pytest.fixture
async def own(fresh_database: Urls, settings: Settings) -> AsyncIterator[FastAPI]:
    """A started application on a database of its own, whose webhooks may go to this machine."""
    changes = {"database_url": SecretStr(fresh_database.service), "webhook_loopback": True}
    app = create_app(settings.model_copy(update=changes))
    async with app.router.lifespan_context(app):
        async with app.state.database.pool.acquire() as connection:
            await ensure_organisation(connection, "one", "One")
        yield app


async def until(condition: Any, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_the_service_delivers_by_itself_and_shows_how_often(own: FastAPI, fresh_database: Urls) -> None:
    superuser = await asyncpg.connect(fresh_database.superuser)
    workers = "select count(*) from jobs.procrastinate_workers"

    async def worker_there() -> bool:
        return bool(await superuser.fetchval(workers))

    async with Receiver.listening() as receiver, web(own, "one", "admin") as admin:
        made = await make(admin, receiver.url)
        async with serve._jobs(own):
            await until(worker_there)
            answer = await admin.post(f"/v1/webhooks/{made['id']}/test")
            await receiver.until(1, seconds=15)
            assert receiver.ids == [answer.json()["id"]]

            async def counted() -> bool:
                return 'fathomline_webhook_attempts_total{outcome="delivered"} 1.0' in await metrics(admin)

            await until(counted)
            text = await metrics(admin)
    assert await superuser.fetchval(workers) == 0, "it has signed off"
    await superuser.close()
    for secret in (made["id"], receiver.url, answer.json()["id"]):
        assert secret not in text


async def metrics(http: httpx.AsyncClient) -> str:
    return (await http.get("/metrics")).text


async def test_it_does_not_where_the_settings_say_so(app: FastAPI, settings: Settings) -> None:
    app.state.settings = settings.model_copy(update={"worker": "none"})
    try:
        async with serve._jobs(app):
            assert "jobs" not in {task.get_name() for task in asyncio.all_tasks()}
    finally:
        app.state.settings = settings


async def test_a_worker_that_fails_is_started_again(
    fresh_database: Urls, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(jobs, "PAUSE", 0.05)
    monkeypatch.setattr(jobs.logging.logger, "error", lambda event, **line: said.append({"event": event} | line))
    superuser = await asyncpg.connect(fresh_database.superuser)
    await superuser.execute("alter schema jobs rename to away")
    own = settings.model_copy(update={"database_url": SecretStr(fresh_database.service)})
    running = asyncio.create_task(jobs.beside(fresh_database.service, own, derived_keys(own), Metrics()))

    async def failed_twice() -> bool:
        return len(said) >= 2

    async def at_work() -> bool:
        return bool(await superuser.fetchval("select count(*) from jobs.procrastinate_workers"))

    await until(failed_twice)
    assert {(line["event"], line["state"]) for line in said} == {("worker", "failed")}
    assert fresh_database.service not in str(said)
    await superuser.execute("alter schema away rename to jobs")
    await until(at_work)
    running.cancel()
    await asyncio.wait([running], timeout=30)
    assert running.cancelled()
    assert not await at_work()
    await superuser.close()


class Swallowing(InMemoryConnector):
    """Opens for as long as nobody ends it, and takes no notice of what for; so does a wait that is over just then."""

    async def open_async(self, pool: Any = None) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def test_a_worker_that_is_ended_while_it_starts_ends(settings: Settings) -> None:
    app = jobs.application("postgresql://u@127.0.0.1:9/x", settings)
    with app.replace_connector(Swallowing()) as replaced:
        running = asyncio.create_task(jobs._run(replaced))
        await asyncio.sleep(0.05)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=5)
        held = not done
        running.cancel()
        await asyncio.wait([running])
    assert not held, "until it was ended once more"
