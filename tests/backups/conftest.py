"""What tests of backups share: a filled database, an empty one to restore into, and ways to look at both."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from api.backups.making import Made, make
from api.backups.opening import open_backup
from api.backups.restoring import Restored, restore
from api.db import open_database
from api.embedded import Lease
from api.embedded.cluster import OWNER
from api.organisations.repository import ensure_organisation
from api.security import crypto
from api.settings import Settings
from tests.conftest import MASTER_KEY, Tenant, Urls, copy_of_template, urls_of
from tests.factories import make_client
from tests.platform.test_tenancy import fill

KEYS = crypto.derive(crypto.parse_master_key(MASTER_KEY))
CHART = "chart-0815"
_JOB = "insert into jobs.procrastinate_jobs (queue_name, task_name) values ('q', 'invented')"


@dataclass(frozen=True)
class Filled:
    """A database with two organisations, rows in every table, and two clients in the first organisation."""

    urls: Urls
    tenant: Tenant
    other: Tenant
    first: uuid.UUID
    second: uuid.UUID

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return await counts(self.urls)


async def counts(urls: Urls) -> dict[str, int]:
    """How many rows each table of a database has."""
    connection = await asyncpg.connect(urls.superuser)
    names = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    found = {row[0]: await connection.fetchval(f"select count(*) from {row[0]}") for row in names}  # noqa: S608  - names from the catalogue
    await connection.close()
    return found


async def seal(connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID, text: str) -> None:
    """Give a client a key and an identifier that really are sealed."""
    key = crypto.new_client_key()
    ids = {"organisation_id": organisation_id, "client_id": client_id}
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "update client set key_wrapped = $3, external_id_sealed = $4, external_id_hash = $5"
            " where organisation_id = $1 and id = $2",
            organisation_id,
            client_id,
            crypto.wrap_client_key(KEYS, key, **ids),
            crypto.seal_external_id(key, text, **ids),
            hashlib.sha256(client_id.bytes).digest(),
        )


async def fill_database(urls: Urls, settings: Settings) -> Filled:
    """Rows in every table of two organisations."""
    service = await asyncpg.connect(urls.service)
    tenants = []
    clients = []
    async with open_database(urls.service, settings) as opened:
        for slug in ("one", "two"):
            tenant = Tenant(await ensure_organisation(service, slug, slug), slug)
            tenants.append(tenant)
            clients.append(await fill(opened, service, tenant))
            await seal(service, tenant.id, clients[-1], CHART)
    clients.append(await make_client(service, tenants[0].id))
    await seal(service, tenants[0].id, clients[-1], "another")
    await service.execute("set search_path to jobs; " + _JOB)
    await service.close()
    return Filled(urls, tenants[0], tenants[1], clients[0], clients[2])


@pytest.fixture(scope="module")
async def filled(lease: Lease, run_folder: Path, settings: Settings) -> AsyncIterator[Filled]:
    """A filled database that nothing of a test's changes."""
    name = f"filled_{uuid.uuid4().hex}"
    yield await fill_database(await copy_of_template(lease, run_folder, name), settings)
    await drop(lease, name)


async def drop(lease: Lease, name: str) -> None:
    """Remove a database."""
    connection = await asyncpg.connect(lease.url("postgres", "postgres"))
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def empty(lease: Lease) -> AsyncIterator[Urls]:
    """A database with nothing in it."""
    async with empty_database(lease) as urls:
        yield urls


@asynccontextmanager
async def empty_database(lease: Lease) -> AsyncIterator[Urls]:
    """A database with nothing in it, for as long as the block."""
    name = f"empty_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(lease.url("postgres", "postgres"))
    await connection.execute(f"create database {name} owner {OWNER}")
    await connection.close()
    yield urls_of(lease, name)
    await drop(lease, name)


async def backed_up(urls: Urls, folder: Path, keep: int | None = None) -> Made:
    """A backup of a database, made beside the event loop as the command makes it."""
    return await asyncio.to_thread(make, urls.owner, folder, KEYS, keep=keep)


async def restored(backup: Path, urls: Urls, keys: crypto.Keys = KEYS) -> Restored:
    """A backup restored into an empty database."""
    return await asyncio.to_thread(lambda: restore(open_backup(backup, keys), urls.owner, keys))
