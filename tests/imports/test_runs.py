"""Runs: by a worker in a process of its own, interrupted and taken up again, cancelled while they run."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from procrastinate import App

from api import jobs
from api.imports import batches, heart
from api.imports.connecting import Connect
from api.imports.jobs import PURGE, RUN, _waiting
from api.imports.people import People
from api.imports.running import MOST_ATTEMPTS, run
from api.settings import Settings
from tests.conftest import MASTER_KEY
from tests.imports.conftest import Importer, lines, long, wide
from tests.imports.test_imports import body


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[App]:
    """The jobs, on the worker's database; run by `work`."""
    assert settings.database_url is not None
    app = jobs.application(settings.database_url.get_secret_value(), settings)
    async with app.open_async():
        yield app


async def work(app: App) -> None:
    """Do what is queued."""
    await app.run_worker_async(wait=False, concurrency=2, install_signal_handlers=False, listen_notify=False)


def days(client_id: str, number: int) -> list[dict[str, Any]]:
    """One form for each of some days."""
    answers = {str(item): item % 4 for item in range(1, 8)}
    first = datetime(2010, 1, 1, 10, tzinfo=UTC)
    times = [(first + timedelta(days=day)).isoformat() for day in range(number)]
    return [body(client_id, instrument="gad-7", answers=answers, answered_at=at) for at in times]


async def test_a_worker_runs_what_waits_in_a_process_of_its_own(importer: Importer, worker: App) -> None:
    client_id = await importer.person.client()
    sent = (await importer.send(wide(days(client_id, 30)))).json()
    own = (importer.tenant.id, uuid.UUID(sent["id"]))
    assert own in await _waiting(worker)
    given = {"organisation_id": str(own[0]), "import_id": str(own[1])}
    for _ in range(2):  # queued twice, it is run once
        await worker.configure_task(RUN).defer_async(**given)
    await work(worker)
    state = await importer.read(sent["id"])
    assert (state["state"], state["rows"]["written"], state["bytes_read"]) == ("finished", 30, state["bytes_received"])
    assert own not in await _waiting(worker)


async def test_what_a_dead_worker_was_at_waits_again(
    importer: Importer, worker: App, superuser: asyncpg.Connection
) -> None:
    client_id = await importer.person.client()
    ids = [uuid.UUID((await importer.send(wide(days(client_id, 2)))).json()["id"]) for _ in range(2)]
    change = "update import_run set state = 'running', changed_at = now() - $2::interval where id = $1"
    await superuser.execute(change, ids[0], timedelta(seconds=5))
    assert not {found[1] for found in await _waiting(worker)} & set(ids)  # one of an organisation at a time
    await superuser.execute(change, ids[0], timedelta(seconds=31))
    assert {found[1] for found in await _waiting(worker)} & set(ids) == {ids[0]}


async def test_uploads_that_do_not_go_on_are_given_up(
    importer: Importer, worker: App, superuser: asyncpg.Connection
) -> None:
    stale, fresh = [
        (await importer.send(b"x", headers={"Upload-Complete": "?0"})).json()["id"] for _ in range(2)
    ]  # fmt: skip
    query = "update import_run set changed_at = now() - interval '25 hours' where id = $1"
    await superuser.execute(query, uuid.UUID(stale))
    await worker.configure_task(PURGE).defer_async()
    await work(worker)
    assert (await importer.read(stale))["failure"]["code"] == "upload-abandoned"
    assert (await importer.read(fresh))["state"] == "uploading"
    left = await superuser.fetch("select import_id from import_chunk where organisation_id = $1", importer.tenant.id)
    assert [str(row[0]) for row in left] == [fresh]


class Killed(Exception):
    """As far as the import goes, the process is gone."""


