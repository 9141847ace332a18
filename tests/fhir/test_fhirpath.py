"""Every published expression, evaluated by fhirpath.js, equals our score."""

from __future__ import annotations

import fcntl
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import instruments
from instruments.fhir.questionnaire import linked_as
from tests.fhir.cases import ALL, EACH, MANY, differences, expected, forms, response
from tests.fhir.node import evaluate

Evaluated = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def evaluated(run_folder: Path, node: None) -> Callable[[int], Evaluated]:
    """What fhirpath.js gives for so many forms of each instrument and variant: one process for all workers of a run."""

    @functools.cache
    def found(count: int) -> Evaluated:
        kept = run_folder / f"fhirpath-{count}.json"
        with (run_folder / "fhirpath.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_text(json.dumps(evaluate([job(key, count) for key in ALL])))
        told: Evaluated = json.loads(kept.read_text())
        return told

    return found


def job(key: str, count: int) -> dict[str, Any]:
    instrument, variant = ALL[key]
    questionnaire = instruments.to_fhir(instrument, variant=variant)
    responses = [response(questionnaire, each) for each in forms(instrument, variant, count)]
    return {"key": key, "questionnaire": questionnaire, "responses": responses}


@pytest.mark.parametrize("count", [EACH, pytest.param(MANY, marks=pytest.mark.long)])
@pytest.mark.parametrize("key", ALL)
def test_fhirpath_gives_our_scores(evaluated: Callable[[int], Evaluated], key: str, count: int) -> None:
    instrument, variant = ALL[key]
    answers, theirs = forms(instrument, variant, count), evaluated(count)[key]
    ours = [expected(instrument, variant, each) for each in answers]
    wrong = [
        (number, answers[number], found)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True))
        if (found := differences(one, other))
    ]
    assert not wrong, wrong[:3]
    # the comparison is about something: every scale has a value in some of the forms, and lacks it in others
    for scale in instrument.scales:
        assert 0 < sum(scale.id in one for one in ours) < len(ours), scale.id
    for rule in instrument.caseness:
        if rule.holds_under(variant):
            assert any(linked_as(instrument, rule) in one for one in ours), rule.id
