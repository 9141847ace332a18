"""Goals over HTTP: what is taken and refused, what stays sealed, and how ratings are put right."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from api.clients.texts import LONGEST_TEXT
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant

LEVELS: dict[str, Any] = {
    "kind": "levels",
    "wording": "Sentinel: an evening a week together",
    "levels": [f"Sentinel level {level}" for level in range(-2, 3)],
    "weight": 4,
    "baseline": -1,
    "set_on": "2026-01-12",
}
TARGET: dict[str, Any] = {
    "kind": "target",
    "wording": "Sentinel: tension",
    "target": 3,
    "baseline": 8,
    "set_on": "2026-01-12",
}
MATCH = {"If-Match": "*"}


def of(client_id: str, *more: str) -> str:
    return "/".join((f"/v1/clients/{client_id}/goals", *more))


async def made(person: Person, client_id: str, body: dict[str, Any], **members: Any) -> dict[str, Any]:
    answer = await person.http.post(of(client_id), json=body | members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def rated(
    person: Person, goal: dict[str, Any], value: int | None, day: str | None, **more: Any
) -> dict[str, Any]:
    members = {"value": value, "rated_on": day, **more}
    answer = await person.http.post(of(goal["client_id"], goal["id"], "ratings"), json=members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def progress(person: Person, client_id: str) -> dict[str, Any]:
    answer = await person.http.get(of(client_id, "progress"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestCreate:
    @pytest.mark.parametrize("body", [LEVELS, TARGET], ids=["levels", "target"])
    async def test_everything(self, ehr: Person, body: dict[str, Any]) -> None:
        client = await ehr.client()
        answer = await ehr.http.post(of(client), json=body)
        goal = answer.json()
        assert answer.status_code == 201, answer.text
        assert (answer.headers["location"], answer.headers["etag"]) == (of(client, goal["id"]), '"1"')
        nothing = dict.fromkeys(("levels", "weight", "target", "dropped_on", "drop_reason"))
        times = {"created_at": goal["created_at"], "updated_at": goal["created_at"]}
        assert goal == nothing | body | times | {"id": goal["id"], "client_id": client, "version": 1}
        again = await ehr.http.get(of(client, goal["id"]))
        assert (again.json(), again.headers["etag"]) == (goal, '"1"')
        assert (await ehr.http.get(of(client))).json()["items"] == [goal]

    async def test_weights_alike_unless_said(self, ehr: Person) -> None:
        body = {name: value for name, value in LEVELS.items() if name != "weight"}
        assert (await made(ehr, await ehr.client(), body))["weight"] == 1

    async def test_words_lie_sealed(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        row = await superuser.fetchrow("select * from goal where id = $1", uuid.UUID(goal["id"]))
        assert row is not None
        assert "entinel" not in str(dict(row))
        other = await made(ehr, goal["client_id"], LEVELS)
        sealed = await superuser.fetchval("select words_sealed from goal where id = $1", uuid.UUID(other["id"]))
        assert sealed != row["words_sealed"], "the same words look different"
        await superuser.execute("update goal set words_sealed = $1 where id = $2", sealed, row["id"])
        problem(await ehr.http.get(of(goal["client_id"], goal["id"])), 500, "internal-error")

    @pytest.mark.parametrize(
        ("body", "members", "expected"),
        [
            (LEVELS, {"kind": "wish"}, [("/kind", "literal-error")]),
            (LEVELS, {"wording": " \n"}, [("/wording", "length")]),
            (LEVELS, {"wording": "x" * (LONGEST_TEXT + 1)}, [("/wording", "length")]),
            (LEVELS, {"wording": "Sentinel\x07"}, [("/wording", "control-character")]),
            (LEVELS, {"wording": 5}, [("/wording", "string-type")]),
            (LEVELS, {"levels": None}, [("/levels", "missing")]),
            (LEVELS, {"levels": ["Sentinel"] * 4}, [("/levels", "too-short")]),
            (LEVELS, {"levels": ["Sentinel"] * 6}, [("/levels", "too-long")]),
            (LEVELS, {"levels": ["a", "", "c", "d", "e"]}, [("/levels/1", "length")]),
            (LEVELS, {"weight": 11}, [("/weight", "less-than-equal")]),
            (LEVELS, {"weight": -1}, [("/weight", "greater-than-equal")]),
            (LEVELS, {"weight": 1.5}, [("/weight", "int-type")]),
            (LEVELS, {"baseline": 3}, [("/baseline", "out-of-range")]),
            (LEVELS, {"baseline": -3}, [("/baseline", "greater-than-equal")]),
            (LEVELS, {"baseline": None}, [("/baseline", "int-type")]),
            (LEVELS, {"baseline": True}, [("/baseline", "int-type")]),
            (LEVELS, {"target": 3}, [("/target", "of-another-kind")]),
            (LEVELS, {"set_on": "2999-01-01"}, [("/set_on", "day-implausible")]),
            (LEVELS, {"dropped_on": "2026-02-01"}, [("/dropped_on", "extra-forbidden")]),
            (TARGET, {"target": None}, [("/target", "missing")]),
            (TARGET, {"target": 11}, [("/target", "less-than-equal")]),
            (TARGET, {"target": 8}, [("/target", "at-the-start")]),
            (TARGET, {"baseline": -1}, [("/baseline", "out-of-range")]),
            (TARGET, {"weight": 1}, [("/weight", "of-another-kind")]),
            (TARGET, {"levels": ["a"] * 5}, [("/levels", "of-another-kind")]),
        ],
    )
    async def test_refused(
        self, ehr: Person, body: dict[str, Any], members: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        client = await ehr.client()
        answer = await ehr.http.post(of(client), json=body | members)
        assert faults(answer) == expected
        assert "entinel" not in answer.text
        assert (await ehr.http.get(of(client))).json()["items"] == []


class TestChange:
    async def test_until_it_is_rated(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        path = of(goal["client_id"], goal["id"])
        changes = {"wording": "another", "weight": 2, "baseline": -2, "set_on": "2026-01-13"}
        after = (await ehr.http.patch(path, json=changes, headers=MATCH)).json()
        assert after == goal | changes | {"version": 2, "updated_at": after["updated_at"]}
        same = await ehr.http.patch(path, json=changes, headers=MATCH)
        assert (same.json(), same.headers["etag"]) == (after, '"2"')
        rating = await rated(ehr, goal, 0, "2026-02-01")
        for name, value in (LEVELS | {"levels": ["x"] * 5}).items():
            if name != "kind":
                answer = await ehr.http.patch(path, json={name: value}, headers=MATCH)
                assert faults(answer) == [(f"/{name}", "rated")]
        await rated(ehr, goal, None, None, corrects=rating["id"])
        assert (await ehr.http.patch(path, json={"weight": 3}, headers=MATCH)).status_code == 200, "it was an error"

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"wording": None}, [("/wording", "not-cleared")]),
            ({"kind": "target"}, [("/kind", "extra-forbidden")]),
            ({"target": 3}, [("/target", "of-another-kind")]),
            ({"baseline": 5}, [("/baseline", "out-of-range")]),
            ({"dropped_on": "2026-02-01"}, [("/drop_reason", "missing")]),
            ({"drop_reason": "replaced"}, [("/dropped_on", "missing")]),
            ({"dropped_on": "2026-02-01", "drop_reason": "bored"}, [("/drop_reason", "unknown-code")]),
            ({"dropped_on": "2026-01-11", "drop_reason": "replaced"}, [("/dropped_on", "days-out-of-order")]),
            ({"dropped_on": "2999-01-01", "drop_reason": "replaced"}, [("/dropped_on", "day-implausible")]),
        ],
    )
    async def test_refused(self, ehr: Person, members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        path = of(goal["client_id"], goal["id"])
        assert faults(await ehr.http.patch(path, json=members, headers=MATCH)) == expected
        assert (await ehr.http.get(path)).json() == goal

    async def test_dropped_and_taken_up_again(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        path = of(goal["client_id"], goal["id"])
        await rated(ehr, goal, 0, "2026-02-01")
        early = {"dropped_on": "2026-01-31", "drop_reason": "replaced"}
        assert faults(await ehr.http.patch(path, json=early, headers=MATCH)) == [("/dropped_on", "before-last-rating")]
        drop = {"dropped_on": "2026-02-10", "drop_reason": "out-of-reach"}
        assert (await ehr.http.patch(path, json=drop, headers=MATCH)).json()["dropped_on"] == "2026-02-10"
        late = await ehr.http.post(f"{path}/ratings", json={"value": 1, "rated_on": "2026-02-11"})
        assert faults(late) == [("/rated_on", "after-dropped")]
        again = await ehr.http.patch(path, json=dict.fromkeys(drop), headers=MATCH)
        assert again.json() == goal | {"version": 3, "updated_at": again.json()["updated_at"]}

    async def test_the_version_that_is_meant_has_to_be_said(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        path = of(goal["client_id"], goal["id"])
        problem(await ehr.http.patch(path, json={"weight": 1}), 428, "precondition-required")
        held = {"If-Match": '"1"'}
        answers = await asyncio.gather(*(ehr.http.patch(path, json={"weight": n}, headers=held) for n in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


class TestRatings:
    async def test_corrected_by_others(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        first = await rated(ehr, goal, 2, "2026-02-01")
        second = await rated(ehr, goal, 1, "2026-02-01")
        third = await rated(ehr, goal, -1, None, corrects=first["id"])
        assert third["rated_on"] == "2026-02-01"
        listed = (await ehr.http.get(of(goal["client_id"], goal["id"], "ratings"))).json()["items"]
        assert [(one["id"], one["current"]) for one in listed] == [
            (first["id"], False), (second["id"], True), (third["id"], True)
        ]  # fmt: skip
        (series,) = (await progress(ehr, goal["client_id"]))["goals"]
        assert [one["value"] for one in series["ratings"]] == [-1, 1], (
            "a correction takes the place of what it corrects"
        )
        taken_back = await rated(ehr, goal, None, None, corrects=second["id"])
        assert (taken_back["value"], taken_back["current"]) == (None, False)
        (series,) = (await progress(ehr, goal["client_id"]))["goals"]
        assert [one["value"] for one in series["ratings"]] == [-1]
        await rated(ehr, goal, 0, "2026-02-03", corrects=taken_back["id"])
        (series,) = (await progress(ehr, goal["client_id"]))["goals"]
        assert [(one["rated_on"], one["value"]) for one in series["ratings"]] == [("2026-02-01", -1), ("2026-02-03", 0)]

    async def test_of_two_corrections_at_once_one_is_kept(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), LEVELS)
        rating = await rated(ehr, goal, 2, "2026-02-01")
        path = of(goal["client_id"], goal["id"], "ratings")
        answers = await asyncio.gather(
            *(ehr.http.post(path, json={"value": n, "corrects": rating["id"]}) for n in range(3))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
        refused = next(answer for answer in answers if answer.status_code == 422)
        assert faults(refused) == [("/corrects", "already-corrected")]

    @pytest.mark.parametrize(
        ("body", "members", "expected"),
        [
            (LEVELS, {}, [("/value", "missing")]),
            (LEVELS, {"value": 1}, [("/rated_on", "missing")]),
            (LEVELS, {"value": 3, "rated_on": "2026-02-01"}, [("/value", "out-of-range")]),
            (LEVELS, {"value": -3, "rated_on": "2026-02-01"}, [("/value", "greater-than-equal")]),
            (LEVELS, {"value": "1", "rated_on": "2026-02-01"}, [("/value", "int-type")]),
            (LEVELS, {"value": 0.5, "rated_on": "2026-02-01"}, [("/value", "int-type")]),
            (LEVELS, {"value": 1, "rated_on": "2026-01-11"}, [("/rated_on", "before-set")]),
            (LEVELS, {"value": 1, "rated_on": "2999-01-01"}, [("/rated_on", "day-implausible")]),
            (LEVELS, {"value": 1, "rated_on": "2026-02-01", "corrects": str(uuid.UUID(int=0))},
             [("/corrects", "unknown-rating")]),
            (LEVELS, {"value": 1, "rated_on": "2026-02-01", "note": "Sentinel"}, [("/note", "extra-forbidden")]),
            (TARGET, {"value": -1, "rated_on": "2026-02-01"}, [("/value", "out-of-range")]),
            (TARGET, {"value": 11, "rated_on": "2026-02-01"}, [("/value", "less-than-equal")]),
        ],
    )  # fmt: skip
    async def test_refused(
        self, ehr: Person, body: dict[str, Any], members: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        goal = await made(ehr, await ehr.client(), body)
        path = of(goal["client_id"], goal["id"], "ratings")
        assert faults(await ehr.http.post(path, json=members)) == expected
        assert (await ehr.http.get(path)).json()["items"] == []

    async def test_another_goals_rating_is_unknown(self, ehr: Person) -> None:
        client = await ehr.client()
        one, other = await made(ehr, client, LEVELS), await made(ehr, client, LEVELS)
        rating = await rated(ehr, other, 1, "2026-02-01")
        answer = await ehr.http.post(of(client, one["id"], "ratings"), json={"value": 1, "corrects": rating["id"]})
        assert faults(answer) == [("/corrects", "unknown-rating")]

    async def test_page_by_page(self, ehr: Person) -> None:
        goal = await made(ehr, await ehr.client(), TARGET)
        every = [await rated(ehr, goal, n, "2026-02-01") for n in range(5)]
        found: list[dict[str, Any]] = []
        path: str | None = of(goal["client_id"], goal["id"], "ratings?limit=2")
        while path is not None:
            answer = await ehr.http.get(path)
            found += answer.json()["items"]
            path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else None
        assert found == every


class TestProgress:
    async def test_over_time(self, ehr: Person) -> None:
        client = await ehr.client()
        one, two = await made(ehr, client, LEVELS, weight=1), await made(ehr, client, LEVELS, weight=1)
        calm = await made(ehr, client, TARGET)
        await rated(ehr, one, 0, "2026-02-01")
        await rated(ehr, two, 0, "2026-02-08")
        await rated(ehr, calm, 4, "2026-02-01")
        drop = {"dropped_on": "2026-02-15", "drop_reason": "replaced"}
        await ehr.http.patch(of(client, two["id"]), json=drop, headers=MATCH)
        found = await progress(ehr, client)
        assert found["client_id"] == client
        assert [(p["day"], p["t"], p["t_baseline"], p["change"], p["status"]) for p in found["attainment"]] == [
            ("2026-02-01", 50.0, 40.0, 10.0, "prorated"),
            ("2026-02-08", 50.0, 37.5965265411, 12.4034734589, "complete"),
            ("2026-02-15", 50.0, 40.0, 10.0, "complete"),
        ]
        assert [p["unrated"] for p in found["attainment"]] == [[two["id"]], [], []]
        assert [p["dropped"] for p in found["attainment"]] == [[], [], [two["id"]]]
        assert [(g["goal_id"], g["change"], g["reached"]) for g in found["goals"]] == [
            (one["id"], 1, True), (two["id"], 1, True), (calm["id"], -4, False)
        ]  # fmt: skip
        await rated(ehr, calm, 2, "2026-02-09")
        assert (await progress(ehr, client))["goals"][2]["reached"] is True
        assert "entinel" not in str(found), "words are not needed for it"

    async def test_change_since_the_first_rating(self, ehr: Person) -> None:
        client = await ehr.client()
        one, two = await made(ehr, client, LEVELS, weight=1), await made(ehr, client, LEVELS, weight=1)
        calm, firm = await made(ehr, client, TARGET), await made(ehr, client, TARGET)
        for goal, ratings in ((one, (-1, 0, 1)), (two, (0, 0)), (calm, (9, 6, 4))):
            for week, value in enumerate(ratings):
                await rated(ehr, goal, value, f"2026-02-{1 + 7 * week:02}")
        found = await progress(ehr, client)
        assert [(p["t"], p["t_first"], p["change_from_first"]) for p in found["attainment"]] == [
            (43.7982632705, 43.7982632705, 0.0),  # -1 and 0: 50 - 10 / sqrt(0.7 x 2 + 0.3 x 4)
            (50.0, 43.7982632705, 6.2017367295),
            (56.2017367295, 43.7982632705, 12.4034734589),
        ]
        of_goal = {each["goal_id"]: each for each in found["goals"]}
        assert (of_goal[one["id"]]["change"], of_goal[one["id"]]["change_from_first"]) == (2, 2)
        assert of_goal[one["id"]]["way"] is None
        # from 8 at the start to 3: 4 is four fifths of the way
        told = of_goal[calm["id"]]
        assert (told["baseline"], told["target"], told["change_from_first"]) == (8, 3, -5)
        assert told["way"] == pytest.approx(4 / 5)
        assert (of_goal[firm["id"]]["change_from_first"], of_goal[firm["id"]]["way"]) == (None, None)

    async def test_words_only_where_they_are_asked_for(self, people: People) -> None:
        client = await people.ehr.client()
        one = await made(people.ehr, client, LEVELS)
        await made(people.ehr, client, TARGET)
        for person, query, told in ((people.ehr, "", False), (people.ehr, "?wording=false", False),
                                    (people.clinician, "?wording=true", True)):  # fmt: skip
            found = (await person.http.get(of(client, f"progress{query}"))).json()
            assert ("entinel" in str(found)) == told
            words = [LEVELS["wording"], TARGET["wording"]] if told else [None, None]
            assert [goal["wording"] for goal in found["goals"]] == words
            assert found["goals"][0]["levels"] == (one["levels"] if told else None)
            assert found["goals"][1]["levels"] is None
        assert faults(await people.ehr.http.get(of(client, "progress?wording=perhaps"))) == [
            ("wording", "bool-parsing")
        ]
        problem(await people.elsewhere.http.get(of(client, "progress?wording=true")), 404, "not-found")

    async def test_nothing_yet(self, ehr: Person) -> None:
        client = await ehr.client()
        found = await progress(ehr, client)
        assert (found["attainment"], found["goals"]) == ([], [])
        goal = await made(ehr, client, TARGET)
        found = await progress(ehr, client)
        assert found["attainment"] == []
        assert [(g["goal_id"], g["ratings"], g["change"], g["reached"]) for g in found["goals"]] == [
            (goal["id"], [], None, None)
        ]
        problem(await ehr.http.get(of(str(uuid.uuid4()), "progress")), 404, "not-found")


class TestAccess:
    async def test_a_goal_is_found_under_its_own_client_only(self, people: People) -> None:
        goal = await made(people.ehr, await people.ehr.client(), LEVELS)
        path = of(await people.ehr.client(), goal["id"])
        problem(await people.ehr.http.get(path), 404, "not-found")
        problem(await people.ehr.http.patch(path, json={"weight": 1}, headers=MATCH), 404, "not-found")
        problem(await people.ehr.http.get(f"{path}/ratings"), 404, "not-found")
        problem(await people.elsewhere.http.get(of(goal["client_id"], goal["id"])), 404, "not-found")
        problem(await people.researcher.http.get(of(goal["client_id"])), 403, "forbidden")
        assert (await people.clinician.http.get(of(goal["client_id"]))).json()["items"] == [goal]

    async def test_audit_trail(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        goal = await made(people.ehr, await people.ehr.client(), LEVELS)
        client = goal["client_id"]
        await rated(people.ehr, goal, 0, "2026-02-01")
        await people.ehr.http.post(of(client, goal["id"], "ratings"), json={"value": 1})
        await people.clinician.http.get(of(client, goal["id"]))
        await people.clinician.http.get(of(client, goal["id"], "ratings"))
        await people.clinician.http.get(of(client, "progress"))
        await people.ehr.http.patch(of(client, goal["id"]), json={"weight": 1})
        rows = await superuser.fetch(
            "select action, resource, resource_id, outcome from audit_event where organisation_id = $1"
            " and (action, resource) <> ('create', 'client') order by id",
            tenant.id,
        )
        one, whose = uuid.UUID(goal["id"]), uuid.UUID(client)
        assert [tuple(row) for row in rows] == [
            ("create", "goal", one, "done"),
            ("rate", "goal", one, "done"),
            ("rate", "goal", one, "refused"),
            ("read", "goal", one, "done"),
            ("list-ratings", "goal", one, "done"),
            ("read-goal-progress", "client", whose, "done"),
            ("change", "goal", one, "stale"),
        ]
