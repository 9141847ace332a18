"""Skips, two steps, what applies, required parts, goals, and what holds under one variant: one form and one frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scoring
from instruments.loader import read_file
from scoring.plan import plan_of
from scoring.result import Reason
from tests.scoring.worlds import instrument, item, scale, sourced

LAMP = read_file(Path(__file__).parent.parent / "definitions_good" / "lamp-6@2.yaml")
LEFT_OUT = [{"value": 9, "meaning": "not-relevant", "scored": False}]


def both(world: Any, answers: dict[str, Any], **options: Any) -> scoring.Result:
    """The result of one form, after the frame of that form was seen to hold the same."""
    result = scoring.score(world, answers, **options)
    row = scoring.score_frame(world, pd.DataFrame([answers], dtype=object), **options).iloc[0]
    for name, score in result.scores.items():
        assert (None if pd.isna(row[name]) else row[name], row[f"{name}_status"]) == (score.value, score.status)
    for name, met in result.caseness.items():
        assert (None if pd.isna(row[name]) else bool(row[name])) is met
    return result


class TestSkips:
    def test_what_is_passed_over_counts_as_answered(self) -> None:
        result = both(LAMP, {"1": 0, "3": 2})
        assert result.skipped == ("2",), "an answer of one's own stays"
        ease = result.scores["ease"]
        assert (ease.value, ease.status, ease.answered, ease.missing) == (2, "complete", 3, 0)
        assert result.document()["skipped"] == ["2"]

    @pytest.mark.parametrize("answers", [{}, {"1": 1}, {"1": 4, "2": 0}])
    def test_nothing_is_passed_over_unless_the_rule_surely_holds(self, answers: dict[str, int]) -> None:
        result = both(LAMP, answers)
        assert result.skipped == ()
        assert result.scores["ease"].status == "insufficient"

    def test_a_complete_form_skips_nothing_and_takes_the_short_way(self) -> None:
        skip = {
            "id": "s",
            "meaning": "m",
            "when": {"item": "1", "one_of": [0]},
            "items": ["2"],
            "answer": 2,
        } | sourced()
        world = instrument(
            items=[item("1"), item("2")], scales=[scale("a", items=["1", "2"], min=0, max=4)], skips=[skip]
        )
        assert both(world, {"1": 0, "2": 1}).skipped == ()
        shortcut = plan_of(world).shortcut
        assert shortcut is not None
        assert shortcut({"1": 0, "2": 1}) is not None
        assert shortcut({"1": 0}) is None
        assert both(world, {"1": 0}).scores["a"].value == 2

    def test_a_later_rule_sees_what_an_earlier_one_filled_in(self) -> None:
        def skip(name: str, when: str, then: str) -> dict[str, Any]:
            condition = {"item": when, "one_of": [0]}
            return {"id": name, "meaning": "m", "when": condition, "items": [then], "answer": 0} | sourced()

        def world(*skips: dict[str, Any]) -> Any:
            parts = ["1", "2", "3"]
            return instrument(
                items=[item(n) for n in parts], scales=[scale("a", items=parts, min=0, max=6)], skips=skips
            )

        chain = [skip("first", "1", "2"), skip("second", "2", "3")]
        assert both(world(*chain), {"1": 0}).skipped == ("2", "3")
        assert both(world(*reversed(chain)), {"1": 0}).skipped == ("2",)

    def test_a_rule_of_another_variant_fills_nothing_in(self) -> None:
        skip = {
            "id": "s",
            "meaning": "m",
            "when": {"item": "1", "one_of": [0]},
            "items": ["2"],
            "answer": 0,
        } | sourced()
        world = instrument(
            items=[item("1"), item("2")],
            scales=[scale("a", items=["1", "2"], min=0, max=4)],
            variants=[{"id": v, "name": v} | sourced() for v in ("gated", "plain")],
            skips=[skip | {"variants": ["gated"]}],
        )
        assert both(world, {"1": 0}).skipped == ("2",)
        assert both(world, {"1": 0}, variant="plain").skipped == ()

    def test_what_is_filled_in_scores_what_that_option_scores(self) -> None:
        skip = {"id": "s", "meaning": "m", "when": {"item": "1", "one_of": [0]}, "items": ["2", "3"], "answer": 2}
        world = instrument(
            items=[
                item("1"),
                item("2", scored={"0": 1, "1": 5, "2": 7}),
                item("3", (0, 2, 9), not_applicable=LEFT_OUT),
            ],
            scales=[scale("a", items=["1", "2", "3"], min=1, max=11)],
            skips=[skip | sourced()],
        )
        assert both(world, {"1": 0}).scores["a"].value == 9

    def test_a_count_is_taken_anew_after_a_skip(self) -> None:
        """The rule that skips and the rules that judge count the same items: before, and after."""
        zeros = {"count": ["1", "2", "3"], "one_of": [0], "needed": 1}
        skip = {"id": "s", "meaning": "m", "when": zeros, "items": ["2", "3"], "answer": 0} | sourced()
        world = instrument(
            items=[item("1"), item("2"), item("3")],
            scales=[scale("a", items=["1", "2", "3"], min=0, max=6)],
            skips=[skip],
            caseness=[{"id": "all", "meaning": "m", "when": zeros | {"needed": 3}} | sourced()],
        )
        assert both(world, {"1": 0}).caseness == {"all": True}
        assert both(world, {"1": 0, "3": 1}).caseness == {"all": False}

    def test_it_is_explained(self) -> None:
        lines = scoring.explain(LAMP, {"1": 0}).lines
        assert (
            "unlit: no lamp was lit: items 2, 3 skipped, answered with 0; source: invented (from memory, to be checked)"
        ) in lines
        assert "ease: items 1: 0, 2: 0, 3: 0" in lines
        assert "unlit: no lamp was lit: item 3 skipped" in "\n".join(scoring.explain(LAMP, {"1": 0, "2": 1}).lines)
        assert not any("skipped" in line for line in scoring.explain(LAMP, {"1": 1}).lines)


class TestTwoSteps:
    @pytest.mark.parametrize(
        ("answers", "value"),
        [
            ({"4.gate": 0}, 1),
            ({"4.gate": 1, "4.rating": 0}, 2),
            ({"4.rating": 2, "4.gate": 1.0}, 4),
            ({"4": 3}, 3),
            ({"4": 3, "4.gate": None, "4.rating": None}, 3),
            ({"4": None, "4.gate": 0, "4.rating": None}, 1),
            ({"4.gate": 1}, None),
            ({"4.gate": None}, None),
        ],
    )
    def test_steps_are_put_together(self, answers: dict[str, Any], value: int | None) -> None:
        assert both(LAMP, answers).scores["bother"].value == value

    @pytest.mark.parametrize(
        ("answers", "faults"),
        [
            ({"4": 1, "4.gate": 0}, [("4", "given-twice")]),
            ({"4": 3, "4.rating": 1}, [("4", "given-twice")]),
            ({"4.rating": 1}, [("4.rating", "gate-unanswered")]),
            ({"4.gate": 0, "4.rating": 1}, [("4.rating", "contradiction")]),
            ({"4.gate": 2}, [("4.gate", "not-an-option")]),
            ({"4.gate": 1, "4.rating": 3}, [("4.rating", "not-an-option")]),
            ({"4.gate": 0, "4.rating": 3}, [("4.rating", "not-an-option")]),
            ({"4.gate": True, "4.rating": 1}, [("4.gate", "not-a-number")]),
            ({"4.gate": 0.5, "4.rating": 0.5}, [("4.gate", "not-whole"), ("4.rating", "not-whole")]),
            ({"4": 99, "4.gate": 1, "4.rating": 1}, [("4", "not-an-option")]),
            ({"1": 99, "4.rating": 1}, [("1", "not-an-option"), ("4.rating", "gate-unanswered")]),
        ],
    )
    def test_steps_that_do_not_go_together_are_refused(
        self, answers: dict[str, Any], faults: list[tuple[str, str]]
    ) -> None:
        with pytest.raises(scoring.InvalidAnswers) as error:
            scoring.score(LAMP, answers)
        assert [(f.pointer, f.code) for f in error.value.faults] == [
            (f"/answers/{name}", code) for name, code in faults
        ]
        assert all(f.detail.startswith("item ") for f in error.value.faults)
        result = scoring.evaluate_frame(LAMP, pd.DataFrame([answers, {"4.gate": 0}], dtype=object))
        assert [(f.row, f.column, f.code) for f in result.faults] == [(0, name, code) for name, code in faults]
        assert [f.detail for f in result.faults] == [f.detail for f in error.value.faults]
        assert result.scores["bother"].isna().tolist() == [True, False], "its neighbour is not touched"

    def test_an_item_in_one_step_has_no_gate(self) -> None:
        with pytest.raises(scoring.InvalidAnswers) as error:
            scoring.score(LAMP, {"1.gate": 1})
        assert [(f.pointer, f.code) for f in error.value.faults] == [("/answers/1.gate", "unknown-item")]
        assert scoring.score_frame(LAMP, pd.DataFrame({"1.gate": [7]}))["bother"].isna().all(), "a column of its own"

    def test_columns_of_numbers_and_a_column_given_twice(self) -> None:
        frame = pd.DataFrame({"4.gate": [1, 0, 1, np.nan], "4.rating": [2, np.nan, np.nan, np.nan]})
        assert scoring.score_frame(LAMP, frame)["bother"].fillna(-1).tolist() == [4, 1, -1, -1]
        assert scoring.score_frame(LAMP, frame[["4.gate"]])["bother"].fillna(-1).tolist() == [-1, 1, -1, -1]
        with pytest.raises(ValueError, match=r"two columns are named '4\.gate'"):
            scoring.score_frame(LAMP, pd.DataFrame([[1, 1]], columns=["4.gate", "4.gate"]))

    @pytest.mark.parametrize(
        ("answers", "line"),
        [
            ({"4.gate": 0}, "4: no counts as 1"),
            ({"4.gate": 1, "4.rating": 2}, "4: yes, rated 2, counts as 4"),
            ({"4.gate": 1}, "4: yes, but not rated: unanswered"),
        ],
    )
    def test_it_is_explained(self, answers: dict[str, int], line: str) -> None:
        told = scoring.explain(LAMP, answers)
        assert line in told.lines
        assert told.document()["steps"][1]["kind"] == "conversion"


class TestWhatApplies:
    WORLD = instrument(
        items=[item(n, (0, 1, 2, 9), not_applicable=LEFT_OUT) for n in ("1", "2", "3")],
        scales=[
            scale("sum", items=["1", "2", "3"], missing={"rule": "applicable", "min_answered": 2}, min=0, max=6),
            scale("mean", items=["1", "2", "3"], method="mean",
                  missing={"rule": "applicable", "min_answered": 1}, min=0, max=2),
            scale("over", scales=["sum", "mean"], missing={"rule": "applicable", "min_answered": 1}, min=0, max=8),
        ],
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("answers", "total", "mean", "status", "reason"),
        [
            ({"1": 1, "2": 2, "3": 2}, 5, 5 / 3, "complete", None),
            ({"1": 1, "2": 2, "3": 9}, 3, 1.5, "complete", Reason("items-not-applicable", ("3",))),
            ({"1": 9, "2": 2, "3": 9}, None, 2, "not_applicable", Reason("items-not-applicable", ("1", "3"))),
            ({"1": 1, "2": 2}, None, None, "insufficient", Reason("items-unanswered", ("3",))),
            ({"1": 1, "2": 9}, None, None, "insufficient", Reason("items-unanswered", ("3",))),
        ],
    )
    def test_the_value_is_made_of_what_applies(
        self, answers: dict[str, int], total: float | None, mean: float | None, status: str, reason: Reason | None
    ) -> None:
        result = both(self.WORLD, answers)
        score = result.scores["sum"]
        assert (score.value, score.status, score.reason) == (total, status, reason)
        assert result.scores["mean"].value == mean
        outside = sum(answer == 9 for answer in answers.values())
        assert (score.not_applicable, score.missing) == (outside, 3 - len(answers))

    def test_a_scale_that_does_not_apply_is_left_out_of_a_sum(self) -> None:
        over = both(self.WORLD, {"1": 9, "2": 2, "3": 9}).scores["over"]
        assert (over.value, over.status, over.reason) == (2, "complete", Reason("scales-without-value", ("sum",)))
        assert both(self.WORLD, {"1": 1}).scores["over"].status == "insufficient"

    def test_it_is_explained(self) -> None:
        lines = scoring.explain(self.WORLD, {"1": 1, "2": 2, "3": 9}).lines
        assert "sum: 3 left out: the value is made of what applies" in lines
        assert "sum: 1 + 2 = 3" in lines
        lines = scoring.explain(self.WORLD, {"1": 1, "2": 2}).lines
        assert "sum: no score: 3 unanswered, all that applies is needed" in lines

    def test_a_reduced_sum_is_part_of_the_range(self) -> None:
        from_one = [item(n, (1, 2, 9), not_applicable=LEFT_OUT) for n in ("1", "2")]
        rule = {"rule": "applicable", "min_answered": 1}
        good = instrument(items=from_one, scales=[scale("a", items=["1", "2"], missing=rule, min=1, max=4)])
        assert both(good, {"1": 1, "2": 9}).scores["a"].value == 1
        with pytest.raises(scoring.PlanError, match=r"2\.\.4, but its parts give 1\.0\.\.4\.0"):
            plan_of(instrument(items=from_one, scales=[scale("a", items=["1", "2"], missing=rule, min=2, max=4)]))
        unlike = [item("1", (1, 2, 9), not_applicable=LEFT_OUT), item("2", (0, 5))]
        with pytest.raises(scoring.PlanError, match="say clamp: true"):
            plan_of(
                instrument(
                    items=unlike,
                    scales=[scale("a", items=["1", "2"], method="mean", missing=rule, min=".5", max="3.5")],
                )
            )


class TestRequired:
    WORLD = instrument(
        items=[item(n, (0, 1, 2, 9), not_applicable=LEFT_OUT) for n in ("1", "2", "3")],
        scales=[
            scale("a", items=["1", "2"],
                  missing={"rule": "prorate", "min_answered": 1, "required": ["1"]}, min=0, max=4),
            scale("b", items=["3"], min=0, max=2),
            scale("c", scales=["a", "b"], clamp=True,
                  missing={"rule": "prorate", "min_answered": 1, "required": ["b"]}, min=0, max=6),
        ],
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("answers", "value", "status", "reason"),
        [
            ({"1": 2}, 4, "prorated", Reason("items-unanswered", ("2",))),
            ({"1": 2, "2": 9}, 4, "prorated", Reason("items-not-applicable", ("2",))),
            ({"2": 2}, None, "insufficient", Reason("items-unanswered", ("1",))),
            ({"1": 9, "2": 2}, None, "not_applicable", Reason("items-not-applicable", ("1",))),
        ],
    )
    def test_there_is_no_score_without_it(
        self, answers: dict[str, int], value: float | None, status: str, reason: Reason
    ) -> None:
        score = both(self.WORLD, answers).scores["a"]
        assert (score.value, score.status, score.reason) == (value, status, reason)

    def test_of_scales_too(self) -> None:
        assert both(self.WORLD, {"1": 1, "2": 1}).scores["c"].status == "insufficient"
        assert both(self.WORLD, {"3": 1}).scores["c"].value == 2
        assert both(self.WORLD, {"1": 1, "2": 1, "3": 9}).scores["c"].status == "not_applicable"

    def test_it_is_explained(self) -> None:
        assert "a: no score: 1 cannot be made up for" in scoring.explain(self.WORLD, {"2": 2}).lines


class TestVariants:
    def test_answers_are_options_of_the_variant(self) -> None:
        assert both(LAMP, {"1": 6, "2": 5, "3": 1}, variant="seven").scores["ease"].value == 12
        with pytest.raises(scoring.InvalidAnswers) as error:
            scoring.score(LAMP, {"1": 6})
        assert error.value.faults[0].detail == "item '1' takes one of [0, 1, 2, 3, 4]"
        with pytest.raises(scoring.InvalidAnswers) as error:
            scoring.score(LAMP, {"1": 7}, variant="seven")
        assert error.value.faults[0].detail == "item '1' takes one of [0, 1, 2, 3, 4, 5, 6]"

    def test_bands_cutoffs_and_rules_are_those_of_the_variant(self) -> None:
        answers = {"1": 3, "2": 3, "3": 0}
        five, seven = both(LAMP, answers), both(LAMP, answers, variant="seven")
        assert five.scores["ease"].value == seven.scores["ease"].value == 6
        assert (five.scores["ease"].band_set, five.scores["ease"].band) == ("of-five", "high")
        assert (seven.scores["ease"].band_set, seven.scores["ease"].band) == ("of-seven", "low")
        assert [(c.id, c.crossed) for c in five.scores["ease"].cutoffs] == [("high-five", True)]
        assert [(c.id, c.crossed) for c in seven.scores["ease"].cutoffs] == [("high-seven", False)]
        assert (five.caseness, seven.caseness) == ({"uneasy": True}, {})
        assert (five.needs_review, seven.needs_review) == (LAMP.review_of("five"), LAMP.review_of("seven"))
        told = scoring.explain(LAMP, answers, variant="seven")
        assert not any(step.kind == "rule" for step in told.steps)


class TestAlertsOnScores:
    def test_a_score_raises_an_alert_and_names_the_items_below_it(self) -> None:
        (alert,) = both(LAMP, {"1": 4, "2": 4, "3": 2}).alerts
        assert (alert.id, alert.items) == ("smoke", ("1", "2", "3", "4"))

    @pytest.mark.parametrize(("answers", "raised"), [({"1": 4, "2": 4}, False), ({"1": 4, "4": 4}, True), ({}, False)])
    def test_a_score_that_is_not_there_raises_none(self, answers: dict[str, int], raised: bool) -> None:
        assert bool(both(LAMP, answers).alerts) is raised
