"""Runs over HTTP: what is refused and why, who may, one at a time, and an own instrument from its draft on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.api.people import faults, problem
from tests.authoring.definitions import GOLDEN, lamp
from tests.rescoring.sway import CODE, FORMS, PATH, SWAY_1, SWAY_2, Clinic, sway

Faults = list[tuple[str, str]]

SHAPES: list[tuple[dict[str, Any], Faults]] = [
    ({"reason": ""}, [("/reason", "reason-empty")]),
    ({"reason": " \n"}, [("/reason", "reason-empty")]),
    ({"reason": "x" * 501}, [("/reason", "reason-long")]),
    ({"reason": "a\x07b"}, [("/reason", "reason-unprintable")]),
    ({"from_version": "1"}, [("/from_version", "int-type")]),
    ({"from_version": 0}, [("/from_version", "greater-than-equal")]),
    ({"to_version": 2**31}, [("/to_version", "less-than-equal")]),
    ({"from_checksum": "abc"}, [("/from_checksum", "string-pattern-mismatch")]),
    ({"instrument": "../x"}, [("/instrument", "string-pattern-mismatch")]),
    ({"dry_run": "yes"}, [("/dry_run", "bool-type")]),
    ({"apply": True}, [("/apply", "extra-forbidden")]),
]
RULES: list[tuple[dict[str, Any], Faults]] = [
    ({"instrument": "own-nobodys"}, [("/instrument", "unknown-instrument")]),
    ({"instrument": "nothing"}, [("/instrument", "unknown-instrument")]),
    ({"instrument": "griss"}, [("/instrument", "instrument-not-scorable")]),
    ({"from_version": 9}, [("/from_version", "unknown-version")]),
    ({"from_version": 9, "to_version": 8}, [("/from_version", "unknown-version"), ("/to_version", "unknown-version")]),
    ({"to_version": 7}, [("/to_version", "draft-version")]),
    ({"to_version": 6}, [("/to_version", "retired-version")]),
    ({"to_version": 1}, [("/from_checksum", "same-version")]),
    ({"to_version": 1, "from_checksum": SWAY_1.checksum}, [("/from_checksum", "same-definition")]),
    ({"variant": "other"}, [("/variant", "unknown-variant"), ("/variant", "unknown-variant")]),
    ({"to_version": 3}, [("/to_version", "other-items")]),
    ({"to_version": 4}, [("/to_version", "other-options")]),
    ({"instrument": "who-5", "from_version": 1, "to_version": 1}, [("/from_checksum", "same-version")]),
]
_NONE: dict[str, Any] = {"alerts": [], "validity": [], "bands": [], "cutoffs": []}


def item(name: str, options: list[int]) -> dict[str, Any]:
    return {"id": name, "topic": f"topic {name}", "options": options}


def summed(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Members of a definition that adds up other items."""
    scale = {
        "id": "total",
        "name": "Total",
        "items": [one["id"] for one in items],
        "method": "sum",
        "min": sum(min(one["options"]) for one in items),
        "max": sum(max(one["options"]) for one in items),
        "higher_is": "worse",
        "missing": {"rule": "all"},
        "source": "invented",
        "evidence": "derived",
    }
    return _NONE | {"items": items, "scales": [scale]}


async def stored(clinic: Clinic) -> tuple[int, int]:
    """Runs, and jobs that wait."""
    runs = await clinic.superuser.fetchval(
        "select count(*) from rescoring where organisation_id = $1", clinic.tenant.id
    )
    waiting = "select count(*) from jobs.procrastinate_jobs where args->>'organisation_id' = $1"
    return runs, await clinic.superuser.fetchval(waiting, str(clinic.tenant.id))


async def test_a_request_of_another_shape_is_refused(clinic: Clinic) -> None:
    for members, found in SHAPES:
        assert faults(await clinic.start(422, **members)) == found, members
    assert await stored(clinic) == (0, 0)


async def test_what_cannot_be_scored_so_is_refused_with_every_fault_and_stores_nothing(clinic: Clinic) -> None:
    zero_to_three, one_to_four = [0, 1, 2, 3], [1, 2, 3, 4]
    more = [item(name, zero_to_three) for name in "1234"]
    recoded = [item("1", one_to_four), item("2", zero_to_three), item("3", zero_to_three)]
    await clinic.publish(sway(3, **summed(more)), sway(4, **summed(recoded)), sway(6))
    assert (await clinic.admin.post(f"/v1/instruments/{CODE}/versions/6/retire")).status_code == 200
    drafted = lamp(code=CODE, version=7)
    assert (await clinic.admin.post("/v1/instruments", json={"definition": drafted})).status_code == 201
    for members, found in RULES:
        assert faults(await clinic.start(422, **members)) == found, members
    assert await stored(clinic) == (0, 0)
    refused = "select count(*) from audit_event where organisation_id = $1 and action = 'start' and outcome = 'refused'"
    assert await clinic.superuser.fetchval(refused, clinic.tenant.id) == len(RULES)


@pytest.mark.parametrize("role", ["ehr", "clinician", "researcher"])
async def test_only_administrators_have_to_do_with_runs(clinic: Clinic, role: str) -> None:
    run = (await clinic.start()).json()["id"]
    http = clinic.person(role).http
    for answer in (
        await http.get(PATH),
        await http.get(f"{PATH}/{run}"),
        await http.post(PATH, json={"instrument": CODE, "from_version": 1, "to_version": 2, "reason": "because"}),
        await http.post(f"{PATH}/{run}/stop"),
        await http.post(f"{PATH}/{run}/withdraw", json={"reason": "because"}),
    ):
        problem(answer, 403, "forbidden")


