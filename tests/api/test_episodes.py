"""Episodes over HTTP: what is taken, what is refused, and what stays inside."""

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
from instruments.concerns import vocabulary
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant

FULL: dict[str, Any] = {
    "started_on": "2026-01-12",
    "ended_on": "2026-04-30",
    "end_reason": "completed",
    "modality": "hybrid",
    "format": "couple",
    "concerns": ["pain", "desire"],
    "clinician": "practitioner-17",
}
OPEN: dict[str, Any] = {"started_on": "2026-01-12", "format": "individual"}
MATCH = {"If-Match": "*"}


def of(client_id: str, episode_id: str | None = None) -> str:
    path = f"/v1/clients/{client_id}/episodes"
    return path if episode_id is None else f"{path}/{episode_id}"


async def begun(person: Person, client_id: str, **members: Any) -> dict[str, Any]:
    answer = await person.http.post(of(client_id), json=OPEN | members)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def changed(person: Person, episode: dict[str, Any], **members: Any) -> httpx.Response:
    return await person.http.patch(of(episode["client_id"], episode["id"]), json=members, headers=MATCH)


class TestCreate:
    async def test_everything(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answer = await ehr.http.post(of(client_id), json=FULL)
        made = answer.json()
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == of(client_id, made["id"])
        assert answer.headers["etag"] == '"1"'
        assert made == FULL | {
            "id": made["id"],
            "client_id": client_id,
            "version": 1,
            "created_at": made["created_at"],
            "updated_at": made["created_at"],
        }
        assert uuid.UUID(made["id"]).version == 7
        again = await ehr.http.get(answer.headers["location"])
        assert (again.status_code, again.json(), again.headers["etag"]) == (200, made, '"1"')

    async def test_the_least(self, ehr: Person) -> None:
        made = await begun(ehr, await ehr.client())
        empty: dict[str, Any] = {**dict.fromkeys(FULL), "concerns": []}
        assert {name: made[name] for name in FULL} == empty | OPEN

    async def test_every_code(self, ehr: Person) -> None:
        for member, codes in (
            ("end_reason", CODES.end_reason),
            ("modality", CODES.modality),
            ("format", CODES.episode_format),
        ):
            for code in codes:
                made = await begun(ehr, await ehr.client(), **FULL | {member: code.code})
                assert made[member] == code.code
        made = await begun(ehr, await ehr.client(), concerns=list(vocabulary())[:20])
        assert made["concerns"] == list(vocabulary())[:20]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"started_on": None}, [("/started_on", "date-format")]),
            ({"started_on": "2026-02-30"}, [("/started_on", "date-from-datetime-parsing")]),
            ({"started_on": "2026-01-12T00:00:00Z"}, [("/started_on", "date-format")]),
            ({"started_on": 1768176000}, [("/started_on", "date-format")]),
            ({"started_on": "1899-12-31"}, [("/started_on", "day-implausible")]),
            ({"started_on": "2999-01-01"}, [("/started_on", "day-implausible")]),
            ({"ended_on": "2026-02-01"}, [("/end_reason", "missing")]),
            ({"end_reason": "completed"}, [("/ended_on", "missing")]),
            ({"ended_on": "2026-01-11", "end_reason": "completed"}, [("/ended_on", "days-out-of-order")]),
            ({"ended_on": "2999-01-01", "end_reason": "completed"}, [("/ended_on", "day-implausible")]),
            ({"ended_on": "2026-02-01", "end_reason": "bored"}, [("/end_reason", "unknown-code")]),
            ({"format": "family"}, [("/format", "unknown-code")]),
            ({"format": None}, [("/format", "string-type")]),
            ({"modality": "remote"}, [("/modality", "unknown-code")]),
            ({"concerns": ["pain", "pain"]}, [("/concerns", "duplicate-code")]),
            ({"concerns": ["pain", "love"]}, [("/concerns/1", "unknown-concern")]),
            ({"concerns": "pain"}, [("/concerns", "list-type")]),
            ({"notes": "Sentinel"}, [("/notes", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        client_id = await ehr.client()
        answer = await ehr.http.post(of(client_id), json=OPEN | members)
        assert faults(answer) == expected
        assert "Sentinel" not in answer.text
        assert (await ehr.http.get(of(client_id))).json()["items"] == []

    async def test_what_is_required(self, ehr: Person) -> None:
        answer = await ehr.http.post(of(await ehr.client()), json={})
        assert sorted(faults(answer)) == [("/format", "missing"), ("/started_on", "missing")]

    async def test_the_future_is_planned_and_not_ended(self, ehr: Person) -> None:
        client_id = await ehr.client()
        last = today() + timedelta(days=366)
        for day, status in ((last, 201), (last + timedelta(days=1), 422)):
            answer = await ehr.http.post(of(client_id), json=OPEN | {"started_on": str(day)})
            assert answer.status_code == status, answer.text
        for day, status in ((today(), 201), (today() + timedelta(days=1), 422)):
            ended = {"ended_on": str(day), "end_reason": "unknown", "started_on": "2026-01-01"}
            assert (await ehr.http.post(of(client_id), json=OPEN | ended)).status_code == status

    @pytest.mark.parametrize(
        "clinician",
        ["practitioner-17", "7", "auth0|5f7c1a", "0190b5a0-7b1c-7c3a-8f00-3a5b6c7d8e9f", "urn:oid:1.2.840.113619",
         "x" * 63 + "1", "usr_ab12", "1.2.840.113619", "A1=="],
    )  # fmt: skip
    async def test_clinician(self, ehr: Person, clinician: str) -> None:
        assert (await begun(ehr, await ehr.client(), clinician=clinician))["clinician"] == clinician

    @pytest.mark.parametrize(
        ("clinician", "code"),
        [
            ("Anna Sentinel", "personal-data"),
            ("Sentinel", "personal-data"),
            ("anna.sentinel", "personal-data"),
            ("anna.sentinel7", "personal-data"),
            ("AnnaSentinel7", "personal-data"),
            ("a1@clinic.example", "personal-data"),
            ("dr 17", "personal-data"),
            ("030-1234567", "personal-data"),
            ("+49301234567", "id-format"),
            ("müller7", "id-format"),
            ("", "length"),
            ("x" * 64 + "1", "length"),
            ("a\n1", "personal-data"),
            (17, "string-type"),
        ],
    )
    async def test_clinician_that_says_who(self, ehr: Person, clinician: Any, code: str) -> None:
        answer = await ehr.http.post(of(await ehr.client()), json=OPEN | {"clinician": clinician})
        assert faults(answer) == [("/clinician", code)]
        assert "entinel" not in answer.text


class TestSeveral:
    """Of one format, one at a time."""

    @pytest.mark.parametrize(
        ("first", "second", "status"),
        [
            (("2026-01-01", None), ("2026-02-01", None), 422),
            (("2026-02-01", None), ("2026-01-01", None), 422),
            (("2026-02-01", None), ("2026-02-01", None), 422),
            (("2026-01-01", "2026-03-01"), ("2026-02-01", "2026-02-10"), 422),
            (("2026-02-01", "2026-02-10"), ("2026-01-01", "2026-03-01"), 422),
            (("2026-01-01", "2026-03-01"), ("2026-02-28", None), 422),
            (("2026-01-01", "2026-03-01"), ("2026-03-01", None), 201),
            (("2026-03-01", None), ("2026-01-01", "2026-03-01"), 201),
            (("2026-03-01", None), ("2026-01-01", "2026-03-02"), 422),
            (("2026-01-01", "2026-01-01"), ("2026-01-01", None), 201),
            (("2026-01-01", "2026-03-01"), ("2026-03-02", None), 201),
        ],
    )
    async def test_days(
        self, ehr: Person, first: tuple[str, str | None], second: tuple[str, str | None], status: int
    ) -> None:
        client_id = await ehr.client()

        def body(days: tuple[str, str | None]) -> dict[str, Any]:
            end = {} if days[1] is None else {"ended_on": days[1], "end_reason": "transferred"}
            return {"started_on": days[0], "format": "individual", **end}

        await begun(ehr, client_id, **body(first))
        answer = await ehr.http.post(of(client_id), json=body(second))
        assert answer.status_code == status, answer.text
        if status == 422:
            assert faults(answer) == [("/started_on", "overlapping-episode")]
        other = await ehr.http.post(of(client_id), json=body(second) | {"format": "group"})
        assert other.status_code == 201, "another format goes beside it"
        elsewhere = await ehr.http.post(of(await ehr.client()), json=body(second))
        assert elsewhere.status_code == 201, "and another client"

    async def test_a_change_is_held_to_it(self, ehr: Person) -> None:
        client_id = await ehr.client()
        first = await begun(ehr, client_id, ended_on="2026-02-01", end_reason="completed")
        second = await begun(ehr, client_id, started_on="2026-02-01")
        group = await begun(ehr, client_id, format="group")
        assert faults(await changed(ehr, second, started_on="2026-01-31")) == [("/started_on", "overlapping-episode")]
        assert faults(await changed(ehr, first, ended_on=None, end_reason=None)) == [
            ("/started_on", "overlapping-episode")
        ]
        assert faults(await changed(ehr, group, format="individual")) == [("/started_on", "overlapping-episode")]
        for one in (first, second, group):
            assert (await ehr.http.get(of(client_id, one["id"]))).json() == one, "nothing of it was kept"

    async def test_of_many_at_once_one_is_begun(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answers = await asyncio.gather(*(ehr.http.post(of(client_id), json=OPEN) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]

    @pytest.mark.parametrize(("lock", "waits"), [("no key update", True), ("key share", False)])
    async def test_a_clients_episodes_are_decided_on_one_after_the_other(
        self, ehr: Person, superuser: asyncpg.Connection, lock: str, waits: bool
    ) -> None:
        """Nothing else of the client has to wait: a response that is being recorded takes the lock `key share`."""
        client_id = await ehr.client()
        episode = await begun(ehr, client_id, format="group")
        for request in (
            lambda: ehr.http.post(of(client_id), json=OPEN),
            lambda: changed(ehr, episode, format="couple"),
        ):
            async with superuser.transaction():
                await superuser.execute(f"select from client where id = $1 for {lock}", uuid.UUID(client_id))
                asked = asyncio.ensure_future(request())
                done, _ = await asyncio.wait([asked], timeout=0.3 if waits else 5)
                assert bool(done) is not waits
            assert (await asked).status_code in (200, 201)

    async def test_listed_in_the_order_of_their_days(self, ehr: Person) -> None:
        client_id = await ehr.client()
        days = ["2026-03-01", "2025-11-01", "2026-01-01", "2026-02-01", "2025-12-01"]
        for day in days:
            await begun(ehr, client_id, started_on=day, ended_on=day, end_reason="not-taken-up")
        await begun(ehr, await ehr.client())
        found: list[str] = []
        path: str | None = f"{of(client_id)}?limit=2"
        pages = 0
        while path is not None:
            answer = await ehr.http.get(path)
            found += [one["started_on"] for one in answer.json()["items"]]
            pages += 1
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert (found, pages) == (sorted(days), 3)


class TestChange:
    async def test_ended(self, ehr: Person) -> None:
        episode = await begun(ehr, await ehr.client())
        answer = await changed(ehr, episode, ended_on="2026-03-01", end_reason="dropped-out")
        after = answer.json()
        assert answer.headers["etag"] == '"2"'
        assert after == episode | {
            "ended_on": "2026-03-01", "end_reason": "dropped-out", "version": 2, "updated_at": after["updated_at"]
        }  # fmt: skip
        again = await changed(ehr, episode, ended_on=None, end_reason=None)
        assert again.json() == episode | {"version": 3, "updated_at": again.json()["updated_at"]}, "and goes on again"

    async def test_null_clears(self, ehr: Person) -> None:
        episode = await begun(ehr, await ehr.client(), modality="telehealth", concerns=["pain"], clinician="c-1")
        after = (await changed(ehr, episode, modality=None, concerns=None, clinician=None)).json()
        assert (after["modality"], after["concerns"], after["clinician"]) == (None, [], None)

    async def test_what_changes_nothing_makes_no_version(self, ehr: Person) -> None:
        episode = await begun(ehr, await ehr.client(), concerns=["pain", "desire"])
        assert (await changed(ehr, episode)).json() == episode
        assert (await changed(ehr, episode, concerns=["pain", "desire"], ended_on=None)).json() == episode
        assert (await changed(ehr, episode, concerns=["desire", "pain"])).json()["version"] == 2

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"started_on": None}, [("/started_on", "not-cleared")]),
            ({"format": None}, [("/format", "not-cleared")]),
            ({"ended_on": "2026-02-01"}, [("/end_reason", "missing")]),
            ({"end_reason": "completed"}, [("/ended_on", "missing")]),
            ({"ended_on": "2025-12-31", "end_reason": "completed"}, [("/ended_on", "days-out-of-order")]),
            ({"client_id": str(uuid.UUID(int=0))}, [("/client_id", "extra-forbidden")]),
            ({"clinician": "Anna Sentinel"}, [("/clinician", "personal-data")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        episode = await begun(ehr, await ehr.client())
        assert faults(await changed(ehr, episode, **members)) == expected
        assert (await ehr.http.get(of(episode["client_id"], episode["id"]))).json() == episode

    async def test_the_version_that_is_meant_has_to_be_said(self, ehr: Person) -> None:
        episode = await begun(ehr, await ehr.client())
        path, body = of(episode["client_id"], episode["id"]), {"modality": "telehealth"}
        problem(await ehr.http.patch(path, json=body), 428, "precondition-required")
        assert (await ehr.http.patch(path, json=body, headers={"If-Match": '"1"'})).status_code == 200
        problem(await ehr.http.patch(path, json=body, headers={"If-Match": '"1"'}), 412, "precondition-failed")

    async def test_of_two_that_know_the_same_version_one_wins(self, ehr: Person) -> None:
        episode = await begun(ehr, await ehr.client())
        path, held = of(episode["client_id"], episode["id"]), {"If-Match": '"1"'}
        answers = await asyncio.gather(
            *(ehr.http.patch(path, json={"clinician": f"c-{n}"}, headers=held) for n in range(4))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


class TestAccess:
    async def test_an_episode_is_found_under_its_own_client_only(self, people: People) -> None:
        episode = await begun(people.ehr, await people.ehr.client())
        path = of(await people.ehr.client(), episode["id"])
        problem(await people.ehr.http.get(path), 404, "not-found")
        problem(await people.ehr.http.patch(path, json={}, headers=MATCH), 404, "not-found")
        problem(await people.ehr.http.get(f"{path}/sessions"), 404, "not-found")
        problem(await people.elsewhere.http.get(of(episode["client_id"], episode["id"])), 404, "not-found")
        problem(await people.researcher.http.get(of(episode["client_id"])), 403, "forbidden")
        assert (await people.clinician.http.get(of(episode["client_id"]))).json()["items"] == [episode]

    async def test_audit_trail(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        client_id = await people.ehr.client()
        episode = await begun(people.ehr, client_id)
        await people.clinician.http.get(of(client_id, episode["id"]))
        await people.clinician.http.get(of(client_id))
        await people.ehr.http.post(of(client_id), json=OPEN)
        await changed(people.ehr, episode, clinician="c-1")
        await people.ehr.http.patch(of(client_id, episode["id"]), json={"clinician": "c-2"})
        await people.ehr.http.get(of(client_id, client_id))
        rows = await superuser.fetch(
            "select role, action, resource, resource_id, outcome from audit_event"
            " where organisation_id = $1 and action <> 'create' or resource = 'episode' and organisation_id = $1"
            " order by id",
            tenant.id,
        )
        one, client = uuid.UUID(episode["id"]), uuid.UUID(client_id)
        assert [tuple(row) for row in rows] == [
            ("ehr", "create", "episode", one, "done"),
            ("clinician", "read", "episode", one, "done"),
            ("clinician", "list-episodes", "client", client, "done"),
            ("ehr", "create", "episode", None, "refused"),
            ("ehr", "change", "episode", one, "done"),
            ("ehr", "change", "episode", one, "stale"),
            ("ehr", "read", "episode", client, "not-found"),
        ]
