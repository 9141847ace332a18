"""Progress never mixes versions that are not comparable; what it leaves out it says, with the reason."""

from __future__ import annotations

from typing import Any

from tests.api.people import People
from tests.authoring.definitions import lamp
from tests.authoring.test_lifecycle import PATH, published

WHY = {"why": "only the name changed", "source": "invented", "evidence": "derived"}
BEST, WORST = {"1": 3, "2": 3, "3": 0}, {"1": 0, "2": 0, "3": 3}


async def answered(people: People, client_id: str, *given: tuple[int, int, dict[str, int]]) -> None:
    """Forms as (day, version, answers)."""
    for day, version, answers in given:
        answer = await people.ehr.respond(
            client_id,
            instrument="own-lamp",
            version=version,
            answers=answers,
            answered_at=f"2026-03-{day:02}T10:00:00Z",
        )
        assert answer.status_code == 201, answer.text


async def series(people: People, client_id: str, query: str = "") -> dict[str, Any]:
    answer = await people.clinician.http.get(f"/v1/clients/{client_id}/progress?instrument=own-lamp{query}")
    (found,) = answer.json()["series"]
    one: dict[str, Any] = found
    return one


def used(found: dict[str, Any]) -> list[tuple[int, bool, str | None]]:
    return [(point["version"], point["used"], point["reason"]) for point in found["points"]]


async def test_an_undeclared_version_is_left_out_and_said(people: People) -> None:
    await published(people.admin)
    await published(people.admin, version=2)
    client_id = await people.ehr.client()
    await answered(people, client_id, (1, 1, WORST), (2, 2, WORST), (3, 2, BEST))
    found = await series(people, client_id)
    assert found["version"] == 2
    assert used(found) == [(1, False, "other-version"), (2, True, None), (2, True, None)]
    assert [(one["reason"], one["measurements"]) for one in found["left_out"]] == [("other-version", 1)]
    assert found["baseline"]["answered_at"] == "2026-03-02T10:00:00Z"


async def test_a_declared_one_is_taken_in_whichever_came_first(people: People) -> None:
    await published(people.admin)
    await published(people.admin, version=2, comparable_with=[{"version": 1, **WHY}])
    forwards, backwards = await people.ehr.client(), await people.ehr.client()
    await answered(people, forwards, (1, 1, WORST), (2, 2, BEST))
    await answered(people, backwards, (1, 2, WORST), (2, 1, BEST))
    for client_id, judging in ((forwards, 2), (backwards, 1)):
        found = await series(people, client_id)
        assert found["version"] == judging
        assert all(point["used"] for point in found["points"])
        assert (found["left_out"], found["change"]["from_baseline"]["points"]) == ([], 1.8)
        picture = await people.clinician.http.get(
            f"/v1/clients/{client_id}/progress.vl.json?instrument=own-lamp&scale=ease"
        )
        assert picture.status_code == 200


async def test_it_is_not_carried_on_to_a_third(people: People) -> None:
    await published(people.admin)
    await published(people.admin, version=2, comparable_with=[{"version": 1, **WHY}])
    await published(people.admin, version=3, comparable_with=[{"version": 2, **WHY}])
    client_id = await people.ehr.client()
    await answered(people, client_id, (1, 1, WORST), (2, 2, WORST), (3, 3, BEST))
    found = await series(people, client_id)
    assert used(found) == [(1, False, "other-version"), (2, True, None), (3, True, None)]
    await published(people.admin, version=4, comparable_with=[{"version": number, **WHY} for number in (1, 2, 3)])
    await answered(people, client_id, (4, 4, BEST))
    assert all(point["used"] for point in (await series(people, client_id))["points"])


async def test_a_version_that_nobody_answered_changes_nothing(people: People) -> None:
    await published(people.admin)
    client_id = await people.ehr.client()
    await answered(people, client_id, (1, 1, WORST), (2, 1, BEST))
    before = await series(people, client_id)
    await published(people.admin, version=2)
    await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire")
    assert await series(people, client_id) == before


async def test_a_scale_that_only_the_other_version_has(people: People) -> None:
    await published(people.admin)
    second = lamp(version=2)["scales"]
    second[0]["id"] = "calm"
    progress = [lamp()["progress"][0] | {"scale": "calm"}]
    answer = await people.admin.http.post(
        PATH,
        json={
            "definition": lamp(version=2, scales=second, progress=progress),
            "golden": [{"name": "a", "answers": BEST, "scores": {"calm": 1.8}}],
        },
    )
    tag = {"If-Match": answer.headers["etag"]}
    assert (await people.admin.http.post(f"{PATH}/own-lamp/versions/2/publish", headers=tag)).status_code == 201
    client_id = await people.ehr.client()
    await answered(people, client_id, (1, 1, WORST), (2, 2, BEST))
    found = await series(people, client_id)
    assert (found["scale"], used(found)) == ("calm", [(2, True, None)])
