"""The list of open joint views: for the clinician of everybody in it, and for nobody else."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from tests.api.couples import leaves, opened, paired, says
from tests.api.people import Person, problem, web
from tests.conftest import Tenant

COUPLES = "/v1/couples"


@pytest.fixture
async def c1(app: FastAPI, tenant: Tenant) -> AsyncIterator[Person]:
    """The clinician c-1."""
    async with web(app, tenant.slug, "clinician", "c-1") as http:
        yield Person(http)


async def treats(person: Person, client_id: str, clinician: str | None = "c-1", **more: Any) -> str:
    """An episode, open unless told otherwise."""
    body = {"started_on": "2026-01-05", "format": "couple", "clinician": clinician, **more}
    answer = await person.http.post(f"/v1/clients/{client_id}/episodes", json=body)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def listed(person: Person, **params: Any) -> list[str]:
    answer = await person.http.get(COUPLES, params=params)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_a_couple_is_listed_as_its_joint_view_says_it(ehr: Person, c1: Person) -> None:
    couple, clients = await opened(ehr, 3)
    for client in clients:
        await treats(ehr, client)
    answer = await c1.http.get(COUPLES)
    assert answer.json() == {"items": [(await c1.http.get(f"{COUPLES}/{couple}")).json()], "next": None}
    assert await listed(ehr) == [], "who is nobody's clinician gets none"


async def test_only_while_everybody_is_ones_own_client_and_consents(ehr: Person, c1: Person) -> None:
    couple, (first, second) = await opened(ehr)
    assert await listed(c1) == []
    await treats(ehr, first)
    assert await listed(c1) == [], "nobody is led from one to the other"
    await treats(ehr, second, started_on="2025-01-05", ended_on="2025-03-01", end_reason="completed")
    path = f"/v1/clients/{second}/episodes/{await treats(ehr, second, None)}"
    for clinician, expected in (("c-2", []), ("c-1", [couple])):
        assert await listed(c1) == []
        answer = await ehr.http.patch(path, json={"clinician": clinician}, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
        assert await listed(c1) == expected
    await says(ehr, second, couple, False)
    assert await listed(c1) == []
    await says(ehr, second, couple, True)
    assert await listed(c1) == [couple]
    await leaves(ehr, first, couple)
    assert await listed(c1) == [], "one alone is no couple"
    await leaves(ehr, first, couple, None)
    assert await listed(c1) == [], "who is back has to consent anew"
    await paired(ehr, first, second)
    assert await listed(c1) == [], "nobody has said anything"


async def test_pages(ehr: Person, c1: Person) -> None:
    made = []
    for _ in range(3):
        couple, clients = await opened(ehr)
        for client in clients:
            await treats(ehr, client)
        made.append(str(couple))
    first = (await c1.http.get(COUPLES, params={"limit": 2})).json()
    assert [one["id"] for one in first["items"]] == made[:2]
    assert await listed(c1, cursor=first["next"], limit=2) == made[2:]
    problem(await c1.http.get(COUPLES, params={"cursor": "zzz"}), 422, "request-invalid")
    problem(await c1.http.get(COUPLES, params={"clinician": "c-2"}), 422, "request-invalid")


async def test_each_couple_has_an_event_of_its_own(ehr: Person, c1: Person, superuser: asyncpg.Connection) -> None:
    couple, clients = await opened(ehr)
    told = []
    for client in (None, *clients):
        if client is not None:
            await treats(ehr, client)
        request_id = uuid.uuid4().hex
        await c1.http.get(COUPLES, headers={"X-Request-Id": request_id})
        events = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
        told.append([(event["action"], event["resource"], event["resource_id"]) for event in events])
    none = [("list", "couple", None)]
    assert told == [none, none, [("list", "couple", uuid.UUID(couple))]]
