"""References over HTTP: what is asked for, versions, use, and who may."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from api.references import service
from scoring.progress_figures import figures
from tests.api.people import faults, problem
from tests.references.practice import OWN, PATH, TAKEN_IN, Practice


async def test_nobody_without_a_token_or_the_role(practice: Practice, stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get(PATH)).status_code == 401
    for role in ("researcher", "clinician", "ehr"):
        problem(await practice.create(role=role), 403, "forbidden")
    problem(await practice.people.researcher.http.get(PATH), 403, "forbidden")
    assert (await practice.people.clinician.http.get(PATH)).json() == {"items": [], "next": None}


async def test_parameters_are_taken_in_and_wait_to_be_used(practice: Practice) -> None:
    made = await practice.taken_in(stratum={"format": "couple", "severity": "mild"})
    assert (made["state"], made["active"], made["number"]) == ("ready", False, 1)
    assert made["stratum"] == {"format": "couple", "modality": None, "severity": "mild"}
    assert made["parameters"] == TAKEN_IN["parameters"] | {"clock": "weeks"}
    assert (made["persons"], made["observations"], made["horizon_weeks"]) == (300, 1800, 16.0)
    assert (made["source"], made["evidence"], made["requested_by"]) == ("invented", "memory", "admin-1")
    assert made["fit"] is None
    assert await practice.read(made["id"]) == made | {"uses": []}


async def test_each_is_a_version_of_its_scale_and_stratum_and_one_is_in_use(practice: Practice) -> None:
    first, second = [await practice.taken_in() for _ in range(2)]
    other = await practice.taken_in(stratum={"format": "couple"})
    assert [one["number"] for one in (first, second, other)] == [1, 2, 1]
    for one in (first, second, second, other):  # twice is as once
        assert (await practice.act(one["id"], "activate")).json()["active"]
    assert not (await practice.read(first["id"]))["active"]
    history = [use["effect"] for use in (await practice.read(first["id"]))["uses"]]
    assert history == ["activated", "replaced"]
    in_use = (await practice.people.clinician.http.get(PATH, params={"active": True})).json()["items"]
    assert {one["id"] for one in in_use} == {second["id"], other["id"]}
    withdrawn = (await practice.act(second["id"], "withdraw")).json()
    assert (withdrawn["state"], withdrawn["active"]) == ("withdrawn", False)
    assert [(use["effect"], use["by"]) for use in withdrawn["uses"]] == [
        ("activated", "admin-1"),
        ("withdrawn", "admin-1"),
    ]
    assert (await practice.act(second["id"], "withdraw")).json() == withdrawn
    problem(await practice.act(second["id"], "activate"), 409, "reference-state")
    assert (await practice.act(first["id"], "activate")).json()["active"], "an earlier version can be used again"


async def test_one_that_was_never_used_is_withdrawn_without_a_history(practice: Practice) -> None:
    made = await practice.taken_in()
    assert (await practice.act(made["id"], "withdraw")).json()["uses"] == []


async def test_lists_are_by_pages_newest_first(practice: Practice) -> None:
    made = [await practice.taken_in(stratum={"modality": one}) for one in ("in-person", "telehealth", "hybrid")]
    http = practice.people.ehr.http
    page = await http.get(PATH, params={"limit": 2, "instrument": "phq-9"})
    assert [one["id"] for one in page.json()["items"]] == [made[2]["id"], made[1]["id"]]
    following = await http.get(page.headers["Link"].partition("<")[2].partition(">")[0])
    assert [one["id"] for one in following.json()["items"]] == [made[0]["id"]]
    assert (await http.get(PATH, params={"instrument": "fsfi"})).json()["items"] == []
    assert len((await http.get(PATH, params={"active": False})).json()["items"]) == 3


async def test_another_organisations_references_are_not_there(practice: Practice) -> None:
    made = await practice.taken_in()
    await practice.act(made["id"], "activate")
    elsewhere = practice.people.elsewhere.http
    problem(await elsewhere.get(f"{PATH}/{made['id']}"), 404, "not-found")
    assert (await elsewhere.get(PATH)).json()["items"] == []
    problem(await practice.act(str(uuid.uuid4()), "activate"), 404, "not-found")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"instrument": "nothing"}, [("/instrument", "unknown-instrument")]),
        ({"version": 99}, [("/version", "unknown-version")]),
        ({"variant": "nothing"}, [("/variant", "unknown-variant")]),
        ({"scale": "nothing"}, [("/scale", "unknown-scale")]),
        ({"stratum": {"format": "choir"}}, [("/stratum/format", "unknown-code")]),
        ({"stratum": {"modality": "by-post", "severity": "odd"}},
         [("/stratum/modality", "unknown-code"), ("/stratum/severity", "unknown-severity")]),
        ({"source": "a", "data": "b"}, [("/source", "not-of-this-origin"), ("/data", "not-of-this-origin")]),
        ({"origin": "data"}, [("/source", "missing"), ("/evidence", "missing"), ("/data", "missing")]),
        ({"origin": "parameters", "source": "a", "evidence": "read"},
         [(f"/{name}", "missing") for name in ("parameters", "persons", "observations", "horizon_weeks")]),
        (TAKEN_IN | {"persons": 99}, [("/persons", "too-few-persons")]),
        (TAKEN_IN | {"parameters": TAKEN_IN["parameters"] | {"random_covariance": [[1.0, 2.0], [2.0, 1.0]]}},
         [("/parameters", "not-a-model")]),
        (TAKEN_IN | {"parameters": TAKEN_IN["parameters"] | {"residual_variance": 1e-300}},
         [("/parameters/residual_variance", "too-small")]),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_every_fault(
    practice: Practice, members: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(await practice.create(**members)) == expected
    assert (await practice.people.admin.http.get(PATH)).json()["items"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"origin": "guessing"}, {"stratum": {"age": "old"}}, TAKEN_IN | {"source": " "},
        TAKEN_IN | {"source": "a\x00"}, TAKEN_IN | {"horizon_weeks": 0.0}, TAKEN_IN | {"persons": 1.5},
        TAKEN_IN | {"parameters": TAKEN_IN["parameters"] | {"residual_variance": 0.0}},
        TAKEN_IN | {"parameters": TAKEN_IN["parameters"] | {"clock": "days"}},
        TAKEN_IN | {"parameters": TAKEN_IN["parameters"] | {"slope": 1e9}},
        {"origin": "data", "source": "a", "evidence": "read", "data": "x" * 900_001},
    ],
)  # fmt: skip
async def test_what_has_not_the_right_shape_is_refused(practice: Practice, members: dict[str, Any]) -> None:
    assert (await practice.create(**members)).status_code == 422


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        ("", ["header"]),
        ("id;weeks;score\n", ["header"]),
        ("id,weeks,score\na,0\n", ["columns"]),
        ("id,weeks,score\n,0,5\n", ["id"]),
        ("id,weeks,score\na,-1,5\nb,x,28.0625\nc,inf,nan\n", ["weeks", "weeks", "score", "weeks", "score"]),
        ('id,weeks,score\n"a,0,5\n', ["not-csv"]),
        ("id,weeks,score\n" + "a,0,99\n" * 150, ["score"] * 100),
    ],
)
async def test_data_are_refused_with_every_fault_and_no_value(practice: Practice, data: str, codes: list[str]) -> None:
    answer = await practice.create(origin="data", source="a", evidence="read", data=data)
    assert faults(answer) == [("/data", code) for code in codes]
    assert "28.0625" not in answer.text


async def test_a_scale_without_a_direction_is_refused(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    real = figures

    class Neither:
        higher_is = "neither"

    monkeypatch.setattr(service, "figures", lambda *given: Neither() if given else real(*given))
    assert faults(await practice.create()) == [("/scale", "no-direction")]


async def test_only_so_many_fits_may_wait(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    made = await practice.made()
    problem(await practice.create(), 409, "too-many-references")
    problem(await practice.act(made["id"], "activate"), 409, "reference-state")
    problem(await practice.act(made["id"], "withdraw"), 409, "reference-state")
    assert (await practice.taken_in())["number"] == 2, "what needs no fit does not wait"
    assert OWN["origin"] == "episodes"
