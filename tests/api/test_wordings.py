"""Wording, forms and licences over HTTP. Every text here is invented."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg
import httpx
import pytest
import yaml
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import instruments
from api.wordings.service import state_of
from api.wordings.submission import STATEMENT
from api.wordings.tables import WordingPackRow
from tests.api.people import People, Person, faults, problem, web
from tests.conftest import Tenant
from tests.factories import NOON, make_own_instrument
from tests.invented import LADDER, make_pack, make_questionnaire

WHO_5 = instruments.load("who-5")
LADDER_1 = instruments.read_definition(LADDER)
PATH: Final = "/v1/instruments/who-5/versions/1/wordings/en"
FORM: Final = "/v1/instruments/who-5/form"
LICENCES: Final = "/v1/licences"


HARD: Final = " \u202bمرحبا\u202c \u2067שלום\u2069 e\u0301 \U0001f469\u200d\U0001f4bb"


def day(ahead: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=ahead)).isoformat()


def attestation(**changes: Any) -> dict[str, Any]:
    return {
        "holder": "Ladder House",
        "licence_reference": "letter of 3 March",
        "statement_accepted": True,
        "valid_from": day(-10),
    } | changes


def body(pack: dict[str, Any] | None = None, **attested: Any) -> dict[str, Any]:
    return {"attestation": attestation(**attested), "pack": pack or make_pack(WHO_5)}


async def put(
    person: Person, path: str = PATH, sent: dict[str, Any] | None = None, *, tag: str | None = None, status: int = 201
) -> httpx.Response:
    headers = {} if tag is None else {"If-Match": tag}
    answer = await person.http.put(path, json=sent or body(), headers=headers)
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture
def admin(people: People) -> Person:
    return people.admin


@pytest.fixture
async def ladder(owner: asyncpg.Connection, superuser: asyncpg.Connection, tenant: Tenant) -> str:
    """The invented instrument, published in the test's organisation; its path."""
    await make_own_instrument(superuser, tenant.id, LADDER_1)
    return "/v1/instruments/own-ladder"


@pytest.fixture
async def elsewhere(app: FastAPI, other_tenant: Tenant) -> Any:
    async with web(app, other_tenant.slug, "admin") as client:
        yield Person(client)


