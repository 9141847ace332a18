"""Reading a table of pairs: scores before and after as numbers, every column as it stands, and its faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from api.cli.errors import UnusableInput
from api.cli.tabular import MOST_KEPT, Chunk, Numbers, Reader, RowFault
from scoring.cutoffs import LARGEST_SCORE

PRE, POST = "pre", "post"
SHOWN: Final = 5
"""Faults that a message names; the others are counted."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_MISSING = ("", "NA")
"""Cells of CSV without a score: empty, and what R writes."""
_DETAILS = {
    "not-a-number": "not a number; leave the cell of a missing score empty",
    "not-finite": "not a finite score",
}


@dataclass(frozen=True)
class Pairs:
    """All rows of a file. NaN is a missing score; ``chunks`` hold the columns that pass through."""

    pre: npt.NDArray[np.float64]
    post: npt.NDArray[np.float64]
    chunks: list[Chunk]
    names: list[str]
    repeated: tuple[int, int] | None
    """The rows of the first id that occurs twice."""
    schema: Any


class Decimals(Numbers):
    """Texts of cells as numbers: NaN where missing, infinite where the text is no number."""

    def __missing__(self, text: str) -> float:
        bare = text.strip()
        number = np.nan if bare in _MISSING else float(bare) if _NUMBER.fullmatch(bare) else np.inf
        if len(self) < MOST_KEPT:
            self[text] = number
        return number


def read_pairs(path: Path, *, fixed: bool) -> Pairs:
    """The whole of a file.

    Parameters
    ----------
    fixed
        Whether what is written has a fixed set of columns (:class:`api.cli.tabular.Reader`).

    Raises
    ------
    UnusableInput
        The file cannot be read, lacks a column, or has cells that are no scores: then with the rows of the first ones.
    """
    reader = Reader(path, (PRE, POST), fixed=fixed, keep=True, numbers=Decimals)
    chunks: list[Chunk] = []
    columns: dict[str, list[npt.NDArray[np.float64]]] = {PRE: [], POST: []}
    faults: list[RowFault] = []
    given: set[str] = set()
    with closing(reader.chunks()) as read:
        for chunk in read:
            given.update(chunk.answers.columns.tolist())
            faults += _broken(chunk)
            for name, parts in columns.items():
                values, found = _scores(chunk, name)
                parts.append(values)
                faults += found
            chunks.append(chunk)
    _check_columns(reader, given)
    if faults:
        raise UnusableInput(f"{path}: {_told(sorted(faults, key=lambda fault: fault.row))}")
    pre, post = (np.concatenate(columns[name]) for name in (PRE, POST))
    names = list(dict.fromkeys(name for chunk in chunks for name in chunk.others))
    return Pairs(pre, post, chunks, names, _repeated(chunks), reader.schema)


def _check_columns(reader: Reader, given: set[str]) -> None:
    missing = [name for name in (PRE, POST) if name not in given]
    if missing:
        hint = "; is the separator a comma?" if any(";" in name or "\t" in name for name in reader.others) else ""
        raise UnusableInput(f"{reader.path}: there is no column named {' and none named '.join(missing)}{hint}")


def _broken(chunk: Chunk) -> Iterator[RowFault]:
    for row, (code, detail) in chunk.broken.items():
        yield RowFault(chunk.first_row + row, _line(chunk, row), "", code, detail)


def _line(chunk: Chunk, row: int) -> int | None:
    return None if chunk.lines is None else chunk.lines[row]


def _scores(chunk: Chunk, name: str) -> tuple[npt.NDArray[np.float64], list[RowFault]]:
    """A column as numbers, and its cells that are none; a member that no row of the chunk has is missing in all."""
    if name not in chunk.answers:
        return np.full(len(chunk.answers), np.nan), []
    column = chunk.answers[name]
    if chunk.code_of is not None:  # CSV: infinite is what is no number, or one too large to be a float
        values = column.to_numpy(np.float64)
        wrong = {int(row): _code_of_text(chunk, int(row), name) for row in np.flatnonzero(np.isinf(values))}
    elif pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        values, wrong = column.to_numpy(np.float64, na_value=np.nan), {}
    else:
        values, wrong = _plain(column.astype(object).tolist())
    for row in np.flatnonzero(np.abs(values) > LARGEST_SCORE).tolist():
        wrong.setdefault(row, "not-finite")
    faults = [RowFault(chunk.first_row + row, _line(chunk, row), name, code, _DETAILS[code])
              for row, code in wrong.items() if row not in chunk.broken]  # fmt: skip
    return values, faults


def _code_of_text(chunk: Chunk, row: int, name: str) -> str:
    text = str(chunk.others[name][row]).strip()
    return "not-finite" if _NUMBER.fullmatch(text) else "not-a-number"


def _plain(cells: list[Any]) -> tuple[npt.NDArray[np.float64], dict[int, str]]:
    """Cells of any type as numbers: what is no number at all is refused, with its place."""
    values, wrong = np.full(len(cells), np.nan), {}
    for row, cell in enumerate(cells):
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            try:
                values[row] = cell
            except OverflowError:
                wrong[row] = "not-finite"
        elif not (cell is None or cell is pd.NA):
            wrong[row] = "not-a-number"
    return values, wrong


def _told(faults: list[RowFault]) -> str:
    def one(fault: RowFault) -> str:
        line = "" if fault.line is None else f" (line {fault.line})"
        return f"row {fault.row}{line}{f', column {fault.column}' if fault.column else ''}: {fault.detail}"

    shown = ". ".join(one(fault) for fault in faults[:SHOWN])
    return shown if len(faults) <= SHOWN else f"{shown}. And {len(faults) - SHOWN} more"


def _repeated(chunks: list[Chunk]) -> tuple[int, int] | None:
    """The rows of the first id that occurs again; a person who is in a sample twice counts twice in its moments."""
    ids: list[Any] = []
    for chunk in chunks:
        column: Any = chunk.others.get("id", ())
        ids += column if isinstance(column, list | tuple) else (c if c is None else str(c) for c in column.to_pylist())
    if len(set(ids)) == len(ids):
        return None
    first: dict[Any, int] = {}
    for row, cell in enumerate(ids, start=1):
        if cell and first.setdefault(cell, row) != row:
            return first[cell], row
    return None
