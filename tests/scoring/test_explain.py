"""An explanation ends where the score is, step by step, and says what each step rests on."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
import scoring
from scoring.numbers import number
from tests.scoring.laws import costly
from tests.scoring.strategies import any_instrument, forms
from tests.scoring.worlds import instrument, item, scale, sourced

FSFI = instruments.load("fsfi")
ARITHMETIC = ("combine", "transform")


@costly(40)
@given(st.data())
def test_the_arithmetic_of_every_explanation_ends_at_the_score(data: st.DataObject) -> None:
    world = data.draw(any_instrument())
    variant = data.draw(st.sampled_from([None, *world.variant_ids]))
    answers = data.draw(forms(world, variant=variant))
    told = scoring.explain(world, answers, variant=variant)
    assert told.result == scoring.score(world, answers, variant=variant)
    for rule in world.scales:
        value = told.result.scores[rule.id].value
        steps = [step for step in told.steps if step.about == rule.id and step.kind in ARITHMETIC]
        assert (steps[-1].value if steps else None) == value, rule.id
        (status,) = [step for step in told.steps if step.about == rule.id and step.kind == "status"]
        assert status.value == value
        assert any(step.kind == "source" and rule.source in step.text for step in told.steps if step.about == rule.id)
    judged = {step.about: step.value for step in told.steps if step.kind == "rule"}
    assert {name: judged[name] for name in told.result.caseness} == told.result.caseness
    skipped = [name for step in told.steps if step.kind == "skip" for name in step.inputs["items"]]
    assert sorted(skipped) == sorted(told.result.skipped)
    assert len(told.lines) == len(told.steps)
    assert all("\n" not in line.removesuffix("\n") for line in told.lines)
    json.dumps(told.document())


def lines_of(about: str, answers: dict[str, Any], world: instruments.Instrument = FSFI, **options: Any) -> list[str]:
    told = scoring.explain(world, answers, **options)
    return [line.removeprefix(f"{about}: ") for line in told.lines if line.startswith(f"{about}: ")]


def test_a_factor_is_shown_as_people_write_it() -> None:
    lines = lines_of("desire", {i.id: 3 for i in FSFI.items} | {"2": 4})
    assert lines[:3] == ["items 1: 3, 2: 4", "3 + 4 = 7", "7 x 0.6 = 4.2"]
    assert lines[3] == "complete"


def test_prorating_is_shown() -> None:
    lines = lines_of("orgasm", {"11": 3, "12": 4}, variant="prorated")
    assert "prorated: 7 x 3 / 2 = 10.5" in lines
    assert "10.5 x 0.4 = 4.2" in lines
    assert "prorated" in lines


def test_a_score_that_is_not_there_says_why() -> None:
    lines = lines_of("desire", {"1": 3})
    assert "no score: 1 of 2 items has a value, 2 are needed" in lines
    assert "insufficient" in lines
    assert "no score: 0 of 6 scales have a value, 6 are needed" in lines_of("total", {})
    assert "no score: 0 of 2 items have a value, 1 is needed" in lines_of("desire", {}, variant="prorated")


def test_reversing_and_options_that_do_not_apply_are_shown() -> None:
    left_out = [{"value": 9, "meaning": "no-partner", "scored": False}]
    world = instrument(
        items=[
            item("1", reverse=True),
            item("2", (0, 1, 2, 9), not_applicable=left_out),
            item("3", scored={"0": 0, "1": 2.5, "2": 1}),
        ],
        scales=[
            scale("a", items=["1", "2", "3"], missing={"rule": "prorate", "min_answered": 2}, clamp=True, min=0, max=6),
            scale("b", items=["1", "3"], method="mean", offset=1, min=1, max="3.25"),
        ],
    )
    lines = lines_of("a", {"1": 0, "2": 9, "3": 1}, world)
    assert "item 1: 0 scores 0 + 2 - 0 = 2" in lines
    assert "item 2: 9 means no partner and is left out" in lines
    assert "item 3: 1 scores 2.5" in lines
    assert "prorated: 4.5 x 3 / 2 = 6.75" in lines
    assert "6.75 lies outside 0..6: 6" in lines
    lines = lines_of("b", {"1": 0, "3": 1}, world)
    assert "mean: 4.5 / 2 = 2.25" in lines
    assert "2.25 + 1 = 3.25" in lines


def test_weights_enter_the_range_that_is_rescaled() -> None:
    weights = {"1": 2, "2": -1}
    world = instrument(
        items=[item("1"), item("2")],
        scales=[scale("a", items=["1", "2"], weights=weights, rescale=[0, 100], min=0, max=100)],
    )
    lines = lines_of("a", {"1": 2, "2": 1}, world)
    assert "2 x 2 + 1 x -1 = 3" in lines
    assert "3 of -2..4 onto 0..100 = 83.3333" in lines
    assert scoring.score(world, {"1": 2, "2": 1}).scores["a"].value == float(Fraction(250, 3))


def test_a_rescaled_count_is_of_the_number_of_items() -> None:
    counted = scale("a", items=["1", "2"], method="count", counts={"at_least": 1}, rescale=[0, 100], min=0, max=100)
    world = instrument(items=[item("1"), item("2")], scales=[counted])
    assert "1 of 0..2 onto 0..100 = 50" in lines_of("a", {"1": 2, "2": 0}, world)


def test_bands_cutoffs_and_what_is_held_back() -> None:
    lines = lines_of("total", {i.id: 3 for i in FSFI.items})
    assert (
        "21.6 is at most 26.55: cutoff crossed (at risk of sexual dysfunction); "
        "source: 10.1080/00926230590475206 (read in the source)"
    ) in lines
    lines = lines_of("total", {i.id: 5 for i in FSFI.items})
    assert any(line.startswith("36 is not at most 26.55: cutoff not crossed") for line in lines)
    none = {i.id: 0 if 0 in i.options else 1 for i in FSFI.items}
    # the flag zero-answers is there too, but holds nothing back
    assert "not interpreted: too-little-activity" in lines_of("total", none)
    phq = instruments.load("phq-9")
    lines = lines_of("total", {i.id: i.options[0] for i in phq.items}, phq)
    assert "0 lies in band 'minimal' (severity); source: CamCOPS phq9.py (read in the source)" in lines


def test_the_variant_says_what_it_rests_on() -> None:
    phq = instruments.load("phq-9")
    (line,) = lines_of("variant", {"1": 1}, phq)
    assert line.startswith("prorated: the total from at least seven of nine items; source: ")
    assert line.endswith(" (from memory, to be checked)")
    (line,) = lines_of("variant", {"1": 1}, phq, variant="strict")
    assert line.startswith("strict: ")
    assert lines_of("variant", {}, instruments.load("who-5")) == [], "there is only one way"


def test_rules_are_told_as_met_not_met_or_unknown() -> None:
    rule = {"meaning": "m", "when": {"any": [{"item": "1", "at_least": 2}, {"scale": "a", "at_least": 3}]}} | sourced()
    count = {"id": "odd", "meaning": "m", "when": {"count": ["1", "2"], "one_of": [0], "needed": 2}, "scales": ["a"]}
    world = instrument(
        items=[item("1"), item("2")],
        scales=[scale("a", items=["1", "2"], min=0, max=4)],
        caseness=[{"id": "case"} | rule],
        validity=[count | sourced()],
    )
    assert lines_of("case", {"1": 2}, world) == ["caseness rule met: m; source: invented (derived, not published)"]
    assert lines_of("case", {"1": 0, "2": 0}, world) == [
        "caseness rule not met (m); source: invented (derived, not published)"
    ]
    assert lines_of("case", {"1": 1}, world)[0].startswith("caseness rule open, unanswered items could decide it (m); ")
    assert lines_of("odd", {"1": 0, "2": 0}, world) == [
        "validity rule met: m; source: invented (derived, not published)"
    ]
    assert lines_of("odd", {"1": 0, "2": 1}, world) == [
        "validity rule not met (m); source: invented (derived, not published)"
    ]
    (step,) = [s for s in scoring.explain(world, {"1": 2, "2": None}).steps if s.about == "case"]
    assert step.inputs == {"1": 2, "a": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(6), "6"),
        (Fraction(18, 5), "3.6"),
        (Fraction(1, 3), "0.3333"),
        (Fraction(-1, 4), "-0.25"),
        (0.5, "0.5"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: Any, text: str) -> None:
    assert number(value) == text


def test_errors_are_those_of_scoring() -> None:
    with pytest.raises(scoring.InvalidAnswers):
        scoring.explain(FSFI, {"1": 99})
    with pytest.raises(scoring.UnknownVariant):
        scoring.explain(FSFI, {}, variant="no-such")
