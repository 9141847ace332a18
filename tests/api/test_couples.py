"""Couples over HTTP: the joint view that all open together, and nobody seen through a partner."""

from __future__ import annotations

import asyncio
import itertools
import re
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from api.couples.problems import WORDS
from api.times import today
from tests.api.couples import MATCH, SINCE, leaves, of, opened, paired, says
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant


async def shut(person: Person, couple: str) -> dict[str, Any]:
    """The joint view, which is closed; what it says besides the request's name."""
    answer = await person.http.get(f"/v1/couples/{couple}")
    found = problem(answer, 403, "joint-view-closed")
    assert found.keys() == {"type", "title", "status", "detail", "instance"}
    assert found["detail"] == WORDS
    return found | {"instance": None, "length": answer.headers["content-length"]}


class TestMake:
    async def test_two(self, ehr: Person) -> None:
        clients = [await ehr.client(), await ehr.client()]
        answer = await ehr.http.post("/v1/couples", json={"clients": clients, "joined_on": SINCE})
        made = answer.json()
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"/v1/couples/{made['id']}"
        assert made.keys() == {"id", "created_at", "members"}
        assert [member["client_id"] for member in made["members"]] == clients
        for client, member in zip(clients, made["members"], strict=True):
            read = await ehr.http.get(of(client, member["membership_id"]))
            assert (read.status_code, read.headers["etag"]) == (200, '"1"')
            assert read.json() == {
                "id": member["membership_id"],
                "joined_on": SINCE,
                "left_on": None,
                "consent": None,
                "version": 1,
            }

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"joined_on": "2999-01-01"}, [("/joined_on", "day-implausible")]),
            ({"joined_on": "1899-12-31"}, [("/joined_on", "day-implausible")]),
            ({"joined_on": None}, [("/joined_on", "date-format")]),
            ({"joined_on": "2026-01-12T00:00:00Z"}, [("/joined_on", "date-format")]),
            ({"clients": []}, [("/clients", "too-short")]),
            ({"clients": [str(uuid.UUID(int=1))]}, [("/clients", "too-short")]),
            ({"clients": [str(uuid.UUID(int=n)) for n in range(11)]}, [("/clients", "too-long")]),
            ({"clients": [str(uuid.UUID(int=1))] * 2}, [("/clients", "duplicate-client")]),
            ({"clients": ["Sentinel", "x"]}, [("/clients/0", "uuid-parsing"), ("/clients/1", "uuid-parsing")]),
            ({"clients": "Sentinel"}, [("/clients", "list-type")]),
            ({"name": "Sentinel"}, [("/name", "extra-forbidden")]),
            ({"consents": [True, True]}, [("/consents", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        body = {"clients": [await ehr.client(), await ehr.client()], "joined_on": SINCE} | members
        answer = await ehr.http.post("/v1/couples", json=body)
        assert faults(answer) == expected
        assert "Sentinel" not in answer.text

    async def test_clients_that_are_not_there(self, people: People) -> None:
        mine, theirs = await people.ehr.client(), await people.elsewhere.client()
        for other in (str(uuid.uuid4()), theirs):
            body = {"clients": [mine, other], "joined_on": SINCE}
            answer = await people.ehr.http.post("/v1/couples", json=body)
            assert faults(answer) == [("/clients/1", "unknown-client")]
            assert other not in answer.text
        assert (await people.ehr.http.get(of(mine))).json()["items"] == []


class TestJointView:
    async def test_open_when_the_last_has_consented(self, ehr: Person) -> None:
        clients = [await ehr.client() for _ in range(3)]
        couple = await paired(ehr, *clients)
        for client in clients:
            await shut(ehr, couple)
            await says(ehr, client, couple, True, "2026-01-15")
        answer = await ehr.http.get(f"/v1/couples/{couple}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["members"] == [
            {"client_id": client, "joined_on": SINCE, "consent_stated_on": "2026-01-15"} for client in sorted(clients)
        ]

    @pytest.mark.parametrize("who", [0, 1])
    async def test_a_withdrawal_closes_it_at_once(self, ehr: Person, who: int) -> None:
        couple, clients = await opened(ehr)
        assert (await ehr.http.get(f"/v1/couples/{couple}")).status_code == 200
        await says(ehr, clients[who], couple, False, "1999-01-01")
        await shut(ehr, couple)
        await says(ehr, clients[1 - who], couple, True)
        await shut(ehr, couple)
        await says(ehr, clients[who], couple, True)
        assert (await ehr.http.get(f"/v1/couples/{couple}")).status_code == 200

    async def test_what_was_recorded_last_holds_whatever_its_day(self, ehr: Person) -> None:
        couple, clients = await opened(ehr)
        await says(ehr, clients[0], couple, True, str(today()))
        await says(ehr, clients[0], couple, False, SINCE)
        await shut(ehr, couple)

    async def test_every_set_of_consents(self, ehr: Person) -> None:
        """Open if and only if all three said yes last; closed in the very same words otherwise."""
        clients = [await ehr.client() for _ in range(3)]
        couple = await paired(ehr, *clients)
        closed = []
        for given in itertools.product([None, False, True], repeat=3):
            for client, one in zip(clients, given, strict=True):
                if one is not None:
                    await says(ehr, client, couple, one)
            last = [(await ehr.http.get(of(client, couple))).json()["consent"] for client in clients]
            if all(last):
                assert (await ehr.http.get(f"/v1/couples/{couple}")).status_code == 200
            else:
                closed.append(await shut(ehr, couple))
        assert len(closed) > 15
        assert all(one == closed[0] for one in closed)

    async def test_who_leaves_is_not_in_it_any_more_nor_seen(self, ehr: Person) -> None:
        couple, clients = await opened(ehr, 3)
        assert (await leaves(ehr, clients[1], couple)).status_code == 200
        answer = await ehr.http.get(f"/v1/couples/{couple}")
        assert [member["client_id"] for member in answer.json()["members"]] == [clients[0], clients[2]]
        assert clients[1] not in answer.text
        assert (await leaves(ehr, clients[0], couple)).status_code == 200
        await shut(ehr, couple)
        assert (await leaves(ehr, clients[2], couple)).status_code == 200
        await shut(ehr, couple)

    async def test_leaving_takes_the_consent_back_and_coming_back_does_not_give_it(self, ehr: Person) -> None:
        couple, clients = await opened(ehr, 3)
        left = (await leaves(ehr, clients[1], couple)).json()
        assert (left["left_on"], left["consent"], left["version"]) == ("2026-03-01", False, 3)
        answer = await ehr.http.post(f"{of(clients[1], couple)}/consents", json={"given": True, "stated_on": SINCE})
        assert faults(answer) == [("/given", "has-left")]
        await says(ehr, clients[1], couple, False)
        assert (await leaves(ehr, clients[1], couple, None)).status_code == 200
        await shut(ehr, couple)
        await says(ehr, clients[1], couple, True)
        assert (await ehr.http.get(f"/v1/couples/{couple}")).status_code == 200
        listed = (await ehr.http.get(f"{of(clients[1], couple)}/consents")).json()["items"]
        assert [(one["given"], one["stated_on"]) for one in listed] == [
            (True, SINCE), (False, "2026-03-01"), (False, SINCE), (True, SINCE)
        ]  # fmt: skip

    async def test_of_what_is_said_at_once_nothing_is_lost(self, ehr: Person) -> None:
        couple, clients = await opened(ehr)
        await asyncio.gather(*(says(ehr, clients[0], couple, bool(n % 2)) for n in range(6)))
        listed = (await ehr.http.get(f"{of(clients[0], couple)}/consents")).json()["items"]
        assert [one["version"] for one in listed] == [2, 3, 4, 5, 6, 7, 8]
        status = (await ehr.http.get(f"/v1/couples/{couple}")).status_code
        assert status == (200 if listed[-1]["given"] else 403)

    async def test_unknown_is_not_closed(self, people: People) -> None:
        couple, _ = await opened(people.ehr)
        problem(await people.ehr.http.get(f"/v1/couples/{uuid.uuid4()}"), 404, "not-found")
        problem(await people.elsewhere.http.get(f"/v1/couples/{couple}"), 404, "not-found")
        problem(await people.researcher.http.get(f"/v1/couples/{couple}"), 403, "forbidden")


PATHS = ("", "/couples", "/episodes", "/responses", "/progress", "/goals", "/goals/progress", "/assignments")


async def look(person: Person, client: str, couple: str) -> list[tuple[int, str, dict[str, str]]]:
    """All that a client's own paths answer, good requests and bad."""
    base = f"/v1/clients/{client}"
    answers = [await person.http.get(base + path) for path in PATHS]
    answers += [await person.http.get(of(client, couple) + path) for path in ("", "/consents")]
    for method, path, sent in (
        ("patch", of(client, couple), {"json": {"left_on": "1999-01-01"}, "headers": MATCH}),
        ("patch", of(client, couple), {"json": {"left_on": "2026-03-01"}, "headers": {"If-Match": '"99"'}}),
        ("patch", of(client, couple), {"json": {"partner": 1}}),
        ("post", f"{of(client, couple)}/consents", {"json": {"given": "yes"}}),
        ("get", f"{of(client)}?limit=1", {}),
        ("get", of(client, client), {}),
    ):
        answers.append(await person.http.request(method, path, **sent))
    return [(one.status_code, _bare(one), _headers(one)) for one in answers]


def _bare(answer: httpx.Response) -> str:
    return answer.text.replace(answer.headers["x-request-id"], "")


def _headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


class TestThroughAPartner:
    """What a client's own paths answer does not depend on anything that a partner is, has or does."""

    async def test_no_partner_in_any_answer(self, ehr: Person) -> None:
        couple, (one, other) = await opened(ehr)
        await ehr.http.patch(f"/v1/clients/{other}", json={"gender": "agender"}, headers=MATCH)
        await ehr.respond(other)
        for _, text, headers in await look(ehr, one, couple):
            assert other not in text
            assert "agender" not in text
            assert other not in str(headers)

    async def test_nothing_changes_whatever_the_partner_does(self, ehr: Person) -> None:
        one, other, third = [await ehr.client() for _ in range(3)]
        couple = await paired(ehr, one, other)
        await says(ehr, one, couple, True)
        before = await look(ehr, one, couple)
        await says(ehr, other, couple, True)
        assert await look(ehr, one, couple) == before
        await says(ehr, other, couple, False)
        assert await look(ehr, one, couple) == before
        assert (await leaves(ehr, other, couple)).status_code == 200
        assert await look(ehr, one, couple) == before
        await paired(ehr, other, third)
        assert await look(ehr, one, couple) == before
        await ehr.respond(other)
        assert await look(ehr, one, couple) == before

    async def test_looking_through_all_clients_finds_no_two_that_belong_together(self, ehr: Person) -> None:
        """What partners' own answers have in common, people who are not partners have in common too."""
        couples = [await paired(ehr, await ehr.client(), await ehr.client()) for _ in range(3)]
        told: dict[str, set[str]] = {}
        for couple in couples:
            for client in couple.members:
                answers = [await ehr.http.get(of(client)), await ehr.http.get(of(client, couple))]
                answers.append(await ehr.http.get(f"{of(client, couple)}/consents"))
                text = " ".join(_bare(answer) + str(_headers(answer)) for answer in answers)
                told[client] = set(re.findall(r"[0-9A-Za-z_:.-]{8,}", text.replace(client, "")))
                assert couple not in text
        everybody = set.intersection(*told.values())
        for couple in couples:
            one, other = couple.members
            assert told[one] & told[other] == everybody
            ids = [couple.members[client] for client in couple.members]
            assert ids[0][:8] != ids[1][:8], "no time in them either"

    async def test_whom_one_guesses_is_neither_confirmed_nor_denied(self, ehr: Person) -> None:
        """Making a couple again, or with a stranger, looks the same: no guess is told to be right."""
        couple, (one, other) = await opened(ehr)
        stranger = await ehr.client()
        answers = [
            await ehr.http.post("/v1/couples", json={"clients": [one, guess], "joined_on": SINCE})
            for guess in (other, stranger)
        ]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json().keys() == answers[1].json().keys()
        for answer in answers:
            await shut(ehr, answer.json()["id"])
        assert (await ehr.http.get(f"/v1/couples/{couple}")).status_code == 200

    async def test_who_is_not_in_a_couple_learns_nothing_of_it(self, ehr: Person) -> None:
        """A couple that there is, asked for under a client who is not in it, looks like one that there is not."""
        couple, _ = await opened(ehr)
        stranger, nothing = await ehr.client(), str(uuid.uuid4())
        assert [(status, text) for status, text, _ in await look(ehr, stranger, couple)] == [
            (status, text) for status, text, _ in await look(ehr, stranger, nothing)
        ]
        answer = await ehr.http.post(f"{of(stranger, couple)}/consents", json={"given": True, "stated_on": SINCE})
        problem(answer, 404, "not-found")

    async def test_a_client_need_not_wait_for_a_partner(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        """While somebody holds the partner's row, the other's own paths answer as always: no lock is shared."""
        couple, (one, other) = await opened(ehr)
        async with superuser.transaction():
            await superuser.execute(
                "select from couple_member where organisation_id = $1 and client_id = $2 for update",
                tenant.id,
                uuid.UUID(other),
            )
            async with asyncio.timeout(5):
                await look(ehr, one, couple)
                await says(ehr, one, couple, False)
                await shut(ehr, couple)
                assert (await leaves(ehr, one, couple)).status_code == 200


class TestMembership:
    async def test_listed_page_by_page(self, ehr: Person) -> None:
        one = await ehr.client()
        couples = [await paired(ehr, one, await ehr.client()) for _ in range(5)]
        await says(ehr, one, couples[3], False)
        found: list[dict[str, Any]] = []
        path: str | None = f"{of(one)}?limit=2"
        while path is not None:
            answer = await ehr.http.get(path)
            found += answer.json()["items"]
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert [each["id"] for each in found] == sorted(couple.members[one] for couple in couples)
        assert [each["id"] for each in found if each["consent"] is not None] == [couples[3].members[one]]
        problem(await ehr.http.get(of(str(uuid.uuid4()))), 404, "not-found")

    async def test_consents_page_by_page(self, ehr: Person) -> None:
        couple, (one, _) = await opened(ehr)
        await says(ehr, one, couple, False)
        await says(ehr, one, couple, True)
        first = await ehr.http.get(f"{of(one, couple)}/consents?limit=2")
        second = await ehr.http.get(first.headers["link"].split(">")[0][1:])
        assert [each["version"] for each in (*first.json()["items"], *second.json()["items"])] == [2, 3, 4]
        assert (second.json()["next"], "link" in second.headers) == (None, False)
        wild = await ehr.http.get(f"{of(one, couple)}/consents", params={"cursor": "A" * 11 + "_" * 21})
        assert wild.json()["items"] == []
        assert faults(await ehr.http.get(f"{of(one, couple)}/consents?cursor=x")) == [("cursor", "cursor-invalid")]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"joined_on": None}, [("/joined_on", "not-cleared")]),
            ({"joined_on": "2999-01-01"}, [("/joined_on", "day-implausible")]),
            ({"left_on": "2999-01-01"}, [("/left_on", "day-implausible")]),
            ({"left_on": "2026-01-11"}, [("/left_on", "days-out-of-order")]),
            ({"left_on": 20260111}, [("/left_on", "date-format")]),
            ({"client_id": "Sentinel"}, [("/client_id", "extra-forbidden")]),
            ({"consent": True}, [("/consent", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        one = await ehr.client()
        couple = await paired(ehr, one, await ehr.client())
        before = (await ehr.http.get(of(one, couple))).json()
        assert faults(await ehr.http.patch(of(one, couple), json=members, headers=MATCH)) == expected
        assert (await ehr.http.get(of(one, couple))).json() == before

    async def test_days_in_order_whichever_changes(self, ehr: Person) -> None:
        one = await ehr.client()
        couple = await paired(ehr, one, await ehr.client())
        assert (await leaves(ehr, one, couple, SINCE)).json()["left_on"] == SINCE
        late = await ehr.http.patch(of(one, couple), json={"joined_on": "2026-01-13"}, headers=MATCH)
        assert faults(late) == [("/joined_on", "days-out-of-order")]

    async def test_what_changes_nothing_makes_no_version(self, ehr: Person) -> None:
        couple, (one, _) = await opened(ehr)
        before = (await ehr.http.get(of(one, couple))).json()
        for members in ({}, {"left_on": None}, {"joined_on": SINCE}):
            assert (await ehr.http.patch(of(one, couple), json=members, headers=MATCH)).json() == before

    async def test_the_version_that_is_meant_has_to_be_said(self, ehr: Person) -> None:
        couple, (one, _) = await opened(ehr)
        body = {"left_on": "2026-02-01"}
        problem(await ehr.http.patch(of(one, couple), json=body), 428, "precondition-required")
        stale = await ehr.http.patch(of(one, couple), json=body, headers={"If-Match": '"1"'})
        problem(stale, 412, "precondition-failed")
        answer = await ehr.http.patch(of(one, couple), json=body, headers={"If-Match": '"2"'})
        assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"given": None}, [("/given", "bool-type")]),
            ({"given": "true"}, [("/given", "bool-type")]),
            ({"given": 1}, [("/given", "bool-type")]),
            ({"stated_on": str(today() + timedelta(days=1))}, [("/stated_on", "day-implausible")]),
            ({"stated_on": None}, [("/stated_on", "date-format")]),
            ({"note": "Sentinel"}, [("/note", "extra-forbidden")]),
        ],
    )
    async def test_consents_refused(
        self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        one = await ehr.client()
        couple = await paired(ehr, one, await ehr.client())
        path = f"{of(one, couple)}/consents"
        assert faults(await ehr.http.post(path, json={"given": True, "stated_on": SINCE} | members)) == expected
        assert (await ehr.http.get(path)).json()["items"] == []

    async def test_access(self, people: People) -> None:
        couple, (one, _) = await opened(people.ehr)
        for path in (of(one), of(one, couple), f"{of(one, couple)}/consents"):
            problem(await people.researcher.http.get(path), 403, "forbidden")
            problem(await people.elsewhere.http.get(path), 404, "not-found")
            assert (await people.clinician.http.get(path)).status_code == 200

    async def test_audit_trail(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        couple, (one, other) = await opened(people.ehr)
        view = f"/v1/couples/{couple}"
        await people.clinician.http.get(view)
        await says(people.ehr, other, couple, False)
        await people.clinician.http.get(view)
        await people.ehr.http.get(of(one, other))
        await people.ehr.http.patch(of(one, couple), json={"left_on": "1999-01-01"}, headers=MATCH)
        await people.ehr.http.get(of(one))
        rows = await superuser.fetch(
            "select action, resource, resource_id, outcome from audit_event where organisation_id = $1 order by id",
            tenant.id,
        )
        members = dict(
            await superuser.fetch("select client_id, id from couple_member where organisation_id = $1", tenant.id)
        )
        mine, theirs = members[uuid.UUID(one)], members[uuid.UUID(other)]
        told = [tuple(row) for row in rows if (row[0], row[1]) != ("create", "client")]
        assert told == [
            ("create", "couple", uuid.UUID(couple), "done"),
            ("consent", "membership", mine, "done"),
            ("consent", "membership", theirs, "done"),
            ("read", "couple", uuid.UUID(couple), "done"),
            ("withdraw-consent", "membership", theirs, "done"),
            ("read", "couple", uuid.UUID(couple), "closed"),
            ("read", "client", uuid.UUID(one), "not-found"),
            ("change", "membership", mine, "refused"),
            ("list-couples", "client", uuid.UUID(one), "done"),
        ]
