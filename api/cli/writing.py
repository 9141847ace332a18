"""Writing tables chunk by chunk, to a file that takes its name only when it is whole."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from api.cli.errors import UnusableInput
from api.cli.jsonlines import JsonText
from api.cli.tabular import STANDARD_STREAM, format_of

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, Any]
"""Each column a list or tuple of plain values, or an array of pyarrow."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is written beside ``path`` and renamed to it at the end; after a failure nothing is left of it.

    Raises
    ------
    UnusableInput
        It cannot be written.
    """
    if path == STANDARD_STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise UnusableInput(f"{path}: cannot be written: {error.strerror}") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)  # as any new file; a temporary one is for its owner alone
        part.replace(path)
    except OSError as error:
        raise UnusableInput(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


class CsvWriter:
    """Rows of text, in UTF-8 with line feeds; an empty cell is a missing value."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._header = False

    def write(self, columns: Columns) -> None:
        """Write some rows."""
        lines = _Lines()
        writer = csv.writer(lines, lineterminator="\n")
        if not self._header:
            writer.writerow(columns)
            self._header = True
        writer.writerows(zip(*(_texts(column) for column in columns.values()), strict=True))
        self._file.write("".join(lines.parts).encode())

    def close(self) -> None:
        """Nothing is left to write."""


class _Lines:
    """What ``csv`` writes to: it hands over one line at a time."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, line: str) -> None:
        self.parts.append(line)


def _cells(column: Any) -> Sequence[Any]:
    cells: Sequence[Any] = column if isinstance(column, list | tuple) else column.to_pylist()
    return cells


_AS_IT_IS = frozenset((str, float, type(None)))
"""Types that the csv module writes as :func:`_text` would, and faster."""


def _texts(column: Any) -> Sequence[Any]:
    return [cell if type(cell) in _AS_IT_IS else _text(cell) for cell in _cells(column)]


def _text(cell: Any) -> str:
    """A cell as text: nothing for missing, the shortest decimal that is the number, ``true`` and ``false``."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, JsonText):
        return "" if cell == b"null" else cell.decode()
    if isinstance(cell, float):
        return repr(cell)
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


class NdjsonWriter:
    """One object a line. An absent member stays absent; a score that there is not is null."""

    def __init__(self, file: BinaryIO, scored: frozenset[str]) -> None:
        self._file, self._scored = file, scored

    def write(self, columns: Columns) -> None:
        """Write some rows."""
        import orjson

        parts = []
        for name, column in columns.items():
            key = orjson.dumps(name) + b":"
            absent = b"" if name not in self._scored else key + b"null"
            parts.append([_member(key, cell, absent) for cell in _cells(column)])
        lines = (b"{" + b",".join(filter(None, row)) + b"}\n" for row in zip(*parts, strict=True))
        self._file.write(b"".join(lines))

    def close(self) -> None:
        """Nothing is left to write."""


def _member(key: bytes, cell: Any, absent: bytes) -> bytes:
    import orjson

    if cell is None:
        return absent
    if isinstance(cell, JsonText):
        return key + cell
    return key + orjson.dumps(cell, default=str)


class ParquetWriter:
    """Columns that pass through keep their type; those of text files are text."""

    def __init__(self, file: BinaryIO, types: Mapping[str, pa.DataType]) -> None:
        self._file, self._types = file, types
        self._writer: Any = None

    def write(self, columns: Columns) -> None:
        """Write some rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = {}
        for name, column in columns.items():
            if isinstance(column, list | tuple):
                kind = self._types.get(name, pa.string())
                column = pa.array(column if name in self._types else _optional(column), kind)
            arrays[name] = column
        table = pa.table(arrays)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()


def _optional(column: Sequence[Any]) -> list[str | None]:
    """Text of cells that pass through; what is empty in a text file stays empty text, what is absent is null."""
    return [None if cell is None else cell if type(cell) is str else _text(cell) for cell in column]


def writer_for(path: Path, file: BinaryIO, scored: Mapping[str, str]) -> CsvWriter | NdjsonWriter | ParquetWriter:
    """The writer of a file's format. ``scored``: the columns that scoring adds: number, text or truth."""
    match format_of(path):
        case "csv":
            return CsvWriter(file)
        case "ndjson":
            return NdjsonWriter(file, frozenset(scored))
        case _:
            import pyarrow as pa

            kinds = {"number": pa.float64(), "text": pa.string(), "truth": pa.bool_()}
            return ParquetWriter(file, {name: kinds[kind] for name, kind in scored.items()})