class TestRefused:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("PUT", PATH), ("GET", PATH), ("DELETE", PATH), ("GET", f"{PATH}/versions"), ("GET", f"{PATH}/versions/1"),
         ("GET", FORM), ("GET", LICENCES)],
    )  # fmt: skip
    async def test_without_a_token(self, stranger: httpx.AsyncClient, method: str, path: str) -> None:
        problem(await stranger.request(method, path), 401, "unauthenticated")

    async def test_roles(self, people: People) -> None:
        for person in (people.ehr, people.clinician, people.researcher):
            problem(await person.http.put(PATH, json=body()), 403, "forbidden")
            problem(await person.http.delete(PATH), 403, "forbidden")
        for person in (people.ehr, people.researcher):
            for path in (PATH, f"{PATH}/versions", f"{PATH}/versions/1", LICENCES):
                problem(await person.http.get(path), 403, "forbidden")
        problem(await people.researcher.http.get(FORM), 403, "forbidden")
        await put(people.admin)
        for person in (people.clinician, people.admin):
            for path in (PATH, f"{PATH}/versions", f"{PATH}/versions/1", LICENCES, FORM):
                assert (await person.http.get(path)).status_code == 200
        assert (await people.ehr.http.get(FORM)).status_code == 200

    async def test_another_organisation_sees_nothing(
        self, admin: Person, elsewhere: Person, superuser: asyncpg.Connection, other_tenant: Tenant
    ) -> None:
        tag = (await put(admin)).headers["etag"]
        problem(await elsewhere.http.get(PATH), 404, "not-found")
        problem(await elsewhere.http.get(f"{PATH}/versions"), 404, "not-found")
        problem(await elsewhere.http.get(f"{PATH}/versions/1"), 404, "not-found")
        problem(await elsewhere.http.delete(PATH, headers={"If-Match": tag}), 404, "not-found")
        problem(await elsewhere.http.get(FORM), 409, "wording-missing")
        problem(await elsewhere.http.put(PATH, json=body(), headers={"If-Match": tag}), 412, "precondition-failed")
        assert (await elsewhere.http.get(LICENCES)).json() == {"items": [], "next": None}
        await put(elsewhere)  # their own, the first of it
        assert (await elsewhere.http.get(PATH)).json()["pack_version"] == 1
        assert (await admin.http.get(PATH)).headers["etag"] == tag

    async def test_an_own_instrument_of_another_organisation(
        self, admin: Person, elsewhere: Person, ladder: str
    ) -> None:
        sent = body(make_pack(LADDER_1))
        await put(admin, f"{ladder}/wordings/en", sent)
        for answer in (
            await elsewhere.http.put(f"{ladder}/wordings/en", json=sent),
            await elsewhere.http.get(f"{ladder}/wordings/en"),
            await elsewhere.http.get(f"{ladder}/form"),
        ):
            problem(answer, 404, "not-found")

    @pytest.mark.parametrize("code", ["nonesuch", "own-ladder", "WHO-5", "%00"])
    async def test_unknown_instrument(self, admin: Person, code: str) -> None:
        for answer in (
            await admin.http.put(f"/v1/instruments/{code}/wordings/en", json=body()),
            await admin.http.get(f"/v1/instruments/{code}/wordings/en"),
            await admin.http.get(f"/v1/instruments/{code}/form"),
            await admin.http.put("/v1/instruments/who-5/versions/9/wordings/en", json=body()),
            await admin.http.get(f"{FORM}?version=9"),
        ):
            problem(answer, 404, "not-found")

    @pytest.mark.parametrize("language", ["english", "en_US", "xx", "e", "en-", "%20", "*"])
    async def test_language_that_is_none(self, admin: Person, language: str) -> None:
        path = f"/v1/instruments/who-5/wordings/{language}"
        assert faults(await admin.http.put(path, json=body())) == [("language", "language-tag")]
        assert faults(await admin.http.get(path)) == [("language", "language-tag")]
        assert faults(await admin.http.get(f"{FORM}?language={language}")) == [("language", "language-tag")]

    async def test_variant_that_is_none(self, admin: Person) -> None:
        for path in (f"{PATH}?variant=x", f"{FORM}?variant=x"):
            assert faults(await admin.http.get(path)) == [("variant", "unknown-variant")]
        assert faults(await admin.http.put(f"{PATH}?variant=x", json=body())) == [("variant", "unknown-variant")]


