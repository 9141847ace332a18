"""Clients who are erased while an import is under way: it does not bring them back."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.imports import batches
from tests.api.people import web
from tests.conftest import Tenant
from tests.erasure.whole import ERASE
from tests.imports.conftest import Importer, lines
from tests.imports.test_imports import body


@pytest.fixture
async def admin(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "admin") as http:
        yield http


async def erase(admin: httpx.AsyncClient, client_id: str) -> None:
    answer = await admin.delete(f"/v1/clients/{client_id}", params=ERASE)
    assert answer.status_code == 200, answer.text


def by_external_id(external_id: str, **members: Any) -> dict[str, Any]:
    return {name: value for name, value in body("", **members).items() if name != "client_id"} | {
        "external_id": external_id
    }


async def test_a_client_who_is_erased_while_the_file_waits(importer: Importer, admin: httpx.AsyncClient) -> None:
    erased, other = [await importer.person.client() for _ in range(2)]
    sent = (await importer.send(lines(body(erased), body(other), body(str(uuid.uuid4()))), format="ndjson")).json()
    await erase(admin, erased)
    state = await importer.run(sent["id"])
    assert (state["state"], state["rows"]["written"], state["rows"]["bad"]) == ("finished", 1, 2)
    assert await importer.faults(sent["id"]) == [
        (1, 1, "/client_id", "client-erased"),
        (3, 3, "/client_id", "unknown-client"),
    ]


async def test_nobody_is_made_anew_of_an_external_id_that_may_be_an_erased_clients(
    importer: Importer, admin: httpx.AsyncClient, superuser: asyncpg.Connection
) -> None:
    erased = await importer.person.client(external_id="A-1")
    known = await importer.person.client(external_id="A-2")
    content = lines(*(by_external_id(name) for name in ("A-1", "A-2", "A-3")))
    sent = (await importer.send(content, format="ndjson", create_clients=True)).json()
    await erase(admin, erased)
    state = await importer.run(sent["id"])
    assert (state["rows"]["written"], state["clients_created"]) == (1, 0)
    assert await importer.faults(sent["id"]) == [
        (1, 1, "/external_id", "client-may-be-erased"),
        (3, 3, "/external_id", "client-may-be-erased"),
    ]
    assert len(await importer.responses(known)) == 1
    clients = "select count(*) from client where organisation_id = $1"
    assert await superuser.fetchval(clients, importer.tenant.id) == 1
    again = await importer.take(lines(by_external_id("A-3")), format="ndjson", create_clients=True)
    assert (again["rows"]["written"], again["clients_created"]) == (1, 1), "whoever sends it after that, means it"


@pytest.mark.parametrize("known_by", ["client_id", "external_id"])
async def test_a_client_who_is_erased_between_two_batches(
    importer: Importer, admin: httpx.AsyncClient, superuser: asyncpg.Connection, known_by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The batch after the next is made already when the erasure comes; it is made anew."""
    import asyncio

    from api.imports.people import People

    monkeypatch.setattr(batches, "ROWS", 2)
    client_id = await importer.person.client(external_id="A-1")
    other = await importer.person.client(external_id="A-2")
    names = {client_id: "A-1", other: "A-2"}

    def row(whose: str, day: int) -> dict[str, Any]:
        at = {"answered_at": f"2026-03-{day:02}T10:00:00Z"}
        return body(whose, **at) if known_by == "client_id" else by_external_id(names[whose], **at)

    content = lines(*(row(whose, day) for day in range(1, 7) for whose in (client_id, other)))
    place, calls = People.place, [0]
    loop = asyncio.get_running_loop()

    def erased_after(self: People, rows: Any) -> Any:
        placed = place(self, rows)
        calls[0] += 1
        if calls[0] == 3:  # found, and not written yet
            asyncio.run_coroutine_threadsafe(erase(admin, client_id), loop).result(30)
        return placed

    monkeypatch.setattr(People, "place", erased_after)
    state = await importer.take(content, format="ndjson", create_clients=True)
    assert state["state"] == "finished"
    codes = {fault[3] for fault in await importer.faults(state["id"])}
    assert codes == {"client-erased" if known_by == "client_id" else "client-may-be-erased"}
    assert len(await importer.responses(other)) == 6
    for table, column in (("client", "id"), ("response", "client_id"), ("alert", "client_id")):
        query = f"select count(*) from {table} where organisation_id = $1 and {column} <> $2"  # noqa: S608  - names from above
        left = await superuser.fetchval(query, importer.tenant.id, uuid.UUID(other))
        assert left == 0, table


async def test_an_import_whose_file_is_in_no_backup_says_so(importer: Importer, superuser: asyncpg.Connection) -> None:
    """As a restoration leaves it: neither the parts of the file nor their key are there."""
    sent = (await importer.send(lines(body(await importer.person.client())), format="ndjson")).json()
    open_ = (await importer.send(b"{", format="ndjson", headers={"Upload-Complete": "?0"})).json()
    await superuser.execute("delete from import_chunk where organisation_id = $1", importer.tenant.id)
    await superuser.execute("update import_run set key_wrapped = null where organisation_id = $1", importer.tenant.id)
    state = await importer.run(sent["id"])
    assert (state["state"], state["failure"]["code"]) == ("failed", "interrupted-by-restore")
    answer = await importer.http.patch(
        f"/v1/imports/{open_['id']}/content", content=b"}",
        headers={"Content-Type": "application/partial-upload", "Upload-Offset": "1", "Upload-Complete": "?1"},
    )  # fmt: skip
    assert answer.status_code == 409
    assert "restored backup" in answer.json()["detail"]
