"""Three-valued logic: its laws, and that one form and a block of forms follow the same."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scoring
from scoring.logic import how_many
from tests.scoring.worlds import instrument, item, scale, sourced

A = {"item": "1", "at_least": 1}
B = {"item": "2", "at_least": 1}
VALUES = {True: 1, False: 0, None: None}
KLEENE_AND = {(True, True): True, (True, None): None, (None, None): None}
SCALES = [scale("s", items=["1", "2"], min=0, max=4)]


def both(condition: dict[str, Any], answers: dict[str, Any], items: list[dict[str, Any]] | None = None) -> bool | None:
    """A condition over one form, and over a frame of that form: they must agree."""
    rule = {"id": "r", "meaning": "m", "when": condition} | sourced()
    world = instrument(items=items or [item("1"), item("2"), item("3")], scales=SCALES, caseness=[rule])
    alone = scoring.score(world, answers).caseness["r"]
    frame = scoring.score_frame(world, pd.DataFrame({k: pd.array([v], dtype="Int64") for k, v in answers.items()}))
    assert (None if pd.isna(frame["r"].iloc[0]) else bool(frame["r"].iloc[0])) is alone
    return alone


@pytest.mark.parametrize(("a", "b"), list(product(VALUES, VALUES)))
def test_all_any_and_not_are_kleenes(a: bool | None, b: bool | None) -> None:
    answers = {"1": VALUES[a], "2": VALUES[b]}
    met_all = both({"all": [A, B]}, answers)
    met_any = both({"any": [A, B]}, answers)
    assert met_all is (False if False in (a, b) else None if None in (a, b) else True)
    assert met_any is (True if True in (a, b) else None if None in (a, b) else False)
    assert both({"not": A}, answers) is (None if a is None else not a)
    # de Morgan, double negation, and that order does not matter
    assert both({"not": {"any": [{"not": A}, {"not": B}]}}, answers) is met_all
    assert both({"not": {"all": [{"not": A}, {"not": B}]}}, answers) is met_any
    assert both({"not": {"not": A}}, answers) is a
    assert both({"all": [B, A]}, answers) is met_all


def test_alerts_of_every_kind_of_rule_are_raised_by_complete_forms() -> None:
    """The short way of a complete form leaves out rules that no complete form can meet, and no other."""
    rules = {"all": {"all": [A, B]}, "any": {"any": [A, B]}, "not": {"not": A}}
    alerts = [{"id": name, "meaning": "m", "severity": "urgent", "when": w} | sourced() for name, w in rules.items()]
    world = instrument(items=[item("1"), item("2")], scales=SCALES, alerts=alerts)
    for answers, raised in (((0, 0), ["not"]), ((0, 1), ["any", "not"]), ((1, 1), ["all", "any"])):
        result = scoring.score(world, dict(zip("12", answers, strict=True)))
        assert [alert.id for alert in result.alerts] == raised


def test_an_unknown_part_is_not_reasoned_away() -> None:
    """A or not A is unknown where A is: Kleene's logic, not a search through the possible answers."""
    assert both({"any": [A, {"not": A}]}, {"2": 1}) is None
    assert both({"all": [A, {"not": A}]}, {"2": 1}) is None


@pytest.mark.parametrize("given_answers", list(product((0, 1, None), repeat=3)))
@pytest.mark.parametrize("needed", [1, 2, 3])
def test_a_count_is_known_as_soon_as_no_answer_can_change_it(given_answers: tuple[Any, ...], needed: int) -> None:
    answers = dict(zip("123", given_answers, strict=True))
    met, missing = given_answers.count(1), given_answers.count(None)
    count = {"count": ["1", "2", "3"], "at_least": 1, "needed": needed}
    expected = True if met >= needed else None if met + missing >= needed else False
    assert both(count, answers) is expected
    assert both(count | {"or_missing": True}, answers) is (met + missing >= needed)
    if needed == 1:
        assert both({"any": [{"item": n, "at_least": 1} for n in "123"]}, answers) is expected
    if needed == 3:
        assert both({"all": [{"item": n, "at_least": 1} for n in "123"]}, answers) is expected


COMPARED = {
    "at_least": ("1.5", (False, False, True)),
    "above": ("1", (False, False, True)),
    "at_most": ("1", (True, True, False)),
    "below": ("1.5", (True, True, False)),
    "one_of": ([0, 2, "1.5"], (True, False, True)),
}


@pytest.mark.parametrize("comparator", COMPARED)
def test_answers_and_scales_are_compared_alike(comparator: str) -> None:
    operand, expected = COMPARED[comparator]
    for answer, met in zip((0, 1, 2), expected, strict=True):
        assert both({"item": "1", comparator: operand}, {"1": answer}) is met
        assert both({"scale": "s", comparator: operand}, {"1": answer, "2": 0}) is met
    assert both({"item": "1", comparator: operand}, {"1": None}) is None
    assert both({"scale": "s", comparator: operand}, {"1": 1}) is None


@pytest.mark.parametrize("comparator", ["at_least", "at_most", "above", "below"])
def test_an_option_that_is_left_out_has_no_size(comparator: str) -> None:
    left_out = {"value": 9, "meaning": "not-relevant", "scored": False}
    items = [item("1", (0, 1, 2, 9), not_applicable=[left_out]), item("2")]
    assert both({"item": "1", comparator: 5}, {"1": 9}, items) is False
    assert both({"item": "1", "one_of": [9]}, {"1": 9}, items) is True
    scored = {"value": 2, "meaning": "no-activity", "scored": True}
    assert both({"item": "1", "at_least": 2}, {"1": 2}, [item("1", not_applicable=[scored]), item("2")]) is True


def test_numbers_that_no_value_reaches() -> None:
    for operand, below in (("1e20", True), ("-1e20", False), ("0.000000000000000000001", True)):
        assert both({"scale": "s", "below": operand}, {"1": 0, "2": 0}) is below
        assert both({"scale": "s", "at_least": operand}, {"1": 0, "2": 0}) is not below
        assert both({"scale": "s", "one_of": [operand, 0]}, {"1": 0, "2": 0}) is True


@given(st.integers(1, 300), st.integers(0, 2**32), st.booleans())
def test_how_many_counts_beyond_a_byte(rows: int, seed: int, only_whether: bool) -> None:
    import numpy as np

    matrix = np.random.default_rng(seed).random((rows, 5)) < 0.9
    matrix[:, 0], matrix[:, 1] = True, False
    expected = matrix.any(axis=0) if only_whether else matrix.sum(axis=0)
    assert how_many(list(matrix), only_whether=only_whether).tolist() == expected.tolist()


def test_a_count_over_more_items_than_a_byte_holds() -> None:
    many = [item(f"i{n}") for n in range(300)]
    rule = {"count": [part["id"] for part in many], "at_least": 1, "needed": 290}
    for met, expected in ((300, True), (290, True), (289, False), (40, False)):
        answers = {f"i{n}": int(n < met) for n in range(300)}
        world = [*many, item("1"), item("2")]
        assert both(rule, answers, world) is expected
    assert both(rule, {f"i{n}": 1 for n in range(289)}, [*many, item("1"), item("2")]) is None
