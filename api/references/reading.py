"""Data that were sent in to be fitted: `id,weeks,score`, read with every fault told, and the ids left behind."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

HEADER: Final = ("id", "weeks", "score")
LONGEST_ID: Final = 200
MOST_WEEKS: Final = 2_600.0

Fault = tuple[str, str, str]
"""Member of the body, code, and what would have been right."""


@dataclass
class Columns:
    """Scores in long form; persons are numbered in order of appearance."""

    ids: list[int] = field(default_factory=list)
    weeks: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read(text: str, *, low: float, high: float, most_faults: int = 100) -> Columns:
    """Read a table.

    Parameters
    ----------
    low, high
        The ends of the scale: a score beyond them is none of it.
    most_faults
        After so many no more are looked for.

    Returns
    -------
    Columns
        With ``faults``, each saying the line, where anything is wrong. Rows without a score are left out.
    """
    found, numbers = Columns(), dict[str, int]()
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(rows, []))
        if header != HEADER:
            found.faults.append(("data", "header", f"begins with the line {','.join(HEADER)}"))
            return found
        for row in rows:
            if len(found.faults) >= most_faults:
                break
            if row:
                found.faults.extend(_taken(row, rows.line_num, found, numbers, low, high))
    except csv.Error:
        found.faults.append(("data", "not-csv", f"is CSV; line {rows.line_num} is not"))
    return found


def _taken(
    row: list[str], line: int, found: Columns, numbers: dict[str, int], low: float, high: float
) -> Iterator[Fault]:
    if len(row) != len(HEADER):
        yield "data", "columns", f"has {len(HEADER)} columns in each line; line {line} has {len(row)}"
        return
    name, weeks, score = (cell.strip() for cell in row)
    week, value = _number(weeks), _number(score)
    wrong = False
    if not 0 < len(name) <= LONGEST_ID:
        yield "data", "id", f"names a person in each line, in at most {LONGEST_ID} characters; line {line} does not"
        wrong = True
    if week is None or not 0 <= week <= MOST_WEEKS:
        yield "data", "weeks", f"has weeks from 0 to {MOST_WEEKS:g} in each line; line {line} has not"
        wrong = True
    if score and (value is None or not low <= value <= high):
        yield "data", "score", f"has scores from {low:g} to {high:g}, or none; line {line} has another"
        wrong = True
    if not wrong and score and week is not None and value is not None:
        found.ids.append(numbers.setdefault(name, len(numbers)))
        found.weeks.append(week)
        found.scores.append(value)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
