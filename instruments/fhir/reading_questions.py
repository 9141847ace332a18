"""The questions of a Questionnaire as items of a definition."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeGuard

from instruments.fhir import names
from instruments.fhir.notes import Notes, QuestionnaireError, QuestionnaireFault
from instruments.items import GATE, RATING

Json = Mapping[str, Any]
DEEPEST = 20
MOST_LINKS = 2_000
MOST_SCORES = 150
"""A definition has at most 100 scales; trying a rule takes a while, so no end of them is tried."""
_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,19}")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,4}")
_CHOICES = frozenset(("choice", "open-choice", "coding", "integer", "string"))


@dataclass(frozen=True, slots=True)
class Linked:
    """An item of a Questionnaire, with the pointer to it."""

    link: str
    found: Json
    pointer: str


@dataclass(slots=True)
class Questions:
    """The items of the definition; ``ids`` are theirs by linkId."""

    items: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    scored: list[Linked] = field(default_factory=list)


def extensions(element: Any, *urls: str) -> list[Json]:
    """The extensions of an element that have one of some URLs."""
    found = element.get("extension") if isinstance(element, dict) else None
    return [each for each in found if isinstance(each, dict) and each.get("url") in urls] if _is_list(found) else []


def expression_of(extension: Json) -> tuple[str | None, str] | None:
    """Name and text of an extension that holds a FHIRPath expression."""
    value = extension.get("valueExpression")
    if not isinstance(value, dict) or value.get("language") != names.FHIRPATH:
        return None
    text, name = value.get("expression"), value.get("name")
    return (name if isinstance(name, str) else None, text) if isinstance(text, str) else None


def linked(questionnaire: Json) -> list[Linked]:
    """Every item at any depth, in the order of the form.

    Raises
    ------
    QuestionnaireError
        It is no Questionnaire, or its items have no linkIds of their own or are nested too deeply.
    """
    if not isinstance(questionnaire, dict) or questionnaire.get("resourceType") != "Questionnaire":
        raise QuestionnaireError([QuestionnaireFault("/resourceType", "is a FHIR R4 Questionnaire")])
    found: list[Linked] = []
    faults: list[QuestionnaireFault] = []
    seen: set[str] = set()
    for each in _walk(questionnaire.get("item"), "/item", 1, faults):
        if each.link in seen:
            faults.append(QuestionnaireFault(f"{each.pointer}/linkId", "each linkId occurs once"))
        seen.add(each.link)
        found.append(each)
        if len(found) > MOST_LINKS:
            raise QuestionnaireError([QuestionnaireFault("/item", f"has at most {MOST_LINKS} items")])
    if faults:
        raise QuestionnaireError(faults)
    return found


def _walk(items: Any, pointer: str, depth: int, faults: list[QuestionnaireFault]) -> Iterator[Linked]:
    if depth > DEEPEST:
        faults.append(QuestionnaireFault(pointer, f"items are nested at most {DEEPEST} deep"))
        return
    for at, item in enumerate(items if _is_list(items) else ()):
        where = f"{pointer}/{at}"
        if not isinstance(item, dict) or not isinstance(item.get("linkId"), str) or not item["linkId"]:
            faults.append(QuestionnaireFault(where, "is an object with a linkId"))
            continue
        yield Linked(item["linkId"], item, where)
        yield from _walk(item.get("item"), f"{where}/item", depth + 1, faults)


def read_questions(found: list[Linked], notes: Notes) -> Questions:
    """Questions as items, and what is calculated apart from them."""
    questions = Questions()
    by_link = {each.link: each for each in found}
    stems = {each.link.removesuffix(f".{GATE}") for each in found if _is_gate(each, by_link)}
    for each in found:
        stem, _, step = each.link.rpartition(".")
        if extensions(each.found, names.CALCULATED):
            if len(questions.scored) < MOST_SCORES:
                questions.scored.append(each)
            else:
                notes.add("dropped", each.pointer, f"only the first {MOST_SCORES} calculated items are read")
        elif stem in stems and step == GATE:
            _add(questions, stem, each, _two_steps(each, by_link[f"{stem}.{RATING}"]), notes)
        elif stem in stems and step == RATING:
            continue
        elif (kind := str(each.found.get("type"))) in ("group", "display"):
            if each.found.get("text") and each.link not in stems:
                notes.add("dropped", f"{each.pointer}/text", "text belongs in a wording pack")
        elif each.found.get("repeats"):
            notes.add("dropped", each.pointer, "a question with several answers is no item of a definition")
        elif kind not in _CHOICES or not _is_list(each.found.get("answerOption")):
            notes.add("dropped", each.pointer, "only questions with a list of answer options become items")
        else:
            index = len(questions.items)
            options = _options(each, f"/items/{index}", notes)
            if options is not None:
                _add(questions, each.link, each, options, notes)
    return questions


def _add(questions: Questions, link: str, each: Linked, options: dict[str, Any], notes: Notes) -> None:
    index, item_id = len(questions.items), link
    if not _ITEM_ID.fullmatch(link) or link in questions.ids.values():
        item_id = str(index + 1)
        while item_id in questions.ids.values():
            item_id += "x"
        notes.add("assumed", f"/items/{index}/id", f"the linkId {link[:80]!r} cannot be an item's id")
    topic = next((e.get("valueString") for e in extensions(each.found, names.SHORT_TEXT)), None)
    if not isinstance(topic, str) or not 1 <= len(topic) <= 80:
        topic = f"item {item_id}"
        notes.add("assumed", f"/items/{index}/topic", "a question's text is wording; say in own words what it is about")
        notes.add("dropped", f"{each.pointer}/text", "text belongs in a wording pack")
    questions.ids[link] = item_id
    questions.items.append({"id": item_id, "topic": topic, **options})


def _is_gate(each: Linked, by_link: Mapping[str, Linked]) -> bool:
    """Whether a question is the yes or no of a two-step item, as we write it."""
    stem, _, step = each.link.rpartition(".")
    rating = by_link.get(f"{stem}.{RATING}")
    if step != GATE or rating is None:
        return False
    follows = [{"question": each.link, "operator": "=", "answerCoding": {"code": names.YES}}]
    first, second = _weighted(each), _weighted(rating)
    return (
        rating.found.get("enableWhen") == follows
        and [code for code, _ in first] == [names.NO, names.YES]
        and first[0][1] is not None
        and first[1][1] is None
        and bool(second)
        and all(code is not None and _WHOLE.fullmatch(code) and weight is not None for code, weight in second)
    )


def _two_steps(gate: Linked, rating: Linked) -> dict[str, Any]:
    """A yes/no question and its rating as one item. The options are numbered by what they score, where that can be."""
    scores = [weight for _, weight in (_weighted(gate)[0], *_weighted(rating)) if weight is not None]
    whole = all(score == score.to_integral_value() for score in scores) and len(set(scores)) == len(scores)
    values = [int(score) for score in scores] if whole else list(range(len(scores)))
    ratings = [int(code) for code, _ in _weighted(rating) if code is not None]
    found: dict[str, Any] = {"options": values}
    if not whole:
        found["scored"] = {str(value): str(score) for value, score in zip(values, scores, strict=True)}
    steps = {str(code): value for code, value in zip(ratings, values[1:], strict=True)}
    return found | {"two_step": {"no": values[0], "yes": steps}}


def _weighted(each: Linked) -> list[tuple[str | None, Decimal | None]]:
    """Code and weight of each answer option."""
    options = each.found.get("answerOption")
    return [(_code(option), _weight(option)) for option in options] if _is_list(options) else []


def _options(each: Linked, pointer: str, notes: Notes) -> dict[str, Any] | None:
    given = _weighted(each)
    if len(given) < 2 or any(code is None for code, _ in given):
        notes.add("dropped", each.pointer, "has fewer than two answer options, or one without a code")
        return None
    codes, weights = [code or "" for code, _ in given], [weight for _, weight in given]
    if all(_WHOLE.fullmatch(code) for code in codes):
        values = [int(code) for code in codes]
    elif all(weight is not None and weight == weight.to_integral_value() for weight in weights):
        values = [int(weight) for weight in weights if weight is not None]
    else:
        values = list(range(len(codes)))
    if len(set(values)) != len(values):
        values = list(range(len(codes)))
    if [str(value) for value in values] != codes:
        became = ", ".join(f"{code[:20]} {value}" for code, value in zip(codes, values, strict=True))
        notes.add("assumed", f"{pointer}/options", f"options are whole numbers; here they became: {became}"[:400])
    found: dict[str, Any] = {"options": values}
    if all(weight is None for weight in weights):
        notes.add("assumed", f"{pointer}/options", "no option has a weight; each scores its value")
        return found
    scored = {value: weight for value, weight in zip(values, weights, strict=True) if weight is not None}
    apart = [value for value in values if value not in scored]
    turned = min(scored) + max(scored)
    if all(score == value for value, score in scored.items()):
        pass
    elif all(score == turned - value for value, score in scored.items()):
        found["reverse"] = True
    else:
        found["scored"] = {str(value): str(score) for value, score in scored.items()}
    if apart:
        found["not_applicable"] = [{"value": value, "scored": False} for value in apart]
        for index in range(len(apart)):
            detail = "an option without a weight does not apply; what it says has no place in an answer option"
            notes.add("missing", f"{pointer}/not_applicable/{index}/meaning", detail)
    return found


def _code(option: Any) -> str | None:
    if not isinstance(option, dict):
        return None
    coding, number, text = option.get("valueCoding"), option.get("valueInteger"), option.get("valueString")
    if isinstance(coding, dict) and isinstance(coding.get("code"), str):
        code: str = coding["code"]
        return code
    if isinstance(number, int) and not isinstance(number, bool):
        return str(number)
    return text if isinstance(text, str) else None


def _weight(option: Any) -> Decimal | None:
    for element in (option, option.get("valueCoding") if isinstance(option, dict) else None):
        for extension in extensions(element, names.ITEM_WEIGHT, names.ORDINAL_VALUE):
            value = extension.get("valueDecimal")
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value):
                weight = Decimal(str(value))
                return weight if abs(weight) <= 10_000 else None
    return None


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
