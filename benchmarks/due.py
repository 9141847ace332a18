"""What falls due of ten thousand open episodes: against a bare endpoint that selects as many rows, and against few."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psycopg

from api.db import ORGANISATION_SETTING, ORGANISATION_SLUG_SETTING
from api.protocols.settling import unmarked
from api.protocols.store import OfJob
from benchmarks.copies import copied
from benchmarks.recording import _clinic, _in_database
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.server import ORGANISATION, Service, floor, load, service

FEW, MANY = 100, 10_000
PAGE = 50
_WINDOW = {"opens_before": 3, "overdue_after": 3, "closes_after": 14}
_ENTRIES = [
    {"id": "baseline", "instrument": "fsfi", "when": {"kind": "baseline"}, "window": _WINDOW},
    {"id": "course", "instrument": "fsfi", "when": {"kind": "weeks", "every": 4}, "window": _WINDOW},
    {
        "id": "mood",
        "instrument": "phq-9",
        "when": {"kind": "weeks", "every": 2},
        "window": {"opens_before": 2, "overdue_after": 2, "closes_after": 7},
    },
]
_WEEKS = 20
"""For how long each episode has gone on; their first days are spread over four weeks more."""


def due() -> list[Outcome]:
    """``GET /v1/due`` of 10,000 open episodes, a page of 50."""
    with ExitStack() as stack:
        many, url = _filled(stack, MANY)
        few, _ = _filled(stack, FEW)
        floor_port = stack.enter_context(floor(url))
        path = f"/v1/due?limit={PAGE}"
        against_bare = in_turn(
            lambda: load(floor_port, "GET", [f"/due?limit={PAGE}"], headers={}),
            lambda: load(many.port, "GET", [path], headers=many.headers()),
            rounds=5,
        )
        against_few = in_turn(
            lambda: 1 / load(few.port, "GET", [path], headers=few.headers()),
            lambda: 1 / load(many.port, "GET", [path], headers=many.headers()),
            rounds=5,
        )
    return [
        outcome(f"GET /v1/due, {MANY:,} episodes", against_bare, goal=0.5, higher_is="better", unit="requests/s"),
        outcome(f"GET /v1/due, {MANY:,} episodes against {FEW}", against_few, goal=1.2, higher_is="worse",
                unit="s/request"),
    ]  # fmt: skip


def _filled(stack: ExitStack, episodes: int) -> tuple[Service, str]:
    """A service with so many open episodes that follow a protocol, and the URL of its database.

    One episode is made through the API, with all its slots; the others are copies of it on other days. Nine slots of
    ten that were due are answered, and marked so.
    """
    data, lease = stack.enter_context(_clinic())
    running = stack.enter_context(service(data, role="clinician"))
    client = running.call("POST", "/v1/clients", {})["id"]
    today = datetime.now(UTC).date()
    began = {"started_on": str(today - timedelta(weeks=_WEEKS)), "format": "individual", "clinician": "c-0"}
    episode = running.call("POST", f"/v1/clients/{client}/episodes", began)["id"]
    running.call("POST", "/v1/protocols", {"code": "usual", "name": "Usual", "entries": _ENTRIES})
    followed = {"protocol": "usual", "starts_on": began["started_on"]}
    running.call("POST", f"/v1/clients/{client}/episodes/{episode}/protocols", followed)
    for code, items in (("fsfi", 19), ("phq-9", 9)):
        form = {
            "client_id": client,
            "instrument": code,
            "answered_at": "2025-01-01T12:00:00Z",
            "answers": {str(item): 1 for item in range(1, items + 1)},
        }
        running.call("POST", "/v1/responses", form, **{"Idempotency-Key": str(uuid.uuid4())})
    url = lease.url("postgres", "fathomline")
    asyncio.run(copied(url, _MADE, episodes, _COPIES))
    _in_database(url, "analyze")
    asyncio.run(_check_marks(lease.url_service))
    _in_database(url, "vacuum analyze", "grant select on protocol_slot to fathomline_service")
    return running, url


async def _check_marks(url: str) -> None:
    """That the slots are marked as the job would leave them that runs every ten minutes.

    Raises
    ------
    RuntimeError
        It would find something to do: then it is not the usual state that is measured.
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        confine = "select set_config(%s, %s, true)"
        await connection.execute(confine, (ORGANISATION_SLUG_SETTING, ORGANISATION))
        ((organisation_id,),) = await (await connection.execute("select organisation_id from organisation")).fetchall()
        await connection.execute(confine, (ORGANISATION_SETTING, str(organisation_id)))
        if await unmarked(OfJob(connection), organisation_id):
            raise RuntimeError("answered slots of the last weeks are not marked")


_THEIRS = {"client_id": "m.client_id", "episode_id": "m.episode_id"}
_DAYS = ("opens_on", "due_on", "overdue_on", "closes_on", "last_on")
_MADE = """
create temporary table made on commit drop as
select n % 28 as later, 'c-' || n % 40 as clinician, uuidv7() client_id, uuidv7() episode_id, uuidv7() followed_id
from generate_series(2, $1) n
"""
_COPIES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("client", "client o, made m", {"id": "m.client_id", "external_id_hash": "null"}),
    (
        "episode",
        "episode o, made m",
        {**_THEIRS, "id": "m.episode_id", "started_on": "o.started_on - m.later", "clinician": "m.clinician"},
    ),
    ("episode_protocol", "episode_protocol o, made m", {**_THEIRS, "id": "m.followed_id"}),
    (
        "protocol_slot",
        "protocol_slot o, made m",
        {**_THEIRS, "id": "uuidv7()", "episode_protocol_id": "m.followed_id", "clinician": "m.clinician"}
        | {day: f"o.{day} - m.later" for day in _DAYS}
        | {"answered": "o.due_on - m.later < current_date and hashtext(m.client_id::text || o.id::text) % 10 <> 0"},
    ),
    (
        "response",
        "protocol_slot s join response o on o.instrument = s.instrument where s.answered",
        {"id": "uuidv7()", "client_id": "s.client_id", "answered_at": "s.due_on + time '12:00'"},
    ),
)
