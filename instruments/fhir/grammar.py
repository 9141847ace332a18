"""Pieces of FHIRPath as they are written here, read back. Whatever has another form is ``None``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from instruments.items import GATE, RATING

DECIMAL: Final = r"-?\d{1,30}(?:\.\d{1,30})?"
NUMBER: Final = rf"{DECIMAL}(?: / [1-9]\d{{0,29}})?"
SIGNED: Final = rf"(?:\({NUMBER}\)|{NUMBER})"
SIGNED_DECIMAL: Final = rf"(?:\({DECIMAL}\)|{DECIMAL})"
LINKS: Final = r"linkId (?:= '[^']*'|in \((?:'[^']*' \| )*'[^']*'\))"
_QUOTED: Final = re.compile(r"'([^']*)'")
LONGEST: Final = 20_000
"""Characters of an expression that is looked at: what is taken apart has to be short."""
COMBINE: Final = ".combine("
_PAIRS: Final = {"(": ")", "{": "}"}


def fraction(text: str) -> Fraction:
    """A number as it is written, in brackets or not."""
    top, _, bottom = text.strip("()").partition(" / ")
    return Fraction(top) / Fraction(bottom or 1)


def strings(text: str) -> list[str]:
    """Every string in a text."""
    return _QUOTED.findall(text)


def split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand outside of brackets and quotes."""
    parts: list[str] = []
    depth, quoted, start, at = 0, False, 0, 0
    while at < len(text):
        char = text[at]
        if char == "'":
            quoted = not quoted
        elif not quoted and char in _PAIRS:
            depth += 1
        elif not quoted and char in _PAIRS.values():
            depth -= 1
        elif not quoted and depth == 0 and text.startswith(separator, at):
            parts.append(text[start:at])
            start = at = at + len(separator)
            continue
        at += 1
    parts.append(text[start:])
    return parts


def arguments(text: str, function: str) -> list[str] | None:
    """The arguments, where the whole text is one call of a function."""
    if not text.startswith(f"{function}(") or not text.endswith(")"):
        return None
    inside = text[len(function) + 1 : -1]
    return split(inside, ", ") if balanced(inside) else None


def bracketed(text: str) -> str | None:
    """What is inside, where the whole text is one pair of brackets."""
    return text[1:-1] if text.startswith("(") and text.endswith(")") and balanced(text[1:-1]) else None


def combined(text: str) -> list[str]:
    """The collections that a text joins by ``combine``, the first one included; one alone where it joins none."""
    found = [split(text, COMBINE)[0]]
    at = len(found[0])
    while at < len(text):
        end = _closing(text, at + len(COMBINE)) if text.startswith(COMBINE, at) else None
        if end is None:
            return [text]
        found.append(text[at + len(COMBINE) : end])
        at = end + 1
    return found


def _closing(text: str, start: int) -> int | None:
    """Where the bracket stands that closes one that was opened just before ``start``."""
    depth, quoted = 0, False
    for at in range(start, len(text)):
        char = text[at]
        if char == "'":
            quoted = not quoted
        elif not quoted and char in _PAIRS:
            depth += 1
        elif not quoted and char in _PAIRS.values():
            if depth == 0:
                return at
            depth -= 1
    return None


def balanced(text: str) -> bool:
    """Whether every bracket that closes was opened in this text, and every one that opens is closed."""
    depth, quoted = 0, False
    for char in text:
        if char == "'":
            quoted = not quoted
        elif not quoted and char in _PAIRS:
            depth += 1
        elif not quoted and char in _PAIRS.values():
            depth -= 1
            if depth < 0:
                return False
    return depth == 0 and not quoted


def ids_of(links: list[str], ids: Mapping[str, str]) -> list[str] | None:
    """The items that links stand for, each once: the two steps of an item are that item."""
    found: dict[str, None] = {}
    for link in links:
        stem, _, step = link.rpartition(".")
        name = ids.get(link) or (ids.get(stem) if step in (GATE, RATING) else None)
        if name is None:
            return None
        found[name] = None
    return list(found)
