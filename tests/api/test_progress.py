"""Progress of a client over HTTP: as data, as a specification, as a picture."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import asyncpg
import httpx
import jsonschema
import orjson
import pytest
from fastapi import FastAPI

import instruments
from api.db import Database
from api.responses.recording import ScoreToRecord, record
from scoring.progress import Measurement, progress
from scoring.progress_words import summary
from tests.api.people import FSFI_FIVES, People, Person, faults, problem
from tests.conftest import Tenant, Urls
from tests.factories import make_client, make_recording

PATHS = ("progress", "progress.svg", "progress.vl.json")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NONE_TRIED = {str(item): 0 if item > 2 else 1 for item in range(1, 20)} | {"15": 1, "16": 1}
"""No activity in any item that has such an answer: a validity rule holds the scores back."""


def path(client_id: str, suffix: str = "", **query: Any) -> str:
    return f"/v1/clients/{client_id}/progress{suffix}?{httpx.QueryParams(query)}"


async def answered(person: Person, client_id: str, *forms: tuple[int, dict[str, int]], **members: Any) -> list[str]:
    """Post forms, each with the day that it was answered; their ids."""
    ids = []
    for day, answers in forms:
        at = (START + timedelta(days=day)).isoformat()
        answer = await person.respond(client_id, answered_at=at, answers=answers, **members)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    return ids


def all_answers(value: int) -> dict[str, int]:
    return dict.fromkeys(FSFI_FIVES, value)


async def series(person: Person, client_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await person.http.get(path(client_id, **query))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["series"]
    return found


class TestRefused:
    @pytest.mark.parametrize("name", PATHS)
    async def test_without_a_token(self, stranger: httpx.AsyncClient, name: str) -> None:
        problem(await stranger.get(f"/v1/clients/{uuid.uuid4()}/{name}?instrument=fsfi"), 401, "unauthenticated")

    @pytest.mark.parametrize("name", PATHS)
    async def test_another_organisation_sees_nothing(self, people: People, name: str) -> None:
        client_id = await people.ehr.client()
        await answered(people.ehr, client_id, (0, all_answers(3)))
        theirs = await people.elsewhere.http.get(f"/v1/clients/{client_id}/{name}?instrument=fsfi")
        nobodys = await people.elsewhere.http.get(f"/v1/clients/{uuid.uuid4()}/{name}?instrument=fsfi")
        problem(theirs, 404, "not-found")
        own = ("instance", "x-request-id")
        assert {**theirs.json(), "instance": 0} == {**nobodys.json(), "instance": 0}
        assert [k for k in theirs.headers if k not in own] == [k for k in nobodys.headers if k not in own]

    @pytest.mark.parametrize("name", PATHS)
    async def test_researcher(self, people: People, name: str) -> None:
        client_id = await people.ehr.client()
        problem(await people.researcher.http.get(f"/v1/clients/{client_id}/{name}?instrument=fsfi"), 403, "forbidden")

    @pytest.mark.parametrize("role", ["ehr", "clinician", "admin"])
    async def test_who_may(self, people: People, role: str) -> None:
        client_id = await people.ehr.client()
        for name in PATHS:
            answer = await getattr(people, role).http.get(f"/v1/clients/{client_id}/{name}?instrument=fsfi")
            assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ({"instrument": "nonsense"}, ("instrument", "unknown-instrument")),
            ({"instrument": "../fsfi"}, ("instrument", "string-pattern-mismatch")),
            ({"instrument": ""}, ("instrument", "string-pattern-mismatch")),
            ({"instrument": "f" * 41}, ("instrument", "string-pattern-mismatch")),
            ({"instrument": "fsfi", "scale": "mood"}, ("scale", "unknown-scale")),
            ({"instrument": "fsfi", "method": "truax"}, ("method", "literal-error")),
            ({"instrument": "fsfi", "baseline": "last"}, ("baseline", "string-pattern-mismatch")),
            (
                {"instrument": "fsfi", "baseline": "01890000-0000-7000-8000-000000000000"},
                ("baseline", "unknown-response"),
            ),
            ({"instrument": "fsfi", "criterion": "a"}, ("criterion", "extra-forbidden")),
        ],
    )
    async def test_bad_query(self, ehr: Person, query: dict[str, str], fault: tuple[str, str]) -> None:
        client_id = await ehr.client()
        for suffix in ("", ".svg", ".vl.json"):
            answer = await ehr.http.get(path(client_id, suffix, **query))
            assert faults(answer) == [fault]
            assert all(error["in"] == "query" for error in answer.json()["errors"])

    async def test_detail_says_what_would_have_been_right(self, ehr: Person) -> None:
        answer = await ehr.http.get(path(await ehr.client(), instrument="fsfi", scale="mood"))
        (error,) = answer.json()["errors"]
        assert error["detail"] == ("has to be one of desire, arousal, lubrication, orgasm, satisfaction, pain, total")

    async def test_scale_without_instrument(self, ehr: Person) -> None:
        assert faults(await ehr.http.get(path(await ehr.client(), scale="total"))) == [
            ("instrument", "needed-with-scale")
        ]

    @pytest.mark.parametrize("suffix", [".svg", ".vl.json"])
    async def test_picture_needs_an_instrument(self, ehr: Person, suffix: str) -> None:
        assert faults(await ehr.http.get(path(await ehr.client(), suffix))) == [("instrument", "missing")]

    @pytest.mark.parametrize(
        ("width", "code"), [(319, "greater-than-equal"), (4801, "less-than-equal"), ("wide", "int-parsing")]
    )
    async def test_width(self, ehr: Person, width: Any, code: str) -> None:
        answer = await ehr.http.get(path(await ehr.client(), ".svg", instrument="fsfi", width=width))
        assert faults(answer) == [("width", code)]

    @pytest.mark.parametrize("name", PATHS)
    async def test_id_that_is_none(self, ehr: Person, name: str) -> None:
        answer = await ehr.http.get(f"/v1/clients/nobody/{name}?instrument=fsfi")
        assert faults(answer) == [("client_id", "uuid-parsing")]


class TestData:
    async def test_nothing_answered(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answer = await ehr.http.get(path(client_id))
        assert answer.json() == {
            "client_id": client_id,
            "as_of": None,
            "episodes": [],
            "series": [],
            "without_definition": [],
        }
        found = await series(ehr, client_id, instrument="fsfi")
        assert [one["scale"] for one in found] == [scale.id for scale in instruments.load("fsfi").scales]
        for one in found:
            assert (one["points"], one["baseline"], one["last"]) == ([], None, None)
            assert one["summary"] == "No measurement yet."
            assert one["change"]["from_baseline"]["code"] == "no-measurement"

    async def test_one(self, ehr: Person) -> None:
        client_id = await ehr.client()
        (response_id,) = await answered(ehr, client_id, (0, all_answers(3)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert [point["response_id"] for point in total["points"]] == [response_id]
        assert total["baseline"] == total["last"]
        assert total["change"]["from_previous"]["code"] == "one-measurement"

    async def test_fsfi_by_hand(self, ehr: Person) -> None:
        client_id = await ehr.client()
        first, _, last = await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(3)), (56, all_answers(5)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        # each of six domains is brought to 6 points at most: six times 5/5, 3/5, 2/5 of 6
        values = [point["value"] for point in total["points"]]
        assert values == [14.4, 21.6, 36.0]
        change = total["change"]["from_baseline"]
        assert change["points"] == 21.6
        # SD 8.06, reliability 0.86: one error of a difference is 4.26495111 points
        assert change["rci"] == pytest.approx(21.6 / 4.26495111, rel=1e-8)
        assert (change["direction"], change["category"], change["days"]) == ("better", "recovered", 56)
        assert (total["baseline"]["response_id"], total["last"]["response_id"]) == (first, last)
        assert (total["baseline"]["side"], total["last"]["side"]) == ("clinical", "functional")
        assert total["reliable_change"]["threshold"] == pytest.approx(8.35915058)
        assert total["headline"] == "recovered"
        assert (total["version"], total["variant"], total["higher_is"]) == (1, "strict", "better")
        assert [c["id"] for c in total["cutoffs"] if c["decides"]] == ["jacobson-truax-c"]

    async def test_same_as_the_core(self, ehr: Person) -> None:
        """What is answered is what `scoring.progress` gives for what was stored."""
        client_id = await ehr.client()
        forms = [(n * 7, {str(i): 1 + (n + i) % 5 for i in range(1, 20)}) for n in range(6)]
        ids = await answered(ehr, client_id, *forms)
        for one in await series(ehr, client_id, instrument="fsfi"):
            given = [
                Measurement(
                    START + timedelta(days=day), START, id_, 1, "strict", point["value"], "complete", valid=True
                )
                for (day, _), id_, point in zip(forms, ids, one["points"], strict=True)
            ]
            expected = progress(instruments.load("fsfi"), one["scale"], given)
            document = orjson.loads(orjson.dumps(expected.document(), option=orjson.OPT_UTC_Z))
            assert {name: one[name] for name in document} == document
            assert one["summary"] == summary(expected)

    async def test_lower_is_better(self, ehr: Person) -> None:
        client_id = await ehr.client()
        nine = [str(item) for item in range(1, 10)]
        await answered(ehr, client_id, (0, dict.fromkeys(nine, 2)), (30, dict.fromkeys(nine, 0)), instrument="phq-9")
        (total,) = await series(ehr, client_id, instrument="phq-9")
        change = total["change"]["from_baseline"]
        assert (change["points"], change["direction"], change["category"]) == (-18, "better", "recovered")
        assert change["rci"] == pytest.approx(-18 / 3.28097546, rel=1e-8)

    async def test_every_instrument_that_was_answered(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, {str(i): 1 for i in range(1, 10)}), instrument="phq-9")
        await answered(ehr, client_id, (0, all_answers(3)))
        found = await series(ehr, client_id)
        assert [(one["instrument"], one["scale"]) for one in found] == [
            *(("fsfi", scale.id) for scale in instruments.load("fsfi").scales),
            ("phq-9", "total"),
        ]

    async def test_validity_rule(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (14, NONE_TRIED), (28, all_answers(5)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert [(point["used"], point["reason"]) for point in total["points"]] == [
            (True, None),
            (False, "validity-rule-failed"),
            (True, None),
        ]
        assert total["points"][1]["value"] is not None, "shown all the same"
        assert [(entry["reason"], entry["measurements"]) for entry in total["left_out"]] == [
            ("validity-rule-failed", 1)
        ]
        assert total["change"]["from_previous"]["days"] == 28, "the previous one that is used"
        (desire,) = await series(ehr, client_id, instrument="fsfi", scale="desire")
        assert all(point["used"] for point in desire["points"]), "the rule does not concern desire"

    async def test_too_little_answered(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, {"1": 3, "2": 3}), (14, all_answers(4)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        first = total["points"][0]
        assert (first["value"], first["status"], first["reason"]) == (None, "insufficient", "no-value")
        assert total["change"]["from_baseline"]["code"] == "one-measurement"

    async def test_order_is_that_of_answering(self, ehr: Person) -> None:
        client_id = await ehr.client()
        late, early = await answered(ehr, client_id, (20, all_answers(4)), (10, all_answers(3)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert [point["response_id"] for point in total["points"]] == [early, late]
        assert [point["answered_at"] for point in total["points"]] == ["2026-01-15T09:00:00Z", "2026-01-25T09:00:00Z"]

    async def test_a_hundred(self, ehr: Person, opened: Database, tenant: Tenant) -> None:
        client_id = await ehr.client()
        await stored(opened, tenant, client_id, *((day, 2 + day % 34) for day in range(100)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert len(total["points"]) == 100
        assert (await ehr.http.get(path(client_id, ".svg", instrument="fsfi"))).status_code == 200

    async def test_definition_that_is_gone(self, ehr: Person, opened: Database, tenant: Tenant) -> None:
        client_id = await ehr.client()
        await stored(opened, tenant, client_id, (0, 20.0))
        await stored(opened, tenant, client_id, (1, 7.0), instrument="lamp-3")
        answer = (await ehr.http.get(path(client_id))).json()
        assert {one["instrument"] for one in answer["series"]} == {"fsfi"}
        assert answer["without_definition"] == ["lamp-3"]

    async def test_version_that_is_gone(self, ehr: Person, opened: Database, tenant: Tenant) -> None:
        client_id = await ehr.client()
        await stored(opened, tenant, client_id, (0, 20.0))
        await stored(opened, tenant, client_id, (1, 7.0), instrument_version=99)
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert [point["reason"] for point in total["points"]] == [None, "other-version"]

    async def test_only_the_clients_own(self, ehr: Person) -> None:
        client_id, other = await ehr.client(), await ehr.client()
        await answered(ehr, other, (0, all_answers(3)))
        assert (await series(ehr, client_id, instrument="fsfi"))[0]["points"] == []

    async def test_not_kept_by_caches(self, ehr: Person) -> None:
        for suffix in ("", ".svg", ".vl.json"):
            answer = await ehr.http.get(path(await ehr.client(), suffix, instrument="fsfi"))
            assert answer.headers["cache-control"] == "no-store"


async def stored(opened: Database, tenant: Tenant, client_id: str, *values: tuple[int, float], **changes: Any) -> None:
    """Totals written without scoring any answers, by day."""
    for day, value in values:
        at = START + timedelta(days=day)
        scores = (ScoreToRecord("total", float(value), "complete", valid=True),)
        made = make_recording(
            tenant.id, uuid.UUID(client_id), **{"instrument": "fsfi", "variant": "strict", "scores": scores,
            "answered_at": at, "recorded_at": at} | changes
        )  # fmt: skip
        assert (await record(opened.pool, made)).outcome == "created"


class TestPicture:
    async def test_svg(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
        answer = await ehr.http.get(path(client_id, ".svg", instrument="fsfi", scale="total"))
        assert answer.headers["content-type"] == "image/svg+xml"
        root = ElementTree.fromstring(answer.text)  # noqa: S314  - our own
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        assert root[1].text == total["summary"]
        assert "better" in total["summary"]
        assert "recovered" in "".join(root.itertext())

    async def test_says_that_there_is_nothing(self, ehr: Person) -> None:
        answer = await ehr.http.get(path(await ehr.client(), ".svg", instrument="fsfi"))
        assert "no measurement yet" in "".join(ElementTree.fromstring(answer.text).itertext())  # noqa: S314  - our own

    async def test_specification(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
        answer = await ehr.http.get(path(client_id, ".vl.json", instrument="fsfi", scale="total"))
        assert answer.headers["content-type"] == "application/vnd.vegalite.v6+json"
        spec = answer.json()
        assert spec["$schema"] == "https://vega.github.io/schema/vega-lite/v6.json"
        assert spec["description"].startswith("Recovered: ")

    async def test_holds_no_identifier(self, ehr: Person) -> None:
        client_id = await ehr.client(external_id="record-4711")
        ids = await answered(ehr, client_id, (0, all_answers(2)), (28, NONE_TRIED), (30, {"1": 2}))
        for suffix in (".svg", ".vl.json"):
            text = (await ehr.http.get(path(client_id, suffix, instrument="fsfi"))).text
            assert not [name for name in (client_id, *ids, "4711") if name in text]
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)

    async def test_width(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
        widths = []
        for width in (360, 640, 1200):
            answer = await ehr.http.get(path(client_id, ".svg", instrument="fsfi", width=width))
            widths.append(float(ElementTree.fromstring(answer.text).attrib["width"]))  # noqa: S314  - our own
        assert widths == pytest.approx([360, 640, 1200], rel=0.1)

    @pytest.mark.parametrize(
        ("instrument", "title"),
        [("fsfi", "Female Sexual Function Index: Total"), ("phq-9", ": Total"), ("pcl-5", ": Total"), ("sdi-2", "")],
    )
    async def test_without_a_scale_the_total_or_the_only_one(self, ehr: Person, instrument: str, title: str) -> None:
        answer = await ehr.http.get(path(await ehr.client(), ".vl.json", instrument=instrument))
        assert title in " ".join(answer.json()["title"]["text"])

    async def test_every_scale_of_every_instrument(self, ehr: Person) -> None:
        client_id = await ehr.client()
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            for pick in (0, -1):
                answers = {item.id: item.substantive[pick] for item in catalogue.get(code).items}
                await answered(ehr, client_id, (pick, answers), instrument=code)
            for scale in catalogue.get(code).scales:
                answer = await ehr.http.get(path(client_id, ".vl.json", instrument=code, scale=scale.id))
                assert answer.status_code == 200, answer.text


async def test_reading_leaves_a_trail(
    people: People, superuser: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    client_id = await people.ehr.client()
    for name in PATHS:
        await people.clinician.http.get(f"/v1/clients/{client_id}/{name}?instrument=fsfi")
        await people.elsewhere.http.get(f"/v1/clients/{client_id}/{name}?instrument=fsfi")
    query = (
        "select subject, role, action, resource, resource_id, outcome from audit_event "
        "where organisation_id = $1 and action = 'read' order by at"
    )
    read = ("read", "progress", uuid.UUID(client_id))
    here = [tuple(row) for row in await superuser.fetch(query, tenant.id)]
    assert here == [("clinician-1", "clinician", *read, "done")] * 3
    there = [tuple(row) for row in await superuser.fetch(query, other_tenant.id)]
    assert there == [("ehr-1", "ehr", *read, "not-found")] * 3


async def test_one_statement(app: FastAPI, ehr: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many scores there are."""
    client_id = await ehr.client()
    await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
    await series(ehr, client_id)  # whatever is looked up once and remembered for a while
    asked: list[str] = []
    connection_class = asyncpg.connection.Connection
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        real = getattr(connection_class, name)

        def noted(self: Any, query: str, *arguments: Any, _real: Any = real, **options: Any) -> Any:
            asked.append(query)
            return _real(self, query, *arguments, **options)

        monkeypatch.setattr(connection_class, name, noted)
    await series(ehr, client_id)
    statements = [query for query in asked if "pg_advisory_unlock_all" not in query]  # the pool cleaning up
    assert statements == ["select * from read_progress($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"]


