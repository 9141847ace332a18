"""The change of a whole sample: reference values, laws, and what cannot be computed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.change import ChangeCategory, reliable_change_index
from scoring.change_methods import METHODS, functional_index, sample_moments
from scoring.change_sample import FORMULAS, Norms, SampleChange, change_of_sample
from scoring.cutoffs import NotComputable, error_free_sd

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_statistics" / "change.json").read_text())
LETTERS = {"recovered": "R", "improved": "I", "unchanged": "U", "deteriorated": "D", "harmed": "H", None: "?"}
FUNCTIONAL = Norms(mean_functional=7.0, sd_functional=5.0)
NAN = math.nan
PRE, POST = [20.0, 18.0, 25.0, 12.0, 22.0], [8.0, 17.5, NAN, 20.0, 10.0]
MIRROR = {"better": "worse", "worse": "better"}


def found(pre: Any = PRE, post: Any = POST, **options: Any) -> SampleChange:
    usual: dict[str, Any] = {"method": "jacobson-truax", "higher_is": "worse", "reliability": 0.84}
    return change_of_sample(pre, post, **{**usual, **options})


def of_part(*parts: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in GOLDEN["cases"] if case["part"] in parts]


@pytest.mark.parametrize("case", of_part("combined", "combined-error-free"))
def test_everybody_equals_the_reference(case: dict[str, Any]) -> None:
    data = GOLDEN["sets"][case["set"]]
    pre, post = np.array(data["pre"], float), np.array(data["post"], float)
    places = [data["id"].index(person) for person in case["ids"]]

    def all_of_it() -> SampleChange:
        return found(
            pre,
            post,
            method=case["method"],
            higher_is=case["higher_is"],
            reliability=case["reliability"],
            reliability_post=case["reliability_post"],
            significance=case["significance"],
            cutoff_kind="b-clinical-sd" if case["cutoff_kind"] == "b" else case["cutoff_kind"],
            norms=Norms(mean_functional=case["m_functional"], sd_functional=case["sd_functional"]),
        )

    if case["cutoff"] is None:  # error exceeds the spread of the functional population: the package gives NaN
        with pytest.raises(NotComputable) as caught:
            all_of_it()
        assert caught.value.reason == "error-exceeds-spread"
        return
    sample = all_of_it()
    assert sample.cutoff is not None
    assert sample.cutoff.value == pytest.approx(case["cutoff"], abs=GOLDEN["tolerance"])
    assert (sample.used, sample.rows) == (len(places), len(pre))
    got = "".join(LETTERS[category] for category in sample.category[places])
    expected = case["categories"].replace("-", "U")
    if case["id"] == "edge_rel1_comb_HA_c":
        # The package calls harmed whoever began functional and got worse; this person ends functional too.
        assert [one for one in zip(expected, got, strict=True) if one[0] != one[1]] == [("H", "D")]
    else:
        assert got == expected


def test_what_is_missing_is_left_out_and_counted() -> None:
    sample = found([1.0, NAN, 3.0, NAN, 5.0], [2.0, 2.0, NAN, NAN, 7.0])
    assert (sample.rows, sample.used) == (5, 2)
    assert (sample.without_pre, sample.without_post, sample.without_both) == (1, 1, 1)
    assert sample.sample == sample_moments([1, 5], [2, 7])
    assert [c is None for c in sample.category] == [False, True, True, True, False]
    assert np.isnan(sample.change).tolist() == np.isnan(sample.rci).tolist() == [False, True, True, True, False]
    assert sum(sample.counts.values()) == 2
    assert sample.document()["pairs"] == {
        "rows": 5, "used": 2, "excluded": 3, "without_pre": 1, "without_post": 1, "without_both": 1,
    }  # fmt: skip


def test_counts_name_every_category() -> None:
    counts = found(method="jacobson-truax", cutoff_kind="c", norms=FUNCTIONAL).document()["categories"]
    assert list(counts) == [category.value for category in ChangeCategory]
    assert counts == {"recovered": 2, "improved": 0, "unchanged": 1, "deteriorated": 0, "harmed": 1}


@pytest.mark.parametrize("method", METHODS)
def test_a_standard_deviation_that_is_given_takes_the_place_of_the_samples(method: Any) -> None:
    sample = found(method=method, sd=9.0)
    assert sample.sd == sample.document()["parameters"]["sd"] == 9.0
    assert sample.sample is not None
    assert sample.sample.sd_pre != 9.0
    assert np.abs(sample.rci - found(method=method).rci)[0] > 0.01
    assert sample.document()["formula"] == FORMULAS[method]


def test_parameters_are_told_with_the_threshold_only_where_there_is_one() -> None:
    told = found(sd=5.0, reliability=0.8).document()["parameters"]
    assert told["threshold"] == pytest.approx(1.959963984540054 * 5 * math.sqrt(0.4))
    assert (told["sided"], told["reliability_post"], told["reliability_of_difference"]) == ("two", None, None)
    shrunk = found(method="hageman-arrindell").document()["parameters"]
    assert (shrunk["sided"], shrunk["threshold"]) == ("one", None)
    assert 0 < shrunk["reliability_of_difference"] < 1
    assert found(method="nunnally-kotsch").reliability_post == 0.84
    assert found(method="nunnally-kotsch", reliability_post=0.7).reliability_post == 0.7
    assert found(reliability_post=0.7).reliability_post is None


@pytest.mark.parametrize(
    ("kind", "value", "used"),
    [
        ("a", 30 - 2 * 6, {"mean_clinical", "sd_clinical"}),
        ("b", 7 + 2 * 5, {"mean_functional", "sd_functional"}),
        ("b-clinical-sd", 7 + 2 * 6, {"mean_functional", "sd_clinical"}),
        ("c", (6 * 7 + 5 * 30) / 11, {"mean_clinical", "sd_clinical", "mean_functional", "sd_functional"}),
    ],
)
def test_a_cutoff_is_made_of_the_norms_that_it_uses(kind: Any, value: float, used: set[str]) -> None:
    norms = Norms(mean_clinical=30.0, sd_clinical=6.0, mean_functional=7.0, sd_functional=5.0)
    told = found(cutoff_kind=kind, norms=norms).document()["cutoff"]
    assert told["value"] == pytest.approx(value)
    assert {name for name, given in told.items() if name.startswith(("mean", "sd")) and given is not None} == used


def test_a_clinical_moment_that_is_not_given_is_the_samples() -> None:
    sample = found(cutoff_kind="a")
    assert sample.sample is not None
    assert sample.cutoff is not None
    assert sample.cutoff.value == sample.sample.mean_pre - 2 * sample.sample.sd_pre
    assert found(cutoff_kind="a", norms=Norms(sd_clinical=1.0)).norms.mean_clinical == sample.sample.mean_pre


def test_error_free_cutoffs_are_made_of_the_spread_of_true_scores() -> None:
    norms = Norms(mean_clinical=30.0, sd_clinical=6.0, mean_functional=7.0, sd_functional=5.0)
    sample = found(method="hageman-arrindell", sd=5.0, reliability=0.84, cutoff_kind="b", norms=norms)
    assert sample.cutoff is not None
    assert sample.cutoff.value == pytest.approx(7 + 2 * error_free_sd(5.0, 2.0))
    assert sample.document()["cutoff"]["error_free"]
    assert not found(cutoff_kind="a").document()["cutoff"]["error_free"]


# What cannot be computed, and what is refused


@pytest.mark.parametrize(
    ("reason", "pre", "post", "options"),
    [
        ("no-pairs", [1.0, NAN], [NAN, 2.0], {}),
        ("no-pairs", [], [], {"sd": 5.0}),
        ("too-few-pairs", [1.0], [2.0], {}),
        ("too-few-pairs", [1.0], [2.0], {"sd": 5.0, "method": "edwards-nunnally"}),
        ("too-few-pairs", [1.0], [2.0], {"sd": 5.0, "cutoff_kind": "a"}),
        ("too-few-pairs", [1.0], [2.0], {"sd": 5.0, "cutoff_kind": "a", "norms": Norms(mean_clinical=3.0)}),
        ("no-spread", [4.0, 4.0], [1.0, 2.0], {}),
        ("no-spread", [0.1, 0.1, 0.1], [1.0, 2.0, 0.2], {}),  # of which numpy's spread is 1.7e-17
        ("no-correlation", [1.0, 2.0, 4.0], [0.1, 0.1, 0.1], {"method": "hageman-arrindell"}),
        ("no-spread", PRE, POST, {"sd": 0.0}),
        ("difference-unreliable", [1.0, 2.0, 3.0], [1.1, 2.0, 3.2], {"method": "hageman-arrindell"}),
        ("no-correlation", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], {"method": "hageman-arrindell"}),
        ("norm-missing", PRE, POST, {"cutoff_kind": "c"}),
        ("norm-missing", PRE, POST, {"cutoff_kind": "b", "norms": Norms(mean_functional=3.0)}),
        ("norm-missing", PRE, POST, {"cutoff_kind": "b-clinical-sd", "norms": Norms(sd_functional=3.0)}),
        ("error-exceeds-spread", PRE, POST, {"method": "hageman-arrindell", "cutoff_kind": "a", "reliability": 0.5,
                                             "norms": Norms(mean_clinical=20.0, sd_clinical=1.0)}),
    ],
)  # fmt: skip
def test_what_is_not_computable_says_why(reason: str, pre: Any, post: Any, options: Any) -> None:
    with pytest.raises(NotComputable) as caught:
        found(pre, post, **options)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("higher_is must be", {"higher_is": "up"}),
        ("method must be one of", {"method": "jt"}),
        ("reliability must be", {"reliability": 1.01}),
        ("reliability must be", {"reliability": NAN}),
        ("reliability_post must be", {"reliability_post": -0.1, "method": "nunnally-kotsch"}),
        ("significance must be", {"significance": 1.0}),
        ("significance must be", {"significance": 0.0, "method": "hageman-arrindell"}),
        ("sd must be", {"sd": -1.0}),
        ("sd must be", {"sd": NAN}),
        ("sd must be", {"sd": math.inf}),
        ("kind must be", {"cutoff_kind": "d"}),
        ("sd_functional must be", {"cutoff_kind": "b", "norms": Norms(mean_functional=1.0, sd_functional=-1.0)}),
        ("mean_functional must be", {"cutoff_kind": "b", "norms": Norms(mean_functional=NAN, sd_functional=1.0)}),
        ("pre must be finite", {"pre": [math.inf, *PRE[1:]]}),
    ],
)
def test_an_input_out_of_range_is_refused(words: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        found(**options)
    assert not isinstance(caught.value, NotComputable)


def test_one_pair_is_judged_by_norms_alone() -> None:
    sample = found([20.0], [5.0], sd=5.0, reliability=0.8)
    assert sample.rci.tolist() == reliable_change_index([20.0], [5.0], sd=5.0, reliability=0.8).tolist()
    assert (sample.sample, sample.document()["moments"]) == (None, None)
    assert sample.category.tolist() == [ChangeCategory.IMPROVED]


def test_functional_index_where_it_does_not_exist() -> None:
    with pytest.raises(NotComputable) as caught:
        functional_index([1.0], 2.0, reliability=0.0, sd_pre=3.0, mean_post=1.0, sd_post=3.0)
    assert caught.value.reason == "error-exceeds-spread"
    with pytest.raises(NotComputable) as caught:
        functional_index([1.0], 2.0, reliability=0.5, sd_pre=3.0, mean_post=1.0, sd_post=0.0)
    assert caught.value.reason == "no-spread"
    sure = functional_index([1.0, 2.0, 3.0], 2.0, reliability=1.0, sd_pre=3.0, mean_post=1.0, sd_post=3.0)
    assert sure.tolist() == [-math.inf, 0.0, math.inf]


@pytest.mark.parametrize("method", METHODS)
def test_without_error_nothing_is_nan(method: Any) -> None:
    sample = found([20.0, 18.0, 9.0], [8.0, 18.0, 11.0], method=method, reliability=1.0, cutoff_kind="a")
    assert not np.isnan(sample.rci).any()
    assert None not in sample.category.tolist()


# Laws

WHOLE = st.tuples(st.integers(0, 40), st.integers(0, 40))
SAMPLES = st.lists(WHOLE, min_size=3, max_size=12)
RELIABILITIES = st.sampled_from([0.3, 0.5, 0.75, 0.84, 0.9])
KINDS = st.sampled_from([None, "a", "b", "c", "b-clinical-sd"])


def computed(pairs: list[tuple[float, float]], **options: Any) -> SampleChange:
    pre, post = (np.array(column, float) for column in zip(*pairs, strict=True))
    try:
        return found(pre, post, **options)
    except NotComputable:
        assume(False)  # refusals have their own tests
        raise


@given(SAMPLES, st.sampled_from(METHODS), RELIABILITIES, KINDS)
def test_turning_the_scale_over_changes_no_category(pairs: Any, method: Any, r: float, kind: Any) -> None:
    one = computed(pairs, method=method, reliability=r, cutoff_kind=kind, norms=FUNCTIONAL, higher_is="worse")
    mirrored = Norms(mean_functional=-7.0, sd_functional=5.0)
    turned = [(-a, -b) for a, b in pairs]
    other = computed(turned, method=method, reliability=r, cutoff_kind=kind, norms=mirrored, higher_is="better")
    assert other.rci == pytest.approx(-one.rci, abs=1e-9)
    near = np.abs(np.abs(one.rci) - one.critical) < 1e-9
    assert [a for a, b in zip(one.category, near, strict=True) if not b] == [
        a for a, b in zip(other.category, near, strict=True) if not b
    ]


@given(SAMPLES, st.sampled_from(METHODS), RELIABILITIES)
def test_the_other_direction_swaps_better_and_worse(pairs: Any, method: Any, r: float) -> None:
    one = computed(pairs, method=method, reliability=r, higher_is="worse")
    other = computed(pairs, method=method, reliability=r, higher_is="better")
    swapped = {"improved": "deteriorated", "deteriorated": "improved", "unchanged": "unchanged"}
    assert [swapped[category] for category in one.category] == other.category.tolist()


@given(SAMPLES, st.sampled_from(METHODS), RELIABILITIES, st.integers(-50, 50), st.sampled_from([0.5, 2.0, 4.0]))
def test_neither_the_origin_nor_the_unit_of_a_scale_matters(
    pairs: Any, method: Any, r: float, shift: int, unit: float
) -> None:
    one = computed(pairs, method=method, reliability=r, cutoff_kind="c", norms=FUNCTIONAL)
    moved = [(unit * a + shift, unit * b + shift) for a, b in pairs]
    norms = Norms(mean_functional=unit * 7.0 + shift, sd_functional=unit * 5.0)
    other = computed(moved, method=method, reliability=r, cutoff_kind="c", norms=norms)
    assert other.rci == pytest.approx(one.rci, abs=1e-9)
    assert other.change == pytest.approx(unit * one.change)
    assert one.cutoff is not None
    assert other.cutoff is not None
    assert other.cutoff.value == pytest.approx(unit * one.cutoff.value + shift)


@given(SAMPLES, st.randoms(use_true_random=False), st.sampled_from(METHODS))
def test_the_order_of_persons_does_not_matter(pairs: Any, random: Any, method: Any) -> None:
    places = list(range(len(pairs)))
    random.shuffle(places)
    one = computed(pairs, method=method)
    other = computed([pairs[place] for place in places], method=method)
    assert other.rci == pytest.approx(one.rci[places], abs=1e-9)


@given(SAMPLES, RELIABILITIES)
def test_methods_agree_where_their_formulas_coincide(pairs: Any, r: float) -> None:
    """With r = 1 in the shrinkage nothing shrinks; at the mean before, regression to it moves nobody."""
    moments = sample_moments(*zip(*pairs, strict=True))
    assume(moments.sd_pre > 0)
    pre = np.array([a for a, _ in pairs], float)
    at_mean = computed([*pairs, (moments.mean_pre, 0.0)], method="gulliksen-lord-novick", reliability=r)
    truax = computed([*pairs, (moments.mean_pre, 0.0)], method="jacobson-truax", reliability=r)
    edwards = computed([*pairs, (moments.mean_pre, 0.0)], method="edwards-nunnally", reliability=r)
    assert at_mean.rci[-1] * math.sqrt(1 - r**2) == pytest.approx(truax.rci[-1] * math.sqrt(2 * (1 - r)), abs=1e-9)
    assert edwards.rci[-1] * math.sqrt(1 - r) == pytest.approx(truax.rci[-1] * math.sqrt(2 * (1 - r)), abs=1e-9)
    no_drift = [(a, b) for a, b in zip(pre, pre[::-1], strict=True)]
    hsu = computed(no_drift, method="hsu-linn-nord", reliability=r)
    assert hsu.rci == pytest.approx(computed(no_drift, method="gulliksen-lord-novick", reliability=r).rci, abs=1e-9)


@given(SAMPLES, st.sampled_from(METHODS), RELIABILITIES, KINDS)
def test_whoever_has_both_scores_has_an_index_and_a_category(pairs: Any, method: Any, r: float, kind: Any) -> None:
    sample = computed(pairs, method=method, reliability=r, cutoff_kind=kind, norms=FUNCTIONAL)
    assert not np.isnan(sample.rci).any()
    assert sum(sample.counts.values()) == sample.used == sample.rows
    if kind is None:
        assert sample.counts[ChangeCategory.RECOVERED] == sample.counts[ChangeCategory.HARMED] == 0