def after(number: int) -> Callable[..., None]:
    """What kills a run after some batches."""
    left = [number]

    def told(*_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed

    return told


async def start(importer: Importer, import_id: str, told: Callable[..., None]) -> str:
    connect = Connect(importer.url, importer.tenant.id)
    own = (importer.tenant.id, uuid.UUID(import_id))
    return await asyncio.to_thread(run, connect, importer.app.state.keys, *own, largest=1 << 30, told=told)


@pytest.mark.parametrize("layout", ["wide", "long"])
async def test_a_run_that_was_killed_goes_on_without_doubles(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setattr(batches, "ROWS", 5)
    client_id = await importer.person.client()
    made = days(client_id, 23)
    made[12] = made[12] | {"setting": "nowhere"}
    content = long(made) if layout == "long" else wide(made)
    import_id = (await importer.send(content, layout=layout)).json()["id"]
    for number in (1, 1, 2):
        with pytest.raises(Killed):
            await start(importer, import_id, after(number))
        kept = await importer.read(import_id)
        assert kept["state"] == "running"
        assert kept["rows"]["read"] % 5 == 0
        assert len(await importer.responses(client_id)) == kept["rows"]["written"]
    state = await importer.run(import_id)
    assert state["rows"] == {"read": 23, "good": 22, "bad": 1, "already_there": 0, "written": 22}
    assert len(await importer.responses(client_id)) == 22
    assert [fault[2:] for fault in await importer.faults(import_id)] == [("/setting", "unknown-code")]


async def test_all_or_nothing_begins_again(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROWS", 5)
    client_id = await importer.person.client()
    import_id = (await importer.send(wide(days(client_id, 23)), on_error="all-or-nothing")).json()["id"]
    with pytest.raises(Killed):
        await start(importer, import_id, after(3))
    assert await importer.responses(client_id) == []
    state = await importer.run(import_id)
    assert state["rows"] == {"read": 23, "good": 23, "bad": 0, "already_there": 0, "written": 23}
    assert len(await importer.responses(client_id)) == 23


async def test_a_run_that_never_comes_to_an_end_is_given_up(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ROWS", 1)
    import_id = (await importer.send(wide(days(await importer.person.client(), 3)), dry_run=True)).json()["id"]
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Killed):
            await start(importer, import_id, after(1))
    assert await start(importer, import_id, after(1)) == "failed"
    assert (await importer.read(import_id))["failure"]["code"] == "given-up"


@pytest.mark.parametrize(("on_error", "stays"), [("skip-bad", True), ("all-or-nothing", False)])
async def test_a_run_ends_when_it_is_cancelled(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, superuser: asyncpg.Connection, on_error: str, stays: bool
) -> None:
    monkeypatch.setattr(batches, "ROWS", 5)
    monkeypatch.setattr(heart, "BEAT", 0.05)
    client_id = await importer.person.client()
    import_id = (await importer.send(wide(days(client_id, 40)), on_error=on_error)).json()["id"]
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()
    let_on = asyncio.Event()

    def told(*_: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(let_on.wait(), loop).result(10)

    running = asyncio.create_task(start(importer, import_id, told))
    await begun.wait()
    answer = await importer.http.post(f"/v1/imports/{import_id}/cancel")
    assert answer.json()["state"] == "cancelled"
    let_on.set()
    assert await running == "cancelled"
    written = len(await importer.responses(client_id))
    assert (0 < written < 40) if stays else written == 0
    query = "select count(*) from import_chunk where organisation_id = $1"
    assert await superuser.fetchval(query, importer.tenant.id) == 0


async def test_one_import_is_run_by_one_process(importer: Importer) -> None:
    import_id = (await importer.send(wide(days(await importer.person.client(), 3)))).json()["id"]
    states = []

    def told(*_: Any) -> None:
        connect = Connect(importer.url, importer.tenant.id)
        own = (importer.tenant.id, uuid.UUID(import_id))
        states.append(run(connect, importer.app.state.keys, *own, largest=1 << 30))

    assert await start(importer, import_id, told) == "finished"
    assert states == ["busy"]


async def test_a_client_who_is_made_meanwhile_is_found(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is made anew: between the look-up and the writing somebody else has made the client."""
    place = People.place
    made: list[str] = []
    loop = asyncio.get_running_loop()

    def late(self: People, rows: Any) -> Any:
        placed = place(self, rows)
        if not made:
            coming = asyncio.run_coroutine_threadsafe(importer.person.client(external_id="A-1"), loop)
            made.append(coming.result(10))
        return placed

    monkeypatch.setattr(People, "place", late)
    row = {name: value for name, value in body("").items() if name != "client_id"} | {"external_id": "A-1"}
    state = await importer.take(lines(row), format="ndjson", create_clients=True)
    assert (state["state"], state["rows"]["written"], state["clients_created"]) == ("finished", 1, 0)
    assert len(await importer.responses(made[0])) == 1


@pytest.mark.long
async def test_a_process_that_is_killed_loses_and_doubles_nothing(
    importer: Importer, settings: Settings, superuser: asyncpg.Connection
) -> None:
    clients = [await importer.person.client() for _ in range(30)]
    made = [row for client_id in clients for row in days(client_id, 2_000)]
    import_id = (await importer.send(wide(made))).json()["id"]
    told = {
        "url": importer.url,
        "master_keys": [MASTER_KEY, None],
        "organisation_id": str(importer.tenant.id),
        "import_id": import_id,
        "largest": 1 << 30,
        "log_level": "info",
    }
    stored = "select count(*) from response where organisation_id = $1"
    kills = 0
    while (await importer.read(import_id))["state"] != "finished":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api.imports.child", cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        await process.stdin.drain()
        before = await superuser.fetchval(stored, importer.tenant.id)
        while kills < 3 and process.returncode is None:
            if await superuser.fetchval(stored, importer.tenant.id) > before:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            await asyncio.sleep(0.02)
        await process.wait()
        process.stdin.close()
    assert kills == 3
    assert await superuser.fetchval(stored, importer.tenant.id) == len(made)
    assert (await importer.read(import_id))["rows"]["written"] == len(made)
