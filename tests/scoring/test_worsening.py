"""Which scores could be worse than a baseline, by the figures that progress judges by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import instruments
import scoring
from scoring.progress import Measurement, progress
from scoring.progress_figures import figures
from scoring.reliable import Unavailable
from scoring.worsening import alike, could_be_worse, watched

WITH_VARIANTS = [
    (instrument, variant)
    for instrument in map(instruments.load, instruments.catalogue().versions)
    for variant in instrument.variant_ids
]
WORSE = {"deteriorated", "harmed"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def measured(day: int, value: float, version: int, variant: str) -> Measurement:
    at = NOON + timedelta(days=day)
    return Measurement(at, at, str(day), version, variant, value, "complete", True)


def test_the_scales_are_those_with_a_reliable_change_in_the_bad_direction() -> None:
    seen = 0
    for instrument, variant in WITH_VARIANTS:
        expected = {}
        for scale in instrument.scales:
            known = figures(instrument, scale.id, variant)
            if not isinstance(known.reliable_change, Unavailable):
                expected[scale.id] = known.reliable_change.threshold * (1 if scale.higher_is == "worse" else -1)
        assert {one.scale: pytest.approx(one.beyond, abs=1e-9) for one in watched(instrument, variant)} == expected
        assert watched(instrument, variant) is watched(instrument, variant), "worked out once"
        seen += len(expected)
    assert seen > 30


def test_what_is_worse_is_what_progress_calls_worse() -> None:
    """At and around each limit, on the grid of tenths that scores lie on."""
    worse = 0
    for instrument, variant in WITH_VARIANTS:
        for one in watched(instrument, variant):
            known = figures(instrument, one.scale, variant)
            low, high = known.minimum, known.maximum
            steps = [round(one.beyond * 10) / 10 + step / 10 for step in range(-3, 4)] + [
                round(one.beyond, 2),
                -one.beyond,
                0.0,
            ]
            baseline = low if one.beyond > 0 else high
            for step in steps:
                value = float(np.clip(baseline + step, low, high))
                given = [
                    measured(day, points, instrument.version, variant) for day, points in enumerate((baseline, value))
                ]
                point = progress(instrument, one.scale, given, variant=variant).points[1]
                assert one.worse(value, baseline) == (point["category"] in WORSE), (instrument.code, one, value)
                worse += one.worse(value, baseline)
    assert worse > 50


def test_only_a_score_beyond_the_limit_from_the_best_one_is_looked_up() -> None:
    fsfi = instruments.load("fsfi")
    assert could_be_worse(fsfi, scoring.score(fsfi, dict.fromkeys(map(str, range(1, 20)), 5))) == []
    worst = could_be_worse(fsfi, scoring.score(fsfi, dict.fromkeys(map(str, range(1, 20)), 1)))
    assert {one.scale for one, _ in worst} == {scale.id for scale in fsfi.scales}
    some = could_be_worse(fsfi, scoring.score(fsfi, {"1": 1, "2": 1}))
    assert [(one.scale, value) for one, value in some] == [("desire", 1.2)], (
        "a scale without a score has none to compare"
    )


def test_a_score_that_a_rule_holds_back_is_not_compared() -> None:
    fsfi = instruments.load("fsfi")
    result = scoring.score(fsfi, {str(item): 0 if 2 < item < 15 or item > 16 else 1 for item in range(1, 20)})
    assert not result.valid
    held = {scale for scale, score in result.scores.items() if not score.valid}
    assert held.isdisjoint(one.scale for one, _ in could_be_worse(fsfi, result))


def test_variants_that_only_read_scores_differently_are_alike() -> None:
    for instrument, variant in WITH_VARIANTS:
        found = alike(instrument, variant)
        assert found[0] == variant
        assert {*found[1:]} == {
            other for other in instrument.variant_ids if other != variant and instrument.scored_alike(variant, other)
        }
    assert any(len(alike(*pair)) > 1 for pair in WITH_VARIANTS)
