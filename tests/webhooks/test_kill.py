"""kill -9 in the middle of deliveries: what happened is delivered all the same, under the same id."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from benchmarks.killable import Killable, Load, strike
from benchmarks.receiver import Got, Receiver, answer
from benchmarks.server import free_port
from tests.platform.embedding import nothing_left


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Killable]:
    """A service with its worker inside, whose webhooks may go to this machine."""
    service = await Killable.prepare(data, free_port())
    service.more = {"FATHOMLINE_WEBHOOK_LOOPBACK": "true"}
    try:
        await service.start()
        yield service
    finally:
        await asyncio.to_thread(service.stop)
    await asyncio.to_thread(nothing_left, data)


async def all_received(service: Killable, receiver: Receiver, load: Load, seconds: float) -> None:
    """Every acknowledged response is told, each under one id."""
    wanted = {text[len('{"id":"') :][:36] for text in load.acknowledged.values()}
    async with asyncio.timeout(seconds):
        while not wanted <= {got.json["data"]["response_id"] for got in receiver.got}:
            await asyncio.sleep(0.5)
            await service.hurry()
    ids = defaultdict(set)
    for got in receiver.got:
        ids[got.json["data"]["response_id"]].add(got.id)
    assert ids.keys() == wanted, "and nothing is told that is not kept"
    assert max(len(each) for each in ids.values()) == 1
    assert len({one for each in ids.values() for one in each}) == len(wanted)


async def test_killed_in_the_middle_of_a_delivery(tmp_path: Path) -> None:
    async with Receiver.listening() as receiver, running(tmp_path) as service:

        async def silent(_: Got) -> bytes | None:
            await asyncio.sleep(60)
            return None

        receiver.behave = silent
        async with service.client("admin") as somebody, service.client() as http:
            made = (await somebody.post("/v1/webhooks", json={"url": receiver.url})).json()
            load = Load((await http.post("/v1/clients", json={})).json()["id"])
            for number in range(12):
                await load.post(http, str(number), load.form())
        await receiver.until(1)
        under_way = set(receiver.ids)
        service.kill()
        begun = len(receiver.got)

        async def verified(got: Got) -> bytes | None:
            Webhook(made["secret"]).verify(got.body, got.headers)  # else the connection ends, and nothing is taken
            return answer(204)

        receiver.behave = verified
        await service.start()
        await all_received(service, receiver, load, seconds=60)
        assert under_way <= set(receiver.ids[begun:]), "begun, and sent again under the same id"


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_killed_again_and_again_under_load(tmp_path: Path) -> None:
    chance = random.Random(20260302)
    async with Receiver.listening() as receiver, running(tmp_path) as service:

        async def moody(got: Got) -> bytes | None:
            Webhook(made["secret"]).verify(got.body, got.headers)  # else the connection ends, and nothing is taken
            await asyncio.sleep(chance.uniform(0, 0.2))
            return chance.choice([answer(204), answer(200), answer(500), answer(429), None])

        receiver.behave = moody
        async with service.client("admin") as somebody, service.client() as http:
            made = (await somebody.post("/v1/webhooks", json={"url": receiver.url})).json()
            load = Load((await http.post("/v1/clients", json={})).json()["id"])
        for _ in range(20):
            load.stopping = False
            posting = asyncio.create_task(load.run(service, callers=2))
            await asyncio.sleep(chance.uniform(0.3, 3.0))
            victim = chance.choice(["service", "postmaster", "service and postmaster", "all"])
            await asyncio.to_thread(strike, service, victim)
            load.stopping = True
            await posting
            if victim == "postmaster":
                await service.ready()
            else:
                await service.start()
            async with service.client() as http, asyncio.timeout(60):
                while load.uncertain:
                    for key, body in list(load.uncertain.items()):
                        await load.post(http, key, body)
            with suppress(TimeoutError):
                await service.hurry()
        receiver.always(answer(204))
        await all_received(service, receiver, load, seconds=600)
