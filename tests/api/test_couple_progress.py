"""The progress of a couple: both series, how far apart they are, and nobody seen without everybody's consent."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

import instruments
from api.couple_progress.schemas import CoupleProgressRead
from api.couples.problems import WORDS
from api.couples.repository import CoupleRepository
from api.progress.repository import Found
from tests.api.couples import Couple, leaves, opened, paired, says
from tests.api.people import FSFI_FIVES, People, Person, faults, problem
from tests.api.test_progress import START, answered, path
from tests.api.test_series import sum_of
from tests.conftest import Tenant


def of(couple: str) -> str:
    return f"/v1/couples/{couple}/progress"


async def shown(person: Person, couple: str, **query: Any) -> dict[str, Any]:
    answer = await person.http.get(of(couple), params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    CoupleProgressRead.model_validate(found)
    return found


async def forms(person: Person, client: str, *given: tuple[float, int]) -> None:
    """PHQ-9 totals, each with the day it was answered."""
    for day, points in given:
        await answered(person, client, (day, sum_of(points)), instrument="phq-9")  # type: ignore[arg-type]  # parts of days too


@pytest.fixture
async def couple(ehr: Person) -> tuple[Couple, list[str]]:
    """Two who consent, with PHQ-9 forms: the first falls from 20 to 6, the second stays about 8."""
    made, clients = await opened(ehr)
    one, two = sorted(clients)
    await forms(ehr, one, (0, 20), (30, 14), (60, 6), (100, 5))
    await forms(ehr, two, (3, 8), (29, 8), (61, 7), (140, 9))
    return made, [one, two]


class TestRefused:
    async def test_who_may(self, people: People, couple: tuple[Couple, list[str]]) -> None:
        made, _ = couple
        for person in (people.ehr, people.clinician, people.admin):
            assert (await person.http.get(of(made))).status_code == 200
        problem(await people.researcher.http.get(of(made)), 403, "forbidden")
        problem(await people.elsewhere.http.get(of(made)), 404, "not-found")
        problem(await people.ehr.http.get(of(str(uuid.uuid4()))), 404, "not-found")

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ({"window_days": -1}, ("window_days", "greater-than-equal")),
            ({"window_days": 91}, ("window_days", "less-than-equal")),
            ({"instrument": "none"}, ("instrument", "unknown-instrument")),
            ({"instrument": "phq-9", "scale": "none"}, ("scale", "unknown-scale")),
            ({"scale": "total"}, ("instrument", "needed-with-scale")),
            ({"as_of": "9999-01-01T00:00:00Z"}, ("as_of", "time-implausible")),
            ({"episode": str(uuid.uuid4())}, ("episode", "extra-forbidden")),
        ],
    )
    async def test_bad_query(self, ehr: Person, query: dict[str, str], fault: tuple[str, str]) -> None:
        made, _ = await opened(ehr)
        assert faults(await ehr.http.get(of(made), params=query)) == [fault]

    async def test_closed_until_all_consent_and_at_once_when_one_withdraws(
        self, people: People, couple: tuple[Couple, list[str]]
    ) -> None:
        made, (one, two) = couple
        assert len((await shown(people.ehr, made))["pairs"]) == 1
        for client in (one, two):
            await says(people.ehr, client, made, False)
            for query in ({}, {"as_of": START.isoformat()}, {"instrument": "phq-9"}):
                closed = problem(await people.clinician.http.get(of(made), params=query), 403, "joint-view-closed")
                assert closed["detail"] == WORDS
                assert client not in str(closed)
            await says(people.ehr, client, made, True)
        await leaves(people.ehr, two, made)
        problem(await people.ehr.http.get(of(made)), 403, "joint-view-closed")

    async def test_never_opened(self, ehr: Person) -> None:
        one, two = await ehr.client(), await ehr.client()
        made = await paired(ehr, one, two)
        await says(ehr, one, made, True)
        problem(await ehr.http.get(of(made)), 403, "joint-view-closed")

    async def test_what_is_withdrawn_while_it_is_read_is_not_shown(
        self, ehr: Person, couple: tuple[Couple, list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, (_, two) = couple
        reading = _after_the_first(monkeypatch)
        reading["then"] = lambda: says(ehr, two, made, False)
        problem(await ehr.http.get(of(made)), 403, "joint-view-closed")
        assert reading["calls"] == 2

    async def test_a_partner_who_is_erased(self, people: People, couple: tuple[Couple, list[str]]) -> None:
        made, (_, two) = couple
        gone = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
        assert (await people.admin.http.delete(f"/v1/clients/{two}", params=gone)).status_code == 200
        problem(await people.ehr.http.get(of(made)), 403, "joint-view-closed")

    async def test_a_partner_who_is_erased_while_it_is_read(
        self, people: People, couple: tuple[Couple, list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, (_, two) = couple
        gone = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
        reading = _after_the_first(monkeypatch)
        reading["then"] = lambda: people.admin.http.delete(f"/v1/clients/{two}", params=gone)
        problem(await people.ehr.http.get(of(made)), 403, "joint-view-closed")


def _after_the_first(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Have something happen once the first member's scores have been read."""
    from api.couple_progress import service

    state: dict[str, Any] = {"calls": 0, "then": None}
    real = service.measurements

    async def measured(*args: Any, **kwargs: Any) -> Found:
        found = await real(*args, **kwargs)
        state["calls"] += 1
        if state["calls"] == 1:
            await state["then"]()
        return found

    monkeypatch.setattr(service, "measurements", measured)
    return state


