"""An organisation's archive: a gzipped tar of NDJSON with a manifest before and checksums behind, sealed or plain.

In this order: ``manifest.json``; for each table ``tables/<name>/000001.ndjson`` and so on; for what is only shown,
``evidence/<name>/…``; ``checksums.json``. Everything is written and read as a stream. docs/exports.md has the format.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import IO, Any, Final

from api import migrate
from api.exports.columns import EVIDENCE, LEFT_OUT, OMITTED, carried, plan_of
from api.exports.rows import Reader
from api.security.envelope import MAGIC, EnvelopeError, Opening, Sealing, is_sealed

FORM: Final = "fathomline-archive-1"
MANIFEST: Final = "manifest.json"
CHECKSUMS: Final = "checksums.json"
PART: Final = 4 << 20
"""Bytes after which a part of a table is closed."""
MOST_PART: Final = 64 << 20
"""Bytes of the largest part that is read: a line may be longer than `PART`."""
_LEVEL: Final = 6
_GZIP: Final = b"\x1f\x8b"


class ArchiveError(Exception):
    """An archive that cannot be taken in. The message is one line, and never has a value that is in it."""


@dataclass(frozen=True)
class Checksum:
    """Of a table's rows, opened, in their order."""

    rows: int
    sha256: str

    def document(self) -> dict[str, Any]:
        """As it stands in `CHECKSUMS`."""
        return {"rows": self.rows, "sha256": self.sha256}


Checksums = dict[str, Checksum]
Told = Callable[[str, int], None]
"""Called as it goes on, with a table and how many of its rows are done."""


def untold(_: str, __: int) -> None:
    """Tell nobody."""


class Summing:
    """Counts and hashes lines."""

    def __init__(self) -> None:
        self._rows, self._hash = 0, hashlib.sha256()

    def add(self, line: bytes) -> int:
        """A line with its line feed; how many there have been."""
        self._hash.update(line)
        self._rows += 1
        return self._rows

    def sum(self) -> Checksum:
        """Of what has been added."""
        return Checksum(self._rows, self._hash.hexdigest())


def checksums(reader: Reader, *, further: str = "true", told: Told = untold) -> Checksums:
    """Of every table that is carried, read and opened now."""
    found = {}
    for table in carried():
        summing = Summing()
        for line in reader.lines(table, further=further):
            told(table, summing.add(line))
        found[table] = summing.sum()
    return found


def write(reader: Reader, file: IO[bytes], *, passphrase: str | None, told: Told = untold) -> Checksums:
    """Write the archive of the reader's organisation, as it is in the reader's transaction.

    Parameters
    ----------
    passphrase
        What the file is sealed under; None leaves it plain.

    Raises
    ------
    PassphraseWeak
        It is too short; nothing was written.
    Unreadable
        A text was sealed under another master key, or altered.
    """
    sealing = None if passphrase is None else Sealing(file, passphrase)
    found = {}
    with (
        gzip.GzipFile(filename="", fileobj=sealing or file, mode="wb", compresslevel=_LEVEL, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, MANIFEST, _json(_manifest(reader)))
        for folder, tables in (("tables", carried()), ("evidence", list(EVIDENCE))):
            for table in tables:
                found[table] = _write_table(tar, f"{folder}/{table}", table, reader.lines(table), told)
        _add(tar, CHECKSUMS, _json({name: one.document() for name, one in found.items()}))
    if sealing is not None:
        sealing.finish()
    return found


def _write_table(tar: tarfile.TarFile, folder: str, table: str, lines: Iterator[bytes], told: Told) -> Checksum:
    summing, part, waiting = Summing(), 0, bytearray()
    for line in lines:
        told(table, summing.add(line))
        waiting += line
        if len(waiting) >= PART:
            part += 1
            _add(tar, f"{folder}/{part:06}.ndjson", waiting)
            waiting.clear()
    if waiting:
        _add(tar, f"{folder}/{part + 1:06}.ndjson", waiting)
    return summing.sum()


def _manifest(reader: Reader) -> dict[str, Any]:
    organisation = reader.connection.execute(
        "select slug, name, created_at from organisation where organisation_id = %s", (reader.organisation_id,)
    ).fetchone()
    if organisation is None:
        raise LookupError("the organisation is not in this database")
    return {
        "form": FORM,
        "revision": migrate.head(),
        "software": f"fathomline {installed('fathomline')}",
        "written_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "organisation": {
            "id": str(reader.organisation_id),
            "slug": organisation[0],
            "name": organisation[1],
            "created_at": organisation[2].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        },
        "tables": {table: plan_of(table).members for table in carried()},
        "evidence": {table: {"members": plan_of(table).members, "is": why} for table, why in EVIDENCE.items()},
        "left_out": LEFT_OUT | {f"{table}.{column}": why for (table, column), why in OMITTED.items()},
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def _add(tar: tarfile.TarFile, name: str, data: bytes | bytearray) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(data))


@dataclass(frozen=True)
class Manifest:
    """What an archive says of itself."""

    organisation_id: uuid.UUID
    slug: str
    name: str
    document: dict[str, Any]


