"""NDJSON: one JSON object a line. Values that pass through keep their text, so that 1.10 stays 1.10."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pandas as pd

from api.cli.errors import UnusableInput
from api.cli.tabular import ROWS, Chunk

LONGEST_LINE = 1 << 24
_PLAIN = (str, bool, int, type(None))
_SPACE = " \t\r\n"


class JsonLines:
    """Lines of objects, read in chunks. ``fixed``: members that pass through must all occur in the first chunk.

    ``keep``: items pass through too, beside being read.
    """

    def __init__(self, path: Path, items: Sequence[str], *, fixed: bool, keep: bool = False) -> None:
        self.path, self.items, self.fixed, self.keep = path, frozenset(items), fixed, keep
        self._decode = json.JSONDecoder(parse_constant=_no_constant)

    def chunks(self, raw: BinaryIO) -> Iterator[Chunk]:
        """All rows."""
        rows: list[dict[str, Any]] = []
        lines: list[int] = []
        others: list[str] = []
        done = line = 0
        while text := raw.readline(LONGEST_LINE + 1):
            line += 1
            if len(text) > LONGEST_LINE:
                raise UnusableInput(f"{self.path}: line {line} is longer than {LONGEST_LINE} bytes")
            if line == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if not text.strip():
                continue
            rows.append(self._row(text, line))
            lines.append(line)
            if len(rows) == ROWS:
                others = self._others(rows, lines, others if done else None)
                yield self._chunk(rows, lines, others, done)
                done, rows, lines = done + len(rows), [], []
        if rows or not done:
            yield self._chunk(rows, lines, self._others(rows, lines, others if done else None), done)

    def _row(self, text: bytes, line: int) -> dict[str, Any]:
        """One line; members that are no items as the JSON text of their value."""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise UnusableInput(f"{self.path}: line {line} is not JSON in UTF-8") from None
        if not isinstance(found, dict):
            raise UnusableInput(f"{self.path}: line {line} is not a JSON object") from None
        row: dict[str, Any] = {}
        # more colons than members: a member may occur twice, which a dictionary would hide
        if text.count(b":") == len(found):
            for name, value in found.items():
                if name in self.items:
                    row[name] = value
                elif type(value) in _PLAIN:
                    row[name] = value if type(value) is str else JsonText(orjson.dumps(value))
                else:
                    return self._exactly(text.decode(), line)
            return row
        return self._exactly(text.decode(), line)

    def _exactly(self, text: str, line: int) -> dict[str, Any]:
        """The same, member by member, with the text of each value as it stands."""
        row: dict[str, Any] = {}
        at = _skip(text, text.index("{") + 1)
        while text[at] != "}":
            name, at = self._decode.raw_decode(text, at)
            if name in row:
                raise UnusableInput(f"{self.path}: line {line} has the member {name!r} twice")
            start = _skip(text, _skip(text, at) + 1)
            value, at = self._decode.raw_decode(text, start)
            row[name] = value if name in self.items or type(value) is str else JsonText(text[start:at].encode())
            at = _skip(text, at)
            if text[at] == ",":
                at = _skip(text, at + 1)
        return row

    def _others(self, rows: list[dict[str, Any]], lines: list[int], before: list[str] | None) -> list[str]:
        found = dict.fromkeys(name for row in rows for name in row if self.keep or name not in self.items)
        if before is None or not self.fixed:
            return list(found)
        new = next((name for name in found if name not in before), None)
        if new is not None:
            line = next(line for row, line in zip(rows, lines, strict=True) if new in row)
            remedy = f"write NDJSON, or give it in the first {ROWS} lines"
            raise UnusableInput(f"{self.path}: line {line} brings a new member {new!r}; {remedy}")
        return before

    def _chunk(self, rows: list[dict[str, Any]], lines: list[int], others: list[str], done: int) -> Chunk:
        given = dict.fromkeys(name for row in rows for name in row if name in self.items)
        answers = {name: _column([row.get(name) for row in rows]) for name in given}
        kept: dict[str, Any] = {name: [row.get(name) for row in rows] for name in others}
        for name in self.items.intersection(others):  # read as they are: a null is there, other than what is absent
            kept[name] = [_NULL if row.get(name, _NULL) is None else row.get(name) for row in rows]
        return Chunk(done + 1, pd.DataFrame(answers, index=range(len(rows))), kept, lines)


class JsonText(bytes):
    """The JSON text of a value that is no string."""


_NULL = JsonText(b"null")


def _column(cells: list[Any]) -> pd.Series[Any]:
    """Floats where all are small plain numbers; anything else keeps its type, to be refused with the right words."""
    plain = all(cell is None or type(cell) is float or (type(cell) is int and abs(cell) < 2**53) for cell in cells)
    return pd.Series(cells, dtype="float64" if plain else "object")


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _no_constant(name: str) -> Any:
    raise ValueError(name)
