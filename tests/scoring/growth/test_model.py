"""The arithmetic of a growth model, against R's figures and by laws that hold for every model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.growth import CLOCKS, GrowthModel

GOLDEN = json.loads((Path(__file__).parents[2] / "golden_statistics" / "mixed_model.json").read_text())
CASES = {case["id"]: case["expected"] for case in GOLDEN["cases"]}


def golden_model(case: str) -> GrowthModel:
    """The model that R fitted."""
    found = CASES[case]["REML"]
    middle = found["cov_intercept_slope"]
    return GrowthModel.of_document(
        found["fixef"]
        | {
            "fixed_covariance": found["vcov_fixef"],
            "random_covariance": [[found["var_intercept"], middle], [middle, found["var_slope"]]],
            "residual_variance": found["residual_var"],
        }
    )


MODEL = golden_model("weekly_seed61")
PLAIN: dict[str, Any] = MODEL.document()


@pytest.mark.parametrize("case", CASES)
def test_the_course_of_a_new_person_is_as_in_r(case: str) -> None:
    told = CASES[case]["expected_trajectory_new_person"]
    course = golden_model(case).of_all(told["t"])
    assert course.mean == pytest.approx(told["mean"], rel=1e-9)
    assert course.latent_sd == pytest.approx(told["sd_latent"], rel=1e-9)
    assert course.observed_sd == pytest.approx(told["sd_observation"], rel=1e-9)
    z = 1.2815515655446004
    assert course.mean - z * course.observed_sd == pytest.approx(told["band80_lower"], rel=1e-9)


@pytest.mark.parametrize("which", ["new_person_blup", "new_person_from_baseline_only"])
def test_what_is_known_of_a_person_is_as_in_r(which: str) -> None:
    told = CASES["weekly_seed61"][which]
    person = MODEL.person(told["input"]["t"], told["input"]["y"])
    assert person.effects == pytest.approx([told["b_intercept"], told["b_slope"]], rel=1e-9)
    assert person.covariance == pytest.approx(np.array(told["cond_cov"]), rel=1e-9)
    course = person.predict(told["t_next"], plug_in=True)
    assert course.mean == pytest.approx(told["predicted"], rel=1e-9)
    assert course.observed_sd == pytest.approx(told["sd_observation_plugin"], rel=1e-9)


def test_with_the_uncertainty_of_the_average_the_band_is_wider() -> None:
    person = MODEL.person([0], [30])
    assert (person.predict([1, 4]).observed_sd > person.predict([1, 4], plug_in=True).observed_sd).all()


numbers = st.floats(-30, 30)
variances = st.floats(0.01, 30)


@st.composite
def models(draw: st.DrawFn) -> GrowthModel:
    def covariance() -> tuple[tuple[float, float], tuple[float, float]]:
        a, b, correlation = draw(variances), draw(variances), draw(st.floats(-1, 1))
        middle = correlation * math.sqrt(a * b)
        return (a, middle), (middle, b)

    clock = draw(st.sampled_from(CLOCKS))
    return GrowthModel(draw(numbers), draw(numbers), covariance(), covariance(), draw(variances), clock)


@given(models(), numbers, st.lists(st.floats(0, 60), min_size=1, max_size=5))
def test_the_short_way_from_a_first_score_is_the_long_one(model: GrowthModel, score: float, weeks: list[float]) -> None:
    course, known = model.person([0], [score]).predict(weeks), model.from_baseline
    start, rate = known.line(score)
    scale = 1 + np.abs(course.mean).max()
    assert [start + rate * known.time(week) for week in weeks] == pytest.approx(course.mean, abs=1e-7 * scale)
    assert [known.observed_sd(week) for week in weeks] == pytest.approx(course.observed_sd, rel=1e-6)


@given(models(), st.lists(st.tuples(st.floats(0, 40), numbers), min_size=1, max_size=6))
def test_a_further_score_never_makes_a_person_less_known(model: GrowthModel, scores: list[tuple[float, float]]) -> None:
    weeks, values = zip(*scores, strict=True)
    fewer, more = model.person(weeks, values), model.person([*weeks, 5.0], [*values, 1.0])
    scale = 1 + np.abs(model.spread).max()
    assert (np.diag(more.covariance) <= np.diag(fewer.covariance) + 1e-7 * scale).all()
    assert (np.diag(fewer.covariance) <= np.diag(model.spread) + 1e-7 * scale).all()


@given(models())
def test_plain_data_give_the_model_back(model: GrowthModel) -> None:
    assert GrowthModel.of_document(json.loads(json.dumps(model.document()))) == model


def test_a_clock_by_logarithms_starts_at_the_same_place_and_slows_down() -> None:
    bent = GrowthModel.of_document(PLAIN | {"clock": "log-weeks"})
    assert bent.of_all(0).mean == pytest.approx(MODEL.of_all(0).mean)
    assert bent.of_all(math.e - 1).mean == pytest.approx(MODEL.of_all(1).mean)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clock": "days"}, "clock has to be one of weeks, log-weeks"),
        ({"intercept": math.nan}, "finite"),
        ({"random_covariance": [[1, math.inf], [math.inf, 1]]}, "finite"),
        ({"fixed_covariance": [[-1, 0], [0, 1]]}, "fixed_covariance is not a covariance"),
        ({"random_covariance": [[1, 0], [0, -1]]}, "random_covariance is not a covariance"),
        ({"random_covariance": [[1, 0.5], [0.4, 1]]}, "random_covariance is not a covariance"),
        ({"random_covariance": [[1, 1.1], [1.1, 1]]}, "random_covariance is not a covariance"),
        ({"residual_variance": 0}, "residual_variance has to be > 0"),
        ({"residual_variance": math.nan}, "residual_variance has to be > 0"),
    ],
)
def test_what_is_no_model_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GrowthModel.of_document(PLAIN | changes)


@pytest.mark.parametrize(
    ("weeks", "values"), [([], []), ([0], [1, 2]), ([0], [math.nan]), ([math.inf], [1]), ([0, 1], [1, math.inf])]
)
def test_scores_that_are_none_are_refused(weeks: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="a score for each week"):
        MODEL.person(weeks, values)


@pytest.mark.parametrize("residual", [5e-324, 1e-12])
def test_rounding_leaves_no_prediction_without_an_error(residual: float) -> None:
    c = -math.sqrt(20)
    model = GrowthModel(
        intercept=0,
        slope=0,
        fixed_covariance=((0, 0), (0, 0)),
        random_covariance=((20, c), (c, 1)),
        residual_variance=residual,
    )
    assert all(model.from_baseline.observed_sd(weeks) >= math.sqrt(residual) for weeks in (1e-9, 0.5, 20, 1040))
