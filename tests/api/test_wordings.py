"""Wording packs over HTTP: who may, versions, withdrawal."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import httpx
import pytest

from api.wordings.submission import STATEMENT
from tests.api.packs import FORM, LADDER_1, LICENCES, PATH, WHO_5, body, day, put
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant
from tests.factories import NOON
from tests.invented import make_pack


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
