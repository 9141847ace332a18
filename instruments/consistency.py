"""What has to fit together inside one definition: ids, references, variants, figures.

The shape of each part is checked where the part is defined. Here the parts are held against one another, and every
mistake is given with the place it stands at, so that a reader of the file is sent to the right line.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from instruments.conditions import ItemCondition, ScaleCondition, leaves

if TYPE_CHECKING:
    from instruments.conditions import Condition
    from instruments.items import Item
    from instruments.rules import ScaleRule
    from instruments.schema import Instrument

Place = tuple[str | int, ...]
Forms = dict[str, dict[str, "Item"]]
"""The items by id, for each variant."""
SHOWN = 20
RULES = ("skips", "caseness", "validity", "alerts")
PARTS = ("forms", "variants", "items", "scales")
FIGURES = ("cutoffs", "bands", "norms", "reliabilities", "changes", "progress")


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
    items = yield from _items(instrument)
    yield from _scopes(instrument)
    yield from _scales(instrument)
    yield from _goals(instrument, items)
    yield from _conditions(instrument)
    yield from _skips(instrument, items)
    yield from _figures(instrument)
    yield from _progress(instrument)
    yield from _default_bands(instrument)
    yield from _outside(instrument)


def _one_of(known: Collection[str]) -> str:
    shown = sorted(known)[:SHOWN]
    return f"use one of {', '.join(shown)}{', …' if len(known) > SHOWN else ''}" if shown else "declare it first"


def _ids(instrument: Instrument) -> Iterator[Mistake]:
    for group in (*PARTS, *RULES, *FIGURES[:-1]):  # parameters for progress have no ids
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


def _items(instrument: Instrument) -> Generator[Mistake, None, Forms]:
    """What variants make of the items, and the names that answers are given under; returns each variant's items."""
    declared = {variant.id for variant in instrument.variants}
    names = {item.id for item in instrument.items}
    forms: Forms = {variant: {} for variant in instrument.variant_ids}
    for index, item in enumerate(instrument.items):
        for name in item.names[1:]:
            if name in names:
                message = f"item {name!r} has the name of a part of the two-step item {item.id!r}"
                yield Mistake(("items", index, "two_step"), message, "rename one of them")
        for name in sorted(set(item.variants) - declared):
            message = f"item {item.id!r} changes the variant {name!r}, which is not declared under variants"
            yield Mistake(("items", index, "variants", name), message, _one_of(declared))
        for variant, found in forms.items():
            try:
                found[item.id] = item.under(variant)
            except ValidationError as error:
                message = f"item {item.id!r} under the variant {variant!r}: {_words(error)}"
                yield Mistake(("items", index, "variants", variant), message)
    return forms


