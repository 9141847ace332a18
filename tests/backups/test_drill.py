"""The drill: load, a backup while it goes on, more load, everything destroyed, restored, and compared."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api.cli import application
from api.security import issuer
from benchmarks.killable import Killable, Load
from benchmarks.server import free_port
from tests.conftest import MASTER_KEY
from tests.platform.embedding import nothing_left

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command, run beside the event loop with the settings of a data folder; what it printed."""
    monkeypatch.setenv("FATHOMLINE_MASTER_KEY", MASTER_KEY)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    async def command(data: Path, *arguments: str) -> str:
        monkeypatch.setenv("FATHOMLINE_DATA", str(data))
        done = await asyncio.to_thread(CliRunner().invoke, application(arguments[0]), arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)
        return done.stdout

    return command


async def somebody(http: httpx.AsyncClient, forms: int) -> Load:
    """A new client with so many answered forms."""
    load = Load((await http.post("/v1/clients", json={})).json()["id"])
    for number in range(forms):
        await load.post(http, f"{load.client_id}-{number}", load.form())
    assert len(load.acknowledged) == forms
    return load


async def erase(service: Killable, client_id: str) -> dict[str, Any]:
    """Erase a client by the API, as an administrator; what is certified."""
    async with service.client("admin") as http:
        asked = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
        answer = await http.delete(f"/v1/clients/{client_id}", params=asked)
        assert answer.status_code == 200, answer.text
        certified: dict[str, Any] = answer.json()
    return certified


async def reached(service: Killable, erasure: dict[str, Any]) -> None:
    """Wait until the job has taken the erased client's key out of the folder of backups."""
    async with service.client("admin") as http, asyncio.timeout(120):
        while any(one["reached_at"] is None for one in erasure["backups"]):
            await asyncio.sleep(0.2)
            erasure = (await http.get(f"/v1/erasures/{erasure['id']}")).json()
    assert len(erasure["backups"]) == 1


async def until(load: Load, more: int) -> None:
    """Wait until so many more forms were acknowledged."""
    wanted = len(load.acknowledged) + more
    async with asyncio.timeout(60):
        while len(load.acknowledged) < wanted:
            await asyncio.sleep(0.01)


async def drill(tmp_path: Path, run: Run, *, before: int, after: int, callers: int, patient: bool) -> None:
    backups, lost, new = tmp_path / "backups", tmp_path / "lost", tmp_path / "new"
    service = await Killable.prepare(lost, free_port())
    service.master_key = MASTER_KEY
    service.more = {"FATHOMLINE_BACKUPS": json.dumps([str(backups)])}
    again = None
    try:
        await service.start()
        async with service.client() as http:
            leaving, load = await somebody(http, 5), await somebody(http, 5)
        posting = asyncio.create_task(load.run(service, callers=callers))
        await until(load, before)
        promised = dict(load.acknowledged)  # before the snapshot can have been taken
        said = await run(lost, "backup", str(backups), "--rate", "0")
        assert "rows of" in said
        meanwhile = len(load.acknowledged)
        assert meanwhile > len(promised), "it served on"
        await until(load, after)
        load.stopping = True
        await posting
        erasure = await erase(service, leaving.client_id)
        if patient:
            await reached(service, erasure)
        else:  # what the job does within a minute
            await run(lost, "backup", str(backups), "--keys-only")
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(nothing_left, lost)
        shutil.rmtree(lost)

        said = await run(lost, "restore", str(backups), "--to", str(new))
        assert "1 client erased since the backup was made: left out" in said
        verdict = json.loads(await run(new, "verify", "--backup", str(backups), "--json"))
        assert verdict["sound"]
        assert verdict["checks"]["backup"][0]["clients_left_out"] == 1
        assert verdict["checks"]["audit"][0]["intact"]
        again = Killable(new, service.port, issuer.load(new, create=True).token(organisation="demo", role="ehr"))
        again.master_key = MASTER_KEY
        await again.start()
        async with again.client() as http:
            for text in promised.values():
                response_id = text[len('{"id":"') :][:36]
                assert (await http.get(f"/v1/responses/{response_id}")).text == text
            for text in leaving.acknowledged.values():
                response_id = text[len('{"id":"') :][:36]
                assert (await http.get(f"/v1/responses/{response_id}")).status_code == 404
            assert (await http.get(f"/v1/clients/{leaving.client_id}")).status_code == 410, "and is known to be erased"
            await somebody(http, 2)
    finally:
        await asyncio.to_thread(service.stop)
        if again is not None:
            await asyncio.to_thread(again.stop)
    await asyncio.to_thread(nothing_left, new)


async def test_the_drill(tmp_path: Path, run: Run) -> None:
    await drill(tmp_path, run, before=50, after=20, callers=2, patient=False)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_drill_with_many_answers(tmp_path: Path, run: Run) -> None:
    await drill(tmp_path, run, before=2_000, after=500, callers=8, patient=True)
