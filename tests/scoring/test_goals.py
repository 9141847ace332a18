"""Weighted T scores: figures worked out by hand, goals that are not used or not rated, limits, and the last unit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import scoring
from scoring.goals import UNITS, GoalPlan, TPlan
from scoring.plan import plan_of
from scoring.result import Reason
from tests.scoring.test_families import LAMP, LEFT_OUT, both
from tests.scoring.worlds import instrument, item, scale, sourced


def given(**answers: int) -> dict[str, int]:
    return {name.replace("_", "."): answer for name, answer in answers.items()}


@pytest.mark.parametrize(
    ("answers", "now", "status"),
    [
        ({"g1_weight": 1, "g1_now": 0}, "50", "complete"),
        ({"g1_weight": 1, "g1_now": 2}, "70", "complete"),
        ({"g1_weight": 3, "g1_now": -2}, "30", "complete"),
        # 50 + 10 * 4 / sqrt(2 * 0.7 + 0.3 * 4) = 50 + 40 / 1.6124515496597
        ({"g1_weight": 1, "g1_now": 2, "g2_weight": 1, "g2_now": 2}, "74.8069469178", "complete"),
        # 50 + 10 * (3 - 4) / sqrt(0.7 * 13 + 0.3 * 25) = 50 - 10 / 4.0743097574926
        ({"g1_weight": 3, "g1_now": 1, "g2_weight": 2, "g2_now": -2}, "47.5455965316", "complete"),
        ({"g1_weight": 1, "g1_now": 2, "g2_weight": 1}, "70", "prorated"),
        ({"g1_weight": 1, "g1_now": 2, "g2_weight": 0, "g2_now": -2}, "70", "complete"),
        ({"g1_weight": 1, "g1_now": 2, "g2_now": -2}, "70", "complete"),
        ({"g1_weight": 1}, None, "insufficient"),
        ({"g1_weight": 0, "g1_now": 1}, None, "not_applicable"),
        ({"g1_now": 1}, None, "not_applicable"),
        ({}, None, "not_applicable"),
    ],
)
def test_scores_worked_out_by_hand(answers: dict[str, int], now: str | None, status: str) -> None:
    score = both(LAMP, given(**answers)).scores["t-now"]
    assert (score.value, score.status) == (None if now is None else float(now), status)


def test_goals_are_counted_and_dropped_ones_named() -> None:
    answers = given(g1_weight=2, g1_now=1, g2_weight=1, g2_now=1, g2_before=0)
    change = both(LAMP, answers).scores["t-change"]
    assert (change.value, change.status) == (10, "prorated")
    assert change.reason == Reason("items-unanswered", ("g1.before",))
    assert (change.answered, change.missing, change.not_applicable) == (1, 1, 0)
    none = both(LAMP, {}).scores["t-change"]
    assert none.reason == Reason("items-not-applicable", ("g1.now", "g2.now"))
    assert (none.answered, none.missing, none.not_applicable) == (0, 0, 2)


def test_a_goal_can_need_another_answer_and_can_stop_to_apply() -> None:
    levels = item("now", (-1, 0, 1, 9), not_applicable=LEFT_OUT)
    goal = {"rating": "before", "weight": "w", "needs": "now"}
    world = instrument(
        items=[levels, item("before", (-1, 0, 1)), item("w", (0, 1))],
        scales=[
            scale("t", method="weighted-t", goals=[goal], correlation="0.3", factor=10, offset=50, min=40, max=60,
                  missing={"rule": "prorate", "min_answered": 1})
        ],
    )  # fmt: skip
    assert both(world, {"w": 1, "before": 1, "now": 0}).scores["t"].value == 60
    assert both(world, {"w": 1, "before": 1}).scores["t"].reason == Reason("items-unanswered", ("now",))
    gone = both(world, {"w": 1, "before": 1, "now": 9}).scores["t"]
    assert (gone.status, gone.reason) == ("not_applicable", Reason("items-not-applicable", ("before",)))
    assert "t: goal before: now does not apply, not in use" in scoring.explain(world, {"w": 1, "now": 9}).lines


def test_the_formula_is_explained_with_its_numbers() -> None:
    answers = given(g1_weight=3, g1_now=1, g1_before=-1, g2_weight=2, g2_now=-2)
    lines = scoring.explain(LAMP, answers).lines
    assert "t-now: goal g1.now: 1, with weight 3" in lines
    assert "t-now: weight x rating: 3 x 1 + 2 x -2 = -1" in lines
    assert "t-now: spread: sqrt(0.7 x (3^2 + 2^2) + 0.3 x 5^2) = sqrt(16.6) = 4.0743" in lines
    assert "t-now: 50 + 10 x -1 / 4.0743 = 47.5456" in lines
    assert "t-change: goal g1.now: 1 - -1 = 2, with weight 3" in lines
    assert "t-change: goal g2.now: weight 2, but no answer to g2.before: left out" in lines
    lines = scoring.explain(LAMP, {"g1.weight": 1}).lines
    assert "t-now: goal g2.now: no weight (g2.weight), not in use" in lines
    assert "t-now: no score: 0 goals are in use and rated, 1 is needed" in lines


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"max": 61}, "min..max is 40..61, but its goals give 40..60"),
        ({"factor": 0.5, "min": 40, "max": 60}, "its goals give 49..51"),
        ({"factor": 100_000, "min": -99_950, "max": 100_050}, "53 bits or ten decimals"),
        ({"offset": "0.00000000001", "min": -10, "max": 11}, "53 bits or ten decimals"),
        ({"goals": [{"rating": "same", "weight": "w"}]}, "every form would score the same"),
    ],
)
def test_limits_and_numbers_that_cannot_be_are_refused(members: dict[str, Any], words: str) -> None:
    rule = {
        "goals": [{"rating": "now", "weight": "w"}],
        "correlation": "0.3",
        "factor": 10,
        "offset": 50,
        "min": 40,
        "max": 60,
    }
    world = instrument(
        items=[item("now", (-1, 0, 1)), item("w", (0, 1)), item("same", scored={"0": 1, "1": 1, "2": 1})],
        scales=[scale("t", method="weighted-t", missing={"rule": "prorate", "min_answered": 1}, **rule | members)],
    )
    with pytest.raises(scoring.PlanError) as error:
        plan_of(world)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("total", "squares", "weight", "points"),
    [
        (1, 4, 2, 5 * UNITS // 10),
        (-1, 4, 2, -5 * UNITS // 10),
        (0, 4, 2, 0),
        (1, 2, 2, 7_071_067_812),  # 0.70710678118654...
        (2, 2, 2, 14_142_135_624),  # 1.41421356237309...
    ],
)
def test_points_are_the_nearest_unit(total: int, squares: int, weight: int, points: int) -> None:
    plan = TPlan((GoalPlan(0, None, None, 1),), 1, 1, 1, 0)
    assert plan.points(total, squares, weight) == points


@pytest.mark.parametrize(
    ("numerator", "divisor", "points"),
    [(1, 2 * UNITS, 0), (3, 2 * UNITS, 2), (-3, 2 * UNITS, -2), (5, 2 * UNITS, 2), (21, 2 * UNITS, 10)],
)
def test_half_a_unit_goes_to_the_even_one_by_form_and_by_frame(numerator: int, divisor: int, points: int) -> None:
    plan = TPlan((GoalPlan(0, None, None, 1),), numerator, divisor, 1, 0)
    assert plan.points(1, 1, 1) == points
    nothing = np.zeros(1, np.bool_)
    over, rated, dropped = plan.over(lambda _: np.ones(1, np.int16), lambda _: nothing, lambda _: nothing)
    assert (over.tolist(), rated.tolist(), dropped.tolist()) == ([points], [1], [0])


def test_a_cutoff_means_what_it_says() -> None:
    """56.6 is reached by 50 + 10 * 0.66, which no float holds."""
    cutoff = {"id": "c", "scale": "t", "at_least": "56.6", "meaning": "m"} | sourced()
    world = instrument(
        items=[item("now", scored={"0": 0, "1": "0.66", "2": "0.65"}), item("w", (0, 1))],
        scales=[
            scale("t", method="weighted-t", goals=[{"rating": "now", "weight": "w"}], correlation="0.3", factor=10,
                  offset=50, min=50, max=57, missing={"rule": "prorate", "min_answered": 1})
        ],
        cutoffs=[cutoff],
    )  # fmt: skip
    for answer, value, crossed in ((1, 56.6, True), (2, 56.5, False)):
        score = both(world, {"w": 1, "now": answer}).scores["t"]
        assert (score.value, score.cutoffs[0].crossed) == (value, crossed)
    assert Decimal(str(both(world, {"w": 1, "now": 1}).scores["t"].value)) == Decimal("56.6")
