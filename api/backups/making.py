"""A backup made, while the service serves: all of it from one snapshot, whole under its name or not there at all."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from psycopg import sql

from api import migrate
from api.backups import contents, erasures, folder, keyfile, programs
from api.backups.blocks import BlockWriter, Client
from api.backups.contents import Connection, SumKeys, Table
from api.backups.errors import BackupError, from_os, told_in_a_line
from api.backups.manifest import FilePart, Manifest, SequencePart, TablePart, read_manifest
from api.backups.sealed import SealedWriter
from api.erasure.tombstones import Tombstone
from api.ids import new_id
from api.security import crypto

SCHEMA: Final = "schema.dump"
MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True)
class Made:
    """A whole backup."""

    path: Path
    manifest: Manifest
    removed: tuple[Path, ...]
    """Older backups that went, because so many were to be kept."""

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(part.size for part in self.manifest.files)


@dataclass
class Pace:
    """Holds reading back to so many bytes a second, so that what serves beside it has the disk and the processor."""

    rate: float
    """Bytes of rows a second; 0: as fast as it goes."""
    _begun: float = field(default_factory=time.monotonic)
    _read: int = 0

    def count(self, size: int) -> None:
        """Note what was read, and wait if that was too fast."""
        self._read += size
        if self.rate:
            ahead = self._read / self.rate - (time.monotonic() - self._begun)
            if ahead > 0.05:
                time.sleep(ahead)


def make(
    url: str,
    into: Path,
    keys: crypto.Keys,
    *,
    keep: int | None = None,
    rate: float = 0.0,
    told: Callable[[str], None] = lambda _: None,
) -> Made:
    """Make a backup of the database in a folder of backups.

    Parameters
    ----------
    url
        The database, as the role that owns the tables.
    keep
        So many backups are left in the folder, this one included; None: all.
    rate
        Most bytes of rows read a second; 0: no limit.
    told
        Is given the name of each table when its turn comes.

    Raises
    ------
    BackupError
        It could not be made. Nothing that looks like a backup is left, and the older ones are as they were.
    """
    folder.prepare(into)
    with folder.making(into):
        folder.clear_drafts(into)
        keyfile.read(into, keys)  # now, and not after an hour: it may be of another master key
        backup_id, at = new_id(), datetime.now(UTC)
        name = f"{at:%Y%m%dT%H%M%S.%f}Z"
        draft = folder.draft(into, name)
        try:
            draft.mkdir(mode=0o700)
            made = _Making(url, draft, keys, backup_id, at, Pace(rate), told)
            with told_in_a_line("no backup was made"):
                manifest = made.run()
            with folder.written(draft / folder.MANIFEST) as file:
                file.write(manifest.sealed(made.key))
            _keep_keys(url, into, keys, made)  # before the backup has its name: what has one can be opened
            path = folder.publish(draft, into, name)
        except OSError as error:
            raise from_os(error, draft, "write") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        removed = _rotate(into, keys, keep)
    return Made(path, manifest, removed)


def renew_keys(url: str, into: Path, keys: crypto.Keys) -> tuple[int, list[Tombstone]]:
    """Bring the key file of a folder up to date with the erasures in the database.

    Returns
    -------
    tuple
        How many clients the database knows to be erased; and who was erased by the key file, and is not by the
        database, which happens where that was brought back to an earlier moment.

    Raises
    ------
    BackupError
        The file or the database cannot be read or written.
    """
    if not (into / keyfile.NAME).exists():
        raise BackupError(f"{into} has no {keyfile.NAME}: there are no backups there")
    erased = _erased(url)
    keyfile.forget(into, keys, erased)
    ring = keyfile.read(into, keys) or keyfile.KeyRing()
    known = {(one.organisation_id, one.client_id) for one in erased}
    return len(erased), [one for client, one in ring.erased.items() if client not in known]


class _Making:
    """One backup, from its snapshot to its manifest."""

    def __init__(
        self,
        url: str,
        draft: Path,
        keys: crypto.Keys,
        backup_id: uuid.UUID,
        at: datetime,
        pace: Pace,
        told: Callable[[str], None],
    ) -> None:
        self._url, self._draft, self._keys, self._id, self._at = url, draft, keys, backup_id, at
        self._pace, self._told = pace, told
        self._files: list[FilePart] = []
        self.key = secrets.token_bytes(32)
        self.clients: dict[Client, bytes] = {}

    def run(self) -> Manifest:
        """Write all files but the manifest, which is returned."""
        with contents.connect(self._url) as connection:
            connection.execute("begin isolation level repeatable read read only")
            found = contents.revision(connection)
            if found != migrate.head():
                raise BackupError(
                    f"the database is at revision {found} and this release works with {migrate.head()}: "
                    "run `fathomline migrate` of this release, or back up with the release that belongs to the database"
                )
            tables = contents.tables(connection)
            # Held until the end, so that no migration takes a table from under the snapshot.
            names = sql.SQL(", ").join(table.identifier for table in tables)
            connection.execute(sql.SQL("lock table {} in access share mode").format(names))
            snapshot = _one(connection, "select pg_export_snapshot()")
            self._write(SCHEMA, programs.dump_schema(self._url, snapshot, contents.others(connection)))
            organisations = contents.organisations(connection)
            self.clients = client_keys(connection, organisations, self._keys)
            sums = SumKeys(self._id, self.key, self.clients)
            parts = [self._table(connection, table, organisations, sums) for table in tables]
            return Manifest(
                id=self._id,
                made_at=self._at,
                release=version("fathomline"),
                revision=found,
                postgresql=_one(connection, "show server_version"),
                master_key=self._keys.id.hex(),
                clients=len(self.clients),
                tables=tuple(parts),
                sequences=tuple(_sequences(connection)),
                files=tuple(self._files),
            )

    def _table(self, connection: Connection, table: Table, organisations: list[uuid.UUID], sums: SumKeys) -> TablePart:
        self._told(table.label)
        name = f"{table.label}.rows"
        with self._sealed(name) as out:
            writer = BlockWriter(out, table, self._id, self.clients, sums)
            for row in contents.rows(connection, table, organisations):
                self._pace.count(len(row[2]))
                writer.write(row)
            writer.close()
        if writer.left_out:  # the keys are of the same snapshot
            raise BackupError(f"{writer.left_out} rows of {table.label} are of a client that is not there")
        total = writer.sum
        return TablePart(
            schema_name=table.schema,
            name=table.name,
            columns=table.columns,
            summed=table.summed,
            rows=total.rows,
            sum=total.hex,
            file=name,
        )

    def _write(self, name: str, content: bytes) -> None:
        with self._sealed(name) as out:
            out.write(content)

    @contextmanager
    def _sealed(self, name: str) -> Iterator[SealedWriter]:
        with folder.written(self._draft / name) as file:
            out = SealedWriter(file, self.key, name.encode())
            yield out
            out.close()
        self._files.append(FilePart(name=name, size=out.size, sha256=out.sha256))


def client_keys(connection: Connection, organisations: list[uuid.UUID], keys: crypto.Keys) -> dict[Client, bytes]:
    """The data key of each client, within the connection's transaction. Some hundred bytes of memory a client.

    Raises
    ------
    BackupError
        The master key is not theirs.
    """
    found: dict[Client, bytes] = {}
    for organisation in organisations:
        contents.enter(connection, organisation)
        query = "select id, key_wrapped from client where organisation_id = %s"
        for client, wrapped in connection.execute(query, (organisation,)):
            try:
                key = crypto.unwrap_client_key(keys, wrapped, organisation_id=organisation, client_id=client)
            except crypto.Unreadable:
                raise BackupError("the master key is not the one that the clients were sealed under") from None
            found[organisation, client] = key
    return found


def _sequences(connection: Connection) -> Iterator[SequencePart]:
    query = "select schemaname, sequencename from pg_sequences where schemaname = any (%s) order by 1, 2"
    for schema, name in connection.execute(query, (list(contents.SCHEMAS),)).fetchall():
        row = connection.execute(sql.SQL("select last_value, is_called from {}").format(sql.Identifier(schema, name)))
        last, called = row.fetchone() or (1, False)
        yield SequencePart(schema_name=schema, name=name, last=last, called=called)


def _one(connection: Connection, query: str) -> str:
    row = connection.execute(query).fetchone()
    if row is None:
        raise BackupError("the database gives no answer")
    return str(row[0])


def _keep_keys(url: str, into: Path, keys: crypto.Keys, made: _Making) -> None:
    """Add what opens this backup to the key file; who was erased meanwhile stays erased."""
    with keyfile.changing(into, keys) as ring:
        # Read while the file is held: an erasure that is committed later waits for it, and takes its client out itself.
        for one in _erased(url):
            ring.forget(one)
        for client, key in made.clients.items():
            ring.learn(client, key)
        ring.backups[made._id] = made.key


def _rotate(into: Path, keys: crypto.Keys, keep: int | None) -> tuple[Path, ...]:
    """Remove the oldest backups, and then the keys of those that are not there any more."""
    old = folder.whole(into)
    going = tuple(old[: max(0, len(old) - keep)]) if keep is not None else ()
    for backup in going:
        folder.remove(backup)
    if going:
        left = {read_manifest(backup)[0].id for backup in folder.whole(into)}
        with keyfile.changing(into, keys) as ring:
            ring.backups = {backup_id: key for backup_id, key in ring.backups.items() if backup_id in left}
    return going


def _erased(url: str) -> list[Tombstone]:
    """Who is erased, in all organisations, as of now."""
    with told_in_a_line("no backup was made"):
        return asyncio.run(erasures.read(url))
