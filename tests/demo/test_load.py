"""The demo's rows: those of the API's own requests, written once, held apart by organisation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

import instruments
import scoring
from api.app import create_app
from api.demo.clinic import Clinic, OrganisationPlan, clinic
from api.demo.course import episode_id
from api.demo.load import DemoError, load
from api.demo.people import Form, Person, people
from api.demo.references import fitted
from api.demo.stories import corrections
from api.responses.versions import as_recorded
from api.settings import Settings
from tests.conftest import Urls

SMALL = clinic().model_copy(
    update={
        "organisations": (
            OrganisationPlan(slug="demo", name="Demo", people=24, invented=True, references=True),
            OrganisationPlan(slug="other", name="Other", people=6),
        )
    }
)
"""The same clinic with fewer people; the first of them are the same."""
WITH_COUPLES = SMALL.model_copy(
    update={
        "organisations": (OrganisationPlan(slug="demo", name="Demo", people=12),),
        "presentations": tuple(one for one in clinic().presentations if len(one.members) > 1),
    }
)


@dataclass
class Demo:
    """A started application on a database of its own, still without the clinic."""

    app: FastAPI
    everybody: asyncpg.Connection[asyncpg.Record]
    """Sees the rows of whomever they belong to."""

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
        return await self.everybody.fetch(query)


@pytest.fixture
async def demo(fresh_database: Urls, settings: Settings) -> AsyncIterator[Demo]:
    own = settings.model_copy(update={"database_url": SecretStr(fresh_database.service)})
    app = create_app(own)
    everybody = await asyncpg.connect(fresh_database.superuser)
    try:
        async with app.router.lifespan_context(app):
            yield Demo(app, everybody)
    finally:
        await everybody.close()


def _forms(slug: str, count: int) -> list[tuple[Person, Form]]:
    return [(person, form) for person in people(SMALL, slug, count) for form in person.forms]


STORIES = tuple(corrections(SMALL, tuple(people(SMALL, "demo", 24))))
"""What befell people who are among the first."""


async def test_the_clinic_is_written_once_and_found_again(demo: Demo) -> None:
    expected = [("demo", 24, len(_forms("demo", 24))), ("other", 6, len(_forms("other", 6)))]
    assert await demo.load() == [(*each, True) for each in expected]
    before = await demo.rows("select * from response order by id")
    assert await demo.load() == [(*each, False) for each in expected]
    assert await demo.rows("select * from response order by id") == before
    assert len(before) == expected[0][2] + expected[1][2] + len(STORIES)
    assert [row["id"] for row in before if row["revision"] > 1] == [
        row["id"] for row in await demo.rows("select id from response where root_id is not null")
    ]


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
    as_first_recorded = {key for key, row in kept.items() if row["root_id"] is None}
    forms = {form.id for slug, n in (("demo", 24), ("other", 6)) for _, form in _forms(slug, n)}
    assert as_first_recorded == forms | {story.first.id for story in STORIES}
    assert len(kept) == len(as_first_recorded) + sum(story.right is not None for story in STORIES)
    references = await demo.rows("select id::text from reference_set order by id limit 1")
    assert references[0]["id"] == "01969dbe-0c00-704b-8652-a65e65541ca2"
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
        corrected = {story.first.id for story in STORIES}
        posted = [pair for pair in _forms("demo", 24)[::5] if pair[1].id not in corrected]
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


async def test_corrections_are_told_as_those_that_are_asked_for(demo: Demo) -> None:
    """What was typed in wrongly is seen as such before, as an amended point now; what was void is not seen."""
    await demo.load()
    await _courses_are_held_against_references_that_are_said_to_be_synthetic(demo)
    (amended,) = [story for story in STORIES if story.right is not None]
    (void,) = [story for story in STORIES if story.right is None]
    assert amended.right is not None
    async with demo.http("demo", "clinician") as http:
        for story, kinds in ((amended, ["completed", "amended"]), (void, ["completed", "entered-in-error"])):
            told = (await http.get(f"/v1/responses/{story.first.id}/versions")).json()["versions"]
            assert [one["status"] for one in told] == kinds
            assert [one["reason"] for one in told] == [None, story.reason]
            assert told[1]["reason_code"] == story.code
        kept = (await http.get(f"/v1/responses/{amended.first.id}")).json()
        right = scoring.score(instruments.load(amended.right.instrument), amended.right.answers)
        assert kept["scores"]["total"]["value"] == right.scores["total"].value
        path = f"/v1/clients/{amended.person.id}/progress"
        asked = {"instrument": amended.right.instrument, "scale": "total"}
        now, then = [
            {
                point["response_id"]: point
                for point in (await http.get(path, params=asked | at)).json()["series"][0]["points"]
            }[str(amended.first.id)]
            for at in ({}, {"as_of": (amended.first.answered_at + timedelta(days=1)).isoformat()})
        ]
        assert (now["amended"], then["amended"]) == (True, False)
        assert now["value"] == right.scores["total"].value != then["value"]
        series = (await http.get(f"/v1/clients/{void.person.id}/progress", params={"instrument": "phq-9"})).json()
        assert str(void.first.id) not in str(series)


async def _courses_are_held_against_references_that_are_said_to_be_synthetic(demo: Demo) -> None:
    async with demo.http("demo", "admin") as http:
        kept = (await http.get("/v1/references", params={"active": "true", "limit": 100})).json()["items"]
        assert {one["instrument"] for one in kept} == {one["instrument"] for one in fitted()}
        assert all(one["source"].startswith("Synthetic: ") for one in kept)
        (use,) = (await http.get(f"/v1/references/{kept[0]['id']}")).json()["uses"]
        assert use["effect"] == "activated"
    person = next(one for one in people(SMALL, "demo", 24) if one.trajectory == "worsening")
    async with demo.http("demo", "clinician") as http:
        series = (await http.get(f"/v1/clients/{person.id}/progress")).json()["series"]
        expected = [one["expected"] for one in series if one["expected"]["available"]]
        assert "not-on-track" in {one["status"] for one in expected}
        assert all(one["reference"]["source"].startswith("Synthetic: ") for one in expected)
    async with demo.http("other", "clinician") as http:
        other = next(one for one in people(SMALL, "other", 6) if len(one.forms) > 4)
        series = (await http.get(f"/v1/clients/{other.id}/progress")).json()["series"]
        assert {one["expected"]["code"] for one in series} == {"no-reference"}


async def test_of_couples_all_consent_or_one_never_did_or_took_it_back(demo: Demo) -> None:
    await demo.load(WITH_COUPLES)
    async with demo.http("demo", "clinician") as http:
        told = {
            (row["said"], (await http.get(f"/v1/couples/{row['couple_id']}")).status_code)
            for row in await demo.rows(
                "select m.couple_id, string_agg(coalesce(c.given::text, 'nothing'), ',' order by m.id, c.version) said"
                " from couple_member m left join couple_consent c on c.member_id = m.id group by 1"
            )
        }
    assert {(",".join(sorted(said.split(","))), status) for said, status in told} == {
        ("true,true", 200),
        ("nothing,true", 403),
        ("false,true,true", 403),
    }
