"""``POST /v1/rescorings``: from the request to the moment in which the new scores count, against COPY.

The floor is the least work that could do it: the answers and the scores that hold are read, and the rows of the run
are written, by COPY and with nothing done to them. The goal is that of imports: both read, score, compare with what
there is, and store; and nobody waits for either with a page open.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

import asyncpg

from api.security import issuer
from benchmarks.recording import _clinic, _fill
from benchmarks.report import Outcome, outcome
from benchmarks.scoring import FSFI
from benchmarks.server import ORGANISATION, Service, service

RESPONSES = 50_000
CLIENTS = 500
ROUNDS = 2
OTHER = "0" * 64
"""Checksum of the definition that is taken to have scored them."""

_COPIES = (
    "insert into response select r.organisation_id, m.id, m.client_id, r.instrument, r.instrument_version,"
    " repeat('0', 64), r.variant, r.answers, r.setting, r.answered_at + m.n * interval '1 minute',"
    " r.recorded_at, r.recorded_by, r.document, r.valid from response r, made m where r.id = $1",
    # one point off, so that each score is found to have changed
    "insert into score select s.organisation_id, m.id, s.scale, s.value + 1, s.status, s.valid"
    " from score s, made m where s.response_id = $1",
)


def rescore() -> list[Outcome]:
    """Responses a second, scored anew by the worker of the service, one run after the other."""
    with _clinic() as (data, lease):
        url = lease.url("postgres", "fathomline")
        with service(data, role="admin") as running:
            asyncio.run(_fill(lease.url_owner, _sample(running, data), RESPONSES, _COPIES))
            asyncio.run(_floor_table(url))
            pairs = []
            for number in range(ROUNDS + 1):
                begun = time.perf_counter()
                run = _run(running)
                measured = RESPONSES / (time.perf_counter() - begun)
                floor = RESPONSES / asyncio.run(_copied(url, data, uuid.UUID(run)))
                running.call("POST", f"/v1/rescorings/{run}/withdraw", {"reason": "the next round"})
                if number:  # the first warms up
                    pairs.append((floor, measured))
    return [outcome("POST /v1/rescorings", pairs, goal=0.3, higher_is="better", unit="responses/s")]


def _sample(running: Service, data: Path) -> str:
    """A response of one client, beside whom there are others."""
    token = issuer.load(data, create=False).token(organisation=ORGANISATION, role="ehr")
    ehr = Service(running.port, token)
    clients = [ehr.call("POST", "/v1/clients", {})["id"] for _ in range(CLIENTS)]
    answers = {item.id: 3 + int(item.id) % 3 for item in FSFI.items}
    form = {"client_id": clients[0], "instrument": "fsfi", "answered_at": "2025-01-01T09:00:00Z", "answers": answers}
    recorded: str = ehr.call("POST", "/v1/responses", form)["id"]
    return recorded


def _run(running: Service) -> str:
    """Ask for a run and wait until it is done; its id."""
    versions = {"from_version": FSFI.version, "to_version": FSFI.version, "from_checksum": OTHER}
    asked = {"instrument": "fsfi", **versions, "reason": "benchmark"}
    run: str = running.call("POST", "/v1/rescorings", asked)["id"]
    while (found := running.call("GET", f"/v1/rescorings/{run}"))["state"] in ("queued", "running"):
        time.sleep(0.1)
    if (found["state"], found["report"]["changed"]) != ("done", RESPONSES):
        raise RuntimeError(f"the run was not what was meant: {found}")
    return run


async def _floor_table(url: str) -> None:
    """A table like that which runs write to, with all that binds it, in a schema that the service does not use."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("create schema floor")
        await connection.execute("create table floor.rescored (like public.rescored including all)")
    finally:
        await connection.close()


async def _copied(url: str, folder: Path, run_id: uuid.UUID) -> float:
    """Seconds for COPY of what a run has read, and of what it has written."""
    connection = await asyncpg.connect(url, command_timeout=1800)
    try:
        with tempfile.TemporaryFile(dir=folder) as rows, tempfile.TemporaryFile(dir=folder) as read:
            written = "select * from public.rescored where rescoring_id = $1"
            await connection.copy_from_query(written, run_id, output=rows)
            rows.seek(0)
            begun = time.perf_counter()
            await connection.copy_from_query("select id, variant, answers from public.response", output=read)
            await connection.copy_from_query("select * from public.score", output=read)
            await connection.copy_to_table("rescored", schema_name="floor", source=rows)
            return time.perf_counter() - begun
    finally:
        await connection.close()
