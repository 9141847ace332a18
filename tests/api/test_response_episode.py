"""Responses of an episode, responses outside of any, and what a response itself says of the situation."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

import instruments
from api.responses.recording import EPISODE_MARGIN
from scoring.situation import outside_flags
from tests.api.people import FSFI_FIVES, People, Person, faults, problem
from tests.api.test_corrections import correct
from tests.api.test_episodes import begun, changed
from tests.api.test_progress import NONE_TRIED, path
from tests.api.test_situation import rules
from tests.conftest import Tenant

IIEF = instruments.load("iief-5")
LOWEST = {item.id: item.options[-1] for item in IIEF.items}


async def kept(person: Person, client_id: str, **members: Any) -> dict[str, Any]:
    answer = await person.respond(client_id, **members)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert (await person.http.get(f"/v1/responses/{body['id']}")).text == answer.text, "what is kept is what was told"
    return body


async def listed(person: Person, client_id: str, **query: str) -> list[str]:
    answer = await person.http.get(f"/v1/clients/{client_id}/responses", params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


class TestEpisode:
    async def test_within(self, ehr: Person, superuser: asyncpg.Connection) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        body = await kept(ehr, client_id, episode_id=episode["id"])
        assert (body["episode_id"], body["outside_episode"]) == (episode["id"], False)
        row = await superuser.fetchval("select episode_id from response where id = $1", uuid.UUID(body["id"]))
        assert row == uuid.UUID(episode["id"])

    @pytest.mark.parametrize("given", [{}, {"episode_id": None}])
    async def test_outside_is_kept_and_said(self, ehr: Person, given: dict[str, None]) -> None:
        client_id = await ehr.client()
        await begun(ehr, client_id)
        body = await kept(ehr, client_id, **given)
        assert (body["episode_id"], body["outside_episode"]) == (None, True), "no episode is guessed"
        (one,) = (await ehr.http.get(f"/v1/clients/{client_id}/responses")).json()["items"]
        assert one["outside_episode"] is True

    @pytest.mark.parametrize(
        ("answered_at", "status"),
        [
            ("2025-12-12T23:59:59Z", 422),
            ("2025-12-13T00:00:00Z", 201),
            ("2026-02-03T12:00:00Z", 201),
            ("2026-03-12T23:59:59Z", 201),
            ("2026-03-13T00:00:00Z", 422),
            ("2026-03-13T01:00:00+02:00", 201),
        ],
    )
    async def test_margin(
        self, ehr: Person, superuser: asyncpg.Connection, tenant: Tenant, answered_at: str, status: int
    ) -> None:
        """30 days before 12 January and after 10 February; the day is that in UTC."""
        assert EPISODE_MARGIN == 30
        client_id = await ehr.client()
        episode = await begun(ehr, client_id, ended_on="2026-02-10", end_reason="completed")
        members = {"episode_id": episode["id"], "answered_at": answered_at}
        answer = await ehr.respond(client_id, key="one", **members)
        assert answer.status_code == status, answer.text
        if status == 422:
            assert faults(answer) == [("/answered_at", "outside-episode")]
            count = "select count(*) from {} where organisation_id = $1"
            for table in ("response", "score", "alert", "outbox", "idempotency_key"):
                assert await superuser.fetchval(count.format(table), tenant.id) == 0, table
            told = "select action, outcome from audit_event where organisation_id = $1 and action = 'record'"
            assert [tuple(row) for row in await superuser.fetch(told, tenant.id)] == [("record", "outside-episode")]
            again = await ehr.respond(client_id, key="one", answered_at=answered_at)
            assert again.status_code == 201, "a refused request does not use its key up"

    async def test_one_that_goes_on_has_no_last_day(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id, started_on="2001-01-01")
        await kept(ehr, client_id, episode_id=episode["id"])

    async def test_of_nobody_or_somebody_else(self, people: People) -> None:
        client_id = await people.ehr.client()
        others = await begun(people.ehr, await people.ehr.client())
        elsewhere = await begun(people.elsewhere, await people.elsewhere.client())
        answers = [
            await people.ehr.respond(client_id, key="one", episode_id=episode_id)
            for episode_id in (str(uuid.uuid4()), others["id"], elsewhere["id"])
        ]
        for answer in answers:
            assert faults(answer) == [("/episode_id", "unknown-episode")]
        documents = [answer.json() | {"instance": None} for answer in answers]
        assert documents[0] == documents[1] == documents[2], "which of them it is, is not told"
        assert (await people.ehr.respond(client_id, key="one")).status_code == 201
        problem(await people.ehr.respond(str(uuid.uuid4()), episode_id=others["id"]), 404, "not-found")

    async def test_malformed(self, ehr: Person) -> None:
        assert faults(await ehr.respond(await ehr.client(), episode_id="first")) == [("/episode_id", "uuid-parsing")]

    async def test_a_repetition_is_answered_the_same(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        first = await ehr.respond(client_id, key="twice", episode_id=episode["id"])
        await changed(ehr, episode, ended_on="2026-03-01", end_reason="completed")
        second = await ehr.respond(client_id, key="twice", episode_id=episode["id"])
        assert (first.text, second.headers["idempotent-replayed"]) == (second.text, "true")
        problem(await ehr.respond(client_id, key="twice"), 422, "idempotency-key-reused")

    async def test_its_days_keep_its_answers(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        for day in ("2026-01-02", "2026-03-20"):
            await kept(ehr, client_id, episode_id=episode["id"], answered_at=f"{day}T10:00:00Z")
        await kept(ehr, client_id, answered_at="2026-06-01T10:00:00Z")
        ending = {"end_reason": "completed"}
        refused = await changed(ehr, episode, ended_on="2026-02-17", **ending)
        assert faults(refused) == [("/ended_on", "before-last-answers")]
        assert "2026-02-18" in refused.json()["errors"][0]["detail"]
        assert (await changed(ehr, episode, ended_on="2026-02-18", **ending)).status_code == 200
        assert faults(await changed(ehr, episode, started_on="2026-02-02")) == [("/started_on", "after-first-answers")]
        assert (await changed(ehr, episode, started_on="2026-02-01")).status_code == 200

    async def test_answers_that_no_longer_hold_keep_no_day(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        late = [
            (await kept(ehr, client_id, episode_id=episode["id"], answered_at=f"2026-0{month}-20T10:00:00Z"))["id"]
            for month in (5, 6)
        ]
        ending = {"ended_on": "2026-02-01", "end_reason": "completed"}
        assert faults(await changed(ehr, episode, **ending)) == [("/ended_on", "before-last-answers")]
        assert (await correct(ehr, late[0], "void", match="*")).status_code == 200
        assert faults(await changed(ehr, episode, **ending)) == [("/ended_on", "before-last-answers")]
        assert (await correct(ehr, late[1], "amend", match="*", episode_id=None)).status_code == 200
        assert (await changed(ehr, episode, **ending)).status_code == 200

    async def test_also_when_both_happen_at_once(self, ehr: Person) -> None:
        """Whichever comes first, no answers are left outside of their episode."""
        for _ in range(5):
            episode = await begun(ehr, await ehr.client())
            ending, recording = await asyncio.gather(
                changed(ehr, episode, ended_on="2026-01-12", end_reason="completed"),
                ehr.respond(episode["client_id"], episode_id=episode["id"], answered_at="2026-03-01T10:00:00Z"),
            )
            assert sorted((ending.status_code, recording.status_code)) in ([200, 422], [201, 422])


class TestLists:
    async def test_by_episode(self, ehr: Person) -> None:
        client_id = await ehr.client()
        one, two = await begun(ehr, client_id), await begun(ehr, client_id, format="couple")
        own: dict[str, list[str]] = {one["id"]: [], two["id"]: []}
        for day in range(1, 5):
            for episode_id, found in own.items():
                body = await kept(ehr, client_id, episode_id=episode_id, answered_at=f"2026-02-{day:02}T10:00:00Z")
                found.insert(0, body["id"])
        outside = await kept(ehr, client_id)
        assert await listed(ehr, client_id, episode=one["id"]) == own[one["id"]]
        assert await listed(ehr, client_id, episode=one["id"], instrument="phq-9") == []
        assert outside["id"] in await listed(ehr, client_id)
        first = await ehr.http.get(
            f"/v1/clients/{client_id}/responses", params={"episode": two["id"], "instrument": "fsfi", "limit": "3"}
        )
        second = await ehr.http.get(first.headers["link"].split(">")[0][1:])
        assert [item["id"] for page in (first, second) for item in page.json()["items"]] == own[two["id"]]

    async def test_an_episode_of_somebody_else_is_unknown(self, people: People) -> None:
        client_id = await people.ehr.client()
        others = await begun(people.ehr, await people.ehr.client())
        for query in (f"responses?episode={others['id']}", f"progress?episode={others['id']}"):
            problem(await people.ehr.http.get(f"/v1/clients/{client_id}/{query}"), 404, "not-found")
        answer = await people.ehr.http.get(f"/v1/clients/{client_id}/responses?episode=first")
        assert faults(answer) == [("episode", "uuid-parsing")]


class TestProgress:
    async def test_of_one_episode(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        await kept(ehr, client_id, answered_at="2025-01-01T10:00:00Z")
        own = [
            await kept(ehr, client_id, episode_id=episode["id"], answered_at=f"2026-02-{day:02}T10:00:00Z")
            for day in (1, 20)
        ]
        query = {"instrument": "fsfi", "scale": "total"}
        whole = (await ehr.http.get(path(client_id, **query))).json()["series"][0]
        part = (await ehr.http.get(path(client_id, **query, episode=episode["id"]))).json()["series"][0]
        assert len(whole["points"]) == 3
        assert [point["response_id"] for point in part["points"]] == [one["id"] for one in own]
        assert part["baseline"]["response_id"] == own[0]["id"], "change is counted from the episode's first"
        for form in (".svg", ".vl.json"):
            url = path(client_id, **query, episode=episode["id"]).replace("/progress", f"/progress{form}")
            assert (await ehr.http.get(url)).status_code == 200

    async def test_of_one_without_answers(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = await begun(ehr, client_id)
        await kept(ehr, client_id)
        assert (await ehr.http.get(path(client_id, episode=episode["id"]))).json()["series"] == []


class TestSituation:
    @pytest.mark.parametrize(
        ("client", "told", "expected"),
        [
            ({}, {}, []),
            ({}, {"partnered": None, "active": None}, []),
            ({}, {"partnered": True, "active": True}, []),
            ({}, {"partnered": False}, ["outside-partner"]),
            ({}, {"active": False}, ["outside-activity"]),
            ({"partnered": False}, {}, ["outside-partner"]),
            ({"partnered": False}, {"partnered": True}, []),
            ({"partnered": False}, {"partnered": True, "active": False}, ["outside-activity"]),
            ({"partnered": False}, {"active": False}, ["outside-partner", "outside-activity"]),
            ({"partnered": True}, {"partnered": False}, ["outside-partner"]),
            (
                {"partnered": True, "organs": ["vagina"]},
                {"partnered": False, "active": False},
                ["outside-organs", "outside-partner", "outside-activity"],
            ),
        ],
    )
    async def test_goes_before_the_clients(
        self, ehr: Person, client: dict[str, Any], told: dict[str, Any], expected: list[str]
    ) -> None:
        client_id = await ehr.client(**client)
        body = await kept(ehr, client_id, instrument="iief-5", answers=LOWEST, **told)
        known = {flag.id: flag.document() for flag in outside_flags(IIEF).values()}
        assert [flag for flag in body["flags"] if flag["id"] in known] == [known[rule] for rule in expected]
        assert (body["partnered"], body["active"]) == (told.get("partnered"), told.get("active"))
        assert (await ehr.http.get(f"/v1/clients/{client_id}")).json()["partnered"] is client.get("partnered")

    async def test_after_the_flags_of_the_answers(self, ehr: Person) -> None:
        body = await kept(ehr, await ehr.client(), answers=NONE_TRIED, active=False)
        ids = [flag["id"] for flag in body["flags"]]
        assert ids[-1] == "outside-activity"
        assert len(ids) > 1, "the rule about answers is told as well"

    async def test_nothing_where_the_instrument_presumes_neither(self, ehr: Person) -> None:
        calm = instruments.load("phq-9")
        assert set(outside_flags(calm)) == set()
        answers = {item.id: item.options[0] for item in calm.items}
        body = await kept(ehr, await ehr.client(), instrument="phq-9", answers=answers, partnered=False, active=False)
        assert rules(body) == []
        assert (body["partnered"], body["active"]) == (False, False)

    @pytest.mark.parametrize("member", ["partnered", "active"])
    @pytest.mark.parametrize("value", ["no", 0, [], "false"])
    async def test_malformed(self, ehr: Person, member: str, value: Any) -> None:
        answer = await ehr.respond(await ehr.client(), answers=FSFI_FIVES, **{member: value})
        assert faults(answer) == [(f"/{member}", "bool-type")]
