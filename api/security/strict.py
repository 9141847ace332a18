"""JSON read strictly: no member twice, no NaN or Infinity. Two readers of the same text never see different values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson


class NotStrict(ValueError):
    """JSON that readers understand differently; `code` names the fault."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict("duplicate-member", "an object has the same member twice")
    return found


def _constant(_: str) -> NoReturn:
    raise NotStrict("not-a-number", "NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant)


def loads(data: bytes) -> Any:
    """The value of UTF-8 JSON text.

    Raises
    ------
    NotStrict
        Valid for lax readers only, or nested or with numbers beyond what the reader can hold.
    ValueError
        Not JSON, or not UTF-8.

    Examples
    --------
    >>> loads(b'{"a": 1}')
    {'a': 1}
    """
    value = _ordinary(data)
    if value is not _NOT_ORDINARY:
        return value
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise NotStrict("too-deep", "the nesting is too deep") from None
    except (NotStrict, json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # the interpreter's limit on the digits of an integer
        raise NotStrict("number-out-of-range", "a number has too many digits") from None


LARGEST_INTEGER = 2**53 - 1
"""Beyond it JSON readers that use doubles see another number (RFC 8259, section 6)."""
_MOST_ORDINARY_NESTING = 32
_NOT_ORDINARY = object()
_NAMES = re.compile(rb'"[ \t\n\r]*:')


def _ordinary(data: bytes) -> Any:
    """The value, several times as fast, of text that can only have one; `_NOT_ORDINARY` leaves it to the slow reader.

    orjson refuses NaN and bad UTF-8, but of a member that occurs twice it keeps the last. A quote with a colon after it
    ends a name, or stands inside a string: where there are as many of them as members were kept, none was lost.
    """
    if data.count(b"[") + data.count(b"{") > _MOST_ORDINARY_NESTING:
        return _NOT_ORDINARY
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _NOT_ORDINARY
    return value if _members_in([value]) == len(_NAMES.findall(data)) else _NOT_ORDINARY


def _members_in(value: dict[str, Any] | list[Any]) -> int:
    """How many members the objects within have; below zero where a number lies beyond `LARGEST_INTEGER`."""
    count = len(value) if isinstance(value, dict) else 0
    inside: Iterable[Any] = value.values() if isinstance(value, dict) else value
    for inner in inside:
        kind = type(inner)
        if kind is int or kind is float:
            if not -LARGEST_INTEGER <= inner <= LARGEST_INTEGER:
                return -1
        elif kind is dict or kind is list:
            further = _members_in(inner)
            if further < 0:
                return -1
            count += further
    return count


def read(data: bytes, deepest: int) -> tuple[Any, list[dict[str, str]]]:
    """The value of a request's body, as `loads`, and what makes it unfit to be stored, as `faults`.

    Ordinary bodies, flat and without escapes, are looked through once.
    """
    value = _ordinary(data)
    if value is _NOT_ORDINARY:
        value = loads(data)
    elif data.count(b"[") + data.count(b"{") <= deepest and b"\\u" not in data:
        return value, []
    return value, faults(data, value, deepest)


_ENOUGH_FAULTS = 20


def faults(data: bytes, value: Any, deepest: int) -> list[dict[str, str]]:
    """What makes a value that was read from ``data`` unfit to be stored, each with pointer, code and detail.

    Nesting beyond ``deepest``; numbers beyond 2^53 - 1 (integers) or a double's range; NUL, which PostgreSQL does not
    take in text; and lone surrogates, which UTF-8 cannot write. Ordinary bodies pay for one quick look.
    """
    if data.count(b"[") + data.count(b"{") <= deepest and b"\\u" not in data and _members_in([value]) >= 0:
        return []  # no escaped character, no large number
    return unfit(value, deepest)


def unfit(value: Any, deepest: int) -> list[dict[str, str]]:
    """The same without the quick look: for values that were read from another format than JSON."""
    return [] if _fits([value], deepest + 1) else _looked_for(value, deepest)


def _looked_for(value: Any, deepest: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    waiting: list[tuple[Any, str, int]] = [(value, "", 1)]
    while waiting and len(found) < _ENOUGH_FAULTS:
        here, where, depth = waiting.pop()
        if isinstance(here, str):
            fault = _text_fault(here)
        elif isinstance(here, int | float):
            fault = _number_fault(here)
        elif isinstance(here, dict | list):
            fault = ("too-deep", f"nesting has at most {deepest} levels") if depth > deepest else None
        else:
            fault = None
        if fault is not None:
            found.append({"pointer": where, "code": fault[0], "detail": fault[1]})
        elif isinstance(here, dict):
            for name, inner in here.items():
                if (fault := _text_fault(name)) is not None:  # its pointer could not be written
                    found.append({"pointer": where, "code": fault[0], "detail": f"in the name of a member: {fault[1]}"})
                else:
                    waiting.append((inner, f"{where}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1))
        elif isinstance(here, list):
            waiting.extend((inner, f"{where}/{at}", depth + 1) for at, inner in enumerate(here))
    return found


def _fits(value: dict[str, Any] | list[Any], levels: int) -> bool:
    """Whether nothing below is unfit, within ``levels``: most values are fit, and their pointers are never needed."""
    if isinstance(value, dict):
        for name in value:
            if _text_fault(name) is not None:
                return False
    for inner in value.values() if isinstance(value, dict) else value:
        kind = type(inner)
        if kind is str:
            if _text_fault(inner) is not None:
                return False
        elif kind is int or kind is float:
            if _number_fault(inner) is not None:
                return False
        elif (kind is dict or kind is list) and (levels == 1 or not _fits(inner, levels - 1)):
            return False
    return True


def _text_fault(text: str) -> tuple[str, str] | None:
    if "\0" in text:
        return "nul-character", "text has no NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "lone-surrogate", "text has no lone surrogate"
    return None


def _number_fault(number: float) -> tuple[str, str] | None:
    if isinstance(number, float) and not math.isfinite(number):
        return "number-out-of-range", "a number fits in a double"
    if isinstance(number, int) and abs(number) > LARGEST_INTEGER:
        return "number-out-of-range", f"an integer lies within plus and minus {LARGEST_INTEGER}"
    return None
