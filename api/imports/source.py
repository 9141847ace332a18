"""Where the bytes of an import come from: the parts that were sent, or a file of whoever runs it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg

from api.security import crypto

_STEP: Final = 1 << 20
_NEXT: Final = """
select start, sealed from import_chunk where organisation_id = %s and import_id = %s and start >= %s
order by start limit 1
"""


class Source(Protocol):
    """Gives the bytes of the file from its beginning, as often as they are asked for."""

    def parts(self) -> Iterator[bytes]:
        """The file in parts of about a megabyte."""
        ...


class Sent:
    """The parts that were sent, one in memory at a time."""

    def __init__(
        self, connection: psycopg.Connection[Any], key: bytes, organisation_id: uuid.UUID, import_id: uuid.UUID
    ) -> None:
        self._connection = connection
        self._key = key
        self._import = {"organisation_id": organisation_id, "import_id": import_id}

    def parts(self) -> Iterator[bytes]:
        """The file in parts."""
        start = 0
        while True:
            with self._connection.cursor(binary=True) as cursor:
                row = cursor.execute(_NEXT, (*self._import.values(), start)).fetchone()
            if row is None:
                return
            if row[0] != start:
                raise RuntimeError("a part of the file is missing")
            part = crypto.open_import_part(self._key, bytes(row[1]), start=start, **self._import)
            start += len(part)
            yield part


class LocalFile:
    """A file on this machine; ``-`` is no file, since it could be read once only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def parts(self) -> Iterator[bytes]:
        """The file in parts."""
        with self.path.open("rb") as file:
            while part := file.read(_STEP):
                yield part
