"""Alerts over HTTP: told in the reply, listed, read, acknowledged once, and superseded with their response."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from api.responses.recording import record
from tests.api.corrected import correct
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant
from tests.factories import make_client, make_recording

MOOD = {"instrument": "phq-9"}
URGENT = MOOD | {"answers": {"9": 2}}
UNKNOWN = str(uuid.UUID(int=5))


async def raised(person: Person, client_id: str | None = None, **members: Any) -> dict[str, Any]:
    """An alert that a form has raised, as the reply tells of it."""
    answer = await person.respond(client_id or await person.client(), **(URGENT | members))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["alerts"][0]
    return found


async def listed(person: Person, **params: Any) -> list[str]:
    """Ids in a list, all pages of it, two a page."""
    found: list[str] = []
    path: str | None = "/v1/alerts"
    asked: dict[str, Any] | None = params | {"limit": 2}
    while path is not None:
        answer = await person.http.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        found += [alert["id"] for alert in answer.json()["items"]]
        path, asked = answer.links.get("next", {}).get("url"), None
    return found


class TestReply:
    async def test_names_the_alert_as_it_is_kept(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        client_id = await ehr.client()
        answer = await ehr.respond(client_id, **URGENT)
        (told,) = answer.json()["alerts"]
        assert told == {
            "id": told["id"],
            "kind": "answers",
            "rule": "self-harm",
            "meaning": told["meaning"],
            "severity": "urgent",
            "items": ["9"],
            "scale": None,
            "status": "open",
            "guidance": None,
            "baseline_response_id": None,
            "change": None,
        }
        sent = await superuser.fetchval(
            "select resource_id::text from outbox where organisation_id = $1 and topic = 'alert.raised'", tenant.id
        )
        read = (await ehr.http.get(f"/v1/alerts/{told['id']}")).json()
        assert read["id"] == told["id"] == sent
        same = ("kind", "rule", "meaning", "severity", "items", "scale", "status", "guidance", "change")
        assert {name: read[name] for name in same} == {name: told[name] for name in same}
        assert (read["client_id"], read["response_id"], read["revision"]) == (client_id, answer.json()["id"], 1)
        assert (read["instrument"], read["origin"], read["acknowledgement"]) == ("phq-9", "recorded", None)

    async def test_a_repetition_is_answered_with_the_same(self, ehr: Person) -> None:
        client_id = await ehr.client()
        first, again = [await ehr.respond(client_id, key="k", **URGENT) for _ in range(2)]
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.text == first.text
        assert await listed(ehr) == [first.json()["alerts"][0]["id"]]

    async def test_what_was_kept_before_alerts_had_ids_is_read_as_it_was(
        self, ehr: Person, tenant: Tenant, service: asyncpg.Connection, app: Any
    ) -> None:
        client_id = await make_client(service, tenant.id)
        old = '{"alerts":[{"id":"self-harm","meaning":"m","severity":"urgent","items":["9"]}],"flags":[]}'
        recording = make_recording(tenant.id, client_id, instrument="phq-9", document=old)
        await record(app.state.database.pool, recording)
        answer = await ehr.http.get(f"/v1/responses/{recording.id}")
        assert answer.json()["alerts"] == [{"id": "self-harm", "meaning": "m", "severity": "urgent", "items": ["9"]}]


class TestLists:
    async def test_urgent_ones_first_and_then_the_newest(self, people: People) -> None:
        ehr, client_id = people.ehr, await people.ehr.client()
        rule = {"instrument": "gad-7", "name": "a", "severity": "notice", "when": {"item": "1", "at_least": 1}}
        assert (await people.admin.http.post("/v1/alert-rules", json=rule)).status_code == 201
        notice = await raised(ehr, client_id, instrument="gad-7", answers={"1": 1})
        urgent = [await raised(ehr, client_id) for _ in range(3)]
        order = [*(alert["id"] for alert in reversed(urgent)), notice["id"]]
        assert await listed(ehr) == order
        assert await listed(ehr, severity="notice") == [notice["id"]]
        assert await listed(ehr, kind="threshold") == [notice["id"]]
        assert await listed(ehr, kind="worsening") == []
        assert await listed(ehr, client_id=await ehr.client()) == []
        await ehr.http.post(f"/v1/alerts/{order[0]}/acknowledge", json={})
        assert await listed(ehr, status="open") == order[1:]
        assert await listed(ehr, status="acknowledged") == order[:1]

    async def test_of_a_clinician(self, ehr: Person) -> None:
        of_episode, of_nobody = await ehr.client(), await ehr.client()
        episode = {"started_on": "2026-02-20", "format": "individual", "clinician": "doctor-1"}
        answer = await ehr.http.post(f"/v1/clients/{of_episode}/episodes", json=episode)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        within = await raised(ehr, of_episode, episode_id=made["id"])
        outside = await raised(ehr, of_episode)
        await raised(ehr, of_nobody)
        assert await listed(ehr, clinician="doctor-1") == [outside["id"], within["id"]]
        assert await listed(ehr, clinician="doctor-2") == []
        ended = await ehr.http.patch(
            f"/v1/clients/{of_episode}/episodes/{made['id']}",
            json={"ended_on": "2026-03-02", "end_reason": "completed"},
            headers={"If-Match": "*"},
        )
        assert ended.status_code == 200, ended.text
        assert await listed(ehr, clinician="doctor-1") == [within["id"]]

    async def test_of_a_client(self, people: People) -> None:
        client_id = await people.ehr.client()
        alert = await raised(people.ehr, client_id)
        await raised(people.ehr)
        found = (await people.ehr.http.get(f"/v1/clients/{client_id}/alerts")).json()["items"]
        assert [one["id"] for one in found] == [alert["id"]]
        problem(await people.elsewhere.http.get(f"/v1/clients/{client_id}/alerts"), 404, "not-found")

    async def test_each_client_on_a_page_is_on_record(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        whose = {await ehr.client() for _ in range(2)}
        for client_id in whose:
            await raised(ehr, client_id)
        await ehr.http.get("/v1/alerts")
        events = await superuser.fetch(
            "select resource_id::text from audit_event where organisation_id = $1 and action = 'list-alerts'", tenant.id
        )
        assert {event[0] for event in events} == whose

    @pytest.mark.parametrize(
        ("params", "where"),
        [
            ({"status": "closed"}, "status"),
            ({"severity": "high"}, "severity"),
            ({"client_id": "x"}, "client_id"),
            ({"clinician": ""}, "clinician"),
            ({"cursor": "x"}, "cursor"),
            ({"limit": 0}, "limit"),
        ],
    )
    async def test_a_wrong_filter_is_named(self, ehr: Person, params: dict[str, Any], where: str) -> None:
        assert [found for found, _ in faults(await ehr.http.get("/v1/alerts", params=params))] == [where]

    async def test_a_cursor_of_another_organisation_leads_nowhere(self, people: People) -> None:
        for _ in range(2):
            await raised(people.ehr)
        cursor = (await people.ehr.http.get("/v1/alerts", params={"limit": 1})).json()["next"]
        answer = await people.elsewhere.http.get("/v1/alerts", params={"cursor": cursor})
        assert faults(answer) == [("cursor", "cursor-invalid")]


class TestAcknowledging:
    async def test_who_when_and_a_note_that_is_sealed(
        self, people: People, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        alert = await raised(people.ehr)
        path = f"/v1/alerts/{alert['id']}"
        answer = await people.clinician.http.post(f"{path}/acknowledge", json={"note": "  called at noon  "})
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert (done["status"], done["acknowledgement"]["by"]) == ("acknowledged", "clinician-1")
        assert done["acknowledgement"]["note"] == "called at noon"
        assert done["acknowledgement"]["at"] >= done["raised_at"]
        assert (await people.ehr.http.get(path)).json() == done
        row = await superuser.fetchrow("select * from alert_acknowledgement where organisation_id = $1", tenant.id)
        assert b"noon" not in row["note_sealed"]
        topics = await superuser.fetch(
            "select resource_id::text from outbox where organisation_id = $1 and topic = 'alert.acknowledged'",
            tenant.id,
        )
        assert [topic[0] for topic in topics] == [alert["id"]]
        events = await superuser.fetch(
            "select action, outcome from audit_event where resource_id = $1 order by id", uuid.UUID(alert["id"])
        )
        assert [tuple(event) for event in events] == [("acknowledge", "done"), ("read", "done")]

    async def test_without_a_note(self, ehr: Person) -> None:
        alert = await raised(ehr)
        done = (await ehr.http.post(f"/v1/alerts/{alert['id']}/acknowledge", json={})).json()
        assert done["acknowledgement"]["note"] is None

    async def test_a_second_time_says_who_did_it(self, people: People) -> None:
        path = f"/v1/alerts/{(await raised(people.ehr))['id']}/acknowledge"
        first = (await people.ehr.http.post(path, json={"note": "a secret"})).json()
        again = await people.clinician.http.post(path, json={"note": "b"})
        found = problem(again, 409, "alert-not-open")
        assert found["alert_status"] == "acknowledged"
        assert (found["acknowledged_by"], found["acknowledged_at"]) == ("ehr-1", first["acknowledgement"]["at"])
        assert "secret" not in again.text

    async def test_of_many_at_once_one_does(
        self, people: People, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        path = f"/v1/alerts/{(await raised(people.ehr))['id']}/acknowledge"
        who = [people.ehr, people.clinician, people.admin] * 3
        answers = await asyncio.gather(*(one.http.post(path, json={}) for one in who))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 8
        (winner,) = {answer.json()["acknowledgement"]["by"] for answer in answers if answer.status_code == 200}
        assert {answer.json()["acknowledged_by"] for answer in answers if answer.status_code == 409} == {winner}
        for table in ("alert_acknowledgement", "outbox"):
            where = "" if table == "alert_acknowledgement" else "and topic = 'alert.acknowledged'"
            query = f"select count(*) from {table} where organisation_id = $1 {where}"  # noqa: S608  - our names
            assert await superuser.fetchval(query, tenant.id) == 1

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"note": "x" * 2001}, ("/note", "length")),
            ({"note": "  "}, ("/note", "length")),
            ({"note": "a\x01b"}, ("/note", "control-character")),
            ({"note": 1}, ("/note", "string-type")),
            ({"by": "me"}, ("/by", "extra-forbidden")),
        ],
    )
    async def test_a_wrong_body_is_named(self, ehr: Person, body: dict[str, Any], fault: tuple[str, str]) -> None:
        alert = await raised(ehr)
        assert faults(await ehr.http.post(f"/v1/alerts/{alert['id']}/acknowledge", json=body)) == [fault]
        assert (await ehr.http.get(f"/v1/alerts/{alert['id']}")).json()["status"] == "open"

    async def test_another_organisations_alert_is_unknown(self, people: People) -> None:
        path = f"/v1/alerts/{(await raised(people.ehr))['id']}"
        for answer in (
            await people.elsewhere.http.get(path),
            await people.elsewhere.http.post(f"{path}/acknowledge", json={}),
            await people.ehr.http.post(f"/v1/alerts/{UNKNOWN}/acknowledge", json={}),
        ):
            problem(answer, 404, "not-found")
        assert (await people.ehr.http.get(path)).json()["status"] == "open"

    async def test_researchers_see_none(self, people: People) -> None:
        path = f"/v1/alerts/{(await raised(people.ehr))['id']}"
        for answer in (
            await people.researcher.http.get(path),
            await people.researcher.http.get("/v1/alerts"),
            await people.researcher.http.post(f"{path}/acknowledge", json={}),
        ):
            problem(answer, 403, "forbidden")


class TestCorrected:
    async def test_an_amendment_that_still_fires_has_its_own(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answer = await ehr.respond(client_id, **URGENT)
        response_id, first = answer.json()["id"], answer.json()["alerts"][0]["id"]
        (second,) = (await correct(ehr, response_id, answers={"9": 1})).json()["alerts"]
        assert second["id"] != first
        assert await listed(ehr, status="open") == [second["id"]]
        assert await listed(ehr, status="superseded") == [first]
        read = (await ehr.http.get(f"/v1/alerts/{second['id']}")).json()
        assert (read["response_id"], read["revision"]) == (response_id, 2)

    async def test_one_of_a_void_response_waits_for_nobody(self, ehr: Person) -> None:
        answer = await ehr.respond(await ehr.client(), **URGENT)
        path = f"/v1/alerts/{answer.json()['alerts'][0]['id']}"
        done = await ehr.http.post(
            f"/v1/responses/{answer.json()['id']}/void", json={"reason": "a"}, headers={"If-Match": "*"}
        )
        assert done.status_code == 200
        assert (await ehr.http.get(path)).json()["status"] == "superseded"
        found = problem(await ehr.http.post(f"{path}/acknowledge", json={}), 409, "alert-not-open")
        assert (found["alert_status"], found["acknowledged_by"]) == ("superseded", None)

    async def test_what_was_acknowledged_before_stays_told(self, ehr: Person) -> None:
        answer = await ehr.respond(await ehr.client(), **URGENT)
        path = f"/v1/alerts/{answer.json()['alerts'][0]['id']}"
        done = (await ehr.http.post(f"{path}/acknowledge", json={"note": "seen"})).json()
        await correct(ehr, answer.json()["id"], answers={"9": 0})
        after = (await ehr.http.get(path)).json()
        assert after == done | {"status": "superseded"}
