"""From lines to one body a response, as it would be sent to `POST /v1/responses`: NDJSON, and CSV with a row each.

What a cell cannot say by itself (a number, yes or no) is made of its text here; whether it is right is checked later,
in one place for all formats. Columns are named by the members of the body and by items.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import Any, Final

from api.imports.faults import RowFault
from api.imports.reading import LONGEST_LINE, FileUnusable
from api.security import strict

DEEPEST: Final = 8
"""Nesting of one line of NDJSON; a response has two levels."""
MEMBERS: Final = (
    "client_id",
    "external_id",
    "instrument",
    "version",
    "variant",
    "answered_at",
    "setting",
    "episode_id",
    "partnered",
    "active",
    "response_id",
)
"""Columns that are no items."""
CLIENT: Final = ("client_id", "external_id")
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}(?:\.0*)?")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{0,15}\.[0-9]{1,15}")
_MOST_KEPT: Final = 4_096


@dataclass(slots=True)
class Given:
    """A row as it was given: its number, the line that it begins at, and its body, or why it has none."""

    row: int
    line: int
    body: dict[str, Any]
    fault: RowFault | None = None


def ndjson(lines: Iterable[bytes | None]) -> Iterator[Given]:
    """One object a line; blank lines are no rows."""
    row = 0
    for line, text in enumerate(lines, 1):
        if text is not None and not text.strip():
            continue
        row += 1
        if text is None:
            yield _broken(row, line, "line-too-long", f"a line has at most {LONGEST_LINE} bytes")
            continue
        try:
            body, unfit = strict.read(text, DEEPEST)
        except strict.NotStrict as error:
            yield _broken(row, line, error.code, str(error))
        except json.JSONDecodeError:
            yield _broken(row, line, "not-json", "the line is not one JSON object")
        except ValueError:
            yield _broken(row, line, "not-utf-8", "the line is not UTF-8")
        else:
            if unfit:
                found = unfit[0]
                yield Given(row, line, {}, RowFault(row, line, found["pointer"], found["code"], found["detail"]))
            elif isinstance(body, dict):
                yield Given(row, line, body)
            else:
                yield _broken(row, line, "not-json", "the line is not one JSON object")


def _broken(row: int, line: int, code: str, detail: str) -> Given:
    return Given(row, line, {}, RowFault(row, line, "", code, detail))


class Numbers(dict[str, Any]):
    """Texts of cells as answers: None where empty, a number, or the text itself, which is refused later."""

    def __missing__(self, text: str) -> Any:
        bare = text.strip()
        value: Any = text
        if not bare:
            value = None
        elif _WHOLE.fullmatch(bare):
            value = int(bare.partition(".")[0])
        elif _DECIMAL.fullmatch(bare):
            value = float(bare)
        if len(self) < _MOST_KEPT:
            self[text] = value
        return value


def member(name: str, text: str) -> Any:
    """The value of a member of the body, from the text of its cell."""
    if name == "version":
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    if name in ("partnered", "active"):
        return _TRUTH.get(text.lower(), text)
    return text


@dataclass(slots=True)
class Record:
    """A row of CSV: its cells, or why they are not to be used."""

    row: int
    line: int
    cells: list[str]
    fault: RowFault | None = None


class Table:
    """A CSV file in UTF-8 with commas: its header, then its rows.

    Raises
    ------
    FileUnusable
        There is no header, or no more rows can be told apart.
    """

    def __init__(self, lines: Iterable[bytes | None]) -> None:
        self._reader = csv.reader(self._texts(lines), strict=True)
        header = self._next()
        if header is None:
            raise FileUnusable("no-header", "the file is empty; its first line names the columns")
        if any(not _is_text(name) for name in header):
            raise FileUnusable("not-utf-8", "line 1 is not UTF-8; save the file as UTF-8")
        self.header = [name.strip() for name in header]
        twice = sorted({name for name in self.header if self.header.count(name) > 1})
        if twice:
            raise FileUnusable("duplicate-column", f"two columns are named {twice[0][:64]!r}")

    def _texts(self, lines: Iterable[bytes | None]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if line is None:
                raise FileUnusable("line-too-long", f"line {number} has more than {LONGEST_LINE} bytes")
            yield line.decode("utf-8", "surrogateescape") + "\n"

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error:
            raise FileUnusable("not-csv", f"line {self._reader.line_num} is not CSV: look at its quotes") from None

    def rows(self) -> Iterator[Record]:
        """All rows; lines without any cell are none."""
        width, row = len(self.header), 0
        before = self._reader.line_num
        while (cells := self._next()) is not None:
            line, before = before + 1, self._reader.line_num
            if not cells:
                continue
            row += 1
            record = Record(row, line, cells)
            if len(cells) != width:
                detail = f"the row has {len(cells)} cells, the header {width}"
                record.fault = RowFault(row, line, "", "wrong-length", detail)
            elif not _is_text("".join(cells)):
                record.fault = RowFault(row, line, "", "not-utf-8", f"line {line} is not UTF-8")
            yield record


def _is_text(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def check_header(header: list[str], needed: Iterable[tuple[str, ...]], known: Collection[str] | None) -> None:
    """Refuse a header that lacks a column, or has one that means nothing: what it holds would be lost without a word.

    Parameters
    ----------
    needed
        Groups of names of which one has to be there.
    known
        Names of all columns that there may be; None: any may be an item.

    Raises
    ------
    FileUnusable
    """
    for group in needed:
        if not set(group) & set(header):
            hint = "; is the separator a comma?" if len(header) == 1 and re.search(r"[;\t]", header[0]) else ""
            raise FileUnusable("missing-column", f"no column is named {' or '.join(group)}{hint}")
    for name in header:
        if not name or (known is not None and name not in known):
            close = get_close_matches(name, known or (), 1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it, or name it as the documentation says"
            raise FileUnusable("unknown-column", f"column {name[:64]!r} is neither a member nor an item{hint}")


def wide(lines: Iterable[bytes | None], instrument: str | None, items: Collection[str] | None) -> Iterator[Given]:
    """CSV with one row a response: the members' columns, and one for each item, empty where it is unanswered.

    Parameters
    ----------
    instrument
        Of all rows; None: a column names it.
    items
        What answers may be given under; None where rows are of several instruments.
    """
    table = Table(lines)
    if items is not None and (both := sorted(set(items) & set(MEMBERS))):
        raise FileUnusable("ambiguous-column", f"item {both[0]!r} has the name of a member: send NDJSON")
    needed = [CLIENT, ("answered_at",)] + ([("instrument",)] if instrument is None else [])
    check_header(table.header, needed, None if items is None else {*MEMBERS, *items})
    members = [(place, name) for place, name in enumerate(table.header) if name in MEMBERS]
    answered = [(place, name) for place, name in enumerate(table.header) if name not in MEMBERS]
    names = [name for _, name in answered]
    pick = _picked([place for place, _ in answered])
    numbers = Numbers()
    for record in table.rows():
        if record.fault is not None:
            yield Given(record.row, record.line, {}, record.fault)
            continue
        cells = record.cells
        values = map(numbers.__getitem__, pick(cells))
        body: dict[str, Any] = {
            "answers": {name: value for name, value in zip(names, values, strict=True) if value is not None}
        }
        for place, name in members:
            if text := cells[place].strip():
                body[name] = member(name, text)
        yield Given(record.row, record.line, body)


def _picked(places: list[int]) -> Any:
    if len(places) == 1:
        return lambda cells: (cells[places[0]],)
    return itemgetter(*places) if places else lambda _: ()
