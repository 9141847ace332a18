"""Reading and writing tables of answers in chunks: CSV, NDJSON and Parquet, by suffix.

A chunk holds at most ``ROWS`` rows, so that a file of any size takes the same memory. Columns that are no items pass
through: in CSV and Parquet as they are, in NDJSON as the text of the value, so that no number is written anew.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from api.cli.errors import UnusableInput

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 32_768
FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet", ".pq": "parquet"}
STANDARD_STREAM = Path("-")
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_DECIMAL = re.compile(r"[+-]?[0-9]*\.[0-9]+")
MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing wrong in one row. ``line`` is None where the format has no lines."""

    row: int
    line: int | None
    column: str
    code: str
    detail: str


@dataclass(slots=True)
class Chunk:
    """Some rows in a row: the answers, and the other columns."""

    first_row: int
    answers: pd.DataFrame
    others: dict[str, Sequence[Any] | pa.Array]
    lines: list[int] | None = None
    broken: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Rows of the chunk that could not be read as a row, with code and detail."""
    code_of: Callable[[int, str], str] | None = None
    """The code of a fault, where the format knows it better than the numbers do."""


def format_of(path: Path) -> str:
    """The format that a file name stands for; standard input and output are CSV.

    Raises
    ------
    UnusableInput
        The suffix stands for none.
    """
    if path == STANDARD_STREAM:
        return "csv"
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise UnusableInput(f"{path}: the name must end in {', '.join(FORMATS)}") from None


class Numbers(dict[str, float]):
    """Texts of cells as numbers: NaN where empty, infinite where the text is no number."""

    def __missing__(self, text: str) -> float:
        bare = text.strip()
        if not bare:
            number = np.nan
        elif _WHOLE.fullmatch(bare) or _DECIMAL.fullmatch(bare):
            number = float(bare)
        else:
            number = np.inf
        if len(self) < MOST_KEPT:
            self[text] = number
        return number


def code_of_text(text: str) -> str:
    """What is wrong with the text of a cell that is no option."""
    bare = text.strip()
    if _WHOLE.fullmatch(bare):
        return "not-an-option"
    return "not-whole" if _DECIMAL.fullmatch(bare) else "not-a-number"


class Reader:
    """A file of answers, chunk by chunk. ``done`` and ``size`` tell how far it is, in bytes or rows.

    ``keep``: items pass through too, beside being read. ``numbers``: how the texts of CSV become numbers.
    """

    def __init__(
        self,
        path: Path,
        items: Sequence[str],
        *,
        fixed: bool = True,
        keep: bool = False,
        numbers: type[Numbers] | None = None,
    ) -> None:
        self.path, self.items, self.fixed, self.keep = path, frozenset(items), fixed, keep
        self._numbers = numbers or Numbers
        self.given: list[str] = []
        """Items that the file has a column for."""
        self.others: list[str] = []
        """Columns that pass through."""
        self.size = 0
        self.schema: pa.Schema | None = None
        self._raw: BinaryIO | None = None
        self._rows_done = 0
        self.format = format_of(path)

    @property
    def done(self) -> int:
        """How far the file is read, in the unit of ``size``."""
        return self._rows_done if self.format == "parquet" or self._raw is None else self._raw.tell()

    def chunks(self) -> Generator[Chunk, None, None]:
        """All rows. The columns are known before the first chunk is given.

        Raises
        ------
        UnusableInput
            The file cannot be read, or not as what its name says.
        """
        try:
            if self.format == "parquet":
                yield from self._parquet()
            elif self.path == STANDARD_STREAM:
                yield from self._csv(sys.stdin.buffer)
            else:
                self.size = self.path.stat().st_size
                with self.path.open("rb") as raw:
                    self._raw = raw
                    yield from self._csv(raw) if self.format == "csv" else self._ndjson(raw)
        except UnicodeDecodeError:
            raise UnusableInput(f"{self.path}: not UTF-8 after row {self._rows_done}; save it as UTF-8") from None
        except OSError as error:
            raise UnusableInput(f"{self.path}: cannot be read: {error.strerror or 'not this format'}") from None

    def _columns(self, header: Sequence[str]) -> None:
        """Tell items from other columns; a name with spaces around an item id is that item."""
        bare = [name.strip() if name.strip() in self.items else name for name in header]
        twice = sorted({name for name in bare if bare.count(name) > 1})
        if twice:
            raise UnusableInput(f"{self.path}: two columns are named {twice[0]!r}; give each a name of its own")
        self.given = [name for name in bare if name in self.items]
        self.others = [name for name in bare if self.keep or name not in self.items]

    def _csv(self, raw: BinaryIO) -> Iterator[Chunk]:
        text = TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise UnusableInput(f"{self.path}: the file is empty; its first line must name the columns")
            self._columns(header)
            places = {name.strip() if name.strip() in self.items else name: n for n, name in enumerate(header)}
            width, numbers = len(header), self._numbers()
            rows: list[list[str]] = []
            lines: list[int] = []
            before = reader.line_num
            for row in reader:
                if row or width == 1:  # elsewhere a line without any cell is no row
                    rows.append(row)
                    lines.append(before + 1)
                before = reader.line_num
                if len(rows) == ROWS:
                    yield self._of_texts(rows, lines, places, numbers)
                    rows, lines = [], []
            yield self._of_texts(rows, lines, places, numbers)
        except csv.Error as error:
            raise UnusableInput(f"{self.path}: line {reader.line_num}: not CSV: {error}") from None
        finally:
            text.detach()  # the file is closed by whoever opened it

    def _of_texts(self, rows: list[list[str]], lines: list[int], places: dict[str, int], numbers: Numbers) -> Chunk:
        width, broken = len(places), {}
        for number, row in enumerate(rows):
            if len(row) != width:
                if width == 1 and not row:
                    rows[number] = [""]
                    continue
                broken[number] = ("wrong-length", f"the row has {len(row)} cells, the header {width}")
                rows[number] = [*row[:width], *[""] * (width - len(row))]
        columns: list[Sequence[str]] = list(zip(*rows, strict=True)) if rows else [()] * width
        texts = {name: columns[places[name]] for name in self.given}
        values = {
            name: np.fromiter(map(numbers.__getitem__, column), np.float64, len(column))
            for name, column in texts.items()
        }
        for number in broken:  # cells of such a row may stand in the wrong column: none of them is read
            for column in values.values():
                column[number] = np.nan
        chunk = Chunk(
            self._rows_done + 1,
            pd.DataFrame(values, index=range(len(rows)), copy=False),
            {name: columns[places[name]] for name in self.others},
            lines,
            broken,
            lambda number, name: code_of_text(texts[name][number]),
        )
        self._rows_done += len(rows)
        return chunk

    def _ndjson(self, raw: BinaryIO) -> Iterator[Chunk]:
        from api.cli.jsonlines import JsonLines

        for chunk in JsonLines(self.path, sorted(self.items), fixed=self.fixed, keep=self.keep).chunks(raw):
            if chunk.first_row == 1:
                self.given, self.others = list(chunk.answers.columns), list(chunk.others)
            self._rows_done = chunk.first_row - 1 + len(chunk.answers)
            yield chunk

    def _parquet(self) -> Iterator[Chunk]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                self._columns(file.schema_arrow.names)
                self.size = file.metadata.num_rows
                self.schema = file.schema_arrow
                empty = [pa.RecordBatch.from_pylist([], schema=file.schema_arrow)] if not self.size else []
                for batch in [*empty] or file.iter_batches(batch_size=ROWS):
                    names = [name.strip() if name.strip() in self.items else name for name in batch.schema.names]
                    cells = dict(zip(names, batch.columns, strict=True))
                    answers = pd.DataFrame(
                        {name: cells[name].to_pandas(types_mapper=pd.ArrowDtype) for name in self.given},
                        index=range(batch.num_rows),
                    )
                    yield Chunk(self._rows_done + 1, answers, {name: cells[name] for name in self.others})
                    self._rows_done += batch.num_rows
        except pa.ArrowInvalid:
            raise UnusableInput(f"{self.path}: not a Parquet file, or a damaged one") from None
