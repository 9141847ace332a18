"""What is expected of a client: bands, signal, and when nothing can be said. Lower is better unless a test says so."""

from __future__ import annotations

from datetime import timedelta
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments import Instrument
from scoring.growth import MIN_PERSONS, GrowthModel, Reference, described, expected, weeks_between
from scoring.growth.stratum import severities, severity
from scoring.growth.trajectory import Z_68, Z_80
from scoring.progress import Baseline, Measurement, progress
from scoring.reliable import Unavailable
from tests.scoring.test_progress import FSFI, PHQ_9, START, changed, invented, measured

NO_SPREAD = ((0.0, 0.0), (0.0, 0.0))
PLAIN = GrowthModel(20.0, -1.0, NO_SPREAD, NO_SPREAD, 4.0)
"""Everybody is expected at 20 points less one a week, whatever the first score; the SD is 2."""


def reference(model: GrowthModel = PLAIN, **changes: Any) -> Reference:
    made: dict[str, Any] = {
        "id": "r-1", "number": 3, "instrument": "phq-9", "version": 1, "variant": "default", "scale": "total",
        "model": model, "persons": 240, "observations": 1700, "horizon": 12.0, "origin": "episodes",
        "source": "invented", "evidence": "derived", "stratum": {"format": "couple"},
    }  # fmt: skip
    return Reference(**(made | changes))


def weekly(*values: float | None, instrument: Instrument | None = None) -> Any:
    """The progress of somebody who answered each week."""
    known = instrument or invented()
    variant = known.variant_ids[0]
    return progress(known, "total", [measured(v, day=7 * n, variant=variant) for n, v in enumerate(values)])


def test_the_shares_of_the_bands_are_those_of_the_normal_distribution() -> None:
    normal = NormalDist()
    assert normal.cdf(Z_68) - normal.cdf(-Z_68) == pytest.approx(0.68)
    assert normal.cdf(Z_80) - normal.cdf(-Z_80) == pytest.approx(0.80)


def test_each_later_score_is_held_against_what_the_first_predicts() -> None:
    """Expected 19 and 18 with an SD of 2: 21 is one SD above, which is worse; 17 is half an SD below."""
    found = expected(weekly(20, 21, 17), reference())
    first, second = found["points"]
    assert (first["weeks"], first["predicted"], first["z"]) == pytest.approx((1.0, 19.0, -1.0))
    assert (second["weeks"], second["predicted"], second["z"]) == pytest.approx((2.0, 18.0, 0.5))
    assert (first["low_68"], first["high_68"]) == pytest.approx((19 - 2 * Z_68, 19 + 2 * Z_68))
    assert (first["low_80"], first["high_80"]) == pytest.approx((19 - 2 * Z_80, 19 + 2 * Z_80))
    assert first["answered_at"] == START + timedelta(days=7)
    assert first["response_id"] == "id-0007.00"
    assert [first["status"], second["status"]] == ["watch", "on-track"]
    assert (found["status"], found["since"]) == ("on-track", None)
    assert found["reference"] == {
        "id": "r-1", "version": 3, "n": 240, "observations": 1700, "horizon_weeks": 12.0, "origin": "episodes",
        "stratum": {"format": "couple", "modality": None, "severity": None}, "source": "invented",
        "evidence": "derived", "singular": False,
    }  # fmt: skip
    assert found["rule"]["evidence"] == "memory"
    assert found["available"] is True


@pytest.mark.parametrize(
    ("score", "status"),
    [(19.0, "on-track"), (20.98, "on-track"), (20.99, "watch"), (21.56, "watch"), (21.57, "not-on-track"),
     (10.0, "on-track")],
)  # fmt: skip
def test_the_signal_is_on_the_bad_side_alone(score: float, status: str) -> None:
    """19 + 2 x 0.9945 = 20.989 and 19 + 2 x 1.2816 = 21.563; far below is better than expected, and no signal."""
    assert expected(weekly(20, score), reference())["status"] == status


def test_where_higher_is_better_the_bad_side_is_below() -> None:
    rising = GrowthModel(20.0, 1.0, NO_SPREAD, NO_SPREAD, 4.0)
    known = reference(rising, instrument="fsfi")
    series = [measured(20.0, variant="strict"), measured(18.4, day=7, variant="strict")]
    found = expected(progress(FSFI, "total", series), known)
    assert found["points"][0]["z"] == pytest.approx(-1.3)
    assert found["status"] == "not-on-track"
    assert expected(progress(FSFI, "total", [series[0], measured(23.0, day=7)]), known)["status"] == "on-track"


