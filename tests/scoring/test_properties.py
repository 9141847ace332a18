"""Laws that hold for every instrument of the catalogue and for every one that could be written."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scoring
from instruments.schema import Instrument
from scoring.answers import checked
from scoring.engine import _general
from scoring.plan import plan_of
from scoring.result import Result
from tests.scoring.laws import costly
from tests.scoring.reference import ExpectedResult, Reference
from tests.scoring.strategies import CATALOGUE, any_instrument, forms, invented
from tests.scoring.strategies_items import Form, steps_of

CODES = [instrument.code for instrument in CATALOGUE]


def variants_of(instrument: Instrument) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *instrument.variant_ids])


def assert_as_expected(instrument: Instrument, variant: str | None, answers: Form, result: Result) -> None:
    """Everything in a result equals the reference, values to the last bit."""
    assert_equal(result, Reference(instrument, variant).result(answers))


def assert_equal(result: Result, expected: ExpectedResult) -> None:
    assert list(result.scores) == list(expected.scores)
    for scale_id, want in expected.scores.items():
        got = result.scores[scale_id]
        # a float nearest to the exact fraction is what exact decimals mean: 1.8, not 1.7999999999999998
        assert got.value == (None if want.value is None else float(want.value)), scale_id
        assert got.status == want.status, scale_id
        assert (got.reason and (got.reason.code, got.reason.parts)) == want.reason, scale_id
        assert (got.answered, got.missing, got.not_applicable) == (want.answered, want.missing, want.not_applicable)
        assert got.band == want.band, scale_id
        assert {cutoff.id: cutoff.crossed for cutoff in got.cutoffs} == want.cutoffs, scale_id
        assert (got.flags, got.valid) == (want.flags, want.valid), scale_id
    assert result.caseness == expected.caseness
    assert tuple(flag.id for flag in result.flags) == expected.flags
    assert tuple(alert.id for alert in result.alerts) == expected.alerts
    assert result.skipped == expected.skipped


@settings(max_examples=100)
@given(st.data())
def test_scores_of_invented_instruments_equal_the_reference(data: st.DataObject) -> None:
    scored_as_expected(data)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=2_000)
@given(st.data())
def test_scores_of_many_invented_instruments_equal_the_reference(data: st.DataObject) -> None:
    scored_as_expected(data)


def scored_as_expected(data: st.DataObject) -> None:
    """Some forms of an invented instrument, alone and in a frame."""
    instrument = data.draw(invented())
    variant = data.draw(variants_of(instrument))
    reference, rows = Reference(instrument, variant), [data.draw(forms(instrument, variant=variant)) for _ in range(3)]
    frame = scoring.score_frame(instrument, frame_of(instrument, rows), variant=variant)
    for row, answers in zip(frame.to_dict("records"), rows, strict=True):
        result = scoring.score(instrument, answers, variant=variant)
        assert_equal(result, reference.result(answers))
        assert_row_equals(row, result)


@pytest.mark.parametrize("instrument", CATALOGUE, ids=CODES)
@settings(max_examples=5)
@given(data=st.data())
def test_scores_of_the_catalogue_equal_the_reference(instrument: Instrument, data: st.DataObject) -> None:
    variant = data.draw(variants_of(instrument))
    answers = data.draw(forms(instrument, variant=variant))
    assert_as_expected(instrument, variant, answers, scoring.score(instrument, answers, variant=variant))


def with_seed(instrument: Instrument, variant: str, seed: int, share: float) -> Form:
    """Answers that are quick to make, so that each instrument sees many forms."""
    source = random.Random(seed)
    answers: Form = {}
    for item in instrument.items_under(variant):
        value = source.choice(item.options)
        if source.random() < share:
            answers |= steps_of(item, value) if item.two_step is not None and seed % 2 else {item.id: value}
    return answers


@pytest.mark.parametrize("many", [12, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.parametrize("instrument", CATALOGUE, ids=CODES)
def test_many_forms_of_the_catalogue_equal_the_reference(instrument: Instrument, many: int) -> None:
    for variant in instrument.variant_ids:
        reference = Reference(instrument, variant)
        for seed in range(many):
            answers = with_seed(instrument, variant, seed, (1.0, 0.95, 0.6)[seed % 3])
            assert_equal(scoring.score(instrument, answers, variant=variant), reference.result(answers))


def assert_row_equals(row: Any, result: Result) -> None:
    """One row of a scored frame is the result of that form, to the last bit."""
    for scale_id, score in result.scores.items():
        value = row[scale_id]
        assert (None if pd.isna(value) else value) == score.value, scale_id
        assert row[f"{scale_id}_status"] == score.status
    for name, met in result.caseness.items():
        assert (None if pd.isna(row[name]) else bool(row[name])) is met, name
    assert row["flags"] == ";".join(flag.id for flag in result.flags)


def frame_of(instrument: Instrument, rows: list[Form]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.array([row.get(name) for row in rows], dtype="Int64") for name in instrument.answer_names}
    )


@costly(20)
@given(st.data())
def test_a_frame_gives_the_same_as_each_form_alone(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    variant = data.draw(variants_of(instrument))
    rows = [data.draw(forms(instrument, variant=variant)) for _ in range(data.draw(st.integers(1, 4)))]
    found = scoring.evaluate_frame(instrument, frame_of(instrument, rows), variant=variant, alerts=True)
    for number, (row, answers) in enumerate(zip(found.scores.to_dict("records"), rows, strict=True)):
        result = scoring.score(instrument, answers, variant=variant)
        assert_row_equals(row, result)
        assert [alert for alert, rows_ in found.alerts.items() if rows_[number]] == [one.id for one in result.alerts]


@costly(12)
@given(st.data())
def test_the_short_way_equals_the_general_way(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    variant = data.draw(variants_of(instrument))
    answers = data.draw(forms(instrument, variant=variant, complete=True))
    result = scoring.score(instrument, answers, variant=variant)
    plan = plan_of(instrument, variant)
    assert plan.shortcut is not None
    has_goals = any(scale.goals is not None for scale in instrument.scales)
    assert plan.shortcut(answers) == (None if has_goals else result), "a complete form takes the short way"
    assert _general(plan, checked(plan, answers)) == result
    assert result.document() == _general(plan, checked(plan, answers)).document()


@costly(12)
@given(st.data())
def test_the_short_way_leaves_every_other_form_alone(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    answers = data.draw(forms(instrument))
    result = scoring.score(instrument, answers)
    plan = plan_of(instrument)
    assert result == _general(plan, checked(plan, answers))
    outside = any(answers.get(i.id) in {o.value for o in i.not_applicable} for i in instrument.items)
    if outside or len([value for value in answers.values() if value is not None]) < len(instrument.items):
        assert plan.shortcut is not None
        assert plan.shortcut(answers) is None


@costly(12)
@given(st.data())
def test_values_stay_in_their_range(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    variant = data.draw(variants_of(instrument))
    answers = data.draw(forms(instrument, variant=variant))
    result = scoring.score(instrument, answers, variant=variant)
    for scale in instrument.scales:
        rule, value = scale.rule_for(result.variant), result.scores[scale.id].value
        assert value is None or float(rule.min) <= value <= float(rule.max)


@costly(12)
@given(st.data())
def test_the_order_of_answers_never_matters(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    answers = data.draw(forms(instrument))
    shuffled = dict(data.draw(st.permutations(list(answers.items()))))
    assert scoring.score(instrument, shuffled) == scoring.score(instrument, answers)


@costly(12)
@given(st.data())
def test_none_absent_and_whole_floats_are_the_same_answers(data: st.DataObject) -> None:
    instrument = data.draw(any_instrument())
    answers = data.draw(forms(instrument))
    expected = scoring.score(instrument, answers)
    assert scoring.score(instrument, {k: v for k, v in answers.items() if v is not None}) == expected
    assert scoring.score(instrument, {name: answers.get(name) for name in instrument.answer_names}) == expected
    floats = {k: None if v is None else float(v) for k, v in answers.items()}
    assert scoring.score(instrument, floats) == expected


@costly(12)
@given(st.data())
def test_a_missing_answer_is_never_a_zero(data: st.DataObject) -> None:
    """Taking one answer away shows in the status of each scale over that item, and is not an answer of 0."""
    instrument = data.draw(any_instrument())
    answers = data.draw(forms(instrument, complete=True))
    gone = data.draw(st.sampled_from([item.id for item in instrument.items]))
    before = scoring.score(instrument, answers)
    after = scoring.score(instrument, {k: v for k, v in answers.items() if k != gone})
    variant = instrument.variant_ids[0]
    reference = Reference(instrument, variant)
    if gone in after.skipped:
        return  # then it is answered all the same
    for scale in instrument.scales:
        if scale.goals is not None:
            continue  # a goal without a weight is not in use
        if gone not in reference._leaves(scale.id):
            assert after.scores[scale.id].value == before.scores[scale.id].value
            continue
        score = after.scores[scale.id]
        assert score.status in ("prorated", "insufficient")
        assert (score.value is None) == (score.status == "insufficient")
        assert score.missing == 1
        assert score.reason is not None


@costly(12)
@given(st.data())
def test_answering_one_more_item_never_turns_a_rule_over(data: st.DataObject) -> None:
    """Rules over raw answers are settled once they are known. (Over prorated scores they may change.)"""
    instrument = data.draw(any_instrument())
    answers = data.draw(forms(instrument))
    items = instrument.items_under(instrument.variant_ids[0])
    missing = [item for item in items if all(answers.get(name) is None for name in item.names)]
    if any("or_missing" in str(skip.when.model_dump(exclude_defaults=True)) for skip in instrument.skips):
        return  # what is skipped because of what is missing is not skipped any more
    if not missing or scoring.score(instrument, answers).skipped:
        return  # an answer of one's own may differ from what a skip said
    item = data.draw(st.sampled_from(missing))
    of_item = dict.fromkeys(item.names[1:])
    more = answers | of_item | {item.id: data.draw(st.sampled_from(item.options))}
    before, after = scoring.score(instrument, answers), scoring.score(instrument, more)
    for rule in instrument.caseness:
        if rule.id not in before.caseness:
            continue  # it belongs to another variant
        dumped = str(rule.when.model_dump(by_alias=True, exclude_defaults=True))
        if "'scale'" in dumped or "or_missing" in dumped:
            continue
        if before.caseness[rule.id] is not None:
            assert after.caseness[rule.id] is before.caseness[rule.id], rule.id
    for alert in before.alerts:
        dumped = str(next(a for a in instrument.alerts if a.id == alert.id).when.model_dump(exclude_defaults=True))
        assert "or_missing" in dumped or "'scale'" in dumped or alert.id in {a.id for a in after.alerts}
