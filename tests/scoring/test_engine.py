"""Scoring one form: what counts as an answer, and what each status, band and cutoff says."""

from __future__ import annotations

import enum
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import instruments
import scoring
from scoring.answers import whole
from scoring.plan import plan_of
from scoring.result import Reason
from scoring.shortcut import MOST_KEPT
from tests.scoring.strategies import WRONG
from tests.scoring.worlds import instrument, item, scale, sourced

FSFI = instruments.load("fsfi")
LEFT_OUT = [{"value": 9, "meaning": "not-relevant", "scored": False}]
TWO = instrument(items=[item("1"), item("2")], scales=[scale("a", items=["1", "2"], min=0, max=4)])


class Three(enum.IntEnum):
    """A whole number that is not exactly an ``int``."""

    ONE = 1


@pytest.mark.parametrize("one", [1, 1.0, Three.ONE, np.int8(1), np.int64(1), np.uint8(1), np.float32(1), np.float64(1)])
def test_whole_numbers_of_every_kind_are_answers(one: Any) -> None:
    assert scoring.score(TWO, {"1": one, "2": 1}) == scoring.score(TWO, {"1": 1, "2": 1})
    value, code = whole(one)
    assert (value, type(value), code) == (1, int, None)


@pytest.mark.parametrize("wrong", [np.True_, Decimal(1), Fraction(1), pd.NA, pd.NaT, object(), b"1", 1 + 0j, {1}])
def test_what_only_looks_like_a_number_is_refused(wrong: Any) -> None:
    with pytest.raises(scoring.InvalidAnswers) as error:
        scoring.score(TWO, {"1": wrong, "2": 1})
    assert [fault.code for fault in error.value.faults] == ["not-a-number"]


@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, np.float32("inf"), np.longdouble("nan")])
def test_numbers_that_are_not_finite_are_refused(value: Any) -> None:
    assert whole(value) == (None, "not-finite")


def test_every_fault_is_listed_at_once_and_none_repeats_the_answer() -> None:
    given = {"1": 77, "nope": 5, "2": "secret", 3: 1, "a/b~c": 1, ("2",): 1, "x" * 500: 1}
    with pytest.raises(scoring.InvalidAnswers) as error:
        scoring.score(TWO, given)  # type: ignore[arg-type] - keys of other types, as a careless caller gives them
    faults = [(fault.pointer, fault.code) for fault in error.value.faults]
    assert faults == [
        ("/answers/1", "not-an-option"),
        ("/answers/nope", "unknown-item"),
        ("/answers/2", "not-a-number"),
        ("/answers/3", "unknown-item"),
        ("/answers/a~1b~0c", "unknown-item"),
        ("/answers/('2',)", "unknown-item"),
        (f"/answers/{'x' * 64}", "unknown-item"),
    ]
    assert error.value.faults[0].detail == "item '1' takes one of [0, 1, 2]"
    assert "77" not in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(("wrong", "code"), WRONG, ids=[f"{type(c).__name__}-{str(c)[:22]}" for c, _ in WRONG])
def test_a_wrong_answer_is_refused_in_a_form_of_any_shape(wrong: Any, code: str) -> None:
    for others in ({}, {"2": 1}, {"2": None}):
        with pytest.raises(scoring.InvalidAnswers) as error:
            scoring.score(TWO, {"1": wrong, **others})
        assert [fault.code for fault in error.value.faults] == [code]


@pytest.mark.parametrize(
    "kind", [dict, OrderedDict, MappingProxyType, Counter, lambda d: defaultdict(int, d), lambda d: pd.Series(d)]
)
def test_a_mapping_of_any_kind_is_read_and_never_asked_for_what_it_does_not_hold(kind: Any) -> None:
    assert scoring.score(TWO, kind({"1": 1, "2": 2})) == scoring.score(TWO, {"1": 1, "2": 2})
    assert scoring.score(TWO, kind({"1": 1})).scores["a"].status == "insufficient"
    given: Mapping[str, int] = kind({"1": 1, "other": 1})
    with pytest.raises(scoring.InvalidAnswers):
        scoring.score(TWO, given)
    assert len(given) == 2, "reading adds nothing"


def test_no_answers_at_all() -> None:
    for answers in ({}, {"1": None}, {"1": None, "2": None}):
        score = scoring.score(TWO, answers).scores["a"]
        assert (score.value, score.status, score.missing) == (None, "insufficient", 2)
        assert score.reason == Reason("items-unanswered", ("1", "2"))


def prorating(**members: Any) -> dict[str, Any]:
    return scale("p", items=["1", "2", "3"], missing={"rule": "prorate", "min_answered": 2}, min=0, max=6, **members)


