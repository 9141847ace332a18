"""Whoever reads gets the current scores, and as of a time before a run what was given then, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.corrected import correct
from tests.api.people import problem
from tests.rescoring.sway import CODE, FORMS, SWAY_1, SWAY_2, Clinic, sway


async def progress(clinic: Clinic, person: str, **query: Any) -> dict[str, list[tuple[int, float | None, bool]]]:
    """By scale: version, value and whether it is used, of each point."""
    found = json.loads(await clinic.read(f"/v1/clients/{person}/progress", instrument=CODE, **query))
    return {
        one["scale"]: [(point["version"], point["value"], point["used"]) for point in one["points"]]
        for one in found["series"]
    }


async def listed(clinic: Clinic, person: str, **query: Any) -> list[tuple[int, float | None]]:
    """Version and total of each response in the client's list, oldest first."""
    items = json.loads(await clinic.read(f"/v1/clients/{person}/responses", **query))["items"]
    return [(item["version"], item["scores"]["total"]["value"]) for item in reversed(items)]


async def test_a_response_is_given_as_if_it_had_been_recorded_with_the_other_version(clinic: Clinic) -> None:
    person, other = await clinic.people.ehr.client(), await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS)
    twins = await clinic.record(other, *FORMS, version=2)
    recorded = [await clinic.read(f"/v1/responses/{one}") for one in ids]
    run = await clinic.rescore()
    for response, twin, before in zip(ids, twins, recorded, strict=True):
        answer = await clinic.people.clinician.http.get(f"/v1/responses/{response}")
        shown, same = answer.json(), json.loads(await clinic.read(f"/v1/responses/{twin}"))
        for name in ("version", "variant", "scores", "caseness", "flags", "needs_review", "skipped", "provenance"):
            assert shown[name] == same[name], name
        assert shown["alerts"] == json.loads(before)["alerts"]
        path = f"/v1/responses/{response}/versions/1"
        assert shown["rescoring"] == {
            "id": run["id"],
            "applied_at": run["applied_at"],
            "recorded_version": 1,
            "recorded": path,
        }
        original = await clinic.read(path)
        assert original.startswith(before[: before.index(b',"status":"completed","revision"')]), "byte for byte"
        by_run = json.loads(await clinic.read(path, rescoring=run["id"]))
        common = by_run.keys() & shown.keys()
        assert {name: by_run[name] for name in common} == {name: shown[name] for name in common}
        assert answer.headers["etag"] == f'"1.{run["id"]}"'


