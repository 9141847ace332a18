"""How much a definition from outside may ask for, counted on plain data before anything else reads it.

Reading, checking, compiling and scoring a definition take time that grows with products of its parts: variants times
scales times items, conditions times the items they name. A short text can therefore ask for hours. Each product is
counted here, in steps that take about as long as one another, and refused where it exceeds its limit; what passes is
read, compiled and scored within a time that is known. (Definitions that ship with the project are not counted: they
are tested.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from instruments.consistency import Mistake, Place

MOST_VALUES: Final = 30_000
MOST_TEXT: Final = 400_000
"""Characters of all texts and names together."""
LONGEST_TEXT: Final = 5_000
MOST_IN_A_LIST: Final = 500
LENGTHS: Final = {"scales": 100, "variants": 20, "caseness": 100, "validity": 63, "alerts": 100, "skips": 100}
"""Of the lists at the top of a definition, where it is not ``MOST_IN_A_LIST``."""
MOST_OPTIONS: Final = 101
MOST_DIGITS: Final = 15
"""Significant digits of a number: as many as every reader of JSON keeps."""
LARGEST_POWER: Final = 9
"""Numbers lie between 10^-9 and 10^10, or are 0."""
MOST_COMPILING: Final = 50_000
"""Steps to compile all variants, about 5 microseconds each."""
MOST_SCORING: Final = 20_000
"""Steps to score one form, about 0.1 microseconds each."""

_NUMBER: Final = re.compile(r"[+-]?([\d_]*)\.?([\d_]*)(?:[eE]([+-]?[\d_]+))?")


def excesses(definition: Any) -> list[Mistake]:
    """What of a definition exceeds a limit, with its place; nothing is said of what is merely wrong."""
    found = oversized(definition)
    if found or not isinstance(definition, dict):
        return found
    return list(_work(definition))


def oversized(value: Any, *, longest_text: int = LONGEST_TEXT, most_text: int = MOST_TEXT) -> list[Mistake]:
    """What of plain data, whatever it is meant to be, is too much: values, entries, text, digits."""
    return list(_sizes(value, longest_text, most_text))


def _sizes(value: Any, longest_text: int, most_text: int) -> Iterator[Mistake]:
    values = text = 0
    waiting: list[tuple[Any, Place]] = [(value, ())]
    while waiting:
        here, place = waiting.pop()
        values += 1
        if isinstance(here, str):
            text += len(here)
            if len(here) > longest_text:
                yield Mistake(place, f"the text has {len(here)} characters, more than {longest_text}", "shorten it")
            elif (reason := _number_fault(here)) is not None:
                yield Mistake(place, *reason)
        elif isinstance(here, float | int) and not isinstance(here, bool):
            if (reason := _number_fault(repr(here))) is not None:
                yield Mistake(place, *reason)
        elif isinstance(here, dict | list):
            if len(here) > (most := _longest(place)):
                yield Mistake(place, f"there are {len(here)} entries, more than {most}", "leave some out")
                continue
            steps = here.items() if isinstance(here, dict) else enumerate(here)
            text += sum(map(len, here)) if isinstance(here, dict) else 0
            waiting.extend((inner, (*place, step)) for step, inner in steps)
        if values > MOST_VALUES or text > most_text:
            yield Mistake((), "it is too large", f"at most {MOST_VALUES} values and {most_text} characters")
            return


def _longest(place: Place) -> int:
    name = place[-1] if place else None
    if len(place) == 1:
        return LENGTHS.get(str(name), MOST_IN_A_LIST)
    return MOST_OPTIONS if name in ("options", "scored", "one_of", "yes", "not_applicable") else MOST_IN_A_LIST


def _number_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with a text that would be read as a number beyond those that can be computed with."""
    given = _NUMBER.fullmatch(text.strip())
    if given is None or not (given[1] or given[2]):
        return None
    whole, fraction = given[1].replace("_", ""), given[2].replace("_", "")
    digits = (whole + fraction).lstrip("0")
    exponent = (given[3] or "0").replace("_", "")
    if len(digits.rstrip("0")) > MOST_DIGITS:
        return f"a number has more than {MOST_DIGITS} digits", "round it"
    if not digits:
        return None
    power = len(digits) - len(fraction) - 1 + (int(exponent) if len(exponent) < 8 else 10**8)
    if abs(power) > LARGEST_POWER:
        return f"a number lies beyond 10^-{LARGEST_POWER} to 10^{LARGEST_POWER + 1}", "use another unit"
    return None


