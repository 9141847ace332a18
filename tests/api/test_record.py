"""Recording a response: `POST /v1/responses`."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import instruments
from tests.api.people import FSFI_FIVES, People, Person, faults, form, problem, web
from tests.conftest import Tenant

PATH = "/v1/responses"
JSON = {"Content-Type": "application/json"}


async def rows(connection: asyncpg.Connection, tenant: Tenant) -> dict[str, int]:
    """How many rows the organisation has in each table that recording writes."""
    tables = ("response", "score", "alert", "outbox", "idempotency_key")
    return {
        table: await connection.fetchval(f"select count(*) from {table} where organisation_id = $1", tenant.id)  # noqa: S608  - names above
        for table in tables
    }


NOTHING = {"response": 0, "score": 0, "alert": 0, "outbox": 0, "idempotency_key": 0}


class TestRefused:
    async def test_without_a_token(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.post(PATH, json=form(str(uuid.uuid4())), headers={"Idempotency-Key": "a"})
        problem(answer, 401, "unauthenticated")
        problem(await stranger.post(PATH), 401, "unauthenticated")

    async def test_another_organisations_client_looks_unknown(
        self, people: People, tenant: Tenant, other_tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        client_id = await people.ehr.client()
        there = await people.elsewhere.respond(client_id, key="k")
        unknown = await people.elsewhere.respond(str(uuid.uuid4()), key="k")
        documents = [problem(answer, 404, "not-found") for answer in (there, unknown)]
        for document in documents:
            del document["instance"]
        assert documents[0] == documents[1]
        assert documents[0]["errors"][0]["pointer"] == "/client_id"
        assert await rows(superuser, other_tenant) == NOTHING
        assert await rows(superuser, tenant) == NOTHING

    @pytest.mark.parametrize("role", ["researcher", "admin"])
    async def test_wrong_role(self, people: People, role: str) -> None:
        client_id = await people.ehr.client()
        problem(await getattr(people, role).respond(client_id), 403, "forbidden")
        problem(await getattr(people, role).http.post(PATH), 403, "forbidden")


class TestScored:
    async def test_fsfi_of_fives_is_36(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answer = await ehr.respond(client_id, setting="remote")
        assert answer.status_code == 201
        document = answer.json()
        assert answer.headers["location"] == f"{PATH}/{document['id']}"
        assert answer.headers["content-type"] == "application/json"
        assert "idempotent-replayed" not in answer.headers
        assert uuid.UUID(document["id"]).version == 7
        assert document["scores"]["total"]["value"] == 36.0
        assert {scale: score["status"] for scale, score in document["scores"].items()} == dict.fromkeys(
            document["scores"], "complete"
        )
        assert {name: document[name] for name in ("client_id", "instrument", "version", "variant", "setting")} == {
            "client_id": client_id,
            "instrument": "fsfi",
            "version": 1,
            "variant": "strict",
            "setting": "remote",
        }
        assert document["answered_at"] == "2026-03-01T10:00:00Z"
        assert abs(datetime.now(UTC) - datetime.fromisoformat(document["recorded_at"])) < timedelta(seconds=10)
        assert document["provenance"]["definition"] == instruments.load("fsfi").checksum
        assert document["provenance"]["definition_url"] == "/v1/instruments/fsfi/versions/1"

    async def test_decimals_are_exact_in_the_text(self, ehr: Person) -> None:
        text = (await ehr.respond(await ehr.client(), answers={"1": 1, "2": 2})).text
        assert '"desire":{"value":1.8,' in text

    async def test_missing_is_not_zero(self, ehr: Person) -> None:
        answers: dict[str, int | None] = {**FSFI_FIVES, "1": None}
        document = (await ehr.respond(await ehr.client(), answers=answers)).json()
        desire = document["scores"]["desire"]
        assert (desire["value"], desire["status"], desire["missing"]) == (None, "insufficient", 1)
        assert desire["reason"] == {"code": "items-unanswered", "parts": ["1"]}

    async def test_variant(self, ehr: Person) -> None:
        document = (await ehr.respond(await ehr.client(), answers={**FSFI_FIVES, "1": None}, variant="prorated")).json()
        assert (document["variant"], document["scores"]["desire"]["status"]) == ("prorated", "prorated")
        assert document["scores"]["total"]["value"] == 36.0

    async def test_no_activity_is_not_dysfunction(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        answers = {**FSFI_FIVES, **{str(item): 0 for item in [*range(3, 15), 17, 18, 19]}}
        document = (await ehr.respond(await ehr.client(), answers=answers)).json()
        assert document["flags"]
        assert document["scores"]["total"]["valid"] is False
        assert await superuser.fetchval("select valid from response where organisation_id = $1", tenant.id) is False

    @pytest.mark.parametrize("answers", [{"9": 1}, {str(item): 3 for item in range(1, 10)}])
    async def test_alert_also_on_an_incomplete_form(
        self, ehr: Person, answers: dict[str, int], tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        client_id = await ehr.client()
        document = (await ehr.respond(client_id, instrument="phq-9", answers=answers)).json()
        (alert,) = document["alerts"]
        assert (alert["severity"], alert["items"]) == ("urgent", ["9"])
        row = await superuser.fetchrow("select * from alert where organisation_id = $1", tenant.id)
        assert (row["rule"], row["item"], row["status"], row["client_id"], row["response_id"]) == (
            alert["rule"], "9", "open", uuid.UUID(client_id), uuid.UUID(document["id"])
        )  # fmt: skip
        topics = await superuser.fetch("select topic from outbox where organisation_id = $1 order by topic", tenant.id)
        assert [row["topic"] for row in topics] == ["alert.raised", "response.recorded"]
        raised = await superuser.fetchval(
            "select resource_id from outbox where topic = 'alert.raised' and id = $1", row["id"]
        )
        assert {str(raised), str(row["id"])} == {alert["id"]}, "the reply names the alert that is kept and told of"

    async def test_no_alert_at_zero(self, ehr: Person) -> None:
        document = (await ehr.respond(await ehr.client(), instrument="phq-9", answers={"9": 0})).json()
        assert document["alerts"] == []

    async def test_every_instrument_is_taken(self, ehr: Person) -> None:
        client_id = await ehr.client()
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            answers = {item.id: item.options[0] for item in catalogue.get(code).items}
            answer = await ehr.respond(client_id, instrument=code, answers=answers, version=1)
            assert answer.status_code == 201, (code, answer.text)

    async def test_rows(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        answer = await ehr.respond(await ehr.client(), key="k")
        document = answer.json()
        assert await rows(superuser, tenant) == {
            "response": 1, "score": 7, "alert": 0, "outbox": 1, "idempotency_key": 1
        }  # fmt: skip
        kept = await superuser.fetchrow("select * from response where organisation_id = $1", tenant.id)
        since = ',"status":"completed","revision":1,"amended":false,"current":true,"superseded":null,"rescoring":null}'
        assert kept["document"][:-1] + since == answer.text
        assert json.loads(kept["answers"]) == FSFI_FIVES
        assert kept["recorded_by"] == "ehr-1"
        scores = await superuser.fetch("select scale, value from score where organisation_id = $1", tenant.id)
        assert {row["scale"]: row["value"] for row in scores} == {
            scale: score["value"] for scale, score in document["scores"].items()
        }
        event = await superuser.fetchrow(
            "select * from audit_event where organisation_id = $1 and resource = 'response'", tenant.id
        )
        assert (event["action"], event["outcome"], event["role"]) == ("record", "created", "ehr")
        assert event["request_id"] == answer.headers["x-request-id"]

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00Z"),
            ("2026-03-01 10:00:00z", "2026-03-01T10:00:00Z"),
            ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.123456Z"),
            ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
        ],
    )
    async def test_times(self, ehr: Person, given: str, kept: str) -> None:
        assert (await ehr.respond(await ehr.client(), answered_at=given)).json()["answered_at"] == kept

    async def test_clock_of_the_caller_may_be_a_little_ahead(self, ehr: Person) -> None:
        soon, later = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (4, 6))
        client_id = await ehr.client()
        assert (await ehr.respond(client_id, answered_at=soon.isoformat())).status_code == 201
        answer = await ehr.respond(client_id, answered_at=later.isoformat())
        assert faults(answer) == [("/answered_at", "time-implausible")]


class TestFaults:
    async def test_every_faulty_answer_is_listed(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        answers = {"1": 6, "2": "5", "3": 2.5, "4": True, "x/~": 1, "5": None, "6": [1], "7": {}, "8": 5, "1 ": 1}
        answer = await ehr.respond(await ehr.client(), answers=answers)
        assert sorted(faults(answer, "answers-invalid")) == [
            ("/answers/1", "not-an-option"),
            ("/answers/1 ", "unknown-item"),
            ("/answers/2", "not-a-number"),
            ("/answers/3", "not-whole"),
            ("/answers/4", "not-a-number"),
            ("/answers/6", "not-a-number"),
            ("/answers/7", "not-a-number"),
            ("/answers/x~1~0", "unknown-item"),
        ]
        assert "1, 2, 3, 4, 5" in answer.json()["errors"][0]["detail"]
        assert await rows(superuser, tenant) == NOTHING

    async def test_many_faults_are_counted(self, ehr: Person) -> None:
        answers = {f"x{number}": 1 for number in range(5000)}
        document = problem(await ehr.respond(await ehr.client(), answers=answers), 422, "answers-invalid")
        assert (len(document["errors"]), document["errors_total"]) == (100, 5000)

    @pytest.mark.parametrize(
        ("members", "pointer", "code"),
        [
            ({"instrument": "nonesuch"}, "/instrument", "unknown-instrument"),
            ({"instrument": ""}, "/instrument", "unknown-instrument"),
            ({"instrument": "../fsfi"}, "/instrument", "unknown-instrument"),
            ({"instrument": "FSFI"}, "/instrument", "unknown-instrument"),
            ({"instrument": "griss"}, "/instrument", "instrument-not-scorable"),
            ({"instrument": "griss", "version": 1}, "/instrument", "instrument-not-scorable"),
            ({"instrument": "nonesuch", "version": 1}, "/instrument", "unknown-instrument"),
            ({"instrument": 5}, "/instrument", "string-type"),
            ({"version": 2}, "/version", "unknown-version"),
            ({"version": 2**53 - 1}, "/version", "unknown-version"),
            ({"version": 0}, "/version", "greater-than-equal"),
            ({"version": "1"}, "/version", "int-type"),
            ({"version": 1.0}, "/version", "int-type"),
            ({"version": True}, "/version", "int-type"),
            ({"variant": "loose"}, "/variant", "unknown-variant"),
            ({"client_id": "17"}, "/client_id", "uuid-parsing"),
            ({"client_id": 17}, "/client_id", "uuid-type"),
            ({"answered_at": "2026-03-01T10:00:00"}, "/answered_at", "time-format"),
            ({"answered_at": "2026-03-01"}, "/answered_at", "time-format"),
            ({"answered_at": 1_770_000_000}, "/answered_at", "time-format"),
            ({"answered_at": "1770000000"}, "/answered_at", "time-format"),
            ({"answered_at": "2026-02-30T10:00:00Z"}, "/answered_at", "datetime-from-date-parsing"),
            ({"answered_at": "2026-03-01T10:00:61Z"}, "/answered_at", "datetime-from-date-parsing"),
            ({"answered_at": "\uff12026-03-01T10:00:00Z"}, "/answered_at", "time-format"),
            ({"answered_at": "2999-01-01T00:00:00Z"}, "/answered_at", "time-implausible"),
            ({"answered_at": "9999-12-31T23:59:59-23:59"}, "/answered_at", "time-implausible"),
            ({"answered_at": "0001-01-01T00:00:00+23:59"}, "/answered_at", "time-implausible"),
            ({"answered_at": "1899-12-31T23:59:59Z"}, "/answered_at", "time-implausible"),
            ({"answered_at": None}, "/answered_at", "time-format"),
            ({"answers": None}, "/answers", "dict-type"),
            ({"answers": [5, 5]}, "/answers", "dict-type"),
            ({"setting": "beach"}, "/setting", "unknown-code"),
            ({"setting": 1}, "/setting", "string-type"),
            ({"episode": "x"}, "/episode", "extra-forbidden"),
        ],
    )
    async def test_members(
        self, ehr: Person, members: dict[str, Any], pointer: str, code: str, tenant: Tenant, superuser: Any
    ) -> None:
        body = form(await ehr.client()) | members
        answer = await ehr.http.post(PATH, json=body, headers={"Idempotency-Key": "k"})
        assert faults(answer) == [(pointer, code)]
        for value in members.values():
            assert len(str(value)) < 4 or str(value) not in answer.text
        assert await rows(superuser, tenant) == NOTHING

    async def test_all_faults_of_the_shape_at_once(self, ehr: Person) -> None:
        answer = await ehr.http.post(PATH, json={"answers": 1, "more": 1}, headers={"Idempotency-Key": "k"})
        assert sorted(faults(answer)) == [
            ("/answered_at", "missing"),
            ("/answers", "dict-type"),
            ("/client_id", "missing"),
            ("/instrument", "missing"),
            ("/more", "extra-forbidden"),
        ]


class TestHostileBodies:
    """The guard before the route has its own tests; here is that this route, which reads no body, stands behind it."""

    @pytest.mark.parametrize(
        ("content", "status", "slug"),
        [
            (b"", 422, "request-invalid"),
            (b"null", 422, "request-invalid"),
            (b"[]", 422, "request-invalid"),
            (b'"text"', 422, "request-invalid"),
            (b"1e400", 422, "request-invalid"),
            (b"{", 400, "body-malformed"),
            (b'{"answers": {"1": ' + b"9" * 5000 + b"}}", 422, "request-invalid"),
            (b'{"answers": {"1": 1e999}}', 422, "request-invalid"),
            (b'{"answers": {"1": NaN}}', 422, "request-invalid"),
            (b'{"answers": {"1": 1, "1": 2}}', 422, "request-invalid"),
            (b'{"answers": {"\\u0000": 1}}', 422, "request-invalid"),
            (b'{"instrument": "\\ud800"}', 422, "request-invalid"),
            (b'{"answers": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 422, "request-invalid"),
            (b'{"instrument": "' + b"a" * 1_048_576 + b'"}', 413, "body-too-large"),
        ],
    )
    async def test_bodies(self, ehr: Person, content: bytes, status: int, slug: str) -> None:
        answer = await ehr.http.post(PATH, content=content, headers=JSON | {"Idempotency-Key": "k"})
        problem(answer, status, slug)

    async def test_content_type(self, ehr: Person) -> None:
        body = json.dumps(form(await ehr.client()))
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            headers = {"Idempotency-Key": "k", "Content-Type": kind}
            problem(await ehr.http.post(PATH, content=body, headers=headers), 415, "media-type-unsupported")

    async def test_surrogates_and_nul_inside_answers_that_would_be_stored(self, ehr: Person) -> None:
        client_id = await ehr.client()
        for text in ("\\u0000", "\\ud800"):
            body = json.dumps(form(client_id)).replace('"1": 5', f'"{text}": 5')
            answer = await ehr.http.post(PATH, content=body, headers=JSON | {"Idempotency-Key": "k"})
            problem(answer, 422, "request-invalid")


class TestIdempotency:
    async def test_replay_is_the_same_to_the_byte(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        client_id = await ehr.client()
        first = await ehr.respond(client_id, key="once")
        before = await rows(superuser, tenant)
        again = await ehr.respond(client_id, key="once")
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert await rows(superuser, tenant) == before

    async def test_what_the_body_says_counts_and_not_how_it_is_written(self, ehr: Person) -> None:
        body = form(await ehr.client())
        headers = JSON | {"Idempotency-Key": "once"}
        first = await ehr.http.post(PATH, content=json.dumps(body), headers=headers)
        turned = json.dumps(dict(reversed(body.items())), indent=4)
        assert (await ehr.http.post(PATH, content=turned, headers=headers)).content == first.content

    async def test_other_body(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        client_id = await ehr.client()
        await ehr.respond(client_id, key="once")
        before = await rows(superuser, tenant)
        other = await ehr.respond(client_id, key="once", answers={**FSFI_FIVES, "1": 4})
        problem(other, 422, "idempotency-key-reused")
        assert await rows(superuser, tenant) == before

    async def test_key_of_a_refused_form_is_not_used_up(self, ehr: Person) -> None:
        client_id = await ehr.client()
        problem(await ehr.respond(client_id, key="k", answers={"1": 9}), 422, "answers-invalid")
        problem(await ehr.respond(str(uuid.uuid4()), key="k"), 404, "not-found")
        assert (await ehr.respond(client_id, key="k")).status_code == 201

    async def test_twenty_at_once_make_one_row(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        client_id = await ehr.client()
        answers = await asyncio.gather(*(ehr.respond(client_id, key="once") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        assert await rows(superuser, tenant) == {
            "response": 1, "score": 7, "alert": 0, "outbox": 1, "idempotency_key": 1
        }  # fmt: skip

    async def test_two_bodies_at_once_under_one_key(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        client_id = await ehr.client()
        answers = await asyncio.gather(
            *(ehr.respond(client_id, key="once", answers={"1": 1 + number % 2}) for number in range(10))
        )
        assert {answer.status_code for answer in answers} == {201, 422}
        assert (await rows(superuser, tenant))["response"] == 1

    async def test_key_belongs_to_subject_and_organisation(self, app: FastAPI, people: People, tenant: Tenant) -> None:
        client_id, there = await people.ehr.client(), await people.elsewhere.client()
        first = await people.ehr.respond(client_id, key="k")
        async with web(app, tenant.slug, "ehr", subject="another") as http:
            second = await Person(http).respond(client_id, key="k", answers={"1": 1})
        third = await people.elsewhere.respond(there, key="k", answers={"1": 2})
        assert [answer.status_code for answer in (first, second, third)] == [201] * 3
        assert len({answer.json()["id"] for answer in (first, second, third)}) == 3

    @pytest.mark.parametrize(
        ("one", "other"), [('"a-key"', "a-key"), ('"a\\"b"', '"a\\"b"'), (' "k" ', "k"), ("a/b?c=d", '"a/b?c=d"')]
    )
    async def test_quoted_and_bare_are_one_key(self, ehr: Person, one: str, other: str) -> None:
        client_id = await ehr.client()
        answers = [await ehr.respond(client_id, key=key) for key in (one, other)]
        assert answers[0].content == answers[1].content

    @pytest.mark.parametrize(
        "key", ["", '""', '"', 'a"b', '"a"b', '"a";p=1', "a,b", '"\\a"', "a b", "x" * 256, '"\t"', "k\u00e9y", "\u00ff"]
    )
    async def test_unusable_key(self, ehr: Person, key: str) -> None:
        headers: Any = {"Idempotency-Key": key.encode("latin-1")}
        answer = await ehr.http.post(PATH, json=form(await ehr.client()), headers=headers)
        problem(answer, 400, "idempotency-key-invalid")

    async def test_two_keys(self, ehr: Person) -> None:
        two = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
        answer = await ehr.http.post(PATH, json=form(await ehr.client()), headers=two)
        problem(answer, 400, "idempotency-key-invalid")

    async def test_without_a_key_a_repetition_is_another_response(self, ehr: Person) -> None:
        body = form(await ehr.client())
        answers = [await ehr.http.post(PATH, json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json()["id"] != answers[1].json()["id"]

    async def test_longest_key(self, ehr: Person) -> None:
        assert (await ehr.respond(await ehr.client(), key="x" * 255)).status_code == 201

    async def test_audit_of_what_was_not_created(self, ehr: Person, tenant: Tenant, superuser: Any) -> None:
        client_id, nobody = await ehr.client(), uuid.uuid4()
        made = (await ehr.respond(client_id, key="k")).json()["id"]
        await ehr.respond(client_id, key="k")
        await ehr.respond(client_id, key="k", answers={})
        await ehr.respond(str(nobody), key="l")
        events = await superuser.fetch(
            "select resource_id, outcome from audit_event where organisation_id = $1 and action = 'record' order by id",
            tenant.id,
        )
        assert [(event["resource_id"], event["outcome"]) for event in events] == [
            (uuid.UUID(made), "created"),
            (uuid.UUID(made), "replayed"),
            (None, "idempotency-key-reused"),
            (nobody, "not-found"),
        ]
