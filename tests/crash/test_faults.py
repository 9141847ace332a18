"""The benchmark of faults: that it finds what is wrong, and that there is nothing to find."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from api.embedded import acquire
from benchmarks.faults import Outcome, Told, count, noted, run
from benchmarks.killable import Killable, Load
from benchmarks.server import free_port
from tests.platform.embedding import nothing_left


async def counted(service: Killable, load: Load, told: Told) -> Outcome:
    outcome = Outcome(0, 0)
    await count(service, load, told, outcome)
    return outcome


@pytest.mark.long
async def test_what_is_lost_doubled_or_untold_is_found(tmp_path: Path) -> None:
    service = await Killable.prepare(tmp_path, free_port())
    try:
        await service.start()
        async with service.client() as http:
            load = Load((await http.post("/v1/clients", json={})).json()["id"], note=noted)
            for number in range(3):
                await load.insist(http, str(number), load.form())
            load.count -= 1  # the last form once more, under another key
            double = Load(load.client_id, note=noted, count=load.count)
            ids = {text.split(" ")[0] for text in load.acknowledged.values()}
            told = Told(responses=set(ids))
            told.times.update(dict.fromkeys(ids, 1))
            sound = await counted(service, load, told)
            assert sound.sound
            assert (sound.acknowledged, sound.found, sound.delivered, sound.deliveries) == (3, 3, 3, 3)

            told.times["again"] += 2
            assert (await counted(service, load, told)).delivered_again == 1
            silent = replace(told, responses=set(list(ids)[1:]))
            assert (await counted(service, load, silent)).undelivered == 1
            more = replace(load, acknowledged=load.acknowledged | {"x": f"{uuid.uuid4()} never"})
            assert (await counted(service, more, told)).lost == 1
            fewer = replace(load, acknowledged=dict(list(load.acknowledged.items())[1:]))
            assert (await counted(service, fewer, told)).unasked == 1
            await double.insist(http, "other", double.form())
            doubled = await counted(service, load, told)
            assert doubled.duplicated == 1
            assert not doubled.sound
        with await asyncio.to_thread(acquire, tmp_path) as lease:
            connection = await asyncpg.connect(lease.url("postgres"))
            await connection.execute("set session_replication_role = replica; delete from score; delete from response")
            await connection.close()
        assert (await counted(service, load, told)).lost == 3
    finally:
        await asyncio.to_thread(service.stop)
    await asyncio.to_thread(nothing_left, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_half_a_minute_of_kills_loses_nothing(tmp_path: Path) -> None:
    outcome = await run(tmp_path, minutes=0.4, seed=20260305, callers=4, workers=1)
    assert outcome.sound, outcome
    assert sum(outcome.kills.values()) >= 1
    assert outcome.acknowledged == outcome.found == outcome.delivered > 50
    await asyncio.to_thread(nothing_left, tmp_path)
