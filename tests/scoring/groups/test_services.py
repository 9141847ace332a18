"""National service figures: by hand on invented definitions, and the shipped data."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from instruments import load
from instruments.services import ServiceMeasure, parse, services
from scoring.cutoffs import is_clinical
from scoring.groups.rates import CATEGORIES, category_codes
from scoring.groups.services import by_definition, by_figures, service_figures
from scoring.progress_figures import figures
from scoring.reliable import PublishedChange, ReliableChange

INVENTED = """
- id: invented
  name: Invented service
  meaning: two measures
  course: {attended_at_least: 2}
  measures:
    - {id: ease, instrument: lamp-3, scale: total, variants: [default], higher_is: better, case: {below: 10},
       reliable_change: 3, source: invented, evidence: read}
    - {id: worry, instrument: fret-2, scale: total, variants: [default], higher_is: worse, case: {at_least: 5},
       reliable_change: 2, source: invented, evidence: read}
  counted:
    - {id: measured, meaning: all}
    - {id: cases, meaning: the cases, when: {case_at_start: any}}
  metrics:
    - {id: caseness, of: measured, meaning: a case, when: {case_at_start: any}}
    - {id: recovery, of: cases, meaning: a case no more, when: {case_at_end: none}}
    - {id: better, of: measured, meaning: better, when: {improved: any, deteriorated: none}}
    - {id: better-on-all, of: measured, meaning: better on all, when: {improved: all}}
  source: invented
  evidence: memory
