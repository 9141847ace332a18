"""Minimal important and detectable change: values of pROC and R's glm, ties, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from scoring.cutoffs import NotComputable
from scoring.groups.anchors import (
    Threshold,
    anchor_correlation,
    detectable,
    mean_change,
    predictive,
    roc,
)
from tests.scoring.groups.golden import golden

GOLDEN = golden("anchors")
BENEFIT, IMPORTANT = GOLDEN["change_beneficial"], GOLDEN["important_improvement"]
ANCHOR = np.array(GOLDEN["anchor_rating"])
EXACT, FITTED = GOLDEN["tolerance"], GOLDEN["tolerance_fitted"]


@pytest.mark.parametrize(("criterion", "name"), [("youden", "youden_pROC"), ("closest-corner", "closest_topleft_pROC")])
def test_thresholds_equal_proc(criterion: Any, name: str) -> None:
    found = roc(BENEFIT, IMPORTANT, criterion=criterion)
    assert found.area == pytest.approx(GOLDEN["auc_pROC"], abs=EXACT)
    for member, values in (("value", "threshold"), ("sensitivity", "sensitivity"), ("specificity", "specificity")):
        assert [getattr(one, member) for one in found.thresholds] == pytest.approx(GOLDEN[name][values], abs=EXACT)
    assert (found.n, found.n_important) == (120, sum(IMPORTANT))


def test_mean_change_equals_the_reference() -> None:
    found = mean_change(BENEFIT, ANCHOR == 1, ANCHOR == 0)
    assert found.minimal == pytest.approx(GOLDEN["mean_change_minimally_improved"], abs=EXACT)
    assert found.difference == pytest.approx(GOLDEN["mean_change_difference"], abs=EXACT)
    assert (found.n_minimal, found.n_unchanged) == ((ANCHOR == 1).sum(), (ANCHOR == 0).sum())


def test_predictive_modelling_equals_glm() -> None:
    found, expected = predictive(BENEFIT, IMPORTANT), GOLDEN["logistic"]
    assert found.intercept == pytest.approx(expected["intercept"], abs=FITTED)
    assert found.slope == pytest.approx(expected["slope"], abs=FITTED)
    assert found.share == pytest.approx(expected["prevalence"], abs=EXACT)
    assert found.value == pytest.approx(expected["mic_predictive"], abs=FITTED)
    assert found.correlation == pytest.approx(expected["point_biserial_cor"], abs=EXACT)
    assert found.adjusted == pytest.approx(expected["mic_adjusted_terluin2017"], abs=FITTED)
    assert found.evidence == "memory"


def test_the_anchor_has_to_go_with_the_change() -> None:
    found, warnings = anchor_correlation(BENEFIT, ANCHOR)
    assert found == pytest.approx(GOLDEN["spearman_change_anchor"], abs=EXACT)
    assert warnings == ()
    assert anchor_correlation([1, 2, 3, 4], [1, 2, 2, 1])[1] == ("weak-anchor",)


@pytest.mark.parametrize("case", GOLDEN["mdc"], ids=lambda c: f"{c['sd']}-{c['reliability']}")
def test_detectable_change_equals_the_reference(case: dict[str, float]) -> None:
    found = detectable(case["sd"], case["reliability"])
    assert (found.error_90, found.error_95) == pytest.approx((case["mdc90"], case["mdc95"]), abs=EXACT)
    assert found.warnings == ()


def test_an_important_change_inside_the_error_is_told() -> None:
    assert detectable(7.5, 0.8, important=9.2).document()["warnings"] == ["important-below-error"]
    assert detectable(7.5, 0.8, important=9.4).warnings == ()


def test_every_threshold_that_is_as_good_is_given() -> None:
    found = roc([1, 2, 3, 4], [0, 1, 0, 1])
    assert found.thresholds == (Threshold(1.5, 1.0, 0.5), Threshold(3.5, 0.5, 1.0))
    assert found.area == 0.75


def test_thresholds_lie_halfway_and_gaps_are_left_out() -> None:
    found = roc([1, 1, 7, 7, math.nan, 3], [0, 0, 1, 1, 1, math.nan])
    assert found.thresholds == (Threshold(4.0, 1.0, 1.0),)
    assert found.n == 4


def test_without_anybody_unchanged_there_is_no_difference() -> None:
    found = mean_change([2.0, 4.0, math.nan], [True, True, True], [False, False, False])
    assert (found.minimal, found.difference) == (3.0, None)


@pytest.mark.parametrize(
    ("benefit", "important", "reason"),
    [
        ([1, 2, 3], [1, 1, 1], "one-outcome"),
        ([1, 2, 3], [0, 0, 0], "one-outcome"),
        ([], [], "one-outcome"),
        ([2, 2, 2], [0, 1, 1], "no-spread"),
        ([1, 2, 3, 4], [0, 0, 1, 1], "separated"),
        ([1, 2, 2, 4], [0, 0, 1, 1], "separated"),
        ([1, 2, 3, 4], [1, 1, 0, 0], "separated"),
        ([1, 3, 1, 3], [0, 0, 1, 1], "no-relation"),
    ],
)
def test_predictive_modelling_that_has_no_answer(benefit: Any, important: Any, reason: str) -> None:
    with pytest.raises(NotComputable) as refused:
        predictive(benefit, important)
    assert refused.value.reason == reason


def test_a_steep_relation_is_found() -> None:
    """One overlap among many: full steps of Newton's method from nothing would overshoot."""
    benefit = [*range(20), 40, *range(21, 60)]
    found = predictive(benefit, [0] * 20 + [0] + [1] * 39)
    assert 19 < found.value < 45
    assert found.slope > 0


@pytest.mark.parametrize(
    ("benefit", "anchor", "reason"),
    [([1, 2], [1, 2], "too-few"), ([1, 1, 1], [1, 2, 3], "no-spread"), ([1, 2, 3], [1, 1, 1], "no-spread")],
)
def test_a_correlation_that_does_not_exist(benefit: Any, anchor: Any, reason: str) -> None:
    with pytest.raises(NotComputable) as refused:
        anchor_correlation(benefit, anchor)
    assert refused.value.reason == reason


def test_nobody_a_little_better_is_refused() -> None:
    with pytest.raises(NotComputable) as refused:
        mean_change([1.0], [False], [True])
    assert refused.value.reason == "too-few"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1]), "one length"),
        (([1, 2], [0, 2]), "0 or 1"),
    ],
)
def test_an_anchor_that_is_none_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roc(*arguments)


def test_a_criterion_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="criterion"):
        roc([1, 2], [0, 1], criterion="largest")  # type: ignore[arg-type]  # that is the point
