"""Wilson's interval and Newcombe's difference."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.proportions import Proportion, newcombe, wilson

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_statistics" / "proportions.json").read_text())


def some(successes: int, n: int, confidence: float = 0.95) -> Proportion:
    found = wilson(successes, n, confidence=confidence)
    assert found is not None
    return found


@pytest.mark.parametrize("case", GOLDEN["wilson"], ids=lambda c: f"{c['x']}-of-{c['n']}-at-{c['conf']}")
def test_wilson_equals_two_references(case: dict[str, Any]) -> None:
    found = some(case["x"], case["n"], case["conf"])
    assert (found.successes, found.n, found.rate) == (case["x"], case["n"], case["x"] / case["n"])
    for reference in ("mpmath", "scipy"):
        assert (found.low, found.high) == pytest.approx(case[reference], abs=GOLDEN["tolerance"])


@pytest.mark.parametrize("case", GOLDEN["newcombe"], ids=lambda c: f"{c['x1']}-{c['n1']}-{c['x2']}-{c['n2']}")
def test_newcombe_equals_the_reference(case: dict[str, Any]) -> None:
    found = newcombe(some(case["x1"], case["n1"], case["conf"]), some(case["x2"], case["n2"], case["conf"]))
    assert found.difference == pytest.approx(case["difference"], abs=GOLDEN["tolerance"])
    assert (found.low, found.high) == pytest.approx(case["interval"], abs=GOLDEN["tolerance"])


def test_of_nobody_there_is_no_rate() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 1000, 10**9])
def test_none_and_all_have_exact_ends(n: int) -> None:
    assert some(0, n).low == 0.0
    assert some(n, n).high == 1.0


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (1, 0), (0, -1)])
def test_counts_that_cannot_be_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes must be from 0 to n"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, math.nan])
def test_a_confidence_out_of_range_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        wilson(1, 2, confidence=confidence)


counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(0.01, 0.999999)


@given(counts, confidences)
def test_the_interval_stays_in_range_and_holds_the_rate(count: tuple[int, int], confidence: float) -> None:
    found = some(*count, confidence)
    assert 0 <= found.low <= found.rate <= found.high <= 1


@given(counts, confidences)
def test_the_other_outcome_has_the_mirrored_interval(count: tuple[int, int], confidence: float) -> None:
    successes, n = count
    found, other = some(successes, n, confidence), some(n - successes, n, confidence)
    assert (found.low, found.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-9)


@given(counts, counts, confidences)
def test_a_difference_turns_with_its_order(first: tuple[int, int], second: tuple[int, int], confidence: float) -> None:
    a, b = some(*first, confidence), some(*second, confidence)
    there, back = newcombe(a, b), newcombe(b, a)
    assert (there.difference, there.low, there.high) == (-back.difference, -back.high, -back.low)
    assert -1 <= there.low <= there.difference <= there.high <= 1
