"""An invented instrument with everything that a form can show, and invented texts for any instrument."""

from __future__ import annotations

from typing import Any, Final

from instruments import Instrument
from instruments.wording import labelled, printed

LADDER: Final = """
code: own-ladder
version: 1
name: Ladder Calm Scale (invented)
measures: Calm on ladders.
concerns: [anxiety]
population: Nobody.
applicability: {partner: not-needed, activity: not-needed}
recall: 2 weeks
languages: [fr, en]
citation: {authors: Nobody N, year: 2020, journal: Invented 1, doi: 10.0000/invented.1}
licence: {status: commercial, holder: Ladder House, terms: a fee for each form, url: "https://ladder.invalid/fees"}
forms:
  - {id: indoors, organs: [eye]}
  - {id: outdoors, organs: [ear]}
variants:
  - {id: five, name: five answers, source: invented, evidence: read}
  - {id: strict, name: five answers and all of them, source: invented, evidence: read}
  - {id: seven, name: seven answers, source: invented, evidence: read}
items:
  - {id: "1", topic: calm, options: [0, 1, 2, 3, 4], variants: {seven: {options: [0, 1, 2, 3, 4, 5, 6]}}}
  - {id: "2", topic: view, topic_by_form: {indoors: ceiling, outdoors: sky}, options: [0, 1, 2, 3, 4]}
  - {id: "3", topic: wobble, options: [1, 2, 3, 4], two_step: {no: 1, yes: {0: 2, 1: 3, 2: 4}}}
  - id: "4"
    topic: rungs
    options: [4, 2, 0, 9]
    not_applicable: [{value: 9, meaning: not-relevant, scored: true}]
skips:
  - id: not-calm
    meaning: who is not calm is not asked for rungs
    when: {item: "1", at_most: 0}
    items: ["4"]
    answer: 0
    variants: [five, strict]
    source: invented
    evidence: read
scales:
  - id: total
    name: Total
    items: ["1", "2", "3", "4"]
    method: sum
    min: 1
    max: 21
    higher_is: better
    missing: {rule: all}
    variants: {seven: {max: 23}}
    source: invented
    evidence: read
"""


def make_pack(instrument: Instrument, *, variant: str | None = None, say: str = "A line about") -> dict[str, Any]:
    """A pack that fits, with texts that nobody has ever printed."""
    pack: dict[str, Any] = {"title": f"{say} nothing", "instructions": f"{say} how.\nThen go on.", "items": {}}
    for item in instrument.items_under(printed(instrument, variant)):
        wording: dict[str, Any] = {"text": f"{say} {item.id}"}
        if values := labelled(item):
            wording["options"] = {str(value): f"{say} choice {value}" for value in values}
        if item.two_step is not None:
            wording["gate"] = {"text": f"{say} whether", "options": {"0": "Nay", "1": "Aye"}}
            wording["rating"] = {
                "text": f"{say} how much",
                "options": {str(value): f"{say} rating {value}" for value in item.two_step.yes},
            }
        for form in item.topic_by_form or {}:
            of_form = pack.setdefault("forms", {}).setdefault(form, {"items": {}})
            of_form["items"][item.id] = wording | {"text": f"{say} {item.id}, {form}"}
        if not item.topic_by_form:
            pack["items"][item.id] = wording
    return pack


def make_questionnaire(instrument: Instrument, *, form: str | None = None, say: str = "A line about") -> dict[str, Any]:
    """The same texts as a FHIR Questionnaire, grouped, with a score that a renderer would work out."""
    questions: list[dict[str, Any]] = [
        {"linkId": "instructions", "type": "display", "text": f"{say} how.\nThen go on."},
    ]
    for item in instrument.items:
        text = f"{say} {item.id}" + (f", {form}" if form in (item.topic_by_form or {}) else "")
        if item.two_step is None:
            questions.append(_choice(item.id, text, [(value, f"{say} choice {value}") for value in item.options]))
            continue
        ratings = [(value, f"{say} rating {value}") for value in item.two_step.yes]
        steps = [
            _choice(f"{item.id}.gate", f"{say} whether", [(0, "Nay"), (1, "Aye")]),
            _choice(f"{item.id}.rating", f"{say} how much", ratings),
        ]
        questions.append({"linkId": item.id, "type": "group", "text": text, "item": steps})
    score = {"linkId": instrument.scales[0].id, "type": "decimal", "readOnly": True, "text": "worked out"}
    whole = {"linkId": "page", "type": "group", "item": questions}
    return {"resourceType": "Questionnaire", "status": "active", "title": f"{say} nothing", "item": [whole, score]}


def _choice(link: str, text: str, options: list[tuple[int, str]]) -> dict[str, Any]:
    codings = [{"valueCoding": {"code": str(value), "display": label}} for value, label in options]
    return {"linkId": link, "type": "choice", "text": text, "answerOption": codings}
