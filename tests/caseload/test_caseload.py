"""A clinician's caseload over HTTP: whose clients, what is shown of them, in which order, and what is refused."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import instruments
from api.caseload.schemas import CaseloadPage
from api.caseload.service import _shipped
from api.paging import encode_cursor
from tests.api.corrected import correct
from tests.api.people import People, faults, problem, web
from tests.caseload.clinic import (
    ME,
    NOW,
    PATH,
    answered,
    begun,
    check_against_others,
    in_order,
    page,
    rows,
    totals_of,
)
from tests.conftest import Tenant
from tests.factories import make_reference
from tests.protocols.clinic import assigned, made


class TestRefused:
    async def test_without_a_token(self, stranger: httpx.AsyncClient) -> None:
        problem(await stranger.get(PATH), 401, "unauthenticated")

    async def test_researcher(self, people: People) -> None:
        problem(await people.researcher.http.get(PATH), 403, "forbidden")

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"clinician": "Anna"}, [("clinician", "personal-data")]),
            ({"clinician": ""}, [("clinician", "length")]),
            ({"instrument": "nonsense"}, [("instrument", "unknown-instrument")]),
            ({"instrument": "../fsfi"}, [("instrument", "string-pattern-mismatch")]),
            ({"instrument": "fsfi", "scale": "mood"}, [("scale", "unknown-scale")]),
            ({"scale": "total"}, [("instrument", "needed-with-scale")]),
            ({"category": "better"}, [("category", "literal-error")]),
            ({"concern": "everything"}, [("concern", "unknown-concern")]),
            ({"has_alerts": "perhaps"}, [("has_alerts", "bool-parsing")]),
            ({"overdue": ""}, [("overdue", "bool-parsing")]),
            ({"limit": 0}, [("limit", "greater-than-equal")]),
            ({"limit": 201}, [("limit", "less-than-equal")]),
            ({"cursor": "next"}, [("cursor", "cursor-invalid")]),
            ({"method": "nunnally-kotsch"}, [("method", "extra-forbidden")]),
        ],
    )
    async def test_bad_query(self, people: People, query: dict[str, Any], found: list[tuple[str, str]]) -> None:
        answer = await people.clinician.http.get(PATH, params=query)
        assert [(name.partition(".")[0], code) for name, code in faults(answer)] == found
        assert all(error["in"] == "query" for error in answer.json()["errors"])

    @pytest.mark.parametrize("seconds", [-1, 64, 0.5])
    async def test_a_cursor_of_another_list(self, people: People, seconds: float) -> None:
        cursor = encode_cursor(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), uuid.uuid4())
        answer = await people.clinician.http.get(PATH, params={"cursor": cursor})
        assert faults(answer) == [("cursor", "cursor-invalid")]


class TestWhose:
    async def test_nobody(self, people: People) -> None:
        found = await page(people.clinician)
        assert (found["clinician"], found["items"], found["next"]) == (ME, [], None)
        assert found["totals"] == totals_of([])
        assert found["date"] == str(NOW.date())

    async def test_a_clinicians_own_unless_asked_for_anothers(self, people: People) -> None:
        ehr = people.ehr
        mine = await begun(ehr)
        theirs = await begun(ehr, clinician="practitioner-17")
        nobodys = await begun(ehr, clinician=None)
        closed = await begun(ehr, ended_on="2026-03-01", end_reason="completed")
        everybody = {mine, theirs, nobodys}
        assert {*await rows(people.clinician)} == {mine}
        assert {*await rows(people.clinician, clinician="practitioner-17")} == {theirs}
        assert {*await rows(people.clinician, clinician="all")} == everybody
        for other in (people.ehr, people.admin):
            assert (await page(other))["clinician"] is None
            assert {*await rows(other)} == everybody
            assert {*await rows(other, clinician=ME)} == {mine}
        assert closed not in everybody

    async def test_another_organisation_sees_nothing(self, people: People) -> None:
        client_id = await begun(people.ehr)
        await answered(people.ehr, client_id, "fsfi", 2, 5)
        for query in ({}, {"clinician": ME}, {"clinician": "all"}, {"instrument": "fsfi"}):
            found = await page(people.elsewhere, **query)
            assert (found["items"], found["totals"]["clients"]) == ([], 0)

    async def test_several_open_episodes_are_one_row(self, people: People) -> None:
        client_id = await begun(people.ehr, concerns=["mood"])
        await begun(people.ehr, client_id, started_on="2026-02-12", format="couple", concerns=["pain", "mood"])
        await begun(people.ehr, client_id, format="group", clinician="practitioner-17", concerns=["anxiety"])
        (row,) = (await rows(people.clinician)).values()
        assert [(one["format"], one["concerns"]) for one in row["episodes"]] == [
            ("couple", ["pain", "mood"]),
            ("individual", ["mood"]),
        ]
        (row,) = (await rows(people.clinician, clinician="all")).values()
        assert len(row["episodes"]) == 3


class TestShown:
    async def test_a_client_without_answers(self, people: People) -> None:
        client_id = await begun(people.ehr, modality="telehealth")
        (row,) = (await page(people.clinician))["items"]
        assert row == {
            "client_id": client_id,
            "attention": [],
            "category": None,
            "episodes": [
                {
                    "id": row["episodes"][0]["id"],
                    "started_on": "2026-01-12",
                    "modality": "telehealth",
                    "format": "individual",
                    "concerns": ["desire"],
                    "clinician": ME,
                }
            ],
            "last_session": None,
            "last_answer": None,
            "measures": [],
            "due": 0,
            "overdue": 0,
            "alerts": {"open": 0, "severity": None},
        }

    async def test_by_hand(self, people: People) -> None:
        """Six domains, each brought to 6 points at most: 14.4 and 36 points of the total."""
        client_id = await begun(people.ehr)
        first, last = await answered(people.ehr, client_id, "fsfi", 2, 5)
        (row,) = (await page(people.clinician))["items"]
        (one,) = row["measures"]
        assert (one["instrument"], one["scale"], one["chosen_by"], one["concerns"]) == (
            "fsfi",
            "total",
            "concern",
            ["desire"],
        )
        assert (one["baseline"]["value"], one["last"]["value"], one["change"]["points"]) == (14.4, 36.0, 21.6)
        assert (one["baseline"]["response_id"], one["last"]["response_id"]) == (first, last)
        assert (row["category"], one["change"]["category"]) == ("recovered", "recovered")
        assert row["last_answer"]["response_id"] == last
        assert one["on_track"]["available"] is False

    async def test_it_is_what_the_contract_says(self, people: People) -> None:
        client_id = await begun(people.ehr)
        await answered(people.ehr, client_id, "fsfi", 2, 5)
        episode = (await page(people.clinician))["items"][0]["episodes"][0]["id"]
        for days in (1, 8, -7):
            given = {
                "held_at": (NOW - timedelta(days=days)).isoformat(),
                "attendance": "attended" if days > 0 else None,
            }
            answer = await people.ehr.http.post(f"/v1/clients/{client_id}/episodes/{episode}/sessions", json=given)
            assert answer.status_code == 201, answer.text
        found = await page(people.clinician)
        assert CaseloadPage.model_validate_json((await people.clinician.http.get(PATH)).content).model_dump(mode="json")
        assert found["items"][0]["last_session"]["held_at"][:10] == str((NOW - timedelta(days=1)).date()), "to come"
        assert found["items"][0]["last_session"]["episode_id"] == episode

    async def test_which_measures_stand_for_a_client(self, people: People) -> None:
        ehr = people.ehr
        both = await begun(ehr, concerns=["mood", "pain"])
        for code in ("phq-9", "fsfi", "gad-7"):
            await answered(ehr, both, code, 1)
        neither = await begun(ehr, concerns=["alcohol"])
        await answered(ehr, neither, "gad-7", 1, answered_at="2026-03-01T10:00:00Z")
        await answered(ehr, neither, "phq-9", 1, answered_at="2026-03-02T10:00:00Z")
        found = await rows(people.clinician)
        told = {
            client_id: [(one["instrument"], one["chosen_by"], one["concerns"]) for one in row["measures"]]
            for client_id, row in found.items()
        }
        assert told == {
            both: [("phq-9", "concern", ["mood"]), ("fsfi", "concern", ["pain"])],
            neither: [("phq-9", "newest", [])],
        }
        asked = await rows(people.clinician, instrument="fsfi", scale="pain")
        assert {(one["scale"], one["chosen_by"]) for row in asked.values() for one in row["measures"]} == {
            ("pain", "asked")
        }
        (one,) = asked[neither]["measures"]
        assert (one["baseline"], one["change"]["code"]) == (None, "no-measurement")
        assert asked[neither]["last_answer"]["instrument"] == "phq-9"

    async def test_of_measures_of_one_concern_the_newest(self, people: People) -> None:
        client_id = await begun(people.ehr, concerns=["mood"])
        await answered(people.ehr, client_id, "phq-9", 1, answered_at="2026-03-01T10:00:00Z")
        k10 = {str(item): 3 for item in range(1, 11)}
        answer = await people.ehr.respond(client_id, instrument="k10", answers=k10, answered_at="2026-03-02T10:00:00Z")
        assert answer.status_code == 201, answer.text
        (row,) = (await rows(people.clinician)).values()
        assert [one["instrument"] for one in row["measures"]] == ["k10"]
        await correct(people.ehr, answer.json()["id"], "void")
        (row,) = (await rows(people.clinician)).values()
        assert [one["instrument"] for one in row["measures"]] == ["phq-9"], "what is void was not answered"
        assert row["last_answer"]["instrument"] == "phq-9"

    async def test_the_worst_of_several_measures_counts(self, people: People) -> None:
        client_id = await begun(people.ehr, concerns=["desire", "mood"])
        await answered(people.ehr, client_id, "fsfi", 2, 5)
        await answered(people.ehr, client_id, "phq-9", 0, 3, variant="strict")
        (row,) = (await rows(people.clinician)).values()
        assert [one["change"]["category"] for one in row["measures"]] == ["recovered", row["category"]]
        assert row["category"] in ("harmed", "deteriorated")


class TestOrder:
    async def test_who_needs_attention_comes_first(self, people: People) -> None:
        ehr, found = people.ehr, {}
        protocol = await made(people.admin)
        for name, values in {
            "recovered": (2, 5),
            "harmed": (5, 2),
            "unchanged": (3, 3),
            "urgent": (3,),
            "notice": (3, 3),
            "overdue": (3, 3),
        }.items():
            found[name] = await begun(ehr)
            await answered(ehr, found[name], "fsfi", *values)
        answer = await ehr.respond(found["urgent"], instrument="phq-9", answers={str(item): 3 for item in range(1, 10)})
        assert answer.status_code == 201, answer.text
        shown = await rows(people.clinician)
        path = f"/v1/clients/{found['overdue']}/episodes/{shown[found['overdue']]['episodes'][0]['id']}"
        start = str(NOW.date() - timedelta(days=3))
        assert (await ehr.http.patch(path, json={"started_on": start}, headers={"If-Match": "*"})).status_code == 200
        await assigned(ehr, path, protocol)
        shown = await rows(people.clinician)
        names = {client_id: name for name, client_id in found.items()}
        order = [names[client_id] for client_id in shown]
        assert order[0] == "urgent"
        assert shown[found["urgent"]]["attention"][0] == "urgent-alert"
        assert order.index("harmed") == 1, shown[found["harmed"]]
        assert shown[found["harmed"]]["attention"] in (["alert", "harmed"], ["urgent-alert", "alert", "harmed"])
        assert "recovered" in order[-4:]
        await check_against_others(people.clinician, shown)
        assert (await page(people.clinician))["totals"] == totals_of([*shown.values()])

    async def test_pages(self, people: People) -> None:
        everybody = {await begun(people.ehr) for _ in range(7)}
        for client_id in sorted(everybody)[2:4]:
            await answered(people.ehr, client_id, "fsfi", 5, 2)
        whole = await rows(people.clinician)
        assert {*whole} == everybody
        assert [*whole] == in_order([*whole.values()])
        for limit in (1, 3, 7):
            assert [*await rows(people.clinician, limit=limit)] == [*whole]
        answer = await people.clinician.http.get(PATH, params={"limit": 3, "overdue": "false", "category": "harmed"})
        assert "Link" not in answer.headers
        first = await people.clinician.http.get(PATH, params={"limit": 3, "has_alerts": False, "clinician": ME})
        assert "has_alerts=false" in first.headers["Link"]
        assert f"clinician={ME}" in first.headers["Link"]
        assert 'rel="next"' in first.headers["Link"]

    async def test_a_place_holds_although_its_client_has_gone(self, people: People) -> None:
        everybody = sorted([await begun(people.ehr) for _ in range(4)])
        cursor = (await page(people.clinician, limit=2))["next"]
        row = (await page(people.clinician, limit=2))["items"][1]
        ended = {"ended_on": str(NOW.date()), "end_reason": "completed"}
        path = f"/v1/clients/{row['client_id']}/episodes/{row['episodes'][0]['id']}"
        assert (await people.ehr.http.patch(path, json=ended, headers={"If-Match": "*"})).status_code == 200
        later = await page(people.clinician, limit=2, cursor=cursor)
        assert [row["client_id"] for row in later["items"]] == everybody[2:]

    async def test_filters(self, people: People) -> None:
        ehr = people.ehr
        harmed = await begun(ehr)
        await answered(ehr, harmed, "fsfi", 5, 2)
        recovered = await begun(ehr, concerns=["pain"])
        await answered(ehr, recovered, "fsfi", 2, 5)
        new = await begun(ehr, concerns=["desire", "mood"])
        asked: list[tuple[dict[str, Any], set[str]]] = [
            ({"category": "harmed"}, {harmed}),
            ({"category": ["recovered", "not-available"]}, {recovered, new}),
            ({"category": "not-available"}, {new}),
            ({"category": "improved"}, set()),
            ({"concern": "desire"}, {harmed, new}),
            ({"concern": "mood", "category": "harmed"}, set()),
            ({"has_alerts": True}, {harmed}),
            ({"has_alerts": False}, {recovered, new}),
            ({"overdue": False}, {harmed, recovered, new}),
            ({"overdue": True}, set()),
        ]
        for query, expected in asked:
            assert {*await rows(people.clinician, **query)} == expected, query
        totals = (await page(people.clinician, category="harmed", has_alerts=False))["totals"]
        assert totals["clients"] == 2, "the filters but the category hold"
        assert (totals["by_category"]["recovered"], totals["by_category"]["not_available"]) == (1, 1)

    async def test_what_was_acknowledged_waits_for_nobody(self, people: People) -> None:
        client_id = await begun(people.ehr)
        await answered(people.ehr, client_id, "fsfi", 5, 2)
        (row,) = (await rows(people.clinician)).values()
        assert row["alerts"]["open"] > 0
        for alert in (await people.clinician.http.get(f"/v1/clients/{client_id}/alerts")).json()["items"]:
            answer = await people.clinician.http.post(f"/v1/alerts/{alert['id']}/acknowledge", json={})
            assert answer.status_code == 200, answer.text
        (row,) = (await rows(people.clinician)).values()
        assert (row["alerts"], row["attention"]) == ({"open": 0, "severity": None}, ["harmed"])


class TestOnTrack:
    async def test_who_is_not_on_track_comes_before_what_is_overdue(
        self, people: People, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        """By a reference for telehealth that expects 2 points more each week, and by one for others that does not."""
        ehr = people.ehr
        far, near = [await begun(ehr, modality=modality) for modality in ("telehealth", "in-person")]
        for client_id in (far, near):
            await answered(ehr, client_id, "fsfi", 3, 3, 3)
        model = {
            "intercept": 21.6,
            "slope": 2.0,
            "fixed_covariance": [[0.0, 0.0], [0.0, 0.0]],
            "random_covariance": [[1.0, 0.0], [0.0, 0.01]],
            "residual_variance": 1.0,
        }
        await begun(
            ehr, far, format="group", clinician="practitioner-17", started_on="2025-12-01", modality="in-person"
        )
        scale = {"instrument": "fsfi", "variant": "strict", "persons": 400}
        flat = json.dumps(model | {"slope": 0.0})
        await make_reference(superuser, tenant.id, **scale, modality="telehealth", model=json.dumps(model))
        await make_reference(superuser, tenant.id, **scale, model=flat)
        found = await rows(people.clinician)
        assert [*found] == [far, near]
        told = {client_id: row["measures"][0]["on_track"] for client_id, row in found.items()}
        assert (told[far]["status"], told[near]["status"]) == ("not-on-track", "on-track")
        assert (told[far]["reference_n"], told[far]["since"] is None, told[near]["since"]) == (400, False, None)
        assert (found[far]["attention"], found[near]["attention"]) == (["not-on-track"], [])
        assert CaseloadPage.model_validate_json((await people.clinician.http.get(PATH)).content)
        assert (await page(people.clinician))["totals"]["not_on_track"] == 1
        await begun(
            ehr, near, format="group", clinician="practitioner-17", started_on="2026-02-01", modality="telehealth"
        )
        both = await rows(people.clinician)
        assert {*both} == {client_id for client_id, row in both.items() if row["attention"]} == {far, near}
        await check_against_others(people.clinician, both)


async def test_whom_was_shown_is_on_record(
    app: FastAPI, tenant: Tenant, people: People, superuser: asyncpg.Connection
) -> None:
    shown = sorted([await begun(people.ehr) for _ in range(2)])
    await begun(people.ehr, clinician="practitioner-17")
    events = "select resource, resource_id::text, outcome from audit_event where request_id = $1 order by 2"
    async with web(app, tenant.slug, "clinician", subject=ME) as http:
        await http.get(PATH, headers={"X-Request-Id": (first := uuid.uuid4().hex)})
        await http.get(PATH, params={"category": "harmed"}, headers={"X-Request-Id": (second := uuid.uuid4().hex)})
        await http.get(PATH, params={"instrument": "none"}, headers={"X-Request-Id": (third := uuid.uuid4().hex)})
    assert [tuple(row) for row in await superuser.fetch(events, first)] == [
        ("client", client_id, "done") for client_id in shown
    ]
    assert [tuple(row) for row in await superuser.fetch(events, second)] == [("caseload", None, "done")]
    assert [row["outcome"] for row in await superuser.fetch(events, third)] == ["request-invalid"]


def test_every_instrument_has_a_scale_that_stands_for_it() -> None:
    for one in _shipped():
        assert one.scale in {scale.id for scale in instruments.load(one.instrument).scales}
        assert one.concerns
