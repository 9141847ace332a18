"""Fitting, against lme4's figures, and what cannot be fitted."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

from scoring.growth import fit as fitting
from scoring.growth.fit import FLAT, GrowthError, Method, Series, fit, fit_by_clock
from scoring.growth.likelihood import Sums, cholesky, effects, log_likelihood
from scoring.growth.model import GrowthModel
from tests.scoring.growth.test_model import GOLDEN

CASES = {case["id"]: case for case in GOLDEN["cases"]}


def series(case: str) -> Series:
    given = CASES[case]["input"]
    return Series.of(given["id"], given["t"], [math.nan if y is None else y for y in given["y"]])


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("case", CASES)
def test_a_fit_is_as_lme4s(case: str, method: Method) -> None:
    told, rows = CASES[case]["expected"][method.upper()], series(case)
    found = fit(rows, method=method)
    model = found.model
    assert found.log_likelihood == pytest.approx(told["loglik"], abs=1e-4)
    assert (found.persons, found.observations) == (told["n_subjects"], told["n_obs"])
    assert found.singular == told["singular"]
    assert (model.intercept, model.slope) == pytest.approx(
        (told["fixef"]["intercept"], told["fixef"]["slope"]), rel=1e-4
    )
    (intercepts, middle), (_, slopes) = model.random_covariance
    assert (intercepts, middle, slopes, model.residual_variance) == pytest.approx(
        (told["var_intercept"], told["cov_intercept_slope"], told["var_slope"], told["residual_var"]), rel=1e-3
    )
    assert model.uncertainty == pytest.approx(np.array(told["vcov_fixef"]), rel=1e-3)
    deviations = effects(Sums.of(rows.person, rows.weeks, rows.values), model)
    order = [rows.ids.index(one) for one in told["ranef"]["id"]]
    assert deviations.mean[order, 1] == pytest.approx(told["ranef"]["slope"], abs=1e-4)
    assert np.sqrt(deviations.covariance[order, 0, 0]) == pytest.approx(told["ranef"]["cond_sd_intercept"], rel=1e-3)


def test_what_follows_from_a_persons_scores_is_the_same_by_either_way() -> None:
    rows = series("unequal_times_seed62")
    model = fit(rows).model
    found = effects(Sums.of(rows.person, rows.weeks, rows.values), model)
    mine = rows.person == 3
    alone = model.person(rows.weeks[mine], rows.values[mine])
    assert found.mean[3] == pytest.approx(alone.effects, rel=1e-7)
    assert found.covariance[3] == pytest.approx(alone.covariance, rel=1e-7)
    whole = alone.covariance + alone.leaning @ model.uncertainty @ alone.leaning.T
    assert found.whole[3] == pytest.approx(whole, rel=1e-7)


@pytest.mark.parametrize("reml", [True, False])
def test_the_likelihood_is_that_of_the_normal_distribution(reml: bool) -> None:
    """Written out with whole matrices, as in a textbook."""
    rows, model = series("near_singular_seed63"), GrowthModel.of_document(
        {
            "intercept": 15.0, "slope": 0.1, "fixed_covariance": [[1, 0], [0, 1]],
            "random_covariance": [[4.0, 0.5], [0.5, 0.25]], "residual_variance": 8.0,
        }
    )  # fmt: skip
    total, precision = 0.0, np.zeros((2, 2))
    for person in range(len(rows.ids)):
        mine = rows.person == person
        x = model.design(rows.weeks[mine])
        v = x @ model.spread @ x.T + model.residual_variance * np.eye(mine.sum())
        off = rows.values[mine] - x @ model.fixed
        total += np.linalg.slogdet(v)[1] + off @ np.linalg.solve(v, off)
        precision += x.T @ np.linalg.solve(v, x)
    free = len(rows.values) - 2 * reml
    total += free * math.log(2 * math.pi)
    if reml:
        total += np.linalg.slogdet(precision)[1]
    sums = Sums.of(rows.person, rows.weeks, rows.values)
    assert log_likelihood(sums, model, reml=reml) == pytest.approx(-total / 2, rel=1e-10)


def test_nothing_near_a_fit_is_likelier() -> None:
    rows = series("weekly_seed61")
    found = fit(rows)
    assert found.slope_of_likelihood < FLAT
    sums, plain = Sums.of(rows.person, rows.weeks, rows.values), found.model.document()
    for name, factor in (("residual_variance", 1.02), ("residual_variance", 0.98)):
        other = GrowthModel.of_document(plain | {name: plain[name] * factor})
        assert log_likelihood(sums, other, reml=True) < found.log_likelihood
    (a, b), (_, c) = found.model.random_covariance
    for spread in ([[a * 1.05, b], [b, c]], [[a, b], [b, c * 0.95]], [[a, b + 0.05], [b + 0.05, c]]):
        other = GrowthModel.of_document(plain | {"random_covariance": spread})
        assert log_likelihood(sums, other, reml=True) < found.log_likelihood


@pytest.mark.parametrize("answer", [None, (50.0, -20.0, 0.0)])
def test_a_bad_answer_of_statsmodels_costs_nothing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """It may give none, or one that is far off and said to have converged."""
    monkeypatch.setattr(fitting, "_statsmodels", lambda *_, **__: answer)
    found, told = fit(series("weekly_seed61")), CASES["weekly_seed61"]["expected"]["REML"]
    assert found.log_likelihood == pytest.approx(told["loglik"], abs=1e-4)
    assert (found.statsmodels_short is None) == (answer is None)
    assert answer is None or (found.statsmodels_short or 0) > 1


class Answer:
    def __init__(self, cov_re: Any, scale: float) -> None:
        self.cov_re, self.scale = cov_re, scale


@pytest.mark.parametrize(
    "answer",
    [np.linalg.LinAlgError("singular"), Answer(np.full((2, 2), np.nan), 1.0), Answer(np.eye(2), 0.0),
     Answer(np.eye(2), math.nan)],
)  # fmt: skip
def test_what_statsmodels_cannot_say_is_no_start(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    def fails(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(MixedLM, "fit", fails)
    assert fit(series("near_singular_seed63")).statsmodels_short is None


def test_a_search_that_ends_on_a_slope_is_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "FLAT", 0.0)
    with pytest.raises(GrowthError, match="still rises") as refused:
        fit(series("weekly_seed61"))
    assert refused.value.code == "not-converged"


def test_the_clock_is_the_one_that_makes_the_scores_likelier() -> None:
    random = np.random.default_rng(7)
    ids = np.repeat(np.arange(60), 8)
    weeks = np.tile(np.arange(8.0), 60)
    bent = 20 - (4 + random.normal(0, 1, 60))[ids] * np.log1p(weeks) + random.normal(0, 1, 480)
    found, by_clock = fit_by_clock(Series.of(ids.tolist(), weeks, bent), cross_check=False)
    assert found.model.clock == "log-weeks"
    assert by_clock["log-weeks"] > by_clock["weeks"] + 5
    assert found.method == "reml"
    straight = 20 - (1 + random.normal(0, 0.3, 60))[ids] * weeks + random.normal(0, 1, 480)
    found, _ = fit_by_clock(Series.of(ids.tolist(), weeks, straight), cross_check=False)
    assert found.model.clock == "weeks"


def test_order_units_and_origin_of_scores_do_not_matter() -> None:
    rows = series("weekly_seed61")
    ids: list[Hashable] = [rows.ids[one] for one in rows.person.tolist()]
    shuffled = np.random.default_rng(1).permutation(len(ids))
    other = fit(
        Series.of([ids[row] for row in shuffled.tolist()], rows.weeks[shuffled], 1000 + 10 * rows.values[shuffled])
    ).model
    model = fit(rows).model
    assert other.intercept == pytest.approx(1000 + 10 * model.intercept, rel=1e-6)
    assert other.slope == pytest.approx(10 * model.slope, rel=1e-5)
    assert other.spread == pytest.approx(100 * model.spread, rel=1e-3)


def test_a_late_origin_of_time_changes_the_intercepts_and_not_the_slopes() -> None:
    rows = series("weekly_seed61")
    ids: list[Hashable] = [rows.ids[one] for one in rows.person.tolist()]
    model, late = fit(rows).model, fit(Series.of(ids, rows.weeks + 1000, rows.values)).model
    assert late.spread[1, 1] == pytest.approx(model.spread[1, 1], rel=1e-4)
    assert late.of_all(1004).mean == pytest.approx(model.of_all(4).mean, rel=1e-6)
    assert late.of_all(1004).observed_sd == pytest.approx(model.of_all(4).observed_sd, rel=1e-4)


@pytest.mark.parametrize(
    ("ids", "weeks", "values", "code"),
    [
        ([1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2], [1, 2, 1, 4, 2, 5], "too-few-persons"),
        ([1, 2, 3, 4], [0, 0, 0, 0], [1, 2, 3, 4], "slope-not-identified"),
        ([1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1], [1, 2, 4, 4, 5, 3], "slope-not-identified"),
        ([1, 1, 1, 2, 3], [0, 1, 1, 0, 0], [1, 2, 4, 4, 5], "slope-not-identified"),
        ([1, 1, 1, 2, 2, 2, 3], [0, 1, 2, 0, 1, 2, 0], [5, 6, 7, 5, 6, 7, 5], "no-spread"),
        ([1, 1, 1, 2, 3], [0, 1, 2, 0, 0], [5, 5, 5, 5, 5], "no-spread"),
        ([], [], [], "too-few-persons"),
    ],
)
def test_scores_that_bear_no_model_are_refused(
    ids: list[Hashable], weeks: list[float], values: list[float], code: str
) -> None:
    with pytest.raises(GrowthError) as refused:
        fit(Series.of(ids, weeks, values))
    assert refused.value.code == code
    assert str(refused.value) == refused.value.detail


@pytest.mark.parametrize(
    ("ids", "weeks", "values", "words"),
    [
        ([1], [0, 1], [1, 2], "one length"),
        ([1, 2], [[0, 1], [0, 1]], [1, 2], "one length"),
        ([1, 2], [0, math.nan], [1, 2], "finite"),
        ([1, 2], [0, 1], [1, math.inf], "finite"),
    ],
)
def test_columns_that_do_not_fit_are_refused(ids: list[Hashable], weeks: Any, values: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Series.of(ids, weeks, values)


def test_the_square_root_of_a_singular_covariance() -> None:
    for matrix in (np.zeros((2, 2)), np.array([[4.0, 2.0], [2.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 9.0]])):
        root = cholesky(matrix)
        assert root @ root.T == pytest.approx(matrix)
