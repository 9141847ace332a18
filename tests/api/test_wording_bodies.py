"""What a wording pack may be sent as, and all that is refused. Every text here is invented."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import asyncpg
import pytest
import yaml
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import MOST_READ_OF_ONE
from api.lane import Lane
from api.middleware import LARGE
from tests.api.packs import FORM, LADDER_1, PATH, WHO_5, attestation, body, day, put
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant
from tests.invented import make_pack, make_questionnaire

HARD: Final = " \u202bمرحبا\u202c \u2067שלום\u2069 e\u0301 \U0001f469\u200d\U0001f4bb"


def _held_by(by: str, sent: dict[str, Any]) -> None:
    sent["attestation"]["holder"] = by


def _accepted(by: Any, sent: dict[str, Any]) -> None:
    sent["attestation"]["statement_accepted"] = by


class TestBodies:
    async def test_yaml(self, admin: Person) -> None:
        sent = body() | {"pack": make_pack(WHO_5, say="שורה")}
        text = yaml.safe_dump(sent, allow_unicode=True)
        for number, media_type in enumerate(("application/yaml", "application/yaml; charset=utf-8"), 1):
            headers = {"Content-Type": media_type} | ({"If-Match": "*"} if number > 1 else {})
            answer = await admin.http.put(PATH, content=text.encode(), headers=headers)
            assert answer.status_code in (200, 201), answer.text
            assert answer.json()["pack"]["items"] == sent["pack"]["items"]

    @pytest.mark.parametrize(
        ("text", "status", "slug"),
        [
            ("attestation: {", 400, "body-malformed"),
            ("a: &a [*a]", 400, "body-malformed"),
            (b"a: \xff", 400, "body-malformed"),
            ("a: 1\n---\nb: 2", 400, "body-malformed"),
            ("[" * 100, 400, "body-malformed"),
            ("a: 1\na: 2", 422, "request-invalid"),
            ("just a word", 422, "request-invalid"),
            ("attestation: {holder: no}", 422, "request-invalid"),
        ],
    )
    async def test_bad_yaml(self, admin: Person, text: str | bytes, status: int, slug: str) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        answer = await admin.http.put(PATH, content=content, headers={"Content-Type": "application/yaml"})
        problem(answer, status, slug)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('a: "x\\0y"', [("/a", "nul-character")]),
            ("[" * 35 + "]" * 35, [("/0" * 32, "too-deep")]),
            ("a: 1\nb: {c: 1, c: 2}\na: 3", [("/b/c", "duplicate-member"), ("/a", "duplicate-member")]),
            ("a: 99999999999999999", [("/a", "number-out-of-range")]),
        ],
    )
    async def test_yaml_is_held_to_what_json_is(
        self, admin: Person, text: str, expected: list[tuple[str, str]]
    ) -> None:
        answer = await admin.http.put(PATH, content=text.encode(), headers={"Content-Type": "application/yaml"})
        assert faults(answer) == expected

    async def test_yaml_nowhere_else(self, admin: Person) -> None:
        for method, path in (("POST", "/v1/clients"), ("POST", "/v1/instruments/who-5/score"), ("PUT", f"{PATH}/x")):
            answer = await admin.http.request(method, path, content=b"{}", headers={"Content-Type": "application/yaml"})
            problem(answer, 415, "media-type-unsupported")

    async def test_yaml_is_read_only_from_those_who_may_send_it(self, people: People) -> None:
        yaml_body = {"content": "a: [", "headers": {"Content-Type": "application/yaml"}}
        for person in (people.ehr, people.clinician, people.researcher):
            problem(await person.http.put(PATH, **yaml_body), 403, "forbidden")
            problem(await person.http.post("/v1/instruments/validate", **yaml_body), 403, "forbidden")
        problem(await people.admin.http.put(PATH, **yaml_body), 400, "body-malformed")

    async def test_no_more_than_some_are_read_at_once(self, admin: Person, app: FastAPI, tenant: Tenant) -> None:
        go_on = threading.Event()
        reading: Lane = app.state.reading
        taken = [asyncio.create_task(reading.run(tenant.id, go_on.wait, 60)) for _ in range(MOST_READ_OF_ONE)]
        await asyncio.sleep(0)
        try:
            for media_type, more in (("yaml", ""), ("json", ""), ("json", " " * LARGE)):
                headers = {"Content-Type": f"application/{media_type}"}
                answer = await admin.http.put(PATH, content=json.dumps(body()) + more, headers=headers)
                problem(answer, 503, "service-unavailable")
        finally:
            go_on.set()
            await asyncio.gather(*taken)
        await put(admin)

    async def test_questionnaire(self, admin: Person) -> None:
        sent = {"attestation": attestation(), "questionnaire": make_questionnaire(WHO_5) | {"language": "EN"}}
        answer = await admin.http.put(PATH, json=sent, headers={"Content-Type": "application/fhir+json"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["pack"] == make_pack(WHO_5) | {"variant": "standard", "forms": {}}

    async def test_a_questionnaire_for_each_form(self, admin: Person, ladder: str) -> None:
        given = {form.id: make_questionnaire(LADDER_1, form=form.id) for form in LADDER_1.forms}
        await put(admin, f"{ladder}/wordings/en", {"attestation": attestation(), "questionnaires": given})
        form = (await admin.http.get(f"{ladder}/form?form=outdoors")).json()
        assert form["items"][1]["text"] == "A line about 2, outdoors"
        del given["indoors"]
        sent = {"attestation": attestation(), "questionnaires": given}
        found = faults(await admin.http.put(f"{ladder}/wordings/de", json=sent), "wording-invalid")
        assert {code for _, code in found} == {"missing"}

    @pytest.mark.parametrize("language", ["de", "xx", 7])
    async def test_questionnaire_in_another_language(self, admin: Person, language: Any) -> None:
        sent = {"attestation": attestation(), "questionnaire": make_questionnaire(WHO_5) | {"language": language}}
        assert faults(await admin.http.put(PATH, json=sent), "wording-invalid") == [
            ("/questionnaire/language", "other-language")
        ]

    async def test_a_questionnaire_alone_attests_nothing(self, admin: Person) -> None:
        answer = await admin.http.put(PATH, json=make_questionnaire(WHO_5))
        assert faults(answer) == [("", "attestation-missing")]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda sent: sent.pop("attestation"), [("/attestation", "missing")]),
            (lambda sent: sent.pop("pack"), [("", "one-format")]),
            (lambda sent: sent.update(questionnaire={}), [("", "one-format")]),
            (lambda sent: sent.update(extra=1), [("/extra", "extra-forbidden")]),
            (lambda sent: sent.update(attestation="yes"), [("/attestation", "model-type")]),
            (lambda sent: sent["attestation"].pop("holder"), [("/attestation/holder", "missing")]),
            (lambda sent: sent["attestation"].update(holder=""), [("/attestation/holder", "empty")]),
            (lambda sent: sent["attestation"].update(holder="a" * 501), [("/attestation/holder", "too-long")]),
            (lambda sent: sent["attestation"].update(holder="a\nb"), [("/attestation/holder", "control-character")]),
            (
                lambda sent: sent["attestation"].update(holder="a\u2028b"),
                [("/attestation/holder", "control-character")],
            ),
            *(
                (partial(_accepted, by), [("/attestation/statement_accepted", "literal-error")])
                for by in (1, 1.0, "true", None)
            ),
            (lambda sent: sent["attestation"].update(holder=5), [("/attestation/holder", "string-type")]),
            (
                lambda sent: sent["attestation"].update(licence_reference="\x1b"),
                [("/attestation/licence_reference", "control-character")],
            ),
            (
                lambda sent: sent["attestation"].update(statement_accepted=False),
                [("/attestation/statement_accepted", "literal-error")],
            ),
            (
                lambda sent: sent["attestation"].pop("statement_accepted"),
                [("/attestation/statement_accepted", "missing")],
            ),
            (lambda sent: sent["attestation"].update(valid_from=0), [("/attestation/valid_from", "date-format")]),
            (
                lambda sent: sent["attestation"].update(valid_from="2026-01-01T00:00:00Z"),
                [("/attestation/valid_from", "date-format")],
            ),
            (
                lambda sent: sent["attestation"].update(valid_from="2026-02-30"),
                [("/attestation/valid_from", "date-from-datetime-parsing")],
            ),
            (
                lambda sent: sent["attestation"].update(valid_until=day(-11)),
                [("/attestation", "days-out-of-order")],
            ),
            (
                lambda sent: sent["attestation"].update(attested_by="me"),
                [("/attestation/attested_by", "extra-forbidden")],
            ),
        ],
    )
    async def test_attestation(
        self, admin: Person, change: Callable[[dict[str, Any]], object], expected: list[tuple[str, str]]
    ) -> None:
        sent = body()
        change(sent)
        assert faults(await admin.http.put(PATH, json=sent)) == expected
        problem(await admin.http.get(PATH), 404, "not-found")

    @pytest.mark.parametrize("sent", [[], "a", 1, None])
    async def test_no_object(self, admin: Person, sent: Any) -> None:
        problem(await admin.http.put(PATH, content=json.dumps(sent), headers={"Content-Type": "application/json"}),
                422, "request-invalid")  # fmt: skip
        problem(await admin.http.put(PATH), 422, "request-invalid")

    async def test_everything_wrong_is_told_at_once(
        self, admin: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        sent = body()
        del sent["attestation"]["holder"]
        del sent["pack"]["items"]["2"]
        sent["pack"]["items"]["1"]["text"] = "secret\x07"
        sent["pack"]["items"]["1"]["options"]["9"] = "secret"
        answer = await admin.http.put(PATH, json=sent)
        assert set(faults(answer, "wording-invalid")) == {
            ("/attestation/holder", "missing"),
            ("/pack/items/2", "missing"),
            ("/pack/items/1/text", "control-character"),
            ("/pack/items/1/options/9", "unknown-option"),
        }
        assert "secret" not in answer.text
        for table in ("wording_pack", "audit_event"):
            count = f"select count(*) from {table} where organisation_id = $1"  # noqa: S608  - our own table names
            assert await superuser.fetchval(count, tenant.id) == 0

    async def test_what_fails_in_the_middle_stores_nothing(
        self, admin: Person, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        """The database refuses the audit event that comes after the pack, so neither is kept."""
        refuse = f"alter table audit_event add constraint trial check (organisation_id <> '{tenant.id}') not valid"
        await superuser.execute(refuse)
        try:
            problem(await admin.http.put(PATH, json=body()), 500, "internal-error")
        finally:
            await superuser.execute("alter table audit_event drop constraint trial")
        assert await superuser.fetchval("select count(*) from wording_pack where organisation_id = $1", tenant.id) == 0
        await put(admin)

    async def test_text_is_data(self, admin: Person) -> None:
        """Markup, templates, directions, emoji, combining marks: whatever a text holds comes back as it was."""
        hard = "<script>alert('&amp;')</script> {{7*7}} ${x} \\n \"'" + HARD
        pack = make_pack(WHO_5, say=hard)
        await put(admin, sent=body(pack))
        form = await admin.http.get(FORM)
        assert form.headers["content-type"] == "application/json"
        assert form.headers["x-content-type-options"] == "nosniff"
        assert form.json()["instructions"] == pack["instructions"]
        assert [item["text"] for item in form.json()["items"]] == [item["text"] for item in pack["items"].values()]
        assert [option["label"] for option in form.json()["items"][0]["options"]] == [
            pack["items"]["1"]["options"][str(value)] for value in WHO_5.items[0].options
        ]
        assert (await admin.http.get(PATH)).json()["pack"]["items"] == pack["items"]

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(say=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
    async def test_any_text_comes_back(self, admin: Person, say: str) -> None:
        pack = make_pack(WHO_5, say=say)
        answer = await admin.http.put(PATH, json=body(pack), headers={"If-Match": "*"})
        if answer.status_code == 412:
            answer = await admin.http.put(PATH, json=body(pack))
        assert answer.status_code in (200, 201), answer.text
        assert (await admin.http.get(PATH)).json()["pack"]["items"] == pack["items"]
        assert (await admin.http.get(FORM)).json()["title"] == pack["title"]
