"""Whether a database holds what a backup holds: table by table, by the number of rows and the sum of their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.backups import contents
from api.backups.blocks import opened
from api.backups.contents import Connection, Sum, SumKeys
from api.backups.manifest import TablePart
from api.backups.opening import Backup

WITH_ERASURES: Final = frozenset({"erasure", "erasure_certificate", "audit_key"})
"""Tables to which a restoration adds what tells of erasures since the backup, and of who certified them."""


@dataclass(frozen=True)
class Compared:
    """One table."""

    label: str
    expected: Sum
    """As the backup has it, without the rows of clients that were erased since."""
    found: Sum | None
    """As the database has it; None: it cannot be compared, for the table or a column of it is not there any more."""
    left_out: int
    """Clients erased since, whose rows the backup still has and nobody can read."""

    added: int
    """Rows by which a database knows of erasures that were made since."""
    erasures: int
    """How many of those there can be."""

    @property
    def equal(self) -> bool:
        """Whether the rows are the same, but for what tells of erasures since."""
        return self.found == self.expected and self.added <= self.erasures


def compare(backup: Backup, connection: Connection) -> Iterator[Compared]:
    """Compare each table of the backup with that of the database, all in one snapshot.

    The connection's role reads under row-level security, one organisation after the other, as any does.
    """
    sums = SumKeys(backup.manifest.id, backup.key, backup.ring.clients)
    connection.execute("begin isolation level repeatable read read only")
    try:
        organisations = contents.organisations(connection)
        present = {(table.schema, table.name): set(table.columns) for table in contents.tables(connection)}
        for part in backup.manifest.tables:
            expected, absent = backup.expected(part)
            table = part.table
            found: Sum | None = None
            added = 0
            if set(table.columns) <= present.get((table.schema, table.name), set()):
                found = Sum()
                known = _rows_of(backup, part) if table.label in WITH_ERASURES else None
                for organisation, client, line in contents.rows(connection, table, organisations):
                    if known is not None and contents.counted(line, table) not in known:
                        added += 1
                    else:
                        found.add(line, table, sums.of(organisation, client))
            yield Compared(table.label, expected, found, len(absent), added, len(backup.ring.erased))
    finally:
        connection.execute("rollback")


def _rows_of(backup: Backup, part: TablePart) -> set[bytes]:
    """The rows of a small table, as the backup has them."""
    found: set[bytes] = set()
    for block in backup.blocks(part):
        if backup.opens(block):
            rows = opened(block, part.table, backup.manifest.id, backup.ring.clients)
            found |= {contents.counted(line, part.table) for line in rows.rstrip(b"\n").split(b"\n")}
    return found
