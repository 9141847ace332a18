"""Work beside outcome over HTTP; how stretches are counted is tested in tests/scoring/series."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from api.times import today
from api.work.schemas import WorkProgress
from tests.api.people import People, Person, faults, problem
from tests.api.test_assignments import MATCH, made, reported
from tests.api.test_assignments import of as assignments
from tests.api.test_progress import answered
from tests.api.test_series import sum_of, weekly
from tests.conftest import Tenant


def of(client: str) -> str:
    return f"/v1/clients/{client}/work/progress"


async def shown(person: Person, client: str, **query: Any) -> dict[str, Any]:
    answer = await person.http.get(of(client), params={"instrument": "phq-9"} | query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    WorkProgress.model_validate(found)
    return found


class TestWork:
    async def test_beside_the_series(self, ehr: Person) -> None:
        client = await ehr.client()
        for day, points in ((10, 20), (31, 12), (52, 15)):  # 15 January, 5 February, 26 February
            await answered(ehr, client, (day, sum_of(points)), instrument="phq-9")
        members = {"set_on": "2026-01-12", "note": "Sentinel words"}
        one, two, three = [await made(ehr, client, due_on="2026-01-30", **members) for _ in range(3)]
        gone = await made(ehr, client, due_on="2026-01-30", **members)
        await made(ehr, client, due_on="2026-02-20", **members)  # nobody told of it
        await made(ehr, client, due_on=str(today() + timedelta(days=2)), **members)
        distress = {"distress_before": 8, "distress_after": 3}
        await reported(ehr, one, outcome="done", completed_on="2026-01-20", minutes=30, **distress)
        await reported(ehr, two, outcome="partly", completed_on="2026-02-05", minutes=10)
        await reported(ehr, three, outcome="done", completed_on="2026-01-15")
        await ehr.http.patch(assignments(client, gone["id"]), json={"withdrawn_on": "2026-01-20"}, headers=MATCH)
        found = await shown(ehr, client)
        assert (found["scale"], found["higher_is"]) == ("total", "worse")
        first, second = found["stretches"]
        assert (first["since"]["value"], first["until"]["value"], first["days"]) == (20, 12, 21)
        assert (first["change"], first["benefit"], second["benefit"]) == (-8, 8, -3)
        assert (first["work"]["done"], first["work"]["partly"], first["work"]["minutes"]) == (1, 1, 40)
        assert first["work"]["distress"] == {"n": 1, "before": 8, "after": 3, "fell_by": 5}
        assert (second["work"]["overdue"], second["work"]["rate"]) == (1, 0)
        # on the day of the first measurement is before it
        assert (found["before"]["done"], found["after"]["open"], found["after"]["rate"]) == (1, 1, None)
        assert (found["total"]["set"], found["total"]["rate"]) == (5, 0.5)
        assert "entinel" not in str(found), "notes are not needed for it"

    async def test_of_a_scale(self, ehr: Person) -> None:
        client = await ehr.client()
        await answered(ehr, client, (0, dict.fromkeys(map(str, range(1, 20)), 4)))
        found = await shown(ehr, client, instrument="fsfi", scale="pain")
        assert (found["instrument"], found["scale"], found["stretches"]) == ("fsfi", "pain", [])

    async def test_nothing_yet(self, ehr: Person) -> None:
        found = await shown(ehr, await ehr.client())
        assert (found["stretches"], found["before"], found["after"], found["total"]["set"]) == ([], None, None, 0)

    async def test_only_the_clients_own(self, ehr: Person) -> None:
        client, other = await ehr.client(), await ehr.client()
        await weekly(ehr, client, 20, 18)
        await made(ehr, other, due_on="2026-01-30")
        assert (await shown(ehr, client))["total"]["set"] == 0


class TestAccess:
    async def test_who_may(self, people: People) -> None:
        client = await people.ehr.client()
        for person in (people.ehr, people.clinician, people.admin):
            await shown(person, client)
        query = {"instrument": "phq-9"}
        problem(await people.researcher.http.get(of(client), params=query), 403, "forbidden")
        problem(await people.elsewhere.http.get(of(client), params=query), 404, "not-found")
        problem(await people.ehr.http.get(of(str(uuid.uuid4())), params=query), 404, "not-found")

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ({}, ("instrument", "missing")),
            ({"instrument": "none"}, ("instrument", "unknown-instrument")),
            ({"instrument": "phq-9", "scale": "none"}, ("scale", "unknown-scale")),
            ({"instrument": "phq-9", "window_days": 3}, ("window_days", "extra-forbidden")),
        ],
    )
    async def test_bad_query(self, ehr: Person, query: dict[str, str], fault: tuple[str, str]) -> None:
        assert faults(await ehr.http.get(of(await ehr.client()), params=query)) == [fault]

    async def test_trail(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        client, nobody = await people.ehr.client(), str(uuid.uuid4())
        await shown(people.clinician, client)
        await people.clinician.http.get(of(nobody), params={"instrument": "phq-9"})
        rows = await superuser.fetch(
            "select action, resource, resource_id, outcome from audit_event "
            "where organisation_id = $1 and subject = 'clinician-1' order by id",
            tenant.id,
        )
        whose = uuid.UUID(client)
        assert sorted(tuple(row) for row in rows[:2]) == [
            ("read", "progress", whose, "done"),
            ("read-work-progress", "client", whose, "done"),
        ]
        assert [tuple(row) for row in rows[2:]] == [("read", "progress", uuid.UUID(nobody), "not-found")]
