"""Who asks, who receives, and a worker that runs when a test says so."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from procrastinate import App

from api import jobs
from api.metrics import Metrics
from api.settings import Settings
from api.startup import derived_keys
from api.webhooks import jobs as webhook_jobs
from api.webhooks.addresses import Reach
from api.webhooks.jobs import Delivering
from api.webhooks.sending import Sender
from benchmarks.receiver import Receiver
from tests.api.people import Person, web
from tests.conftest import Tenant


@pytest.fixture
def loopback(app: FastAPI, settings: Settings) -> Iterator[None]:
    """Webhooks of this application may go to this machine."""
    app.state.settings = settings.model_copy(update={"webhook_loopback": True})
    yield
    app.state.settings = settings


@pytest.fixture
async def admin(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "admin") as made:
        yield made


@pytest.fixture
async def ehr(app: FastAPI, tenant: Tenant) -> AsyncIterator[Person]:
    async with web(app, tenant.slug, "ehr") as made:
        yield Person(made)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.listening() as made:
        yield made


async def make(admin: httpx.AsyncClient, url: str, **members: Any) -> dict[str, Any]:
    """A new webhook, with its secret."""
    answer = await admin.post("/v1/webhooks", json={"url": url} | members)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@dataclass
class Worker:
    """A worker of the test's organisation."""

    app: App
    tenant: Tenant
    superuser: asyncpg.Connection
    metrics: Metrics

    async def run(self) -> None:
        """Do what there is to do now, as a worker does, but for this organisation only."""
        for organisation_id, webhook_id in await webhook_jobs._waiting(self.app):
            if organisation_id == self.tenant.id:
                await webhook_jobs._queue(self.app, organisation_id, webhook_id)
        queued = (
            "select count(*) from jobs.procrastinate_jobs where status = 'todo' and args ->> 'organisation_id' = $1"
        )
        while await self.superuser.fetchval(queued, str(self.tenant.id)):  # one job queues others
            await self.app.run_worker_async(wait=False)

    async def later(self) -> None:
        """The time of the next attempts has come, and no pause or lease is left; then do what there is."""
        for change in (
            "update webhook_delivery set next_attempt_at = now() where organisation_id = $1 and state = 'pending'",
            "update webhook set paused_until = null, busy_until = null where organisation_id = $1",
        ):
            await self.superuser.execute(change, self.tenant.id)
        await self.run()

    async def deliveries(self, *members: str) -> list[tuple[Any, ...]]:
        """Members of all deliveries, in the order of their events."""
        rows = await self.superuser.fetch(
            f"select {', '.join(members)} from webhook_delivery where organisation_id = $1 order by id",  # noqa: S608  - names from tests
            self.tenant.id,
        )
        return [tuple(row) for row in rows]

    async def webhook(self, webhook_id: str) -> asyncpg.Record:
        row = await self.superuser.fetchrow("select * from webhook where id = $1", uuid.UUID(webhook_id))
        assert row is not None
        return row

    async def failed(self) -> list[str]:
        """Tasks of the organisation that failed by our own fault."""
        rows = await self.superuser.fetch(
            "select task_name from jobs.procrastinate_jobs where status = 'failed' and args ->> 'organisation_id' = $1",
            str(self.tenant.id),
        )
        return [row[0] for row in rows]

    def counted(self, outcome: str) -> float:
        """Attempts that came to that."""
        return self.metrics.registry.get_sample_value("fathomline_webhook_attempts_total", {"outcome": outcome}) or 0.0


@pytest.fixture
async def worker(
    settings: Settings, tenant: Tenant, superuser: asyncpg.Connection, loopback: None
) -> AsyncIterator[Worker]:
    metrics = Metrics()
    assert settings.database_url is not None
    async with Sender.open(Reach(loopback=True)) as sender:
        means = Delivering(sender, derived_keys(settings), metrics)
        app = jobs.application(settings.database_url.get_secret_value(), settings, means)
        async with app.open_async():
            yield Worker(app, tenant, superuser, metrics)
