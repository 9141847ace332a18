"""Clients whose recorded situation an instrument was not made for: a flag that names the rule, never a refusal."""

from __future__ import annotations

from typing import Any

import pytest

import instruments
from scoring.situation import outside_flags
from tests.api.people import FSFI_FIVES, Person, faults
from tests.api.test_progress import NONE_TRIED, path

FSFI = instruments.load("fsfi")
IIEF = instruments.load("iief-5")
LOWEST = {code: {item.id: item.options[-1] for item in instruments.load(code).items} for code in ("csi-16", "iief-5")}


async def recorded(ehr: Person, instrument: str, answers: dict[str, int], **client: Any) -> dict[str, Any]:
    made = await ehr.http.post("/v1/clients", json=client)
    assert made.status_code == 201, made.text
    answer = await ehr.respond(made.json()["id"], instrument=instrument, answers=answers)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert (await ehr.http.get(f"/v1/responses/{body['id']}")).text == answer.text, "what is kept is what was answered"
    return body


def rules(body: dict[str, Any]) -> list[str]:
    return [flag["id"] for flag in body["flags"] if flag["id"].startswith("outside-")]


class TestRecorded:
    @pytest.mark.parametrize(
        ("instrument", "client", "expected"),
        [
            ("fsfi", {"organs": ["vagina"]}, []),
            ("fsfi", {"organs": ["vagina", "uterus"], "partnered": True}, []),
            ("fsfi", {}, []),
            ("fsfi", {"organs": ["penis"]}, ["outside-organs"]),
            ("fsfi", {"organs": []}, ["outside-organs"]),
            ("csi-16", {"partnered": False}, ["outside-partner"]),
            ("csi-16", {"partnered": False, "organs": []}, ["outside-partner"]),
            ("csi-16", {"partnered": True}, []),
            ("csi-16", {"partnered": None}, []),
            ("iief-5", {"partnered": False, "organs": ["vagina"]}, ["outside-organs", "outside-partner"]),
            ("iief-5", {"partnered": True, "organs": ["vagina"]}, ["outside-organs"]),
        ],
    )
    async def test_flags(self, ehr: Person, instrument: str, client: dict[str, Any], expected: list[str]) -> None:
        answers = FSFI_FIVES if instrument == "fsfi" else LOWEST[instrument]
        body = await recorded(ehr, instrument, answers, **client)
        assert rules(body) == expected
        assert body["valid"] if "valid" in body else all(score["valid"] for score in body["scores"].values())
        assert all(score["value"] is not None for score in body["scores"].values())
        known = {flag.id: flag.document() for flag in outside_flags(instruments.load(instrument)).values()}
        assert [flag for flag in body["flags"] if flag["id"] in expected] == [known[rule] for rule in expected]

    async def test_beside_a_validity_rule(self, ehr: Person) -> None:
        body = await recorded(ehr, "fsfi", NONE_TRIED, organs=["penis"])
        ids = [flag["id"] for flag in body["flags"]]
        assert ids[-1] == "outside-organs"
        assert len(ids) > 1, "the rule about answers is told as well"

    async def test_gender_changes_nothing(self, ehr: Person) -> None:
        for gender in ("woman", "man", "nonbinary", "agender"):
            assert rules(await recorded(ehr, "fsfi", FSFI_FIVES, gender=gender)) == []

    async def test_the_situation_is_that_of_recording(self, ehr: Person) -> None:
        made = (await ehr.http.post("/v1/clients", json={"organs": ["penis"]})).json()
        before = (await ehr.respond(made["id"], answers=FSFI_FIVES)).json()
        headers = {"If-Match": '"1"', "Content-Type": "application/merge-patch+json"}
        changed = await ehr.http.patch(f"/v1/clients/{made['id']}", json={"organs": ["vagina"]}, headers=headers)
        assert changed.status_code == 200, changed.text
        after = (await ehr.respond(made["id"], answers=FSFI_FIVES)).json()
        assert (rules(before), rules(after)) == (["outside-organs"], [])
        kept = (await ehr.http.get(f"/v1/responses/{before['id']}")).json()
        assert rules(kept) == ["outside-organs"]

    async def test_a_repetition_is_answered_the_same(self, ehr: Person) -> None:
        made = (await ehr.http.post("/v1/clients", json={"organs": ["penis"]})).json()
        first = await ehr.respond(made["id"], answers=FSFI_FIVES, key="twice")
        second = await ehr.respond(made["id"], answers=FSFI_FIVES, key="twice")
        assert rules(first.json()) == ["outside-organs"]
        assert first.text == second.text

    async def test_it_is_used_for_change_all_the_same(self, ehr: Person) -> None:
        body = await recorded(ehr, "fsfi", FSFI_FIVES, organs=["penis"])
        found = (await ehr.http.get(path(body["client_id"], instrument="fsfi", scale="total"))).json()
        assert found["series"][0]["points"][0]["used"]


class TestStateless:
    @pytest.mark.parametrize(
        ("situation", "expected"),
        [
            (None, []),
            ({}, []),
            ({"organs": ["penis"]}, []),
            ({"organs": None, "partnered": None, "active": None}, []),
            ({"organs": ["vulva"]}, ["outside-organs"]),
            ({"partnered": False}, ["outside-partner"]),
            (
                {"organs": [], "partnered": False, "active": False},
                ["outside-organs", "outside-partner", "outside-activity"],
            ),
        ],
    )
    async def test_flags(self, ehr: Person, situation: dict[str, Any] | None, expected: list[str]) -> None:
        body = {"answers": LOWEST["iief-5"], "situation": situation}
        answer = await ehr.http.post("/v1/instruments/iief-5/score", json=body)
        assert answer.status_code == 200, answer.text
        known = set(outside_flags(IIEF))
        assert rules(answer.json()) == [rule for rule in expected if rule in known]

    @pytest.mark.parametrize(
        ("situation", "fault"),
        [
            ({"organs": ["heart"]}, "/situation/organs/0"),
            ({"organs": "penis"}, "/situation/organs"),
            ({"partnered": "no"}, "/situation/partnered"),
            ({"active": 0}, "/situation/active"),
            ({"gender": "man"}, "/situation/gender"),
            ("single", "/situation"),
        ],
    )
    async def test_refused(self, ehr: Person, situation: Any, fault: str) -> None:
        body = {"answers": LOWEST["iief-5"], "situation": situation}
        answer = await ehr.http.post("/v1/instruments/iief-5/score", json=body)
        assert [place for place, _ in faults(answer)] == [fault]
