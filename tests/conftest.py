"""What tests share: one embedded server a run, one database a worker, and an organisation of its own for each test.

Tests are kept apart as tenants are: each works in a fresh organisation, and row-level security hides all others. What
must see a whole database alone takes `fresh_database`.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import hypothesis
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlmodel.ext.asyncio.session import AsyncSession

from api import logging, migrate
from api.db import Database, open_database
from api.embedded import Lease, acquire
from api.embedded.cluster import OWNER, SERVICE
from api.organisations.repository import ensure_organisation
from api.settings import Settings

gc.set_threshold(20_000, 20, 20)
"""As the service sets it: the libraries and some thousands of tests are a million objects to walk through each time."""

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

MASTER_KEY = bytes(range(7, 39)).hex()


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end, so the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Urls:
    """One database, for each of the roles."""

    service: str
    owner: str
    superuser: str


@dataclass(frozen=True)
class Tenant:
    """An organisation that one test has for itself."""

    id: uuid.UUID
    slug: str


@pytest.fixture(autouse=True)
def open_log() -> None:
    """Log to a stream that stays open: an earlier test's application or captured stream may have been the last."""
    assert sys.__stderr__ is not None
    logging.configure("info", sys.__stderr__)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def lease(run_folder: Path) -> Iterator[Lease]:
    """The run's server; it ends with the last worker."""
    with acquire(run_folder / "server") as held:
        yield held


def urls_of(lease: Lease, name: str) -> Urls:
    """The URLs of the database ``name``."""
    return Urls(lease.url(SERVICE, name), lease.url(OWNER, name), lease.url("postgres", name))


@contextmanager
def _alone(run_folder: Path) -> Iterator[None]:
    """One worker at a time: a database cannot be copied while somebody is connected to it."""
    with (run_folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def copy_of_template(lease: Lease, run_folder: Path, name: str) -> Urls:
    """A new database with the schema in place, copied from one that was migrated once."""
    with _alone(run_folder):
        migrate.upgrade(lease.url_owner)
        await _execute(lease.url("postgres", "postgres"), f"create database {name} template fathomline owner {OWNER}")
    return urls_of(lease, name)


@pytest.fixture(scope="session")
async def database(lease: Lease, run_folder: Path, worker_id: str) -> Urls:
    """The worker's migrated database."""
    return await copy_of_template(lease, run_folder, f"test_{worker_id}")


@pytest.fixture
async def fresh_database(lease: Lease, run_folder: Path) -> AsyncIterator[Urls]:
    """A migrated, empty database for one test."""
    name = f"fresh_{uuid.uuid4().hex}"
    yield await copy_of_template(lease, run_folder, name)
    await _execute(lease.url("postgres", "postgres"), f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def settings(database: Urls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings on the worker's database, with the development issuer on."""
    return Settings(
        _env_file=None,
        data=tmp_path_factory.mktemp("data"),
        database_url=SecretStr(database.service),
        database_owner_url=SecretStr(database.owner),
        master_key=SecretStr(MASTER_KEY),
        development_issuer=True,
        write_pool_size=20,
    )


@pytest.fixture
async def owner(database: Urls) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the role that owns the tables."""
    connection = await asyncpg.connect(database.owner)
    yield connection
    await connection.close()


@pytest.fixture
async def superuser(database: Urls) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees every row, to check what the others must not see."""
    connection = await asyncpg.connect(database.superuser)
    yield connection
    await connection.close()


@pytest.fixture
async def service(database: Urls) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the role of the service, in no organisation."""
    connection = await asyncpg.connect(database.service)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def opened(settings: Settings, database: Urls) -> AsyncIterator[Database]:
    """Engine and pools of the service role."""
    async with open_database(database.service, settings) as held:
        yield held


async def _tenant(service: asyncpg.Connection) -> Tenant:
    slug = f"t-{uuid.uuid4().hex}"
    return Tenant(await ensure_organisation(service, slug, "An organisation of one test"), slug)


@pytest.fixture
async def tenant(service: asyncpg.Connection) -> Tenant:
    """The test's own organisation."""
    return await _tenant(service)


@pytest.fixture
async def other_tenant(service: asyncpg.Connection) -> Tenant:
    """A second organisation, whose data the first must not reach."""
    return await _tenant(service)


@pytest.fixture
async def session(opened: Database, tenant: Tenant) -> AsyncIterator[AsyncSession]:
    """A session within the test's organisation; commit in it as you like."""
    async with opened.sessions(info={"organisation_id": tenant.id}) as made:
        yield made


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The whole application, started."""
    from api.app import create_app

    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application; it sends no token of its own accord."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as made:
        yield made
