"""Wording packs: the text of a questionnaire, and whether it fits the definition.

A pack is an organisation's own copy of the text, in one language, for one printed form of one version. It is plain
data: text is kept and given back verbatim, never read as markup. Nothing here stores or fetches anything.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from pydantic import Field, ValidationError

from instruments.conditions import Strict
from instruments.items import GATE, RATING, Item
from instruments.schema import Instrument

Path_ = tuple[str | int, ...]
LONGEST_TEXT = 10_000
LONGEST_LABEL = 1_000
LARGEST_PACK = 1 << 20
"""Characters of all texts together: an alias in YAML can repeat a text that is written once."""
MOST_FAULTS = 1_000
"""Found before looking no further: more than any mistake of a person makes in one pack."""
GATE_VALUES = (0, 1)
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"))


class StepWording(Strict):
    """One step of a two-step item: its text, and a label for each value that may be chosen."""

    text: str
    options: dict[str, str] = Field(description="option value, as a decimal number, to its label")


class ItemWording(Strict):
    """The text of one item; a two-step item has ``gate`` (0 no, 1 yes) and ``rating`` instead of options."""

    text: str
    options: dict[str, str] | None = Field(default=None, description="option value, as a decimal number, to its label")
    gate: StepWording | None = None
    rating: StepWording | None = None


class FormWording(Strict):
    """What one form, as chosen by anatomy, words in its own way."""

    title: str | None = None
    instructions: str | None = None
    items: dict[str, ItemWording] = Field(default_factory=dict)


class Pack(FormWording):
    """Every text of a questionnaire. ``items`` hold in every form that does not word an item itself."""

    variant: str | None = Field(default=None, description="the printed form, where a definition has several")
    forms: dict[str, FormWording] = Field(default_factory=dict)

    def of_item(self, item_id: str, form: str | None) -> ItemWording:
        """The text of an item in a form; a pack that was checked has it."""
        own = self.forms.get(form) if form is not None else None
        return own.items[item_id] if own is not None and item_id in own.items else self.items[item_id]

    def of_whole(self, name: str, form: str | None) -> str | None:
        """``title`` or ``instructions`` of a form."""
        own: str | None = getattr(self.forms.get(form or ""), name, None)
        common: str | None = getattr(self, name)
        return own if own is not None else common


@dataclass(frozen=True, slots=True)
class WordingFault:
    """One thing wrong in a pack, and where: the path to it from the pack's beginning."""

    path: Path_
    code: str
    detail: str


