"""The demo's rows: those of the API's own requests, written once, held apart by organisation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.demo.clinic import Clinic, OrganisationPlan, clinic
from api.demo.course import episode_id
from api.demo.load import DemoError, load
from api.demo.people import Form, Person, people
from api.responses.versions import as_recorded
from api.settings import Settings
from tests.conftest import Urls

SMALL = clinic().model_copy(
    update={
        "organisations": (
            OrganisationPlan(slug="demo", name="Demo", people=24, invented=True),
            OrganisationPlan(slug="other", name="Other", people=6),
        )
    }
)
"""The same clinic with fewer people; the first of them are the same."""


@dataclass
class Demo:
    """A started application on a database of its own, still without the clinic."""

    app: FastAPI
    urls: Urls

    async def load(self, planned: Clinic = SMALL) -> list[tuple[str, int, int, bool]]:
        done = await load(self.app.state.database.pool, self.app.state.keys, planned)
        return [(each.slug, len(each.people), each.forms, each.written) for each in done]

    def http(self, organisation: str, role: str = "ehr") -> httpx.AsyncClient:
        token = self.app.state.development_issuer.token(organisation=organisation, role=role)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://demo",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def rows(self, query: str) -> list[asyncpg.Record]:
        """What lies in the tables, whoever it belongs to."""
        connection = await asyncpg.connect(self.urls.superuser)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@pytest.fixture
async def demo(fresh_database: Urls, settings: Settings) -> AsyncIterator[Demo]:
    own = settings.model_copy(update={"database_url": SecretStr(fresh_database.service)})
    app = create_app(own)
    async with app.router.lifespan_context(app):
        yield Demo(app, fresh_database)


def _forms(slug: str, count: int) -> list[tuple[Person, Form]]:
    return [(person, form) for person in people(SMALL, slug, count) for form in person.forms]


async def test_the_clinic_is_written_once_and_found_again(demo: Demo) -> None:
    expected = [("demo", 24, len(_forms("demo", 24))), ("other", 6, len(_forms("other", 6)))]
    assert await demo.load() == [(*each, True) for each in expected]
    before = await demo.rows("select * from response order by id")
    assert await demo.load() == [(*each, False) for each in expected]
    assert await demo.rows("select * from response order by id") == before
    assert len(before) == expected[0][2] + expected[1][2]


async def test_an_invented_instrument_has_a_form(demo: Demo) -> None:
    """Its definition and its text are ours; so one organisation has something to show, and only that one."""
    for _ in range(2):
        await demo.load()
    path = "/v1/instruments/own-lantern"
    async with demo.http("demo") as http:
        form = await http.get(f"{path}/form?language=en-GB")
        assert (form.status_code, form.headers["content-language"]) == (200, "en"), form.text
        items = form.json()["items"]
        answers = {item["id"]: item["options"][-1]["value"] for item in items if item["options"]}
        scored = await http.post(f"{path}/score", json={"answers": answers | {"3.gate": 1, "3.rating": 3}})
        assert scored.status_code == 200, scored.text
        assert (await http.get("/v1/instruments/fsfi/form")).json()["type"] == "/problems/wording-missing"
    async with demo.http("demo", "admin") as http:
        (licence,) = (await http.get("/v1/licences")).json()["items"]
        assert (licence["instrument"], licence["state"], licence["pack_version"]) == ("own-lantern", "held", 1)
    async with demo.http("other") as http:
        assert (await http.get(f"{path}/form")).status_code == 404
    assert (await demo.rows("select count(*) as n from wording_pack"))[0]["n"] == 1


async def test_two_that_load_at_once_write_it_once(demo: Demo) -> None:
    one, two = await asyncio.gather(demo.load(), demo.load())
    assert sorted(written for *_, written in one + two) == [False, False, True, True]
    assert (await demo.rows("select count(*) as n from client"))[0]["n"] == 30


async def test_ids_and_scores_are_the_same_in_every_database(demo: Demo) -> None:
    await demo.load()
    kept = {row["id"]: row for row in await demo.rows("select * from response")}
    assert kept.keys() == {form.id for slug, n in (("demo", 24), ("other", 6)) for _, form in _forms(slug, n)}
    organisations = await demo.rows("select slug, organisation_id from organisation order by slug")
    assert [(row["slug"], str(row["organisation_id"])[14:18]) for row in organisations] == [
        ("demo", "7f20"),
        ("other", "729d"),
    ]


async def test_a_kept_form_is_what_posting_it_is_answered_with(demo: Demo) -> None:
    """Every fifth form is posted once more; the answer differs from the kept document in id and time of recording."""
    await demo.load()
    document = "select document::text from response where id = '{}'"
    written = "select subject, role, action, resource, outcome from audit_event where resource_id = '{}'"
    async with demo.http("demo") as http:
        posted = _forms("demo", 24)[::5]
        assert len({form.instrument for _, form in posted}) > 5
        for person, form in posted:
            body = {
                "client_id": str(person.id),
                "episode_id": str(episode_id(person)),
                "instrument": form.instrument,
                "answered_at": form.answered_at.isoformat(),
                "answers": form.answers,
                "setting": form.setting,
            }
            answer = await http.post("/v1/responses", json=body, headers={"Idempotency-Key": str(form.id)})
            assert answer.status_code == 201, answer.text
            kept = (await demo.rows(document.format(form.id)))[0]["document"]
            fresh, made = json.loads(answer.text), json.loads(as_recorded(kept))
            assert list(made) == list(fresh)  # also in the same order: the text is what counts
            assert made.pop("id") == str(form.id)
            assert made.pop("recorded_at") > made["answered_at"]
            fresh_id = fresh.pop("id")
            del fresh["recorded_at"]
            for told, whose in ((made, form.id), (fresh, fresh_id)):
                ids = "select id::text from alert where response_id = '{}'"
                assert {row["id"] for row in await demo.rows(ids.format(whose))} == {
                    a.pop("id") for a in told["alerts"]
                }
            assert made == fresh
            for query in (
                "select instrument_version, definition_checksum, variant, answers, setting, valid, client_id"
                " from response where id = '{}'",
                "select scale, value, status, valid from score where response_id = '{}' order by scale",
                "select kind, rule, item, scale, severity, client_id, baseline_id, change from alert"
                " where response_id = '{}' order by rule, scale",
                "select topic from outbox where resource_id = '{}'",
            ):
                assert await demo.rows(query.format(form.id)) == await demo.rows(query.format(fresh_id))
            assert [tuple(row) for row in await demo.rows(written.format(form.id))] == [
                ("demo-ehr", "ehr", "record", "response", "created")
            ]


async def test_clients_are_read_and_found_by_their_external_id(demo: Demo) -> None:
    await demo.load()
    async with demo.http("demo") as http:
        for person in people(SMALL, "demo", 24):
            kept = (await http.get(f"/v1/clients/{person.id}")).json()
            assert kept["external_id"] == person.external_id
            assert kept["birth_year"] == person.birth_year
            assert kept["gender"] == person.gender
            assert kept["organs"] == list(person.organs)
            assert kept["research_consent"] == person.research_consent
            found = await http.get("/v1/clients", params={"external_id": person.external_id})
            assert str(person.id) in found.text


async def test_the_organisations_do_not_see_each_other(demo: Demo) -> None:
    await demo.load()
    stranger = next(iter(people(SMALL, "other", 6)))
    async with demo.http("demo") as http:
        assert (await http.get(f"/v1/clients/{stranger.id}")).status_code == 404
    async with demo.http("other") as http:
        assert (await http.get(f"/v1/clients/{stranger.id}")).status_code == 200


async def test_an_organisation_with_other_clients_is_left_alone(demo: Demo) -> None:
    await demo.load()
    another = SMALL.model_copy(update={"seed": "another"})
    with pytest.raises(DemoError, match="not the demo's"):
        await demo.load(another)
    assert (await demo.rows("select count(*) as n from client"))[0]["n"] == 30


async def test_a_client_added_to_the_demo_does_not_hinder_its_next_start(demo: Demo) -> None:
    await demo.load()
    async with demo.http("demo") as http:
        assert (await http.post("/v1/clients", json={})).status_code == 201
    assert [written for *_, written in await demo.load()] == [False, False]


async def test_an_interrupted_load_leaves_nothing(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    import api.demo.load as module

    async def broken(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(module, "record_many", broken)
        with pytest.raises(ConnectionError):
            await demo.load()
    assert (await demo.rows("select count(*) as n from client"))[0]["n"] == 0
    assert [written for *_, written in await demo.load()] == [True, True]


async def test_the_care_around_the_forms_is_there(demo: Demo) -> None:
    """Everything of a course of therapy has something to show, through the API."""
    await demo.load()
    async with demo.http("demo", "clinician") as http:
        due = (await http.get("/v1/due", params={"limit": 200, "date": str(SMALL.last_day)})).json()["items"]
        assert due
        assert {item["status"] for item in due} <= {"due", "overdue", "missed", "expired"}
        path = f"/v1/clients/{due[0]['client_id']}/episodes/{due[0]['episode_id']}"
        slots = (await http.get(f"{path}/schedule", params={"date": str(SMALL.last_day)})).json()["slots"]
        assert {slot["id"] for slot in slots} >= {item["id"] for item in due if item["client_id"] == due[0]["client_id"]
                                                  and item["episode_id"] == due[0]["episode_id"]}  # fmt: skip
        sessions = (await http.get(f"{path}/sessions")).json()["items"]
        assert {one["attendance"] for one in sessions} == {"attended"}
        found: dict[str, int] = {}
        for person in people(SMALL, "demo", 24):
            client = f"/v1/clients/{person.id}"
            for what in ("goals", "assignments", "couples"):
                items = (await http.get(f"{client}/{what}")).json()["items"]
                found[what] = found.get(what, 0) + len(items)
        assert all(found.values()), found
        alerts = [one["status"] for one in (await http.get("/v1/alerts", params={"limit": 200})).json()["items"]]
        assert "acknowledged" in alerts
    filled = await demo.rows("select count(*) as n from protocol_slot where answered")
    assert filled[0]["n"] > 0, "the marks are set"