class TestPut:
    async def test_first(self, admin: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        pack = make_pack(WHO_5)
        answer = await put(admin, sent=body(pack, valid_until=day(400)))
        kept = answer.json()
        assert answer.headers["location"] == kept["wording_url"] == f"{PATH}?variant=standard"
        assert kept.pop("recorded_at") > NOON.isoformat()
        assert kept == {
            "instrument": "who-5",
            "version": 1,
            "language": "en",
            "variant": "standard",
            "pack_version": 1,
            "state": "held",
            "days_left": 400,
            "holder": "Ladder House",
            "licence_reference": "letter of 3 March",
            "statement": STATEMENT,
            "valid_from": day(-10),
            "valid_until": day(400),
            "recorded_by": "admin-1",
            "wording_url": f"{PATH}?variant=standard",
            "pack": pack | {"variant": "standard", "forms": {}},
        }
        for path in (answer.headers["location"], PATH, "/v1/instruments/who-5/wordings/EN"):
            again = await admin.http.get(path)
            assert (again.json()["pack"], again.headers["etag"]) == (kept["pack"], answer.headers["etag"])
            unchanged = await admin.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
        events = await superuser.fetch(
            "select action, resource, outcome, resource_id from audit_event where organisation_id = $1", tenant.id
        )
        assert [tuple(event) for event in events] == [
            ("put", "wording", "done", uuid.UUID(answer.headers["etag"].strip('"')))
        ]

    async def test_newest_version_of_the_instrument(self, admin: Person) -> None:
        path = "/v1/instruments/who-5/wordings/pt-br"
        answer = await put(admin, path)
        assert answer.json()["language"] == "pt-BR"
        assert answer.headers["location"] == "/v1/instruments/who-5/versions/1/wordings/pt-BR?variant=standard"
        answer = await admin.http.delete(path, headers={"If-Match": answer.headers["etag"]})
        assert (answer.status_code, answer.content) == (204, b"")

    async def test_versions(self, admin: Person) -> None:
        first = await put(admin)
        problem(await admin.http.put(PATH, json=body()), 428, "precondition-required")
        for tag in ('"1"', f"W/{first.headers['etag']}", f'"{uuid.uuid4()}"', "nonsense"):
            problem(await admin.http.put(PATH, json=body(), headers={"If-Match": tag}), 412, "precondition-failed")
        second = await put(admin, sent=body(make_pack(WHO_5, say="Newer")), tag=first.headers["etag"], status=200)
        problem(
            await admin.http.put(PATH, json=body(), headers={"If-Match": first.headers["etag"]}),
            412,
            "precondition-failed",
        )
        third = await put(admin, tag="*", status=200)
        assert [answer.json()["pack_version"] for answer in (first, second, third)] == [1, 2, 3]
        history = (await admin.http.get(f"{PATH}/versions")).json()
        assert [kept["pack_version"] for kept in history["items"]] == [3, 2, 1]
        assert "pack" not in history["items"][0]
        old = (await admin.http.get(f"{PATH}/versions/1")).json()
        assert old["pack"] == first.json()["pack"] != second.json()["pack"]
        problem(await admin.http.get(f"{PATH}/versions/4"), 404, "not-found")
        form = (await admin.http.get(FORM)).json()
        assert (form["pack_version"], form["title"]) == (3, "A line about nothing")

    async def test_if_match_where_there_is_nothing(self, admin: Person) -> None:
        for tag in ("*", '"1"'):
            problem(await admin.http.put(PATH, json=body(), headers={"If-Match": tag}), 412, "precondition-failed")
        problem(await admin.http.get(PATH), 404, "not-found")

    async def test_of_several_at_once_one_is_the_first(self, admin: Person, superuser: asyncpg.Connection) -> None:
        answers = await asyncio.gather(*(admin.http.put(PATH, json=body()) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers)[0] == 201
        assert {answer.status_code for answer in answers} <= {201, 412, 428}
        assert [answer.status_code for answer in answers].count(201) == 1
        assert len((await admin.http.get(f"{PATH}/versions")).json()["items"]) == 1

    async def test_withdraw(self, admin: Person, ehr: Person) -> None:
        problem(await admin.http.delete(PATH, headers={"If-Match": "*"}), 404, "not-found")
        first = await put(admin)
        problem(await admin.http.delete(PATH), 428, "precondition-required")
        problem(await admin.http.delete(PATH, headers={"If-Match": '"1"'}), 412, "precondition-failed")
        assert (await admin.http.get(FORM)).status_code == 200
        answer = await admin.http.delete(PATH, headers={"If-Match": first.headers["etag"]})
        assert (answer.status_code, answer.content) == (204, b"")
        problem(await admin.http.get(PATH), 404, "not-found")
        problem(await admin.http.get(FORM), 409, "wording-missing")
        problem(await admin.http.delete(PATH, headers={"If-Match": "*"}), 404, "not-found")
        history = (await admin.http.get(f"{PATH}/versions")).json()["items"]
        assert [(kept["pack_version"], kept["state"]) for kept in history] == [(2, "withdrawn"), (1, "held")]
        assert (await admin.http.get(f"{PATH}/versions/2")).json()["pack"] is None
        assert (await admin.http.get(f"{PATH}/versions/1")).json()["pack"] == first.json()["pack"]
        assert (await put(admin)).json()["pack_version"] == 3
        assert (await ehr.http.get(FORM)).status_code == 200

    async def test_history_in_pages(self, admin: Person) -> None:
        await put(admin)
        for _ in range(4):
            await put(admin, tag="*", status=200)
        seen, path = [], f"{PATH}/versions?limit=2&variant=standard"
        while path:
            answer = await admin.http.get(path)
            seen.append([kept["pack_version"] for kept in answer.json()["items"]])
            path = answer.headers.get("link", "").partition(">")[0].lstrip("<")
        assert seen == [[5, 4], [3, 2], [1]]
        assert faults(await admin.http.get(f"{PATH}/versions?cursor=x")) == [("cursor", "cursor-invalid")]

    async def test_variants_that_print_differently_are_packs_apart(self, admin: Person, ladder: str) -> None:
        path = f"{ladder}/versions/1/wordings/en"
        await put(admin, path, body(make_pack(LADDER_1)))
        seven = await put(admin, f"{path}?variant=seven", body(make_pack(LADDER_1, variant="seven")))
        assert (seven.json()["variant"], seven.json()["pack_version"]) == ("seven", 1)
        problem(await admin.http.put(f"{path}?variant=strict", json=body()), 422, "wording-invalid")
        again = await put(admin, f"{path}?variant=strict", body(make_pack(LADDER_1)), tag="*", status=200)
        assert (again.json()["variant"], again.json()["pack_version"]) == ("five", 2)
        sent = body(make_pack(LADDER_1, variant="seven"))
        assert faults(await admin.http.put(path, json=sent), "wording-invalid") == [
            ("/pack/items/1/options/5", "unknown-option"),
            ("/pack/items/1/options/6", "unknown-option"),
        ]


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
            ('a: "x\\0y"', 422, "request-invalid"),
            ("just a word", 422, "request-invalid"),
            ("attestation: {holder: no}", 422, "request-invalid"),
            ("[" * 35 + "]" * 35, 422, "request-invalid"),
        ],
    )
    async def test_bad_yaml(self, admin: Person, text: str | bytes, status: int, slug: str) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        answer = await admin.http.put(PATH, content=content, headers={"Content-Type": "application/yaml"})
        problem(answer, status, slug)

    async def test_yaml_nowhere_else(self, admin: Person) -> None:
        for method, path in (("POST", "/v1/clients"), ("POST", "/v1/instruments/who-5/score"), ("PUT", f"{PATH}/x")):
            answer = await admin.http.request(method, path, content=b"{}", headers={"Content-Type": "application/yaml"})
            problem(answer, 415, "media-type-unsupported")

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


