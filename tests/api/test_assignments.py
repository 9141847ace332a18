"""Work between sessions over HTTP: what is taken and refused, what became of it, and how much was done."""

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
from tests.conftest import Tenant

FULL: dict[str, Any] = {
    "kind": "sensate-focus",
    "set_on": "2026-01-12",
    "due_on": "2026-01-19",
    "note": "Sentinel: twice, without haste",
}
LEAST = {name: value for name, value in FULL.items() if name != "note"}
DONE: dict[str, Any] = {
    "outcome": "done",
    "completed_on": "2026-01-18",
    "minutes": 40,
    "distress_before": 6,
    "distress_after": 3,
    "note": "Sentinel: easier than thought",
}
COUNTS = ("set", "done", "partly", "not_done", "overdue", "open", "late", "withdrawn", "minutes")
MATCH = {"If-Match": "*"}


def of(client_id: str, *more: str) -> str:
    return "/".join((f"/v1/clients/{client_id}/assignments", *more))


async def made(person: Person, client_id: str, **members: Any) -> dict[str, Any]:
    answer = await person.http.post(of(client_id), json=LEAST | members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def reported(person: Person, work: dict[str, Any], **members: Any) -> httpx.Response:
    return await person.http.post(of(work["client_id"], work["id"], "completions"), json=members)


async def read(person: Person, work: dict[str, Any]) -> dict[str, Any]:
    answer = await person.http.get(of(work["client_id"], work["id"]))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestCreate:
    async def test_everything(self, ehr: Person) -> None:
        client = await ehr.client()
        answer = await ehr.http.post(of(client), json=FULL)
        work = answer.json()
        assert answer.status_code == 201, answer.text
        assert (answer.headers["location"], answer.headers["etag"]) == (of(client, work["id"]), '"1"')
        times = {"created_at": work["created_at"], "updated_at": work["created_at"]}
        more = {"id": work["id"], "client_id": client, "version": 1, "withdrawn_on": None, "completion": None}
        assert work == FULL | times | more
        assert await read(ehr, work) == work
        assert (await ehr.http.get(of(client))).json()["items"] == [work]

    async def test_every_kind(self, ehr: Person) -> None:
        client = await ehr.client()
        for code in CODES.assignment_kind:
            assert (await made(ehr, client, kind=code.code))["kind"] == code.code
        assert len((await ehr.http.get(of(client))).json()["items"]) == len(CODES.assignment_kind) > 8

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"kind": "homework"}, [("/kind", "unknown-code")]),
            ({"kind": None}, [("/kind", "string-type")]),
            ({"set_on": "2999-01-01"}, [("/set_on", "day-implausible")]),
            ({"set_on": None}, [("/set_on", "date-format")]),
            ({"due_on": "2026-01-11"}, [("/due_on", "days-out-of-order")]),
            ({"due_on": "2999-01-01"}, [("/due_on", "day-implausible")]),
            ({"due_on": "tomorrow"}, [("/due_on", "date-format")]),
            ({"note": ""}, [("/note", "length")]),
            ({"note": "Sentinel" * 300}, [("/note", "length")]),
            ({"note": "Sentinel\x07"}, [("/note", "control-character")]),
            ({"withdrawn_on": "2026-01-13"}, [("/withdrawn_on", "extra-forbidden")]),
            ({"outcome": "done"}, [("/outcome", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        client = await ehr.client()
        answer = await ehr.http.post(of(client), json=LEAST | members)
        assert faults(answer) == expected
        assert "entinel" not in answer.text
        assert (await ehr.http.get(of(client))).json()["items"] == []

    async def test_a_year_ahead_and_no_further(self, ehr: Person) -> None:
        last = today() + timedelta(days=366)
        client = await ehr.client()
        for day, status in ((last, 201), (last + timedelta(days=1), 422)):
            assert (await ehr.http.post(of(client), json=LEAST | {"due_on": str(day)})).status_code == status


class TestNotes:
    async def test_they_lie_sealed(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        work = await made(ehr, await ehr.client(), note=FULL["note"])
        for _ in range(2):
            await reported(ehr, work, **DONE)
        key = uuid.UUID(work["id"])
        rows = await superuser.fetch("select * from assignment_completion where assignment_id = $1", key)
        sealed = [row["note_sealed"] for row in rows]
        assert "entinel" not in str([dict(row) for row in rows])
        assert sealed[0] != sealed[1], "the same words look different"
        kept = await superuser.fetchrow("select * from assignment where id = $1", key)
        assert kept is not None
        assert "entinel" not in str(dict(kept))
        await superuser.execute("update assignment set note_sealed = $1 where id = $2", sealed[0], key)
        problem(await ehr.http.get(of(work["client_id"], work["id"])), 500, "internal-error")


class TestChange:
    async def test_until_something_is_recorded(self, ehr: Person) -> None:
        work = await made(ehr, await ehr.client(), note="first")
        path = of(work["client_id"], work["id"])
        changes = {"due_on": "2026-01-26", "note": None, "withdrawn_on": "2026-01-14"}
        after = await ehr.http.patch(path, json=changes, headers=MATCH)
        assert after.json() == work | changes | {"version": 2, "updated_at": after.json()["updated_at"]}
        assert (await ehr.http.patch(path, json=changes, headers=MATCH)).json() == after.json()
        assert faults(await reported(ehr, work, **DONE)) == [("/outcome", "withdrawn")]
        back = await ehr.http.patch(path, json={"withdrawn_on": None, "note": "second"}, headers=MATCH)
        assert (back.json()["note"], back.headers["etag"]) == ("second", '"3"')
        assert (await reported(ehr, work, **DONE)).status_code == 201
        for name, value in {"due_on": "2026-02-01", "note": None, "withdrawn_on": "2026-02-01"}.items():
            answer = await ehr.http.patch(path, json={name: value}, headers=MATCH)
            assert faults(answer) == [(f"/{name}", "completed")]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"due_on": None}, [("/due_on", "not-cleared")]),
            ({"due_on": "2026-01-11"}, [("/due_on", "days-out-of-order")]),
            ({"withdrawn_on": "2026-01-11"}, [("/withdrawn_on", "days-out-of-order")]),
            ({"withdrawn_on": "2999-01-01"}, [("/withdrawn_on", "day-implausible")]),
            ({"kind": "reading"}, [("/kind", "extra-forbidden")]),
            ({"set_on": "2026-01-01"}, [("/set_on", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        work = await made(ehr, await ehr.client())
        answer = await ehr.http.patch(of(work["client_id"], work["id"]), json=members, headers=MATCH)
        assert faults(answer) == expected
        assert await read(ehr, work) == work

    async def test_the_version_that_is_meant_has_to_be_said(self, ehr: Person) -> None:
        work = await made(ehr, await ehr.client())
        path, body = of(work["client_id"], work["id"]), {"due_on": "2026-01-20"}
        problem(await ehr.http.patch(path, json=body), 428, "precondition-required")
        assert (await reported(ehr, work, **DONE)).headers["etag"] == '"2"'
        problem(await ehr.http.patch(path, json=body, headers={"If-Match": '"1"'}), 412, "precondition-failed")


class TestCompletions:
    async def test_what_was_recorded_last_holds(self, ehr: Person) -> None:
        work = await made(ehr, await ehr.client())
        first = (await reported(ehr, work, outcome="partly", completed_on="2026-01-15", minutes=10)).json()
        assert (await read(ehr, work))["completion"] == first
        second = (await reported(ehr, work, **DONE)).json()
        assert {name: second[name] for name in DONE} == DONE
        assert (await read(ehr, work))["completion"] == second
        third = await reported(ehr, work, outcome=None)
        assert (third.status_code, third.headers["etag"]) == (201, '"4"')
        now = await read(ehr, work)
        assert (now["completion"], now["version"]) == (None, 4)
        listed = (await ehr.http.get(of(work["client_id"], work["id"], "completions"))).json()["items"]
        assert listed == [first, second, third.json()]
        assert faults(await reported(ehr, work, outcome=None)) == [("/outcome", "nothing-recorded")]
        assert (await reported(ehr, work, outcome="not-done", completed_on="2026-01-20")).status_code == 201

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"outcome": "skipped"}, [("/outcome", "unknown-code")]),
            ({"outcome": None, "note": None}, [
                ("/outcome", "nothing-recorded"),
                *((f"/{name}", "without-outcome")
                  for name in ("completed_on", "minutes", "distress_before", "distress_after")),
            ]),
            ({"completed_on": None}, [("/completed_on", "missing")]),
            ({"completed_on": "2026-01-11"}, [("/completed_on", "before-set")]),
            ({"completed_on": "2999-01-01"}, [("/completed_on", "day-implausible")]),
            ({"minutes": -1}, [("/minutes", "greater-than-equal")]),
            ({"minutes": 10_081}, [("/minutes", "less-than-equal")]),
            ({"minutes": 1.5}, [("/minutes", "int-type")]),
            ({"outcome": "not-done"}, [("/minutes", "not-done")]),
            ({"distress_before": 11}, [("/distress_before", "less-than-equal")]),
            ({"distress_after": -1}, [("/distress_after", "greater-than-equal")]),
            ({"distress_after": "3"}, [("/distress_after", "int-type")]),
            ({"distress_after": True}, [("/distress_after", "int-type")]),
            ({"note": " "}, [("/note", "length")]),
            ({"partner": "Sentinel"}, [("/partner", "extra-forbidden")]),
        ],
    )  # fmt: skip
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        work = await made(ehr, await ehr.client())
        answer = await reported(ehr, work, **DONE | members)
        assert faults(answer) == expected
        assert "entinel" not in answer.text
        assert await read(ehr, work) == work

    async def test_the_outcome_has_to_be_said(self, ehr: Person) -> None:
        work = await made(ehr, await ehr.client())
        assert faults(await reported(ehr, work, completed_on="2026-01-18")) == [("/outcome", "missing")]

    async def test_of_many_at_once_all_are_kept(self, ehr: Person) -> None:
        work = await made(ehr, await ehr.client())
        await asyncio.gather(*(reported(ehr, work, **DONE | {"minutes": n}) for n in range(5)))
        found: list[dict[str, Any]] = []
        path: str | None = of(work["client_id"], work["id"], "completions?limit=2")
        while path is not None:
            answer = await ehr.http.get(path)
            found += answer.json()["items"]
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert [one["version"] for one in found] == [2, 3, 4, 5, 6]
        assert sorted(one["minutes"] for one in found) == [0, 1, 2, 3, 4]
        assert (await read(ehr, work))["completion"] == found[-1]


class TestAdherence:
    async def test_by_week(self, ehr: Person) -> None:
        client = await ehr.client()
        soon = str(today() + timedelta(days=2))
        one = await made(ehr, client, due_on="2026-01-19")
        two = await made(ehr, client, due_on="2026-01-25")
        three = await made(ehr, client, due_on="2026-01-25")
        await made(ehr, client, due_on="2026-01-26")
        gone = await made(ehr, client, due_on="2026-01-26")
        await made(ehr, client, due_on=soon)
        await made(ehr, await ehr.client())
        await reported(ehr, one, outcome="not-done", completed_on="2026-01-19")
        await reported(ehr, one, outcome="done", completed_on="2026-01-20", minutes=30)
        await reported(ehr, two, outcome="partly", completed_on="2026-01-25", minutes=5)
        await reported(ehr, three, outcome="not-done", completed_on="2026-01-25")
        await ehr.http.patch(of(client, gone["id"]), json={"withdrawn_on": "2026-01-20"}, headers=MATCH)
        answer = await ehr.http.get(of(client, "adherence"))
        found = answer.json()
        assert answer.status_code == 200, answer.text
        none = dict.fromkeys(
            ("set", "done", "partly", "not_done", "overdue", "open", "late", "withdrawn", "minutes"), 0
        )
        first = {"set": 3, "done": 1, "partly": 1, "not_done": 1, "late": 1, "minutes": 35}
        rates = {"rate": pytest.approx(1 / 3), "rate_with_partly": pytest.approx(2 / 3)}
        assert found["weeks"][:2] == [
            none | first | rates | {"week": "2026-01-19"},
            none | {"set": 1, "overdue": 1, "withdrawn": 1, "week": "2026-01-26", "rate": 0, "rate_with_partly": 0},
        ]
        assert len(found["weeks"]) == 3
        assert {name: found["weeks"][2][name] for name in ("set", "open", "rate")} == {
            "set": 1,
            "open": 1,
            "rate": None,
        }
        assert found["total"] == none | first | {
            "set": 5, "overdue": 1, "open": 1, "withdrawn": 1, "rate": 0.25, "rate_with_partly": 0.5
        }  # fmt: skip

    async def test_nothing_yet(self, ehr: Person) -> None:
        found = (await ehr.http.get(of(await ehr.client(), "adherence"))).json()
        assert (found["weeks"], found["total"]["set"], found["total"]["rate"]) == ([], 0, None)
        problem(await ehr.http.get(of(str(uuid.uuid4()), "adherence")), 404, "not-found")


class TestAccess:
    async def test_an_assignment_is_found_under_its_own_client_only(self, people: People) -> None:
        work = await made(people.ehr, await people.ehr.client())
        path = of(await people.ehr.client(), work["id"])
        problem(await people.ehr.http.get(path), 404, "not-found")
        problem(await people.ehr.http.patch(path, json={}, headers=MATCH), 404, "not-found")
        problem(await people.ehr.http.post(f"{path}/completions", json=DONE), 404, "not-found")
        problem(await people.ehr.http.get(f"{path}/completions"), 404, "not-found")
        problem(await people.elsewhere.http.get(of(work["client_id"], work["id"])), 404, "not-found")
        problem(await people.researcher.http.get(of(work["client_id"])), 403, "forbidden")
        assert (await people.clinician.http.get(of(work["client_id"]))).json()["items"] == [work]

    async def test_page_by_page(self, ehr: Person) -> None:
        client = await ehr.client()
        every = [await made(ehr, client) for _ in range(5)]
        found: list[dict[str, Any]] = []
        path: str | None = of(client) + "?limit=2"
        while path is not None:
            answer = await ehr.http.get(path)
            found += answer.json()["items"]
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert found == every

    async def test_audit_trail(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        work = await made(people.ehr, await people.ehr.client())
        client = work["client_id"]
        await reported(people.ehr, work, **DONE)
        await reported(people.ehr, work, outcome="done")
        await people.clinician.http.get(of(client, work["id"]))
        await people.clinician.http.get(of(client, work["id"], "completions"))
        await people.clinician.http.get(of(client, "adherence"))
        await people.ehr.http.patch(of(client, work["id"]), json={"note": "a"}, headers=MATCH)
        rows = await superuser.fetch(
            "select action, resource, resource_id, outcome from audit_event where organisation_id = $1"
            " and (action, resource) <> ('create', 'client') order by id",
            tenant.id,
        )
        one, whose = uuid.UUID(work["id"]), uuid.UUID(client)
        assert [tuple(row) for row in rows] == [
            ("create", "assignment", one, "done"),
            ("complete", "assignment", one, "done"),
            ("complete", "assignment", one, "refused"),
            ("read", "assignment", one, "done"),
            ("list-completions", "assignment", one, "done"),
            ("read-adherence", "client", whose, "done"),
            ("change", "assignment", one, "refused"),
        ]