async def test_only_the_clients_rows_are_read(fresh_database: Urls) -> None:
    """Also by a connection that made its plan while the tables were empty, and before anything has analysed them."""
    owner, service = await asyncpg.connect(fresh_database.superuser), await asyncpg.connect(fresh_database.service)
    try:
        for table in ("response", "score", "superseded"):
            await owner.execute(f"alter table {table} set (autovacuum_enabled = off)")
        organisation = uuid.uuid4()
        await owner.execute(
            "insert into organisation (organisation_id, slug, name) values ($1, 'x', 'x')", organisation
        )
        clients = [await make_client(owner, organisation) for _ in range(40)]

        async def read(client_id: uuid.UUID, instrument: str | None, scale: str | None) -> int:
            arguments = (organisation, "ehr-1", "ehr", "request-1", uuid.uuid4(), client_id, instrument, scale)
            call = "select * from read_progress($1, $2, $3, $4, $5, $6, $7, $8, null, null, false)"
            return len(await service.fetch(call, *arguments)) - 1  # the first row is about the client

        for client_id in clients[:12]:  # enough for a plan to be kept
            assert await read(client_id, "fsfi", "total") == 0
        await owner.execute(
            "insert into response select $1, gen_random_uuid(), c, 'fsfi', 1, 'x', 'strict', '{}', null, now(), now(), "
            "'x', '{}', true from unnest($2::uuid[]) c, generate_series(1, 50)",
            organisation,
            clients,
        )
        await owner.execute(
            "insert into score select organisation_id, id, s, 20, 'complete', true "
            "from response, unnest(array['total', 'desire']) s"
        )
        await owner.execute(  # one in ten of each client
            "insert into superseded select organisation_id, id, id, null, 'another', null, now(), 'x' from "
            "(select *, row_number() over (partition by client_id) n from response) r where n % 10 = 0"
        )
        for connection in (service, owner):
            await connection.execute("select pg_stat_force_next_flush()")
        await owner.execute("select pg_stat_reset()")
        read_each = [await read(clients[3], *asked) for asked in (("fsfi", "total"), ("fsfi", None), (None, None))]
        assert read_each == [45, 45, 45], "a row a response"
        await service.execute("select pg_stat_force_next_flush()")
        indexes = await owner.fetch(
            "select indexrelname, idx_tup_read from pg_stat_user_indexes where idx_tup_read > 0"
        )
        assert {row[0]: row[1] for row in indexes} == {
            "pk_client": 3,
            "ix_response_series": 3 * 50,
            "pk_score": 3 * 90,
            "pk_superseded": 3 * 5,
        }
        tables = await owner.fetch("select relname, seq_tup_read from pg_stat_user_tables where seq_tup_read > 0")
        assert [tuple(row) for row in tables] == []
    finally:
        await service.close()
        await owner.close()


