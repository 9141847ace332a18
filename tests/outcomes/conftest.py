from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from tests.api.people import web
from tests.conftest import Tenant
from tests.outcomes.clinic import Course, store

PATH = "/v1/organisation/outcomes"
Asks = Callable[..., Awaitable[dict[str, Any]]]
Stores = Callable[[Sequence[Course]], Awaitable[list[Any]]]


@pytest.fixture
async def admin(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "admin") as client:
        yield client


@pytest.fixture
def ask(admin: httpx.AsyncClient) -> Asks:
    """An answer of the service: PHQ-9 total, without reliability, unless told otherwise."""

    async def asks(**query: Any) -> dict[str, Any]:
        answer = await admin.get(PATH, params={"instrument": "phq-9", "reliability": False} | query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return asks


@pytest.fixture
def stored(owner: asyncpg.Connection, tenant: Tenant) -> Stores:
    """Writes episodes into the test's organisation, as the owner of the tables: only it may write scores so."""

    async def stores(courses: Sequence[Course]) -> list[Any]:
        return list(await store(owner, tenant.id, courses))

    return stores
