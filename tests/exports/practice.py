"""A practice in which something of everything has happened, made over HTTP as callers would."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from tests.api import couples
from tests.api.corrected import correct
from tests.api.people import People, Person
from tests.api.test_assignments import DONE
from tests.api.test_assignments import FULL as WORK
from tests.api.test_goals import LEVELS, TARGET, made, rated
from tests.conftest import Tenant
from tests.factories import make_own_rows, make_wording

EXTERNAL_ID = "Sentinel-4711"
GOAL, REASON, NOTE = LEVELS["wording"], "Sentinel: read the wrong line", WORK["note"]
WORDS = (EXTERNAL_ID, GOAL, REASON, NOTE, DONE["note"])
"""What is kept sealed."""


@dataclass(frozen=True)
class Practice:
    """Who is in it."""

    client: str
    partner: str
    couple: str
    response: str
    """Amended once."""


async def lived(people: People, external_id: str = EXTERNAL_ID) -> Practice:
    """A client with a whole course of therapy, and a partner with one response."""
    person = people.ehr
    client = await person.client(
        external_id=external_id,
        birth_year=1984,
        gender="woman",
        organs=["vulva", "uterus"],
        languages=["cs", "en"],
        neurodivergence=[],
        research_consent=True,
    )
    partner = await person.client(external_id=external_id + "-partner", gender="man")
    episode = await _posted(
        person,
        f"/v1/clients/{client}/episodes",
        started_on="2026-01-12",
        format="couple",
        modality="hybrid",
        concerns=["desire"],
        clinician="therapist-1",
    )
    await _posted(
        person,
        f"/v1/clients/{client}/episodes/{episode}/sessions",
        held_at="2026-01-12T10:00:00Z",
        attendance="attended",
    )
    answer = await person.respond(client, episode_id=episode, setting="remote", partnered=True, active=True)
    assert answer.status_code == 201, answer.text
    response = answer.json()["id"]
    amended = await correct(person, response, reason=REASON)
    assert amended.status_code == 200, amended.text
    low = {str(item): 3 for item in range(1, 10)}
    alarming = await person.respond(client, instrument="phq-9", answers=low)
    assert alarming.json()["alerts"], alarming.text
    second = await person.respond(client, answered_at="2026-04-01T10:00:00Z")
    voided = await correct(person, second.json()["id"], "void", reason="Sentinel: a trial", reason_code="test-entry")
    assert voided.status_code == 200, voided.text
    await person.respond(partner, instrument="phq-9", answers=dict.fromkeys(low, 1))
    couple = await couples.paired(person, client, partner)
    await couples.says(person, client, couple, True)
    await couples.says(person, partner, couple, False)
    goal = await made(person, client, LEVELS)
    first = await rated(person, goal, -1, "2026-01-20")
    await rated(person, goal, 0, "2026-01-20", corrects=first["id"])
    await made(person, client, TARGET)
    work = await _posted(person, f"/v1/clients/{client}/assignments", **WORK)
    await _posted(person, f"/v1/clients/{client}/assignments/{work}/completions", **DONE)
    return Practice(client, partner, couple, response)


async def _posted(person: Person, path: str, **members: object) -> str:
    answer = await person.http.post(path, json=members)
    assert answer.status_code == 201, answer.text
    found: str = answer.json().get("id", "")
    return found


async def filled(connection: asyncpg.Connection, tenant: Tenant) -> None:
    """A row in each table that has nothing of a client, by the shortest way."""
    await make_own_rows(connection, tenant.id)
    await make_wording(connection, tenant.id)
