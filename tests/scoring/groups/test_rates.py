"""Rates: what counts, of whom, and that nothing is lost or counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.change import change_category
from scoring.cutoffs import HigherIs, OnCutoff
from scoring.groups.rates import (
    CATEGORIES,
    DENOMINATORS,
    MEASURES,
    UNKNOWN,
    Tally,
    category_codes,
    rate,
    rates,
    tally,
)
from scoring.proportions import wilson

score = st.one_of(st.just(math.nan), st.integers(0, 20).map(float))
directions = st.sampled_from(["better", "worse"])
cutoffs = st.one_of(st.none(), st.integers(0, 20).map(float))
sides = st.sampled_from(["neither", "clinical", "functional"])


@given(st.lists(st.tuples(score, score), max_size=20), directions, cutoffs, sides)
def test_codes_are_the_categories_of_one_person(
    rows: list[tuple[float, float]], higher_is: HigherIs, cutoff: float | None, on_cutoff: OnCutoff
) -> None:
    pre, post = np.array(rows, float).reshape(-1, 2).T
    rci = (post - pre) / 2.5
    where = {"higher_is": higher_is, "critical": 1.96, "cutoff": cutoff, "on_cutoff": on_cutoff}
    codes = category_codes(pre, post, rci, **where)  # type: ignore[arg-type]  # the types of the arguments
    expected = change_category(pre, post, rci, **where)  # type: ignore[arg-type]  # as above
    assert [None if code == UNKNOWN else CATEGORIES[code] for code in codes] == [
        None if one is None else one.value for one in expected
    ]


@given(st.lists(st.tuples(score, score), max_size=30), directions, cutoffs)
def test_rates_of_completers_sum_to_one(
    rows: list[tuple[float, float]], higher_is: HigherIs, cutoff: float | None
) -> None:
    pre, post = np.array(rows, float).reshape(-1, 2).T
    codes = category_codes(pre, post, (post - pre) / 2.5, higher_is=higher_is, critical=1.96, cutoff=cutoff)
    counted = tally(pre, codes, higher_is=higher_is, cutoff=cutoff)
    assert sum(counted.categories.values()) == counted.completers <= counted.started == len(rows)
    found = {(one.measure, one.denominator): one for one in rates(counted)}
    for one in found.values():
        if one.n == 0:
            assert (one.rate, one.low, one.high) == (None, None, None)
            continue
        assert one.rate is not None
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= one.rate <= one.high <= 1
    for denominator in ("started", "completers") if counted.completers else ():
        parts = [found[measure, denominator] for measure in ("reliably-improved", "unchanged", "reliably-worse")]
        total = sum(part.rate or 0 for part in parts)
        assert total == pytest.approx(1 if denominator == "completers" else counted.completers / counted.started)
        if cutoff is not None:
            apart = found["deteriorated", denominator].count + found["harmed", denominator].count
            assert found["reliably-worse", denominator].count == apart
            assert found["recovered", denominator].n >= found["recovered", denominator].count


def test_a_clinic_of_six_by_hand() -> None:
    """Lower is better, reliable beyond 6, clinical above 10. One has no second score, one no score at all."""
    pre = [20.0, 20.0, 15.0, 8.0, 18.0, math.nan]
    post = [5.0, 12.0, 14.0, 16.0, math.nan, math.nan]
    rci = (np.array(post) - np.array(pre)) / 6 * 1.96
    codes = category_codes(pre, post, rci, higher_is="worse", critical=1.96, cutoff=10)
    assert codes.tolist() == [0, 1, 2, 4, UNKNOWN, UNKNOWN]
    counted = tally(pre, codes, higher_is="worse", cutoff=10)
    assert counted == Tally(
        started=6,
        completers=4,
        categories={"recovered": 1, "improved": 1, "unchanged": 1, "deteriorated": 0, "harmed": 1},
        clinical_at_start=4,
        clinical_at_start_completers=3,
    )
    found = {(one.measure, one.denominator): (one.count, one.n) for one in rates(counted)}
    assert found["recovered", "started"] == (1, 6)
    assert found["recovered", "completers"] == (1, 4)
    assert found["recovered", "clinical-at-start"] == (1, 4)
    assert found["recovered", "clinical-at-start-completers"] == (1, 3)
    assert found["reliably-improved", "started"] == (2, 6)
    assert found["reliably-worse", "completers"] == (1, 4)
    assert found["harmed", "completers"] == (1, 4)
    assert found["deteriorated", "completers"] == (0, 4)
    assert {denominator for _, denominator in found} == DENOMINATORS.keys()
    assert {measure for measure, _ in found} == MEASURES.keys()


def test_without_a_cutoff_nobody_recovers() -> None:
    codes = category_codes([20.0, 5.0], [5.0, 20.0], [-4.0, 4.0], higher_is="worse", critical=1.96)
    counted = tally([20.0, 5.0], codes, higher_is="worse")
    assert counted.clinical_at_start is counted.of("clinical-at-start-completers") is None
    assert {one.measure for one in rates(counted)} == {"reliably-improved", "unchanged", "reliably-worse"}


def test_a_rate_is_wilsons() -> None:
    found, expected = rate("a", "b", 3, 7, confidence=0.9), wilson(3, 7, confidence=0.9)
    assert expected is not None
    assert found.document() == {
        "measure": "a",
        "denominator": "b",
        "count": 3,
        "n": 7,
        "rate": 3 / 7,
        "low": expected.low,
        "high": expected.high,
    }


@pytest.mark.parametrize("critical", [0, -1, math.inf, math.nan])
def test_a_critical_value_is_above_nothing(critical: float) -> None:
    with pytest.raises(ValueError, match="critical"):
        category_codes([1], [2], [1], higher_is="better", critical=critical)


def test_each_person_has_one_code() -> None:
    with pytest.raises(ValueError, match="one length"):
        tally([1.0, 2.0], [1], higher_is="better")
