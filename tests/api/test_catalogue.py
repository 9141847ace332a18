"""Instruments over HTTP, and scoring without keeping."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
from fastapi import FastAPI

import instruments
from tests.api.people import FSFI_FIVES, People, Person, faults, problem
from tests.conftest import Tenant

PATH = "/v1/instruments"
CODES = instruments.catalogue().codes


class TestRefused:
    @pytest.mark.parametrize("path", [PATH, f"{PATH}/fsfi", f"{PATH}/fsfi/versions/1"])
    async def test_reading(self, stranger: httpx.AsyncClient, people: People, path: str) -> None:
        problem(await stranger.get(path), 401, "unauthenticated")
        problem(await people.researcher.http.get(path), 403, "forbidden")

    async def test_scoring(self, stranger: httpx.AsyncClient, people: People) -> None:
        path, body = f"{PATH}/fsfi/score", {"answers": FSFI_FIVES}
        problem(await stranger.post(path, json=body), 401, "unauthenticated")
        problem(await people.researcher.http.post(path, json=body), 403, "forbidden")

    async def test_unknown(self, ehr: Person) -> None:
        for path in ("/nonesuch", "/FSFI", "/fsfi/versions/2", "/nonesuch/versions/1", "/%00", "/..%2ffsfi"):
            problem(await ehr.http.get(PATH + path), 404, "not-found")
        problem(await ehr.http.post(f"{PATH}/nonesuch/score", json={"answers": {}}), 404, "not-found")

    @pytest.mark.parametrize("version", ["0", "-1", "x", "9" * 5000, "1.5", "2147483648"])
    async def test_version_that_is_none(self, ehr: Person, version: str) -> None:
        answer = await ehr.http.get(f"{PATH}/fsfi/versions/{version}")
        assert [place for place, _ in faults(answer)] == ["version"]


class TestList:
    async def test_all(self, people: People) -> None:
        catalogue = instruments.catalogue()
        for person in (people.ehr, people.clinician, people.admin, people.elsewhere):
            items = (await person.http.get(PATH)).json()["items"]
            assert [item["code"] for item in items] == sorted([*CODES, *catalogue.listed])
        fsfi = next(item for item in items if item["code"] == "fsfi")
        assert (fsfi["items"], fsfi["scales"][0], fsfi["variants"]) == (19, "desire", ["strict", "prorated"])
        assert (fsfi["status"], fsfi["missing"]) == ("published", [])
        assert fsfi["licence"]["status"] == "permission-required"
        assert fsfi["definition_url"] == f"{PATH}/fsfi/versions/1"

    async def test_what_cannot_be_scored_says_why(self, ehr: Person) -> None:
        (griss,) = (await ehr.http.get(f"{PATH}?q=griss")).json()["items"]
        assert (griss["status"], griss["version"], griss["definition_url"]) == ("listed", None, None)
        assert (griss["items"], griss["scales"], griss["variants"]) == (None, [], [])
        assert griss["missing"] == list(instruments.catalogue().listed["griss"].missing)
        read = (await ehr.http.get(f"{PATH}/griss")).json()
        assert (read["status"], read["missing"], read["versions"]) == ("listed", griss["missing"], [])
        for suffix, body in (("versions/1", None), ("score", {"answers": {}}), ("form", None)):
            path = f"{PATH}/griss/{suffix}"
            answer = await (ehr.http.get(path) if body is None else ehr.http.post(path, json=body))
            assert problem(answer, 404, "not-found")["missing"] == griss["missing"]

    @pytest.mark.parametrize(
        ("query", "some", "others"),
        [
            ("concern=desire", {"fsfi", "sdi-2"}, {"gad-7"}),
            ("anatomy=penis", {"iief-15", "gad-7", "asex"}, {"fsfi"}),
            ("anatomy=vagina", {"fsfi", "gad-7", "asex"}, {"iief-5"}),
            ("licence=public-domain", {"pcl-5"}, {"fsfi"}),
            ("q=sexual FUNCTION", {"fsfi"}, {"gad-7"}),
            ("q=phq", {"phq-9"}, {"fsfi"}),
            ("q=libido", {"fsfi", "sdi-2"}, {"gad-7"}),
            ("concern=desire&anatomy=vagina&q=index", {"fsfi"}, {"iief-15"}),
            ("partnered=false", {"phq-9", "asex"}, {"csi-16", "gmsex"}),
            ("partnered=true", {"phq-9", "csi-16"}, set()),
            ("active=false", {"phq-9", "asex"}, {"fsfi", "iief-5"}),
            ("active=true", {"phq-9", "fsfi"}, set()),
            ("language=de", {"pcl-5"}, set()),
            ("max_minutes=2", {"phq-2"}, {"fsfi"}),
            ("status=listed", {"griss", "bisf-w"}, {"fsfi"}),
            ("status=published", {"fsfi"}, {"griss"}),
        ],
    )
    async def test_conditions(self, ehr: Person, query: str, some: set[str], others: set[str]) -> None:
        found = {item["code"] for item in (await ehr.http.get(f"{PATH}?{query}")).json()["items"]}
        assert found
        assert some <= found
        assert not others & found

    async def test_language_falls_back_and_covers_its_regions(self, ehr: Person) -> None:
        async def speaking(tag: str) -> set[str]:
            items = (await ehr.http.get(f"{PATH}?language={tag}")).json()["items"]
            return {item["code"] for item in items}

        every = {item["code"]: item["languages"] for item in (await ehr.http.get(PATH)).json()["items"]}
        portuguese = {code for code, tags in every.items() if any(tag.partition("-")[0] == "pt" for tag in tags)}
        assert await speaking("pt") == portuguese
        assert await speaking("PT-br") == {code for code in portuguese if {"pt", "pt-BR"} & set(every[code])}
        assert await speaking("tlh") == set()

    async def test_for_a_concern_the_recommended_come_first(self, ehr: Person) -> None:
        recommended = [r.instrument for r in instruments.vocabulary()["erection"].recommended]
        found = [item["code"] for item in (await ehr.http.get(f"{PATH}?concern=erection")).json()["items"]]
        assert found[: len(recommended)] == recommended
        assert found[len(recommended) :] == sorted(found[len(recommended) :])

    async def test_nothing(self, ehr: Person) -> None:
        assert (await ehr.http.get(f"{PATH}?q=zzzz")).json() == {"items": []}

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("concern=nonesuch", "unknown-code"),
            ("licence=%00", "nul-character"),
            ("status=secret", "literal-error"),
            ("language=english%20please", "language-tag"),
            ("language=x" + "x" * 40, "language-tag"),
            ("partnered=perhaps", "bool-parsing"),
            ("active=", "bool-parsing"),
            ("max_minutes=0", "greater-than-equal"),
            ("max_minutes=ten", "int-parsing"),
            ("anatomy=heart", "unknown-code"),
        ],
    )
    async def test_a_condition_that_cannot_be(self, ehr: Person, query: str, code: str) -> None:
        assert faults(await ehr.http.get(f"{PATH}?{query}")) == [(query.partition("=")[0], code)]

    async def test_too_long(self, ehr: Person) -> None:
        assert faults(await ehr.http.get(f"{PATH}?q={'x' * 101}")) == [("q", "string-too-long")]

    async def test_organ_that_is_none(self, ehr: Person) -> None:
        assert faults(await ehr.http.get(f"{PATH}?anatomy=tail")) == [("anatomy", "unknown-code")]


class TestRead:
    @pytest.mark.parametrize("code", CODES)
    async def test_one(self, ehr: Person, code: str) -> None:
        found = (await ehr.http.get(f"{PATH}/{code}")).json()
        instrument = instruments.load(code)
        assert [scale["id"] for scale in found["scale_details"]] == [scale.id for scale in instrument.scales]
        (version,) = found["versions"]
        assert (version["version"], version["definition"]) == (1, instrument.checksum)
        assert version["definition_url"] == found["definition_url"]
        assert (await ehr.http.get(version["definition_url"])).json()["code"] == code

    @pytest.mark.parametrize("code", CODES)
    async def test_definition_is_whole_and_exact(self, app: FastAPI, ehr: Person, code: str) -> None:
        """What is served, read as decimals, is a definition with the same content: nothing was lost or rounded."""
        answer = await ehr.http.get(f"{PATH}/{code}/versions/1")
        document = json.loads(answer.text, parse_float=Decimal)
        instrument = instruments.load(code)
        assert answer.headers["etag"] == f'"{document.pop("checksum")}"' == f'"{instrument.checksum}"'
        assert document.pop("needs_review") == list(instrument.needs_review)
        assert instruments.Instrument.model_validate(document) == instrument
        contract = app.openapi()
        operation = contract["paths"][PATH + "/{code}/versions/{version}"]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator(schema | {"components": contract["components"]}).validate(answer.json())

    async def test_definition_held_already(self, ehr: Person) -> None:
        path = f"{PATH}/fsfi/versions/1"
        answer = await ehr.http.get(path)
        assert answer.headers["cache-control"] == "private, max-age=3600"
        tag = answer.headers["etag"]
        for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = await ehr.http.get(path, headers={"If-None-Match": given})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await ehr.http.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


class TestScore:
    async def test_fsfi(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        answer = await people.clinician.http.post(f"{PATH}/fsfi/score", json={"answers": FSFI_FIVES})
        assert (answer.status_code, answer.json()["scores"]["total"]["value"]) == (200, 36.0)
        kept = await superuser.fetchval("select count(*) from response where organisation_id = $1", tenant.id)
        assert kept == 0

    async def test_decimals_are_exact_in_the_text(self, ehr: Person) -> None:
        answer = await ehr.http.post(f"{PATH}/fsfi/score", json={"answers": {"1": 1, "2": 2}})
        assert '"desire":{"value":1.8,' in answer.text

    async def test_same_as_recording(self, ehr: Person) -> None:
        answers = {str(item): 1 for item in range(1, 8)}
        scored = (
            await ehr.http.post(f"{PATH}/fsfi/score", json={"answers": answers, "variant": "prorated", "version": 1})
        ).json()
        recorded = (await ehr.respond(await ehr.client(), answers=answers, variant="prorated")).json()
        assert scored == {name: recorded[name] for name in scored}

    @pytest.mark.parametrize(
        ("body", "slug", "pointer", "code"),
        [
            ({"answers": {"1": 9}}, "answers-invalid", "/answers/1", "not-an-option"),
            ({"answers": {}, "version": 9}, "request-invalid", "/version", "unknown-version"),
            ({"answers": {}, "version": "1"}, "request-invalid", "/version", "int-type"),
            ({"answers": {}, "variant": "x"}, "request-invalid", "/variant", "unknown-variant"),
            ({"answers": {}, "variant": "items:strict"}, "request-invalid", "/variant", "unknown-variant"),
            ({"answers": {}, "client_id": str(uuid.uuid4())}, "request-invalid", "/client_id", "extra-forbidden"),
            ({}, "request-invalid", "/answers", "missing"),
            ({"answers": []}, "request-invalid", "/answers", "dict-type"),
        ],
    )
    async def test_faults(self, ehr: Person, body: Any, slug: str, pointer: str, code: str) -> None:
        assert faults(await ehr.http.post(f"{PATH}/fsfi/score", json=body), slug) == [(pointer, code)]


class TestConcerns:
    async def test_all(self, people: People) -> None:
        for person in (people.ehr, people.clinician, people.admin):
            items = (await person.http.get("/v1/concerns")).json()["items"]
            assert [item["id"] for item in items] == list(instruments.vocabulary())
        listed = {item["code"]: item for item in (await people.ehr.http.get(PATH)).json()["items"]}
        for item in items:
            for one in item["recommended"]:
                assert one["licence"] == listed[one["instrument"]]["licence"]
                assert one["applicability"] == listed[one["instrument"]]["applicability"]
            assert item["instruments"] == [code for code, one in listed.items() if item["id"] in one["concerns"]]

    async def test_refused(self, stranger: httpx.AsyncClient, people: People) -> None:
        problem(await stranger.get("/v1/concerns"), 401, "unauthenticated")
        problem(await people.researcher.http.get("/v1/concerns"), 403, "forbidden")
        assert faults(await people.ehr.http.get("/v1/concerns?q=x")) == [("q", "extra-forbidden")]


class TestQuestionnaire:
    async def test_is_what_the_package_makes(self, ehr: Person) -> None:
        for code in CODES[::8]:
            instrument = instruments.load(code)
            for variant in instrument.variant_ids:
                path = f"{PATH}/{code}/versions/{instrument.version}/questionnaire"
                answer = await ehr.http.get(path, params={"variant": variant})
                assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/fhir+json")
                assert answer.json() == instruments.to_fhir(instrument, variant=variant)
            assert (await ehr.http.get(path)).json() == instruments.to_fhir(instrument)

    async def test_unchanged(self, ehr: Person) -> None:
        path = f"{PATH}/fsfi/versions/1/questionnaire"
        strict, prorated = [await ehr.http.get(path, params={"variant": variant}) for variant in ("strict", "prorated")]
        assert strict.headers["ETag"] != prorated.headers["ETag"]
        again = await ehr.http.get(path, headers={"If-None-Match": strict.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await ehr.http.get(path, headers={"If-None-Match": prorated.headers["ETag"]})
        assert other.status_code == 200

    async def test_refused(self, ehr: Person, stranger: httpx.AsyncClient, people: People) -> None:
        path = f"{PATH}/fsfi/versions/1/questionnaire"
        assert faults(await ehr.http.get(f"{path}?variant=nonesuch")) == [("variant", "unknown-variant")]
        assert faults(await ehr.http.get(f"{path}?variant={'x' * 41}")) == [("variant", "string-too-long")]
        for unknown in ("fsfi/versions/99", "nonesuch/versions/1"):
            problem(await ehr.http.get(f"{PATH}/{unknown}/questionnaire"), 404, "not-found")
        problem(await stranger.get(path), 401, "unauthenticated")
        problem(await people.researcher.http.get(path), 403, "forbidden")
