"""Waves, retention and who left: values of mice and survival, and edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.cutoffs import NotComputable
from scoring.groups.attrition import kaplan_meier, stayed_against_left, waves
from tests.scoring.groups.golden import golden, matrix

GOLDEN = golden("attrition")
cases = pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: str(c["id"]))


@cases
def test_waves_equal_the_reference(case: dict[str, Any]) -> None:
    found = waves(matrix(case["rows"]))
    assert found.n == case["n"]
    assert list(found.observed) == case["n_observed_per_wave"]
    assert found.complete == case["n_complete"]
    assert (found.dropouts, found.never) == (case["n_dropout"], case["n_never"])
    assert (found.monotone, found.intermittent) == (case["n_monotone_incl_complete"], case["n_intermittent"])
    assert (found.patterns, found.missing) == (case["n_patterns_mice"], case["total_missing_cells"])
    assert list(found.last_wave) == case["last_wave_counts"]


@cases
def test_retention_equals_survfit(case: dict[str, Any]) -> None:
    found, expected = waves(matrix(case["rows"])).retention, case["km_survfit"]
    assert [step.time for step in found] == expected["time"]
    assert [step.at_risk for step in found] == expected["n_risk"]
    assert [step.left for step in found] == expected["n_event"]
    assert [step.retention for step in found] == pytest.approx(expected["retention"], abs=GOLDEN["tolerance"])
    assert sum(step.left + step.censored for step in found) == case["n"]


@cases
def test_who_stayed_and_who_left_equals_the_reference(case: dict[str, Any]) -> None:
    rows, expected = matrix(case["rows"]), case["baseline_completer_vs_dropout"]
    found = stayed_against_left(rows[:, 0], ~np.isnan(rows[:, -1]))
    assert found.mean_stayed == pytest.approx(expected["m_completer"], abs=GOLDEN["tolerance"])
    assert found.mean_left == pytest.approx(expected["m_dropout"], abs=GOLDEN["tolerance"])
    assert found.t == pytest.approx(expected["welch_t"], abs=GOLDEN["tolerance"])
    assert found.difference == pytest.approx(expected["smd_pooled"], abs=GOLDEN["tolerance"])
    assert 0 < found.p_value < 1
    assert found.document()["available"] is True


@given(arrays(np.float64, st.tuples(st.integers(0, 8), st.integers(1, 4)), elements=st.sampled_from([1.0, math.nan])))
def test_everybody_is_counted_once(rows: Any) -> None:
    found = waves(rows)
    assert found.monotone + found.intermittent + found.never == found.n == len(rows)
    assert sum(found.last_wave) == found.n
    assert found.dropouts + found.never + found.last_wave[-1] == found.n
    shares = [step.retention for step in found.retention]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= share <= 1 for share in shares)


def test_nobody_has_no_curve() -> None:
    assert kaplan_meier([], []) == ()


@pytest.mark.parametrize(("times", "left"), [([1.0], []), ([-1.0], [True]), ([math.nan], [True]), ([math.inf], [True])])
def test_times_that_are_none_are_refused(times: list[float], left: list[bool]) -> None:
    with pytest.raises(ValueError, match="times"):
        kaplan_meier(times, left)


@pytest.mark.parametrize("rows", [[1.0, 2.0], np.zeros((3, 0))])
def test_waves_are_a_table(rows: Any) -> None:
    with pytest.raises(ValueError, match="one row a person"):
        waves(rows)


@pytest.mark.parametrize(
    ("baseline", "stayed", "reason"),
    [([1, 2, 3], [True, True, False], "too-few"), ([2, 2, 2, 2], [True, True, False, False], "no-spread")],
)
def test_groups_that_cannot_be_compared(baseline: list[float], stayed: list[bool], reason: str) -> None:
    with pytest.raises(NotComputable) as refused:
        stayed_against_left(baseline, stayed)
    assert refused.value.reason == reason


def test_each_baseline_is_somebodys() -> None:
    with pytest.raises(ValueError, match="one length"):
        stayed_against_left([1.0, 2.0], [True])
