"""The texts of a FHIR R4 Questionnaire, as a wording pack. Weights, rules and extensions are not looked at.

Taken are ``title``; the text of a display item whose linkId is ``instructions``; of every question ``text`` and the
labels of ``answerOption``, whose code is the option's value. A question's linkId is the item's id; a two-step item is
``<id>.gate`` and ``<id>.rating``, and what both have in common the text of a group or display item ``<id>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from instruments.items import GATE, RATING, Item
from instruments.schema import Instrument
from instruments.wording import Path_, Source, WordingError, WordingFault

INSTRUCTIONS = "instructions"
_QUESTIONS = frozenset(("choice", "open-choice", "coding"))
_Linked = dict[str, tuple[Mapping[str, Any], Path_]]


def read_questionnaire(instrument: Instrument, value: Any) -> Source:
    """The pack that a Questionnaire holds, to be given to :func:`instruments.wording.read`.

    Its faults, and the places of all that was read, are paths in the Questionnaire.

    Raises
    ------
    WordingError
        It is no Questionnaire.
    """
    return _Reader(instrument).read([(None, (), value)])


def read_questionnaires(instrument: Instrument, values: Any) -> Source:
    """The pack that several Questionnaires hold, one for each form of the instrument, by the form's id.

    Raises
    ------
    WordingError
        One of them is none.
    """
    if not isinstance(values, dict):
        raise WordingError([WordingFault((), "dict-type", "is an object: a form's id to its Questionnaire")])
    return _Reader(instrument).read([(form, (form,), value) for form, value in values.items()])


class _Reader:
    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.faults: list[WordingFault] = []
        self.places: dict[Path_, Path_] = {(): ()}

    def read(self, given: list[tuple[str | None, Path_, Any]]) -> Source:
        none = [
            WordingFault(place, "not-a-questionnaire", "is a FHIR R4 Questionnaire")
            for _, place, value in given
            if not isinstance(value, dict) or value.get("resourceType") != "Questionnaire"
        ]
        if none:
            raise WordingError(none)
        pack: dict[str, Any] = {}
        for form, place, value in given:
            if form is None:
                self._questionnaire(pack, (), value, place)
            else:
                into = pack.setdefault("forms", {}).setdefault(form, {})
                self._questionnaire(into, ("forms", form), value, place)
        return Source(pack, self.places, tuple(self.faults))

    def _questionnaire(self, into: dict[str, Any], path: Path_, value: Mapping[str, Any], place: Path_) -> None:
        self.places[path] = place
        self.places[(*path, "items")] = (*place, "item")
        self._copy(into, "title", path, value.get("title"), (*place, "title"))
        linked: _Linked = {}
        for link, found, where in self._linked(value.get("item"), (*place, "item")):
            if link in linked:
                self.faults.append(WordingFault((*where, "linkId"), "duplicate-link", "each linkId occurs once"))
            linked.setdefault(link, (found, where))
        into["items"] = {}
        for item in self.instrument.items:
            self._item(into["items"], (*path, "items", item.id), item, linked)
        if INSTRUCTIONS in linked:
            found, where = linked.pop(INSTRUCTIONS)
            self._copy(into, INSTRUCTIONS, path, found.get("text"), (*where, "text"))
        for found, where in linked.values():  # what is left: groups, scores that a renderer works out, or too much
            if found.get("type") in _QUESTIONS:
                detail = "is the id of an item of the definition"
                self.faults.append(WordingFault((*where, "linkId"), "unknown-item", detail))

    def _linked(self, items: Any, place: Path_) -> Iterator[tuple[str, Mapping[str, Any], Path_]]:
        """Every item at any depth, by its linkId. The depth is bounded where the text was read."""
        for at, item in enumerate(items if isinstance(items, list) else ()):
            where = (*place, at)
            if isinstance(item, dict) and isinstance(item.get("linkId"), str):
                yield item["linkId"], item, where
                yield from self._linked(item.get("item"), (*where, "item"))
            else:
                self.faults.append(WordingFault(where, "missing", "is an object with a linkId"))

    def _item(self, into: dict[str, Any], path: Path_, item: Item, linked: _Linked) -> None:
        found = {name: linked.pop(name) for name in item.names if name in linked}
        if not found:
            return
        # the first that is there has the text: the item itself, else its first step
        first, where = next(iter(found.values()))
        wording = into[item.id] = {}
        self.places[path] = where
        self._copy(wording, "text", path, first.get("text"), (*where, "text"))
        if item.id in found:
            self._options(wording, path, first, where)
        for step in (GATE, RATING):
            if (name := f"{item.id}.{step}") in found:
                question, where = found[name]
                own = wording[step] = {"options": {}}
                self.places[(*path, step)] = where
                self._copy(own, "text", (*path, step), question.get("text"), (*where, "text"))
                self._options(own, (*path, step), question, where)

    def _options(self, into: dict[str, Any], path: Path_, question: Mapping[str, Any], place: Path_) -> None:
        given = question.get("answerOption")
        self.places[(*path, "options")] = (*place, "answerOption")
        for at, option in enumerate(given if isinstance(given, list) else ()):
            where: Path_ = (*place, "answerOption", at)
            value, label = _value_and_label(option)
            options = into.setdefault("options", {})
            if value is None:
                detail = "has a valueCoding whose code is the option's value, or a valueInteger"
                self.faults.append(WordingFault(where, "option-without-value", detail))
            elif value in options:
                self.faults.append(WordingFault(where, "duplicate-option", "each value occurs once"))
            else:
                self._copy(options, value, (*path, "options"), label, where)

    def _copy(self, into: dict[str, Any], name: str, path: Path_, value: Any, place: Path_) -> None:
        if value is not None:
            into[name] = value
            self.places[(*path, name)] = place


def _value_and_label(option: Any) -> tuple[str | None, Any]:
    """An option's value as a decimal number, and its label: a number alone is its own label, as renderers show it."""
    if not isinstance(option, dict):
        return None, None
    coding, number = option.get("valueCoding"), option.get("valueInteger")
    if isinstance(coding, dict) and isinstance(coding.get("code"), str):
        return coding["code"], coding.get("display")
    if isinstance(number, int) and not isinstance(number, bool):
        return str(number), str(number)
    return None, None
