"""Episodes that follow protocols: which slots they have, and what becomes of them as the episode goes on."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.api.people import Person, faults, problem
from tests.protocols.clinic import (
    MATCH,
    START,
    after,
    answered,
    assigned,
    attended,
    changed,
    due,
    entry,
    episode_of,
    made,
    scheduled,
    statuses,
    today,
)

LONG_AGO = "2025-01-06"


class TestSlots:
    async def test_baseline_and_weeks(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("baseline"), entry("weeks", every=2, count=2)))
        found = await scheduled(ehr, path, START)
        assert statuses(found) == [
            ("baseline", "2026-01-12", "due"),
            ("weeks", "2026-01-26", "upcoming"),
            ("weeks", "2026-02-09", "upcoming"),
        ]
        slot = found["slots"][1]
        assert [slot[name] for name in ("opens_on", "overdue_on", "closes_on", "last_on", "occurrence")] == [
            "2026-01-24", "2026-01-28", "2026-01-30", "2026-01-30", 1,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("day", "expected"),
        [(11, "upcoming"), (12, "due"), (14, "due"), (15, "due"), (16, "overdue"), (18, "overdue"), (19, "missed")],
    )
    async def test_every_day_of_a_window(self, ehr: Person, admin: Person, day: int, expected: str) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("weeks", every=2, count=1)))
        assert statuses(await scheduled(ehr, path, after(day))) == [("weeks", str(after(14)), expected)]

    async def test_sessions_that_were_attended(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("sessions", every=2)))
        await attended(ehr, path, after(7))
        await attended(ehr, path, after(14), "missed")
        second = await attended(ehr, path, after(21))
        third = await attended(ehr, path, after(28))
        await attended(ehr, path, after(35))
        found = await scheduled(ehr, path, after(35))
        assert statuses(found) == [("sessions", str(after(21)), "missed"), ("sessions", str(after(35)), "due")]
        await changed(ehr, second, attendance="missed")
        moved = await scheduled(ehr, path, after(35))
        assert statuses(moved) == [
            ("sessions", str(after(28)), "missed"),
            ("sessions", str(after(35)), "cancelled"),
        ]
        assert [slot["id"] for slot in moved["slots"]] == [slot["id"] for slot in found["slots"]]
        await changed(ehr, third, attendance="cancelled")
        await changed(ehr, second, attendance="attended")
        assert statuses(await scheduled(ehr, path, after(35))) == [
            ("sessions", str(after(21)), "missed"),
            ("sessions", str(after(35)), "cancelled"),
        ]

    async def test_the_end_and_after_it(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        protocol = await made(admin, entry("weeks", every=2), entry("end"), entry("follow-up", weeks=6))
        await assigned(ehr, path, protocol)
        assert {slot["entry"] for slot in (await scheduled(ehr, path))["slots"]} == {"weeks"}
        await changed(ehr, path, ended_on=str(after(29)), end_reason="completed")
        ended = statuses(await scheduled(ehr, path, after(30)))
        assert [one for one in ended if one[2] != "cancelled"] == [
            ("weeks", str(after(14)), "missed"),
            ("weeks", str(after(28)), "expired"),  # it was open, and ended with the episode
            ("end", str(after(29)), "due"),
            ("follow-up", str(after(71)), "upcoming"),
        ]
        await changed(ehr, path, ended_on=None, end_reason=None)
        again = statuses(await scheduled(ehr, path, after(30)))
        assert ("weeks", str(after(28)), "overdue") in again
        assert ("end", str(after(29)), "cancelled") in again
        assert ("weeks", str(after(42)), "upcoming") in again

    async def test_what_goes_on_is_planned_ahead(
        self, ehr: Person, admin: Person, superuser: asyncpg.Connection
    ) -> None:
        path = await episode_of(ehr, started_on=LONG_AGO)
        row = await assigned(ehr, path, await made(admin, entry("weeks", every=1, window={
            "opens_before": 1, "overdue_after": 1, "closes_after": 3})), starts_on=str(today()))  # fmt: skip
        assert row["planned_until"] == str(today() + timedelta(days=91))
        slots = (await scheduled(ehr, path))["slots"]
        assert min(slot["closes_on"] for slot in slots) >= str(today())
        assert 12 <= len(slots) <= 14
        # Nobody has planned for months: a reader is not told less for that.
        await superuser.execute("delete from protocol_slot where opens_on > current_date")
        await superuser.execute(
            "update episode_protocol set planned_until = current_date where id = $1", uuid.UUID(row["id"])
        )
        later = today() + timedelta(days=28)
        found = await due(ehr, client_id=path.split("/")[3], date=later, status=["due", "overdue"])
        assert found
        assert len((await scheduled(ehr, path))["slots"]) == len(slots)

    async def test_a_later_start_leaves_out_what_is_closed(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        protocol = await made(admin, entry("baseline"), entry("weeks", every=2, count=3))
        await assigned(ehr, path, protocol, starts_on=str(after(18)))
        assert [slot["due_on"] for slot in (await scheduled(ehr, path))["slots"]] == [
            str(after(14)), str(after(28)), str(after(42)),
        ]  # fmt: skip

    async def test_the_first_day_may_change(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("baseline")))
        await changed(ehr, path, started_on=str(after(7)))
        assert statuses(await scheduled(ehr, path, after(7))) == [("baseline", str(after(7)), "due")]

    async def test_sessions_at_once_leave_no_slot_out(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("sessions", every=1)))
        await asyncio.gather(*(attended(ehr, path, after(7 * number)) for number in range(1, 6)))
        assert [slot["due_on"] for slot in (await scheduled(ehr, path))["slots"]] == [
            str(after(7 * number)) for number in range(1, 6)
        ]


class TestAnswers:
    async def test_what_fills_is_late_or_duplicate(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("weeks", every=2, count=2)))
        late = await answered(ehr, path, after(17))
        assert (await scheduled(ehr, path))["slots"][0]["filled_by"]["timing"] == "late"
        first = await answered(ehr, path, after(13))  # recorded later, answered before
        early = await answered(ehr, path, after(3))
        found = await scheduled(ehr, path, after(20))
        assert found["slots"][0]["status"] == "done"
        assert (found["slots"][0]["filled_by"]["response_id"], found["slots"][0]["filled_by"]["timing"]) == (
            first, "on-time",
        )  # fmt: skip
        assert [one["response_id"] for one in found["slots"][0]["duplicates"]] == [late]
        assert [one["response_id"] for one in found["outside"]] == [early]
        assert found["slots"][1]["filled_by"] is None
        assert (await scheduled(ehr, path, after(12)))["slots"][0]["status"] == "due", "as it stood on that day"

    async def test_corrections_come_out_by_themselves(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("weeks", every=2, count=1)))
        first, second = [await answered(ehr, path, after(day)) for day in (13, 14)]
        void = {"reason": "invented"}
        assert (await ehr.http.post(f"/v1/responses/{first}/void", json=void, headers=MATCH)).status_code < 300
        (slot,) = (await scheduled(ehr, path))["slots"]
        assert (slot["filled_by"]["response_id"], slot["duplicates"]) == (second, [])
        amended = {"answered_at": f"{after(17)}T12:00:00Z", "reason": "invented"}
        answer = await ehr.http.post(f"/v1/responses/{second}/amend", json=amended, headers=MATCH)
        assert answer.status_code < 300, answer.text
        (slot,) = (await scheduled(ehr, path))["slots"]
        assert (slot["filled_by"]["response_id"], slot["filled_by"]["timing"]) == (second, "late")

    async def test_only_what_was_asked_fills(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        protocol = await made(admin, entry("baseline"), entry("baseline", id="mood", instrument="phq-9"))
        await assigned(ehr, path, protocol)
        await answered(ehr, path, START)
        assert {slot["entry"]: slot["status"] for slot in (await scheduled(ehr, path, START))["slots"]} == {
            "baseline": "done", "mood": "due",
        }  # fmt: skip

    async def test_of_no_other_episode(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        client = path.rsplit("/", 1)[0]
        other = (await ehr.http.post(client, json={"started_on": str(START), "format": "couple"})).json()["id"]
        await assigned(ehr, path, await made(admin, entry("baseline")))
        await answered(ehr, path, START, episode_id=other)
        assert statuses(await scheduled(ehr, path, START)) == [("baseline", str(START), "due")]
        await answered(ehr, path, START, episode_id=None)
        assert statuses(await scheduled(ehr, path, START)) == [("baseline", str(START), "done")]


class TestAssigning:
    async def test_read_and_list(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        protocol = await made(admin)
        answer = await ehr.http.post(f"{path}/protocols", json={"protocol": protocol["code"]})
        row = answer.json()
        assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
        assert answer.headers["location"] == f"{path}/protocols/{row['id']}"
        assert (row["protocol_id"], row["protocol_version"], row["starts_on"]) == (protocol["id"], 1, str(today()))
        assert (await ehr.http.get(answer.headers["location"])).json() == row
        assert (await ehr.http.get(f"{path}/protocols")).json() == {"items": [row], "next": None}

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"protocol": "unusual"}, [("/protocol", "unknown-protocol")]),
            ({"protocol": 7}, [("/protocol", "string-type")]),
            ({"version": 2}, [("/version", "unknown-version")]),
            ({"version": 0}, [("/version", "greater-than-equal")]),
            ({"starts_on": "2999-01-01"}, [("/starts_on", "day-implausible")]),
            ({"starts_on": "yesterday"}, [("/starts_on", "date-format")]),
            ({"until": None}, [("/until", "extra-forbidden")]),
        ],
    )
    async def test_refused(
        self, ehr: Person, admin: Person, given: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        path = await episode_of(ehr)
        sent = {"protocol": (await made(admin))["code"]} | given
        assert faults(await ehr.http.post(f"{path}/protocols", json=sent)) == expected
        assert (await ehr.http.get(f"{path}/protocols")).json()["items"] == []

    async def test_once_at_a_time(self, ehr: Person, admin: Person) -> None:
        path, protocol = await episode_of(ehr), await made(admin)
        answers = await asyncio.gather(
            *(ehr.http.post(f"{path}/protocols", json={"protocol": protocol["code"]}) for _ in range(4))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
        refused = next(answer for answer in answers if answer.status_code == 422)
        assert faults(refused) == [("/protocol", "already-assigned")]

    async def test_end_keeps_what_was(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        protocol = await made(admin, entry("weeks", every=2))
        row = await assigned(ehr, path, protocol)
        there = f"{path}/protocols/{row['id']}/end"
        problem(await ehr.http.post(there, json={}), 428, "precondition-required")
        problem(await ehr.http.post(there, json={}, headers={"If-Match": '"9"'}), 412, "precondition-failed")
        answer = await ehr.http.post(there, json={"ended_on": str(after(29))}, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        assert (answer.json()["end_reason"], answer.json()["planned_until"]) == ("removed", None)
        live = [one for one in statuses(await scheduled(ehr, path, after(50))) if one[2] != "cancelled"]
        assert live == [("weeks", str(after(14)), "missed"), ("weeks", str(after(28)), "expired")]
        again = await ehr.http.post(there, json={}, headers=MATCH)
        assert (again.json(), again.headers["etag"]) == (answer.json(), '"2"'), "ended once"
        corrected = await ehr.http.post(there, json={"ended_on": str(after(35))}, headers=MATCH)
        assert corrected.json()["ended_on"] == str(after(35))
        assert ("weeks", str(after(28)), "missed") in statuses(await scheduled(ehr, path, after(50)))
        change = f"{path}/protocols/{row['id']}/change"
        assert faults(await ehr.http.post(change, json={}, headers=MATCH)) == [("/version", "already-ended")]
        assert (await assigned(ehr, path, protocol))["id"] != row["id"]

    async def test_versions_are_kept_unless_moved(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr, started_on=str(today() - timedelta(days=28)))
        window = {"opens_before": 3, "overdue_after": 3, "closes_after": 10}
        protocol = await made(admin, entry("weeks", every=2, window=window))
        row = await assigned(ehr, path, protocol)
        entries = [entry("weeks", every=1, id="closer")]
        changed_to = await admin.http.put(
            f"/v1/protocols/{protocol['id']}", json={"name": "Usual", "entries": entries}, headers=MATCH
        )
        assert (changed_to.status_code, changed_to.json()["version"]) == (200, 2)
        assert {slot["entry"] for slot in (await scheduled(ehr, path))["slots"]} == {"weeks"}
        there = f"{path}/protocols/{row['id']}/change"
        assert faults(await ehr.http.post(there, json={"version": 3}, headers=MATCH)) == [
            ("/version", "unknown-version")
        ]
        assert faults(await ehr.http.post(there, json={"version": 1}, headers=MATCH)) == [("/version", "same-version")]
        answer = await ehr.http.post(there, json={}, headers=MATCH)
        assert (answer.status_code, answer.json()["follows"]) == (201, row["id"])
        found = await scheduled(ehr, path)
        opened = {slot["entry"] for slot in found["slots"] if slot["opens_on"] <= str(today())}
        to_come = {slot["entry"] for slot in found["slots"] if slot["opens_on"] > str(today())
                   and slot["status"] != "cancelled"}  # fmt: skip
        assert (opened, to_come) == ({"weeks"}, {"closer"})
        now = [slot for slot in found["slots"] if slot["due_on"] == str(today()) and slot["entry"] == "weeks"]
        assert [(slot["status"], slot["last_on"]) for slot in now] == [("due", str(today() + timedelta(days=10)))]
        before = (await ehr.http.get(f"{path}/protocols/{row['id']}")).json()
        assert (before["ended_on"], before["end_reason"]) == (str(today()), "moved")
        late = await ehr.http.post(f"{path}/protocols/{row['id']}/end", json={"ended_on": str(START)}, headers=MATCH)
        assert faults(late) == [("/ended_on", "already-moved")]

    async def test_retired_ones_are_not_assigned(self, ehr: Person, admin: Person) -> None:
        path, protocol = await episode_of(ehr), await made(admin)
        await admin.http.post(f"/v1/protocols/{protocol['id']}/retire", headers=MATCH)
        answer = await ehr.http.post(f"{path}/protocols", json={"protocol": protocol["code"]})
        problem(answer, 409, "protocol-retired")

    async def test_elsewhere(self, ehr: Person, admin: Person, elsewhere: Person) -> None:
        path = await episode_of(elsewhere)
        answer = await elsewhere.http.post(f"{path}/protocols", json={"protocol": (await made(admin))["code"]})
        assert faults(answer) == [("/protocol", "unknown-protocol")]
        assert (await ehr.http.get(f"{path}/schedule")).status_code == 404


class TestResponse:
    async def test_says_which_slot_it_fills(self, ehr: Person, admin: Person) -> None:
        path = await episode_of(ehr)
        await assigned(ehr, path, await made(admin, entry("weeks", every=2, count=1)))
        ids = [await answered(ehr, path, after(day)) for day in (17, 13, 30)]
        told = [(await ehr.http.get(f"/v1/responses/{one}")).json()["schedule"] for one in ids]
        assert [len(one) for one in told] == [1, 1, 1]
        told = [one for (one,) in told]
        assert [one["timing"] for one in told] == ["duplicate", "on-time", "outside"]
        assert told[0]["slot"] == told[1]["slot"]
        assert (told[0]["slot"]["due_on"], told[0]["slot"]["entry"]) == (str(after(14)), "weeks")
        assert told[2]["slot"] is None
        await ehr.http.post(f"/v1/responses/{ids[1]}/void", json={"reason": "invented"}, headers=MATCH)
        assert (await ehr.http.get(f"/v1/responses/{ids[0]}")).json()["schedule"][0]["timing"] == "late"

    async def test_without_a_protocol_nothing_is_added(self, ehr: Person) -> None:
        path = await episode_of(ehr)
        one = await answered(ehr, path, START)
        assert "schedule" not in (await ehr.http.get(f"/v1/responses/{one}")).json()
