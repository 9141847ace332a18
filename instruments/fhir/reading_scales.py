"""Calculated expressions read back as rules of scales.

An expression of ours is taken apart by its form. Nothing is believed of it yet: whoever reads a definition writes the
expression anew from the rule, and takes the rule only if both are the same to the letter. Of expressions that others
wrote only sums of weights are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from instruments.fhir.answers import number
from instruments.fhir.grammar import (
    DECIMAL,
    LINKS,
    LONGEST,
    SIGNED,
    SIGNED_DECIMAL,
    arguments,
    bracketed,
    combined,
    fraction,
    ids_of,
    split,
    strings,
)
from instruments.fhir.reading_conditions import Conditions
from instruments.fhir.reading_questions import Linked

_TOTAL = r"(?:%values\.aggregate\(\$this \+ \$total, 0\)|%met)"
_VALUE = re.compile(
    rf"(?P<open>\()?(?P<raw>{_TOTAL}(?: \* \d+ / %values\.count\(\)| / %values\.count\(\))?)(?: - (?P<low>{SIGNED})\))?"
    rf"(?: \* (?P<factor>{SIGNED}))?(?: \+ (?P<offset>{SIGNED}))?"
)
_CLAMP = re.compile(
    rf"\((?P<value>.*)\)\.select\(iif\(\$this < (?P<min>{SIGNED_DECIMAL}), (?P=min), "
    rf"iif\(\$this > (?P<max>{SIGNED_DECIMAL}), (?P=max), \$this\)\)\)"
)
_PARTS = re.compile(rf"%resource\.item\.where\((?P<links>{LINKS})\)\.answer\.value(?P<weight>\.weight\(\))?")
_GUARD = re.compile(
    r"%values\.count\(\) (?:= (?P<all>\d+)|>= (?P<min>\d+)"
    r"(?: and (?:%required\.count\(\) = \d+|(?P<applicable>%values\.count\(\) \+ %outside = \d+)))?)"
)
_FOREIGN = re.compile(
    r"%resource\.(?P<reach>item|descendants\(\)|repeat\(item\))(?:\.where\((?P<where>[^()]*(?:\([^()]*\))?)\))?"
    r"\.answer(?:\.value)?\.(?:weight|ordinal)\(\)"
)
_SUM = re.compile(r"\.(?:sum\(\)|aggregate\((?:\$this \+ \$total|\$total \+ \$this), ?0\))$")


@dataclass(slots=True)
class Candidate:
    """A rule that an expression may stand for."""

    rule: dict[str, Any]
    ours: bool
    """Whether it has our form, and so has to be the same when it is written anew."""
    adds_up: bool = False
    """Whether it gives a score for any answers, as a sum without a guard does."""
    rescaled: tuple[Fraction, Fraction, Fraction] | None = None
    """Low end, factor and new low end, where the range of the parts is mapped onto another."""
    limits: tuple[str, str] | None = None
    links: list[str] = field(default_factory=list)


def read_scale(
    text: str, variables: Mapping[str, str], conditions: Conditions, asked: list[Linked]
) -> Candidate | None:
    """The rule behind an expression; ``asked`` are the questions with weights that were read."""
    if len(text) > LONGEST or any(len(each) > LONGEST for each in variables.values()):
        return None
    return _ours(text, variables, conditions) or _foreign(text, conditions.ids, asked)


def _ours(text: str, variables: Mapping[str, str], conditions: Conditions) -> Candidate | None:
    ids = conditions.ids
    inside = arguments(text, "iif")
    if inside is None or len(inside) != 3 or inside[2] != "{}":
        return None
    guard, value, _ = inside
    if "weights" in variables:
        return _weighted_t(guard, value, variables, ids)
    rule: dict[str, Any] = {}
    candidate = Candidate(rule, ours=True)
    if not _parts(variables.get("values", ""), rule, candidate, ids) or not _guarded(guard, rule, variables, ids):
        return None
    clamped = _CLAMP.fullmatch(value)
    if clamped is not None:
        rule["clamp"], value = True, clamped["value"]
        candidate.limits = (clamped["min"].strip("()"), clamped["max"].strip("()"))
    if "%resource" in value:
        return candidate if _weighted(value, rule, ids) else None
    found = _VALUE.fullmatch(value)
    if found is None or (found["open"] is None) != (found["low"] is None):
        return None
    mean = found["raw"].endswith(") / %values.count()")
    rule["method"] = "mean" if mean else "sum"
    if found["raw"].startswith("%met"):
        rule |= {"method": "count", "counts": {"one_of": sorted(conditions.values(variables.get("met", "")))}}
    if found["low"] is not None:
        ends = (found["low"], found["factor"] or "1", found["offset"] or "0")
        candidate.rescaled = (fraction(ends[0]), fraction(ends[1]), fraction(ends[2]))
    elif not _transformed(rule, found["factor"], found["offset"]):
        return None
    return candidate


def _transformed(rule: dict[str, Any], factor: str | None, offset: str | None) -> bool:
    for name, text in (("factor", factor), ("offset", offset)):
        if text is not None:
            if " / " in text:
                return False
            rule[name] = text.strip("()")
    return True


def _parts(text: str, rule: dict[str, Any], candidate: Candidate, ids: Mapping[str, str]) -> bool:
    found = _PARTS.match(text)
    if found is None:
        return False
    candidate.links = strings(found["links"])
    if found["weight"] is None:
        rule["scales"] = candidate.links
        return found.end() == len(text)
    items = ids_of(candidate.links, ids)
    rule["items"] = items
    return items is not None


def _guarded(guard: str, rule: dict[str, Any], variables: Mapping[str, str], ids: Mapping[str, str]) -> bool:
    found = _GUARD.fullmatch(guard)
    if found is None:
        return False
    if found["all"] is not None:
        rule["missing"] = {"rule": "all"}
    elif found["applicable"] is not None:
        rule["missing"] = {"rule": "applicable", "min_answered": int(found["min"])}
    else:
        rule["missing"] = {"rule": "prorate", "min_answered": int(found["min"])}
        if "required" in variables:
            needed = _PARTS.match(variables["required"])
            links = [] if needed is None else strings(needed["links"])
            rule["missing"]["required"] = links if "scales" in rule else ids_of(links, ids)
    return True


def _weighted(value: str, rule: dict[str, Any], ids: Mapping[str, str]) -> bool:
    """A sum of weights times parts, with or without a factor and an offset."""
    terms = split(value, " + ")
    offset = terms.pop() if "%resource" not in terms[-1] else None
    factor = None
    if len(terms) == 1 and terms[0].startswith("("):
        inner, *rest = split(terms[0], " * ")
        terms = split(bracketed(inner) or "", " + ")
        factor = rest[0] if len(rest) == 1 else None
    weights: dict[str, str] = {}
    for term in terms:
        weight, _, part = term.partition(" * ")
        found = _PARTS.match(part)
        links = [] if found is None else strings(found["links"])
        names = links if "scales" in rule else ids_of(links, ids)
        if found is None or names is None or len(names) != 1 or not re.fullmatch(SIGNED_DECIMAL, weight):
            return False
        weights[names[0]] = weight.strip("()")
    rule |= {"method": "sum", "weights": weights}
    return _transformed(rule, factor, offset)


def _weighted_t(guard: str, value: str, variables: Mapping[str, str], ids: Mapping[str, str]) -> Candidate | None:
    needed = re.fullmatch(r"%weights\.count\(\) >= (\d+)", guard)
    shape = re.fullmatch(
        rf"(?:(?P<offset>{SIGNED_DECIMAL}) \+ )?(?P<factor>{SIGNED_DECIMAL}) \* %products\..*"
        rf"\+ (?P<r>{DECIMAL}) \* %weights\..*",
        value,
    )
    goals: list[dict[str, str]] = []
    for term in combined(variables.get("products", "")):
        slot = _slot(term, ids)
        if slot is None:
            return None
        goals.append(slot)
    if needed is None or shape is None:
        return None
    rule: dict[str, Any] = {
        "goals": goals,
        "method": "weighted-t",
        "correlation": shape["r"],
        "factor": shape["factor"].strip("()"),
    }
    if shape["offset"] is not None:
        rule["offset"] = shape["offset"].strip("()")
    rule["missing"] = {"rule": "prorate", "min_answered": int(needed[1])}
    return Candidate(rule, ours=True)


def _slot(term: str, ids: Mapping[str, str]) -> dict[str, str] | None:
    inside = arguments(term, "iif")
    if inside is None or len(inside) != 3:
        return None
    named = [ids_of(strings(each["links"]), ids) for each in _PARTS.finditer(inside[0])]
    product = [ids_of(strings(each["links"]), ids) for each in _PARTS.finditer(inside[1])]
    if len(named) < 2 or len(product) not in (2, 3) or any(each is None or len(each) != 1 for each in named + product):
        return None
    (weight, rating, *others), given = [each[0] for each in named if each], [each[0] for each in product if each]
    slot = {"rating": rating, "weight": weight}
    if len(given) == 3:
        slot["minus"] = given[2]
        others.remove(given[2])
    if others:
        slot["needs"] = others[0]
    return slot


def _foreign(text: str, ids: Mapping[str, str], asked: list[Linked]) -> Candidate | None:
    """A sum of weights, guarded by a count of answers or not."""
    text = " ".join(text.split())
    inside = arguments(text, "iif")
    guarded = None
    if inside is not None and len(inside) in (2, 3) and inside[2:] in ([], ["{}"]):
        guard = re.fullmatch(r"(?P<source>.*)\.count\(\) = (?P<n>\d+)", inside[0])
        if guard is None:
            return None
        guarded, text = (guard["source"], int(guard["n"])), inside[1]
    end = _SUM.search(text)
    if end is None:
        return None
    source = text[: end.start()]
    links = _reached(source, asked)
    items = None if links is None else ids_of(links, ids)
    if not items or (guarded is not None and guarded != (source, len(items))):
        return None
    rule = {"items": items, "method": "sum", "missing": {"rule": "all"}}
    return Candidate(rule, ours=False, adds_up=guarded is None)


def _reached(source: str, asked: list[Linked]) -> list[str] | None:
    """The linkIds of the questions whose weights a path collects."""
    found = _FOREIGN.fullmatch(source)
    if found is None:
        return None
    deep = found["reach"] != "item"
    within = [each for each in asked if deep or each.pointer.count("/") == 2]
    where = found["where"]
    if where is None:
        chosen = within
    else:
        tests = re.split(r" (?:or|and) ", where)
        wanted = strings(where)
        if re.fullmatch(LINKS.replace(" \\| ", " ?\\| ?"), where) or (
            " and " not in where and all(re.fullmatch(r"linkId ?= ?'[^']*'", test) for test in tests)
        ):
            chosen = [each for each in within if each.link in wanted]
            if {each.link for each in chosen} != set(wanted):
                return None
        elif " or " not in where and all(re.fullmatch(r"linkId ?!= ?'[^']*'", test) for test in tests):
            chosen = [each for each in within if each.link not in wanted]
        else:
            return None
    return [each.link for each in chosen]


def decimal(value: Fraction) -> str | None:
    """A number as a definition writes it; ``None`` where no decimal is exact."""
    text = number(value)
    return None if " / " in text else text