class TestShown:
    async def test_both_series_are_those_of_their_own_paths(
        self, ehr: Person, couple: tuple[Couple, list[str]]
    ) -> None:
        made, clients = couple
        found = await shown(ehr, made)
        assert [member["client_id"] for member in found["members"]] == clients
        for member in found["members"]:
            own = (await ehr.http.get(path(member["client_id"]))).json()
            assert member == {name: own[name] for name in ("client_id", "episodes", "series", "without_definition")}
        assert found["members"][0]["series"][0]["change"]["from_baseline"]["category"] == "recovered"

    async def test_discrepancy_over_time(self, ehr: Person, couple: tuple[Couple, list[str]]) -> None:
        made, (one, two) = couple
        (pair,) = (await shown(ehr, made, instrument="phq-9"))["pairs"]
        assert (pair["first"], pair["second"], pair["not_compared"]) == (one, two, [])
        (scale,) = (each for each in pair["scales"] if each["scale"] == "total")
        # 20 - 8, 14 - 8, 6 - 7; the forms of day 100 and of day 140 have nobody near
        assert [each["discrepancy"] for each in scale["occasions"]] == [12, 6, -1]
        assert [each["days_apart"] for each in scale["occasions"]] == [3, 1, 1]
        assert [each["better_off"] for each in scale["occasions"]] == ["second", "second", "first"]
        assert [[each["value"] for each in scale["unpaired"][side]] for side in ("first", "second")] == [[5], [9]]
        error = scale["error"]
        sem = instruments.load("phq-9").progress[0]
        one_sem = float(sem.sd) * (1 - float(sem.reliability)) ** 0.5
        assert error["standard_error"] == pytest.approx(2**0.5 * one_sem)
        beyond = [abs(apart) > error["threshold"] for apart in (12, 6, -1)]
        assert [each["beyond_error"] for each in scale["occasions"]] == beyond == [True, beyond[1], False]
        change = scale["change"]
        assert (change["from"], change["to"], change["points"], change["narrowed"]) == (12, -1, -13, 11)
        assert change["direction"] == "closer"
        assert change["index"] == pytest.approx(-13 / (2 * one_sem))
        assert change["reliable"]
        assert scale["agreement"]["mean"] == pytest.approx(17 / 3)
        assert scale["agreement"]["n"] == 3

    async def test_the_window(self, ehr: Person, couple: tuple[Couple, list[str]]) -> None:
        made, _ = couple
        told = {}
        for days in (0, 1, 3, 40):
            (pair,) = (await shown(ehr, made, instrument="phq-9", scale="total", window_days=days))["pairs"]
            told[days] = len(pair["scales"][0]["occasions"])
            codes = [pair["scales"][0][part].get("code") for part in ("change", "agreement")]
            if days == 0:
                assert codes == ["no-occasions", "few-occasions"]
            if days == 1:
                assert codes == [None, "few-occasions"]
        assert told == {0: 0, 1: 2, 3: 3, 40: 4}

    async def test_what_is_not_compared_is_listed(self, ehr: Person, couple: tuple[Couple, list[str]]) -> None:
        made, (one, two) = couple
        await answered(ehr, one, (5, FSFI_FIVES))
        await answered(ehr, two, (5, dict.fromkeys(map(str, range(1, 16)), 3)), instrument="iief-15")
        (pair,) = (await shown(ehr, made))["pairs"]
        assert {each["instrument"] for each in pair["scales"]} == {"phq-9"}
        assert [(each["instrument"], each["scale"], each["code"]) for each in pair["not_compared"]] == [
            ("fsfi", None, "one-member-only"),
            ("iief-15", None, "one-member-only"),
        ]

    async def test_scores_of_another_kind_are_not_compared(self, ehr: Person, couple: tuple[Couple, list[str]]) -> None:
        made, (one, two) = couple
        items = {str(item): 4 for item in range(1, 6)}
        await answered(ehr, one, (5, items), instrument="gmsex", variant="sum")
        await answered(ehr, two, (5, items), instrument="gmsex", variant="mean")
        (pair,) = (await shown(ehr, made, instrument="gmsex"))["pairs"]
        assert pair["scales"] == []
        assert {(each["scale"], each["code"]) for each in pair["not_compared"]} == {("total", "other-variant")}

    async def test_profiles(self, ehr: Person) -> None:
        made, (one, two) = await opened(ehr)
        for day, value in ((0, 2), (30, 4)):
            await answered(ehr, one, (day, dict.fromkeys(FSFI_FIVES, value)))
            await answered(ehr, two, (day + 1, dict.fromkeys(FSFI_FIVES, 5)))
        (pair,) = (await shown(ehr, made, instrument="fsfi"))["pairs"]
        ((fsfi),) = pair["profiles"]
        found = fsfi["profile"]
        assert found["scales"] == ["desire", "arousal", "lubrication", "orgasm", "satisfaction", "pain"]
        assert found["first"]["answered_at"] != found["second"]["answered_at"]
        assert datetime.fromisoformat(max(found["first"]["answered_at"], found["second"]["answered_at"])) == (
            START + timedelta(days=31)
        )
        parts = found["elevation"] + found["scatter"] + found["shape"]
        assert found["squared_distance"] == pytest.approx(parts)
        (phq,) = (await shown(ehr, made, instrument="phq-9"))["pairs"]
        assert (phq["scales"], phq["profiles"]) == ([], [])

    async def test_three_who_are_together(self, ehr: Person) -> None:
        made, clients = await opened(ehr, 3)
        for shift, client in enumerate(clients):
            await forms(ehr, client, (shift, 10 + shift))
        found = await shown(ehr, made)
        ids = sorted(clients)
        assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
            (ids[0], ids[1]), (ids[0], ids[2]), (ids[1], ids[2])
        ]  # fmt: skip
        assert all(len(pair["scales"]) == 1 for pair in found["pairs"])

    async def test_nothing_answered(self, ehr: Person) -> None:
        made, _ = await opened(ehr)
        found = await shown(ehr, made)
        assert [(pair["scales"], pair["profiles"], pair["not_compared"]) for pair in found["pairs"]] == [([], [], [])]

    async def test_as_of(self, ehr: Person, couple: tuple[Couple, list[str]]) -> None:
        made, _ = couple
        found = await shown(ehr, made, as_of="2025-12-01T00:00:00Z")
        assert found["as_of"] == "2025-12-01T00:00:00Z"
        assert [member["series"] for member in found["members"]] == [[], []]


