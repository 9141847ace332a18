"""An instrument as a FHIR R4 Questionnaire of Structured Data Capture, which a renderer scores by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from instruments.conditions import CountCondition, ItemCondition, ScaleCondition, leaves
from instruments.fhir import names
from instruments.fhir.answers import accepted, skip_variable
from instruments.fhir.expressions import Expression, Writer
from instruments.items import GATE, RATING, Item, TwoStep
from instruments.rules import Caseness, Scale, Skip
from instruments.schema import Instrument
from instruments.wording import ItemWording, Pack, StepWording

Json = dict[str, Any]
MOST_FILLINGS = 20_000
"""How often expressions may say what a skip fills in; each score says it of each of its items anew."""


class Unwritable(ValueError):
    """A definition whose expressions would become too long to be of use."""


def to_fhir(
    instrument: Instrument, *, variant: str | None = None, wording: Pack | None = None, form: str | None = None
) -> Json:
    """The Questionnaire of an instrument.

    Items stand in order with a weight on each option that scores; scores are read-only decimals and caseness rules
    read-only booleans after them, each with a calculated expression that is empty where we give no value.

    Parameters
    ----------
    instrument : Instrument
    variant : str, optional
        The way to score, and to print; the definition's default otherwise.
    wording : Pack, optional
        A checked wording pack. Without one the texts are our own topics, and options show their values.
    form : str, optional
        Which of the forms, by anatomy, the texts are taken from.

    Raises
    ------
    KeyError
        The instrument has no such variant or form.
    Unwritable
        It has very many skips over very many items.
    """
    chosen = instrument.variant_ids[0] if variant is None else variant
    if chosen not in instrument.variant_ids:
        raise KeyError(chosen)
    if form is not None and form not in {known.id for known in instrument.forms}:
        raise KeyError(form)
    return _Builder(instrument, chosen, wording, form).questionnaire()


def linked_as(instrument: Instrument, rule: Caseness) -> str:
    """The linkId of a caseness rule: its id, and ``case.<id>`` where a question has that already."""
    taken = {name for item in instrument.items for name in item.names}
    return f"case.{rule.id}" if rule.id in taken else rule.id


def enabled_by(writer: Writer, item_id: str) -> Json:
    """What shows a question unless a skip passes over it: plain conditions where those can say it."""
    skips = writer.answers.skips_of(item_id)
    if not skips:
        return {}
    conditions = _unless(writer, skips[0][1]) if len(skips) == 1 else None
    if conditions is not None:
        return {"enableWhen": conditions, "enableBehavior": "any"}
    holds = " or ".join(f"%{skip_variable(place)}" for place, _ in skips)
    return {"extension": [names.expression(names.ENABLE_WHEN, f"({holds}).not()")]}


def _unless(writer: Writer, skip: Skip) -> list[Json] | None:
    """The conditions under which a skip does not hold: its question is unanswered, or answered otherwise."""
    if not isinstance(skip.when, ItemCondition):
        return None
    asked = writer.answers.items[skip.when.item]
    if asked.two_step is not None or writer.answers.skips_of(asked.id):
        return None
    passing = accepted(skip.when, asked)
    others = [_equals(asked.id, str(value)) for value in asked.options if value not in passing]
    return [{"question": asked.id, "operator": "exists", "answerBoolean": False}, *others]


class _Builder:
    def __init__(self, instrument: Instrument, variant: str, wording: Pack | None, form: str | None) -> None:
        self.instrument, self.variant, self.wording, self.form = instrument, variant, wording, form
        self.writer = Writer(instrument, variant)
        self.loinc = instrument.loinc

    def questionnaire(self) -> Json:
        self._bounded()
        instrument, chosen = self.instrument, next((v for v in self.instrument.variants if v.id == self.variant), None)
        title = self.wording.of_whole("title", self.form) if self.wording is not None else None
        name = instrument.code.upper().replace("-", "_")
        found: Json = {
            "resourceType": "Questionnaire",
            "url": names.canonical(instrument.code, chosen.id if chosen is not None else None),
            "version": str(instrument.version),
            "name": name if name[0].isalpha() else f"Q_{name}",
            "title": title or (f"{instrument.name}: {chosen.name}" if chosen is not None else instrument.name),
            "status": "active",
            "subjectType": ["Patient"],
            "description": instrument.measures,
            "useContext": [_concern(concern) for concern in instrument.concerns],
            "copyright": (
                f"Licence: {instrument.licence.status}. Holder: {instrument.licence.holder}. "
                f"Terms: {instrument.licence.terms}"
            ),
        }
        if self.loinc is not None and self.loinc.panel is not None:
            found["code"] = [{"system": names.LOINC, "code": self.loinc.panel}]
        variables = [
            names.expression(names.VARIABLE, self._holds(place, skip), skip_variable(place))
            for place, skip in self.writer.answers.skips
        ]
        if variables:
            found["extension"] = variables
        found["item"] = self._items()
        return found

    def _bounded(self) -> None:
        skips = {name: len(self.writer.answers.skips_of(name)) for name in self.writer.answers.items}
        if not any(skips.values()):
            return
        looked_at = [name for rule in self.writer.rules.values() if rule.scales is None for name in rule.parts]
        conditions = [rule.when for rule in self.instrument.caseness] + [rule.when for rule in self.instrument.skips]
        for leaf in (leaf for condition in conditions for leaf in leaves(condition)):
            if not isinstance(leaf, ScaleCondition):
                looked_at += leaf.count if isinstance(leaf, CountCondition) else [leaf.item]
        if sum(skips[name] for name in looked_at) > MOST_FILLINGS:
            raise Unwritable(f"{self.instrument.code} has too many skips to be written as expressions")

    def _items(self) -> list[Json]:
        found: list[Json] = []
        instructions = self.wording.of_whole(names.INSTRUCTIONS, self.form) if self.wording is not None else None
        if instructions is not None:
            found.append({"linkId": names.INSTRUCTIONS, "text": instructions, "type": "display"})
        for item in self.instrument.items_under(self.variant):
            found += [self._question(item)] if item.two_step is None else self._two_steps(item, item.two_step)
        found += [self._score(scale) for scale in self.instrument.scales]
        held = (rule for rule in self.instrument.caseness if rule.holds_under(self.variant))
        return found + [self._case(rule) for rule in held]

    def _topic(self, item: Item) -> str:
        return item.topic_by_form[self.form] if self.form is not None and item.topic_by_form else item.topic

    def _words(self, item: Item) -> ItemWording | None:
        return None if self.wording is None else self.wording.of_item(item.id, self.form)

    def _question(self, item: Item) -> Json:
        words = self._words(item)
        labels = {} if words is None or words.options is None else words.options
        options = [_option(value, labels, item.score_of.get(value)) for value in item.options]
        return self._choice(item, item.id, words.text if words is not None else self._topic(item), options)

    def _two_steps(self, item: Item, steps: TwoStep) -> list[Json]:
        """A yes/no question, and the rating that follows a yes. What either stands for is its weight."""
        words = self._words(item)
        gate, rating = (words.gate, words.rating) if words is not None else (None, None)
        topic, score_of = self._topic(item), item.score_of
        first = [
            _option(int(names.NO), _labels(gate, {names.NO: "no"}), score_of[steps.no]),
            _option(int(names.YES), _labels(gate, {names.YES: "yes"}), None),
        ]
        second = [_option(value, _labels(rating, {}), score_of[worth]) for value, worth in steps.yes.items()]
        found = [{"linkId": item.id, "text": words.text, "type": "display"}] if words is not None else []
        asked = self._choice(item, f"{item.id}.{GATE}", gate.text if gate is not None else f"{topic}: present", first)
        rated = self._choice(
            item, f"{item.id}.{RATING}", rating.text if rating is not None else f"{topic}: rating", second, plain=True
        )
        rated["enableWhen"] = [_equals(f"{item.id}.{GATE}", names.YES)]
        return [*found, asked, rated]

    def _choice(self, item: Item, link: str, text: str, options: list[Json], *, plain: bool = False) -> Json:
        found: Json = {"linkId": link, "text": text, "type": "choice", "answerOption": options}
        found["extension"] = [
            {"url": names.SHORT_TEXT, "valueString": self._topic(item)},
            {
                "url": names.CONTROL,
                "valueCodeableConcept": {"coding": [{"system": names.CONTROLS, "code": "radio-button"}]},
            },
        ]
        if self.loinc is not None and item.id in self.loinc.items:
            found["code"] = [{"system": names.LOINC, "code": self.loinc.items[item.id]}]
        if not plain:
            shown = enabled_by(self.writer, item.id)
            found["extension"] += shown.pop("extension", [])
            found |= shown
        return found

    def _holds(self, place: int, skip: Skip) -> str:
        return f"iif({Writer(self.instrument, self.variant, place).condition(skip.when)}, true, false)"

    def _score(self, scale: Scale) -> Json:
        codes = [{"system": f"{names.SCORES}:{self.instrument.code}", "code": scale.id, "display": scale.name}]
        if self.loinc is not None and scale.id in self.loinc.scales:
            codes.insert(0, {"system": names.LOINC, "code": self.loinc.scales[scale.id]})
        extensions = [names.score_unit(), {"url": names.EXTRACT, "valueBoolean": True}]
        return _calculated(scale.id, scale.name, "decimal", self.writer.scale(scale.id), extensions) | {"code": codes}

    def _case(self, rule: Caseness) -> Json:
        written = Expression(self.writer.condition(rule.when))
        return _calculated(linked_as(self.instrument, rule), rule.meaning, "boolean", written, [])


def _concern(concern: str) -> Json:
    coding = {"system": names.CONCERNS, "code": concern}
    return {
        "code": {"system": names.CONTEXT_TYPES, "code": "focus"},
        "valueCodeableConcept": {"coding": [coding]},
    }


def _calculated(link: str, text: str, kind: str, written: Expression, extensions: list[Json]) -> Json:
    return {
        "linkId": link,
        "text": text,
        "type": kind,
        "readOnly": True,
        "extension": [
            *extensions,
            *(names.expression(names.VARIABLE, expression, name) for name, expression in written.variables),
            names.expression(names.CALCULATED, written.text),
        ],
    }


def _option(value: int, labels: dict[str, str], weight: Decimal | None) -> Json:
    option: Json = {"valueCoding": {"code": str(value), "display": labels.get(str(value), str(value))}}
    if weight is not None:
        option["extension"] = [{"url": names.ITEM_WEIGHT, "valueDecimal": _plain(weight)}]
    return option


def _labels(step: StepWording | None, otherwise: dict[str, str]) -> dict[str, str]:
    return otherwise if step is None else step.options


def _equals(link: str, code: str) -> Json:
    return {"question": link, "operator": "=", "answerCoding": {"code": code}}


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
