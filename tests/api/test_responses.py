"""Reading responses: one, its explanation, a client's list; and the contract of the routes declared by hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from sqlalchemy import event

import instruments
import scoring
from tests.api.people import FSFI_FIVES, People, Person, faults, form, problem
from tests.conftest import Tenant

PATH = "/v1/responses"


def answered(day: int) -> str:
    return f"2026-03-{day:02}T10:00:00Z"


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """What is sent to the database over the ordinary pool."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    engine = app.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


class TestRefused:
    async def test_without_a_token(self, stranger: httpx.AsyncClient) -> None:
        for path in (
            f"{PATH}/{uuid.uuid4()}",
            f"{PATH}/{uuid.uuid4()}/explain",
            f"/v1/clients/{uuid.uuid4()}/responses",
        ):
            problem(await stranger.get(path), 401, "unauthenticated")

    async def test_another_organisation_sees_nothing(self, people: People) -> None:
        client_id = await people.ehr.client()
        response_id = (await people.ehr.respond(client_id)).json()["id"]
        for path in ("/v1/responses/{}", "/v1/responses/{}/explain", "/v1/clients/{}/responses"):
            there, unknown = [
                problem(await people.elsewhere.http.get(path.format(id_)), 404, "not-found")
                for id_ in (client_id if "clients" in path else response_id, uuid.uuid4())
            ]
            assert there | {"instance": 0} == unknown | {"instance": 0}

    async def test_researcher(self, people: People) -> None:
        for path in (
            f"{PATH}/{uuid.uuid4()}",
            f"{PATH}/{uuid.uuid4()}/explain",
            f"/v1/clients/{uuid.uuid4()}/responses",
        ):
            problem(await people.researcher.http.get(path), 403, "forbidden")

    @pytest.mark.parametrize("path", ["/v1/responses/17", "/v1/responses/17/explain", "/v1/clients/17/responses"])
    async def test_id_that_is_none(self, ehr: Person, path: str) -> None:
        assert [code for _, code in faults(await ehr.http.get(path))] == ["uuid-parsing"]


class TestRead:
    @pytest.mark.parametrize("role", ["ehr", "clinician", "admin"])
    async def test_same_to_the_byte(self, people: People, role: str) -> None:
        made = await people.ehr.respond(await people.ehr.client(), answers={"1": 1, "2": 2})
        answer = await getattr(people, role).http.get(made.headers["location"])
        assert (answer.status_code, answer.content) == (200, made.content)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"

    async def test_statements(self, app: FastAPI, ehr: Person) -> None:
        made = await ehr.respond(await ehr.client())
        with statements(app) as seen:
            await ehr.http.get(made.headers["location"])
        assert [statement.split()[0].lower() for statement in seen] == ["select", "select", "insert", "select"]


class TestExplain:
    async def test_steps_of_the_stored_answers(self, ehr: Person) -> None:
        answers = {**FSFI_FIVES, "1": 2, "2": None}
        made = (await ehr.respond(await ehr.client(), answers=answers, variant="prorated")).json()
        answer = await ehr.http.get(f"{PATH}/{made['id']}/explain")
        found = answer.json()
        assert (found["id"], found["variant"], found["provenance"]) == (made["id"], "prorated", made["provenance"])
        expected = scoring.explain(instruments.load("fsfi"), answers, variant="prorated").document()
        assert found["steps"] == json.loads(json.dumps(expected["steps"]))
        assert any("desire" in step["about"] and "0.6" in step["text"] for step in found["steps"])

    async def test_what_was_skipped_and_converted(self, ehr: Person) -> None:
        """Answers are kept as they were sent, and read back as they were scored."""
        client_id = await ehr.client()
        made = (await ehr.respond(client_id, instrument="audit", answers={"1": 0, "9": 0, "10": 0})).json()
        assert made["skipped"] == ["2", "3", "4", "5", "6", "7", "8"]
        assert made["scores"]["total"]["value"] == 0
        (skip,) = [step for step in await self.steps(ehr, made["id"]) if step["kind"] == "skip"]
        assert skip["inputs"] == {"items": made["skipped"]}
        answers = {"1.gate": 1, "1.rating": 6, "2.gate": 0, "3": 1}
        made = (await ehr.respond(client_id, instrument="menqol", answers=answers)).json()
        assert made["skipped"] == []
        converted = [step for step in await self.steps(ehr, made["id"]) if step["kind"] == "conversion"]
        assert [(step["about"], step["value"]) for step in converted] == [("1", 8), ("2", 1)]
        listed = (await ehr.http.get(f"/v1/clients/{client_id}/responses")).json()["items"]
        assert answers in [item["answers"] for item in listed]

    @staticmethod
    async def steps(ehr: Person, response_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await ehr.http.get(f"{PATH}/{response_id}/explain")).json()["steps"]
        return found

    async def test_steps_that_do_not_go_together(self, ehr: Person) -> None:
        answers = {"1.gate": 0, "1.rating": 6, "2": 1, "2.gate": 0, "3.rating": 1}
        refused = await ehr.respond(await ehr.client(), instrument="menqol", answers=answers)
        assert faults(refused, "answers-invalid") == [
            ("/answers/1.rating", "contradiction"),
            ("/answers/2", "given-twice"),
            ("/answers/3.rating", "gate-unanswered"),
        ]

    async def test_every_instrument(self, ehr: Person) -> None:
        client_id = await ehr.client()
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            answers = {item.id: item.options[-1] for item in catalogue.get(code).items[1:]}
            made = await ehr.respond(client_id, instrument=code, answers=answers)
            assert (await ehr.http.get(f"{made.headers['location']}/explain")).status_code == 200, code


