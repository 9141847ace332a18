"""Cutoffs a, b and c, their warnings, and the side of a score."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.change import standard_error_of_measurement
from scoring.cutoffs import (
    Cutoff,
    NotComputable,
    cutoff,
    cutoff_a,
    cutoff_b,
    cutoff_b_clinical_sd,
    cutoff_c,
    direction,
    error_free_sd,
    is_clinical,
    is_functional,
)

GOLDEN = Path(__file__).parents[1] / "golden_statistics"
NORMS = json.loads((GOLDEN / "cutoffs.json").read_text())
PEOPLE = json.loads((GOLDEN / "change.json").read_text())
PERSONS = [pytest.param(case, id=case["id"]) for case in PEOPLE["cases"] if case["part"] == "cutoff"]


@pytest.mark.parametrize("case", NORMS["cases"], ids=lambda c: c["id"])
def test_cutoffs_equal_three_packages(case: dict[str, Any]) -> None:
    higher_is: Any = "better" if case["direction"] == 1 else "worse"
    norms = {key.replace("m_", "mean_"): case[key] for key in ("m_clinical", "sd_clinical")} | {
        key.replace("m_", "mean_"): case[key] for key in ("m_functional", "sd_functional")
    }

    def value(kind: Any) -> float:
        return cutoff(kind, higher_is=higher_is, **norms).value

    near = lambda number: pytest.approx(number, abs=NORMS["tolerance"])  # noqa: E731 - one line says it
    assert value("a") == near(case["clinicalsignificance"]["a"])
    assert value("b") == near(case["clinsig"]["b_sd_functional"])
    assert value("b-clinical-sd") == near(case["clinicalsignificance"]["b_sd_clinical"])
    assert value("c") == near(case["clinicalsignificance"]["c"]) == near(case["CECPfuns"]["csc_c"])
    # clinsig lifts a negative cutoff to 0; ours stays and warns.
    assert max(value("a"), 0) == near(case["clinsig"]["a"])


@pytest.mark.parametrize("case", PERSONS)
def test_cutoff_and_side_of_each_person_equal_the_reference(case: dict[str, Any]) -> None:
    clinical, functional = case["moments"]["sd_pre"], case["sd_functional"]
    if case["cutoff_method"] == "hageman-arrindell":
        error = standard_error_of_measurement(clinical, case["reliability"])
        if case["cutoff"] is None:
            with pytest.raises(NotComputable) as caught:
                error_free_sd(functional, error)
            assert caught.value.reason == "error-exceeds-spread"
            return
        clinical = error_free_sd(clinical, error)
        functional = error_free_sd(functional, error) if case["cutoff_kind"] == "c" else functional
    kind: Any = "b-clinical-sd" if case["cutoff_kind"] == "b" else case["cutoff_kind"]
    found = cutoff(
        kind,
        higher_is=case["higher_is"],
        mean_clinical=case["moments"]["m_pre"],
        sd_clinical=clinical,
        mean_functional=case["m_functional"],
        sd_functional=functional,
    ).value
    assert found == pytest.approx(case["cutoff"], abs=PEOPLE["tolerance"])
    data = PEOPLE["sets"][case["set"]]
    places = [data["id"].index(person) for person in case["ids"]]
    before = is_clinical(np.array(data["pre"], float), found, higher_is=case["higher_is"])[places]
    assert "".join(str(int(side)) for side in before) == case["clinical_pre"]
    if "functional_post" in case:
        after = is_functional(np.array(data["post"], float), found, higher_is=case["higher_is"])[places]
        assert "".join(str(int(side)) for side in after) == case["functional_post"]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("a", "mean_clinical"),
        ("a", "sd_clinical"),
        ("b", "mean_functional"),
        ("b", "sd_functional"),
        ("b-clinical-sd", "mean_functional"),
        ("b-clinical-sd", "sd_clinical"),
        ("c", "mean_clinical"),
        ("c", "sd_clinical"),
        ("c", "mean_functional"),
        ("c", "sd_functional"),
    ],
)
def test_a_cutoff_says_which_norm_it_lacks(kind: Any, missing: str) -> None:
    norms = {"mean_clinical": 20.0, "sd_clinical": 5.0, "mean_functional": 8.0, "sd_functional": 4.0}
    del norms[missing]
    with pytest.raises(NotComputable, match=f"cutoff {kind} needs {missing}") as caught:
        cutoff(kind, higher_is="worse", **norms)
    assert caught.value.reason == "norm-missing"


def test_a_needs_no_functional_norm_and_b_no_clinical_one() -> None:
    assert cutoff("a", higher_is="better", mean_clinical=20, sd_clinical=5) == Cutoff("a", 30.0)
    assert cutoff("b", higher_is="better", mean_functional=40, sd_functional=4) == Cutoff("b", 32.0)
    assert cutoff("b-clinical-sd", higher_is="better", mean_functional=40, sd_clinical=5).value == 30.0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be a, b, b-clinical-sd or c, got 'd'"):
        cutoff("d", higher_is="worse")  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize(
    ("scale", "warnings"),
    [
        ((0, 27), ()),
        ((0, 10), ("outside-scale",)),  # nobody scores above the highest possible score
        ((10, 27), ("outside-scale",)),
        ((0, 9), ("outside-scale",)),
        ((11, 27), ("outside-scale",)),
        ((9.9, 10.1), ()),
    ],
)
def test_a_cutoff_that_nobody_can_cross_warns(scale: tuple[float, float], warnings: tuple[str, ...]) -> None:
    found = cutoff("a", higher_is="worse", mean_clinical=20, sd_clinical=5, scale=scale)
    assert found == Cutoff("a", 10.0, warnings)


@pytest.mark.parametrize("scale", [(27, 0), (5, 5), (math.nan, 5)])
def test_a_scale_must_run_upwards(scale: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"scale must be \(lowest, highest\)"):
        cutoff("a", higher_is="worse", mean_clinical=20, sd_clinical=5, scale=scale)


@pytest.mark.parametrize(
    ("higher_is", "functional", "warnings"),
    [
        ("worse", 8, ()),
        ("worse", 20, ("populations-reversed",)),
        ("worse", 25, ("populations-reversed",)),
        ("better", 25, ()),
        ("better", 20, ("populations-reversed",)),
        ("better", 8, ("populations-reversed",)),
    ],
)
def test_norms_the_wrong_way_round_warn(higher_is: Any, functional: float, warnings: tuple[str, ...]) -> None:
    found = cutoff(
        "c", higher_is=higher_is, mean_clinical=20, sd_clinical=5, mean_functional=functional, sd_functional=5
    )
    assert found.warnings == warnings


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_norms_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="mean_clinical must be a finite number"):
        cutoff_a(bad, 5, higher_is="worse")
    with pytest.raises(ValueError, match="sd_clinical must be >= 0"):
        cutoff_a(20, bad, higher_is="worse")
    with pytest.raises(ValueError, match="mean_functional must be a finite number"):
        cutoff_b(bad, 5, higher_is="worse")
    with pytest.raises(ValueError, match="sd_functional must be >= 0"):
        cutoff_b(20, bad, higher_is="worse")
    with pytest.raises(ValueError, match="mean_functional must be a finite number"):
        cutoff_b_clinical_sd(bad, 5, higher_is="worse")
    with pytest.raises(ValueError, match="sd_clinical must be >= 0"):
        cutoff_b_clinical_sd(20, bad, higher_is="worse")
    for place, name in enumerate(["mean_clinical", "sd_clinical", "mean_functional", "sd_functional"]):
        norms = [20.0, 5.0, 8.0, 4.0]
        norms[place] = bad
        with pytest.raises(ValueError, match=f"{name} must be"):
            cutoff_c(*norms)


def test_c_of_two_populations_without_spread_does_not_exist() -> None:
    with pytest.raises(NotComputable, match="both standard deviations are 0") as caught:
        cutoff_c(20, 0, 8, 0)
    assert caught.value.reason == "no-spread"
    assert cutoff_c(20, 0, 8, 4) == 20
    assert cutoff_c(20, 4, 8, 0) == 8


def test_error_free_spread() -> None:
    assert error_free_sd(5, 5) == 0
    assert error_free_sd(5, 0) == 5
    with pytest.raises(NotComputable, match="exceeds the standard deviation"):
        error_free_sd(4.9, 5)
    with pytest.raises(ValueError, match="sd must be >= 0"):
        error_free_sd(-1, 0)
    with pytest.raises(ValueError, match="standard_error_of_measurement must be >= 0"):
        error_free_sd(1, -1)


def test_direction() -> None:
    assert direction("better") == 1
    assert direction("worse") == -1
    with pytest.raises(ValueError, match="'better' or 'worse', got 'up'"):
        direction("up")  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize(
    ("higher_is", "on_cutoff", "clinical", "functional"),
    [
        ("worse", "neither", [False, False, True], [True, False, False]),
        ("worse", "clinical", [False, True, True], [True, False, False]),
        ("worse", "functional", [False, False, True], [True, True, False]),
        ("better", "neither", [True, False, False], [False, False, True]),
        ("better", "clinical", [True, True, False], [False, False, True]),
        ("better", "functional", [True, False, False], [False, True, True]),
    ],
)
def test_the_side_of_a_score(higher_is: Any, on_cutoff: Any, clinical: list[bool], functional: list[bool]) -> None:
    values = [9, 10, 11, math.nan]
    found = is_clinical(values, 10, higher_is=higher_is, on_cutoff=on_cutoff)
    assert found.tolist() == [*clinical, False]
    found = is_functional(values, 10, higher_is=higher_is, on_cutoff=on_cutoff)
    assert found.tolist() == [*functional, False]


@pytest.mark.parametrize("side", [is_clinical, is_functional])
def test_a_side_of_nonsense_is_refused(side: Any) -> None:
    with pytest.raises(ValueError, match="on_cutoff must be neither, clinical or functional, got 'both'"):
        side([1], 10, higher_is="worse", on_cutoff="both")
    with pytest.raises(ValueError, match="cutoff must be a finite number"):
        side([1], math.nan, higher_is="worse")
    with pytest.raises(ValueError, match="values must be finite scores"):
        side([math.inf], 10, higher_is="worse")


numbers = st.floats(-1000, 1000, allow_nan=False)


@given(st.lists(numbers), numbers, st.sampled_from(["better", "worse"]), st.data())
def test_nobody_is_on_both_sides(values: list[float], at: float, higher_is: Any, data: st.DataObject) -> None:
    on_cutoff = data.draw(st.sampled_from(["neither", "clinical", "functional"]))
    clinical = is_clinical(values, at, higher_is=higher_is, on_cutoff=on_cutoff)
    functional = is_functional(values, at, higher_is=higher_is, on_cutoff=on_cutoff)
    assert not (clinical & functional).any()
    nowhere = ~clinical & ~functional
    assert (nowhere == ((np.abs(np.array(values) - at) <= 5e-11) & (on_cutoff == "neither"))).all()


@pytest.mark.parametrize("higher_is", ["better", "worse"])
@pytest.mark.parametrize(("clinical", "functional", "sd", "middle"), [(20.5, 19.9, 9.9, 20.2), (20.5, 9.9, 0.7, 15.2)])
def test_a_score_equal_to_a_cutoff_but_for_binary_is_on_it(
    clinical: float, functional: float, sd: float, middle: float, higher_is: Any
) -> None:
    """With equal spreads c is the midpoint. As floats it is 20.200000000000003 and 15.200000000000001."""
    at = cutoff_c(clinical, sd, functional, sd)
    assert at != middle
    for on_cutoff, sides in (("neither", (False, False)), ("clinical", (True, False)), ("functional", (False, True))):
        where: Any = {"higher_is": higher_is, "on_cutoff": on_cutoff}
        assert (is_clinical([middle], at, **where)[0], is_functional([middle], at, **where)[0]) == sides
    for beside in (middle - 0.0001, middle + 0.0001):
        assert is_clinical([beside], at, higher_is=higher_is)[0] != is_functional([beside], at, higher_is=higher_is)[0]


def test_a_cutoff_at_the_end_of_the_scale_but_for_binary_can_be_crossed_by_nobody() -> None:
    made = cutoff("a", higher_is="worse", mean_clinical=20.5, sd_clinical=6.6, scale=(7.3, 30))
    assert 7.3 < made.value < 7.3 + 1e-12
    assert made.warnings == ("outside-scale",)


@given(numbers, st.floats(0.01, 100), numbers, st.floats(0.01, 100))
def test_c_lies_between_the_means_equally_many_deviations_away(m1: float, s1: float, m2: float, s2: float) -> None:
    c = cutoff_c(m1, s1, m2, s2)
    assert min(m1, m2) - 1e-9 <= c <= max(m1, m2) + 1e-9
    assert abs(c - m1) / s1 == pytest.approx(abs(c - m2) / s2, rel=1e-6, abs=1e-6)


@given(numbers, st.floats(0, 100))
def test_turning_the_scale_over_mirrors_a_and_b(mean: float, sd: float) -> None:
    assert cutoff_a(mean, sd, higher_is="worse") == -cutoff_a(-mean, sd, higher_is="better")
    assert cutoff_b(mean, sd, higher_is="worse") == -cutoff_b(-mean, sd, higher_is="better")
    assert cutoff_b_clinical_sd(mean, sd, higher_is="worse") == -cutoff_b_clinical_sd(-mean, sd, higher_is="better")