def test_a_benefit_that_is_reliable_is_no_reason_for_a_signal() -> None:
    """The threshold is 1.96 x 2 points: 16 is reliably better than 20, though far above the 8 that are expected."""
    steep = GrowthModel(20.0, -12.0, NO_SPREAD, NO_SPREAD, 4.0)
    found = expected(weekly(20, 16), reference(steep))
    assert found["points"][0]["z"] < -Z_80
    assert found["status"] == "on-track"
    assert expected(weekly(20, 17), reference(steep))["status"] == "not-on-track"


def test_without_parameters_no_benefit_is_known_to_be_reliable_and_the_signal_stands() -> None:
    bare = invented(progress=[])
    steep = GrowthModel(20.0, -12.0, NO_SPREAD, NO_SPREAD, 4.0)
    assert expected(weekly(20, 12, instrument=bare), reference(steep))["status"] == "not-on-track"


def test_since_is_the_first_of_the_scores_that_were_as_far_off() -> None:
    on, amber, red = 19.0, 21.2, 23.0  # each is expected a point lower than the week before

    def since(*offs: float) -> Any:
        found = expected(weekly(20, *(value - n for n, value in enumerate(offs))), reference())
        return None if found["since"] is None else weeks_between(START, found["since"])

    assert since(on, red, red) == 2
    assert since(amber, red) == 2
    assert since(red, amber) == 1
    assert since(red, on, amber) == 3
    assert since(red, red, red) == 1
    assert since(red, on) is None


def test_beyond_the_last_week_of_the_reference_nothing_is_expected() -> None:
    found = expected(weekly(20, 23, 23, 23), reference(horizon=2.0))
    assert [point["status"] for point in found["points"]] == ["not-on-track", "not-on-track", None]
    assert found["points"][2]["predicted"] is None
    assert found["points"][2]["z"] is None
    assert (found["status"], found["since"]) == (None, None)
    assert found["curve"][-1]["weeks"] == 2


def test_a_gap_beyond_the_horizon_does_not_lengthen_a_signal() -> None:
    """Times are put in order; only the newest lies beyond, so the run before it is not told as going on."""
    found = expected(weekly(20, 23, 23), reference(horizon=1.0))
    assert (found["status"], found["since"]) == (None, None)


def test_nobody_is_expected_beyond_the_ends_of_the_scale() -> None:
    """At week 30 the line is at -10: what is expected is the best score that there is, and reaching it is on track."""
    series = [measured(20, variant="default"), measured(0, day=210, variant="default")]
    known = invented()
    found = expected(progress(known, "total", [m._replace(variant=known.variant_ids[0]) for m in series]),
                     reference(horizon=40.0))  # fmt: skip
    point = found["points"][0]
    assert (point["predicted"], point["low_80"], point["z"]) == (0.0, 0.0, 0.0)
    assert point["high_80"] == pytest.approx(2 * Z_80)
    assert found["status"] == "on-track"
    assert all(0 <= row[name] <= 27 for row in found["curve"] for name in ("predicted", "low_80", "high_80"))


def test_the_curve_begins_with_the_first_score_and_goes_some_way_beyond_the_last() -> None:
    curve = expected(weekly(20, 19, 18, 17), reference())["curve"]
    assert [row["weeks"] for row in curve] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [row["predicted"] for row in curve] == pytest.approx([20, 19, 18, 17, 16, 15, 14, 13])


@pytest.mark.parametrize(
    ("day", "horizon", "number", "last"),
    [
        (7, 0.5, 1, 0),
        (7, 1.0, 2, 1),
        (7, 1.9, 2, 1),
        (140, 300.0, 15, 28),
        (3650, 300.0, 24, 299),
        (3650, 1500.0, 13, 624),
    ],
)
def test_the_curve_has_few_points_however_long_the_course(day: float, horizon: float, number: int, last: float) -> None:
    known = invented()
    series = [measured(20, variant=known.variant_ids[0]), measured(19, day=day, variant=known.variant_ids[0])]
    curve = expected(progress(known, "total", series), reference(horizon=horizon))["curve"]
    assert (len(curve), curve[-1]["weeks"]) == (number, last)


