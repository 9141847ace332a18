"""Sessions over HTTP, and that an episode keeps them within its days."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from api.clients.codes import CODES
from api.times import today
from tests.api.people import People, Person, faults, problem
from tests.api.test_episodes import MATCH, begun, changed, of
from tests.conftest import Tenant

Episode = dict[str, Any]


def sessions(episode: Episode, session_id: str | None = None) -> str:
    path = f"{of(episode['client_id'], episode['id'])}/sessions"
    return path if session_id is None else f"{path}/{session_id}"


async def held(person: Person, episode: Episode, held_at: str, **members: Any) -> dict[str, Any]:
    answer = await person.http.post(sessions(episode), json={"held_at": held_at, **members})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def put_right(person: Person, episode: Episode, session: dict[str, Any], **members: Any) -> httpx.Response:
    return await person.http.patch(sessions(episode, session["id"]), json=members, headers=MATCH)


@pytest.fixture
async def episode(ehr: Person) -> Episode:
    """One that began on 12 January 2026 and goes on."""
    return await begun(ehr, await ehr.client())


class TestCreate:
    async def test_everything(self, ehr: Person, episode: Episode) -> None:
        body = {"held_at": "2026-02-03T18:30:00-05:00", "attendance": "attended", "modality": "telehealth"}
        answer = await ehr.http.post(sessions(episode), json=body)
        made = answer.json()
        assert answer.status_code == 201, answer.text
        assert (answer.headers["location"], answer.headers["etag"]) == (sessions(episode, made["id"]), '"1"')
        assert made == body | {
            "id": made["id"],
            "episode_id": episode["id"],
            "held_at": "2026-02-03T23:30:00Z",
            "held_on": "2026-02-03",
            "created_at": made["created_at"],
            "updated_at": made["created_at"],
            "version": 1,
        }
        again = await ehr.http.get(answer.headers["location"])
        assert (again.json(), again.headers["etag"]) == (made, '"1"')

    async def test_every_code(self, ehr: Person, episode: Episode) -> None:
        for code in CODES.attendance:
            assert (await held(ehr, episode, "2026-02-03T10:00:00Z", attendance=code.code))["attendance"] == code.code
        for code in CODES.modality:
            assert (await held(ehr, episode, "2026-02-03T10:00:00Z", modality=code.code))["modality"] == code.code

    async def test_the_day_is_the_one_where_it_is_held(self, ehr: Person, episode: Episode) -> None:
        """Which is within the episode at the practice, whatever day it is in Greenwich."""
        early = await held(ehr, episode, "2026-01-12T00:30:00+13:00")
        assert (early["held_at"], early["held_on"]) == ("2026-01-11T11:30:00Z", "2026-01-12")
        answer = await ehr.http.post(sessions(episode), json={"held_at": "2026-01-11T23:30:00-08:00"})
        assert faults(answer) == [("/held_at", "outside-episode")], "in Greenwich it is the 12th already"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, [("/held_at", "missing")]),
            ({"held_at": None}, [("/held_at", "time-format")]),
            ({"held_at": "2026-02-03"}, [("/held_at", "time-format")]),
            ({"held_at": "2026-02-03T10:00:00"}, [("/held_at", "time-format")]),
            ({"held_at": "0001-01-01T00:00:00+14:00"}, [("/held_at", "time-implausible")]),
            ({"held_at": "9999-12-31T23:59:59-14:00"}, [("/held_at", "time-implausible")]),
            ({"held_at": "2026-01-11T23:59:59Z"}, [("/held_at", "outside-episode")]),
            ({"held_at": "2026-02-03T10:00:00Z", "attendance": "late"}, [("/attendance", "unknown-code")]),
            ({"held_at": "2026-02-03T10:00:00Z", "modality": "phone"}, [("/modality", "unknown-code")]),
            ({"held_at": "2026-02-03T10:00:00Z", "notes": "Sentinel"}, [("/notes", "extra-forbidden")]),
        ],
    )
    async def test_refused(
        self, ehr: Person, episode: Episode, body: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        answer = await ehr.http.post(sessions(episode), json=body)
        assert faults(answer) == expected
        assert "Sentinel" not in answer.text
        assert (await ehr.http.get(sessions(episode))).json()["items"] == []

    async def test_the_future_is_planned_or_called_off(self, ehr: Person, episode: Episode) -> None:
        soon = f"{today() + timedelta(days=2)}T10:00:00Z"
        assert (await held(ehr, episode, soon))["attendance"] is None
        await held(ehr, episode, soon, attendance="cancelled")
        for attendance in ("attended", "missed"):
            answer = await ehr.http.post(sessions(episode), json={"held_at": soon, "attendance": attendance})
            assert faults(answer) == [("/attendance", "in-the-future")]
        answer = await ehr.http.post(sessions(episode), json={"held_at": f"{today() + timedelta(days=367)}T10:00:00Z"})
        assert faults(answer) == [("/held_at", "day-implausible")]

    async def test_listed_in_the_order_of_their_times(self, ehr: Person, episode: Episode) -> None:
        times = [f"2026-02-{day:02}T10:00:00Z" for day in (5, 1, 3, 3, 2)]
        for moment in times:
            await held(ehr, episode, moment)
        found: list[str] = []
        path: str | None = f"{sessions(episode)}?limit=2"
        while path is not None:
            answer = await ehr.http.get(path)
            found += [one["held_at"] for one in answer.json()["items"]]
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert found == sorted(times)


class TestChange:
    async def test_what_became_of_it(self, ehr: Person, episode: Episode) -> None:
        session = await held(ehr, episode, "2026-02-03T10:00:00Z")
        answer = await put_right(ehr, episode, session, attendance="missed")
        after = answer.json()
        assert answer.headers["etag"] == '"2"'
        assert after == session | {"attendance": "missed", "version": 2, "updated_at": after["updated_at"]}
        assert (await put_right(ehr, episode, session, attendance="missed")).json() == after
        assert (await put_right(ehr, episode, session, attendance=None)).json()["attendance"] is None

    async def test_another_time(self, ehr: Person, episode: Episode) -> None:
        session = await held(ehr, episode, "2026-02-03T10:00:00Z")
        after = (await put_right(ehr, episode, session, held_at="2026-02-05T00:10:00+02:00")).json()
        assert (after["held_at"], after["held_on"]) == ("2026-02-04T22:10:00Z", "2026-02-05")

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"held_at": None}, [("/held_at", "not-cleared")]),
            ({"held_at": "2026-01-11T10:00:00Z"}, [("/held_at", "outside-episode")]),
            ({"episode_id": str(uuid.UUID(int=0))}, [("/episode_id", "extra-forbidden")]),
        ],
    )
    async def test_refused(
        self, ehr: Person, episode: Episode, members: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        session = await held(ehr, episode, "2026-02-03T10:00:00Z")
        assert faults(await put_right(ehr, episode, session, **members)) == expected
        assert (await ehr.http.get(sessions(episode, session["id"]))).json() == session

    async def test_the_version_that_is_meant_has_to_be_said(self, ehr: Person, episode: Episode) -> None:
        session = await held(ehr, episode, "2026-02-03T10:00:00Z")
        path, body = sessions(episode, session["id"]), {"attendance": "attended"}
        problem(await ehr.http.patch(path, json=body), 428, "precondition-required")
        assert (await ehr.http.patch(path, json=body, headers={"If-Match": '"1"'})).status_code == 200
        problem(await ehr.http.patch(path, json=body, headers={"If-Match": '"1"'}), 412, "precondition-failed")


class TestWithinTheEpisode:
    async def test_an_episode_does_not_end_before_its_last_session(self, ehr: Person, episode: Episode) -> None:
        await held(ehr, episode, "2026-02-03T10:00:00Z", attendance="missed")
        await held(ehr, episode, "2026-01-20T10:00:00Z", attendance="attended")
        refused = await changed(ehr, episode, ended_on="2026-02-02", end_reason="dropped-out")
        assert faults(refused) == [("/ended_on", "before-last-session")]
        assert "2026-02-03" in refused.json()["errors"][0]["detail"]
        assert (await changed(ehr, episode, ended_on="2026-02-03", end_reason="dropped-out")).status_code == 200

    async def test_nor_begins_after_its_first(self, ehr: Person, episode: Episode) -> None:
        await held(ehr, episode, "2026-02-03T10:00:00Z")
        assert faults(await changed(ehr, episode, started_on="2026-02-04")) == [("/started_on", "after-first-session")]
        assert (await changed(ehr, episode, started_on="2026-02-03")).status_code == 200

    async def test_what_was_called_off_does_not_count(self, ehr: Person, episode: Episode) -> None:
        session = await held(ehr, episode, "2026-02-10T10:00:00Z", attendance="cancelled")
        assert (await changed(ehr, episode, ended_on="2026-02-03", end_reason="completed")).status_code == 200
        answer = await put_right(ehr, episode, session, attendance="attended")
        assert faults(answer) == [("/attendance", "outside-episode")]
        assert (await put_right(ehr, episode, session, modality="in-person")).status_code == 200
        moved = await put_right(ehr, episode, session, attendance="attended", held_at="2026-02-03T10:00:00Z")
        assert moved.status_code == 200, moved.text

    async def test_what_is_planned_counts(self, ehr: Person, episode: Episode) -> None:
        session = await held(ehr, episode, f"{today() + timedelta(days=5)}T10:00:00Z")
        ending = {"ended_on": "2026-02-03", "end_reason": "completed"}
        assert faults(await changed(ehr, episode, **ending)) == [("/ended_on", "before-last-session")]
        await put_right(ehr, episode, session, attendance="cancelled")
        assert (await changed(ehr, episode, **ending)).status_code == 200

    async def test_no_session_after_the_end(self, ehr: Person, episode: Episode) -> None:
        await changed(ehr, episode, ended_on="2026-02-03", end_reason="completed")
        answer = await ehr.http.post(sessions(episode), json={"held_at": "2026-02-04T00:00:00Z"})
        assert faults(answer) == [("/held_at", "outside-episode")]
        assert "from 2026-01-12 to 2026-02-03" in answer.json()["errors"][0]["detail"]
        await held(ehr, episode, "2026-02-03T23:59:59Z")

    async def test_also_when_both_happen_at_once(self, ehr: Person) -> None:
        """Whichever comes first, no session is left outside its episode."""
        for _ in range(5):
            episode = await begun(ehr, await ehr.client())
            ending, planning = await asyncio.gather(
                changed(ehr, episode, ended_on="2026-02-03", end_reason="completed"),
                ehr.http.post(sessions(episode), json={"held_at": "2026-02-10T10:00:00Z"}),
            )
            assert sorted((ending.status_code, planning.status_code)) in ([200, 422], [201, 422])


async def test_an_unknown_session_is_not_found(people: People, episode: Episode) -> None:
    session = await held(people.ehr, episode, "2026-02-03T10:00:00Z")
    other = await begun(people.ehr, episode["client_id"], format="group")
    problem(await people.ehr.http.get(sessions(other, session["id"])), 404, "not-found")
    problem(await people.ehr.http.patch(sessions(other, session["id"]), json={}, headers=MATCH), 404, "not-found")
    problem(await people.elsewhere.http.get(sessions(episode, session["id"])), 404, "not-found")
    problem(await people.researcher.http.get(sessions(episode)), 403, "forbidden")
    assert (await people.clinician.http.get(sessions(episode, session["id"]))).status_code == 200


async def test_audit_trail(people: People, tenant: Tenant, superuser: asyncpg.Connection, episode: Episode) -> None:
    session = await held(people.ehr, episode, "2026-02-03T10:00:00Z")
    await people.clinician.http.get(sessions(episode, session["id"]))
    await people.clinician.http.get(sessions(episode))
    await put_right(people.clinician, episode, session, attendance="attended")
    await put_right(people.clinician, episode, session, held_at="2026-01-01T10:00:00Z")
    await people.ehr.http.get(sessions(episode, episode["id"]))
    rows = await superuser.fetch(
        "select role, action, resource, resource_id, outcome from audit_event"
        " where organisation_id = $1 and (resource = 'session' or action = 'list-sessions') order by id",
        tenant.id,
    )
    one, whole = uuid.UUID(session["id"]), uuid.UUID(episode["id"])
    assert [tuple(row) for row in rows] == [
        ("ehr", "create", "session", one, "done"),
        ("clinician", "read", "session", one, "done"),
        ("clinician", "list-sessions", "episode", whole, "done"),
        ("clinician", "change", "session", one, "done"),
        ("clinician", "change", "session", one, "refused"),
        ("ehr", "read", "session", whole, "not-found"),
    ]
