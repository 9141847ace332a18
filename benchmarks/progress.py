"""Progress of a client with a hundred answers against a bare endpoint that selects the same rows."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.recording import _clinic, _in_database
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.scoring import FSFI
from benchmarks.server import floor, load, service

ANSWERS = 100
FIRST = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)


def progress() -> list[Outcome]:
    """``GET /v1/clients/{id}/progress`` of 100 FSFI: one scale, and all seven with every part of the document."""
    with _clinic() as (data, lease), ExitStack() as stack:
        running = stack.enter_context(service(data))
        client: str = running.call("POST", "/v1/clients", {})["id"]
        for number in range(ANSWERS):
            running.call("POST", "/v1/responses", _form(client, number), **{"Idempotency-Key": str(uuid.uuid4())})
        url = lease.url("postgres", "fathomline")
        _in_database(url, "analyze")
        port = stack.enter_context(floor(url))

        def ratio(name: str, query: str) -> Outcome:
            pairs = in_turn(
                lambda: load(port, "GET", [f"/scores?client={client}{query}"], headers={}),
                lambda: load(running.port, "GET", [f"/v1/clients/{client}/progress?instrument=fsfi{query}"],
                             headers=running.headers()),
                rounds=5,
            )  # fmt: skip
            return outcome(name, pairs, goal=0.5, higher_is="better", unit="requests/s")

        return [
            ratio(f"GET progress, {ANSWERS} answers, one scale", "&scale=total"),
            ratio(f"GET progress, {ANSWERS} answers, all scales", ""),
        ]


def _form(client: str, number: int) -> dict[str, Any]:
    """An FSFI a week after the one before, each item going up and down in its own way."""
    answers = {item.id: item.options[(number + 3 * place) % len(item.options)] for place, item in enumerate(FSFI.items)}
    at = FIRST + timedelta(weeks=number)
    return {"client_id": client, "instrument": "fsfi", "answered_at": at.isoformat(), "answers": answers}