STATES: dict[str, tuple[dict[str, int], Any]] = {
    "all answered": ({"1": 1, "2": 2, "3": 2}, (5.0, "complete", None, (3, 0, 0))),
    "one missing": ({"1": 1, "2": 2}, (4.5, "prorated", Reason("items-unanswered", ("3",)), (2, 1, 0))),
    "one left out": ({"1": 1, "2": 2, "3": 9}, (4.5, "prorated", Reason("items-not-applicable", ("3",)), (2, 0, 1))),
    "two missing": ({"2": 2}, (None, "insufficient", Reason("items-unanswered", ("1", "3")), (1, 2, 0))),
    "two left out": (
        {"1": 9, "2": 2, "3": 9},
        (None, "not_applicable", Reason("items-not-applicable", ("1", "3")), (1, 0, 2)),
    ),
    "one each": ({"1": 9, "2": 2}, (None, "insufficient", Reason("items-unanswered", ("3",)), (1, 1, 1))),
}


@pytest.mark.parametrize("name", STATES)
def test_status_reason_and_counts(name: str) -> None:
    answers, (value, status, reason, counts) = STATES[name]
    world = instrument(
        items=[item(str(n), (0, 1, 2, 9), not_applicable=LEFT_OUT) for n in (1, 2, 3)], scales=[prorating()]
    )
    score = scoring.score(world, answers).scores["p"]
    assert (score.value, score.status, score.reason) == (value, status, reason)
    assert (score.answered, score.missing, score.not_applicable) == counts


def test_a_scale_of_scales_says_which_part_is_to_blame() -> None:
    either = {"rule": "prorate", "min_answered": 1}
    world = instrument(
        items=[item(str(n), (0, 1, 2, 9), not_applicable=LEFT_OUT) for n in (1, 2, 3)],
        scales=[
            scale("x", items=["1", "2"], missing=either, min=0, max=4),
            scale("y", items=["3"], min=0, max=2),
            scale("strict", scales=["x", "y"], min=0, max=6),
            scale("loose", scales=["x", "y"], missing=either, clamp=True, min=0, max=6),
        ],
    )
    of = lambda answers: {k: (s.value, s.status, s.reason) for k, s in scoring.score(world, answers).scores.items()}  # noqa: E731 - one line says it
    assert of({"1": 1, "3": 1})["strict"] == (3.0, "prorated", Reason("scales-prorated", ("x",)))
    assert of({"1": 1, "2": 1})["strict"] == (None, "insufficient", Reason("scales-without-value", ("y",)))
    assert of({"1": 1, "2": 1, "3": 9})["strict"] == (None, "not_applicable", Reason("scales-without-value", ("y",)))
    assert of({"1": 1, "2": 1, "3": 9})["loose"] == (4.0, "prorated", Reason("scales-without-value", ("y",)))
    assert of({"1": 9, "2": 9, "3": 9})["loose"] == (None, "not_applicable", Reason("scales-without-value", ("x", "y")))


def test_prorating_over_unlike_ranges_is_pulled_into_the_limits() -> None:
    world = instrument(
        items=[item("1"), item("2", (0, 10))],
        scales=[
            scale("a", items=["1", "2"], missing={"rule": "prorate", "min_answered": 1}, clamp=True, min=0, max=12)
        ],
    )
    assert scoring.score(world, {"2": 10}).scores["a"].value == 12
    assert scoring.score_frame(world, pd.DataFrame({"2": [10]}))["a"].tolist() == [12]


@pytest.mark.parametrize(("total", "crossed"), [(26.5, True), (26.6, False)])
def test_a_cutoff_between_two_values_is_exact(total: float, crossed: bool) -> None:
    """26.55 is no value of the scale; 0.1 steps summed as binary floats would miss it on one side or the other."""
    answers = {i.id: 4 for i in FSFI.items}
    base = scoring.score(FSFI, answers).scores["total"].value
    assert base == 28.8
    lowered = {26.5: {"1": 2, "11": 2, "3": 3}, 26.6: {"1": 3, "11": 2, "12": 3, "14": 3}}[total]
    score = scoring.score(FSFI, answers | lowered).scores["total"]
    assert score.value == total
    assert {cutoff.id: cutoff.crossed for cutoff in score.cutoffs} == {"dysfunction": crossed}


SIDES = {
    "at_least": (False, True, True),
    "above": (False, False, True),
    "at_most": (True, True, False),
    "below": (True, False, False),
}


@pytest.mark.parametrize("side", SIDES)
def test_each_side_of_a_cutoff_at_its_very_value(side: str) -> None:
    world = instrument(
        items=[item("1", range(4))],
        scales=[scale("a", items=["1"], factor="0.1", min=0, max="0.3")],
        cutoffs=[{"id": "c", "scale": "a", "meaning": "m", side: "0.2"} | sourced()],
    )
    got = tuple(scoring.score(world, {"1": n}).scores["a"].cutoffs[0].crossed for n in (1, 2, 3))
    assert got == SIDES[side]


def test_a_value_has_exactly_the_band_of_its_definition() -> None:
    bands = [
        {"label": "low", "min": "0.1", "max": "0.2"},
        {"label": "middle", "min": "0.25", "max": "0.4"},
        {"label": "high", "min": "0.5", "max": "0.6"},
    ]
    world = instrument(
        items=[item("1", range(16))],
        scales=[scale("a", items=["1"], factor="0.05", min=0, max="0.75")],
        bands=[{"id": "b", "scale": "a", "bands": bands} | sourced()],
    )
    got = [scoring.score(world, {"1": n}).scores["a"].band for n in range(16)]
    # 0.45 lies between two bands and belongs to the lower; beyond the ends there is none
    assert got == [None] * 2 + ["low"] * 3 + ["middle"] * 5 + ["high"] * 3 + [None] * 3


