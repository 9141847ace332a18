"""Amending a response, finding one void, and the history that stays."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import jsonschema
import orjson
import pytest
from fastapi import FastAPI

import instruments
import scoring
from tests.api.corrected import PATH, all_answers, correct, rows
from tests.api.people import FSFI_FIVES, People, Person, faults, problem
from tests.conftest import Tenant


async def made(ehr: Person, **members: Any) -> str:
    """A response of a new client."""
    answer = await ehr.respond(await ehr.client(), **members)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


class TestAmend:
    async def test_what_it_should_have_said_holds(self, ehr: Person) -> None:
        first = await ehr.respond(await ehr.client())
        response_id = first.json()["id"]
        answer = await correct(ehr, response_id)
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"2"'
        body = answer.json()
        assert {name: body[name] for name in ("id", "status", "revision", "amended", "current", "superseded")} == {
            "id": response_id, "status": "amended", "revision": 2, "amended": True, "current": True, "superseded": None
        }  # fmt: skip
        assert body["scores"]["total"]["value"] == 21.6
        assert body["recorded_at"] > first.json()["recorded_at"]
        read = await ehr.http.get(f"{PATH}/{response_id}")
        assert (read.text, read.headers["etag"]) == (answer.text, '"2"')
        explained = (await ehr.http.get(f"{PATH}/{response_id}/explain")).json()
        expected = scoring.explain(instruments.load("fsfi"), all_answers(3), variant="strict").document()
        assert (explained["steps"], explained["revision"]) == (orjson.loads(orjson.dumps(expected["steps"])), 2)

    async def test_what_it_said_before_stays_readable(self, ehr: Person) -> None:
        first = await ehr.respond(await ehr.client())
        path = first.headers["location"]
        amended = await correct(ehr, first.json()["id"], reason="Two columns swapped", reason_code="mistyped")
        old = (await ehr.http.get(f"{path}/versions/1")).json()
        superseded = old.pop("superseded")
        assert old.pop("answers") == FSFI_FIVES
        was = first.json() | {"current": False}
        del was["superseded"]
        assert old == was
        assert superseded == {
            "at": amended.json()["recorded_at"], "by": "ehr-1", "reason_code": "mistyped",
            "reason": "Two columns swapped", "revision": 2, "status": "amended",
        }  # fmt: skip
        new = (await ehr.http.get(f"{path}/versions/2")).json()
        assert (new.pop("answers"), new) == (all_answers(3), amended.json())
        steps = (await ehr.http.get(f"{path}/explain?revision=1")).json()["steps"]
        assert steps != (await ehr.http.get(f"{path}/explain")).json()["steps"]

    async def test_history(self, people: People) -> None:
        response_id = await made(people.ehr)
        await correct(people.clinician, response_id, reason="One", reason_code="client-correction")
        await correct(people.ehr, response_id, match='"2"', answers=all_answers(4), reason="Zwei\n\tÄpfel")
        answer = await people.clinician.http.get(f"{PATH}/{response_id}/versions")
        assert answer.headers["etag"] == '"3"'
        found = answer.json()
        assert (found["id"], found["revision"]) == (response_id, 3)
        told = [
            tuple(one[name] for name in ("revision", "status", "current", "by", "reason_code", "reason"))
            for one in found["versions"]
        ]
        assert told == [
            (1, "completed", False, "ehr-1", None, None),
            (2, "amended", False, "clinician-1", "client-correction", "One"),
            (3, "amended", True, "ehr-1", "another", "Zwei\n\tÄpfel"),
        ]
        for one in found["versions"]:
            version = (await people.ehr.http.get(one["url"])).json()
            assert (version["revision"], version["recorded_at"]) == (one["revision"], one["at"])

    async def test_one_member_alone(self, ehr: Person) -> None:
        client_id = await ehr.client()
        response_id = (await ehr.respond(client_id, setting="paper", partnered=False, active=True)).json()["id"]
        body = (await correct(ehr, response_id, answered_at="2026-02-01T10:00:00+01:00")).json()
        assert (body["answered_at"], body["setting"], body["partnered"], body["active"]) == (
            "2026-02-01T09:00:00Z", "paper", False, True
        )  # fmt: skip
        assert body["scores"]["total"]["value"] == 36.0
        body = (await correct(ehr, response_id, match='"2"', setting=None, partnered=None)).json()
        assert (body["answered_at"], body["setting"], body["partnered"]) == ("2026-02-01T09:00:00Z", None, None)
        body = (
            await correct(ehr, response_id, match='"3"', variant="prorated", answers={**FSFI_FIVES, "1": None})
        ).json()
        assert (body["variant"], body["scores"]["desire"]["status"]) == ("prorated", "prorated")
        listed = (await ehr.http.get(f"/v1/clients/{client_id}/responses")).json()["items"]
        assert [(one["id"], one["revision"], one["answers"]["1"]) for one in listed] == [(response_id, 4, None)]

    async def test_rows(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        response_id = await made(ehr)
        before = await rows(superuser, tenant)
        reason = "A sentence about sentinel-4711"
        answer = await correct(ehr, response_id, key="k", reason=reason, reason_code="mistyped")
        after = await rows(superuser, tenant)
        assert {name: after[name] - before[name] for name in after} == {
            "response": 1, "score": 7, "alert": 0, "superseded": 1, "outbox": 1, "idempotency_key": 1
        }  # fmt: skip
        root, new = await superuser.fetch(
            "select *, answers::text as text from response where organisation_id = $1 order by revision", tenant.id
        )
        assert (root["id"], root["root_id"], orjson.loads(root["text"])) == (uuid.UUID(response_id), None, FSFI_FIVES)
        assert (new["root_id"], new["revision"], orjson.loads(new["text"])) == (root["id"], 2, all_answers(3))
        assert answer.text.startswith(new["document"][:-1])
        row = await superuser.fetchrow("select * from superseded where organisation_id = $1", tenant.id)
        assert (row["response_id"], row["by_response_id"], row["root_id"]) == (root["id"], new["id"], root["id"])
        assert row["at"] == new["recorded_at"]
        assert b"sentinel" not in row["reason_sealed"]
        event = await superuser.fetchrow(
            "select * from audit_event where organisation_id = $1 order by id desc limit 1", tenant.id
        )
        assert (event["action"], event["resource_id"], event["outcome"]) == ("amend", root["id"], "done")
        assert event["request_id"] == answer.headers["x-request-id"]
        topics = await superuser.fetch(
            "select topic, resource_id from outbox where organisation_id = $1 order by id", tenant.id
        )
        assert [tuple(row) for row in topics] == [("response.recorded", root["id"]), ("response.amended", root["id"])]

    async def test_alerts_of_both_answers_stay(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        response_id = await made(ehr, instrument="phq-9", answers={"9": 2})
        calm = await correct(ehr, response_id, answers={"9": 0})
        assert calm.json()["alerts"] == []
        again = await correct(ehr, response_id, match='"2"', answers={"9": 1})
        assert len(again.json()["alerts"]) == 1
        found = await superuser.fetch(
            "select r.revision, a.status, s.response_id is not null as superseded from alert a"
            " join response r on r.organisation_id = a.organisation_id and r.id = a.response_id"
            " left join superseded s on s.organisation_id = a.organisation_id and s.response_id = a.response_id"
            " where a.organisation_id = $1 order by a.id",
            tenant.id,
        )
        assert [tuple(row) for row in found] == [(1, "superseded", True), (3, "open", False)]
        topics = await superuser.fetch("select topic from outbox where organisation_id = $1", tenant.id)
        assert sorted(row["topic"] for row in topics) == [
            "alert.raised", "alert.raised", "response.amended", "response.amended", "response.recorded"
        ]  # fmt: skip

    async def test_the_situation_is_looked_at_again(self, ehr: Person) -> None:
        client_id = await ehr.client(organs=["penis"])
        response_id = (await ehr.respond(client_id)).json()["id"]
        body = (await correct(ehr, response_id)).json()
        assert [flag["id"] for flag in body["flags"]] == ["outside-organs"]


class TestEpisodes:
    async def test_into_and_out_of_an_episode(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        episode = (
            await ehr.http.post(
                f"/v1/clients/{client_id}/episodes", json={"started_on": "2026-02-20", "format": "individual"}
            )
        ).json()["id"]
        response_id = (await ehr.respond(client_id)).json()["id"]
        body = (await correct(ehr, response_id, episode_id=episode)).json()
        assert (body["episode_id"], body["outside_episode"]) == (episode, False)
        kept = await rows(superuser, tenant)
        early = await correct(ehr, response_id, match='"2"', key="k", answered_at="2025-12-01T10:00:00Z")
        assert faults(early) == [("/answered_at", "outside-episode")]
        unknown = await correct(ehr, response_id, match='"2"', key="k", episode_id=str(uuid.uuid4()))
        assert faults(unknown) == [("/episode_id", "unknown-episode")]
        assert await rows(superuser, tenant) == kept, "what was refused has left nothing, and its key is free"
        out = await correct(ehr, response_id, match='"2"', key="k", episode_id=None)
        assert (out.status_code, out.json()["outside_episode"]) == (200, True)


class TestVoid:
    async def test_it_says_nothing_any_more(self, ehr: Person) -> None:
        client_id = await ehr.client()
        response_id = (await ehr.respond(client_id)).json()["id"]
        answer = await correct(ehr, response_id, "void", reason="Another client's form", reason_code="wrong-client")
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        body = answer.json()
        voided = body.pop("voided")
        assert body == {
            "id": response_id, "client_id": client_id, "instrument": "fsfi", "version": 1, "variant": "strict",
            "answered_at": "2026-03-01T10:00:00Z", "status": "entered-in-error", "revision": 2, "amended": False,
            "current": True,
        }  # fmt: skip
        assert (voided["by"], voided["reason_code"], voided["reason"]) == (
            "ehr-1", "wrong-client", "Another client's form"
        )  # fmt: skip
        for path in (f"{PATH}/{response_id}", f"{PATH}/{response_id}/versions/2"):
            assert (await ehr.http.get(path)).text == answer.text
        old = (await ehr.http.get(f"{PATH}/{response_id}/versions/1")).json()
        assert (old["current"], old["superseded"]["status"], old["answers"]) == (False, "entered-in-error", FSFI_FIVES)
        last = (await ehr.http.get(f"{PATH}/{response_id}/versions")).json()["versions"][-1]
        assert (last["revision"], last["status"], last["current"], last["reason"]) == (
            2, "entered-in-error", True, "Another client's form"
        )  # fmt: skip

    async def test_it_counts_nowhere(self, ehr: Person) -> None:
        client_id = await ehr.client()
        kept = (await ehr.respond(client_id)).json()["id"]
        response_id = (await ehr.respond(client_id)).json()["id"]
        await correct(ehr, response_id)
        await correct(ehr, response_id, "void", match='"2"')
        listed = (await ehr.http.get(f"/v1/clients/{client_id}/responses")).json()["items"]
        assert [one["id"] for one in listed] == [kept]
        progress = (await ehr.http.get(f"/v1/clients/{client_id}/progress?instrument=fsfi&scale=total")).json()
        assert [point["response_id"] for point in progress["series"][0]["points"]] == [kept]
        history = (await ehr.http.get(f"/v1/clients/{client_id}/responses?history=true")).json()["items"]
        assert [(one["id"], one["revision"], one["current"]) for one in history] == [
            (response_id, 2, False), (response_id, 1, False), (kept, 1, True)
        ]  # fmt: skip
        assert [one["superseded"] and one["superseded"]["status"] for one in history] == [
            "entered-in-error", "amended", None
        ]  # fmt: skip

    async def test_it_is_final(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        response_id = await made(ehr)
        await correct(ehr, response_id, "void")
        kept = await rows(superuser, tenant)
        for action in ("amend", "void"):
            problem(await correct(ehr, response_id, action, match='"2"'), 409, "response-void")
        problem(await ehr.http.get(f"{PATH}/{response_id}/explain"), 409, "response-void")
        assert (await ehr.http.get(f"{PATH}/{response_id}/explain?revision=1")).status_code == 200
        assert await rows(superuser, tenant) == kept


class TestPreconditions:
    @pytest.mark.parametrize("action", ["amend", "void"])
    async def test_which_version_is_meant(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection, action: str
    ) -> None:
        response_id = await made(ehr)
        await correct(ehr, response_id)
        kept = await rows(superuser, tenant)
        problem(await correct(ehr, response_id, action, match=None), 428, "precondition-required")
        for tag in ('"1"', '"3"', 'W/"2"', "2", '""'):
            problem(await correct(ehr, response_id, action, match=tag, key="k"), 412, "precondition-failed")
        assert await rows(superuser, tenant) == kept
        assert (await correct(ehr, response_id, action, match='"9", "2"', key="k")).status_code == 200

    async def test_whatever_it_is_now(self, ehr: Person) -> None:
        assert (await correct(ehr, await made(ehr), match="*")).headers["etag"] == '"2"'


class TestRepetition:
    @pytest.mark.parametrize("action", ["amend", "void"])
    async def test_is_answered_the_same(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection, action: str
    ) -> None:
        response_id = await made(ehr)
        first = await correct(ehr, response_id, action, key="k")
        kept = await rows(superuser, tenant)
        again = await correct(ehr, response_id, action, key='"k"')
        assert (again.status_code, again.text, again.headers["etag"]) == (200, first.text, '"2"')
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        assert await rows(superuser, tenant) == kept

    async def test_also_after_a_further_correction(self, ehr: Person) -> None:
        response_id = await made(ehr)
        first = await correct(ehr, response_id, key="k")
        await correct(ehr, response_id, match='"2"', answers=all_answers(1))
        assert (await correct(ehr, response_id, key="k")).text == first.text

    async def test_a_key_stands_for_one_request(self, ehr: Person) -> None:
        client_id = await ehr.client()
        recorded = await ehr.respond(client_id, key="r")
        response_id, other = recorded.json()["id"], await made(ehr)
        await correct(ehr, response_id, key="k")
        for answer in (
            await correct(ehr, response_id, key="k", answers=all_answers(2)),
            await correct(ehr, response_id, "void", key="k"),
            await correct(ehr, other, key="k"),
            await correct(ehr, other, key="r"),
            await ehr.respond(client_id, key="k"),
        ):
            problem(answer, 422, "idempotency-key-reused")

    async def test_a_key_that_is_none(self, ehr: Person) -> None:
        problem(await correct(ehr, await made(ehr), key=" "), 400, "idempotency-key-invalid")


class TestAtOnce:
    async def test_one_of_several_wins(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        response_id = await made(ehr)
        answers = await asyncio.gather(
            *(correct(ehr, response_id, answers=all_answers(value), key=f"k{value}") for value in range(1, 6)),
            *(correct(ehr, response_id, "void") for _ in range(3)),
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        (won,) = (answer for answer in answers if answer.status_code == 200)
        assert (await ehr.http.get(f"{PATH}/{response_id}")).text == won.text
        found = await rows(superuser, tenant)
        amended = won.json()["status"] == "amended"
        assert (found["superseded"], found["response"], found["score"]) == (1, 1 + amended, 7 + 7 * amended)
        assert found["idempotency_key"] == 1 + amended, "who lost has the key still"

    async def test_repetitions_get_one_answer(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        response_id = await made(ehr)
        answers = await asyncio.gather(*(correct(ehr, response_id, key="k") for _ in range(8)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
        assert (await rows(superuser, tenant))["response"] == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("members", "fault"),
        [
            ({"reason": ""}, ("/reason", "length")),
            ({"reason": "   "}, ("/reason", "length")),
            ({"reason": "x" * 1001}, ("/reason", "length")),
            ({"reason": "a\x07b"}, ("/reason", "control-character")),
            ({"reason": None}, ("/reason", "string-type")),
            ({"reason": 7}, ("/reason", "string-type")),
            ({"reason_code": "whim"}, ("/reason_code", "unknown-code")),
            ({"answers": {"1": 9}}, ("/answers/1", "not-an-option")),
            ({"answers": []}, ("/answers", "dict-type")),
            ({"answered_at": "2026-03-01"}, ("/answered_at", "time-format")),
            ({"answered_at": "2999-03-01T10:00:00Z"}, ("/answered_at", "time-implausible")),
            ({"variant": "mine"}, ("/variant", "unknown-variant")),
            ({"version": 99}, ("/version", "unknown-version")),
            ({"version": "1"}, ("/version", "int-type")),
            ({"setting": "beach"}, ("/setting", "unknown-code")),
            ({"client_id": str(uuid.UUID(int=1))}, ("/client_id", "extra-forbidden")),
            ({"instrument": "phq-9"}, ("/instrument", "extra-forbidden")),
        ],
    )
    async def test_bad_amendments_store_nothing(
        self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection, members: dict[str, Any],
        fault: tuple[str, str],
    ) -> None:  # fmt: skip
        response_id = await made(ehr)
        kept = await rows(superuser, tenant)
        answer = await correct(ehr, response_id, key="k", **members)
        slug = "answers-invalid" if answer.json()["type"].endswith("answers-invalid") else "request-invalid"
        assert faults(answer, slug) == [fault]
        assert await rows(superuser, tenant) == kept

    async def test_something_has_to_be_otherwise(self, ehr: Person) -> None:
        for body in ({"reason": "x"}, {"reason": "x", "reason_code": "mistyped"}):
            answer = await ehr.http.post(f"{PATH}/{await made(ehr)}/amend", json=body, headers={"If-Match": "*"})
            assert faults(answer) == [("", "nothing-amended")]

    @pytest.mark.parametrize("action", ["amend", "void"])
    async def test_without_a_reason(self, ehr: Person, action: str) -> None:
        for body in ({}, {"answers": {}}):
            answer = await ehr.http.post(f"{PATH}/{await made(ehr)}/{action}", json=body, headers={"If-Match": "*"})
            assert ("/reason", "missing") in faults(answer)

    async def test_a_void_response_takes_no_answers(self, ehr: Person) -> None:
        answer = await correct(ehr, await made(ehr), "void", answers={})
        assert faults(answer) == [("/answers", "extra-forbidden")]

    @pytest.mark.parametrize("revision", ["0", "-1", "x", "2147483648", "99999999999999999999"])
    async def test_a_version_that_is_none(self, ehr: Person, revision: str) -> None:
        answer = await ehr.http.get(f"{PATH}/{await made(ehr)}/versions/{revision}")
        assert [place for place, _ in faults(answer)] == ["revision"]

    async def test_a_version_that_is_not_there(self, ehr: Person) -> None:
        response_id = await made(ehr)
        for path in ("versions/2", "versions/2147483647", "explain?revision=2"):
            problem(await ehr.http.get(f"{PATH}/{response_id}/{path}"), 404, "not-found")

    async def test_a_version_is_no_response(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        """The row behind an amendment has a key of its own, which is nobody's business."""
        await correct(ehr, await made(ehr))
        row_id = await superuser.fetchval(
            "select id from response where organisation_id = $1 and revision = 2", tenant.id
        )
        for path in ("", "/versions", "/versions/2", "/explain"):
            problem(await ehr.http.get(f"{PATH}/{row_id}{path}"), 404, "not-found")
        problem(await correct(ehr, str(row_id), match='"2"'), 404, "not-found")

    async def test_another_organisation(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        response_id = await made(people.ehr)
        kept = await rows(superuser, tenant)
        for action in ("amend", "void"):
            problem(await correct(people.elsewhere, response_id, action), 404, "not-found")
        for path in ("versions", "versions/1"):
            problem(await people.elsewhere.http.get(f"{PATH}/{response_id}/{path}"), 404, "not-found")
        assert await rows(superuser, tenant) == kept

    @pytest.mark.parametrize("role", ["researcher", "admin"])
    async def test_wrong_role(self, people: People, role: str) -> None:
        response_id = await made(people.ehr)
        for action in ("amend", "void"):
            problem(await correct(getattr(people, role), response_id, action), 403, "forbidden")


class TestContract:
    async def test_what_is_answered_is_declared(self, app: FastAPI, ehr: Person) -> None:
        def check(answer: httpx.Response, path: str, method: str = "get") -> None:
            document = app.openapi()
            (content,) = document["paths"][path][method]["responses"]["200"]["content"].values()
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer.json())

        one = "/v1/responses/{response_id}"
        client_id = await ehr.client()
        response_id = (await ehr.respond(client_id)).json()["id"]
        check(await correct(ehr, response_id), f"{one}/amend", "post")
        check(await ehr.http.get(f"{PATH}/{response_id}"), one)
        check(await correct(ehr, response_id, "void", match='"2"'), f"{one}/void", "post")
        check(await ehr.http.get(f"{PATH}/{response_id}"), one)
        check(await ehr.http.get(f"{PATH}/{response_id}/versions"), f"{one}/versions")
        for revision in (1, 2, 3):
            check(await ehr.http.get(f"{PATH}/{response_id}/versions/{revision}"), f"{one}/versions/{{revision}}")
        listed = await ehr.http.get(f"/v1/clients/{client_id}/responses?history=true")
        check(listed, "/v1/clients/{client_id}/responses")
