"""Files to import, and whoever runs the import when a test says so."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from api.imports.connecting import Connect
from api.imports.running import run
from api.settings import Settings
from tests.api.people import Person, web
from tests.conftest import Tenant

AT = "2026-03-01T10:00:00Z"


@dataclass
class Importer:
    """Somebody who sends files, and a worker for their organisation."""

    http: httpx.AsyncClient
    app: FastAPI
    tenant: Tenant
    url: str

    @property
    def person(self) -> Person:
        return Person(self.http)

    async def send(self, content: bytes | str, **parameters: Any) -> httpx.Response:
        """Post a file as a whole."""
        headers = {"Content-Type": "application/octet-stream"} | parameters.pop("headers", {})
        given = {"format": "csv", "on_error": "skip-bad"} | parameters
        body = content.encode() if isinstance(content, str) else content
        return await self.http.post("/v1/imports", params=given, content=body, headers=headers)

    async def run(self, import_id: str) -> dict[str, Any]:
        """Run an import as a worker does, but here; what it says of itself then."""
        connect = Connect(self.url, self.tenant.id)
        largest = self.app.state.settings.import_max_bytes
        keys = self.app.state.keys
        await asyncio.to_thread(run, connect, keys, self.tenant.id, uuid.UUID(import_id), largest=largest)
        return await self.read(import_id)

    async def read(self, import_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/imports/{import_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def take(self, content: bytes | str, **parameters: Any) -> dict[str, Any]:
        """Send a file and run its import."""
        answer = await self.send(content, **parameters)
        assert answer.status_code == 202, answer.text
        return await self.run(answer.json()["id"])

    async def faults(self, import_id: str) -> list[tuple[int, int, str, str]]:
        """Row, line, pointer and code of each fault."""
        answer = await self.http.get(f"/v1/imports/{import_id}/errors")
        assert answer.status_code == 200, answer.text
        lines = [orjson.loads(line) for line in answer.content.splitlines()]
        return [(line["row"], line["line"], line["pointer"], line["code"]) for line in lines]

    async def responses(self, client_id: str) -> list[dict[str, Any]]:
        """All responses of a client, newest answers first."""
        answer = await self.http.get(f"/v1/clients/{client_id}/responses", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture
async def importer(app: FastAPI, tenant: Tenant, settings: Settings) -> AsyncIterator[Importer]:
    assert settings.database_url is not None
    async with web(app, tenant.slug, "ehr") as http:
        yield Importer(http, app, tenant, settings.database_url.get_secret_value())


def table(header: Sequence[str], *rows: Sequence[Any]) -> str:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def lines(*bodies: Mapping[str, Any]) -> bytes:
    """An NDJSON file."""
    return b"".join(orjson.dumps(body) + b"\n" for body in bodies)


def wide(bodies: Sequence[Mapping[str, Any]]) -> str:
    """Bodies as CSV with a row each."""
    items = list(dict.fromkeys(item for body in bodies for item in body["answers"]))
    members = list(dict.fromkeys(name for body in bodies for name in body if name != "answers"))
    rows = [
        [*(_cell(body.get(name)) for name in members), *(_cell(body["answers"].get(item)) for item in items)]
        for body in bodies
    ]
    return table([*members, *items], *rows)


def long(bodies: Sequence[Mapping[str, Any]]) -> str:
    """Bodies as CSV with a row an answer, all of one item together, as a table that was melted has them."""
    items = list(dict.fromkeys(item for body in bodies for item in body["answers"]))
    members = list(dict.fromkeys(name for body in bodies for name in body if name != "answers"))
    rows = [
        [*(_cell(body.get(name)) for name in members), item, _cell(body["answers"].get(item))]
        for item in items
        for body in bodies
    ]
    return table([*members, "item", "value"], *rows)


def _cell(value: Any) -> Any:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


@pytest.fixture
async def elsewhere_client(app: FastAPI, other_tenant: Tenant) -> AsyncIterator[str]:
    """A client of another organisation."""
    async with web(app, other_tenant.slug, "ehr") as http:
        yield await Person(http).client()
