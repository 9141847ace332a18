"""LHC-Forms renders the forms in Chromium, clicks fill them in, and its live scores equal ours."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

import instruments
from instruments.conditions import CountCondition, ItemCondition, ScaleCondition, leaves
from instruments.fhir.names import ENABLE_WHEN
from tests.fhir.cases import ALL, Answers, answered, differences, expected, families, representatives
from tests.fhir.node import fill_in
from tests.fhir.wordings import placeholder

HANDFUL = representatives()


def stages(key: str) -> list[Answers]:
    """A form filled in by half, then whole, then changed, with what does not apply and what is passed over."""
    instrument, variant = ALL[key]
    chance = random.Random(f"clicks {key}")
    items = instrument.items_under(variant)
    whole: Answers = {}
    other: Answers = {}
    for item in items:
        whole |= answered(item, chance, missing=0, outside=0)
        if item.not_applicable or chance.random() < 0.3:
            other |= answered(item, chance, missing=0, outside=0.7)
    half = dict(list(whole.items())[::2])
    asked = {name for skip in instrument.skips for leaf in leaves(skip.when) for name in _names(leaf)}
    passing = {item.id: min(item.substantive) for item in items if item.id in asked and item.two_step is None}
    return [half, whole, other] + ([passing] if passing else [])


def _names(leaf: ItemCondition | ScaleCondition | CountCondition) -> tuple[str, ...]:
    if isinstance(leaf, ScaleCondition):
        return ()
    return leaf.count if isinstance(leaf, CountCondition) else (leaf.item,)


def proven(browser: str, keys: Iterable[str]) -> None:
    jobs = []
    for key in keys:
        instrument, variant = ALL[key]
        form = instruments.to_fhir(instrument, variant=variant, wording=placeholder(instrument, variant))
        jobs.append({"key": key, "questionnaire": form, "stages": stages(key)})
    found = fill_in(browser, jobs)
    for job in jobs:
        for number, (stage, result) in enumerate(zip(job["stages"], found[job["key"]], strict=True)):
            compare(job, stage, result, f"{job['key']}, stage {number + 1}")


def compare(job: dict[str, Any], stage: Answers, result: dict[str, Any], where: str) -> None:
    """The form's own response, after the clicks of one stage, with our scores of the answers in it."""
    instrument, variant = ALL[job["key"]]
    items = {item["linkId"]: item for item in job["questionnaire"]["item"]}
    answers, theirs = _read(items, result["response"])
    assert set(result["clicked"]) | set(result["hidden"]) == stage.keys(), where
    for name in result["hidden"]:  # what was not there to be clicked is passed over, or follows a yes
        extensions = [extension["url"] for extension in items[name]["extension"]]
        assert "enableWhen" in items[name] or ENABLE_WHEN in extensions, where
    for name in result["clicked"]:  # a click that a later one of the stage has hidden again is gone
        assert answers.get(name, stage[name]) == stage[name], where
    assert len(answers) > len(result["clicked"]) / 2, where
    assert differences(expected(instrument, variant, answers), theirs) == [], where
    for name, value in theirs.items():
        if not isinstance(value, bool):
            assert float(result["shown"][name]) == value, where


def _read(items: dict[str, Any], response: dict[str, Any]) -> tuple[Answers, dict[str, float | bool]]:
    """The answers and the scores of a response that the form made."""
    answers: Answers = {}
    scores: dict[str, float | bool] = {}
    for item in response.get("item", ()):
        (answer,) = item["answer"]
        if items[item["linkId"]]["type"] == "choice":
            answers[item["linkId"]] = int(answer["valueCoding"]["code"])
        else:
            scores[item["linkId"]] = answer.get("valueDecimal", answer.get("valueBoolean"))
    return answers, scores


def test_the_handful_shows_every_kind_of_rule() -> None:
    every = set().union(*(families(*each) for each in ALL.values()))
    assert set().union(*(families(*ALL[key]) for key in HANDFUL)) == every
    assert len(HANDFUL) < len(ALL) / 3


def test_a_handful_of_forms(browser: str) -> None:
    proven(browser, HANDFUL)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_form(browser: str) -> None:
    proven(browser, ALL)
