"""Every published expression, evaluated by fhirpath.js, equals our score."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

import instruments
from tests.fhir.cases import ALL, Answers, differences, expected, forms, key_of, response
from tests.fhir.node import evaluate

Evaluated = dict[str, list[dict[str, Any]]]
REACHED_LESS_OFTEN = 0.0


@pytest.fixture(scope="session")
def evaluated(run_folder: Path, node_packages: Path) -> Evaluated:
    """What fhirpath.js gives for every instrument and variant: one process for all workers of a run."""
    kept = run_folder / "fhirpath.json"
    with (run_folder / "fhirpath.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(evaluate(node_packages, [job(*each) for each in ALL])))
    found: Evaluated = json.loads(kept.read_text())
    return found


def job(code: str, version: int, variant: str) -> dict[str, Any]:
    instrument = instruments.load(code, version)
    questionnaire = instruments.to_fhir(instrument, variant=variant)
    answers = forms(instrument, variant)
    return {
        "key": key_of(code, version, variant),
        "questionnaire": questionnaire,
        "responses": [response(questionnaire, each) for each in answers],
    }


@pytest.mark.parametrize(("code", "version", "variant"), ALL, ids=lambda part: str(part))
def test_fhirpath_gives_our_scores(evaluated: Evaluated, code: str, version: int, variant: str) -> None:
    instrument = instruments.load(code, version)
    theirs = evaluated[key_of(code, version, variant)]
    answers: list[Answers] = forms(instrument, variant)
    ours = [expected(instrument, variant, each) for each in answers]
    assert len(theirs) == len(ours)
    wrong = [
        (number, answers[number], found)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True))
        if (found := differences(one, other))
    ]
    assert not wrong, wrong[:3]
    # the comparison is about something: every scale has a value in some of the forms, and lacks it in others
    for scale in instrument.scales:
        assert 0 < sum(scale.id in one for one in ours) < len(ours), scale.id