def _work(definition: dict[str, Any]) -> Iterator[Mistake]:
    items = [item for item in _list(definition, "items") if isinstance(item, dict)]
    scales = [scale for scale in _list(definition, "scales") if isinstance(scale, dict)]
    rules = [rule for group in ("skips", "caseness", "validity", "alerts") for rule in _list(definition, group)]
    options = {str(item.get("id")): _options(item) for item in items}
    variants = max(1, len(_list(definition, "variants")))
    below = _items_below(scales, len(items))
    named = sum(_named(rule) for rule in rules)
    flags = len(scales) * sum(len(_list(rule, "scales")) for rule in _list(definition, "validity"))

    compiling = sum(_values(part) for part in (*items, *scales, *rules)) + named
    compiling += sum(below.values())
    for scale in scales:
        parts = _parts(scale)
        compiling += sum(options.get(part, 1) for part in parts) // 4
        required = [_list(rule.get("missing"), "required") for rule in _rules(scale)]
        compiling += sum(len(names) * len(parts) for names in required) // 16
    if compiling * variants > MOST_COMPILING:
        yield Mistake(
            ("variants",) if variants > 1 else ("scales",),
            f"compiling takes {compiling * variants} steps, more than {MOST_COMPILING}",
            "fewer variants, scales, parts of scales, or items named in conditions",
        )
    scoring = 2 * len(items) + sum(len(_parts(scale)) for scale in scales) + sum(below.values()) + named + flags
    if scoring > MOST_SCORING:
        yield Mistake(
            ("scales",),
            f"scoring one form takes {scoring} steps, more than {MOST_SCORING}",
            "fewer scales, parts of scales, or items named in conditions",
        )


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _rules(scale: dict[str, Any]) -> list[dict[str, Any]]:
    """A scale's rule, and what each variant changes in it."""
    variants = scale.get("variants")
    changed = variants.values() if isinstance(variants, dict) else ()
    return [scale, *(rule for rule in changed if isinstance(rule, dict))]


def _parts(scale: dict[str, Any]) -> list[str]:
    """What the scale is made of under the variant with the most parts."""
    goals = [name for goal in _list(scale, "goals") if isinstance(goal, dict) for name in goal.values()]
    parts = max(([*_list(rule, "items"), *_list(rule, "scales")] for rule in _rules(scale)), key=len)
    return [str(part) for part in (*parts, *goals)]


def _items_below(scales: list[dict[str, Any]], items: int) -> dict[int, int]:
    """How many items lie below each scale, at most: those of a scale of scales are looked up through its parts."""
    places = {str(scale.get("id")): index for index, scale in enumerate(scales)}
    found: dict[int, int] = {}

    def below(index: int, above: tuple[int, ...]) -> int:
        if index not in found:
            inner = [places[part] for part in _parts(scales[index]) if part in places]
            if not inner:
                found[index] = len(_parts(scales[index]))
            else:  # in a circle nothing is counted: it is refused later
                found[index] = sum(min(items, below(part, (*above, index))) for part in inner if part not in above)
        return found[index]

    for index in range(len(scales)):
        below(index, (index,))
    return found


def _options(item: dict[str, Any]) -> int:
    return max((len(_list(form, "options")) for form in _rules(item)), default=0)


def _named(rule: Any) -> int:
    """Items and scales that a rule's conditions name: each is looked at whenever a form is scored."""
    found, waiting = 0, [rule]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            found += 1
            waiting.extend(here.values())
        elif isinstance(here, list):
            found += len(here)
            waiting.extend(inner for inner in here if isinstance(inner, dict))
    return found


def _values(value: Any) -> int:
    found, waiting = 0, [value]
    while waiting:
        here = waiting.pop()
        found += 1
        if isinstance(here, dict):
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
    return found
