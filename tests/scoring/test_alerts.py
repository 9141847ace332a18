"""Alert rules that somebody adds: decided for one form as for a frame, and refused where they could never hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import instruments
import scoring
from instruments.conditions import Condition, only_scale
from scoring.alerts import AddedRule, compile_rules, decide, faults
from scoring.plan import plan_of
from tests.scoring.laws import costly
from tests.scoring.strategies import any_instrument, forms

CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)
FSFI = instruments.load("fsfi")


def rule(when: Any, name: str = "r") -> AddedRule:
    return AddedRule(name, "a meaning", "notice", CONDITION.validate_python(when))


@given(st.data())
@costly(15)
def test_a_definitions_own_rules_are_decided_as_by_scoring_one_by_one_and_in_a_frame(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    variant = data.draw(st.sampled_from(instrument.variant_ids))
    plan = plan_of(instrument, variant)
    own = [one for one in instrument.alerts if one.holds_under(variant)]
    tests = compile_rules(plan, [AddedRule(one.id, one.meaning, one.severity, one.when) for one in own])
    assert [alert for alert, _ in tests] == [alert for alert, _ in plan.alerts]
    answers = [data.draw(forms(instrument, variant=variant)) for _ in range(3)]
    added = tuple((alert, test) for alert, test in compile_rules(plan, [rule_as(one, "added") for one in own]))
    names = [name for item in instrument.items for name in item.names]
    frame = pd.DataFrame([{name: form.get(name) for name in names} for form in answers], dtype=float)
    block = scoring.evaluate_frame(instrument, frame, variant=variant, alerts=True, added=added)
    for row, form in enumerate(answers):
        result = scoring.score(instrument, form, variant=variant)
        assert decide(plan, tests, form, result) == (list(result.alerts), list(result.undecided))
        for one in own:
            holds = one.id in {alert.id for alert in result.alerts}
            assert block.alerts[one.id][row] == block.alerts[f"added {one.id}"][row] == holds


def rule_as(one: Any, name: str) -> AddedRule:
    return AddedRule(f"{name} {one.id}", one.meaning, one.severity, one.when)


def test_a_rule_that_a_version_does_not_have_the_parts_of_is_left_out() -> None:
    rules = [
        rule({"item": "1", "at_least": 1}, "item"),
        rule({"item": "no-such", "at_least": 1}, "no item"),
        rule({"any": [{"count": ["1", "x"], "at_least": 1, "needed": 1}, {"scale": "total", "below": 5}]}, "no count"),
        rule({"scale": "no-such", "below": 5}, "no scale"),
        rule({"not": {"scale": "desire", "below": 5}}, "scale"),
    ]
    assert [alert.id for alert, _ in compile_rules(plan_of(FSFI), rules)] == ["item", "scale"]


def test_added_rules_are_asked_of_a_frame_only_with_alerts() -> None:
    tests = compile_rules(plan_of(FSFI), [rule({"item": "1", "at_most": 2})])
    frame = pd.DataFrame({"1": [1.0, 5.0, np.nan]})
    assert scoring.evaluate_frame(FSFI, frame, added=tests).alerts == {}
    found = scoring.evaluate_frame(FSFI, frame, alerts=True, added=tests).alerts
    assert found["r"].tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("when", "scale", "items"),
    [
        ({"scale": "desire", "below": 3}, "desire", ("1", "2")),
        ({"all": [{"scale": "desire", "below": 3}, {"not": {"scale": "desire", "below": 2}}]}, "desire", ("1", "2")),
        ({"any": [{"scale": "desire", "below": 3}, {"scale": "pain", "below": 3}]}, None, ("1", "2", "17", "18", "19")),
        ({"any": [{"scale": "desire", "below": 3}, {"item": "2", "below": 3}]}, None, ("1", "2")),
        ({"count": ["3", "1"], "below": 3, "needed": 1}, None, ("3", "1")),
    ],
)
def test_an_alert_says_what_it_looks_at(when: Any, scale: str | None, items: tuple[str, ...]) -> None:
    ((alert, _),) = compile_rules(plan_of(FSFI), [rule(when)])
    assert (alert.scale, alert.items) == (scale, items)
    assert only_scale(CONDITION.validate_python(when)) == scale


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ({"item": "1", "at_least": 5}, []),
        ({"item": "1", "at_least": 5.5}, [(("at_least",), "impossible-value")]),
        ({"item": "1", "below": 1}, [(("below",), "impossible-value")]),
        ({"item": "x", "below": 1}, [(("item",), "unknown-item")]),
        (
            {"item": "1", "one_of": [0, 1, 2.5]},
            [(("one_of", 0), "impossible-value"), (("one_of", 2), "impossible-value")],
        ),
        ({"scale": "x", "below": 1}, [(("scale",), "unknown-scale")]),
        ({"scale": "total", "at_least": 36}, []),
        ({"scale": "total", "at_least": 36.1}, [(("at_least",), "impossible-value")]),
        ({"scale": "total", "above": 36}, [(("above",), "impossible-value")]),
        ({"scale": "total", "at_most": 2}, []),
        ({"scale": "total", "at_most": 1.9}, [(("at_most",), "impossible-value")]),
        ({"scale": "total", "below": 2}, [(("below",), "impossible-value")]),
        ({"scale": "total", "one_of": [2, 37]}, [(("one_of",), "impossible-value")]),
        ({"scale": "total", "at_least": "1e40"}, [(("at_least",), "impossible-value")]),
        ({"scale": "total", "one_of": ["3", "1e-40"]}, [(("one_of",), "impossible-value")]),
        ({"count": ["1", "1"], "below": 3, "needed": 1}, [(("count", 1), "listed-twice")]),
        (
            {"any": [{"item": "1", "below": 3}, {"not": {"all": [{"count": ["1", "x"], "above": 9, "needed": 1}]}}]},
            [
                (("any", 1, "not", "all", 0, "above"), "impossible-value"),
                (("any", 1, "not", "all", 0, "count", 1), "unknown-item"),
            ],
        ),
    ],
)
def test_what_could_never_hold_is_named_where_it_stands(when: Any, found: list[tuple[Any, str]]) -> None:
    given_ = [(fault.place, fault.code) for fault in faults(FSFI, CONDITION.validate_python(when))]
    assert given_ == found


def test_a_long_list_of_what_there_is_is_cut() -> None:
    survey = next(one for one in map(instruments.load, instruments.catalogue().versions) if len(one.items) > 20)
    (fault,) = faults(survey, CONDITION.validate_python({"item": "no-such", "at_least": 1}))
    assert fault.detail.endswith(", …")


def test_what_was_passed_over_counts_as_answered() -> None:
    """Where a form lets questions be passed over, a rule sees the answer that they count with."""
    instrument = next(one for one in map(instruments.load, instruments.catalogue().versions) if one.skips)
    (skip, *_), plan = instrument.skips, plan_of(instrument)
    item = skip.items[0]
    tests = compile_rules(plan, [rule({"item": item, "one_of": [skip.answer]})])
    for answers in ({one.id: value for one in instrument.items[:1]} for value in sorted(instrument.items[0].options)):
        result = scoring.score(instrument, answers)
        holds, undecided = decide(plan, tests, answers, result)
        assert bool(holds) == (item in result.skipped)
        assert bool(undecided) == (item not in result.skipped)