class TestContract:
    def check(self, app: FastAPI, value: Any) -> None:
        document = app.openapi()
        schema = {"$ref": "#/components/schemas/ProgressRead", "components": document["components"]}
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)

    async def test_real_answers_fit(self, app: FastAPI, ehr: Person) -> None:
        client_id = await ehr.client()
        catalogue = instruments.catalogue()
        for code in catalogue.codes:
            for day, pick in ((0, 0), (9, -1), (12, None)):
                items = catalogue.get(code).items
                answers = {} if pick is None else {item.id: item.options[pick] for item in items}
                await answered(ehr, client_id, (day, answers or {items[0].id: items[0].options[0]}), instrument=code)
            self.check(app, (await ehr.http.get(path(await ehr.client(), instrument=code))).json())
        found = (await ehr.http.get(path(client_id))).json()
        assert {one["instrument"] for one in found["series"]} == set(catalogue.codes)
        self.check(app, found)

    @pytest.mark.parametrize(
        ("member", "wrong"),
        [
            ("summary", None),
            ("points", [{}]),
            ("higher_is", "up"),
            ("more", 1),
            ("reliable_change", {"available": True}),
        ],
    )
    async def test_the_schema_is_no_formality(self, app: FastAPI, ehr: Person, member: str, wrong: Any) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)))
        found = (await ehr.http.get(path(client_id, instrument="fsfi", scale="total"))).json()
        self.check(app, found)
        found["series"][0][member] = wrong
        with pytest.raises(jsonschema.ValidationError):
            self.check(app, found)

    async def test_declared_members_are_exactly_those_answered(self, app: FastAPI, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (3, all_answers(5)))
        (total,) = await series(ehr, client_id, instrument="fsfi", scale="total")
        schemas = app.openapi()["components"]["schemas"]
        for name, value in (
            ("ProgressSeries", total),
            ("ProgressPoint", total["points"][1]),
            ("ReliableChangeRead", total["reliable_change"]),
            ("ProgressCutoff", total["cutoffs"][0]),
            ("ChangeSince", total["change"]["from_baseline"]),
        ):
            assert sorted(schemas[name]["properties"]) == sorted(schemas[name]["required"]) == sorted(value)
