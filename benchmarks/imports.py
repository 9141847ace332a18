"""``POST /v1/imports``: from the first byte sent to the last row stored, against COPY of the same final rows."""

from __future__ import annotations

import asyncio
import io
import random
import tempfile
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from benchmarks.recording import _clinic
from benchmarks.report import Outcome, outcome
from benchmarks.scoring import FSFI
from benchmarks.server import Service, service

_REFERENCES = """
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = $1::text::regclass and contype = 'f'
"""
ROWS = 200_000
WARM_UP = 20_000
CLIENTS = 1_000
ROUNDS = 2
GAPS = 0.03
"""Share of forms in which one answer is missing."""
TABLES = ("response", "score")


def import_responses() -> list[Outcome]:
    """Rows a second, checked, scored and stored; the file is CSV with a row each, and the worker is the service's."""
    with _clinic() as (data, lease):
        asyncio.run(_floor_tables(lease.url("postgres", "fathomline")))
        pairs = []
        with service(data) as running:
            clients = [running.call("POST", "/v1/clients", {})["id"] for _ in range(CLIENTS)]
            for number in range(ROUNDS + 1):
                rows = ROWS if number else WARM_UP
                content = _file(clients, number, rows)
                begun = time.perf_counter()
                _imported(running, content, rows)
                measured = rows / (time.perf_counter() - begun)
                floor = rows / asyncio.run(_copied(lease.url("postgres", "fathomline"), data, number))
                if number:  # the first warms up
                    pairs.append((floor, measured))
    return [outcome("POST /v1/imports", pairs, goal=0.3, higher_is="better", unit="rows/s")]


def _file(clients: list[str], number: int, rows: int) -> bytes:
    """Forms of all clients in turn, of a year of their own for each round."""
    chance = random.Random(number)
    text = io.StringIO()
    items = [item.id for item in FSFI.items]
    text.write(f"client_id,answered_at,{','.join(items)}\n")
    first = datetime(2000 + number, 1, 1, 9, tzinfo=UTC)
    for row in range(rows):
        answers = [str(chance.randint(1, 5)) for _ in items]
        if chance.random() < GAPS:
            answers[chance.randrange(len(items))] = ""
        at = first + timedelta(minutes=row)
        text.write(f"{clients[row % CLIENTS]},{at:%Y-%m-%dT%H:%M:%SZ},{','.join(answers)}\n")
    return text.getvalue().encode()


def _imported(running: Service, content: bytes, rows: int) -> None:
    """Send the file as one request, and wait until it is imported."""
    url = f"http://127.0.0.1:{running.port}/v1/imports?format=csv&instrument=fsfi&on_error=skip-bad"
    headers = {**running.headers(), "Content-Type": "text/csv"}
    request = urllib.request.Request(url, content, headers, method="POST")
    with urllib.request.urlopen(request, timeout=120) as reply:
        path = reply.headers["location"]
    while (found := running.call("GET", path))["state"] in ("queued", "running"):
        time.sleep(0.1)
    if (found["state"], found["rows"]["written"]) != ("finished", rows):
        raise RuntimeError(f"the import was not what was meant: {found}")


async def _floor_tables(url: str) -> None:
    """Tables like those that are written, with all that binds them, in a schema that the service does not use."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("create schema floor")
        for table in TABLES:
            await connection.execute(f"create table floor.{table} (like public.{table} including all)")
        await connection.execute("alter table floor.response set (toast_tuple_target = 4080)")
        for table in TABLES:
            for name, definition in await connection.fetch(_REFERENCES, f"public.{table}"):
                await connection.execute(f"alter table floor.{table} add constraint {name} {definition}")
    finally:
        await connection.close()


async def _copied(url: str, folder: Path, number: int) -> float:
    """Seconds for COPY of the rows that the last import wrote."""
    connection = await asyncpg.connect(url, command_timeout=1800)
    first, last = (uuid.UUID(int=_milliseconds(year) << 80) for year in (2000 + number, 2001 + number))
    spent = 0.0
    try:
        for table, key in zip(TABLES, ("id", "response_id"), strict=True):
            with tempfile.TemporaryFile(dir=folder) as file:
                await connection.copy_from_query(
                    f"select * from public.{table} where {key} between $1 and $2",  # noqa: S608  - names from above
                    first,
                    last,
                    output=file,
                )
                file.seek(0)
                begun = time.perf_counter()
                await connection.copy_to_table(table, schema_name="floor", source=file)
                spent += time.perf_counter() - begun
    finally:
        await connection.close()
    return spent


def _milliseconds(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000)
