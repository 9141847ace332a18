"""What is wrong with a row: where and what, never the value. Kept for a while, as far as there is room."""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_KEPT: Final = 100_000
"""Faults kept of one import; how many there were in all is told."""
LONGEST_POINTER: Final = 200


class RowFault(NamedTuple):
    """``row`` counts responses in the file (cells in the long layout) from 1, ``line`` its lines."""

    row: int
    line: int
    pointer: str
    code: str
    detail: str