class TestTrail:
    async def test_everybody_learns_that_they_were_read(
        self, people: People, couple: tuple[Couple, list[str]], tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        made, (one, two) = couple
        await people.clinician.http.get(of(made))
        await says(people.ehr, one, made, False)
        await people.clinician.http.get(of(made))
        rows = await superuser.fetch(
            "select action, resource, resource_id, outcome from audit_event "
            "where organisation_id = $1 and subject = 'clinician-1' order by id",
            tenant.id,
        )
        assert sorted(tuple(row) for row in rows[:3]) == sorted(
            [
                ("read", "progress", uuid.UUID(one), "done"),
                ("read", "progress", uuid.UUID(two), "done"),
                ("read-progress", "couple", uuid.UUID(made), "done"),
            ]
        )
        assert [tuple(row) for row in rows[3:]] == [("read-progress", "couple", uuid.UUID(made), "closed")]

    async def test_nothing_of_it_shows_in_a_members_own_paths(
        self, ehr: Person, couple: tuple[Couple, list[str]]
    ) -> None:
        made, (one, two) = couple
        told = (await ehr.http.get(path(one))).text
        await shown(ehr, made)
        assert (await ehr.http.get(path(one))).text == told
        assert two not in told


async def test_consent_is_asked_before_anything_is_read_and_after(
    app: FastAPI, ehr: Person, couple: tuple[Couple, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_seen = CoupleRepository.seen
    from api.couple_progress import service

    real = service.measurements

    async def seen(self: CoupleRepository, couple_id: uuid.UUID) -> Any:
        steps.append("consent")
        return await real_seen(self, couple_id)

    async def measured(*args: Any, **kwargs: Any) -> Found:
        steps.append("scores")
        return await real(*args, **kwargs)

    monkeypatch.setattr(CoupleRepository, "seen", seen)
    monkeypatch.setattr(service, "measurements", measured)
    await shown(ehr, couple[0])
    assert steps == ["consent", "scores", "scores", "consent"]
