"""``python -m benchmarks.faults --minutes N``: random kills under load, and what was lost (nothing, it has to be).

Callers post answers with idempotency keys and try again until they are acknowledged, as an EHR has to. A receiver of
webhooks takes messages, and sometimes refuses. At random moments the service, a worker or the database server is killed
with SIGKILL and started again. At the end every acknowledged answer is looked for in the database and in the messages.
Exit status 1 if one is lost, is there twice, or was never told.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import secrets
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from api.embedded import acquire
from api.responses.versions import as_recorded
from benchmarks.killable import Killable, Load, strike
from benchmarks.receiver import Got, Receiver, answer
from benchmarks.server import free_port

VICTIMS: Final = ("service", "worker", "postmaster", "service and postmaster", "all")
"""What is killed; ``all`` is service, database server and its keeper at once."""
LONGEST_PEACE: Final = 10.0
"""Seconds between two kills at most."""
ASKED_AGAIN: Final = 0.05
"""Part of the acknowledged requests that are sent once more with the same key, which has to change nothing."""
REFUSED: Final = 0.02
"""Part of the messages that the receiver does not take at first."""
PATIENCE: Final = 300.0
"""Seconds for what is left to be delivered, once the killing is over."""


@dataclass
class Outcome:
    """What is printed."""

    seed: int
    minutes: float
    kills: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    found: int = 0
    """Acknowledged and in the database, word for word as acknowledged."""
    lost: int = 0
    duplicated: int = 0
    """Responses in the database beyond one for each request."""
    unasked: int = 0
    """Responses in the database that nobody was told of."""
    delivered: int = 0
    """Acknowledged responses that the receiver was told of at least once."""
    undelivered: int = 0
    deliveries: int = 0
    """Messages that the receiver took, in all."""
    delivered_again: int = 0
    """Of those, the ones that it had taken before, under the same id."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or left untold."""
        return not (self.lost or self.duplicated or self.unasked or self.undelivered)


@dataclass
class Told:
    """What the receiver took: how often each message, and which response it was about."""

    times: Counter[str] = field(default_factory=Counter)
    responses: set[str] = field(default_factory=set)

    def behaviour(self, receiver: Receiver, chance: random.Random) -> Callable[[Got], Awaitable[bytes | None]]:
        """Takes messages, and refuses some."""

        async def behave(got: Got) -> bytes | None:
            receiver.got.clear()  # all that has to be known of it is kept here
            if chance.random() < REFUSED:
                return chance.choice([answer(500), None])
            self.times[got.id] += 1
            self.responses.add(got.json["data"]["response_id"])
            return answer(204)

        return behave


def noted(text: str) -> str:
    """What is kept of an acknowledged answer: its id and what tells whether it is still the same."""
    return str(json.loads(text)["id"]) + " " + hashlib.sha256(text.encode()).hexdigest()


async def caller(service: Killable, load: Load, chance: random.Random) -> None:
    """Post forms until told to stop, each until it is acknowledged."""
    async with service.client() as http:
        while not load.stopping:
            key, body = uuid.uuid4().hex, load.form()
            await load.insist(http, key, body)
            if chance.random() < ASKED_AGAIN:
                await load.insist(http, key, body)


async def kill_now_and_then(
    service: Killable, outcome: Outcome, chance: random.Random, until: float, workers: int
) -> None:
    """Kill something at random moments and start it again."""
    kills: Counter[str] = Counter()
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.5, LONGEST_PEACE))
        victim = chance.choice(VICTIMS)
        kills[victim] += 1
        if victim == "worker":
            await asyncio.to_thread(service.kill_worker, chance.randrange(workers))
        else:
            await asyncio.to_thread(strike, service, victim)
        if victim in ("worker", "postmaster"):
            await service.ready()  # the server comes back by itself
        else:
            await service.start()
        service.replace_workers(workers)
    outcome.kills = dict(sorted(kills.items()))


async def all_told(service: Killable, load: Load, told: Told, workers: int) -> None:
    """Wait until every acknowledged response was told, for as long as is reasonable."""
    wanted = {text.split(" ")[0] for text in load.acknowledged.values()}
    deadline = time.monotonic() + PATIENCE
    while not wanted <= told.responses and time.monotonic() < deadline:
        await asyncio.sleep(1)
        service.replace_workers(workers)  # the last kill may have been the end of one only now
        await service.hurry()  # else what was refused waits for minutes


