"""Protocols over HTTP: what is taken, what is refused with every fault, and that a version never changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.people import People, Person, faults, problem
from tests.protocols.clinic import MATCH, WINDOW, body, entry, made

PATH = "/v1/protocols"


class TestCreate:
    async def test_everything(self, admin: Person) -> None:
        entries = [
            entry("baseline", instrument="iief-5", version=1, variant=None),
            entry("weeks", every=4, count=6, until_week=24),
            entry("sessions", every=1, count=None, until_week=None),
            entry("end"),
            entry("follow-up", weeks=12),
        ]
        sent = body(*entries, name="Ünlich 1")
        answer = await admin.http.post(PATH, json=sent)
        found = answer.json()
        assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
        assert answer.headers["location"] == f"{PATH}/{found['id']}"
        assert (found["code"], found["name"], found["version"], found["revision"]) == ("usual", "Ünlich 1", 1, 1)
        assert (found["retired_at"], found["made_by"]) == (None, "admin-1")
        for kept, given in zip(found["entries"], entries, strict=True):
            assert {name: kept[name] for name in given} == given
        assert (await admin.http.get(answer.headers["location"])).json() == found
        assert (await admin.http.get(PATH)).json() == {"items": [found], "next": None}

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"id": "A b"}, [("/entries/0/id", "string-pattern-mismatch")]),
            ({"instrument": "no-such"}, [("/entries/0/instrument", "unknown-instrument")]),
            ({"instrument": "own-nothing"}, [("/entries/0/instrument", "unknown-instrument")]),
            ({"instrument": "griss"}, [("/entries/0/instrument", "instrument-not-scorable")]),
            ({"version": 99}, [("/entries/0/version", "unknown-version")]),
            ({"variant": "none"}, [("/entries/0/variant", "unknown-variant")]),
            ({"when": {"kind": "sometimes"}}, [("/entries/0/when", "union-tag-invalid")]),
            ({"when": {"kind": "weeks"}}, [("/entries/0/when/every", "missing")]),
            ({"when": {"kind": "weeks", "every": 0}}, [("/entries/0/when/every", "greater-than-equal")]),
            ({"when": {"kind": "weeks", "every": "4"}}, [("/entries/0/when/every", "int-type")]),
            ({"when": {"kind": "end", "every": 4}}, [("/entries/0/when/every", "extra-forbidden")]),
            ({"when": {"kind": "follow-up", "weeks": 600}}, [("/entries/0/when/weeks", "less-than-equal")]),
            ({"window": WINDOW | {"closes_after": 0}}, [("/entries/0/window/closes_after", "days-out-of-order")]),
            ({"window": WINDOW | {"opens_before": 29}}, [("/entries/0/window/opens_before", "less-than-equal")]),
            ({"window": {}}, [(f"/entries/0/window/{name}", "missing") for name in WINDOW]),
            ({"window": WINDOW | {"closes_after": 26}}, [("/entries/0/window", "windows-overlap")]),
        ],
    )
    async def test_refused(self, admin: Person, changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        assert faults(await admin.http.post(PATH, json=body(entry() | changes))) == expected
        assert (await admin.http.get(PATH)).json()["items"] == []

    async def test_every_fault_at_once(self, admin: Person) -> None:
        sent = body(
            entry(),
            entry(instrument="nothing"),
            entry(id="c", variant="nothing", window=WINDOW | {"closes_after": 0}),
        )
        assert faults(await admin.http.post(PATH, json=sent)) == [
            ("/entries/1/id", "duplicate-id"),
            ("/entries/1/instrument", "unknown-instrument"),
            ("/entries/2/window/closes_after", "days-out-of-order"),
            ("/entries/2/variant", "unknown-variant"),
        ]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"code": "Usual"}, [("/code", "string-pattern-mismatch")]),
            ({"name": ""}, [("/name", "string-too-short")]),
            ({"name": "a\nb"}, [("/name", "string-pattern-mismatch")]),
            ({"entries": []}, [("/entries", "too-short")]),
            ({"entries": [entry()] * 41}, [("/entries", "too-long")]),
            ({"version": 2}, [("/version", "extra-forbidden")]),
        ],
    )
    async def test_refused_as_a_whole(
        self, admin: Person, members: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        assert faults(await admin.http.post(PATH, json=body() | members)) == expected

    async def test_a_code_is_taken_once(self, admin: Person, elsewhere: Person) -> None:
        answers = await asyncio.gather(*(admin.http.post(PATH, json=body()) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
        assert faults(next(answer for answer in answers if answer.status_code == 422)) == [("/code", "code-taken")]
        await made(elsewhere)


class TestVersions:
    async def test_a_change_makes_a_new_one(self, admin: Person) -> None:
        first = await made(admin)
        path = f"{PATH}/{first['id']}"
        changes = {"name": "Usual", "entries": [entry("baseline")]}
        problem(await admin.http.put(path, json=changes), 428, "precondition-required")
        problem(await admin.http.put(path, json=changes, headers={"If-Match": '"7"'}), 412, "precondition-failed")
        answer = await admin.http.put(path, json=changes, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.headers["etag"], answer.json()["version"]) == (200, '"2"', 2)
        same = await admin.http.put(path, json=changes, headers={"If-Match": '"2"'})
        assert (same.headers["etag"], same.json()) == ('"2"', answer.json())
        kept = (await admin.http.get(f"{path}/versions/1")).json()
        assert kept == {name: first[name] for name in kept}
        page = (await admin.http.get(f"{path}/versions", params={"limit": 1})).json()
        assert [one["version"] for one in page["items"]] == [1]
        rest = await admin.http.get(f"{path}/versions", params={"cursor": page["next"]})
        assert [one["version"] for one in rest.json()["items"]] == [2]
        assert (await admin.http.get(f"{path}/versions/3")).status_code == 404
        bad = {"name": "Usual", "entries": [entry(instrument="nothing")]}
        assert faults(await admin.http.put(path, json=bad, headers=MATCH)) == [
            ("/entries/0/instrument", "unknown-instrument")
        ]

    async def test_retired_ones_stay_as_they_are(self, admin: Person) -> None:
        first = await made(admin)
        path = f"{PATH}/{first['id']}"
        problem(await admin.http.post(f"{path}/retire"), 428, "precondition-required")
        answer = await admin.http.post(f"{path}/retire", headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        assert answer.json()["retired_at"] == answer.json()["updated_at"]
        assert (answer.json()["version"], answer.json()["entries"]) == (1, first["entries"])
        again = await admin.http.post(f"{path}/retire", headers=MATCH)
        assert again.json() == answer.json()
        changes = {"name": "Usual", "entries": [entry("baseline")]}
        problem(await admin.http.put(path, json=changes, headers=MATCH), 409, "protocol-retired")


async def test_who_may(people: People) -> None:
    one = await made(people.clinician)
    for person, status in ((people.ehr, 200), (people.admin, 200), (people.researcher, 403)):
        assert (await person.http.get(PATH)).status_code == status
    assert (await people.ehr.http.post(PATH, json=body(code="b"))).status_code == 403
    assert (await people.researcher.http.get("/v1/due")).status_code == 403
    assert (await people.elsewhere.http.get(f"{PATH}/{one['id']}")).status_code == 404


async def test_pages(admin: Person) -> None:
    ids = [(await made(admin, code=f"p-{number}"))["id"] for number in range(3)]
    first = await admin.http.get(PATH, params={"limit": 2})
    assert [one["id"] for one in first.json()["items"]] == ids[:2]
    url = first.headers["link"].split(">")[0][1:]
    assert [one["id"] for one in (await admin.http.get(url)).json()["items"]] == ids[2:]
