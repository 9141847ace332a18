"""What falls due: whose, when, in which order, and that no page leaves anything out."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.api.people import Person, faults
from tests.protocols.clinic import (
    MATCH,
    after,
    answered,
    assigned,
    changed,
    due,
    entry,
    episode_of,
    made,
    scheduled,
    today,
)

WIDE = {"opens_before": 6, "overdue_after": 3, "closes_after": 12}


def shown(items: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(item["entry"], item["due_on"], item["status"]) for item in items]


class TestOrder:
    async def test_who_needs_attention_comes_first(self, ehr: Person, admin: Person) -> None:
        protocol = await made(admin, entry("weeks", every=2, count=3), entry("weeks", id="wide", every=4, window=WIDE))
        path = await episode_of(ehr, clinician="c-1")
        await assigned(ehr, path, protocol)
        found = shown(await due(ehr, date=after(33)))
        assert found == [
            ("wide", str(after(28)), "overdue"),
            ("weeks", str(after(28)), "missed"),
            ("weeks", str(after(14)), "missed"),
        ]
        assert shown(await due(ehr, date=after(27))) == [
            ("weeks", str(after(28)), "due"),
            ("wide", str(after(28)), "due"),
            ("weeks", str(after(14)), "missed"),
        ]

    async def test_pages_leave_nothing_out(self, ehr: Person, admin: Person) -> None:
        protocol = await made(
            admin, entry("baseline", window=WIDE), entry("weeks", every=1, window={
                "opens_before": 1, "overdue_after": 0, "closes_after": 5}),
        )  # fmt: skip
        for _ in range(3):
            await assigned(ehr, await episode_of(ehr), protocol)
        whole = await due(ehr, date=after(13), limit=200)
        assert {item["status"] for item in whole} == {"due", "missed"}
        for limit in (1, 2, 5):
            assert await due(ehr, date=after(13), limit=limit) == whole
        assert len({item["id"] for item in whole}) == len(whole)


class TestFilters:
    @pytest.fixture
    async def paths(self, ehr: Person, admin: Person) -> list[str]:
        protocol = await made(admin, entry("weeks", every=2, count=2), entry("baseline", instrument="phq-9"))
        found = []
        for clinician in ("c-1", "c-2", None):
            found.append(await episode_of(ehr, clinician=clinician))
            await assigned(ehr, found[-1], protocol)
        return found

    async def test_by_clinician_and_client(self, ehr: Person, paths: list[str]) -> None:
        clients = [path.split("/")[3] for path in paths]
        assert {item["client_id"] for item in await due(ehr, date=after(14))} == {*clients}
        assert {item["client_id"] for item in await due(ehr, date=after(14), clinician="c-1")} == {clients[0]}
        assert {item["client_id"] for item in await due(ehr, date=after(14), client_id=clients[2])} == {clients[2]}
        assert await due(ehr, date=after(14), client_id=clients[0], clinician="c-2") == []
        assert await due(ehr, date=after(14), client_id=str(uuid.uuid4())) == []
        await changed(ehr, paths[2], clinician="c-1")
        assert {item["client_id"] for item in await due(ehr, date=after(14), clinician="c-1")} == {
            clients[0], clients[2],
        }  # fmt: skip

    async def test_each_filter_agrees_with_the_schedules(self, ehr: Person, paths: list[str]) -> None:
        """The database's way to what is due, of all, a clinician and a client, against the rule, day by day."""
        for path in paths[:2]:
            await answered(ehr, path, after(15))
        for number in (0, 2, 5, 12, 14, 16, 18, 19, 30, 33):
            day = after(number)
            expected: dict[str, set[tuple[str, str]]] = {}
            for path in paths:
                expected[path.split("/")[3]] = {
                    (slot["id"], slot["status"])
                    for slot in (await scheduled(ehr, path, day))["slots"]
                    if slot["status"] in ("due", "overdue", "missed", "expired")
                }
            everybody = {(item["id"], item["status"]) for item in await due(ehr, date=day)}
            assert everybody == set().union(*expected.values()), day
            for client_id, theirs in expected.items():
                found = {(item["id"], item["status"]) for item in await due(ehr, date=day, client_id=client_id)}
                assert found == theirs
            first = {(item["id"], item["status"]) for item in await due(ehr, date=day, clinician="c-1")}
            assert first == expected[paths[0].split("/")[3]]
            for wanted in ("due", "overdue", "missed"):
                some = {item["id"] for item in await due(ehr, date=day, status=wanted)}
                assert some == {slot for slot, status in everybody if status == wanted}

    async def test_expired_and_since(self, ehr: Person, paths: list[str]) -> None:
        await changed(ehr, paths[0], ended_on=str(after(14)), end_reason="dropped-out")
        found = await due(ehr, date=after(40), status="expired")
        assert [(item["client_id"], item["last_on"]) for item in found] == [(paths[0].split("/")[3], str(after(14)))]
        assert await due(ehr, date=after(40), status=["missed", "expired"], since=after(39)) == []
        assert len(await due(ehr, date=after(40), status=["missed", "expired"], since=after(32))) == 2

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"status": "done"}, [("status.0", "literal-error")]),
            ({"date": "tomorrow"}, [("date", "date-format")]),
            ({"date": str(today() + timedelta(days=30))}, [("date", "day-implausible")]),
            ({"clinician": "Anna"}, [("clinician", "personal-data")]),
            ({"client_id": "17"}, [("client_id", "uuid-parsing")]),
            ({"limit": "0"}, [("limit", "greater-than-equal")]),
            ({"cursor": "nothing"}, [("cursor", "cursor-invalid")]),
            ({"cursor": "AAZg5kZkgQABogNUU1t9QIEO4Q_k4Dnf"}, [("cursor", "cursor-invalid")]),
            ({"whose": "mine"}, [("whose", "extra-forbidden")]),
        ],
    )
    async def test_refused(self, ehr: Person, parameters: dict[str, str], expected: list[tuple[str, str]]) -> None:
        assert faults(await ehr.http.get("/v1/due", params=parameters)) == expected