async def count(service: Killable, load: Load, told: Told, outcome: Outcome) -> None:
    """Compare what was acknowledged with what is kept and what was told."""
    kept: Counter[str] = Counter()
    times: Counter[Any] = Counter()
    with await asyncio.to_thread(acquire, service.data) as lease:
        connection = await asyncpg.connect(lease.url("postgres"))
        async with connection.transaction():
            async for row in connection.cursor("select answered_at, document::text as document from response"):
                kept[noted(as_recorded(row["document"]))] += 1
                times[row["answered_at"]] += 1
        await connection.close()
    acknowledged = set(load.acknowledged.values())
    outcome.acknowledged = len(load.acknowledged)
    outcome.found = len(acknowledged & kept.keys())
    outcome.lost = outcome.acknowledged - outcome.found
    outcome.duplicated = sum(number - 1 for number in times.values())
    outcome.unasked = len(kept.keys() - acknowledged)
    ids = {text.split(" ")[0] for text in acknowledged}
    outcome.delivered = len(ids & told.responses)
    outcome.undelivered = len(ids - told.responses)
    outcome.deliveries = told.times.total()
    outcome.delivered_again = outcome.deliveries - len(told.times)


async def run(data: Path, minutes: float, seed: int, callers: int, workers: int) -> Outcome:
    """The whole run on a data folder of its own."""
    chance, outcome, told = random.Random(seed), Outcome(seed, minutes), Told()
    service = await Killable.prepare(data, free_port())
    service.log = data / "processes.log"  # what is killed says much
    service.more = {
        "FATHOMLINE_WEBHOOK_LOOPBACK": "true",
        "FATHOMLINE_WORKER": "none",
        "FATHOMLINE_RATE_LIMIT": "0",
        "FATHOMLINE_LOG_LEVEL": "error",
    }
    async with Receiver.listening() as receiver:
        receiver.behave = told.behaviour(receiver, chance)
        try:
            await service.start()
            for _ in range(workers):
                service.start_worker()
            async with service.client() as http, service.client("admin") as admin:
                made = await admin.post("/v1/webhooks", json={"url": receiver.url, "types": ["response.recorded"]})
                made.raise_for_status()
                load = Load(await _client(http), note=noted)
            posting = [asyncio.create_task(caller(service, load, chance)) for _ in range(callers)]
            until = time.monotonic() + 60 * minutes
            await kill_now_and_then(service, outcome, chance, until, workers)
            load.stopping = True
            await asyncio.gather(*posting)
            await all_told(service, load, told, workers)
            await count(service, load, told, outcome)
        finally:
            await asyncio.to_thread(service.stop)
    return outcome


async def _client(http: httpx.AsyncClient) -> str:
    reply = await http.post("/v1/clients", json={})
    reply.raise_for_status()
    return str(reply.json()["id"])


def main() -> int:
    """Run, print, write. Exit status 1 if anything was lost, doubled or never told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to kill (10)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of the random moments")
    parser.add_argument("--callers", type=int, default=8, help="callers that post at once (8)")
    parser.add_argument("--workers", type=int, default=2, help="processes of `fathomline worker` (2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    asked = parser.parse_args()
    if asked.minutes <= 0 or asked.callers < 1 or asked.workers < 1:
        parser.error("minutes, callers and workers have to be more than nothing")
    print(f"{asked.minutes:g} minutes of kills, seed {asked.seed} …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="fathomline-faults-") as folder:
        outcome = asyncio.run(run(Path(folder), asked.minutes, asked.seed, asked.callers, asked.workers))
    for name, value in asdict(outcome).items():
        shown = ", ".join(f"{number} {what}" for what, number in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' '):16} {shown:,}" if isinstance(shown, int) else f"{name:16} {shown}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(outcome) | {"sound": outcome.sound}, indent=2) + "\n", encoding="utf-8")
    return 0 if outcome.sound else 1


if __name__ == "__main__":
    sys.exit(main())
