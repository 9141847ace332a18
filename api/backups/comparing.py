"""Whether a database holds what a backup holds: table by table, by the number of rows and the sum of their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.backups import contents
from api.backups.contents import Connection, Sum, SumKeys
from api.backups.opening import Backup


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

    @property
    def equal(self) -> bool:
        """Whether the rows are the same."""
        return self.found == self.expected


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
            if set(table.columns) <= present.get((table.schema, table.name), set()):
                found = Sum()
                for organisation, client, line in contents.rows(connection, table, organisations):
                    found.add(line, table, sums.of(organisation, client))
            yield Compared(table.label, expected, found, len(absent))
    finally:
        connection.execute("rollback")
