"""A backup restored to a new, empty place; and nothing serves from that place until all of it is there and equal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import sql

from api import embedded, migrate
from api.backups import contents, erasures, programs
from api.backups.blocks import opened
from api.backups.comparing import compare
from api.backups.contents import Connection
from api.backups.errors import BackupError, from_os, told_in_a_line
from api.backups.making import SCHEMA
from api.backups.manifest import TablePart
from api.backups.opening import Backup
from api.security import crypto

_OCCUPIED: Final = """
  select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' limit 1
"""


_UNFINISHED: Final = sql.Identifier("restoration_is_not_finished")
"""A table that is there while there is a revision already and something is still to be done. The service refuses to
start beside it, as beside any table without row-level security, and tells its name."""


@dataclass(frozen=True)
class Restored:
    """What came of it."""

    rows: int
    left_out: int
    """Clients that were erased since the backup was made, whose rows were left out."""
    revision: str
    """Of the schema, now."""


def check_fits(backup: Backup, keys: crypto.Keys) -> crypto.Keys:
    """The keys of the master key that the backup was made under: the present ones, or the previous.

    Raises
    ------
    BackupError
        They are neither, or this release could not restore it.
    """
    if backup.manifest.revision not in migrate.revisions():
        raise BackupError(
            f"the backup has the schema's revision {backup.manifest.revision}, which is newer than this release "
            f"({migrate.head()}): restore it with release {backup.manifest.release}"
        )
    for each in keys.readable:
        if each.id.hex() == backup.manifest.master_key:
            return each
    raise BackupError(
        f"the backup was made under another master key ({backup.manifest.master_key}): set that one as the previous "
        "master key (FATHOMLINE_MASTER_KEY_PREVIOUS or its file) for the restoration"
    )


@contextmanager
def new_data_folder(data: Path) -> Iterator[str]:
    """An embedded server on a data folder that is not there yet; it gets its name when the block ends well.

    Yields the URL for the role that owns the tables.

    Raises
    ------
    BackupError
        The folder is there and has something in it, or cannot be made.
    """
    data = data.expanduser().resolve()
    draft = data.with_name(f".{data.name}.restoring")
    try:
        if data.exists() and (not data.is_dir() or any(data.iterdir())):
            raise BackupError(f"{data} is not empty: name a folder that is not there yet")
        data.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        lock = os.open(draft, os.O_RDONLY)
    except OSError as error:
        raise from_os(error, data, "make") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"another process restores to {data}; wait for it to end") from None
        for left in draft.iterdir():  # of one that was cut short
            shutil.rmtree(left)
        try:
            with embedded.acquire(draft) as lease:
                yield lease.url_owner
            draft.rename(data)  # in place of an empty one, if there is one
        except OSError as error:
            raise from_os(error, data, "write") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(lock)


def restore(backup: Backup, url: str, keys: crypto.Keys, *, told: Callable[[str], None] = lambda _: None) -> Restored:
    """Restore a backup into an empty database, as the role that owns it, and bring the schema to this release's.

    Raises
    ------
    BackupError
        The database is not empty, refuses, or is not equal to the backup afterwards. Nothing serves from what is
        there then: it has no revision.
    """
    made_under = check_fits(backup, keys)
    with told_in_a_line("it is not restored"), contents.connect(url) as connection:
        if connection.execute(_OCCUPIED).fetchone() is not None:
            raise BackupError("the database is not empty: restore into a new one")
        with backup.reading(SCHEMA) as reader:
            dump = reader.read_all()
        programs.run_script(url, programs.schema_script(dump, "pre-data"))
        absent: set[tuple[uuid.UUID, uuid.UUID]] = set()
        restored = 0
        for part in backup.manifest.tables:
            told(part.table.label)
            restored += _load(connection, backup, part, made_under, absent)
        for sequence in backup.manifest.sequences:
            name = sql.Identifier(sequence.schema_name, sequence.name).as_string(connection)
            connection.execute("select setval(%s, %s, %s)", (name, sequence.last, sequence.called))
        programs.run_script(url, programs.schema_script(dump, "post-data"))
        connection.execute("analyze")
        told("checksums")
        differing = [found.label for found in compare(backup, connection) if not found.equal]
        if differing:
            raise BackupError(f"the restored table {differing[0]} is not equal to the backup's: do not use it")
        connection.execute(sql.SQL("create table {} ()").format(_UNFINISHED))
        connection.execute("insert into alembic_version (version_num) values (%s)", (backup.manifest.revision,))
        told("schema")
        migrate.upgrade(url)
        asyncio.run(_hold_erasures(url, backup, keys))
        connection.execute(sql.SQL("drop table {}").format(_UNFINISHED))
    return Restored(restored, len(absent), migrate.head())


def _load(
    connection: Connection,
    backup: Backup,
    part: TablePart,
    made_under: crypto.Keys,
    absent: set[tuple[uuid.UUID, uuid.UUID]],
) -> int:
    """Write a table's rows; how many. Clients whose key is not there any more are noted in ``absent``."""
    table, loaded = part.table, 0
    keyed = contents.ELSEWHERE.get(table.name, frozenset()) if table.schema == "public" else frozenset()
    names = sql.SQL(", ").join(map(sql.Identifier, (*table.columns, *sorted(keyed))))
    statement = sql.SQL("copy {} ({}) from stdin").format(table.identifier, names)
    with connection.transaction(), connection.cursor().copy(statement) as copy:
        for block in backup.blocks(part):
            owner = block.owner
            if not backup.opens(block):
                if owner is not None:
                    absent.add(owner)
                continue
            rows = opened(block, table, backup.manifest.id, backup.ring.clients)
            if keyed and owner is not None:
                wrapped = crypto.wrap_client_key(
                    made_under, backup.ring.clients[owner], organisation_id=owner[0], client_id=owner[1]
                )
                rows = rows.rstrip(b"\n") + b"\t\\\\x" + wrapped.hex().encode() + b"\n"  # a client has one row
            copy.write(rows)
            loaded += block.sum.rows
    return loaded


async def _hold_erasures(url: str, backup: Backup, keys: crypto.Keys) -> None:
    """Who was erased since stays erased; and what an earlier master key sealed is sealed under the present one."""
    await erasures.write(url, backup.ring.erased.values())
    if backup.manifest.master_key != keys.id.hex():
        await erasures.reseal(url, keys)
