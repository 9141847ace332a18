"""kill -9 under load: whatever was acknowledged is there afterwards, once; what was not can be sent again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from api.embedded import acquire
from api.responses.versions import as_recorded
from benchmarks.killable import VICTIMS, Killable, Load, strike
from benchmarks.server import free_port
from tests.platform.embedding import nothing_left


async def round_of(service: Killable, load: Load, victim: str, seconds: float) -> None:
    """Load, a kill in the middle of it, recovery, and every uncertain form sent again with its key."""
    load.stopping = False
    before = len(load.acknowledged)
    running = asyncio.create_task(load.run(service, callers=8))
    await asyncio.sleep(seconds)
    async with asyncio.timeout(60):  # on a busy machine the first answers may take longer
        while len(load.acknowledged) < before + 20:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(strike, service, victim)
    await asyncio.sleep(0.3)
    load.stopping = True
    await running
    assert load.uncertain, f"the kill of {victim} has to hit somebody"
    if "service" in victim or victim == "all":
        await service.start()
    else:
        await service.ready()  # it lives on, and finds the server again by itself
    async with service.client() as http:
        for _ in range(100):
            for key, body in list(load.uncertain.items()):
                await load.post(http, key, body)
            if not load.uncertain:
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"the service does not recover from the kill of {victim}")


async def verify(service: Killable, load: Load) -> None:
    """Every acknowledged response is there as it was acknowledged, and there is no other."""
    async with service.client() as http:
        for text in list(load.acknowledged.values())[:: max(1, len(load.acknowledged) // 100)]:
            response_id = text[len('{"id":"') :][:36]
            assert (await http.get(f"/v1/responses/{response_id}")).text == text
    with await asyncio.to_thread(acquire, service.data) as lease:
        connection = await asyncpg.connect(lease.url("postgres"))
        documents = [row["document"] for row in await connection.fetch("select document::text from response")]
        for table, each in (("idempotency_key", 1), ("outbox", 1), ("score", 7)):
            count = await connection.fetchval(f"select count(*) from {table}")  # noqa: S608  - names above
            assert count == each * len(documents), table
        times = Counter(row["answered_at"] for row in await connection.fetch("select answered_at from response"))
        await connection.close()
    assert {as_recorded(document) for document in documents} == set(load.acknowledged.values())
    assert len(documents) == len(load.acknowledged)
    assert max(times.values()) == 1


async def campaign(data: Path, kills: list[tuple[str, float]]) -> None:
    """Several kills of one service, each after so many seconds of load."""
    service = await Killable.prepare(data, free_port())
    try:
        await service.start()
        async with service.client() as http:
            load = Load((await http.post("/v1/clients", json={})).json()["id"])
        for victim, seconds in kills:
            await round_of(service, load, victim, seconds)
        await verify(service, load)
    finally:
        await asyncio.to_thread(service.stop)
    await asyncio.to_thread(nothing_left, data)


async def test_the_database_is_killed_and_then_everything(tmp_path: Path) -> None:
    """A service that lives on, and one that is started again on what everything left behind."""
    await campaign(tmp_path, [(victim, 0.5) for victim in ("postmaster", "all")])


@pytest.mark.long
async def test_each_is_killed_once(tmp_path: Path) -> None:
    await campaign(tmp_path, [(victim, 0.5) for victim in VICTIMS])


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_killed_again_and_again(tmp_path: Path) -> None:
    chance = random.Random(20260301)
    await campaign(tmp_path, [(chance.choice(VICTIMS), chance.uniform(0.2, 3.0)) for _ in range(25)])