class TestForm:
    async def test_without_wording(self, people: People) -> None:
        found = problem(await people.ehr.http.get(f"{FORM}?language=en"), 409, "wording-missing")
        own = WHO_5.licence
        assert found["licence"] == own.model_dump()
        assert found["languages"] == []
        assert found["wording_url"] == "/v1/instruments/who-5/versions/1/wordings/{language}"
        answers = {"answers": {item.id: 3 for item in WHO_5.items}}
        assert (await people.ehr.http.post("/v1/instruments/who-5/score", json=answers)).status_code == 200

    async def test_everything_that_is_printed(self, people: People, ladder: str) -> None:
        sent = body(make_pack(LADDER_1), valid_until=day(3), holder="The Attested")
        await put(people.admin, f"{ladder}/wordings/en", sent)
        answer = await people.ehr.http.get(f"{ladder}/form?form=indoors")
        assert answer.headers["content-language"] == "en"
        found = answer.json()
        options = [{"value": value, "label": f"A line about choice {value}", "not_applicable": None}
                   for value in range(5)]  # fmt: skip
        assert found.pop("items") == [
            {"id": "1", "text": "A line about 1", "options": options, "gate": None, "rating": None},
            {"id": "2", "text": "A line about 2, indoors", "options": options, "gate": None, "rating": None},
            {
                "id": "3",
                "text": "A line about 3",
                "options": [],
                "gate": {
                    "id": "3.gate",
                    "text": "A line about whether",
                    "options": [
                        {"value": 0, "label": "Nay", "not_applicable": None},
                        {"value": 1, "label": "Aye", "not_applicable": None},
                    ],
                },
                "rating": {
                    "id": "3.rating",
                    "text": "A line about how much",
                    "options": [
                        {"value": value, "label": f"A line about rating {value}", "not_applicable": None}
                        for value in range(3)
                    ],
                },
            },
            {
                "id": "4",
                "text": "A line about 4",
                "options": [
                    *(
                        {"value": value, "label": f"A line about choice {value}", "not_applicable": None}
                        for value in (4, 2, 0)
                    ),
                    {"value": 9, "label": "A line about choice 9", "not_applicable": "not-relevant"},
                ],
                "gate": None,
                "rating": None,
            },
        ]
        assert found == {
            "instrument": "own-ladder",
            "version": 1,
            "variant": "five",
            "form": "indoors",
            "language": "en",
            "direction": "ltr",
            "pack_version": 1,
            "title": "A line about nothing",
            "instructions": "A line about how.\nThen go on.",
            "skips": [
                {
                    "id": "not-calm",
                    "meaning": "who is not calm is not asked for rungs",
                    "when": {"item": "1", "at_most": "0"},
                    "items": ["4"],
                    "answer": 0,
                }
            ],
            "licence": {
                "status": "commercial",
                "holder": "Ladder House",
                "terms": "a fee for each form",
                "url": "https://ladder.invalid/fees",
                "licence_reference": "letter of 3 March",
                "attested_holder": "The Attested",
                "valid_until": day(3),
                "days_left": 3,
            },
        }
        given = {"1": 4, "2": 0, "3.gate": 1, "3.rating": 2, "4": 2}
        scored = await people.ehr.http.post(f"{ladder}/score", json={"answers": given})
        assert scored.json()["scores"]["total"]["value"] == 10, "the ids in the form are those that answers take"

    async def test_variant(self, admin: Person, ladder: str) -> None:
        await put(admin, f"{ladder}/wordings/en", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors&variant=strict")).json()["variant"] == "strict"
        problem(await admin.http.get(f"{ladder}/form?form=indoors&variant=seven"), 409, "wording-missing")
        await put(admin, f"{ladder}/wordings/en?variant=seven", body(make_pack(LADDER_1, variant="seven")))
        found = (await admin.http.get(f"{ladder}/form?form=indoors&variant=seven")).json()
        assert (len(found["items"][0]["options"]), found["skips"]) == (7, [])

    async def test_form(self, admin: Person, ladder: str) -> None:
        await put(admin, f"{ladder}/wordings/en", body(make_pack(LADDER_1)))
        await put(admin)
        assert faults(await admin.http.get(f"{ladder}/form")) == [("form", "missing")]
        assert faults(await admin.http.get(f"{ladder}/form?form=upstairs")) == [("form", "unknown-form")]
        assert faults(await admin.http.get(f"{FORM}?form=indoors")) == [("form", "unknown-form")]
        assert (await admin.http.get(FORM)).json()["form"] is None

    async def test_right_to_left(self, admin: Person) -> None:
        await put(admin, "/v1/instruments/who-5/wordings/fa", body(make_pack(WHO_5, say="\u202bخط\u202c")))
        found = (await admin.http.get(f"{FORM}?language=fa-IR")).json()
        assert (found["direction"], found["language"]) == ("rtl", "fa")
        assert found["items"][0]["text"] == "\u202bخط\u202c 1"


class TestLanguages:
    @pytest.mark.parametrize(
        ("held", "wanted", "used"),
        [
            (["fr"], "fr-CA", "fr"),
            (["fr", "fr-CA"], "FR-ca", "fr-CA"),
            (["zh-Hant", "zh"], "zh-Hant-TW", "zh-Hant"),
            (["he"], "iw", "he"),
            (["de", "sv"], None, "de"),
        ],
    )
    async def test_fallback(self, admin: Person, held: list[str], wanted: str | None, used: str) -> None:
        for language in held:
            await put(admin, f"/v1/instruments/who-5/wordings/{language}")
        answer = await admin.http.get(FORM, params={} if wanted is None else {"language": wanted})
        assert (answer.headers["content-language"], answer.json()["language"]) == (used, used)

    async def test_the_original_language_unless_told_otherwise(self, admin: Person, ladder: str) -> None:
        for language in ("de", "en"):
            await put(admin, f"{ladder}/wordings/{language}", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors")).json()["language"] == "en"
        await put(admin, f"{ladder}/wordings/fr", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors")).json()["language"] == "fr"

    @pytest.mark.parametrize(("held", "wanted"), [("fr-CA", "fr"), ("en", "de"), ("en-US", "en-GB")])
    async def test_what_is_there_is_told(self, admin: Person, held: str, wanted: str) -> None:
        await put(admin, f"/v1/instruments/who-5/wordings/{held}")
        found = problem(await admin.http.get(f"{FORM}?language={wanted}"), 409, "wording-missing")
        assert found["languages"] == [held]


class TestExpiry:
    async def test_an_expired_licence_stops_forms_and_nothing_else(self, people: People) -> None:
        await put(people.admin, sent=body(valid_until=day(-1)))
        found = problem(await people.ehr.http.get(FORM), 409, "licence-expired")
        assert (found["valid_until"], found["language"], found["languages"]) == (day(-1), "en", [])
        assert found["licence"]["holder"] == WHO_5.licence.holder
        answers = {item.id: 3 for item in WHO_5.items}
        scored = await people.ehr.http.post("/v1/instruments/who-5/score", json={"answers": answers})
        assert scored.status_code == 200
        client_id = await people.ehr.client()
        recorded = await people.ehr.respond(client_id, instrument="who-5", answers=answers)
        assert recorded.status_code == 201
        assert (await people.ehr.http.get(f"/v1/responses/{recorded.json()['id']}/explain")).status_code == 200
        assert (await people.admin.http.get(PATH)).json()["state"] == "expired"
        assert len((await people.admin.http.get(f"{PATH}/versions")).json()["items"]) == 1
        await put(people.admin, sent=body(valid_until=day(1)), tag="*", status=200)
        assert (await people.ehr.http.get(FORM)).status_code == 200

    async def test_one_that_has_not_begun(self, people: People) -> None:
        await put(people.admin, sent=body(valid_from=day(2), valid_until=day(9)))
        found = problem(await people.ehr.http.get(FORM), 409, "licence-not-yet-valid")
        assert found["valid_from"] == day(2)

    async def test_the_last_day_and_the_first_count(self, people: People) -> None:
        await put(people.admin, sent=body(valid_from=day(0), valid_until=day(1)))
        assert (await people.ehr.http.get(FORM)).status_code == 200

    async def test_a_language_that_may_be_used_goes_before_one_that_may_not(self, admin: Person) -> None:
        await put(admin, "/v1/instruments/who-5/wordings/fr-CA", body(valid_until=day(-1)))
        problem(await admin.http.get(f"{FORM}?language=fr-CA"), 409, "licence-expired")
        await put(admin, "/v1/instruments/who-5/wordings/fr")
        assert (await admin.http.get(f"{FORM}?language=fr-CA")).json()["language"] == "fr"
        found = problem(await admin.http.get(f"{FORM}?language=de"), 409, "wording-missing")
        assert found["languages"] == ["fr"]

    @pytest.mark.parametrize(
        ("start", "end", "withdrawn", "expected"),
        [
            (-1, None, False, ("held", None)),
            (0, 31, False, ("held", 31)),
            (0, 30, False, ("expiring", 30)),
            (0, 0, False, ("expiring", 0)),
            (-9, -1, False, ("expired", -1)),
            (1, 2, False, ("not-yet-valid", 2)),
            (-1, -1, True, ("withdrawn", -1)),
        ],
    )
    def test_states(self, start: int, end: int | None, withdrawn: bool, expected: tuple[str, int | None]) -> None:
        today = date(2026, 2, 28)
        until = None if end is None else today + timedelta(days=end)
        row = WordingPackRow(valid_from=today + timedelta(days=start), valid_until=until, withdrawn=withdrawn)
        assert state_of(row, today) == expected


class TestLicences:
    @pytest.fixture
    async def holdings(self, admin: Person) -> dict[str, str]:
        """A pack in every state: language to state."""
        for language, dates in {
            "de": {},
            "en": {"valid_until": day(300)},
            "fr": {"valid_until": day(30)},
            "it": {"valid_until": day(0)},
            "es": {"valid_until": day(-1)},
            "pt": {"valid_from": day(1), "valid_until": day(5)},
            "nl": {"valid_until": day(7)},
        }.items():
            await put(admin, f"/v1/instruments/who-5/wordings/{language}", body(**dates))
        await admin.http.delete("/v1/instruments/who-5/wordings/nl", headers={"If-Match": "*"})
        return {"de": "held", "en": "held", "fr": "expiring", "it": "expiring", "es": "expired",
                "pt": "not-yet-valid", "nl": "withdrawn"}  # fmt: skip

    async def test_all_the_soonest_first(self, people: People, holdings: dict[str, str]) -> None:
        found = (await people.clinician.http.get(LICENCES)).json()
        assert {kept["language"]: kept["state"] for kept in found["items"]} == holdings
        assert [kept["language"] for kept in found["items"]] == ["es", "it", "pt", "nl", "fr", "en", "de"]
        assert [kept["days_left"] for kept in found["items"]] == [-1, 0, 5, 7, 30, 300, None]
        assert found["next"] is None
        assert "pack" not in found["items"][0]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("expiring_within=30", ["it", "fr"]),
            ("expiring_within=29", ["it"]),
            ("expiring_within=0", ["it"]),
            ("expiring_within=400", ["it", "fr", "en"]),
            ("state=expiring", ["it", "fr"]),
            ("state=held", ["en", "de"]),
            ("state=held&expiring_within=29", ["fr", "en", "de"]),
            ("state=expired", ["es"]),
            ("state=not-yet-valid", ["pt"]),
            ("state=withdrawn", ["nl"]),
            ("state=held&instrument=who-5", ["en", "de"]),
            ("instrument=phq-9", []),
        ],
    )
    async def test_conditions(self, admin: Person, holdings: dict[str, str], query: str, expected: list[str]) -> None:
        found = (await admin.http.get(f"{LICENCES}?{query}")).json()["items"]
        assert [kept["language"] for kept in found] == expected

    async def test_pages(self, admin: Person, holdings: dict[str, str]) -> None:
        seen, path = [], f"{LICENCES}?limit=3"
        while path:
            answer = await admin.http.get(path)
            seen.append([kept["language"] for kept in answer.json()["items"]])
            path = answer.headers.get("link", "").partition(">")[0].lstrip("<")
        assert seen == [["es", "it", "pt"], ["nl", "fr", "en"], ["de"]]

    async def test_pages_of_those_without_an_end(self, admin: Person) -> None:
        for language in ("de", "en", "fr"):
            await put(admin, f"/v1/instruments/who-5/wordings/{language}")
        answer = await admin.http.get(f"{LICENCES}?limit=2&state=held&expiring_within=5")
        rest = await admin.http.get(answer.headers["link"].partition(">")[0].lstrip("<"))
        assert [kept["language"] for kept in (*answer.json()["items"], *rest.json()["items"])] == ["de", "en", "fr"]

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ("expiring_within=-1", ("expiring_within", "greater-than-equal")),
            ("expiring_within=soon", ("expiring_within", "int-parsing")),
            ("expiring_within=99999", ("expiring_within", "less-than-equal")),
            ("state=lost", ("state", "literal-error")),
            ("instrument=A", ("instrument", "string-pattern-mismatch")),
            ("cursor=x", ("cursor", "cursor-invalid")),
            ("limit=0", ("limit", "greater-than-equal")),
            ("until=1", ("until", "extra-forbidden")),
        ],
    )
    async def test_faults(self, admin: Person, query: str, fault: tuple[str, str]) -> None:
        assert faults(await admin.http.get(f"{LICENCES}?{query}")) == [fault]


