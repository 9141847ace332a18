"""What a caller may choose: the method of reliable change, and the measurement that change is measured from."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
from scoring.change_methods import METHODS, Moments, change_index
from scoring.phrases import LANGUAGES, language
from scoring.progress import FIRST, Baseline, Change, Progress, progress
from scoring.progress_points import BASELINE_WITHOUT_SCORE, NONE_BEFORE_EPISODE, NOTHING_AFTER
from scoring.progress_words import headline, summary
from scoring.reliable import (
    NO_CLINICAL_SAMPLE,
    NO_MOMENTS_AFTER,
    NO_PARAMETERS,
    NO_PUBLISHED,
    OfSample,
    ProgressMethod,
    PublishedChange,
    Regressed,
    RegressedChange,
    ReliableChange,
    Unavailable,
)
from tests.scoring.test_progress import FSFI, NORM, PARAMETERS, START, invented, measured, series, with_norms

REGRESSED, OF_SAMPLE = get_args(Regressed), get_args(OfSample)
CLINICAL = with_norms(clinical=(16.0, 4.0), functional=None)
AMOUNT = {"scale": "total", "kind": "reliable-change", "method": "invented", "source": "invented", "evidence": "read"}


def made(
    *values: float, method: Any = None, baseline: Any = FIRST, norm: str | None = None, **members: Any
) -> Progress:
    given = series(*values, variant="prorated")
    return progress(invented(**members), "total", given, method=method, baseline=baseline, norm=norm)


def by_response(*values: float, place: int, **members: Any) -> Progress:
    given = series(*values, variant="prorated")
    return made(*values, baseline=Baseline(response_id=given[place].response_id), **members)


class TestMethod:
    def test_every_method_of_the_command_has_its_name_here(self) -> None:
        named = {one for part in get_args(ProgressMethod) for one in (get_args(part) or (part,))}
        assert named == {*METHODS, "published-threshold"}

    @pytest.mark.parametrize("method", REGRESSED)
    def test_the_index_is_that_of_the_method_with_the_samples_mean(self, method: Any) -> None:
        found = made(20.0, 9.0, method=method, **CLINICAL)
        reliable = found.figures.reliable_change
        assert isinstance(reliable, RegressedChange)
        # M = 16 of the norm, SD = 2 and r = 0.5 of the parameters
        moments = Moments(n=2, mean_pre=16.0, sd_pre=2.0, mean_post=0.0, sd_post=1.0, correlation=None)
        expected = change_index(method, [20.0], [9.0], reliability=0.5, moments=moments)
        assert isinstance(found.from_baseline, Change)
        assert found.from_baseline.rci == pytest.approx(expected.rci[0])
        assert found.from_baseline.category == "improved"
        told = reliable.document
        assert (told["method"], told["mean"]["value"], told["mean"]["norm"]) == (method, 16.0, "clinical-1")
        assert told["warnings"] == ["mean-of-another-sample"], "the sample's own spread is 4"
        assert told["evidence"] == "derived"

    def test_by_hand(self) -> None:
        # from 20 towards 16 with r = 0.5: 18 is expected
        halves = {  # 2 sqrt(1 - 0.25), 2 sqrt(0.5), 2 sqrt(0.25 * 0.5 + 0.5)
            "gulliksen-lord-novick": 1.7320508, "edwards-nunnally": 1.4142136, "nunnally-kotsch": 1.5811388,
        }  # fmt: skip
        for method, error in halves.items():
            found = made(20.0, 14.0, method=method, **CLINICAL)
            assert found.band is not None
            assert (found.band.low, found.band.high) == pytest.approx((18 - 1.9599640 * error, 18 + 1.9599640 * error))
            assert isinstance(found.from_baseline, Change)
            assert found.from_baseline.rci == pytest.approx(-4 / error, rel=1e-6)

    @given(st.integers(0, 27), st.integers(0, 27), st.sampled_from(REGRESSED))
    def test_a_change_is_reliable_where_it_leaves_the_band(self, first: int, last: int, method: Any) -> None:
        found = made(first, last, method=method, **CLINICAL)
        reliable = found.figures.reliable_change
        assert isinstance(reliable, RegressedChange)
        assert isinstance(found.from_baseline, Change)
        away = abs(last - reliable.expected(first))
        assert (found.from_baseline.category == "unchanged") == (away <= reliable.threshold + 1e-12)

    @given(st.integers(0, 27), st.sampled_from(REGRESSED))
    def test_at_the_samples_mean_nobody_is_expected_to_move(self, last: int, method: Any) -> None:
        regressed = made(16.0, last, method=method, **CLINICAL).from_baseline
        truax = made(16.0, last, method="jacobson-truax", **CLINICAL).from_baseline
        assert isinstance(regressed, Change)
        assert isinstance(truax, Change)
        assert regressed.rci is not None
        assert truax.rci is not None
        assert math.copysign(1, regressed.rci) == math.copysign(1, truax.rci) or regressed.rci == truax.rci == 0

    @pytest.mark.parametrize("method", OF_SAMPLE)
    def test_moments_after_treatment_are_nobodys_norm(self, method: Any) -> None:
        found = made(20.0, 9.0, method=method, **CLINICAL)
        assert found.figures.reliable_change == NO_MOMENTS_AFTER
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.points, found.from_baseline.category) == (-11, None)
        assert found.band is None

    @pytest.mark.parametrize("method", REGRESSED)
    def test_a_sample_that_only_the_rule_chose_is_not_enough(self, method: Any) -> None:
        norms = [{**NORM, "id": "clinic", "population": "clinical", "mean": 16, "sd": 4}]
        assert made(20.0, 9.0, method=method, norms=norms).figures.reliable_change == NO_CLINICAL_SAMPLE
        assert made(20.0, 9.0, method=method).figures.reliable_change == NO_CLINICAL_SAMPLE
        asked = made(20.0, 9.0, method=method, norms=norms, norm="clinic").figures.reliable_change
        assert isinstance(asked, RegressedChange)
        assert (asked.sd, asked.mean, asked.warnings) == (4, 16, ("reliability-of-another-sample",))

    @pytest.mark.parametrize("method", [*REGRESSED, "jacobson-truax"])
    def test_without_parameters_there_is_none(self, method: Any) -> None:
        assert made(20.0, 9.0, method=method, progress=[]).figures.reliable_change == NO_PARAMETERS

    def test_a_sample_from_memory_is_told(self) -> None:
        norms = [{**NORM, "id": "clinic", "population": "clinical", "mean": 16, "sd": 2, "evidence": "memory"}]
        found = made(20.0, 9.0, method="edwards-nunnally", norms=norms, norm="clinic")
        assert isinstance(found.figures.reliable_change, RegressedChange)
        assert found.figures.reliable_change.document["evidence"] == "memory"
        assert "reliable-change" in found.figures.needs_review

    def test_a_published_amount_may_be_asked_for(self) -> None:
        changes = [
            AMOUNT | {"id": "remembered", "value": 3, "evidence": "memory"},
            AMOUNT | {"id": "ours", "value": 2, "evidence": "derived"},
            AMOUNT | {"id": "elsewhere", "value": 1, "variants": ["nhs-talking-therapies"]},
            AMOUNT | {"id": "seen", "value": 6},
        ]
        asked = made(20.0, 14.0, method="published-threshold", changes=changes)
        assert isinstance(asked.figures.reliable_change, PublishedChange)
        assert asked.figures.reliable_change.given.id == "seen"
        assert isinstance(asked.from_baseline, Change)
        assert (asked.from_baseline.category, asked.from_baseline.rci) == ("improved", None)
        assert asked.band is not None
        assert (asked.band.low, asked.band.high) == (14, 26)
        assert isinstance(made(20.0, 14.0, changes=changes).figures.reliable_change, ReliableChange), "not unasked"
        assert made(20.0, method="published-threshold").figures.reliable_change == NO_PUBLISHED
        tied = [*changes, AMOUNT | {"id": "tied", "value": 9, "evidence": "memory", "variants": ["prorated"]}]
        own = made(20.0, 14.0, method="published-threshold", changes=tied).figures.reliable_change
        assert isinstance(own, PublishedChange)
        assert own.given.id == "tied"

    def test_a_published_amount_that_takes_the_whole_way_to_the_end_can_be_reached(self) -> None:
        """From 6 by 6 points to 0 is reached there, and the band must not say that nobody can."""
        changes = [AMOUNT | {"id": "seen", "value": 6}]
        for baseline, can in ((6.0, True), (5.0, False)):
            found = made(baseline, 0.0, method="published-threshold", changes=changes)
            assert isinstance(found.from_baseline, Change)
            assert found.from_baseline.category == ("improved" if can else "unchanged")
            assert found.band is not None
            assert (found.band.low, found.band.can_improve) == (0, can)
        figures = made(6.0, method="published-threshold", changes=[AMOUNT | {"id": "seen", "value": 27}]).figures
        assert not figures.reliable_change.document["warnings"], "from one end of 0 to 27 to the other"

    def test_a_variant_that_is_tied_to_an_amount_may_be_judged_by_error(self) -> None:
        phq = instruments.load("phq-9")
        given = series(20, 13, variant="nhs-talking-therapies")
        usual = progress(phq, "total", given, variant="nhs-talking-therapies")
        assert isinstance(usual.figures.reliable_change, PublishedChange)
        asked = progress(phq, "total", given, variant="nhs-talking-therapies", method="jacobson-truax")
        assert isinstance(asked.figures.reliable_change, ReliableChange)

    def test_jacobson_truax_is_the_default(self) -> None:
        assert made(20.0, 9.0).document() == made(20.0, 9.0, method="jacobson-truax").document()

    def test_nothing_is_kept_of_one_method_for_another(self) -> None:
        instrument = invented(**CLINICAL)
        given = series(20, 9, variant="prorated")
        kinds = [
            type(progress(instrument, "total", given, method=method).figures.reliable_change)
            for method in (None, "edwards-nunnally", "hsu-linn-nord", None, "published-threshold")
        ]
        assert kinds == [ReliableChange, RegressedChange, Unavailable, ReliableChange, Unavailable]


class TestBaseline:
    def test_any_response_may_be_the_baseline(self) -> None:
        found = by_response(25.0, 20.0, 12.0, 6.0, place=1)
        assert found.baseline is found.points[1]
        assert [point["used"] for point in found.points] == [True] * 4
        assert [point["change"] for point in found.points] == [None, None, -8, -14]
        assert [point["change_from_previous"] for point in found.points] == [None, None, -8, -6]
        assert [point["category"] for point in found.points] == [None, None, "improved", "improved"]
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.points, found.from_baseline.since) == (-14, START + timedelta(days=14))
        assert found.band is not None
        assert (found.band.low + found.band.high) / 2 == pytest.approx(20)
        assert found.percentage["value"] == -70

    def test_the_first_response_is_the_usual_baseline(self) -> None:
        assert by_response(25.0, 20.0, 12.0, place=0).document() == made(25.0, 20.0, 12.0).document()

    @given(st.lists(st.integers(0, 27), min_size=2, max_size=8), st.data())
    def test_a_baseline_in_the_middle_is_a_series_that_starts_there(self, values: list[int], data: Any) -> None:
        place = data.draw(st.integers(0, len(values) - 2))
        chosen, alone = by_response(*values, place=place), made(*values[place:])
        members = ("change", "change_from_previous", "rci", "p_value", "category")
        found, expected = ([dict(p) for p in one.points] for one in (chosen, alone))
        assert [[p[m] for m in members] for p in found[place:]] == [[p[m] for m in members] for p in expected]
        assert all(p[m] is None for p in found[:place] for m in members)
        one, other = chosen.from_baseline, alone.from_baseline
        assert isinstance(one, Change)
        assert isinstance(other, Change)
        assert (one.points, one.rci, one.category, one.days) == (other.points, other.rci, other.category, other.days)

    def test_the_newest_leaves_nothing_to_compare(self) -> None:
        found = by_response(25.0, 20.0, 12.0, place=2)
        assert found.baseline is found.last
        assert found.from_baseline == NOTHING_AFTER
        assert isinstance(found.from_previous, Change)
        assert found.from_previous.points == -8
        assert found.percentage["code"] == found.from_baseline.code == "nothing-after-baseline"
        assert headline(found) == ""
        assert "no measurement chosen to compare it with" in summary(found)

    def test_one_that_is_not_used_says_why(self) -> None:
        given = [measured(20.0, variant="prorated"), measured(15.0, day=7, valid=False), measured(9.0, day=14)]
        for place, words in ((1, "validity rule"), (2, "another variant")):
            chosen = Baseline(response_id=given[place].response_id)
            found = progress(invented(), "total", given, variant="prorated", baseline=chosen)
            assert (found.baseline, found.band) == (None, None)
            assert isinstance(found.from_baseline, Unavailable)
            assert found.from_baseline.code == "baseline-not-used"
            assert words in found.from_baseline.detail

    def test_one_without_a_score_on_the_scale_says_so(self) -> None:
        found = made(20.0, 9.0, baseline=Baseline(response_id="nobody's"))
        assert found.from_baseline == BASELINE_WITHOUT_SCORE
        assert found.minimal_change["code"] == "no-published-amount"
        assert [point["change"] for point in found.points] == [None, None]
        assert isinstance(found.from_previous, Change)
        assert "There is no measurement chosen" in summary(found)

    def test_the_last_before_a_moment(self) -> None:
        before = Baseline(before=START + timedelta(days=28), episode_id="e")
        found = made(25.0, 20.0, 12.0, 6.0, baseline=before)
        assert found.baseline is found.points[1]
        own = [measured(value, day=14 * n, variant="prorated", episode_id="e" if n == 1 else None)
               for n, value in enumerate((25.0, 20.0, 12.0, 6.0))]  # fmt: skip
        found = progress(invented(), "total", own, baseline=before)
        assert found.baseline is found.points[0], "what belongs to the episode is not before it"
        none = made(25.0, 20.0, baseline=Baseline(before=START))
        assert none.from_baseline == NONE_BEFORE_EPISODE
        assert none.baseline is None

    def test_an_unusable_one_before_is_passed_over(self) -> None:
        given = [measured(20.0, variant="prorated"), measured(None, day=7, variant="prorated"),
                 measured(9.0, day=14, variant="prorated")]  # fmt: skip
        found = progress(invented(), "total", given, baseline=Baseline(before=START + timedelta(days=10)))
        assert found.baseline is found.points[0]

    def test_a_reason_why_there_is_none_is_handed_on(self) -> None:
        why = Unavailable("no-episode", "None.")
        found = made(20.0, 9.0, baseline=why)
        assert (found.from_baseline, found.percentage) == (why, why.document)
        assert made(20.0, baseline=why).from_baseline == why
        assert made(baseline=why).from_baseline == Unavailable(
            "no-measurement", "There is no measurement that can be used."
        )

    def test_parts_may_be_left_out(self) -> None:
        found = made(20.0, 9.0)
        assert found.document(())["points"] is None
        assert found.document(("points",)) == found.document()
        assert found.document(())["change"] == found.document()["change"]


@pytest.mark.parametrize("method", REGRESSED)
@pytest.mark.parametrize(("last", "words"), [(9.0, "more than measurement error"), (18.0, "within measurement error"),
                                             (20.0, "within measurement error")])  # fmt: skip
def test_words_name_what_regression_makes_expected(method: Any, last: float, words: str) -> None:
    said = summary(made(20.0, last, method=method, **CLINICAL))
    assert "Against the score that regression to the mean makes expected" in said
    assert words in said


def test_the_fsfi_by_its_own_clinical_sample() -> None:
    """The definition names the sample, so no norm need be asked for."""
    found = progress(FSFI, "total", series(16.2, 28.4), method="gulliksen-lord-novick").figures.reliable_change
    assert isinstance(found, RegressedChange)
    assert found.sample.id == "sweden-low-desire-2015"
    assert PARAMETERS["scale"] == "total"


class TestWhatIsSaid:
    """A sentence never says of a person what the figures beside it contradict."""

    @pytest.mark.parametrize("tag", LANGUAGES)
    @pytest.mark.parametrize("method", REGRESSED)
    @pytest.mark.parametrize(
        ("values", "mean", "expected"),
        [
            ((20.0, 19.0), 6.0, "worse-than-expected"),  # one point better, where 13 was expected
            ((20.0, 20.0), 6.0, "worse-than-expected"),
            ((2.0, 3.0), 16.0, "better-than-expected"),  # one point worse, where 9 was expected
            ((20.0, 27.0), 6.0, "deteriorated"),
            ((20.0, 2.0), 6.0, "improved"),
        ],
    )
    def test_a_change_against_its_own_direction_is_against_what_was_expected(
        self, values: tuple[float, float], mean: float, expected: str, method: Any, tag: str
    ) -> None:
        found, spoken = made(*values, method=method, **with_norms(clinical=(mean, 4.0), functional=None)), language(tag)
        assert isinstance(found.from_baseline, Change)
        assert found.from_baseline.category in ("improved", "deteriorated")
        assert headline(found, spoken) == spoken.phrases[f"headline.{expected}"]
        assert summary(found, spoken).startswith(spoken.phrases[f"opening.{expected}"])

    @pytest.mark.parametrize("tag", LANGUAGES)
    @pytest.mark.parametrize(
        ("values", "crossing", "headed"),
        [
            ((5.0, 20.0), "harmed", "harmed"),
            ((10.0, 20.0), "from-cutoff", "harmed"),
            ((5.0, 10.0), "to-cutoff", "deteriorated"),  # it did not end on the clinical side
        ],
    )
    def test_a_score_on_the_cutoff_is_not_told_to_be_beside_it(
        self, values: tuple[float, float], crossing: str, headed: str, tag: str
    ) -> None:
        found, spoken = made(*values, **with_norms(clinical=(16, 4), functional=(4, 4))), language(tag)
        assert found.figures.deciding is not None
        assert found.figures.deciding.value == 10
        assert isinstance(found.from_baseline, Change)
        assert found.from_baseline.category == "harmed"
        assert spoken.say(f"crossing.{crossing}", cutoff="10") in summary(found, spoken)
        assert headline(found, spoken) == spoken.say(f"headline.{headed}")

    @pytest.mark.parametrize("tag", LANGUAGES)
    def test_a_baseline_that_is_not_the_start_is_not_called_so(self, tag: str) -> None:
        spoken = language(tag)
        for last, word in ((4.0, "better"), (12.0, "worse"), (10.0, "same")):
            found = by_response(20.0, 10.0, last, place=1)
            day = spoken.day(found.points[1]["answered_at"])
            moved = spoken.say(f"moved.{word}-since", points=spoken.points(abs(last - 10.0)), day=day)
            assert moved in summary(found, spoken)
        start = made(20.0, 12.0)
        assert spoken.say("moved.better", points=spoken.points(8.0)) in summary(start, spoken)
