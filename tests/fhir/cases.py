"""Answers to every instrument as FHIR responses, what we score them, and whether another engine gives the same.

Engines compute in decimals of limited length, or in binary: a value is the same where it differs by no more than one
part in 10^9. Where we give no value, theirs has to be absent.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import instruments
import scoring
from instruments.fhir.questionnaire import linked_as
from instruments.items import GATE, RATING
from instruments.loader import read_file
from instruments.schema import Instrument, Item

Answers = dict[str, int]
EACH = 21
"""Forms of each: every way of leaving gaps with every other way of answering, once."""
MANY = 120
INVENTED = (Path(__file__).parents[1] / "definitions_good", Path(__file__).parent / "definitions")


def _known() -> Iterator[tuple[str, tuple[Instrument, str]]]:
    shipped = instruments.catalogue()
    every = [shipped.get(code, version) for code, versions in shipped.versions.items() for version in versions]
    # invented ones show what no published one does
    every += [read_file(path) for folder in INVENTED for path in sorted(folder.glob("*.yaml"))]
    for instrument in every:
        for variant in instrument.variant_ids:
            yield f"{instrument.code}@{instrument.version}/{variant}", (instrument, variant)


ALL: dict[str, tuple[Instrument, str]] = dict(_known())
"""Every form there is: shipped instruments and invented ones, under each of their variants."""


def answered(item: Item, chance: random.Random, *, missing: float, outside: float) -> Answers:
    """One item: unanswered, answered with an option that does not apply, or with any other."""
    if chance.random() < missing:
        # a yes without its rating is unanswered as well
        return {f"{item.id}.{GATE}": 1} if item.two_step is not None and chance.random() < 0.5 else {}
    if item.two_step is not None:
        if chance.random() < 0.3:
            return {f"{item.id}.{GATE}": 0}
        return {f"{item.id}.{GATE}": 1, f"{item.id}.{RATING}": chance.choice(list(item.two_step.yes))}
    apart = [option.value for option in item.not_applicable]
    return {item.id: chance.choice(apart if apart and chance.random() < outside else list(item.substantive))}


def forms(instrument: Instrument, variant: str, count: int = EACH) -> list[Answers]:
    """Forms to score: complete, with gaps, with what does not apply, with what is passed over, and an empty one."""
    chance = random.Random(f"{instrument.code}@{instrument.version}/{variant}")
    items = instrument.items_under(variant)
    found: list[Answers] = [{}]
    for number in range(count - 1):
        missing = (0.0, 0.0, 0.05, 1.5 / len(items), 0.5)[number % 5]
        outside = (0.0, 0.1, 0.5, 1.0)[number % 4]
        form: Answers = {}
        for item in items:
            form |= answered(item, chance, missing=missing, outside=outside)
        if number % 2:
            _pass_over(instrument, variant, form, chance)
        found.append(form)
    return found


def _pass_over(instrument: Instrument, variant: str, form: Answers, chance: random.Random) -> None:
    """Answer the first questions with their lowest option, and leave out what a skip would fill in, or a part of it."""
    if not instrument.skips:
        return
    items = instrument.items_under(variant)
    passed = {name for skip in instrument.skips if skip.holds_under(variant) for name in skip.items}
    for item in items:
        if item.id not in passed:
            if item.two_step is None and chance.random() < 0.6:
                form[item.id] = min(item.substantive)
        elif chance.random() < 0.8:
            for name in item.names:
                form.pop(name, None)


def response(questionnaire: Mapping[str, Any], answers: Answers) -> dict[str, Any]:
    """The answers as a QuestionnaireResponse, in the order of the form."""
    items = [
        {"linkId": item["linkId"], "answer": [{"valueCoding": {"code": str(answers[item["linkId"]])}}]}
        for item in questionnaire["item"]
        if item["linkId"] in answers
    ]
    whole = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{questionnaire['url']}|{questionnaire['version']}",
        "status": "completed",
    }
    return whole | ({"item": items} if items else {})


def expected(instrument: Instrument, variant: str, answers: Answers) -> dict[str, float | bool]:
    """linkId to our value of each score and caseness rule; those without one are absent."""
    result = scoring.score(instrument, answers, variant=variant)
    found: dict[str, float | bool] = {
        name: score.value for name, score in result.scores.items() if score.value is not None
    }
    for rule in instrument.caseness:
        met = result.caseness.get(rule.id)
        if met is not None:
            found[linked_as(instrument, rule)] = met
    return found


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Each value that differs."""
    return [
        f"{name}: ours {ours.get(name)}, theirs {theirs.get(name)}"
        for name in sorted(ours.keys() | theirs.keys())
        if not _same(ours.get(name), theirs.get(name))
    ]


def _same(one: float | bool | None, other: float | bool | None) -> bool:
    if one is None or other is None or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def families(instrument: Instrument, variant: str) -> set[str]:
    """The kinds of rules that an instrument shows."""
    found: set[str] = set()
    for scale in instrument.scales:
        rule = scale.rule_for(variant)
        found |= {rule.method, f"missing {rule.missing.rule}", "scales" if rule.scales else "items"}
        found |= {name for name in ("weights", "rescale", "clamp") if getattr(rule, name)}
        found |= {name for name, usual in (("factor", 1), ("offset", 0)) if getattr(rule, name) != usual}
        found |= {"required"} if rule.missing.required else set()
    for item in instrument.items_under(variant):
        found |= {name for name in ("reverse", "scored", "two_step") if getattr(item, name)}
        found |= {f"not applicable, scored {option.scored}" for option in item.not_applicable}
    found |= {"skip" for skip in instrument.skips if skip.holds_under(variant)}
    found |= {"caseness" for rule in instrument.caseness if rule.holds_under(variant)}
    return found


def representatives() -> list[str]:
    """Few forms that show every kind of rule together: always the one that adds most for the questions it asks."""
    shows = {key: families(*each) for key, each in ALL.items()}
    left = set().union(*shows.values())
    found: list[str] = []
    while left:
        best = max(shows, key=lambda key: len(shows[key] & left) / (3 + len(ALL[key][0].items)))
        found.append(best)
        left -= shows[best]
    return found
