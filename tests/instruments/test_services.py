"""The definitions of national service figures: what they name exists, and what does not hang together is refused."""

from __future__ import annotations

import pytest

from instruments import load
from instruments.services import parse, services

GOOD = """
- id: a
  name: a
  meaning: a
  measures: [{id: m, instrument: i, scale: s, variants: [v], higher_is: worse,
    case: {at_least: 1}, reliable_change: 1, source: a, evidence: read}]
  counted: [{id: c, meaning: a}]
  metrics: [{id: r, of: c, meaning: a, when: {improved: any}}]
  source: a
  evidence: memory
"""


def test_every_measure_names_what_there_is() -> None:
    for service in services().values():
        for measure in () if service.measures == "asked" else service.measures:
            instrument = load(measure.instrument)
            assert instrument.scale(measure.scale).higher_is == measure.higher_is
            assert set(measure.variants) <= set(instrument.variant_ids)
            assert service.measure_of(measure.instrument, measure.scale)


def test_amounts_agree_with_the_definitions_of_the_instruments() -> None:
    """Where a definition of an instrument gives the same published amount, both say the same."""
    named = "nhs-talking-therapies"
    measures = services()["england-talking-therapies"].measures
    assert measures != "asked"
    for measure in measures:
        (amount,) = (c for c in load(measure.instrument).changes if c.variants and named in c.variants)
        assert float(amount.value) == measure.reliable_change


def test_one_set_of_figures_goes_by_whatever_is_asked() -> None:
    assert services()["single-measure"].measure_of("lamp-3", "total")
    assert not services()["england-talking-therapies"].measure_of("lamp-3", "total")


def test_conditions_that_are_given_are_told() -> None:
    (service,) = parse(GOOD).values()
    assert service.metrics[0].when.given == {"improved": "any"}
    assert service.counted[0].when.given == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("of: c", "of: d", "nobody is counted as 'd'"),
        ("counted: [{id: c, meaning: a}]", "counted: [{id: c, meaning: a}, {id: c, meaning: b}]", "occurs twice"),
        ("  source: a", "  source: a\n  source: b", "occurs twice"),
        ("at_least: 1", "one_of: [1, 2]", "beyond one limit"),
        ("reliable_change: 1", "reliable_change: 0", "greater than 0"),
        ("improved: any", "improved: most", "'any', 'all' or 'none'"),
        ("improved: any", "recovered: any", "Extra inputs"),
    ],
)
def test_what_does_not_hang_together_is_refused(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=message):
        parse(GOOD.replace(old, new))


def test_a_definition_that_occurs_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a definition occurs twice"):
        parse(GOOD + GOOD)