class WordingError(ValueError):
    """A pack that does not fit; ``faults`` holds everything that is wrong with it."""

    def __init__(self, faults: list[WordingFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{len(faults)} faults")


@dataclass(frozen=True, slots=True)
class Source:
    """A pack as plain data, with the places that its parts were taken from where they came in another format."""

    value: Any
    places: Mapping[Path_, Path_] = field(default_factory=dict)
    faults: tuple[WordingFault, ...] = ()

    def place(self, path: Path_) -> Path_:
        """Where a part stands in what was sent: itself, or the nearest thing around it that has a place."""
        if not self.places:
            return path
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def printed(instrument: Instrument, variant: str | None) -> str:
    """The first variant that looks like the given one on paper: ways to score that share their options share a pack.

    Raises
    ------
    KeyError
        The instrument has no such variant.
    """
    if variant is not None and variant not in instrument.variant_ids:
        raise KeyError(variant)
    wanted = _options(instrument, variant or instrument.variant_ids[0])
    return next(known for known in instrument.variant_ids if _options(instrument, known) == wanted)


def _options(instrument: Instrument, variant: str) -> list[tuple[int, ...]]:
    return [item.options for item in instrument.items_under(variant)]


def labelled(item: Item) -> tuple[int, ...]:
    """The options of an item that its wording labels: not those that only the two steps lead to."""
    reached = () if item.two_step is None else (item.two_step.no, *item.two_step.yes.values())
    return tuple(value for value in item.options if value not in reached)


def text_fault(text: str, longest: int) -> tuple[str, str] | None:
    """Code and detail of what makes a text unfit to be shown, if anything; any script and direction is fit."""
    if len(text) > longest:
        return "too-long", f"has at most {longest} characters"
    kinds = {unicodedata.category(char) for char in set(text) - {"\n"}}
    if "Cc" in kinds or "Cs" in kinds:
        return "control-character", "has no control characters besides line feeds"
    if kinds <= _INVISIBLE:
        return "empty", "has text that can be seen"
    return None


def read(instrument: Instrument, source: Source, variant: str | None = None) -> Pack:
    """Check a pack against the definition, in full.

    Parameters
    ----------
    instrument : Instrument
        The version that it is the text of.
    source : Source
        The pack as plain data, as it came or as another format was read.
    variant : str, optional
        The printed form that it is meant for; the default variant's unless given.

    Returns
    -------
    Pack
        With its texts unchanged, and with ``variant`` set.

    Raises
    ------
    KeyError
        The instrument has no such variant.
    WordingError
        With every fault, up to ``MOST_FAULTS``; paths are those of the source.
    """
    meant = printed(instrument, variant)
    faults = list(islice(chain(source.faults, _check(instrument, source, meant)), MOST_FAULTS))
    if faults:
        raise WordingError(faults)
    return Pack.model_validate(source.value | {"variant": meant})


def _check(instrument: Instrument, source: Source, variant: str) -> Iterator[WordingFault]:
    value = source.value
    for fault in chain(_shape(value), _texts(value), _fit(instrument, value, variant)):
        yield WordingFault(source.place(fault.path), fault.code, fault.detail)


def _shape(value: Any) -> Iterator[WordingFault]:
    try:
        Pack.model_validate(value, strict=True)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            code, detail = _SHAPES.get(fault["type"], (fault["type"].replace("_", "-"), fault["msg"]))
            yield WordingFault(fault["loc"], code, detail)


_SHAPES = {
    "missing": ("missing", "is required"),
    "extra_forbidden": ("extra-forbidden", "is not a member that a pack has here"),
    "string_type": ("string-type", "is text; in YAML, quote numbers and words such as true"),
    "dict_type": ("dict-type", "is an object"),
    "model_type": ("dict-type", "is an object"),
}


def _texts(value: Any) -> Iterator[WordingFault]:
    """Faults of every text, wherever it stands."""
    characters = 0
    waiting: list[tuple[Path_, Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, dict):
            waiting.extend(((*path, key), inner) for key, inner in reversed(here.items()))
        elif isinstance(here, str) and path != ("variant",):
            characters += len(here)
            if fault := text_fault(here, LONGEST_LABEL if path[-2:-1] == ("options",) else LONGEST_TEXT):
                yield WordingFault(path, *fault)
    if characters > LARGEST_PACK:
        yield WordingFault((), "too-long", f"the texts have at most {LARGEST_PACK} characters together")


def _fit(instrument: Instrument, value: Any, variant: str) -> Iterator[WordingFault]:
    """What is missing or unknown, by the definition. What has no right shape is passed over: it is reported already."""
    if not isinstance(value, dict):
        return
    named = value.get("variant")
    if isinstance(named, str) and (named not in instrument.variant_ids or printed(instrument, named) != variant):
        alike = [known for known in instrument.variant_ids if printed(instrument, known) == variant]
        yield WordingFault(("variant",), "other-variant", f"is one of {', '.join(alike)}, which this pack is for")
    items, forms = value.get("items", {}), value.get("forms", {})
    if not (isinstance(items, dict) and isinstance(forms, dict)):
        return
    known_forms = [form.id for form in instrument.forms]
    for form in forms.keys() - set(known_forms):
        detail = f"is one of {', '.join(known_forms)}" if known_forms else "the instrument has one form only"
        yield WordingFault(("forms", form), "unknown-form", detail)
    by_form = {form: _items_of(forms.get(form)) for form in known_forms}
    known = {item.id: item for item in instrument.items_under(variant)}
    yield from _present(known, items, by_form)
    for path, given in ((("items",), items), *((("forms", form, "items"), by_form[form]) for form in known_forms)):
        for item_id, wording in given.items():
            if item_id not in known:
                yield WordingFault((*path, item_id), "unknown-item", "is the id of an item of the definition")
            elif isinstance(wording, dict):
                yield from _item(known[item_id], wording, (*path, item_id))


def _items_of(form: Any) -> dict[str, Any]:
    items = form.get("items") if isinstance(form, dict) else None
    return items if isinstance(items, dict) else {}


def _present(
    known: Mapping[str, Item], items: Mapping[str, Any], by_form: Mapping[str, Mapping[str, Any]]
) -> Iterator[WordingFault]:
    """Every item is worded for every form; one that the forms ask differently, in each of those forms."""
    forms_alone = not items and any(by_form.values())
    for item_id, item in known.items():
        differs = by_form.keys() if forms_alone else item.topic_by_form or {}
        lacking = [form for form, own in by_form.items() if item_id not in own]
        for form in lacking:
            if form in differs:
                detail = "is required: no text of this item holds for this form"
                yield WordingFault(("forms", form, "items", item_id), "missing", detail)
        if item_id not in items and (not by_form or any(form not in differs for form in lacking)):
            yield WordingFault(("items", item_id), "missing", "is required: the definition has this item")


def _item(item: Item, wording: Mapping[str, Any], path: Path_) -> Iterator[WordingFault]:
    yield from _labels(labelled(item), wording.get("options"), (*path, "options"))
    steps: dict[str, tuple[int, ...]] = {}
    if item.two_step is not None:
        steps = {GATE: GATE_VALUES, RATING: tuple(item.two_step.yes)}
    for step in (GATE, RATING):
        given = wording.get(step)
        if step not in steps:
            if given is not None:
                yield WordingFault((*path, step), "not-two-step", "is for items of two steps only")
        elif given is None:
            yield WordingFault((*path, step), "missing", "is required: the item has two steps")
        elif isinstance(given, dict):
            yield from _labels(steps[step], given.get("options"), (*path, step, "options"))


def _labels(values: tuple[int, ...], given: Any, path: Path_) -> Iterator[WordingFault]:
    """Exactly the values that the definition has; ``given`` that is no object has been reported by its shape."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return
    expected = [str(value) for value in values]
    for name in expected:
        if name not in given:
            yield WordingFault((*path, name), "missing", "is required: the definition has this option")
    for name in given:
        if name not in expected:
            detail = f"is one of {', '.join(expected)}" if expected else "has no options besides its two steps"
            yield WordingFault((*path, name), "unknown-option", detail)
