"""Faults that services find in what a form has sent, in the words of a page and by the names of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from api.problems import RequestInvalid

_WORDS: Final = {
    "date_format": "Give a day that there is, such as 2026-03-06.",
    "date_from_datetime_parsing": "Give a day that there is, such as 2026-03-06.",
    "int_type": "Give a whole number.",
    "missing": "Choose one.",
    "unknown_code": "Choose one.",
}

_CODES: Final = {"missing": "This is needed."}


def in_words(fault: Mapping[str, Any]) -> str:
    """What one fault of a schema says to people.

    Examples
    --------
    >>> in_words({"type": "length", "msg": "has 1 to 9 characters besides surrounding space"})
    'Write 1 to 9 characters.'
    """
    told = str(fault["msg"])
    if fault["type"] == "length":
        return f"Write {told.removeprefix('has ').removesuffix(' besides surrounding space')}."
    return _WORDS.get(fault["type"], told)


def faults_of(error: ValidationError | RequestInvalid) -> dict[str, str]:
    """Each field's first fault."""
    found: dict[str, str] = {}
    if isinstance(error, ValidationError):
        for one in error.errors(include_url=False, include_input=False):
            name, *rest = one["loc"]
            place = f"-{rest[0]}" if rest and isinstance(rest[0], int) else ""  # of a list, each is a field
            found.setdefault(f"{name}{place}", in_words(one))
    else:
        for fault in error.errors:
            found.setdefault(str(fault["pointer"]).lstrip("/"), _CODES.get(fault["code"], str(fault["detail"])))
    return found


def version_in(form: dict[str, str]) -> str:
    """The version of a thing that a form is about, which may go into an entity tag; 0, which none has, for another."""
    given = form.get("version", "")
    return given if given.isascii() and given.isdigit() else "0"


def whole(text: str) -> int | str | None:
    """What a field says, as a number if it is one; None where it is empty. What is no number is left to be refused."""
    text = text.strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else text or None
