"""Clients over HTTP."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import api.logging
import instruments
from api.clients.codes import GENDERS, ORGANS, gender_group
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant

PATH = "/v1/clients"
FULL: dict[str, Any] = {
    "external_id": "MRN 0017",
    "birth_year": 1984,
    "gender": "nonbinary",
    "organs": ["vagina", "clitoris"],
    "partnered": True,
    "sex_registered_at_birth": "intersex",
    "orientation": "pansexual",
    "relationship_structure": "open",
    "neurodivergence": ["adhd"],
    "languages": ["de-AT", "en"],
    "menopausal_stage": "perimenopausal",
    "research_consent": True,
}


class TestRefused:
    async def test_without_a_token(self, stranger: httpx.AsyncClient) -> None:
        problem(await stranger.post(PATH, json={}), 401, "unauthenticated")
        problem(await stranger.get(PATH), 401, "unauthenticated")
        problem(await stranger.get(f"{PATH}/{uuid.uuid4()}"), 401, "unauthenticated")
        problem(await stranger.patch(f"{PATH}/{uuid.uuid4()}", json={}), 401, "unauthenticated")
        problem(await stranger.get("/v1/codes"), 401, "unauthenticated")

    async def test_another_organisations_client_looks_unknown(self, people: People) -> None:
        mine = await people.ehr.client(external_id="A-1")
        for there, unknown in (
            (
                await people.elsewhere.http.get(f"{PATH}/{mine}"),
                await people.elsewhere.http.get(f"{PATH}/{uuid.uuid4()}"),
            ),
            (
                await people.elsewhere.http.patch(f"{PATH}/{mine}", json={"partnered": True}),
                await people.elsewhere.http.patch(f"{PATH}/{uuid.uuid4()}", json={"partnered": True}),
            ),
        ):
            documents = [problem(answer, 404, "not-found") for answer in (there, unknown)]
            for document in documents:
                del document["instance"]
            assert documents[0] == documents[1]
            assert there.headers.keys() == unknown.headers.keys()
        assert (await people.elsewhere.http.get(PATH)).json() == {"items": [], "next": None}
        assert (await people.elsewhere.http.get(PATH, params={"external_id": "A-1"})).json()["items"] == []
        assert (await people.ehr.http.get(f"{PATH}/{mine}")).json()["partnered"] is None

    async def test_researcher(self, people: People) -> None:
        for answer in (
            await people.researcher.http.post(PATH, json={}),
            await people.researcher.http.get(PATH),
            await people.researcher.http.get(f"{PATH}/{uuid.uuid4()}"),
            await people.researcher.http.patch(f"{PATH}/{uuid.uuid4()}", json={}),
            await people.researcher.http.get("/v1/codes"),
        ):
            problem(answer, 403, "forbidden")


class TestCreate:
    async def test_everything(self, ehr: Person) -> None:
        answer = await ehr.http.post(PATH, json=FULL)
        assert answer.status_code == 201
        made = answer.json()
        assert answer.headers["location"] == f"{PATH}/{made['id']}"
        assert answer.headers["etag"] == '"1"'
        assert made == FULL | {
            "organs": ["clitoris", "vagina"],
            "id": made["id"],
            "version": 1,
            "created_at": made["created_at"],
            "updated_at": made["created_at"],
        }
        assert uuid.UUID(made["id"]).version == 7
        again = await ehr.http.get(answer.headers["location"])
        assert (again.status_code, again.json(), again.headers["etag"]) == (200, made, '"1"')

    async def test_nothing(self, ehr: Person) -> None:
        made = (await ehr.http.post(PATH, json={})).json()
        assert {name: made[name] for name in FULL} == dict.fromkeys(FULL) | {"research_consent": False}

    @pytest.mark.parametrize("given", [" \tA-1 ", "A-1", "A-1 "])
    async def test_external_id_has_one_spelling(self, ehr: Person, given: str) -> None:
        answer = await ehr.http.post(PATH, json={"external_id": given.replace("\t", "")})
        assert answer.json()["external_id"] == "A-1"
        problem(await ehr.http.post(PATH, json={"external_id": "A-1"}), 409, "external-id-taken")

    async def test_composed_and_decomposed_accents_are_one(self, ehr: Person) -> None:
        assert (await ehr.http.post(PATH, json={"external_id": "Ze\u0301"})).json()["external_id"] == "Z\u00e9"
        problem(await ehr.http.post(PATH, json={"external_id": "Z\u00e9"}), 409, "external-id-taken")
        assert (await ehr.http.post(PATH, json={"external_id": "z\u00e9"})).status_code == 201, "case tells two apart"

    async def test_same_external_id_elsewhere(self, people: People) -> None:
        await people.ehr.client(external_id="A-1")
        await people.elsewhere.client(external_id="A-1")

    async def test_external_id_is_sealed(self, ehr: Person, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client(external_id="MRN-SENTINEL")
        row = await superuser.fetchrow("select * from client where id = $1", uuid.UUID(client_id))
        assert row["organisation_id"] == tenant.id
        assert len(row["external_id_hash"]) == 32
        assert b"SENTINEL" not in b"".join(value for value in row.values() if isinstance(value, bytes))
        assert "SENTINEL" not in repr([value for value in row.values() if not isinstance(value, bytes)])

    @pytest.mark.parametrize(
        "member",
        ["name", "first_name", "familyName", "email", "phone", "mobile_number", "address", "postcode", "zip",
         "contact", "date_of_birth", "dob", "birthdate", "ssn", "next_of_kin", "nickname", "city"],
    )  # fmt: skip
    async def test_particulars_are_refused_with_the_reason(self, ehr: Person, member: str) -> None:
        answer = await ehr.http.post(PATH, json={member: "Sentinel", "external_id": "A-1"})
        assert faults(answer) == [(f"/{member}", "personal-data")]
        assert "keeps no name" in answer.json()["errors"][0]["detail"]
        assert "Sentinel" not in answer.text
        assert (await ehr.http.get(PATH)).json()["items"] == []

    async def test_each_fault_is_named(self, ehr: Person) -> None:
        body = {"name": "a", "colour": 1, "birth_year": "1980", "organs": ["vagina", "tail"], "a{b}": 1}
        assert sorted(faults(await ehr.http.post(PATH, json=body))) == [
            ("/a{b}", "extra-forbidden"),
            ("/birth_year", "int-type"),
            ("/colour", "extra-forbidden"),
            ("/name", "personal-data"),
            ("/organs/1", "unknown-code"),
        ]

    @pytest.mark.parametrize(
        ("body", "pointer", "code"),
        [
            ({"external_id": ""}, "/external_id", "length"),
            ({"external_id": "  "}, "/external_id", "length"),
            ({"external_id": "x" * 201}, "/external_id", "length"),
            ({"external_id": "x" * 100_000}, "/external_id", "length"),
            ({"external_id": "a\nb"}, "/external_id", "control-character"),
            ({"external_id": "a\u0085b"}, "/external_id", "control-character"),
            ({"external_id": "a\u2028b"}, "/external_id", "control-character"),
            ({"external_id": "a\ue000"}, "/external_id", "control-character"),
            ({"external_id": "a\u200b"}, "/external_id", "control-character"),
            ({"external_id": "\ufeffa"}, "/external_id", "control-character"),
            ({"external_id": "a\u202eb"}, "/external_id", "control-character"),
            ({"external_id": 17}, "/external_id", "string-type"),
            ({"external_id": ["A"]}, "/external_id", "string-type"),
            ({"birth_year": 84}, "/birth_year", "year-implausible"),
            ({"birth_year": -1984}, "/birth_year", "year-implausible"),
            ({"birth_year": datetime.now(UTC).year + 1}, "/birth_year", "year-implausible"),
            ({"birth_year": datetime.now(UTC).year - 121}, "/birth_year", "year-implausible"),
            ({"birth_year": 2**53 - 1}, "/birth_year", "year-implausible"),
            ({"birth_year": 1984.0}, "/birth_year", "int-type"),
            ({"birth_year": True}, "/birth_year", "int-type"),
            ({"gender": "female"}, "/gender", "unknown-code"),
            ({"gender": 1}, "/gender", "string-type"),
            ({"organs": "vagina"}, "/organs", "list-type"),
            ({"organs": ["penis", "penis"]}, "/organs", "duplicate-code"),
            ({"organs": [None]}, "/organs/0", "string-type"),
            ({"organs": ["penis"] * 1000}, "/organs", "duplicate-code"),
            ({"partnered": "yes"}, "/partnered", "bool-type"),
            ({"partnered": 1}, "/partnered", "bool-type"),
            ({"research_consent": None}, "/research_consent", "bool-type"),
            ([], "", "model-attributes-type"),
            ("text", "", "model-attributes-type"),
            (None, "", "missing"),
        ],
    )
    async def test_bad_members(self, ehr: Person, body: Any, pointer: str, code: str) -> None:
        assert faults(await ehr.http.post(PATH, json=body)) == [(pointer, code)]
        assert (await ehr.http.get(PATH)).json()["items"] == []


class TestFind:
    async def test_by_external_id(self, ehr: Person) -> None:
        client_id = await ehr.client(external_id="Z\u00e9-1")
        await ehr.client(external_id="B-2")
        for spelling in ("Z\u00e9-1", " Ze\u0301-1 "):
            page = (await ehr.http.get(PATH, params={"external_id": spelling})).json()
            assert [item["id"] for item in page["items"]] == [client_id]
            assert page["next"] is None
        assert (await ehr.http.get(PATH, params={"external_id": "z\u00e9-1"})).json()["items"] == []

    @pytest.mark.parametrize("given", ["", "%20", "a%00b", "x" * 201, "x" * 900, "%ED%A0%80"])
    async def test_bad_external_id(self, ehr: Person, given: str) -> None:
        assert [place for place, _ in faults(await ehr.http.get(f"{PATH}?external_id={given}"))] == ["external_id"]

    async def test_pages(self, ehr: Person) -> None:
        made = [await ehr.client() for _ in range(5)]
        seen: list[str] = []
        path: str | None = f"{PATH}?limit=2"
        pages = 0
        while path is not None:
            answer = await ehr.http.get(path)
            page = answer.json()
            seen += [item["id"] for item in page["items"]]
            pages += 1
            link = answer.links.get("next")
            assert (link is None) == (page["next"] is None)
            path = None if link is None else link["url"]
        assert (seen, pages) == (made, 3)

    async def test_row_added_meanwhile_neither_repeats_nor_hides_another(self, ehr: Person) -> None:
        made = [await ehr.client() for _ in range(3)]
        first = (await ehr.http.get(PATH, params={"limit": 2})).json()
        made.append(await ehr.client())
        rest = (await ehr.http.get(PATH, params={"limit": 2, "cursor": first["next"]})).json()
        assert [item["id"] for item in first["items"] + rest["items"]] == made
        assert rest["next"] is None, "a last page that is full has no next"

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "!" * 32, "A" * 64, "A" * 65, "a\u00e9", ""])
    async def test_bad_cursor(self, ehr: Person, cursor: str) -> None:
        assert [place for place, _ in faults(await ehr.http.get(PATH, params={"cursor": cursor}))] == ["cursor"]

    async def test_cursor_beyond_time(self, ehr: Person) -> None:
        cursor = "f_________8AAAAAAAAAAAAAAAAAAAAA"
        assert faults(await ehr.http.get(PATH, params={"cursor": cursor})) == [("cursor", "cursor-invalid")]

    @pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1e3", "9" * 400])
    async def test_bad_limit(self, ehr: Person, limit: str) -> None:
        assert [place for place, _ in faults(await ehr.http.get(PATH, params={"limit": limit}))] == ["limit"]

    async def test_id_that_is_none(self, ehr: Person) -> None:
        assert [place for place, _ in faults(await ehr.http.get(f"{PATH}/17"))] == ["client_id"]


class TestChange:
    async def test_merges(self, ehr: Person) -> None:
        path = f"{PATH}/{await ehr.client(**FULL)}"
        before = (await ehr.http.get(path)).json()
        answer = await ehr.http.patch(path, json={"gender": None, "birth_year": 1985, "organs": []})
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        after = answer.json()
        assert after == before | {
            "gender": None, "birth_year": 1985, "organs": [], "version": 2, "updated_at": after["updated_at"]
        }  # fmt: skip
        assert after["updated_at"] > before["updated_at"]
        assert (await ehr.http.get(path)).json() == after

    async def test_consent_withdrawn(self, ehr: Person) -> None:
        path = f"{PATH}/{await ehr.client(research_consent=True)}"
        assert (await ehr.http.patch(path, json={"research_consent": None})).json()["research_consent"] is False

    async def test_external_id_changed_and_cleared(self, ehr: Person) -> None:
        client_id = await ehr.client(external_id="A-1")
        path = f"{PATH}/{client_id}"
        assert (await ehr.http.patch(path, json={"external_id": " A-2"})).json()["external_id"] == "A-2"
        assert (await ehr.http.get(PATH, params={"external_id": "A-1"})).json()["items"] == []
        assert (await ehr.http.get(PATH, params={"external_id": "A-2"})).json()["items"][0]["id"] == client_id
        assert (await ehr.http.patch(path, json={"external_id": None})).json()["external_id"] is None
        await ehr.client(external_id="A-2")

    async def test_external_id_of_another(self, ehr: Person) -> None:
        await ehr.client(external_id="A-1")
        path = f"{PATH}/{await ehr.client(external_id='A-2')}"
        problem(await ehr.http.patch(path, json={"external_id": "A-1", "partnered": True}), 409, "external-id-taken")
        kept = (await ehr.http.get(path)).json()
        assert (kept["external_id"], kept["partnered"], kept["version"]) == ("A-2", None, 1)

    async def test_what_changes_nothing_makes_no_version(self, ehr: Person) -> None:
        path = f"{PATH}/{await ehr.client(**FULL)}"
        assert (await ehr.http.patch(path, json={})).json()["version"] == 1
        assert (await ehr.http.patch(path, json=FULL)).json()["version"] == 1

    async def test_if_match(self, ehr: Person) -> None:
        path = f"{PATH}/{await ehr.client()}"

        async def patch(partnered: bool, if_match: str) -> httpx.Response:
            return await ehr.http.patch(path, json={"partnered": partnered}, headers={"If-Match": if_match})

        assert (await patch(True, '"1"')).status_code == 200
        for stale in ('"1"', 'W/"2"', "2", '"3", "4"', "nonsense"):
            problem(await patch(False, stale), 412, "precondition-failed")
        assert (await ehr.http.get(path)).json()["partnered"] is True
        assert (await patch(False, '"1", "2"')).status_code == 200
        assert (await patch(True, "*")).json()["version"] == 4

    async def test_faults(self, ehr: Person) -> None:
        path = f"{PATH}/{await ehr.client()}"
        assert faults(await ehr.http.patch(path, json={"email": "a@b.example"})) == [("/email", "personal-data")]
        assert faults(await ehr.http.patch(path, json={"id": str(uuid.uuid4())})) == [("/id", "extra-forbidden")]
        assert faults(await ehr.http.patch(path, json={"birth_year": 1})) == [("/birth_year", "year-implausible")]


class TestCodes:
    async def test_served_as_they_are(self, ehr: Person) -> None:
        answer = await ehr.http.get("/v1/codes")
        lists = answer.json()
        assert [code["code"] for code in lists["gender"]] == list(GENDERS)
        assert [code["code"] for code in lists["organs"]] == list(ORGANS)
        assert all(code["meaning"] and code["group"] for code in lists["gender"])
        again = await ehr.http.get("/v1/codes", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    async def test_every_code_is_accepted(self, ehr: Person) -> None:
        for gender in GENDERS:
            assert gender_group(gender)
            await ehr.client(gender=gender)
        assert (await ehr.http.post(PATH, json={"organs": list(ORGANS)})).json()["organs"] == list(ORGANS)

    def test_definitions_use_only_organs_of_the_list(self) -> None:
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            instrument = catalogue.get(code)
            used = {*instrument.applicability.organs, *(organ for form in instrument.forms for organ in form.organs)}
            assert used <= set(ORGANS), code


async def test_audit_trail(people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
    made = await people.ehr.http.post(PATH, json={"external_id": "A-1"})
    client_id = made.json()["id"]
    unknown = uuid.uuid4()
    await people.clinician.http.get(f"{PATH}/{client_id}")
    await people.clinician.http.get(f"{PATH}/{unknown}")
    await people.admin.http.get(PATH)
    await people.ehr.http.get(PATH, params={"external_id": "A-1"})
    await people.ehr.http.post(PATH, json={"external_id": "A-1"})
    await people.ehr.http.patch(f"{PATH}/{client_id}", json={"partnered": True})
    await people.ehr.http.patch(f"{PATH}/{client_id}", json={"partnered": False}, headers={"If-Match": '"1"'})
    rows = await superuser.fetch(
        "select subject, role, action, resource, resource_id, request_id, outcome from audit_event"
        " where organisation_id = $1 order by id",
        tenant.id,
    )
    assert [(row["subject"], row["action"], row["resource_id"], row["outcome"]) for row in rows] == [
        ("ehr-1", "create", uuid.UUID(client_id), "done"),
        ("clinician-1", "read", uuid.UUID(client_id), "done"),
        ("clinician-1", "read", unknown, "not-found"),
        ("admin-1", "list", None, "done"),
        ("ehr-1", "find", uuid.UUID(client_id), "done"),
        ("ehr-1", "create", None, "external-id-taken"),
        ("ehr-1", "change", uuid.UUID(client_id), "done"),
        ("ehr-1", "change", uuid.UUID(client_id), "stale"),
    ]
    assert rows[0]["request_id"] == made.headers["x-request-id"]
    assert {row["resource"] for row in rows} == {"client"}


async def test_no_identifier_in_logs_or_metrics(ehr: Person, app: FastAPI) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    api.logging.configure("info", stream)
    try:
        client_id = await ehr.client(external_id="SENTINEL-1")
        await ehr.http.get(PATH, params={"external_id": "SENTINEL-1"})
        await ehr.http.post(PATH, json={"external_id": "SENTINEL-1"})
        await ehr.http.patch(f"{PATH}/{client_id}", json={"external_id": "SENTINEL-2\u0000"})
    finally:
        api.logging.configure("info")
    text = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO
    assert len([line for line in text.splitlines() if json.loads(line)["event"] == "request"]) == 4
    assert "SENTINEL" not in text
    assert client_id not in text
    assert "SENTINEL" not in app.state.metrics.text().decode()
