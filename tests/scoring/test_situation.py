"""Use outside of what an instrument was made for."""

from __future__ import annotations

from typing import Any

import pytest

import instruments
from scoring.situation import RULES, Situation, outside, outside_flags
from tests.scoring.test_progress import changed

FSFI = instruments.load("fsfi")


def made_for(**members: Any) -> instruments.Instrument:
    place = {"organs": [], "partner": "not-needed", "activity": "not-needed", "note": None}
    return changed(FSFI, applicability=place | members)


def rules(instrument: instruments.Instrument, **situation: Any) -> list[str]:
    return [flag.id for flag in outside(instrument, Situation(**situation))]


@pytest.mark.parametrize(
    ("members", "fits", "does_not"),
    [
        ({"organs": ["vagina"]}, {"organs": ["vagina", "uterus"]}, {"organs": ["penis"]}),
        ({"organs": ["vagina"]}, {"organs": None}, {"organs": []}),
        ({"organs": ["penis", "vagina"]}, {"organs": ["vagina"]}, {"organs": ["prostate"]}),
        ({"partner": "needed"}, {"partnered": True}, {"partnered": False}),
        ({"partner": "presumed"}, {"partnered": None}, {"partnered": False}),
        ({"activity": "needed"}, {"active": True}, {"active": False}),
        ({"activity": "presumed"}, {"active": None}, {"active": False}),
    ],
)
def test_one_condition(members: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any]) -> None:
    instrument = made_for(**members)
    assert rules(instrument, **fits) == []
    (rule,) = rules(instrument, **does_not)
    assert list(outside_flags(instrument)) == [rule]


def test_all_conditions_in_order() -> None:
    every = made_for(organs=["vagina"], partner="needed", activity="presumed")
    assert rules(every, organs=["penis"], partnered=False, active=False) == list(RULES)
    flags = outside(every, Situation(organs=[], partnered=False, active=False))
    assert [flag.meaning for flag in flags] == [
        "Presumes vagina, which the person is recorded not to have.",
        "Needs a partner; the person is recorded to have none.",
        "Presumes sexual activity in the recall period; there was none.",
    ]
    assert {flag.scales for flag in flags} == {tuple(scale.id for scale in FSFI.scales)}
    assert not any(flag.suppress for flag in flags)


def test_what_is_for_everybody_warns_nobody() -> None:
    assert rules(made_for(), organs=[], partnered=False, active=False) == []
    assert rules(instruments.load("phq-9"), organs=["penis"], partnered=False, active=False) == []


def test_what_is_not_known_warns_of_nothing() -> None:
    every = made_for(organs=["vagina"], partner="needed", activity="needed")
    assert rules(every) == []


def test_flags_are_made_once() -> None:
    assert outside_flags(FSFI) is outside_flags(FSFI)