@pytest.mark.parametrize(
    ("series", "known", "code"),
    [
        (weekly(20, 19), Unavailable("no-reference", "There is none."), "no-reference"),
        (weekly(20), reference(), "one-measurement"),
        (weekly(), reference(), "no-measurement"),
        (weekly(None, None), reference(), "no-measurement"),
        (weekly(20, 19), reference(persons=MIN_PERSONS - 1), "reference-too-small"),
        (weekly(20, 19), reference(scale="other"), "reference-of-another-scale"),
        (weekly(20, 19), reference(instrument="gad-7"), "reference-of-another-scale"),
    ],
)
def test_where_nothing_can_be_said_it_is_said_why(series: Any, known: Reference | Unavailable, code: str) -> None:
    found = expected(series, known)
    assert (found["available"], found["code"]) == (False, code)
    assert found["detail"]
    assert described(series, known) == {"expected": found}


def test_a_scale_without_a_direction_has_no_bad_side() -> None:
    scales = [scale | {"higher_is": "neither"} for scale in PHQ_9.model_dump(by_alias=True)["scales"]]
    neither = changed(PHQ_9, scales=scales, progress=[], cutoffs=[], norms=[], reliabilities=[], changes=[], bands=[])
    assert expected(weekly(20, 19, instrument=neither), reference())["code"] == "no-direction"


def test_scores_of_the_first_moment_are_not_later_ones() -> None:
    known = invented()
    twice = [measured(20, variant=known.variant_ids[0]), measured(24, variant=known.variant_ids[0], response_id="id-b")]
    assert expected(progress(known, "total", twice), reference())["code"] == "one-measurement"


@pytest.mark.parametrize(
    ("episodes", "chosen", "code"),
    [
        ((None, None, None, None), 0, None),
        ((None, None, None, None), 1, "baseline-within-course"),  # no episodes: one course
        (("a", "a", "a", "a"), 2, "baseline-within-course"),
        (("a", "a", "b", "b"), 2, None),  # the first of another course
        ((None, None, "a", "a"), 1, None),  # the last before an episode
        ((None, "a", "a", "a"), 1, None),
    ],
)
def test_nothing_is_expected_from_a_baseline_in_the_midst_of_a_course(
    episodes: tuple[str | None, ...], chosen: int, code: str | None
) -> None:
    """From the third score of a course on, what follows is not what follows a first one."""
    phq = invented()
    given = [
        measured(20.0 - n, day=7 * n, variant=phq.variant_ids[0])._replace(episode_id=episode)
        for n, episode in enumerate(episodes)
    ]
    found = expected(
        progress(phq, "total", given, baseline=Baseline(response_id=given[chosen].response_id)), reference()
    )
    assert found.get("code") == code
    assert found["available"] is (code is None)


def test_what_is_not_used_is_not_judged() -> None:
    known = invented()
    variant = known.variant_ids[0]
    series: list[Measurement] = [
        measured(20, variant=variant),
        measured(None, day=7, variant=variant),
        measured(27, day=14, variant=variant, valid=False),
        measured(18, day=21, variant=variant),
    ]
    found = expected(progress(known, "total", series), reference())
    assert [point["weeks"] for point in found["points"]] == [3.0]


@given(st.floats(0, 27), st.floats(0, 27), st.floats(0.1, 12))
def test_a_better_score_never_makes_the_signal_worse(one: float, other: float, week: float) -> None:
    model = GrowthModel(15.0, -0.5, ((0.1, 0.0), (0.0, 0.01)), ((20.0, -0.5), (-0.5, 0.3)), 6.0, "log-weeks")
    known, order = invented(), ["on-track", "watch", "not-on-track"]
    variant = known.variant_ids[0]

    def rank(score: float) -> int:
        series = [measured(18, variant=variant), measured(score, day=7 * week, variant=variant)]
        return order.index(expected(progress(known, "total", series), reference(model))["status"])

    better, worse = sorted((one, other))
    assert rank(better) <= rank(worse)


def test_severity_is_by_the_bands_of_the_definition() -> None:
    variant = PHQ_9.variant_ids[0]
    labels = severities(PHQ_9, variant, "total")
    assert severity(PHQ_9, variant, "total", 0) == labels[0]
    assert severity(PHQ_9, variant, "total", 27) == labels[-1]
    assert severity(PHQ_9, variant, "total", 30) is None
    assert severities(PHQ_9, variant, "nothing") == ()
    with pytest.raises(KeyError):
        severity(PHQ_9, variant, "nothing", 3)
