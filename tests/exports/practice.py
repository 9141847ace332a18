"""A practice in which something of everything has happened, made over HTTP as callers would."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg

from tests.api import couples
from tests.api.corrected import correct
from tests.api.people import People, Person
from tests.api.test_assignments import DONE
from tests.api.test_assignments import FULL as WORK
from tests.api.test_goals import LEVELS, TARGET, made, rated
from tests.conftest import Tenant
from tests.factories import (
    make_alert_rows,
    make_audit_rows,
    make_erasure,
    make_own_rows,
    make_protocol_rows,
    make_reference,
    make_rescoring,
    make_wording,
)

EXTERNAL_ID = "Sentinel-4711"
GOAL, REASON, NOTE = LEVELS["wording"], "Sentinel: read the wrong line", WORK["note"]
ALERTED = "Sentinel: talked about it"
WORDS = (EXTERNAL_ID, GOAL, REASON, NOTE, DONE["note"], ALERTED)
"""What is kept sealed."""


@dataclass(frozen=True)
class Practice:
    """Who is in it."""

    client: str
    partner: str
    couple: str
    episode: str
    response: str
    """Amended once."""
    alert: str


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
    alert = alarming.json()["alerts"][0]["id"]
    seen = await person.http.post(f"/v1/alerts/{alert}/acknowledge", json={"note": ALERTED})
    assert seen.status_code == 200, seen.text
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
    return Practice(client, partner, couple, episode, response, alert)


async def _posted(person: Person, path: str, **members: object) -> str:
    answer = await person.http.post(path, json=members)
    assert answer.status_code == 201, answer.text
    found: str = answer.json().get("id", "")
    return found


async def filled(connection: asyncpg.Connection, tenant: Tenant, practice: Practice) -> None:
    """A row in each of the other tables, by the shortest way."""
    client = uuid.UUID(practice.client)
    await make_own_rows(connection, tenant.id)
    await make_wording(connection, tenant.id)
    await make_alert_rows(connection, tenant.id, uuid.UUID(practice.alert))
    await make_protocol_rows(connection, tenant.id, client, uuid.UUID(practice.episode))
    await make_rescoring(connection, tenant.id, uuid.UUID(practice.response))
    await make_reference(connection, tenant.id)
    await make_erasure(connection, tenant.id)
    await make_audit_rows(connection, tenant.id, client)
