"""A backup that is there: found by its name, opened with the keys of its folder, and checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.backups import folder, keyfile
from api.backups.blocks import Block, Client, read_blocks
from api.backups.contents import Sum
from api.backups.errors import BackupError, from_os
from api.backups.keyfile import KeyRing
from api.backups.manifest import Manifest, TablePart, authenticate, check_files, read_manifest
from api.backups.sealed import SealedReader
from api.security import crypto


@dataclass(frozen=True)
class Backup:
    """A whole backup, checked, and the keys of its folder."""

    path: Path
    manifest: Manifest
    key: bytes
    ring: KeyRing

    @contextmanager
    def reading(self, name: str) -> Iterator[SealedReader]:
        """The content of one of its files."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                yield SealedReader(file, self.key, name.encode(), str(path))
        except OSError as error:
            raise from_os(error, path, "read") from None

    def blocks(self, part: TablePart) -> Iterator[Block]:
        """The rows of a table."""
        with self.reading(part.file) as reader:
            yield from read_blocks(reader)

    def opens(self, block: Block) -> bool:
        """Whether the key that a block needs is there; it is not if its client was erased."""
        return block.owner is None or block.owner in self.ring.clients

    def expected(self, part: TablePart) -> tuple[Sum, set[Client]]:
        """What of a table is to be there when it is restored, and the clients that are left out."""
        total = Sum(part.rows, int(part.sum, 16))
        absent: set[Client] = set()
        if part.table.of_clients:
            for block in self.blocks(part):
                if block.owner is not None and not self.opens(block):
                    total -= block.sum
                    absent.add(block.owner)
        return total, absent


def find(where: Path) -> Path:
    """A backup by its path, or the newest one of a folder of backups.

    Raises
    ------
    BackupError
        There is none.
    """
    if (where / folder.MANIFEST).is_file():
        return where
    found = folder.whole(where)
    if not found:
        raise BackupError(f"{where} is no whole backup and has none in it")
    return found[-1]


def open_backup(where: Path, keys: crypto.Keys) -> Backup:
    """Open a backup and check that it is what was written; every file is read once for that.

    Raises
    ------
    BackupError
        There is none; another format; altered; another master key; or its folder has no key file.
    """
    path = find(where)
    manifest, said = read_manifest(path)
    ring = keyfile.read(path.parent, keys)
    if ring is None:
        raise BackupError(f"{path.parent} has no {keyfile.NAME}, without which nothing there can be opened")
    key = ring.backups.get(manifest.id)
    if key is None:
        raise BackupError(f"{path.parent / keyfile.NAME} has no key for {path.name}: it is of another folder")
    authenticate(said, key, path)
    check_files(path, manifest)
    return Backup(path, manifest, key, ring)