class TestMatched:
    async def test_where_windows_of_one_protocol_overlap(self, ehr: Person, admin: Person) -> None:
        """One form fills one slot of a protocol, and the other stays due."""
        path = await episode_of(ehr)
        entries = [entry("baseline", id=name, window=WIDE) for name in "ab"]
        await assigned(ehr, path, await made(admin, *entries))
        assert len(await due(ehr, date=after(1))) == 2
        await answered(ehr, path, after(1))
        (left,) = await due(ehr, date=after(1))
        slots = {slot["id"]: slot["status"] for slot in (await scheduled(ehr, path, after(1)))["slots"]}
        assert slots[left["id"]] == "due"
        assert sorted(slots.values()) == ["done", "due"]
        await answered(ehr, path, after(1))
        assert await due(ehr, date=after(1)) == []

    async def test_one_form_answers_two_protocols(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        for code in ("a", "b"):
            await assigned(ehr, path, await made(admin, entry("baseline", window=WIDE), code=code))
        assert len(await due(ehr, date=after(1))) == 2
        one, again = [await answered(ehr, path, after(1)) for _ in range(2)]
        assert await due(ehr, date=after(1)) == []
        slots = (await scheduled(ehr, path, after(1)))["slots"]
        assert [slot["filled_by"]["response_id"] for slot in slots] == [one, one]
        assert [[two["response_id"] for two in slot["duplicates"]] for slot in slots] == [[again], [again]]
        told = (await ehr.http.get(f"/v1/responses/{one}")).json()["schedule"]
        assert [held["timing"] for held in told] == ["on-time", "on-time"]
        assert {held["slot"]["episode_protocol_id"] for held in told} == {s["episode_protocol_id"] for s in slots}

    async def test_void_answers_fill_nothing(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("baseline")))
        one = await answered(ehr, path, after(0))
        assert await due(ehr, date=after(0)) == []
        await ehr.http.post(f"/v1/responses/{one}/void", json={"reason": "invented"}, headers=MATCH)
        assert len(await due(ehr, date=after(0))) == 1


class TestAccess:
    async def test_nothing_of_others(self, ehr: Person, admin: Person, elsewhere: Person) -> None:
        await assigned(ehr, await episode_of(ehr, clinician="c-1"), await made(admin, entry("baseline")))
        assert len(await due(ehr, date=after(0))) == 1
        for filters in ({}, {"clinician": "c-1"}):
            assert await due(elsewhere, date=after(0), **filters) == []

    async def test_at_once(self, ehr: Person, admin: Person) -> None:
        await assigned(ehr, await episode_of(ehr), await made(admin, entry("baseline")))
        found = await asyncio.gather(*(due(ehr, date=after(0)) for _ in range(8)))
        assert all(one == found[0] and len(one) == 1 for one in found)
