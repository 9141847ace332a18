"""Reliable change by slopes, against R's clinicalsignificance, and the two readings apart."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.growth import slopes
from scoring.growth.fit import GrowthError
from scoring.growth.likelihood import Sums, log_likelihood
from scoring.growth.model import GrowthModel
from scoring.growth.slopes import Reading, SlopeChange, slope_change

GOLDEN = json.loads((Path(__file__).parents[2] / "golden_statistics" / "hlm.json").read_text())
IDS: list[Hashable] = GOLDEN["dataset"]["id"]
TIMES = GOLDEN["dataset"]["time"]
SCORES = [math.nan if score is None else score for score in GOLDEN["dataset"]["score"]]


@cache
def judged(reading: Reading) -> SlopeChange:
    return slope_change(IDS, TIMES, SCORES, higher_is="worse", reading=reading)


def test_against_the_average_is_as_in_r() -> None:
    told, found = GOLDEN["case"]["expected"], judged("against-average")
    subjects = told["subjects"]
    order = [found.ids.index(one) for one in subjects["id"]]
    assert found.critical == pytest.approx(told["critical_value"])
    assert found.estimate[order] == pytest.approx(subjects["eb_slope_deviation"], abs=1e-4)
    assert found.standard_error[order] == pytest.approx(subjects["eb_sd"], abs=1e-4)
    assert found.index[order] == pytest.approx(subjects["rci"], abs=1e-4)
    assert [found.category[place].value for place in order] == subjects["category"]
    counts = Counter(category.value.title() for category in found.category)
    assert counts == dict(zip(told["summary"]["category"], told["summary"]["n"], strict=True))
    assert found.left_out == ()


def test_against_no_change_asks_another_question() -> None:
    """The average improves by 1.7 points a unit of time: most have changed, few differ from the others."""
    average, zero = judged("against-average"), judged("against-no-change")
    slope = zero.fit.model.slope
    assert slope == pytest.approx(-1.6738, abs=1e-3)
    assert zero.estimate == pytest.approx(average.estimate + slope)
    assert (average.category.count("improved"), zero.category.count("improved")) == (8, 47)
    assert zero.category.count("deteriorated") == 0
    deteriorated_by_one = [place for place, category in enumerate(average.category) if category == "deteriorated"]
    assert {zero.category[place] for place in deteriorated_by_one} == {"unchanged"}


def test_the_whole_slope_counts_the_uncertainty_of_the_average() -> None:
    """By hand, with whole matrices, of the first person."""
    found = judged("against-no-change")
    mine = [row for row, one in enumerate(IDS) if one == found.ids[0] and not math.isnan(SCORES[row])]
    model = found.fit.model
    x = np.column_stack((np.ones(len(mine)), [TIMES[row] for row in mine]))
    v = x @ model.spread @ x.T + model.residual_variance * np.eye(len(mine))
    gain = model.spread @ x.T @ np.linalg.inv(v)
    leaning = np.eye(2) - gain @ x
    variance = model.spread - gain @ x @ model.spread + leaning @ model.uncertainty @ leaning.T
    assert found.standard_error[0] == pytest.approx(math.sqrt(variance[1, 1]), rel=1e-6)


def test_a_scale_on_which_higher_is_better_turns_categories_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged("against-average")
    monkeypatch.setattr(slopes, "fit", lambda _: found.fit)
    other = slope_change(IDS, TIMES, SCORES, higher_is="better", reading="against-average")
    assert other.index == pytest.approx(found.index)
    turned = {"improved": "deteriorated", "deteriorated": "improved", "unchanged": "unchanged"}
    assert [turned[one.value] for one in found.category] == [one.value for one in other.category]


def test_who_has_two_scores_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    first = IDS[0]
    mine = [row for row, one in enumerate(IDS) if one == first]
    fewer = [math.nan if row in mine[2:] else score for row, score in enumerate(SCORES)]
    fitted: list[Any] = []

    def noting(rows: Any) -> Any:
        fitted.append(rows)
        return judged("against-average").fit

    monkeypatch.setattr(slopes, "fit", noting)
    found = slope_change(IDS, TIMES, fewer, higher_is="worse", reading="against-average")
    assert found.left_out == (first,)
    assert first not in found.ids
    assert first not in fitted[0].ids


def test_a_sample_whose_slopes_do_not_vary_tells_nobody_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(_: Any) -> Any:
        found = judged("against-average").fit
        return replace(found, model=replace(found.model, random_covariance=((20.0, 0.0), (0.0, 0.0))))

    monkeypatch.setattr(slopes, "fit", flat)
    with pytest.raises(GrowthError, match="do not vary"):
        slope_change(IDS, TIMES, SCORES, higher_is="worse", reading="against-average")


def test_what_is_asked_for_wrongly_is_refused() -> None:
    with pytest.raises(ValueError, match="against-average, against-no-change"):
        slope_change(IDS, TIMES, SCORES, higher_is="worse", reading="either")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="significance"):
        slope_change(IDS, TIMES, SCORES, higher_is="worse", reading="against-average", significance=2)
    with pytest.raises(GrowthError, match="three persons"):
        slope_change([1, 1], [0, 1], [3, 4], higher_is="worse", reading="against-average")


def test_pairs_do_not_tell_the_spread_of_slopes_from_error() -> None:
    """Decision 25: models whose slopes spread quite differently are equally likely, so no program can choose."""
    y = np.random.default_rng(0).multivariate_normal([20, 15], [[25, 12], [12, 30]], 50)
    person, weeks = np.repeat(np.arange(50), 2), np.tile([0.0, 1.0], 50)
    sums, found = Sums.of(person, weeks, y.ravel()), []
    for error in (2.0, 5.0, 9.0):
        level = 25 - error
        both = 12 - level
        slope = 30 - error - level - 2 * both
        model = GrowthModel(20.0, -5.0, ((0, 0), (0, 0)), ((level, both), (both, slope)), error)
        found.append((slope, log_likelihood(sums, model, reml=True)))
    assert [slope for slope, _ in found] == [27, 21, 13]
    assert len({round(likelihood, 9) for _, likelihood in found}) == 1
    with pytest.raises(GrowthError) as caught:
        slope_change(
            person.tolist() * 2,
            np.r_[weeks, weeks],
            np.r_[y.ravel(), y.ravel()],
            higher_is="worse",
            reading="against-average",
        )
    assert caught.value.code == "slope-not-identified", "two of each moment are no third time"
