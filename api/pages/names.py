"""What people and things are called on pages. The service knows no names: a client is the record system's number."""

from __future__ import annotations

import uuid
from typing import Final

from api.clients.codes import CODES

SHAPES: Final = {"recovered": "◆", "improved": "◆", "unchanged": "●", "deteriorated": "▲", "harmed": "▲"}
"""Beside the words of a category, as in the pictures, so that nothing rests on colour."""
TONES: Final = {
    "recovered": "better",
    "improved": "better",
    "unchanged": "same",
    "deteriorated": "worse",
    "harmed": "worse",
}


def called(client_id: uuid.UUID | str, external_id: str | None) -> str:
    """A client in a heading or a list.

    Examples
    --------
    >>> called("0192f3a1-0000-7000-8000-00000000beef", None), called("…", "A-17")
    ('without a number (0000beef)', 'A-17')
    """
    return external_id or f"without a number ({str(client_id)[-8:]})"


def meaning(code_list: str, code: str | None) -> str | None:
    """What a code of a list stands for; the code where the list does not have it any more."""
    known = {one.code: one.meaning for one in getattr(CODES, code_list)}
    return None if code is None else known.get(code, code)