async def test_refusals_of_writes_are_in_the_trail(
    admin: Person, tenant: Tenant, superuser: asyncpg.Connection
) -> None:
    await put(admin)
    await admin.http.put(PATH, json=body())
    await admin.http.delete(PATH, headers={"If-Match": '"1"'})
    await admin.http.delete(PATH, headers={"If-Match": "*"})
    await admin.http.delete(PATH, headers={"If-Match": "*"})
    events = await superuser.fetch(
        "select action, outcome from audit_event where organisation_id = $1 order by id", tenant.id
    )
    assert [tuple(event) for event in events] == [
        ("put", "done"), ("put", "stale"), ("withdraw", "stale"), ("withdraw", "done"), ("withdraw", "not-found"),
    ]  # fmt: skip


async def test_forms_are_counted_without_naming_anything(app: FastAPI, admin: Person) -> None:
    def counted(outcome: str) -> float:
        return app.state.metrics.registry.get_sample_value("fathomline_forms_total", {"outcome": outcome}) or 0.0

    before = counted("shown"), counted("wording-missing")
    await admin.http.get(FORM)
    await put(admin)
    await admin.http.get(FORM)
    assert (counted("shown"), counted("wording-missing")) == (before[0] + 1, before[1] + 1)
    assert "who-5" not in app.state.metrics.text().decode()