async def test_the_history_lists_each_set_of_scores_and_says_which_counts(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    (response,) = await clinic.record(person, FORMS[1])
    path = f"/v1/responses/{response}/versions"
    first = await clinic.rescore()

    async def scorings() -> list[tuple[Any, ...]]:
        (version,) = json.loads(await clinic.read(path))["versions"]
        return [(one["rescoring"], one["version"], one["definition"], one["current"]) for one in version["scorings"]]

    recorded = (None, 1, SWAY_1.checksum)
    assert await scorings() == [(*recorded, False), (first["id"], 2, SWAY_2.checksum, True)]
    await clinic.act(first["id"], "withdraw", reason="the manual was right")
    assert await scorings() == [(*recorded, True), (first["id"], 2, SWAY_2.checksum, False)]
    answer = await clinic.people.clinician.http.get(f"{path}/1", params={"rescoring": first["id"]})
    assert answer.json()["version"] == 2, "what was withdrawn is still readable"
    unknown = await clinic.people.clinician.http.get(f"{path}/1", params={"rescoring": person})
    problem(unknown, 404, "not-found")


async def test_progress_lists_and_explanations_go_by_the_current_scores(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS)
    await clinic.record(person, FORMS[0], version=2)
    assert [point[2] for point in (await progress(clinic, person))["total"]][1] is False, "versions do not mix"
    await clinic.rescore()
    found = await progress(clinic, person)
    assert [point[:2] for point in sorted(found["total"], key=str)] == sorted(
        [(2, 3.0), (2, 4.0), (2, 8.0), (2, 5.0), (2, 4.5), (2, None), (2, 3.0)], key=str
    )
    assert sum(point[2] for point in found["total"]) == 5, "all but the one held back and the one without a value"
    assert len(found["half"]) == 7
    assert {version for version, _ in await listed(clinic, person)} == {2}
    explained = json.loads(await clinic.read(f"/v1/responses/{ids[1]}/explain"))
    assert (explained["version"], explained["provenance"]["definition"]) == (2, SWAY_2.checksum)
    original = json.loads(await clinic.read(f"/v1/responses/{ids[1]}/explain", revision=1))
    assert (original["version"], original["provenance"]["definition"]) == (1, SWAY_1.checksum)


async def test_as_of_before_a_run_everything_is_as_it_was_byte_for_byte(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    await clinic.record(person, FORMS[1], version=2)
    paths = [f"/v1/clients/{person}/progress", f"/v1/clients/{person}/responses"]
    before_run = await clinic.now()
    given = [await clinic.read(path, as_of=before_run) for path in paths]
    run = await clinic.rescore()
    between = await clinic.now()
    rescored = [await clinic.read(path, as_of=between) for path in paths]
    assert [await clinic.read(path, as_of=before_run) for path in paths] == given
    assert rescored != given
    await clinic.act(run["id"], "withdraw", reason="the manual was right")
    assert [await clinic.read(path, as_of=before_run) for path in paths] == given
    assert [await clinic.read(path, as_of=between) for path in paths] == rescored
    now = await clinic.now()
    assert await listed(clinic, person, as_of=now) == await listed(clinic, person, as_of=before_run)
    assert await progress(clinic, person, as_of=now) == await progress(clinic, person, as_of=before_run)


async def test_the_run_that_was_applied_last_goes_before_the_others(clinic: Clinic) -> None:
    await clinic.publish(sway(3, alerts=[]), sway(4, alerts=[], validity=[]))
    person = await clinic.people.ehr.client()
    await clinic.record(person, FORMS[3])
    first = await clinic.rescore()
    second = await clinic.rescore(from_version=2, to_version=4)
    assert (first["done"], second["done"]) == (1, 1)
    assert (second["report"]["scales"]["total"]["released"], second["report"]["changed"]) == (1, 1)
    assert await listed(clinic, person) == [(4, 5.0)]
    assert (await clinic.rescore(from_version=1, to_version=3))["done"] == 0, "it counts by version 4 now"
    await clinic.act(second["id"], "withdraw", reason="too early")
    assert await listed(clinic, person) == [(2, 5.0)]
    await clinic.act(first["id"], "withdraw", reason="too early as well")
    assert await listed(clinic, person) == [(1, 6.0)]
    assert (await progress(clinic, person))["total"] == [(1, 6.0, True)]
    assert (await clinic.rescore(from_version=1, to_version=3))["done"] == 1


async def test_an_amendment_goes_by_the_current_version_and_by_the_current_tag(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    (response,) = await clinic.record(person, FORMS[0])
    run = await clinic.rescore()
    problem(await correct(clinic.people.ehr, response, answers=FORMS[1]), 412, "precondition-failed")
    amended = await correct(clinic.people.ehr, response, match=f'"1.{run["id"]}"', answers=FORMS[1])
    assert amended.status_code == 200, amended.text
    assert (amended.json()["version"], amended.json()["rescoring"]) == (2, None)
    assert await listed(clinic, person) == [(2, 4.0)]
    history = json.loads(await clinic.read(f"/v1/clients/{person}/responses", history="true"))["items"]
    assert [(one["revision"], one["current"], one["rescoring"] is None) for one in history] in (
        [(2, True, True), (1, False, False)],
        [(1, False, False), (2, True, True)],
    )


async def test_where_the_definition_is_no_longer_what_the_run_scored_by_nothing_is_read_into_its_scores(
    clinic: Clinic,
) -> None:
    person = await clinic.people.ehr.client()
    (response,) = await clinic.record(person, FORMS[1])
    run = await clinic.rescore()
    await clinic.superuser.execute(
        "update rescoring set to_checksum = repeat('1', 64) where organisation_id = $1", clinic.tenant.id
    )
    shown = json.loads(await clinic.read(f"/v1/responses/{response}"))
    total = shown["scores"]["total"]
    assert (total["value"], total["status"], total["valid"], total["answered"]) == (4.0, "complete", True, 3)
    assert (total["band"], total["cutoffs"], shown["provenance"]["definition"]) == (None, [], "1" * 64)
    assert shown["rescoring"]["id"] == run["id"]


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_research_counts_each_response_once_by_its_current_version(clinic: Clinic, withdrawn: bool) -> None:
    for number in range(12):
        person = await clinic.people.ehr.client(research_consent=True)
        await clinic.record(person, FORMS[number % 2])
    run = await clinic.rescore()
    if withdrawn:
        await clinic.act(run["id"], "withdraw", reason="too early")

    async def people(version: int) -> list[float]:
        from api.research.repository import ResearchRepository

        async with clinic.database.session(clinic.tenant.id) as session:
            found = await ResearchRepository(session, clinic.tenant.id).person_years(
                instrument=CODE, version=version, variant=SWAY_1.variant_ids[0], earliest=2000, this_year=2026
            )
        return sorted(one.value for one in found if one.scale == "total")

    old, new = sorted([0.0, 7.0] * 6), sorted([3.0, 4.0] * 6)
    assert (await people(1), await people(2)) == ((old, []) if withdrawn else ([], new))