def test_a_rule_that_holds_back_an_interpretation_leaves_the_value() -> None:
    answers = {i.id: 0 if 0 in i.options else 1 for i in FSFI.items}
    result = scoring.score(FSFI, answers)
    total = result.scores["total"]
    assert (total.value, total.band, total.cutoffs, total.valid) == (2.0, None, (), False)
    assert total.flags == ("too-little-activity", "zero-answers")
    assert not result.valid
    assert scoring.score(FSFI, {i.id: 5 for i in FSFI.items}).valid


def test_scores_are_kept_by_points_up_to_a_bound() -> None:
    """The short way keeps the scores it has made; a scale with many values must not fill the memory."""
    world = instrument(
        items=[item("1", range(100)), item("2", range(0, 10_000, 100))],
        scales=[scale("a", items=["1", "2"], min=0, max=9_999)],
    )
    for first in range(100):
        for second in range(0, 10_000, 100):
            assert scoring.score(world, {"1": first, "2": second}).scores["a"].value == first + second
    function: Any = plan_of(world).shortcut
    assert len(function.__globals__["S0"]) == MOST_KEPT


def test_several_scales_share_that_bound() -> None:
    scales = [scale(name, items=["1", "2"], min=0, max=9_999) for name in "abcd"]
    world = instrument(items=[item("1", range(100)), item("2", range(0, 10_000, 100))], scales=scales)
    for number in range(2 * MOST_KEPT):
        scoring.score(world, {"1": number % 100, "2": number - number % 100})
    function: Any = plan_of(world).shortcut
    assert {len(function.__globals__[f"S{place}"]) for place in range(4)} == {MOST_KEPT // 4}


def test_a_document_is_plain_data() -> None:
    result = scoring.score(FSFI, {i.id: 0 if 0 in i.options else 1 for i in FSFI.items})
    document = result.document()
    assert document["scores"]["total"]["value"] == 2.0
    assert [flag["id"] for flag in document["flags"]] == ["too-little-activity", "no-penetration", "zero-answers"]
    gaps = scoring.score(FSFI, {"1": 3}).document()["scores"]["desire"]
    assert gaps["reason"] == {"code": "items-unanswered", "parts": ["2"]}
    alerts = scoring.score(instruments.load("phq-9"), {"9": 1}).document()["alerts"]
    assert [alert["items"] for alert in alerts] == [["9"]]


@pytest.mark.parametrize("answered", [9, 8])  # by the short way and by the general one
def test_a_variant_that_rests_on_memory_says_so_in_its_results(answered: int) -> None:
    phq = instruments.load("phq-9")
    answers = {i.id: 1 for i in phq.items[:answered]} | {"difficulty": 0}
    assert scoring.score(phq, answers).needs_review == ("variant prorated",)
    assert scoring.score(phq, answers, variant="strict").needs_review == ()
    assert scoring.score(phq, answers).document()["needs_review"] == ["variant prorated"]


def test_an_alert_is_told_in_full() -> None:
    answers = {str(item): 0 for item in range(1, 10)} | {"9": 1}
    (alert,) = scoring.score(instruments.load("phq-9"), answers).document()["alerts"]
    assert alert.keys() == {"id", "meaning", "severity", "items"}
    assert (alert["severity"], alert["items"]) == ("urgent", ["9"])
    assert alert["meaning"]


class TestUndecidedAlerts:
    """An unanswered item that could raise an alert is told: silence about it is no all-clear."""

    def test_of_an_item(self) -> None:
        phq = instruments.load("phq-9")
        answers = {str(number): 0 for number in range(1, 9)}
        (undecided,) = scoring.score(phq, answers).undecided
        assert undecided.items == ("9",)
        assert scoring.score(phq, answers).document()["alerts_undecided"][0]["id"] == undecided.id
        assert scoring.score(phq, answers | {"9": 0}).undecided == ()
        raised = scoring.score(phq, answers | {"9": 1})
        assert (raised.undecided, [alert.id for alert in raised.alerts]) == ((), [undecided.id])

    def test_of_a_scale(self) -> None:
        iss = instruments.load("iss")
        by_scale = {alert.id for alert in iss.alerts if getattr(alert.when, "scale", None) == "total"}
        assert by_scale
        unknown = {alert.id for alert in scoring.score(iss, {"15": 1}).undecided}
        assert by_scale <= unknown

    def test_every_instrument_with_an_alert_tells_when_nothing_is_answered(self) -> None:
        for code in instruments.catalogue().codes:
            instrument = instruments.load(code)
            result = scoring.score(instrument, {})
            held = [alert.id for alert in instrument.alerts if alert.holds_under(result.variant)]
            assert [alert.id for alert in result.undecided] + [alert.id for alert in result.alerts] == held, code