async def test_one_run_of_an_instrument_at_a_time(clinic: Clinic) -> None:
    await clinic.publish(sway(3, code="own-other"), sway(4, code="own-other"))
    first = (await clinic.start()).json()
    problem(await clinic.start(409, from_version=2, to_version=1), 409, "rescoring-unfinished")
    await clinic.start(dry_run=True)  # stores nothing, so it is in nobody's way
    await clinic.start(instrument="own-other", from_version=3, to_version=4)
    await clinic.act(first["id"], "stop")
    problem(await clinic.start(409), 409, "rescoring-unfinished")
    assert (await clinic.act(first["id"], "withdraw", reason="by mistake"))["state"] == "withdrawn"
    second = (await clinic.start()).json()
    await clinic.superuser.execute(
        "update rescoring set state = 'failed', failure = 'internal-error' where id = $1", uuid.UUID(second["id"])
    )
    await clinic.start()
    assert (await clinic.act(second["id"], "resume", 409))["type"] == "/problems/rescoring-unfinished"
    assert await stored(clinic) == (5, 5)


async def test_a_withdrawn_run_is_final(clinic: Clinic) -> None:
    run = await clinic.rescore()
    done = await clinic.act(run["id"], "withdraw", reason=" the manual was right ")
    assert (done["state"], done["withdrawn_by"], done["withdrawn_reason"]) == (
        "withdrawn",
        "admin-1",
        "the manual was right",
    )
    assert done["applied_at"] < done["withdrawn_at"]
    for action, body in (("withdraw", {"reason": "again"}), ("stop", {}), ("resume", {})):
        assert (await clinic.act(run["id"], action, 409, **body))["state"] == "withdrawn"
    assert (await clinic.told(run["id"]))["remaining"] is None


async def test_runs_are_listed_newest_first_in_pages(clinic: Clinic) -> None:
    await clinic.publish(sway(3, code="own-other"), sway(4, code="own-other"))
    made = [(await clinic.rescore(dry_run=True))["id"] for _ in range(3)]
    await clinic.rescore(instrument="own-other", from_version=3, to_version=4)
    answer = await clinic.admin.get(PATH, params={"instrument": CODE, "limit": 2})
    assert [run["id"] for run in answer.json()["items"]] == made[:0:-1]
    rest = await clinic.admin.get(answer.links["next"]["url"])
    assert ([run["id"] for run in rest.json()["items"]], rest.json()["next"]) == ([made[0]], None)
    assert len((await clinic.admin.get(PATH)).json()["items"]) == 4
    assert faults(await clinic.admin.get(PATH, params={"cursor": "x"})) == [("cursor", "cursor-invalid")]


@pytest.mark.parametrize("action", ["stop", "resume", "withdraw"])
async def test_a_run_that_there_is_not(clinic: Clinic, action: str) -> None:
    body = {"reason": "because"} if action == "withdraw" else {}
    assert (await clinic.act(str(uuid.uuid4()), action, 404, **body))["type"] == "/problems/not-found"
    problem(await clinic.admin.get(f"{PATH}/{uuid.uuid4()}"), 404, "not-found")


async def test_the_second_version_of_an_own_instrument_scores_what_the_first_has(clinic: Clinic) -> None:
    for version, golden in ((1, GOLDEN[:2]), (2, GOLDEN[:2])):
        definition = lamp(code="own-lamp", version=version, progress=None)
        if version == 1:  # forgot to turn question 3 round
            definition["items"][2].pop("reverse")
            turned = [{**case, "answers": case["answers"] | {"3": 3 - case["answers"]["3"]}} for case in golden]
        made = await clinic.admin.post(
            "/v1/instruments", json={"definition": definition, "golden": turned if version == 1 else golden}
        )
        assert made.status_code == 201, made.text
        path = f"/v1/instruments/own-lamp/versions/{version}/publish"
        published = await clinic.admin.post(path, headers={"If-Match": made.headers["etag"]})
        assert published.status_code in (200, 201), published.text
    person = await clinic.people.ehr.client()
    recorded = await clinic.people.ehr.respond(
        person, instrument="own-lamp", version=1, answers={"1": 3, "2": 3, "3": 0}, answered_at="2026-03-01T10:00:00Z"
    )
    assert recorded.json()["scores"]["ease"]["value"] == 1.2
    run = await clinic.rescore(instrument="own-lamp")
    assert run["report"]["scales"]["ease"]["change"]["largest"] == 0.6
    shown = (await clinic.people.clinician.http.get(recorded.headers["location"])).json()
    assert (shown["version"], shown["scores"]["ease"]["value"]) == (2, 1.8)


async def test_reports_of_unlike_forms_are_those_of_each_form(clinic: Clinic) -> None:
    """The counts of a report add up to what the engine says of each form alone."""
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    report = (await clinic.rescore())["report"]["scales"]["total"]
    again = (await clinic.rescore(from_version=2, to_version=1))["report"]["scales"]["total"]
    assert again["change"] == report["change"]
    assert (again["released"], again["held_back"]) == (report["held_back"], report["released"])
    turned = sorted((flip["to"] or "", flip["from"] or "", flip["responses"]) for flip in report["bands"])
    assert sorted((flip["from"] or "", flip["to"] or "", flip["responses"]) for flip in again["bands"]) == turned
    assert SWAY_2.version == 2
