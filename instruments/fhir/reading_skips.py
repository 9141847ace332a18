"""Skips read back: the condition from a variable, the questions from what shows them, the answer from the scores."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from instruments.fhir import names
from instruments.fhir.answers import skip_variable
from instruments.fhir.grammar import LONGEST, NUMBER, arguments, combined, fraction, ids_of, strings
from instruments.fhir.notes import Notes
from instruments.fhir.reading_conditions import Conditions
from instruments.fhir.reading_questions import Linked, Questions, expression_of, extensions
from instruments.fhir.trial import Trial

Json = dict[str, Any]
Filled = dict[str, dict[str, Fraction]]
_NAMES = re.compile(r"%(skip\d+)")
_ENABLED = re.compile(r"\(%skip\d+(?: or %skip\d+)*\)\.not\(\)")


def read_skips(
    questionnaire: Mapping[str, Any],
    asked: list[Linked],
    questions: Questions,
    conditions: Conditions,
    trial: Trial,
    notes: Notes,
) -> list[Json]:
    """The skips of a Questionnaire; what shows or hides a question otherwise is noted."""
    found: list[Json] = []
    filled = _filled(questions)
    shown = {each.link: _skips_that_show(each) for each in asked}
    for at, extension in enumerate(extensions(questionnaire, names.VARIABLE)):
        read = expression_of(extension)
        skip = None if read is None else _skip(read, len(found), asked, questions, conditions, trial, filled, shown)
        if skip is None or not trial.keeps_skip(skip[0], skip[1]):
            notes.add("dropped", f"/extension/{at}", "a variable that is no skip as it is written here")
            continue
        index = len(found)
        found.append(skip[0])
        notes.add("missing", f"/skips/{index}/meaning", "in a sentence, what is passed over and when")
        notes.add("assumed", f"/skips/{index}/evidence", "a Questionnaire is no publication: to be checked")
        if skip[2]:
            notes.add("assumed", f"/skips/{index}/answer", "other options score the same; the first was taken")
    for each in asked:
        name = (ids_of([each.link], questions.ids) or [""])[0]
        has = {key: each.found[key] for key in ("enableWhen", "enableBehavior") if key in each.found}
        texts = [expression_of(extension) for extension in extensions(each.found, names.ENABLE_WHEN)]
        wanted = dict(trial.enabling(name))
        expected = [expression_of(extension) for extension in wanted.pop("extension", [])]
        step = each.link != name and each.link.endswith(".rating")
        if not step and (has != wanted or texts != expected):
            notes.add("dropped", each.pointer, "what shows or hides this question is no skip of a definition")
    return found


def _skip(
    read: tuple[str | None, str],
    index: int,
    asked: list[Linked],
    questions: Questions,
    conditions: Conditions,
    trial: Trial,
    filled: Filled,
    shown: Mapping[str, set[str] | str],
) -> tuple[Json, str, bool] | None:
    name, text = read
    inside = arguments(text, "iif") if len(text) <= LONGEST else None
    if name != skip_variable(index) or inside is None or inside[1:] != ["true", "false"]:
        return None
    when = conditions.read(inside[0])
    if when is None:
        return None
    passed = dict.fromkeys(filled.get(name, {}))
    for each in asked:
        by = shown[each.link]
        if (by == when.get("item") and "item" in when) or (isinstance(by, set) and name in by):
            passed |= dict.fromkeys(ids_of([each.link], questions.ids) or [])
    items = [item["id"] for item in questions.items if item["id"] in passed]
    scores = filled.get(name, {})
    fits = [
        value
        for value in (questions_options(questions, items) if items else [])
        if all(trial.score(item, value) == score for item, score in scores.items())
    ]
    if not fits:
        return None
    skip = {"id": f"skip-{index + 1}", "when": when, "items": items, "answer": fits[0]}
    skip |= {"source": "the FHIR Questionnaire that it was read from", "evidence": "memory"}
    return skip, inside[0], len(fits) > 1


def questions_options(questions: Questions, items: list[str]) -> list[int]:
    """The options that some items have in common."""
    sets = [set(item["options"]) for item in questions.items if item["id"] in items]
    return sorted(set.intersection(*sets))


def _skips_that_show(each: Linked) -> set[str] | str:
    """The skips named by the expression that shows a question, or the question that its plain conditions look at."""
    for extension in extensions(each.found, names.ENABLE_WHEN):
        read = expression_of(extension)
        if read is not None and _ENABLED.fullmatch(read[1]):
            return set(_NAMES.findall(read[1]))
    plain = each.found.get("enableWhen")
    if isinstance(plain, list) and plain and isinstance(plain[0], dict) and plain[0].get("operator") == "exists":
        return str(plain[0].get("question"))
    return set()


def _filled(questions: Questions) -> Filled:
    """Skip to item to what it scores, from what the values of scores are combined with."""
    found: Filled = defaultdict(dict)
    for each in questions.scored:
        for extension in extensions(each.found, names.VARIABLE):
            read = expression_of(extension)
            if read is None or ".weight()" not in read[1] or len(read[1]) > LONGEST:
                continue
            for part in combined(read[1])[1:]:
                _chain(part, questions, found)
    return found


def _chain(part: str, questions: Questions, found: Filled) -> None:
    inside = arguments(part, "iif")
    links = strings(inside[0])[:1] if inside is not None and len(inside) == 3 else []
    items = ids_of(links, questions.ids) or []
    while inside is not None and len(inside) == 3 and items:
        name = _NAMES.fullmatch(inside[0])
        if name is not None and re.fullmatch(NUMBER, inside[1]):
            found[name[1]][items[0]] = fraction(inside[1])
        inside = arguments(inside[1] if name is None else inside[2], "iif")
