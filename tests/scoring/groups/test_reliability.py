"""Alpha, omega and intraclass correlations: values of psych and lavaan, edges, and what is refused."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from scoring.cutoffs import NotComputable
from scoring.groups.reliability import Omega, cronbach_alpha, intraclass, omega_total
from tests.scoring.groups.golden import golden, matrix
from tests.scoring.laws import costly

GOLDEN = golden("reliability")
EXACT, FITTED = GOLDEN["tolerance"], GOLDEN["tolerance_fitted"]
alphas = pytest.mark.parametrize("case", GOLDEN["alpha"], ids=lambda c: str(c["id"]))
tables = arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(2, 4)), elements=st.integers(0, 5).map(float))


@alphas
def test_alpha_equals_psych(case: dict[str, Any]) -> None:
    rows = matrix(case["rows"])
    found = cronbach_alpha(rows)
    assert (found.n, found.left_out, found.k) == (case["n"], len(rows) - case["n"], case["k"])
    assert found.alpha == pytest.approx(case["alpha"], abs=EXACT)
    assert found.standardised == pytest.approx(case["standardised"], abs=EXACT)
    assert (found.low, found.high) == pytest.approx(case["feldt"], abs=EXACT)
    assert (found.sd, found.error) == pytest.approx((case["sd"], case["error"]), abs=EXACT)
    assert found.document()["n"] == case["n"]


@alphas
def test_omega_equals_lavaan(case: dict[str, Any]) -> None:
    found = omega_total(matrix(case["rows"]))
    assert found.omega == pytest.approx(case["omega"], abs=FITTED)
    assert found.loadings == pytest.approx(case["loadings"], abs=FITTED)
    assert found.residuals == pytest.approx(case["residuals"], abs=FITTED)
    assert found.heywood == (min(case["residuals"]) < 0)
    assert found.just_identified == (case["k"] == 3)


def test_what_is_doubtful_of_omega_is_told() -> None:
    doubtful = next(case for case in GOLDEN["alpha"] if min(case["residuals"]) < 0)
    assert omega_total(matrix(doubtful["rows"])).document()["warnings"] == ["heywood-case", "just-identified"]
    assert omega_total(matrix(GOLDEN["alpha"][0]["rows"])).document()["warnings"] == []


def test_a_search_that_leaves_what_a_covariance_can_be_turns_back() -> None:
    """Its first steps imply a matrix that is none. The value is that of a search without slopes from thirty starts."""
    found = omega_total(
        [[2, 1, 1, 0], [0, 0, 0, 4], [3, 4, 2, 3], [4, 3, 3, 2], [2, 4, 1, 4], [3, 0, 1, 4]],
    )
    assert (found.omega, min(found.residuals)) == pytest.approx((0.59259404, -0.2364420), abs=1e-6)
    assert found.heywood


def test_omega_does_not_depend_on_the_unit_or_the_sign() -> None:
    rows = matrix(GOLDEN["alpha"][0]["rows"])
    found = omega_total(rows)
    for other in (omega_total(rows * 10), omega_total(-rows)):
        assert other.omega == pytest.approx(found.omega, abs=FITTED)
        assert sum(other.loadings) > 0


@pytest.mark.parametrize("case", GOLDEN["icc"], ids=lambda c: str(c["id"]))
def test_intraclass_correlations_equal_psych(case: dict[str, Any]) -> None:
    found = intraclass(matrix(case["rows"]))
    assert (found.n, found.k) == (case["n"], case["k"])
    for icc, expected in zip(found.iccs, case["iccs"], strict=True):
        assert icc.form == expected["form"]
        assert (icc.value, icc.low, icc.high) == pytest.approx(
            (expected["value"], expected["low"], expected["high"]), abs=EXACT
        )
    for name in ("sd", "error_from_icc", "error_consistency", "error_agreement"):
        assert getattr(found, name) == pytest.approx(case[name], abs=EXACT)
    assert found.document()["iccs"][0] == found.iccs[0].document()


@given(tables)
def test_alpha_is_a_number_or_refused(rows: Any) -> None:
    if np.ptp(rows.sum(axis=1)) == 0:
        with pytest.raises(NotComputable, match="does not vary"):
            cronbach_alpha(rows)
        return
    found = cronbach_alpha(rows)
    assert -math.inf < found.low <= found.alpha <= found.high < 1 + 1e-9
    assert found.alpha == pytest.approx(cronbach_alpha(rows * 2 + 1).alpha)


@given(tables)
def test_correlations_are_numbers_in_order_or_refused(rows: Any) -> None:
    if np.ptp(rows.sum(axis=1)) == 0:
        with pytest.raises(NotComputable, match="do not differ"):
            intraclass(rows)
        return
    found = intraclass(rows)
    for icc in found.iccs[:3]:
        assert icc.value is not None
        if icc.low is None or icc.high is None:
            assert (icc.form, icc.low, icc.high) == ("(2,1)", None, None)
            assert icc.value < 0
            continue
        assert -math.inf < icc.low <= icc.value + 1e-9
        assert icc.value <= icc.high + 1e-9 <= 1 + 1e-8
    for icc in found.iccs[3:]:
        assert icc.value is None or math.isfinite(icc.value)
    assert found.error_agreement >= found.error_consistency >= 0


def test_limits_that_need_not_hold_the_correlation_are_not_given() -> None:
    found = {icc.form: icc for icc in intraclass([[0, 0, 4], [0, 3, 2]]).iccs}  # Satterthwaite's df are 0.008
    assert found["(2,1)"].value == pytest.approx(-6 / 17)
    assert [(found[form].low, found[form].high) for form in ("(2,1)", "(2,k)")] == [(None, None)] * 2
    assert found["(3,1)"].low is not None


def test_agreement_without_any_error_is_whole() -> None:
    found = intraclass([[1, 1], [2, 2], [4, 4]])
    assert [(icc.value, icc.low, icc.high) for icc in found.iccs] == [(1, 1, 1)] * 6
    assert (found.error_consistency, found.error_agreement, found.error_from_icc) == (0, 0, 0)


def test_occasions_that_differ_by_a_constant_are_consistent_and_do_not_agree() -> None:
    found = {icc.form: icc.value for icc in intraclass([[1, 3], [2, 4], [5, 7]]).iccs}
    assert found["(3,1)"] == 1
    assert found["(2,1)"] is not None
    assert found["(2,1)"] < 0.8


def test_the_mean_of_occasions_may_have_no_agreement_to_speak_of() -> None:
    """Persons hardly differ, and occasions not at all: agreement of the mean would be minus something over nothing."""
    found = {icc.form: icc.value for icc in intraclass([[0, 4], [4, 0], [0, 4], [4, 0.1]]).iccs}
    assert found["(2,1)"] is not None
    assert found["(2,1)"] < 0
    assert found["(2,k)"] is None


def test_alpha_can_be_negative_and_is_not_clipped() -> None:
    found = cronbach_alpha([[0, 4], [4, 1], [1, 3], [3, 2]])
    assert found.alpha < -1
    assert found.error is None, "an error of sqrt(1 + 28) spreads would be more than there is to be wrong about"


def test_an_item_that_does_not_vary_has_no_standardised_alpha() -> None:
    assert cronbach_alpha([[1, 0, 2], [1, 1, 3], [1, 3, 3]]).standardised is None


def test_items_that_cancel_each_other_have_no_standardised_alpha() -> None:
    assert cronbach_alpha([[0, 4.0], [1, 2.0], [2, 0.0]]).standardised is None


@pytest.mark.parametrize("compute", [cronbach_alpha, omega_total, intraclass])
def test_a_column_is_no_table(compute: Any) -> None:
    with pytest.raises(ValueError, match="two dimensions"):
        compute([1.0, 2.0])


@pytest.mark.parametrize("compute", [cronbach_alpha, intraclass])
@pytest.mark.parametrize("confidence", [0, 1, math.nan])
def test_confidence_is_between_none_and_all(compute: Any, confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        compute([[1, 2], [2, 2], [4, 5]], confidence=confidence)


@pytest.mark.parametrize(
    ("compute", "rows", "reason"),
    [
        (cronbach_alpha, [[1], [2]], "one-item"),
        (cronbach_alpha, [[1, 2], [2, math.nan]], "too-few"),
        (cronbach_alpha, [[1, 2], [2, 1]], "no-spread"),
        (omega_total, [[1, 2], [2, 2], [3, 1]], "two-items"),
        (omega_total, [[1, 2, 3], [2, 2, 1], [3, 1, 1]], "too-few"),
        (omega_total, [[1, 2, 3], [2, 2, 1], [3, 2, 1], [0, 2, 2]], "no-spread"),
        (omega_total, [[1, 2, 3], [2, 2, 4], [3, 1, 4], [0, 2, 2]], "no-spread"),
        (intraclass, [[1], [2]], "one-occasion"),
        (intraclass, [[1, 2], [2, math.nan]], "too-few"),
        (intraclass, [[1, 1], [1, 1]], "no-spread"),
        (intraclass, [[1, 2], [2, 1]], "no-spread"),
    ],
)
def test_what_does_not_exist_is_refused(compute: Any, rows: Any, reason: str) -> None:
    with pytest.raises(NotComputable) as refused:
        compute(rows)
    assert refused.value.reason == reason


@costly(4)  # each is a search
@given(arrays(np.float64, st.tuples(st.integers(5, 12), st.just(4)), elements=st.integers(0, 4).map(float)))
def test_omega_is_a_number_or_refused(rows: Any) -> None:
    found: Omega | None = None
    with contextlib.suppress(NotComputable):
        found = omega_total(rows)
    if found is not None:
        assert math.isfinite(found.omega)
        assert found.heywood or 0 <= found.omega <= 1


def test_a_search_that_ends_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for data that no model fits: the search is stopped at its first step."""
    real = optimize.minimize
    monkeypatch.setattr(optimize, "minimize", lambda *a, **k: real(*a, **{**k, "options": {"maxiter": 1}}))
    with pytest.raises(NotComputable) as refused:
        omega_total(matrix(GOLDEN["alpha"][0]["rows"]))
    assert refused.value.reason == "no-convergence"


@given(tables)
def test_alpha_of_two_occasions_is_the_consistency_of_their_mean(rows: Any) -> None:
    assume(np.ptp(rows.sum(axis=1)) > 0)
    of_mean = intraclass(rows).iccs[5].value
    if of_mean is not None:
        assert of_mean == pytest.approx(cronbach_alpha(rows).alpha, abs=1e-6)
