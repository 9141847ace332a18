"""Scored answers as a matrix: what the items of a complete form add up to is the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments import Instrument, catalogue, load
from instruments.loader import read_definition
from scoring import score
from scoring.cutoffs import NotComputable
from scoring.groups.items import scored_items
from scoring.plan import plan_of

LAMP = Path(__file__).parents[2] / "definitions_good" / "lamp-3@1.yaml"


def filled(instrument: Instrument, variant: str, seed: int) -> dict[str, Any]:
    """An answer to each item, none of which is left out."""
    draw = np.random.default_rng(seed)
    return {
        item.id: int(draw.choice([value for value, worth in item.worth.items() if worth is not None]))
        for item in plan_of(instrument, variant).items
    }


def assert_adds_up(instrument: Instrument) -> int:
    compared = 0
    for variant in instrument.variant_ids:
        plan = plan_of(instrument, variant)
        forms = [filled(instrument, variant, seed) for seed in range(3)]
        scored = [score(instrument, form, variant=variant).scores for form in forms]
        for scale in plan.scales:
            if scale.goals is not None or not scale.of_items or scale.clamp is not None:
                continue
            rows = scored_items(instrument, scale.id, variant, forms)
            assert rows.shape == (3, len(scale.parts))
            for row, found in zip(rows, scored, strict=True):
                if found[scale.id].status == "complete":
                    assert row.sum() + scale.offset / scale.denominator == pytest.approx(found[scale.id].value)
                    compared += 1
    return compared


def test_items_of_every_shipped_scale_add_up_to_its_score() -> None:
    assert sum(assert_adds_up(load(code)) for code in catalogue().codes) > 500


def test_counted_and_turned_items_too() -> None:
    instrument = read_definition(LAMP.read_text())
    assert any(scale.counted for scale in plan_of(instrument).scales)
    assert assert_adds_up(instrument) > 3


def test_items_that_are_not_counted_for_want_of_an_answer_are_gaps() -> None:
    instrument = read_definition(LAMP.read_text())
    (counting,) = (scale for scale in plan_of(instrument).scales if scale.counted)
    rows = scored_items(instrument, counting.id, instrument.variant_ids[0], [{}])
    assert np.isnan(rows).all()


def test_a_scale_of_scales_is_made_of_the_items_below() -> None:
    instrument = load("fsfi")
    rows = scored_items(instrument, "total", instrument.variant_ids[0], [{"1": 5, "2": 4}])
    assert rows.shape == (1, 19)
    assert np.nansum(rows) == 9


def test_forms_that_do_not_fit_are_gaps_and_no_forms_are_no_rows() -> None:
    instrument = load("phq-9")
    variant = instrument.variant_ids[0]
    rows = scored_items(instrument, "total", variant, [{"1": 9}, {"1": 2}])
    assert np.isnan(rows[0]).all()
    assert rows[1, 0] == 2
    assert scored_items(instrument, "total", variant, []).shape == (0, 9)


def test_goals_are_nobody_elses_items() -> None:
    instrument = load("gas")
    goals = next(scale for scale in plan_of(instrument).scales if scale.goals is not None)
    with pytest.raises(NotComputable) as refused:
        scored_items(instrument, goals.id, instrument.variant_ids[0], [])
    assert refused.value.reason == "not-of-items"
