"""Expressions of caseness rules and skips read back as conditions.

As with scales, nothing is believed of what is found until it was written anew and is the same to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from instruments.fhir.grammar import LINKS, LONGEST, SIGNED_DECIMAL, arguments, bracketed, ids_of, split, strings
from instruments.items import GATE

Json = dict[str, Any]
DEEPEST = 30
_CODE = re.compile(r"%resource\.item\.where\(linkId = '(?P<link>[^']*)'\)\.answer\.value\.code (?P<codes>= .*|in .*)")
_SCORE = re.compile(
    r"%resource\.item\.where\(linkId = '(?P<link>[^']*)'\)\.answer\.value\.round\(\d\) "
    rf"(?:(?P<operator>>=|<=|>|<) (?P<number>{SIGNED_DECIMAL})|in \((?P<among>[^)]*)\))"
)
_ANSWERED = re.compile(
    rf"%resource\.item\.where\((?P<links>{LINKS}) and "
    r"answer\.value\.code (?P<codes>= '[^']*'|in \([^)]*\))\)\.count\(\)"
)
_POSSIBLE = re.compile(r"(?P<met>.*) \+ (?P<n>\d+) - \((?P<answered>.*)\) >= (?P<needed>\d+)")
_OPERATORS = {">=": "at_least", "<=": "at_most", ">": "above", "<": "below"}
_UNANSWERED = re.compile(r"%resource\.item\.where\(linkId = '(?P<link>[^']*)'.*\)\.answer\.empty\(\)")


class Conditions:
    """Reads conditions; ``ids`` are the items' by linkId, ``options`` the options of two-step items by rating."""

    def __init__(self, ids: Mapping[str, str], items: Mapping[str, Json]) -> None:
        self.ids, self.items = ids, items

    def read(self, text: str, depth: int = 0) -> Json | None:
        """The condition that an expression may stand for, as plain data."""
        if depth > DEEPEST or len(text) > LONGEST:
            return None
        for word, kind in ((" and ", "all"), (" or ", "any")):
            parts = split(text, word)
            if len(parts) > 1:
                return self._joined(kind, parts, depth)
        inner = bracketed(text.removesuffix(".not()"))
        if inner is not None:
            read = self.read(inner, depth + 1)
            if read is None:
                return None
            return {"not": read} if text.endswith(".not()") else {"all": [read]}
        return self._score(text) or self._item(text) or self._count(text)

    def _joined(self, kind: str, parts: list[str], depth: int) -> Json | None:
        inner = [bracketed(part) for part in parts]
        read = [None if each is None else self.read(each, depth + 1) for each in inner]
        return None if None in read else {kind: read}

    @staticmethod
    def _score(text: str) -> Json | None:
        found = _SCORE.fullmatch(text)
        if found is None:
            return None
        if found["among"] is not None:
            return {"scale": found["link"], "one_of": found["among"].split(" | ")}
        return {"scale": found["link"], _OPERATORS[found["operator"]]: found["number"].strip("()")}

    def _item(self, text: str) -> Json | None:
        inside = arguments(text, "iif")
        if inside is not None and len(inside) == 3 and _UNANSWERED.fullmatch(inside[0]):
            return self._item(inside[2])  # what a skip fills in is known from the skip
        if inside is not None and len(inside) == 3 and inside[1] in ("true", "false"):
            return self._two_step(inside)
        found = _CODE.fullmatch(text)
        if found is None or found["link"] not in self.ids:
            return None
        values = _numbers(strings(found["codes"]))
        return {"item": self.ids[found["link"]], "one_of": values} if values else None

    def _two_step(self, inside: list[str]) -> Json | None:
        gate, rating = _CODE.fullmatch(inside[0]), _CODE.fullmatch(inside[2])
        names = ids_of([gate["link"], rating["link"]], self.ids) if gate is not None and rating is not None else None
        steps = self.items[names[0]].get("two_step") if names is not None and len(names) == 1 else None
        if rating is None or names is None or steps is None:
            return None
        values = [steps["yes"][code] for code in strings(rating["codes"]) if code in steps["yes"]]
        return {"item": names[0], "one_of": ([steps["no"]] if inside[1] == "true" else []) + values}

    def _count(self, text: str) -> Json | None:
        inside = arguments(text, "iif")
        possible = (
            text
            if inside is None
            else next(iter((arguments(inside[2], "iif") or [""])[:1]))
            if len(inside) == 3
            else ""
        )
        found = _POSSIBLE.fullmatch(possible)
        if found is None:
            return None
        names: dict[str, None] = {}
        for each in _ANSWERED.finditer(found["answered"]):
            names |= dict.fromkeys(ids_of(strings(each["links"]), self.ids) or [])
        values = self.values(found["met"])
        if not names or not values:
            return None
        read: Json = {"count": list(names), "one_of": sorted(values), "needed": int(found["needed"])}
        return read | {"or_missing": True} if inside is None else read

    def values(self, text: str) -> set[int]:
        """The options that a count of answers counts, those of all its questions together."""
        found: set[int] = set()
        for each in _ANSWERED.finditer(text):
            codes = strings(each["codes"])
            for link in strings(each["links"]):
                for name in ids_of([link], self.ids) or ():
                    steps = self.items[name].get("two_step")
                    if steps is None:
                        found |= set(_numbers(codes))
                    elif link.endswith(f".{GATE}"):
                        found.add(steps["no"])
                    else:
                        found |= {steps["yes"][code] for code in codes if code in steps["yes"]}
        return found


def _numbers(codes: list[str]) -> list[int]:
    """The options that codes are; others than whole numbers are none."""
    return [int(code) for code in codes if re.fullmatch(r"-?\d{1,5}", code)]
