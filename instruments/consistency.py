"""What has to fit together inside one definition: ids, references, variants, figures.

The shape of each part is checked where the part is defined. Here the parts are held against one another, and every
mistake is given with the place it stands at, so that a reader of the file is sent to the right line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from instruments.conditions import ItemCondition, ScaleCondition, leaves

if TYPE_CHECKING:
    from instruments.conditions import Condition
    from instruments.schema import Instrument, ScaleRule

Place = tuple[str | int, ...]
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that does not fit, where it stands in the definition, and what would be right."""

    place: Place
    message: str
    remedy: str = ""


class Inconsistent(ValueError):
    """A definition whose parts do not fit together; ``mistakes`` holds all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(mistake.message for mistake in mistakes))


def mistakes(instrument: Instrument) -> Iterator[Mistake]:
    """Everything in a definition that contradicts another part of it."""
    yield from _ids(instrument)
    yield from _forms(instrument)
    yield from _scales(instrument)
    yield from _conditions(instrument)
    yield from _figures(instrument)
    yield from _progress(instrument)
    yield from _default_bands(instrument)


def _one_of(known: Collection[str]) -> str:
    shown = sorted(known)[:SHOWN]
    return f"use one of {', '.join(shown)}{', …' if len(known) > SHOWN else ''}" if shown else "declare it first"


def _ids(instrument: Instrument) -> Iterator[Mistake]:
    groups = ("forms", "variants", "items", "scales", "caseness", "validity", "alerts")
    for group in (*groups, "cutoffs", "bands", "norms", "reliabilities", "changes"):
        seen: set[str] = set()
        for index, part in enumerate(getattr(instrument, group)):
            if part.id in seen:
                yield Mistake((group, index, "id"), f"{group}: the id {part.id!r} occurs twice", "rename one of them")
            seen.add(part.id)
    items, caseness = {item.id for item in instrument.items}, {rule.id for rule in instrument.caseness}
    for index, scale in enumerate(instrument.scales):
        for others, what in ((items, "item and scale"), (caseness, "scale and caseness rule")):
            if scale.id in others:
                yield Mistake(("scales", index, "id"), f"{what} share the id {scale.id!r}", "rename one of them")


def _forms(instrument: Instrument) -> Iterator[Mistake]:
    forms = {form.id for form in instrument.forms}
    for index, item in enumerate(instrument.items):
        if item.topic_by_form is not None and set(item.topic_by_form) != forms:
            message = f"item {item.id!r}: topic_by_form must name exactly the forms {sorted(forms)}"
            yield Mistake(("items", index, "topic_by_form"), message)


def _scales(instrument: Instrument) -> Iterator[Mistake]:
    items = {item.id for item in instrument.items}
    variants = {variant.id for variant in instrument.variants}
    found: dict[Mistake, None] = {}  # a rule that several variants share is reported once
    for index, scale in enumerate(instrument.scales):
        for name in sorted(set(scale.variants) - variants):
            message = f"scale {scale.id!r} changes the variant {name!r}, which is not declared under variants"
            found[Mistake(("scales", index, "variants", name), message, _one_of(variants))] = None
    for variant in instrument.variant_ids:
        rules: dict[str, ScaleRule] = {}
        for index, scale in enumerate(instrument.scales):
            place: Place = ("scales", index)
            try:
                rule = rules[scale.id] = scale.rule_for(variant)
            except ValidationError as error:
                wrong = error.errors()[0]["msg"].removeprefix("Value error, ")
                message = f"scale {scale.id!r} under the variant {variant!r}: {wrong}"
                found[Mistake((*place, "variants", variant), message)] = None
                continue
            changed = scale.variants.get(variant)
            if changed is not None and changed.items is not None:
                place = (*place, "variants", variant)
            known = items if rule.items is not None else {other.id for other in instrument.scales} - {scale.id}
            kind = "items" if rule.items is not None else "scales"
            for position, part in enumerate(rule.parts):
                if part not in known:
                    message = f"scale {scale.id!r} is made of {part!r}, which does not exist"
                    found[Mistake((*place, kind, position), message, _one_of(known))] = None
        for cycle in _cycles(rules):
            names = ", ".join(repr(name) for name in cycle)
            index = next(place for place, scale in enumerate(instrument.scales) if scale.id in cycle)
            found[Mistake(("scales", index), f"the scales {names} are made of each other", "break the circle")] = None
    yield from found


def _cycles(rules: dict[str, ScaleRule]) -> Iterator[list[str]]:
    """Scales that are made of each other, in one list: what is left when everything that can be made is taken away."""
    waiting = {name: set(rule.parts) & set(rules) - {name} for name, rule in rules.items() if rule.scales is not None}
    while ready := [name for name, parts in waiting.items() if not parts & set(waiting)]:
        for name in ready:
            del waiting[name]
    if waiting:
        yield sorted(waiting)


def _conditions(instrument: Instrument) -> Iterator[Mistake]:
    items, scales = {item.id for item in instrument.items}, {scale.id for scale in instrument.scales}
    rules: list[tuple[str, str, int, str, Condition]] = []
    for group, kind in (("caseness", "caseness"), ("validity", "validity"), ("alerts", "alert")):
        rules += [(group, kind, i, rule.id, rule.when) for i, rule in enumerate(getattr(instrument, group))]
    for group, kind, index, rule_id, when in rules:
        place = (group, index, "when")
        for leaf in leaves(when):
            match leaf:
                case ScaleCondition():
                    if kind == "alert":
                        message = f"alert {rule_id!r} looks at a scale; alerts look at raw answers only"
                        yield Mistake(place, message, "name an item")
                    unknown, known = {leaf.scale} - scales, scales
                case ItemCondition():
                    unknown, known = {leaf.item} - items, items
                case _:
                    unknown, known = set(leaf.count) - items, items
            for name in sorted(unknown):
                yield Mistake(place, f"{kind} {rule_id!r} names {name!r}, which does not exist", _one_of(known))
    for index, validity in enumerate(instrument.validity):
        for position, name in enumerate(validity.scales):
            if name not in scales:
                message = f"validity {validity.id!r} names the scale {name!r}, which does not exist"
                yield Mistake(("validity", index, "scales", position), message, _one_of(scales))


def _figures(instrument: Instrument) -> Iterator[Mistake]:
    scales = {scale.id for scale in instrument.scales}
    for group in ("cutoffs", "bands", "norms", "reliabilities", "changes", "progress"):
        for index, figure in enumerate(getattr(instrument, group)):
            if figure.scale not in scales:
                message = f"{type(figure).__name__} names the scale {figure.scale!r}, which does not exist"
                yield Mistake((group, index, "scale"), message, _one_of(scales))


def _progress(instrument: Instrument) -> Iterator[Mistake]:
    norms = {norm.id: norm for norm in instrument.norms}
    undirected = {scale.id for scale in instrument.scales if scale.higher_is == "neither"}
    seen: set[str] = set()
    for index, parameters in enumerate(instrument.progress):
        of = f"progress of {parameters.scale!r}"
        for role in ("clinical", "functional"):
            name = getattr(parameters, role)
            if name is None:
                continue
            place = ("progress", index, role)
            norm = norms.get(name)
            if norm is None or norm.scale != parameters.scale:
                known = {other.id for other in instrument.norms if other.scale == parameters.scale}
                yield Mistake(place, f"{of}: no norm {name!r} of that scale", _one_of(known))
            elif norm.mean is None or norm.sd is None:
                yield Mistake(place, f"{of}: norm {name!r} lacks a mean or a standard deviation", "leave it out")
        if parameters.scale in seen:
            yield Mistake(("progress", index), "progress gives parameters for one scale twice", "keep one of the two")
        seen.add(parameters.scale)
        if parameters.scale in undirected:
            message = f"{of}: a scale where higher is neither better nor worse has no improvement"
            yield Mistake(("progress", index), message, "leave it out")


def _default_bands(instrument: Instrument) -> Iterator[Mistake]:
    for scale in instrument.scales:
        sets = [(index, bands) for index, bands in enumerate(instrument.bands) if bands.scale == scale.id]
        if sets and sum(bands.default for _, bands in sets) != 1:
            message = f"scale {scale.id!r}: exactly one of its sets of bands is the default"
            yield Mistake(("bands", sets[-1][0]), message, "say default: false in the others")
