"""Are bands and signal what they say? On invented clients whom no fit has seen, whose truth is known. All seeded."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats

from benchmarks.on_track import fitted, judge, later, study
from benchmarks.trajectories import WORLDS, Clients, Floats, as_modelled
from scoring.growth import GrowthModel
from scoring.growth.trajectory import Z_68, Z_80

CHANCE = 1e-4
"""How seldom a band that is right may be found outside the limits."""


@functools.cache
def reference() -> GrowthModel:
    return fitted(as_modelled(np.random.default_rng(1), 1_500)).model


def one_each(z: Floats, random: np.random.Generator) -> Floats:
    """One later score of each client, so that they are independent of each other."""
    order = np.where(np.isnan(z), -1.0, random.random(z.shape)).argmax(axis=1)
    found: Floats = z[np.arange(len(z)), order]
    return found[~np.isnan(found)]


def test_the_bands_hold_as_many_as_they_say_within_binomial_limits() -> None:
    random = np.random.default_rng(2)
    z = one_each(later(reference(), as_modelled(random, 3_000))[0], random)
    for half, share in ((Z_68, 0.68), (Z_80, 0.80)):
        inside = int((np.abs(z) < half).sum())
        low, high = stats.binom.interval(1 - CHANCE, len(z), share)
        assert low <= inside <= high, (inside / len(z), share)
    for half, share in ((Z_68, 0.16), (Z_80, 0.10)):
        below = int((z < -half).sum())
        low, high = stats.binom.interval(1 - CHANCE, len(z), share)
        assert low <= below <= high, (below / len(z), share)


def test_the_study_reckons_as_the_model_does() -> None:
    model = reference()
    clients: Clients = as_modelled(np.random.default_rng(3), 5)
    z, sd = later(model, clients)
    for row, scores in enumerate(clients.scores):
        course = model.person([0], scores[:1]).predict(np.arange(1.0, len(scores)))
        assert sd == pytest.approx(course.observed_sd)
        assert z[row] == pytest.approx((np.clip(course.mean, 0, 60) - scores[1:]) / course.observed_sd, nan_ok=True)


def test_who_gets_worse_is_found_and_who_does_well_seldom_flagged() -> None:
    found = judge(reference(), as_modelled(np.random.default_rng(4), 1_500))
    assert found.flagged_scores == pytest.approx(0.10, abs=0.02)
    assert found.flagged_worse > 0.85
    assert found.flagged_well < 0.25
    assert found.flagged_well_twice < 0.06 < found.flagged_worse_twice


@pytest.mark.long
@pytest.mark.parametrize("world", WORLDS)
def test_a_world_that_is_not_as_modelled_does_not_turn_the_signal_round(world: str) -> None:
    """Bands may then be off, by no more than the docs say, and those who get worse are flagged far more often."""
    of = study(world, fits=3, new=1_000)
    assert np.mean([one.within_80 for one in of]) == pytest.approx(0.80, abs=0.05)
    worse, well = (np.mean([getattr(one, name) for one in of]) for name in ("flagged_worse", "flagged_well"))
    assert worse > well + 0.2
