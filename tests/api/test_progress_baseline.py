"""What progress is measured from and by: `baseline`, `method`, `include`; and the episodes of a client."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.api.people import People, Person, faults, problem
from tests.api.test_progress import START, all_answers, answered, path, series

METHODS = ("jacobson-truax", "gulliksen-lord-novick", "edwards-nunnally", "nunnally-kotsch")


def day(number: int) -> str:
    return str((START + timedelta(days=number)).date())


async def episode(person: Person, client_id: str, *, start: int, end: int | None = None) -> str:
    body: dict[str, Any] = {"started_on": day(start), "format": "individual"}
    if end is not None:
        body |= {"ended_on": day(end), "end_reason": "completed"}
    answer = await person.http.post(f"/v1/clients/{client_id}/episodes", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def total(person: Person, client_id: str, **query: Any) -> dict[str, Any]:
    (found,) = await series(person, client_id, instrument="fsfi", scale="total", **query)
    return found


async def treated(person: Person) -> tuple[str, str, list[str]]:
    """A client with two answers before an episode, two in it, and one after that belongs to none."""
    client_id = await person.client()
    before = await answered(person, client_id, (0, all_answers(2)), (7, all_answers(3)))
    care = await episode(person, client_id, start=10, end=60)
    within = await answered(person, client_id, (14, all_answers(4)), (40, all_answers(5)), episode_id=care)
    after = await answered(person, client_id, (90, all_answers(3)))
    return client_id, care, [*before, *within, *after]


class TestEpisodes:
    async def test_each_point_says_its_episode_and_the_document_their_dates(self, people: People) -> None:
        client_id, care, ids = await treated(people.clinician)
        held = {"held_at": (START + timedelta(days=14)).isoformat(), "attendance": "attended"}
        missed = {"held_at": (START + timedelta(days=12)).isoformat(), "attendance": "missed"}
        for body in (held, missed):
            answer = await people.clinician.http.post(f"/v1/clients/{client_id}/episodes/{care}/sessions", json=body)
            assert answer.status_code == 201, answer.text
        answer = await people.clinician.http.get(path(client_id, instrument="fsfi", scale="total"))
        assert answer.json()["episodes"] == [
            {"id": care, "started_on": day(10), "ended_on": day(60), "format": "individual", "modality": None,
             "first_session_at": "2026-01-19T09:00:00Z", "sessions": 1}
        ]  # fmt: skip
        points = answer.json()["series"][0]["points"]
        assert [point["response_id"] for point in points] == ids
        assert [point["episode_id"] for point in points] == [None, None, care, care, None]

    async def test_of_an_episode_only_its_answers(self, people: People) -> None:
        client_id, care, ids = await treated(people.clinician)
        found = await total(people.clinician, client_id, episode=care)
        assert [point["response_id"] for point in found["points"]] == ids[2:4]
        assert found["baseline"]["response_id"] == ids[2]

    async def test_an_episode_made_later_is_not_there_as_of_then(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await episode(ehr, client_id, start=0)
        earlier = await ehr.http.get(path(client_id, as_of="2026-01-01T00:00:00Z"))
        assert earlier.json()["episodes"] == []


class TestBaseline:
    async def test_the_last_before_the_newest_episode(self, people: People) -> None:
        client_id, _, ids = await treated(people.clinician)
        found = await total(people.clinician, client_id, baseline="last-before-episode")
        assert found["baseline"]["response_id"] == ids[1]
        assert [point["change"] is None for point in found["points"]] == [True, True, False, False, False]
        assert [point["used"] for point in found["points"]] == [True] * 5
        assert found["change"]["from_baseline"]["since"] == found["points"][1]["answered_at"]

    async def test_the_last_before_an_episode_that_is_asked_for(self, people: People) -> None:
        client_id, care, ids = await treated(people.clinician)
        newer = await episode(people.clinician, client_id, start=80)
        found = await total(people.clinician, client_id, baseline="last-before-episode")
        assert found["baseline"]["response_id"] == ids[3], "before the newest"
        found = await total(people.clinician, client_id, baseline="last-before-episode", episode=care)
        assert found["baseline"]["response_id"] == ids[1]
        assert [point["response_id"] for point in found["points"]] == ids[:4], "nothing from after it"
        found = await total(people.clinician, client_id, baseline="last-before-episode", episode=newer)
        assert found["baseline"]["response_id"] == found["last"]["response_id"] == ids[3]
        assert found["change"]["from_baseline"]["code"] == "nothing-after-baseline"

    async def test_without_one_it_says_why(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (7, all_answers(3)))
        found = await total(ehr, client_id, baseline="last-before-episode")
        assert (found["baseline"], found["band"]) == (None, None)
        assert found["change"]["from_baseline"]["code"] == found["percentage"]["code"] == "no-episode"
        assert found["change"]["from_previous"]["available"]
        await episode(ehr, client_id, start=0)
        found = await total(ehr, client_id, baseline="last-before-episode")
        assert found["change"]["from_baseline"]["code"] == "no-measurement-before-episode"

    async def test_a_response(self, people: People) -> None:
        client_id, care, ids = await treated(people.clinician)
        found = await total(people.clinician, client_id, baseline=ids[2])
        assert found["baseline"]["response_id"] == ids[2]
        # 4 to 3 in every item: 28.4 to 22.2 less than the first, which is 14.0
        assert found["change"]["from_baseline"]["points"] < 0
        found = await total(people.clinician, client_id, baseline=ids[0], episode=care)
        assert [point["response_id"] for point in found["points"]] == [ids[0], *ids[2:4]]
        assert found["baseline"]["response_id"] == ids[0]

    async def test_a_response_that_is_not_used_says_why(self, ehr: Person) -> None:
        client_id = await ehr.client()
        (first,) = await answered(ehr, client_id, (0, {"1": 3}))
        await answered(ehr, client_id, (7, all_answers(3)), (14, all_answers(4)))
        found = await total(ehr, client_id, baseline=first)
        assert found["change"]["from_baseline"]["code"] == "baseline-not-used"
        assert "no score" in found["change"]["from_baseline"]["detail"]

    @pytest.mark.parametrize("suffix", ["", ".svg", ".vl.json"])
    async def test_a_response_of_nobody_or_of_somebody_else(self, people: People, suffix: str) -> None:
        _, _, ids = await treated(people.clinician)
        other = await people.ehr.client()
        await answered(people.ehr, other, (0, all_answers(3)))
        for wrong in (ids[0], str(uuid.uuid4())):
            answer = await people.ehr.http.get(path(other, suffix, instrument="fsfi", baseline=wrong))
            assert faults(answer) == [("baseline", "unknown-response")]
            assert wrong not in answer.text.replace(str(answer.url), "")

    async def test_a_response_to_another_instrument(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answers = {str(item): 1 for item in range(1, 10)}
        (first,) = await answered(ehr, client_id, (0, answers), instrument="phq-9")
        await answered(ehr, client_id, (0, all_answers(3)))
        answer = await ehr.http.get(path(client_id, instrument="fsfi", baseline=first))
        assert faults(answer) == [("baseline", "unknown-response")]

    async def test_a_response_needs_its_instrument(self, ehr: Person) -> None:
        answer = await ehr.http.get(path(await ehr.client(), baseline=str(uuid.uuid4())))
        assert faults(answer) == [("instrument", "needed-with-baseline")]

    async def test_an_amended_response_keeps_its_id(self, people: People) -> None:
        client_id, _, ids = await treated(people.clinician)
        answer = await people.clinician.http.post(
            f"/v1/responses/{ids[1]}/amend", json={"answers": all_answers(1), "reason": "entry-error"},
            headers={"If-Match": '"1"', "Idempotency-Key": str(uuid.uuid4())},
        )  # fmt: skip
        assert answer.status_code in (200, 201), answer.text
        found = await total(people.clinician, client_id, baseline=ids[1])
        assert found["baseline"]["response_id"] == ids[1]
        assert found["points"][1]["amended"]

    async def test_an_episode_of_nobody(self, ehr: Person) -> None:
        client_id = await ehr.client()
        query = {"episode": str(uuid.uuid4()), "baseline": "last-before-episode"}
        problem(await ehr.http.get(path(client_id, **query)), 404, "not-found")

    async def test_pictures_are_of_the_same_baseline(self, people: People) -> None:
        client_id, _, ids = await treated(people.clinician)
        usual = await people.clinician.http.get(path(client_id, ".vl.json", instrument="fsfi", scale="total"))
        chosen = await people.clinician.http.get(
            path(client_id, ".vl.json", instrument="fsfi", scale="total", baseline=ids[2])
        )
        assert usual.json()["description"] != chosen.json()["description"]
        found = await total(people.clinician, client_id, baseline=ids[2])
        assert found["summary"] in chosen.json()["description"]


class TestMethod:
    async def test_each_names_itself_and_its_formula(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (14, all_answers(4)))
        found = {method: await total(ehr, client_id, method=method) for method in METHODS}
        assert {method: one["reliable_change"]["method"] for method, one in found.items()} == {m: m for m in METHODS}
        assert len({one["reliable_change"]["formula"] for one in found.values()}) == len(METHODS)
        assert len({one["change"]["from_baseline"]["rci"] for one in found.values()}) == len(METHODS)
        assert found["jacobson-truax"] == await total(ehr, client_id)
        assert found["edwards-nunnally"]["reliable_change"]["mean"]["norm"] == "sweden-low-desire-2015"
        assert len({str(one["detectable_change"]) for one in found.values()}) == 1

    @pytest.mark.parametrize(
        ("method", "code"),
        [
            ("hageman-arrindell", "no-moments-after"),
            ("hsu-linn-nord", "no-moments-after"),
            ("published-threshold", "no-published-threshold"),
        ],
    )
    async def test_what_cannot_be_had_for_one_person(self, ehr: Person, method: str, code: str) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (14, all_answers(4)))
        found = await total(ehr, client_id, method=method)
        assert (found["reliable_change"]["available"], found["reliable_change"]["code"]) == (False, code)
        change = found["change"]["from_baseline"]
        assert (change["rci"], change["p_value"], change["probability"], change["category"]) == (None,) * 4
        assert change["beyond_mdc_95"] is True, "error is known all the same"

    async def test_a_sample_may_be_named_for_it(self, ehr: Person) -> None:
        client_id = await ehr.client()
        answers = {str(item): 2 for item in range(1, 10)}
        await answered(ehr, client_id, (0, answers), (14, dict.fromkeys(answers, 1)), instrument="phq-9")
        (found,) = await series(ehr, client_id, instrument="phq-9", scale="total", method="edwards-nunnally")
        assert found["reliable_change"]["mean"]["norm"] == "usa-major-depression-2001"
        other = found["norms"][0]["others"][0]
        query = {"instrument": "phq-9", "scale": "total", "method": "edwards-nunnally", "norm": other}
        (found,) = await series(ehr, client_id, **query)
        assert found["reliable_change"]["mean"]["norm"] == other

    async def test_for_every_instrument_at_once(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (14, all_answers(4)))
        found = await series(ehr, client_id, method="hsu-linn-nord")
        assert {one["reliable_change"]["code"] for one in found} == {"no-moments-after"}


class TestAmounts:
    async def test_minimal_important_change_by_severity(self, ehr: Person) -> None:
        client_id = await ehr.client()
        low = {str(item): 2 if item in (1, 2, 3, 4, 5, 15) else 3 for item in range(1, 16)}
        high = low | dict.fromkeys(("1", "2", "3", "4", "5", "15"), 3)
        await answered(ehr, client_id, (0, low), (28, high), instrument="iief-15")
        (found,) = await series(ehr, client_id, instrument="iief-15", scale="erectile_function")
        amounts = {one["id"]: one for one in found["minimal_change"]["amounts"]}
        assert [one["id"] for one in amounts.values() if one["decides"]] == ["erectile-minimal-2011-moderate"]
        moderate = amounts["erectile-minimal-2011-moderate"]
        assert (moderate["value"], moderate["reached"]) == (5, "better"), "12 to 18"
        assert moderate["baseline"] == {"severity": "moderate", "at_least": 11, "at_most": 16, "evidence": "memory"}
        assert moderate["warnings"] == ["below-detectable-change"]
        assert found["change"]["from_baseline"]["category"] == "unchanged"
        assert (found["percentage"]["value"], found["percentage"]["minimum"]) == (pytest.approx(600 / 11), 1)


class TestParts:
    @pytest.mark.parametrize("parts", [["points"], ["trend"], ["expected"], ["points", "trend"]])
    async def test_only_what_is_asked_for(self, ehr: Person, parts: list[str]) -> None:
        client_id = await ehr.client()
        await answered(ehr, client_id, (0, all_answers(2)), (14, all_answers(4)), (28, all_answers(5)))
        whole, found = await total(ehr, client_id), await total(ehr, client_id, include=parts)
        members = {"points": ["points"], "trend": ["trend", "non_overlap", "milestones"]}
        for part, names in members.items():
            for name in names:
                assert found[name] == (whole[name] if part in parts else None)
        rest = {name for names in members.values() for name in names} | {"expected"}
        assert {k: v for k, v in found.items() if k not in rest} == {k: v for k, v in whole.items() if k not in rest}

    async def test_a_part_that_there_is_not(self, ehr: Person) -> None:
        answer = await ehr.http.get(path(await ehr.client(), include=["points", "words"]))
        assert faults(answer) == [("include.1", "literal-error")]