"""
NAN = math.nan


def test_a_service_of_seven_by_hand() -> None:
    (service,) = parse(INVENTED).values()
    assert service.measures != "asked"
    ease, worry = service.measures
    #        recovered  on one only  no case  better/worse  short  no post  case at neither limit
    ease_ = by_definition(ease, [5, 5, 12, 5, 5, 5, 10], [11, 11, 12, 8, 11, NAN, 13])
    worry_ = by_definition(worry, [6, 6, 2, 6, 6, 6, 4], [4, 5, 2, 8, 4, 3, 2])
    found = service_figures(service, [ease_, worry_], [2, 3, 2, 2, 1, 9, 2])
    assert (found.started, found.short, found.not_measured) == (7, 1, 1)
    told = {one.measure: (one.count, one.n, one.denominator) for one in found.rates}
    assert told == {
        "caseness": (3, 5, "measured"),
        "recovery": (1, 3, "cases"),
        "better": (3, 5, "measured"),  # the fourth is better on one and worse on the other
        "better-on-all": (2, 5, "measured"),
    }
    document = found.document()
    assert document["evidence"] == "memory"
    assert document["rates"][0]["meaning"] == "a case"
    assert document["denominators"] == {"measured": "all", "cases": "the cases"}


def test_a_change_that_floats_make_a_little_smaller_is_reached() -> None:
    (service,) = parse(INVENTED).values()
    assert service.measures != "asked"
    found = by_definition(service.measures[0], [0.1, 0.1], [3.1, 3.0])
    assert found.improved.tolist() == [True, False]


@pytest.mark.parametrize("side", ["at_least", "at_most", "above", "below"])
def test_each_side_of_a_limit(side: str) -> None:
    measure = ServiceMeasure.model_validate(
        {
            "id": "a",
            "instrument": "a",
            "scale": "a",
            "variants": ["a"],
            "higher_is": "worse",
            "case": {side: 2},
            "reliable_change": 1,
            "source": "a",
            "evidence": "read",
        }
    )
    found = by_definition(measure, [1, 2, 3, NAN], [1, 2, 3, 4]).case_at_start.tolist()
    expected = {"at_least": [0, 1, 1, 0], "at_most": [1, 1, 0, 0], "above": [0, 0, 1, 0], "below": [1, 0, 0, 0]}
    assert found == [bool(one) for one in expected[side]]


def shipped(code: str) -> tuple[Any, Any, Any]:
    instrument = load(code)
    found = figures(instrument, "total", instrument.variant_ids[0])
    assert isinstance(found.reliable_change, ReliableChange | PublishedChange)
    assert found.deciding is not None
    return found.reliable_change, found.deciding, found.higher_is


def test_one_measure_goes_by_the_scales_own_figures() -> None:
    reliable, cutoff, higher_is = shipped("phq-9")
    pre, post = [20.0, 20.0, 3.0, 3.0, NAN], [3.0, 18.0, 20.0, 4.0, 4.0]
    measured = by_figures(reliable, cutoff.value, cutoff.on_cutoff, higher_is, pre, post)
    assert measured.both.tolist() == [True, True, True, True, False]
    assert measured.case_at_start.tolist() == is_clinical(pre, cutoff.value, higher_is=higher_is).tolist()
    found = service_figures(services()["single-measure"], [measured], [0] * 5)
    told = {one.measure: (one.count, one.n) for one in found.rates}
    assert told == {
        "caseness": (2, 4),
        "recovery": (1, 2),
        "reliable-improvement": (1, 4),
        "reliable-recovery": (1, 2),
        "reliable-deterioration": (1, 4),
    }
    assert (found.short, found.not_measured) == (0, 1)


def test_who_ends_on_a_computed_cutoff_is_recovered_by_the_figures_as_little_as_by_the_category() -> None:
    reliable, _, higher_is = shipped("phq-9")
    pre, post = np.array([20.0, 20.0, 20.0, 10.0]), np.array([10.0, 9.0, 11.0, 1.0])
    measured = by_figures(reliable, 10.0, "neither", higher_is, pre, post)
    found = service_figures(services()["single-measure"], [measured], [0] * 4)
    told = {one.measure: (one.count, one.n) for one in found.rates}
    where: Any = {"higher_is": higher_is, "critical": reliable.critical, "cutoff": 10.0}
    codes = category_codes(pre, post, reliable.index(pre, post), **where)
    assert [CATEGORIES[code] for code in codes] == ["improved", "recovered", "improved", "improved"]
    assert told["recovery"] == told["reliable-recovery"] == (1, 3)
    published = by_figures(reliable, 10.0, "clinical", higher_is, pre, post)
    assert published.case_at_end.tolist() == [True, False, True, False]


def test_every_person_of_the_english_definition_by_its_rules_in_words() -> None:
    """Every combination of cases and changes on two measures, against the rules written out for one person."""
    service = services()["england-talking-therapies"]
    assert service.measures != "asked"
    values = [(4, 12), (12, 4), (12, 12), (4, 4), (9, 15), (12, 7)]
    rows = np.array([(*a, *b) for a, b in product(values, values)], float)
    measured = [by_definition(m, rows[:, 2 * i], rows[:, 2 * i + 1]) for i, m in enumerate(service.measures)]
    found = service_figures(service, measured, [2] * len(rows))
    counts = dict.fromkeys(("caseness", "recovery", "reliable-improvement", "reliable-recovery"), 0)
    worse = 0
    for phq_pre, phq_post, gad_pre, gad_post in rows.tolist():
        case = phq_pre >= 10 or gad_pre >= 8
        recovered = case and phq_post < 10 and gad_post < 8
        up = phq_pre - phq_post >= 6 or gad_pre - gad_post >= 4
        down = phq_post - phq_pre >= 6 or gad_post - gad_pre >= 4
        counts["caseness"] += case
        counts["recovery"] += recovered
        counts["reliable-improvement"] += up and not down
        counts["reliable-recovery"] += recovered and up and not down
        worse += down and not up
    assert {one.measure: one.count for one in found.rates} == counts | {"reliable-deterioration": worse}
    assert found.service.evidence == "memory"


def test_as_many_measures_as_the_definition_has() -> None:
    (service,) = parse(INVENTED).values()
    assert service.measures != "asked"
    one = by_definition(service.measures[0], [1.0], [2.0])
    for measures, attended in (([one], [2]), ([one, one], [2, 2])):
        with pytest.raises(ValueError, match="needs 2 measures"):
            service_figures(service, measures, attended)


def test_nobody_has_no_rates() -> None:
    (service,) = parse(INVENTED).values()
    assert service.measures != "asked"
    found = service_figures(service, [by_definition(m, [], []) for m in service.measures], [])
    assert {one.rate for one in found.rates} == {None}
