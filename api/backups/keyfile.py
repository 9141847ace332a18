"""The key file of a folder of backups: one for all of them, beside them, and written anew whenever a client is erased.

A client's rows in a backup are sealed under a key that needs the client's data key, and that is here and in the
database, in no backup. Erasing a client takes it out of both, which makes the rows in every backup of the folder
unreadable; a tombstone stays, and wins over any key that an older state might bring back.

Sealed as a whole under the master key, so that rotating the master key rewrites this one file. Records, in bytes: kind
(1), organisation (16), client or backup (16), length (4), content.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from api.backups.errors import BackupError, from_os
from api.backups.folder import changing_keys, replaced
from api.backups.sealed import SealedReader, SealedWriter
from api.erasure.tombstones import Tombstone
from api.security import crypto

NAME: Final = "keys.fathomline"
_PURPOSE: Final = b"key file"
_RECORD: Final = struct.Struct(">c16s16sI")
_BACKUP, _CLIENT, _TOMBSTONE, _END = b"B", b"C", b"T", b"E"
_NONE: Final = uuid.UUID(int=0)


Client = tuple[uuid.UUID, uuid.UUID]
"""An organisation and one of its clients."""


@dataclass
class KeyRing:
    """What a key file holds. In no representation, so no log can show a key."""

    backups: dict[uuid.UUID, bytes] = field(default_factory=dict, repr=False)
    """The key of each backup."""
    clients: dict[Client, bytes] = field(default_factory=dict, repr=False)
    """The data key of each client."""
    erased: dict[Client, Tombstone] = field(default_factory=dict)

    def forget(self, tombstone: Tombstone) -> bool:
        """Take a client's key out for good; whether that changed anything."""
        client = (tombstone.organisation_id, tombstone.client_id)
        had = self.clients.pop(client, None) is not None
        known = self.erased.get(client)
        if not had and known is not None and known.record == tombstone.record:
            return False
        self.erased[client] = tombstone
        return True

    def learn(self, client: Client, key: bytes) -> None:
        """Take a client's key in, unless the client was erased."""
        if client not in self.erased:
            self.clients[client] = key


def read(folder: Path, keys: crypto.Keys) -> KeyRing | None:
    """What the key file of a folder holds; None where there is none.

    Raises
    ------
    BackupError
        It was made under another master key than the present and the previous one, was altered, or cannot be read.
    """
    faults = []
    for readable in keys.readable:
        try:
            return _read(folder / NAME, readable)
        except BackupError as error:
            faults.append(error)
    raise faults[0]


def _read(path: Path, keys: crypto.Keys) -> KeyRing | None:
    ring = KeyRing()
    try:
        with path.open("rb") as file:
            for kind, organisation, subject, content in _records(SealedReader(file, keys.backup, _PURPOSE, NAME)):
                if kind == _BACKUP:
                    ring.backups[subject] = content
                elif kind == _CLIENT:
                    ring.clients[organisation, subject] = content
                elif kind == _TOMBSTONE:
                    at, _, record = content.partition(b"\n")
                    ring.forget(Tombstone(organisation, subject, datetime.fromisoformat(at.decode()), record))
                else:
                    raise BackupError(f"{NAME} was written by a later release: use that one")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os(error, path, "read") from None
    return ring


@contextmanager
def changing(folder: Path, keys: crypto.Keys) -> Iterator[KeyRing]:
    """What the key file holds, to be changed; written as a whole when the block ends well. One process at a time."""
    with changing_keys(folder):
        ring = read(folder, keys) or KeyRing()
        yield ring
        _write(folder, keys, ring)


def forget(folder: Path, keys: crypto.Keys, clients: Iterable[Tombstone]) -> bool:
    """Take clients' keys out of the key file of a folder, which makes their rows in all its backups unreadable.

    To be called once their keys are destroyed in the database for good. Blocks, for as long as it takes to write the
    file anew; does nothing the second time, and nothing where no backups are.

    Returns
    -------
    bool
        Whether the file was written anew.

    Raises
    ------
    BackupError
        It was made under another master key, or cannot be read or written: the erasure has not reached this folder.
    """
    if not (folder / NAME).exists():
        return False
    with changing_keys(folder):
        ring = read(folder, keys)
        if ring is None:
            return False
        changed = [ring.forget(one) for one in clients]
        if any(changed):
            _write(folder, keys, ring)
        return any(changed)


def reseal(folder: Path, keys: crypto.Keys) -> bool:
    """Seal the key file of a folder under the present master key; whether it was under the previous one.

    Raises
    ------
    BackupError
        It opens under neither, or cannot be read or written.
    """
    if not (folder / NAME).exists():
        return False
    with changing_keys(folder):
        try:
            _read(folder / NAME, replace(keys, previous=None))
        except BackupError:
            ring = read(folder, keys)
        else:
            return False
        if ring is not None:
            _write(folder, keys, ring)
        return ring is not None


def _records(reader: SealedReader) -> Iterator[tuple[bytes, uuid.UUID, uuid.UUID, bytes]]:
    while True:
        kind, organisation, subject, length = _RECORD.unpack(reader.read_exactly(_RECORD.size))
        if kind == _END:
            return
        yield kind, uuid.UUID(bytes=organisation), uuid.UUID(bytes=subject), reader.read_exactly(length)


def _write(folder: Path, keys: crypto.Keys, ring: KeyRing) -> None:
    with replaced(folder / NAME) as file:
        writer = SealedWriter(file, keys.backup, _PURPOSE)

        def record(kind: bytes, organisation: uuid.UUID, subject: uuid.UUID, content: bytes = b"") -> None:
            writer.write(_RECORD.pack(kind, organisation.bytes, subject.bytes, len(content)) + content)

        for backup_id, key in ring.backups.items():
            record(_BACKUP, _NONE, backup_id, key)
        for (organisation, client), key in ring.clients.items():
            record(_CLIENT, organisation, client, key)
        for (organisation, client), one in ring.erased.items():
            record(_TOMBSTONE, organisation, client, one.erased_at.isoformat().encode() + b"\n" + one.record)
        record(_END, _NONE, _NONE)
        writer.close()
