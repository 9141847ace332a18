from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from tests.api.people import web
from tests.conftest import Tenant
from tests.research.populations import Person, store

PATH = "/v1/research/aggregates"
Asks = Callable[..., Awaitable[dict[str, Any]]]
Stores = Callable[[Sequence[Person]], Awaitable[list[Any]]]


@pytest.fixture
async def researcher(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "researcher") as client:
        yield client


@pytest.fixture
def ask(researcher: httpx.AsyncClient) -> Asks:
    """An answer of the service: PHQ-9 total unless told otherwise."""

    async def asks(*group_by: str, **more: str) -> dict[str, Any]:
        query = {"instrument": "phq-9", "scale": "total", "group_by": list(group_by)} | more
        answer = await researcher.get(PATH, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return asks


@pytest.fixture
def stored(owner: asyncpg.Connection, tenant: Tenant) -> Stores:
    """Writes people into the test's organisation, as the owner of the tables: only it may write scores as they are."""

    async def stores(persons: Sequence[Person]) -> list[Any]:
        return list(await store(owner, tenant.id, persons))

    return stores
