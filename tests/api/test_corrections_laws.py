"""Laws of corrections: what is read now is what a model says, and as of a time what was read then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.corrected import PATH, all_answers, correct
from tests.api.people import People, Person, faults, problem

VALUES = st.integers(1, 5)
DAYS = st.integers(1, 9)
STEPS = st.one_of(
    st.tuples(st.just("record"), VALUES, DAYS),
    st.tuples(st.just("amend"), VALUES, DAYS, st.integers(0, 9)),
    st.tuples(st.just("void"), st.integers(0, 9)),
)


def answered(day: int) -> str:
    return f"2026-03-{day:02}T10:00:00Z"


@dataclass
class Model:
    """What is known of each response, by its id: value, day, revision; and what each said before."""

    said: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    void: dict[str, int] = field(default_factory=dict)
    versions: int = 0

    def listed(self) -> list[tuple[str, int, str, int]]:
        """Id, value of every answer, time of answering, revision."""
        return sorted((id_, value, answered(day), revision) for id_, (value, day, revision) in self.said.items())

    def pick(self, number: int) -> str | None:
        """One of the responses that hold."""
        return sorted(self.said)[number % len(self.said)] if self.said else None


async def apply(ehr: Person, client_id: str, model: Model, step: tuple[Any, ...]) -> None:
    """One step, at the service and in the model."""
    if step[0] == "record":
        _, value, day = step
        made = await ehr.respond(client_id, answers=all_answers(value), answered_at=answered(day))
        model.said[made.json()["id"]] = (value, day, 1)
        model.versions += 1
        return
    response_id = model.pick(step[-1])
    if response_id is None:
        return
    revision = model.said[response_id][2]
    if step[0] == "void":
        done = await correct(ehr, response_id, "void", match=f'"{revision}"')
        del model.said[response_id]
        model.void[response_id] = revision + 1
    else:
        _, value, day, _ = step
        members = {"answers": all_answers(value), "answered_at": answered(day)}
        done = await correct(ehr, response_id, match=f'"{revision}"', **members)
        model.said[response_id] = (value, day, revision + 1)
        model.versions += 1
    assert done.status_code == 200, done.text


async def responses(ehr: Person, client_id: str, **query: str) -> list[dict[str, Any]]:
    """All pages of the list, in parts of three."""
    path: str | None = f"/v1/clients/{client_id}/responses?{urlencode({'limit': '3'} | query)}"
    found: list[dict[str, Any]] = []
    while path is not None:
        answer = await ehr.http.get(path)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        path = answer.links["next"]["url"] if "next" in answer.links else None
    return found


async def progress(ehr: Person, client_id: str, **query: str) -> dict[str, Any]:
    answer = await ehr.http.get(f"/v1/clients/{client_id}/progress", params={"instrument": "fsfi"} | query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@given(steps=st.lists(STEPS, min_size=1, max_size=6))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_now_is_the_model_and_then_is_what_was_seen(ehr: Person, steps: list[tuple[Any, ...]]) -> None:
    client_id, model = await ehr.client(), Model()
    seen: list[tuple[str, list[dict[str, Any]], dict[str, Any], int]] = []
    for step in steps:
        await apply(ehr, client_id, model, step)
        listed, read = await responses(ehr, client_id), await progress(ehr, client_id)
        assert (
            sorted((one["id"], one["answers"]["1"], one["answered_at"], one["revision"]) for one in listed)
            == model.listed()
        )
        assert all(one["current"] and one["superseded"] is None for one in listed)
        assert [one["answered_at"] for one in listed] == sorted((one["answered_at"] for one in listed), reverse=True)
        for series in read["series"]:
            points = {point["response_id"]: point for point in series["points"]}
            assert points.keys() == model.said.keys()
            for id_, (_, day, revision) in model.said.items():
                assert (points[id_]["answered_at"], points[id_]["amended"]) == (answered(day), revision > 1)
        seen.append((datetime.now(UTC).isoformat().replace("+00:00", "Z"), listed, read, model.versions))
    for id_, revision in model.void.items():
        body = (await ehr.http.get(f"{PATH}/{id_}")).json()
        assert (body["status"], body["revision"]) == ("entered-in-error", revision)
    for then, listed, read, versions in seen:
        assert await responses(ehr, client_id, as_of=then) == listed
        told = await progress(ehr, client_id, as_of=then)
        assert datetime.fromisoformat(told.pop("as_of")) == datetime.fromisoformat(then)
        assert told == {name: value for name, value in read.items() if name != "as_of"}
        history = await responses(ehr, client_id, as_of=then, history="true")
        assert len(history) == versions
        assert [one for one in history if one["current"]] == listed


class TestAsOf:
    async def test_before_anything_was_recorded(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await ehr.respond(client_id)
        early = "2026-03-02T10:00:00Z"  # later than it was answered, earlier than it was recorded
        assert await responses(ehr, client_id, as_of=early, history="true") == []
        (total,) = (await progress(ehr, client_id, as_of=early, scale="total"))["series"]
        assert (total["points"], total["summary"]) == ([], "No measurement yet.")

    async def test_the_very_microsecond(self, ehr: Person) -> None:
        """A version holds from the time that it was recorded, and its forerunner until just before."""
        client_id = await ehr.client()
        response_id = (await ehr.respond(client_id)).json()["id"]
        amended = (await correct(ehr, response_id)).json()
        at = datetime.fromisoformat(amended["recorded_at"])
        for moment, revision in ((at, 2), (at - timedelta(microseconds=1), 1)):
            (one,) = await responses(ehr, client_id, as_of=moment.isoformat().replace("+00:00", "Z"))
            assert (one["revision"], one["current"]) == (revision, True)

    async def test_pictures(self, ehr: Person) -> None:
        client_id = await ehr.client()
        response_id = (await ehr.respond(client_id)).json()["id"]
        then = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        await correct(ehr, response_id)
        path, query = f"/v1/clients/{client_id}/progress", {"instrument": "fsfi", "scale": "total"}
        now = (await ehr.http.get(f"{path}.vl.json", params=query)).text
        before = (await ehr.http.get(f"{path}.vl.json", params=query | {"as_of": then})).text
        for text, *held in ((now, True, True, False), (before, False, False, True)):
            assert [words in text for words in ("21.6", "Ring: amended", "As known at")] == held
        assert (await ehr.http.get(f"{path}.svg", params=query | {"as_of": then})).status_code == 200

    @pytest.mark.parametrize("then", ["yesterday", "2026-03-01", "2026-03-01T10:00:00", "", "2999-01-01T00:00:00Z"])
    async def test_a_time_that_is_none(self, ehr: Person, then: str) -> None:
        client_id = await ehr.client()
        for path in ("responses", "progress", "progress.svg"):
            query = {"as_of": then} | ({"instrument": "fsfi"} if "progress" in path else {})
            answer = await ehr.http.get(f"/v1/clients/{client_id}/{path}", params=query)
            assert [place for place, _ in faults(answer)] == ["as_of"]

    async def test_while_somebody_amends(self, ehr: Person) -> None:
        """Each response is there once, whatever is committed in between."""
        client_id = await ehr.client()
        ids = [(await ehr.respond(client_id)).json()["id"] for _ in range(3)]

        async def read() -> list[str]:
            return sorted(one["id"] for one in await responses(ehr, client_id, limit="200"))

        done = await asyncio.gather(
            *(correct(ehr, id_, answers=all_answers(2)) for id_ in ids), *(read() for _ in range(6))
        )
        assert [answer.status_code for answer in done[:3]] == [200] * 3
        assert done[3:] == [sorted(ids)] * 6

    async def test_another_organisations_client(self, people: People) -> None:
        client_id = await people.ehr.client()
        answer = await people.elsewhere.http.get(f"/v1/clients/{client_id}/responses?as_of=2026-03-01T10:00:00Z")
        problem(answer, 404, "not-found")