@pytest.fixture
async def series(ehr: Person) -> tuple[str, list[str]]:
    """A client with seven responses, and their ids, newest answers first; they were recorded in another order."""
    client_id = await ehr.client()
    found: dict[int, str] = {}
    for day in (3, 1, 7, 5, 2, 6, 4):
        code = "phq-9" if day % 3 == 0 else "fsfi"
        answer = await ehr.respond(client_id, instrument=code, answers={"1": 2}, answered_at=answered(day))
        found[day] = answer.json()["id"]
    return client_id, [found[day] for day in sorted(found, reverse=True)]


class TestList:
    async def test_newest_first_with_answers(self, ehr: Person, series: tuple[str, list[str]]) -> None:
        client_id, ids = series
        page = (await ehr.http.get(f"/v1/clients/{client_id}/responses")).json()
        assert [item["id"] for item in page["items"]] == ids
        assert page["next"] is None
        for item in page["items"]:
            assert item.pop("answers") == {"1": 2}
            assert item == (await ehr.http.get(f"{PATH}/{item['id']}")).json()

    async def test_pages(self, ehr: Person, series: tuple[str, list[str]]) -> None:
        client_id, ids = series
        path: str | None = f"/v1/clients/{client_id}/responses?limit=3"
        seen: list[list[str]] = []
        while path is not None:
            answer = await ehr.http.get(path)
            seen.append([item["id"] for item in answer.json()["items"]])
            link = answer.links.get("next")
            assert (link is None) == (answer.json()["next"] is None)
            path = None if link is None else link["url"]
        assert seen == [ids[:3], ids[3:6], ids[6:]]

    async def test_one_instrument_also_on_later_pages(self, ehr: Person, series: tuple[str, list[str]]) -> None:
        client_id, ids = series
        first = await ehr.http.get(f"/v1/clients/{client_id}/responses", params={"instrument": "phq-9", "limit": 1})
        second = await ehr.http.get(first.links["next"]["url"])
        assert [item["id"] for answer in (first, second) for item in answer.json()["items"]] == [ids[1], ids[4]]
        assert "next" not in second.links
        nothing = await ehr.http.get(f"/v1/clients/{client_id}/responses", params={"instrument": "who-5"})
        assert nothing.json() == {"items": [], "next": None}

    async def test_forms_answered_at_the_same_time_are_each_there_once(self, ehr: Person) -> None:
        client_id = await ehr.client()
        made = [(await ehr.respond(client_id)).json()["id"] for _ in range(5)]
        seen: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(5):
            page = (await ehr.http.get(f"/v1/clients/{client_id}/responses", params={"limit": "1"} | cursor)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = {"cursor": page["next"]}
        assert seen == made[::-1]

    async def test_other_clients_are_not_in_it(self, ehr: Person, series: tuple[str, list[str]]) -> None:
        other = await ehr.client()
        assert (await ehr.http.get(f"/v1/clients/{other}/responses")).json()["items"] == []

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=9999999999999999999999", "limit"),
            ("cursor=nonsense", "cursor"),
            ("cursor=%00", "cursor"),
            ("instrument=%00", "instrument"),
            ("instrument=", "instrument"),
            ("instrument=FSFI", "instrument"),
            ("instrument=fsfi%0A", "instrument"),
        ],
    )
    async def test_bad_parameters(self, ehr: Person, query: str, parameter: str) -> None:
        client_id = await ehr.client()
        answer = await ehr.http.get(f"/v1/clients/{client_id}/responses?{query}")
        assert [place for place, _ in faults(answer)] == [parameter]

    async def test_statements_do_not_grow_with_the_page(self, app: FastAPI, ehr: Person, series: Any) -> None:
        counts = []
        for limit in (1, 7):
            with statements(app) as seen:
                await ehr.http.get(f"/v1/clients/{series[0]}/responses", params={"limit": limit})
            counts.append(len(seen))
        assert counts == [4, 4]  # organisation, client, page, audit


