"""A caseload of ten thousand clients: against the same scores read by hand, and against a caseload of a hundred."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import asyncpg

from benchmarks.copies import copied
from benchmarks.recording import _clinic, _in_database
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.server import Service, service

FEW, MANY = 100, 10_000
ANSWERS = 10
"""Of each of two instruments, by each client."""
_PATH = "/v1/caseload?clinician=c-0&limit=50"


def caseload() -> list[Outcome]:
    """``GET /v1/caseload`` of 10,000 clients with 20 answers each, a page of 50.

    By hand are read the first and last scores of the same scales, by the same index and without row-level security:
    nobody asked who, nothing held against what was put right, judged, due or alerting. Three times as long is what
    all that may take. And a client may not cost more for being one of many.
    """
    with ExitStack() as stack:
        many, url = _filled(stack, MANY)
        few, _ = _filled(stack, FEW)
        by_hand = in_turn(lambda: asyncio.run(_by_hand(url)), lambda: _asked(many), rounds=5)
        each = in_turn(lambda: _asked(few) / FEW, lambda: _asked(many) / MANY, rounds=5)
    return [
        outcome(f"GET /v1/caseload, {MANY:,} clients, against SQL", by_hand, goal=3, higher_is="worse",
                unit="s/request"),
        outcome(f"GET /v1/caseload, {MANY:,} clients against {FEW}", each, goal=1.2, higher_is="worse",
                unit="s/client"),
    ]  # fmt: skip


def _asked(running: Service) -> float:
    """Seconds of one request."""
    start = time.perf_counter()
    running.call("GET", _PATH)
    return time.perf_counter() - start


_SCORE = """
select s.value from response r join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
where r.client_id = e.client_id and r.instrument = {instrument} and s.scale = 'total'
order by r.answered_at {way} limit 1
"""
_INSTRUMENT = "case when e.concerns = '{mood}' then 'phq-9' else 'fsfi' end"
_BY_HAND = f"""
select e.client_id, f.value, l.value from episode e
cross join lateral ({_SCORE.format(instrument=_INSTRUMENT, way="asc")}) f
cross join lateral ({_SCORE.format(instrument=_INSTRUMENT, way="desc")}) l
where e.clinician = 'c-0' and e.ended_on is null
"""  # noqa: S608  - the constants above


async def _by_hand(url: str) -> float:
    """Seconds in which somebody with all rights reads the scores."""
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    try:
        start = time.perf_counter()
        await connection.fetch(_BY_HAND)
        return time.perf_counter() - start
    finally:
        await connection.close()


def _filled(stack: ExitStack, clients: int) -> tuple[Service, str]:
    """A service with so many clients of one clinician, and the URL of its database.

    One client is made through the API, with an open episode that follows a protocol and one form of each instrument;
    the others are copies with other values, on other days.
    """
    data, lease = stack.enter_context(_clinic())
    running = stack.enter_context(service(data, role="clinician"))
    client = running.call("POST", "/v1/clients", {})["id"]
    today = datetime.now(UTC).date()
    began = {"started_on": str(today - timedelta(weeks=20)), "format": "individual", "clinician": "c-0"}
    path = f"/v1/clients/{client}/episodes"
    path += "/" + running.call("POST", path, began | {"concerns": ["desire"]})["id"]
    window = {"opens_before": 2, "overdue_after": 2, "closes_after": 7}
    weekly = {"id": "mood", "instrument": "phq-9", "when": {"kind": "weeks", "every": 2}, "window": window}
    running.call("POST", "/v1/protocols", {"code": "usual", "name": "Usual", "entries": [weekly]})
    running.call("POST", f"{path}/protocols", {"protocol": "usual", "starts_on": began["started_on"]})
    for code, items in (("fsfi", 19), ("phq-9", 9)):
        form = {
            "client_id": client,
            "instrument": code,
            "answered_at": "2025-01-01T12:00:00Z",
            "answers": {str(item): 1 for item in range(1, items + 1)},
        }
        running.call("POST", "/v1/responses", form, **{"Idempotency-Key": str(uuid.uuid4())})
    url = lease.url("postgres", "fathomline")
    asyncio.run(copied(url, _MADE, clients, _COPIES))
    _in_database(url, "vacuum analyze")
    return running, url


_MADE = """
create temporary table made on commit drop as
select n, n % 28 as later, uuidv7() client_id, uuidv7() episode_id, uuidv7() followed_id
from generate_series(2, $1) n
"""
_THEIRS = {"client_id": "m.client_id", "episode_id": "m.episode_id"}
_DAYS = ("opens_on", "due_on", "overdue_on", "closes_on", "last_on")
_CHANCE = "(hashtext(r.id::text) & 1023) / 1023.0"
_COPIES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("client", "client o, made m", {"id": "m.client_id", "external_id_hash": "null"}),
    (
        "episode",
        "episode o, made m",
        {**_THEIRS, "id": "m.episode_id", "started_on": "o.started_on - m.later"}
        | {"concerns": "case when m.n % 3 = 0 then '{mood}'::text[] else '{desire,pain}' end"},
    ),
    ("episode_protocol", "episode_protocol o, made m", {**_THEIRS, "id": "m.followed_id"}),
    (
        "protocol_slot",
        "protocol_slot o, made m",
        {**_THEIRS, "id": "uuidv7()", "episode_protocol_id": "m.followed_id"}
        | {day: f"o.{day} - m.later" for day in _DAYS}
        | {"answered": "o.due_on - m.later < current_date and hashtext(m.client_id::text || o.id::text) % 10 <> 0"},
    ),
    (
        "response",
        f"response o, generate_series(1, {ANSWERS}) k, made m",
        {"id": "uuidv7()", "client_id": "m.client_id"}
        | {"answered_at": f"now() - (({ANSWERS} - k) * 14 + m.later + 1) * interval '1 day'"},
    ),
    (
        "score",
        "score o join response p on p.id = o.response_id and p.answered_at < '2025-02-01'"
        " join response r on r.instrument = p.instrument and r.id <> p.id",
        {"response_id": "r.id"}
        | {"value": f"case r.instrument when 'fsfi' then round(2 + 34 * {_CHANCE}, 1) else round(27 * {_CHANCE}) end"},
    ),
)
"""Answers lie in the order of their days, as they come in: not those of one client side by side."""
