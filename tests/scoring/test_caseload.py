"""Categories of many people at once are those of progress, and so is who is not on track."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import instruments
from scoring.caseload import BEST_FIRST, category_ranks, off_track, rank_of
from scoring.growth.model import GrowthModel
from scoring.growth.reference import Reference
from scoring.growth.trajectory import expected
from scoring.progress import Measurement, Progress, progress
from scoring.progress_figures import figures
from scoring.reliable import Unavailable

START = datetime(2026, 1, 5, tzinfo=UTC)
CODES = ("fsfi", "phq-9", "gad-7", "k10", "ecr-12")
MODEL = GrowthModel(
    intercept=15.0,
    slope=-0.4,
    fixed_covariance=((0.1, 0.0), (0.0, 0.001)),
    random_covariance=((16.0, -0.2), (-0.2, 0.05)),
    residual_variance=6.0,
)


def measured(code: str, scale: str, variant: str, first: float, last: float | None, weeks: float = 4) -> Progress:
    given = [Measurement(START, START, "a", 1, variant, first, "complete", valid=True)]
    if last is not None:
        later = START + timedelta(weeks=weeks)
        given.append(Measurement(later, later, "b", 1, variant, last, "complete", valid=True))
    return progress(instruments.load(code), scale, given, variant=variant)


def test_the_scale_that_stands_for_an_instrument() -> None:
    assert instruments.load("fsfi").overall_scale == "total"
    without = next(
        one
        for one in map(instruments.load, instruments.catalogue().versions)
        if "total" not in {scale.id for scale in one.scales}
    )
    assert without.overall_scale == without.scales[0].id


def test_ranks() -> None:
    assert [rank_of(category.value) for category in BEST_FIRST] == [1, 2, 3, 4, 5]
    assert rank_of(None) == 0


@pytest.mark.parametrize("code", CODES)
def test_categories_are_those_of_progress(code: str) -> None:
    instrument = instruments.load(code)
    chance = np.random.default_rng(1)
    for scale in instrument.scales:
        for variant in instrument.variant_ids:
            known = figures(instrument, scale.id, variant)
            pairs = chance.uniform(known.minimum, known.maximum, (25, 2)).round(1)
            first, last = pairs[:, 0].copy(), pairs[:, 1].copy()
            last[0] = np.nan  # one measurement
            first[1] = last[1]
            found = category_ranks(known, first, last).tolist()
            for before, after, rank in zip(first.tolist(), last.tolist(), found, strict=True):
                one = measured(code, scale.id, variant, before, None if np.isnan(after) else after)
                change = one.from_baseline
                assert rank == (0 if isinstance(change, Unavailable) else rank_of(change.category))


@pytest.mark.parametrize(("code", "direction"), [("phq-9", "worse"), ("fsfi", "better")])
def test_who_is_not_on_track(code: str, direction: str) -> None:
    instrument = instruments.load(code)
    variant = instrument.variant_ids[0]
    known = figures(instrument, "total", variant)
    assert known.higher_is == direction
    reference = Reference("r", 1, code, 1, variant, "total", MODEL, 200, 900, 20.0, "parameters", "invented", "memory")
    chance = np.random.default_rng(2)
    first, last = chance.uniform(known.minimum, known.maximum, (2, 200)).round(0)
    weeks = chance.uniform(0, 24, 200)
    last[0], weeks[1] = np.nan, 0.0
    ranks = category_ranks(known, first, last)
    found = off_track(known, reference, first, last, weeks, ranks).tolist()
    for before, after, at, off in zip(first.tolist(), last.tolist(), weeks.tolist(), found, strict=True):
        if np.isnan(after) or at == 0:
            assert not off
        else:
            told = expected(measured(code, "total", variant, before, after, at), reference)
            assert off == (told["status"] == "not-on-track")
    assert {*found} == {True, False}


def test_without_a_direction_nobody_is_off_track() -> None:
    instrument = next(
        one
        for one in map(instruments.load, instruments.catalogue().versions)
        if any(scale.higher_is == "neither" for scale in one.scales)
    )
    scale = next(scale.id for scale in instrument.scales if scale.higher_is == "neither")
    known = figures(instrument, scale, instrument.variant_ids[0])
    reference = Reference(
        "r",
        1,
        instrument.code,
        1,
        instrument.variant_ids[0],
        scale,
        MODEL,
        200,
        900,
        20.0,
        "data",
        "invented",
        "memory",
    )
    one = np.array([2.0])
    assert category_ranks(known, one, one).tolist() == [0]
    assert off_track(known, reference, one, one, one, [0]).tolist() == [False]
