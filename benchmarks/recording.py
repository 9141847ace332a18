"""Recording a response over HTTP: against the barest handler, and with few and with many responses stored."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg

from api import embedded
from api.organisations.repository import ensure_organisation
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.scoring import FSFI
from benchmarks.server import ORGANISATION, Service, floor, load, service

FEW, MANY = 10_000, 1_000_000
CLIENTS = 400
DAYS = 28
"""A round of recording has fewer requests than the product of the two."""
SERIES_LENGTH = 20
"""Responses of the client whose progress is read, the same however many there are in all."""


def record_response() -> list[Outcome]:
    """``POST /v1/responses``, durable, one worker, against the barest FastAPI + asyncpg handler."""
    with _clinic() as (data, lease), ExitStack() as stack:
        # a database of its own: the service refuses one that holds a table without row-level security
        _in_database(lease.url("postgres", "postgres"), "create database floor owner fathomline_service")
        floor_url = lease.url("fathomline_service", "floor")
        _in_database(floor_url, "create table floor_row (id uuid primary key, body jsonb not null)")
        floor_port = stack.enter_context(floor(floor_url))
        running = stack.enter_context(service(data))
        forms = _forms(running)
        bodies = next(forms)
        pairs = in_turn(
            lambda: load(floor_port, "POST", ["/rows"], headers={}, bodies=bodies),
            lambda: _record(running, forms),
            rounds=7,
        )
    return [outcome("POST /v1/responses", pairs, goal=0.6, higher_is="better", unit="requests/s")]


def stored_responses() -> list[Outcome]:
    """The cost of a request with a million responses stored, against ten thousand."""
    with ExitStack() as stack:
        small, large = (_stored(stack, number) for number in (FEW, MANY))
        recorded = in_turn(lambda: 1 / _record(*small[:2]), lambda: 1 / _record(*large[:2]), rounds=5)
        read = in_turn(lambda: 1 / _progress(small[0], small[2]), lambda: 1 / _progress(large[0], large[2]), rounds=5)
    goal = f"{MANY:,} stored against {FEW:,}"
    return [
        outcome(f"POST /v1/responses, {goal}", recorded, goal=1.2, higher_is="worse", unit="s/request"),
        outcome(f"GET progress, {goal}", read, goal=1.2, higher_is="worse", unit="s/request"),
    ]


def _record(running: Service, forms: Iterator[list[str]]) -> float:
    headers = {**running.headers(), "Idempotency-Key": '"{n}"'}
    return load(running.port, "POST", ["/v1/responses"], headers=headers, bodies=next(forms))


def _progress(running: Service, client: str) -> float:
    path = f"/v1/clients/{client}/progress?instrument=fsfi&scale=total"
    return load(running.port, "GET", [path], headers=running.headers())


@contextmanager
def _clinic() -> Iterator[tuple[Path, embedded.Lease]]:
    """A data folder with an embedded server, its schema, and one organisation."""
    with tempfile.TemporaryDirectory(prefix="fathomline-bench-") as folder:
        data = Path(folder)
        with embedded.acquire(data) as lease:
            from api import migrate

            migrate.upgrade(lease.url_owner, "head")
            asyncio.run(_organisation(lease.url_service))
            yield data, lease


async def _organisation(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await ensure_organisation(connection, ORGANISATION, "Benchmark")
    finally:
        await connection.close()


def _in_database(url: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _forms(running: Service) -> Iterator[list[str]]:
    """For each round an FSFI of each of some clients on each of some days, as text.

    Nobody answers twice at the same moment, also not in another round: the client's series would then be one of
    hundreds of answers at a few moments, which no clinic has, and be sorted for each that is added.
    """
    clients = [running.call("POST", "/v1/clients", {})["id"] for _ in range(CLIENTS)]
    answers = {item.id: 3 + int(item.id) % 3 for item in FSFI.items}
    form = {"instrument": "fsfi", "answers": answers}
    for minute in range(60):
        days = [f"2026-01-{day:02}T09:{minute:02}:00Z" for day in range(1, 1 + DAYS)]
        yield [json.dumps({"client_id": client, "answered_at": day, **form}) for day in days for client in clients]


def _stored(stack: ExitStack, number: int) -> tuple[Service, Iterator[list[str]], str]:
    """A service with some responses stored, forms to record, and a client with a series of fixed length."""
    data, lease = stack.enter_context(_clinic())
    running = stack.enter_context(service(data))
    forms = _forms(running)
    form = json.loads(next(forms)[0])
    first = form["client_id"] = running.call("POST", "/v1/clients", {})["id"]
    for day in range(SERIES_LENGTH):
        form["answered_at"] = f"2025-01-{day + 1:02}T09:00:00Z"
        sample = running.call("POST", "/v1/responses", form, **{"Idempotency-Key": str(uuid.uuid4())})
    asyncio.run(_fill(lease.url_owner, sample["id"], number))
    return running, forms, first


async def _fill(url: str, sample: str, number: int, copies: Sequence[str] | None = None) -> None:
    """Copies of one recorded response, spread over the other clients, with everything that is written beside one.

    ``copies`` are statements, of which each copies one table's rows of the response (``$1``) for all in ``made``.
    """
    connection = await asyncpg.connect(url, command_timeout=1800)
    try:
        async with connection.transaction():
            await connection.execute("select set_config('fathomline.organisation_slug', $1, true)", ORGANISATION)
            organisation = await connection.fetchval("select organisation_id from organisation")
            await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation))
            await connection.execute(
                "create temporary table made on commit drop as"
                " select n, (lpad(to_hex(n), 12, '0') || '7' || substr(md5(n::text), 1, 19))::uuid as id,"
                " c.ids[1 + n % array_length(c.ids, 1)] as client_id"
                " from generate_series(1, $2) n, (select array_agg(id) ids from client where id <>"
                " (select client_id from response where id = $1)) c",
                uuid.UUID(sample), number,
            )  # fmt: skip
            for statement in _COPIES if copies is None else copies:
                await connection.execute(statement, uuid.UUID(sample))
    finally:
        await connection.close()


_COPIES = (
    "insert into response select r.organisation_id, m.id, m.client_id, r.instrument, r.instrument_version,"
    " r.definition_checksum, r.variant, r.answers, r.setting, r.answered_at + m.n * interval '1 minute',"
    " r.recorded_at, r.recorded_by, r.document, r.valid from response r, made m where r.id = $1",
    "insert into score select s.organisation_id, m.id, s.scale, s.value, s.status, s.valid"
    " from score s, made m where s.response_id = $1",
    "insert into audit_event select a.organisation_id, m.id, a.at, a.subject, a.role, a.action, a.resource, m.id,"
    " a.request_id, a.outcome from audit_event a, made m where a.resource_id = $1 and a.action = 'record'",
    "insert into outbox select o.organisation_id, m.id, o.topic, m.id, o.created_at"
    " from outbox o, made m where o.resource_id = $1",
    "insert into idempotency_key select k.organisation_id, k.subject, m.id::text, k.request_hash, m.id, k.created_at"
    " from idempotency_key k, made m where k.response_id = $1",
)