def _words(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _scopes(instrument: Instrument) -> Iterator[Mistake]:
    """Rules and figures that hold under some variants name variants that there are."""
    declared = {variant.id for variant in instrument.variants}
    for group in (*RULES, *FIGURES):
        for index, rule in enumerate(getattr(instrument, group)):
            for position, name in enumerate(rule.variants or ()):
                place = (group, index, "variants", position)
                if name not in declared:
                    message = f"{group}: the variant {name!r} is not declared under variants"
                    yield Mistake(place, message, _one_of(declared))
                elif name in rule.variants[:position]:
                    yield Mistake(place, f"{group}: the variant {name!r} is named twice", "name it once")


def _scales(instrument: Instrument) -> Iterator[Mistake]:
    items = {item.id for item in instrument.items}
    variants = {variant.id for variant in instrument.variants}
    weighted = {scale.id for scale in instrument.scales if scale.goals is not None} - items
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
                message = f"scale {scale.id!r} under the variant {variant!r}: {_words(error)}"
                found[Mistake((*place, "variants", variant), message)] = None
                continue
            if rule.goals is not None:
                continue  # their items are looked at apart
            changed = scale.variants.get(variant)
            if changed is not None and changed.items is not None:
                place = (*place, "variants", variant)
            known = items if rule.items is not None else {other.id for other in instrument.scales} - {scale.id}
            kind = "items" if rule.items is not None else "scales"
            for position, part in enumerate(rule.parts):
                if part not in known:
                    message = f"scale {scale.id!r} is made of {part!r}, which does not exist"
                    found[Mistake((*place, kind, position), message, _one_of(known))] = None
                elif part in weighted:
                    message = f"scale {scale.id!r} is made of {part!r}, a weighted T score; no scale is made of those"
                    found[Mistake((*place, kind, position), message, "make it of the goals")] = None
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


def _goals(instrument: Instrument, forms: Forms) -> Iterator[Mistake]:
    items = {item.id for item in instrument.items}
    for index, scale in enumerate(instrument.scales):
        for position, goal in enumerate(scale.goals or ()):
            place = ("scales", index, "goals", position)
            for role in ("rating", "minus", "needs", "weight"):
                name = getattr(goal, role)
                if name is not None and name not in items:
                    message = f"scale {scale.id!r} is made of {name!r}, which does not exist"
                    yield Mistake((*place, role), message, _one_of(items))
            weights = [found[goal.weight].score_of.values() for found in forms.values() if goal.weight in found]
            if any(min(worth) < 0 or max(worth) <= 0 for worth in weights):
                message = f"scale {scale.id!r}: the weight {goal.weight!r} can be negative, or is never above 0"
                yield Mistake((*place, "weight"), message, "give options that score 0 or more")


def _conditions(instrument: Instrument) -> Iterator[Mistake]:
    items, scales = {item.id for item in instrument.items}, {scale.id for scale in instrument.scales}
    rules: list[tuple[str, str, int, str, Condition]] = []
    kinds = ("skip", "caseness", "validity", "alert")
    for group, kind in zip(RULES, kinds, strict=True):
        rules += [(group, kind, i, rule.id, rule.when) for i, rule in enumerate(getattr(instrument, group))]
    for group, kind, index, rule_id, when in rules:
        place = (group, index, "when")
        for leaf in leaves(when):
            match leaf:
                case ScaleCondition():
                    if kind == "skip":
                        message = f"skip {rule_id!r} looks at a scale; skips look at answers only"
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


def _skips(instrument: Instrument, forms: Forms) -> Iterator[Mistake]:
    items = {item.id for item in instrument.items}
    for index, skip in enumerate(instrument.skips):
        for position, name in enumerate(skip.items):
            place = ("skips", index, "items", position)
            if name not in items:
                message = f"skip {skip.id!r} fills in {name!r}, which does not exist"
                yield Mistake(place, message, _one_of(items))
            elif name in skip.items[:position]:
                yield Mistake(place, f"skip {skip.id!r} fills in {name!r} twice", "name it once")
            for variant, found in forms.items():
                if skip.holds_under(variant) and name in found and skip.answer not in found[name].options:
                    message = f"skip {skip.id!r} answers item {name!r} with {skip.answer}, which is none of its options"
                    options = ", ".join(map(str, sorted(found[name].options)))
                    yield Mistake(("skips", index, "answer"), message, f"{variant}: use one of {options}")


def _figures(instrument: Instrument) -> Iterator[Mistake]:
    scales = {scale.id for scale in instrument.scales}
    for group in FIGURES:
        for index, figure in enumerate(getattr(instrument, group)):
            if figure.scale not in scales:
                message = f"{type(figure).__name__} names the scale {figure.scale!r}, which does not exist"
                yield Mistake((group, index, "scale"), message, _one_of(scales))


def _progress(instrument: Instrument) -> Iterator[Mistake]:
    norms = {norm.id: norm for norm in instrument.norms}
    undirected = {scale.id for scale in instrument.scales if scale.higher_is == "neither"}
    seen: set[tuple[str, str]] = set()
    for index, parameters in enumerate(instrument.progress):
        held = [variant for variant in instrument.variant_ids if parameters.holds_under(variant)]
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
            elif lacking := [variant for variant in held if not norm.holds_under(variant)]:
                message = f"{of}: norm {name!r} does not hold under the variant {lacking[0]!r}"
                yield Mistake(place, message, "restrict both to the same variants")
        own = {(parameters.scale, variant) for variant in held}
        if own & seen:
            yield Mistake(("progress", index), "progress gives parameters for one scale twice", "keep one of the two")
        seen |= own
        if parameters.scale in undirected:
            message = f"{of}: a scale where higher is neither better nor worse has no improvement"
            yield Mistake(("progress", index), message, "leave it out")


def _default_bands(instrument: Instrument) -> Iterator[Mistake]:
    for scale in instrument.scales:
        own = [(index, bands) for index, bands in enumerate(instrument.bands) if bands.scale == scale.id]
        for variant in instrument.variant_ids:
            sets = [(index, bands) for index, bands in own if bands.holds_under(variant)]
            if sets and sum(bands.default for _, bands in sets) != 1:
                message = f"scale {scale.id!r}: exactly one of its sets of bands is the default"
                if any(bands.variants is not None for _, bands in own):
                    message += f" under the variant {variant!r}"
                yield Mistake(("bands", sets[-1][0]), message, "say default: false in the others")
                break


def _outside(instrument: Instrument) -> Iterator[Mistake]:
    """Codes and versions that are kept elsewhere."""
    if instrument.loinc is not None:
        for kind, parts in (("items", instrument.items), ("scales", instrument.scales)):
            known = {part.id for part in parts}
            for name in sorted(set(getattr(instrument.loinc, kind)) - known):
                yield Mistake(("loinc", kind, name), f"loinc: there is no {kind[:-1]} {name!r}", _one_of(known))
    seen: set[int] = set()
    for index, earlier in enumerate(instrument.comparable_with):
        place = ("comparable_with", index, "version")
        if earlier.version >= instrument.version:
            message = f"comparable_with names version {earlier.version}, which is not earlier than {instrument.version}"
            yield Mistake(place, message, "name an earlier version")
        if earlier.version in seen:
            yield Mistake(place, f"comparable_with names version {earlier.version} twice", "name it once")
        seen.add(earlier.version)
