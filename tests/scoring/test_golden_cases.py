"""Golden cases of a submission: where a case and a definition disagree, and what no case exercises."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import instruments
from scoring.golden import GoldenCase, differences, gaps
from tests.scoring.test_golden import BY_CODE

PHQ_9, ISS = instruments.load("phq-9"), instruments.load("iss")
TWOS = {str(number): 2 for number in range(1, 10)}


def case(**members: Any) -> GoldenCase:
    return GoldenCase.model_validate({"name": "a case", "answers": TWOS, "scores": {"total": 18}} | members)


def told(**members: Any) -> list[tuple[Any, ...]]:
    return [found.path for found in differences(PHQ_9, [case(**members)])]


def test_a_case_that_agrees_differs_in_nothing() -> None:
    raised = [alert.id for alert in PHQ_9.alerts]
    agreeing = case(alerts=raised, counts={"total": [9, 0, 0]}, flags=[], skipped=[], held_back=[])
    assert list(differences(PHQ_9, [agreeing])) == []


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"scores": {"total": 17}}, (0, "scores", "total")),
        ({"scores": {"total": None}}, (0, "scores", "total")),
        ({"scores": {"total": 18, "mood": 1}}, (0, "scores", "mood")),
        ({"scores": {"mood": 1}}, (0, "scores", "mood")),
        ({"scores": {"mood": 1}}, (0, "scores")),
        ({"statuses": {"total": "prorated"}}, (0, "statuses", "total")),
        ({"bands": {"total": "none"}}, (0, "bands", "total")),
        ({"cutoffs": {"nonesuch": True}}, (0, "cutoffs", "nonesuch")),
        ({"caseness": {"nonesuch": True}}, (0, "caseness", "nonesuch")),
        ({"counts": {"total": [8, 1, 0]}}, (0, "counts", "total")),
        ({"flags": ["nonesuch"]}, (0, "flags")),
        ({"alerts": []}, (0, "alerts")),
        ({"skipped": ["9"]}, (0, "skipped")),
        ({"held_back": ["total"]}, (0, "held_back")),
        ({"variant": "nonesuch"}, (0, "variant")),
        ({"answers": TWOS | {"9": 7}}, (0, "answers", "9")),
        ({"answers": TWOS | {"a/b~c": 1}}, (0, "answers", "a/b~c")),
    ],
)
def test_a_difference_is_told_with_its_place(members: dict[str, Any], path: tuple[Any, ...]) -> None:
    assert path in told(**members)


def test_a_difference_names_both_values() -> None:
    (found,) = differences(PHQ_9, [case(), case(scores={"total": 17})])
    assert (found.path, found.expected, found.actual) == ((1, "scores", "total"), 17, 18)
    assert found.detail == "expected 17.0, the definition gives 18.0"
    (empty,) = differences(PHQ_9, [case(alerts=[])])
    assert empty.detail.startswith("expected nothing, the definition gives ")
    (nothing,) = differences(PHQ_9, [case(bands={"total": None})])
    assert nothing.detail.startswith("expected no value, ")


@pytest.mark.parametrize(("written", "value"), [("16/3", 16 / 3), ("-1/2", -0.5), ("2.5", 2.5), (7, 7), (None, None)])
def test_values(written: Any, value: float | None) -> None:
    assert case(scores={"total": written}).scores == {"total": value}


@pytest.mark.parametrize("wrong", ["a", "1/0", "1e9", "", True, False, float("nan"), float("inf"), [1]])
def test_values_that_are_none(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        case(scores={"total": wrong})


def test_what_no_case_exercises_is_told() -> None:
    lacking = list(gaps(ISS, [case(answers={}, scores={"total": None})]))
    assert "no case has a value of the scale 'total'" in lacking
    for name in ISS.variant_ids[1:]:
        assert f"no case uses the variant {name!r}" in lacking
    for alert in ISS.alerts:
        assert f"no case has {alert.id!r} among its alerts" in lacking
    asex = instruments.load("asex")
    assert "no case meets the caseness rule 'case'" in list(gaps(asex, []))
    fsfi = instruments.load("fsfi")
    assert {f"no case has {rule.id!r} among its flags" for rule in fsfi.validity} <= set(gaps(fsfi, []))


@pytest.mark.parametrize("code", ["asex", "fsfi", "gad-7"])
def test_the_projects_own_cases_leave_no_gap_and_differ_in_nothing(code: str) -> None:
    kept = [{n: v for n, v in one.items() if n in GoldenCase.model_fields} for one in BY_CODE[code]]
    cases = [GoldenCase.model_validate(one) for one in kept]
    instrument = instruments.load(code)
    assert [found for found in differences(instrument, cases) if found.path[1] == "scores"] == []
    assert list(gaps(instrument, cases)) == []