async def test_reading_leaves_a_trail(
    people: People, tenant: Tenant, other_tenant: Tenant, superuser: asyncpg.Connection
) -> None:
    client_id = await people.ehr.client()
    response_id = (await people.ehr.respond(client_id)).json()["id"]
    await people.clinician.http.get(f"{PATH}/{response_id}")
    await people.clinician.http.get(f"{PATH}/{response_id}/explain")
    await people.clinician.http.get(f"/v1/clients/{client_id}/responses")
    await people.elsewhere.http.get(f"{PATH}/{response_id}")
    await people.elsewhere.http.get(f"/v1/clients/{client_id}/responses")
    query = (
        "select action, resource_id, outcome from audit_event where organisation_id = $1 and subject = $2 order by id"
    )
    assert [tuple(row) for row in await superuser.fetch(query, tenant.id, "clinician-1")] == [
        ("read", uuid.UUID(response_id), "done"),
        ("explain", uuid.UUID(response_id), "done"),
        ("list-responses", uuid.UUID(client_id), "done"),
    ]
    assert [tuple(row) for row in await superuser.fetch(query, other_tenant.id, "ehr-1")] == [
        ("read", uuid.UUID(response_id), "not-found"),
        ("list-responses", uuid.UUID(client_id), "not-found"),
    ]


class TestContract:
    """What the document declares fits what is taken and answered."""

    def schema(self, app: FastAPI, path: str, method: str, status: str | None) -> dict[str, Any]:
        document = app.openapi()
        operation = document["paths"][path][method]
        content = (operation["requestBody"] if status is None else operation["responses"][status])["content"]
        (kind,) = content.values()
        return {**kind["schema"], "components": document["components"]}

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)

    async def test_recording(self, app: FastAPI, ehr: Person) -> None:
        taken = self.schema(app, PATH, "post", None)
        answered_with = self.schema(app, PATH, "post", "201")
        client_id = await ehr.client()
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            for kept in (slice(None), slice(1, None), slice(0)):
                answers = {item.id: item.options[0] for item in catalogue.get(code).items[kept]}
                body = form(client_id, instrument=code, answers=answers, setting="paper")
                self.check(body, taken)
                answer = await ehr.respond(client_id, instrument=code, answers=answers, setting="paper")
                self.check(answer.json(), answered_with)
                self.check(
                    (await ehr.http.get(answer.headers["location"])).json(),
                    self.schema(app, PATH + "/{response_id}", "get", "200"),
                )
        page = (await ehr.http.get(f"/v1/clients/{client_id}/responses?limit=200")).json()
        self.check(page, self.schema(app, "/v1/clients/{client_id}/responses", "get", "200"))

    async def test_declared_members_are_exactly_those_answered(self, app: FastAPI, ehr: Person) -> None:
        answer = await ehr.respond(await ehr.client(), instrument="phq-9", answers={"9": 1})
        members = app.openapi()["components"]["schemas"]["ResponseRead"]
        assert sorted(members["properties"]) == sorted(members["required"]) == sorted(answer.json())
        score = app.openapi()["components"]["schemas"]["ScoreRead"]
        assert sorted(score["properties"]) == sorted(score["required"]) == sorted(answer.json()["scores"]["total"])

    @pytest.mark.parametrize(
        "body",
        [{}, form("no-uuid-but-text") | {"more": 1}, form(str(uuid.uuid4())) | {"version": "1"},
         form(str(uuid.uuid4())) | {"answers": {"1": "5"}}, form(str(uuid.uuid4())) | {"answers": {"1": 2.5}},
         form(str(uuid.uuid4())) | {"setting": "beach"}],
    )  # fmt: skip
    async def test_what_the_schema_refuses_is_refused(self, app: FastAPI, ehr: Person, body: dict[str, Any]) -> None:
        with pytest.raises(jsonschema.ValidationError):
            self.check(body, self.schema(app, PATH, "post", None))
        answer = await ehr.http.post(PATH, json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 422
        self.check(answer.json(), self.schema(app, PATH, "post", "422"))

    def test_operation(self, app: FastAPI) -> None:
        operation = app.openapi()["paths"][PATH]["post"]
        assert operation["x-scope"] == "responses:write"
        assert operation["security"] == [{"bearer": []}]
        assert operation["requestBody"]["required"]
        assert [parameter["name"] for parameter in operation["parameters"]] == ["Idempotency-Key"]
        assert set(operation["responses"]) == {
            *("201", "400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "429", "500", "503")
        }
        examples = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
        assert {"answers-invalid", "idempotency-key-reused", "request-invalid"} == set(examples)