class Archive:
    """An archive that is being read, from its beginning to its end, once: `manifest`, `lines` of each, `checksums`.

    Every fault is an :class:`ArchiveError` (or :class:`~api.security.envelope.EnvelopeError`, where it is sealed).
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._next = self._member()

    def manifest(self) -> Manifest:
        """What it is an archive of.

        Raises
        ------
        ArchiveError
            No archive of this format; of another revision of the schema; with other tables or members than ours.
        """
        document = self._document(MANIFEST)
        if document.get("form") != FORM:
            raise ArchiveError(f"the archive is not of the format {FORM}, which this release reads")
        revision = document.get("revision")
        if revision != migrate.head():
            raise ArchiveError(
                f"the archive was written at revision {_shown(revision)} of the schema and this release has "
                f"{migrate.head()}: export it with this release, or take it in with the release that wrote it"
            )
        organisation = document.get("organisation")
        try:
            found = Manifest(uuid.UUID(organisation["id"]), organisation["slug"], organisation["name"], document)  # type: ignore[index]  # else TypeError
        except (TypeError, KeyError, ValueError, AttributeError):
            raise ArchiveError(f"{MANIFEST} does not say whose archive it is") from None
        _same_tables(document.get("tables"))
        return found

    def lines(self, folder: str, table: str) -> Iterator[bytes]:
        """The lines of a table, part by part; none where there is no part of it."""
        part = 0
        while self._next is not None and self._next.name == f"{folder}/{table}/{part + 1:06}.ndjson":
            part += 1
            data = self._data(self._next)
            self._next = self._member()
            if not data.endswith(b"\n"):
                raise ArchiveError(f"part {part} of table {table} does not end with a line")
            yield from data.splitlines(keepends=True) if b"\r" not in data else _lines(data)

    def checksums(self) -> dict[str, Any]:
        """What the rows were when they were written. The end: nothing may follow."""
        if self._next is not None and self._next.name != CHECKSUMS:
            raise ArchiveError(f"the archive has a member {_shown(self._next.name)} that has no place there")
        document = self._document(CHECKSUMS)
        if self._next is not None:
            raise ArchiveError(f"the archive goes on behind {CHECKSUMS}")
        return document

    def _document(self, name: str) -> dict[str, Any]:
        if self._next is None or self._next.name != name:
            raise ArchiveError(f"the archive is cut off, or none: there is no {name} where it has to be")
        data = self._data(self._next)
        self._next = self._member()
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ArchiveError(f"{name} is no JSON object")
        return found

    def _member(self) -> tarfile.TarInfo | None:
        with _damage():
            found = self._tar.next()
        if found is not None and not found.isreg():
            raise ArchiveError(f"the archive has a member {_shown(found.name)} that is no file")
        if found is not None and found.size > MOST_PART:
            raise ArchiveError(f"the archive has a member {_shown(found.name)} of more than {MOST_PART >> 20} MiB")
        return found

    def _data(self, member: tarfile.TarInfo) -> bytes:
        with _damage():
            file = self._tar.extractfile(member)
            data = b"" if file is None else file.read()
        if len(data) != member.size:
            raise ArchiveError("the archive is cut off")
        return data


def _lines(data: bytes) -> Iterator[bytes]:
    """Only a line feed ends a line."""
    return (line + b"\n" for line in data[:-1].split(b"\n"))


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise ArchiveError("the archive is cut off") from None
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, UnicodeError, ValueError):
        raise ArchiveError("the archive is damaged or cut off") from None


@contextmanager
def reading(file: IO[bytes], passphrase: Callable[[], str]) -> Iterator[Archive]:
    """Read an archive; ``passphrase`` is asked for one that is sealed.

    Raises
    ------
    ArchiveError
        This is no archive.
    EnvelopeError
        It does not open: another passphrase, cut off, altered.
    """
    head = file.read(len(MAGIC))
    whole: io.BufferedReader = io.BufferedReader(_Behind(head, file), 1 << 18)
    if is_sealed(head):
        source: io.BufferedReader = io.BufferedReader(Opening(whole, passphrase()), 1 << 18)
    elif head.startswith(_GZIP):
        source = whole
    else:
        raise ArchiveError("this is no archive of this service")
    with gzip.GzipFile(fileobj=source, mode="rb") as zipped:
        with _damage():
            tar = tarfile.open(fileobj=zipped, mode="r|", errorlevel=2)  # noqa: SIM115  - closed below
        with tar:
            yield Archive(tar)
            with _damage():  # what is behind the end of the tar: that all of it is there, and unaltered
                if zipped.read(tarfile.RECORDSIZE).strip(b"\0"):
                    raise ArchiveError("the archive goes on behind its end")


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so (26 bytes) may be an archive: sealed, or gzipped."""
    return is_sealed(head) or head.startswith(_GZIP)


class _Behind(io.RawIOBase):
    """A file of which the head was read already."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        data = self._head[: len(buffer)] or self._file.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _same_tables(given: Any) -> None:
    """Raise :class:`ArchiveError` unless the archive has the tables that we have, with the same members."""
    ours = {table: plan_of(table).members for table in carried()}
    if not isinstance(given, dict):
        raise ArchiveError(f"{MANIFEST} does not say which tables there are")
    for table in given:
        if table not in ours:
            raise ArchiveError(f"the archive has a table {_shown(table)} that this release does not know")
    for table, members in ours.items():
        if table not in given:
            raise ArchiveError(f"the archive lacks the table {table}")
        theirs = given[table] if isinstance(given[table], list) else []
        for member in theirs:
            if member not in members:
                raise ArchiveError(f"table {table} has a member {_shown(member)} that this release does not know")
        for member in members:
            if member not in theirs:
                raise ArchiveError(f"table {table} lacks the member {member}")


def _shown(value: Any) -> str:
    """A name out of an archive, as it may be shown: one short line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["Archive", "ArchiveError", "Checksum", "EnvelopeError", "Manifest", "reading", "write"]
