"""What makes a reference: enough persons, enough scores, and bands that hold on those who were fitted."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from scoring.growth import MIN_AT_HORIZON, MIN_PERSONS, MIN_WITH_THREE, GrowthModel
from scoring.growth.adequate import Courses, Holding, ReferenceFit, holding, reference_fit
from scoring.growth.fit import GrowthError, Series


@cache
def columns(persons: int = 120, scores: int = 5, *, jump: bool = False) -> tuple[list[int], list[float], list[float]]:
    """Straight courses with some noise; with ``jump``, everybody falls by 20 points halfway and comes back."""
    random = np.random.default_rng(11)
    ids = np.repeat(np.arange(persons), scores)
    weeks = np.tile(np.arange(float(scores)), persons)
    values = (25 + random.normal(0, 4, persons))[ids] + (-1 + random.normal(0, 0.4, persons))[ids] * weeks
    values += random.normal(0, 2, len(ids)) - 20 * (jump & (weeks == scores // 2))
    return ids.tolist(), weeks.tolist(), values.tolist()


@cache
def made() -> ReferenceFit:
    return reference_fit(Courses.of(*columns()), low=0, high=60)


def test_a_reference_tells_how_it_came_about() -> None:
    found = made()
    told = found.document()
    assert GrowthModel.of_document(told["model"]) == found.fit.model
    assert (told["persons"], told["observations"], told["horizon"]) == (120, 600, 4.0)
    report = told["report"]
    assert report["holding"]["within_80"] == pytest.approx(0.8, abs=0.05)
    assert report["holding"]["within_68"] == pytest.approx(0.68, abs=0.05)
    assert len(report["holding"]["by_third"]) == 3
    assert set(report["log_likelihood_by_clock"]) == {"weeks", "log-weeks"}
    assert (report["left_out"], report["singular"], report["method"]) == (0, False, "reml")
    assert found.fit.model.slope == pytest.approx(-1, abs=0.2)


def test_weeks_are_counted_from_each_persons_first_score() -> None:
    ids, weeks, values = columns(MIN_PERSONS)
    late = [week + 50 + one for one, week in zip(ids, weeks, strict=True)]
    series = Courses.of(ids, late, values).series
    assert series.weeks == pytest.approx(Courses.of(ids, weeks, values).series.weeks)


def test_who_has_one_score_or_all_at_once_is_left_out() -> None:
    courses = Courses.of([1, 2, 2, 3, 3, 4, 4], [0, 0, 1, 5, 5, 0, 2], [1, 2, 3, 4, 5, math.nan, 6])
    assert courses.series.ids == (2,)
    assert courses.left_out == 3
    assert Courses.of([], [], []).left_out == 0


def test_the_horizon_is_where_enough_persons_are_still_seen() -> None:
    ids = list(range(MIN_AT_HORIZON + 5)) * 2
    last = [10.0] * (MIN_AT_HORIZON - 1) + [7.0] * 6
    weeks = [0.0] * len(last) + last
    assert Courses.of(ids, weeks, [1.0] * len(ids)).horizon == 7.0
    assert Courses.of([1, 1, 2, 2], [0, 3, 0, 9], [1, 2, 3, 4]).horizon == 3.0  # fewer than it takes: the first to go


def refused(courses: Courses) -> str:
    with pytest.raises(GrowthError) as error:
        reference_fit(courses, low=0, high=60)
    assert error.value.detail
    return error.value.code


def test_too_few_are_refused_and_just_enough_are_not() -> None:
    assert refused(Courses.of(*columns(MIN_PERSONS - 1))) == "too-few-persons"
    assert reference_fit(Courses.of(*columns(MIN_PERSONS)), low=0, high=60).fit.persons == MIN_PERSONS


def test_too_few_with_three_scores_are_refused() -> None:
    ids, weeks, values = (np.array(column) for column in columns(MIN_PERSONS))
    kept = (weeks < 2) | (ids < MIN_WITH_THREE - 1)
    given = ids[kept].tolist(), weeks[kept].tolist(), values[kept].tolist()
    assert refused(Courses.of(*given)) == "too-few-with-three"


def test_courses_that_are_not_of_the_models_shape_are_refused() -> None:
    assert refused(Courses.of(*columns(jump=True))) == "bands-do-not-hold"


def test_the_bands_are_those_that_clients_are_held_against() -> None:
    """Expected 10 throughout with an SD of 1: of -1, 0.5, 1.1 and 3 two lie within 68 %, three within 80 %."""
    model = GrowthModel(10.0, 0.0, ((0, 0), (0, 0)), ((0, 0), (0, 0)), 1.0)
    series = Series.of([1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 3, 4], [10, 9.01, 10.5, 10, 11.1, 13])
    found = holding(series, model, low=0, high=60)
    assert (found.within_68, found.within_80) == (0.5, 0.75)
    assert found.by_third == (1.0, 1.0, 0.0)
    assert holding(series, model, low=0, high=9).within_80 == 0.25  # expected within the scale: 9 and not 10


@pytest.mark.parametrize(
    ("share", "thirds", "sound"),
    [
        (0.80, (0.80, 0.80, 0.80), True),
        (0.73, (0.73, 0.73, 0.73), True),
        (0.71, (0.71, 0.71, 0.71), False),
        (0.89, (0.89, 0.89, 0.89), False),
        (0.80, (0.92, 0.80, 0.69), True),
        (0.80, (0.93, 0.80, 0.69), False),
        (0.80, (0.80, 0.80, 0.67), False),
    ],
)
def test_bands_may_be_off_by_a_little(share: float, thirds: tuple[float, float, float], sound: bool) -> None:
    assert Holding(0.68, share, thirds).sound == sound
