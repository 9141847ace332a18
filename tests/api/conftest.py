from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from tests.api.packs import LADDER_1
from tests.api.people import People, Person, web
from tests.conftest import Tenant
from tests.factories import make_own_instrument


@pytest.fixture
async def people(app: FastAPI, tenant: Tenant, other_tenant: Tenant) -> AsyncIterator[People]:
    """Who asks: an HTTP client for each role of the test's organisation, and for another organisation."""
    async with AsyncExitStack() as stack:

        async def person(organisation: Tenant, role: str) -> Person:
            return Person(await stack.enter_async_context(web(app, organisation.slug, role)))

        yield People(
            ehr=await person(tenant, "ehr"),
            clinician=await person(tenant, "clinician"),
            researcher=await person(tenant, "researcher"),
            admin=await person(tenant, "admin"),
            elsewhere=await person(other_tenant, "ehr"),
        )


@pytest.fixture
def ehr(people: People) -> Person:
    return people.ehr


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with web(app, None, None) as client:
        yield client


@pytest.fixture
def admin(people: People) -> Person:
    return people.admin


@pytest.fixture
async def elsewhere(app: FastAPI, other_tenant: Tenant) -> AsyncIterator[Person]:
    """An administrator of another organisation."""
    async with web(app, other_tenant.slug, "admin") as client:
        yield Person(client)


@pytest.fixture
async def ladder(superuser: asyncpg.Connection, tenant: Tenant) -> str:
    """The invented instrument, published in the test's organisation; its path."""
    await make_own_instrument(superuser, tenant.id, LADDER_1)
    return f"/v1/instruments/{LADDER_1.code}"
