"""What tests of protocols usually do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from tests.api.people import Person

MATCH = {"If-Match": "*"}
WINDOW = {"opens_before": 2, "overdue_after": 1, "closes_after": 4}
START = date(2026, 1, 12)


def entry(kind: str = "weeks", **members: Any) -> dict[str, Any]:
    """An entry of a protocol: the FSFI every four weeks unless told otherwise."""
    when = {"kind": kind} | {name: members.pop(name) for name in ("every", "count", "until_week", "weeks")
                             if name in members}  # fmt: skip
    if kind in ("weeks", "sessions"):
        when.setdefault("every", 4)
    return {"id": kind, "instrument": "fsfi", "when": when, "window": WINDOW} | members


def body(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A new protocol."""
    return {"code": "usual", "name": "Usual", "entries": [*entries] or [entry()]} | members


async def made(person: Person, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A protocol that was made."""
    answer = await person.http.post("/v1/protocols", json=body(*entries, **members))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def episode_of(person: Person, **members: Any) -> str:
    """The path of an episode of a new client."""
    client_id = await person.client()
    given = {"started_on": str(START), "format": "individual"} | members
    answer = await person.http.post(f"/v1/clients/{client_id}/episodes", json=given)
    assert answer.status_code == 201, answer.text
    return f"/v1/clients/{client_id}/episodes/{answer.json()['id']}"


async def assigned(person: Person, path: str, protocol: dict[str, Any], **members: Any) -> dict[str, Any]:
    """That the episode follows the protocol, from its first day on unless told otherwise."""
    given = {"protocol": protocol["code"], "starts_on": "2000-01-01"} | members
    answer = await person.http.post(f"{path}/protocols", json=given)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def scheduled(person: Person, path: str, day: date | None = None) -> dict[str, Any]:
    """The schedule of an episode on a day."""
    answer = await person.http.get(f"{path}/schedule", params={} if day is None else {"date": str(day)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def answered(person: Person, path: str, day: date, **members: Any) -> str:
    """A response of the episode's client, answered at noon of a day; its id."""
    client_id, episode_id = path.split("/")[3], path.split("/")[5]
    given = {"answered_at": f"{day}T12:00:00Z", "episode_id": episode_id} | members
    answer = await person.respond(client_id, **given)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def attended(person: Person, path: str, day: date, attendance: str | None = "attended") -> str:
    """The path of a session."""
    given = {"held_at": f"{day}T09:00:00Z", "attendance": attendance}
    answer = await person.http.post(f"{path}/sessions", json=given)
    assert answer.status_code == 201, answer.text
    return f"{path}/sessions/{answer.json()['id']}"


async def due(person: Person, **parameters: Any) -> list[dict[str, Any]]:
    """All that falls due, over all pages."""
    found: list[dict[str, Any]] = []
    given = {name: str(value) if isinstance(value, date) else value for name, value in parameters.items()}
    answer = await person.http.get("/v1/due", params=given)
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            assert "Link" not in answer.headers
            return found
        answer = await person.http.get(answer.headers["Link"].split(">")[0][1:])


def after(days: int) -> date:
    """A day of the episode, counted from its first."""
    return START + timedelta(days=days)


def today() -> date:
    """In UTC."""
    return datetime.now(UTC).date()


def statuses(schedule: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Entry, day and status of each slot."""
    return [(slot["entry"], slot["due_on"], slot["status"]) for slot in schedule["slots"]]


async def changed(person: Person, path: str, **members: Any) -> httpx.Response:
    """Change members of an episode or a session."""
    answer = await person.http.patch(path, json=members, headers=MATCH)
    assert answer.status_code == 200, answer.text
    return answer
