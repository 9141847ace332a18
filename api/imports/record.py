"""The record of an import while it runs: its counts and faults as they grow, and its end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from api.ids import new_id
from api.imports.faults import RowFault
from api.imports.writing import EVENT, Batch, Import, Written, event, now

RESOURCE: Final = "import"
FINISHED: Final = "import.finished"
"""Type of the message that tells of the end of an import."""

_BEGIN: Final = """
update import_run set state = 'running', started_at = coalesce(started_at, clock_timestamp()),
  changed_at = clock_timestamp(), attempts = attempts + 1
where organisation_id = %s and id = %s and state in ('queued', 'running') returning *
"""
_KEEP: Final = """
update import_run set rows_read = %(rows_read)s, bytes_read = %(bytes_read)s, rows_bad = %(rows_bad)s,
  rows_present = %(rows_present)s, rows_written = %(rows_written)s, clients_created = %(clients_created)s,
  faults = %(faults)s, changed_at = clock_timestamp()
where organisation_id = %(organisation_id)s and id = %(id)s and state = 'running'
"""
_END: Final = """
update import_run set state = %s, failure_code = %s, failure_detail = %s, finished_at = clock_timestamp(),
  changed_at = clock_timestamp(), key_wrapped = null
where organisation_id = %s and id = %s and state = 'running'
"""
_FAULT: Final = """
insert into import_fault (organisation_id, import_id, number, row, line, pointer, code, detail)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_OUTBOX: Final = """
insert into outbox (organisation_id, id, topic, resource_id, created_at) values (%s, %s, %s, %s, %s)
"""
_PRESENT: Final = "select count(*) from response where organisation_id = %s and id = any(%s)"
_CLEAR: Final = "delete from import_chunk where organisation_id = %s and import_id = %s"
_UNWRAPPED: Final = "update import_run set key_wrapped = null where organisation_id = %s and id = %s"
_FORGET: Final = "delete from import_fault where organisation_id = %s and import_id = %s"


class Cancelled(Exception):
    """Somebody has cancelled the import."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How far an import is."""

    rows_read: int = 0
    bytes_read: int = 0
    rows_bad: int = 0
    rows_present: int = 0
    rows_written: int = 0
    clients_created: int = 0
    faults: int = 0

    def with_batch(self, batch: Batch, written: Written, bad: int, faults: int) -> Counts:
        """These, and what became of a batch."""
        return replace(
            self,
            rows_read=batch.rows_read,
            bytes_read=batch.bytes_read,
            rows_bad=self.rows_bad + bad,
            rows_present=self.rows_present + written.present,
            rows_written=self.rows_written + written.written,
            clients_created=self.clients_created + len(batch.clients),
            faults=self.faults + faults,
        )


class Record:
    """One import in the database, for whoever runs it."""

    def __init__(self, connection: psycopg.Connection[Any], organisation_id: uuid.UUID, import_id: uuid.UUID) -> None:
        self.connection = connection
        self.organisation_id = organisation_id
        self.import_id = import_id
        self._key = (organisation_id, import_id)
        self.row: dict[str, Any] = {}
        """As it was when the run began, or began again."""

    @property
    def state(self) -> str:
        """How it is now."""
        query = "select state from import_run where organisation_id = %s and id = %s"
        row = self.connection.execute(query, self._key).fetchone()
        return "unknown" if row is None else str(row[0])

    def begin(self, most_attempts: int) -> bool:
        """Take it on; not where it has ended, was cancelled, or was begun too often."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_BEGIN, self._key).fetchone()
        if row is None:
            return False
        self.row = row
        if row["attempts"] > most_attempts:
            self.fail("given-up", f"it was begun {most_attempts} times and never came to an end")
            return False
        return True

    def counts(self) -> Counts:
        """How far an earlier run came: so much is committed."""
        return Counts(**{name: self.row[name] for name in asdict(Counts())})

    def forget(self) -> Counts:
        """Begin at nothing: what an earlier run found is found again."""
        with self.connection.transaction():
            self.connection.execute(_FORGET, self._key)
            self._count(self.connection, Counts())
        return Counts()

    def keep(
        self, connection: psycopg.Connection[Any] | None, faults: Sequence[RowFault], before: int, counts: Counts
    ) -> None:
        """Keep further faults and the counts: with the batch itself, or apart from it where that may be taken back.

        Raises
        ------
        Cancelled
        """
        on = connection or self.connection
        with on.transaction():
            if faults:
                with on.cursor() as cursor:
                    cursor.executemany(
                        _FAULT, [(*self._key, before + number, *fault) for number, fault in enumerate(faults, 1)]
                    )
            self._count(on, counts)

    def _count(self, connection: psycopg.Connection[Any], counts: Counts) -> None:
        whose = {"organisation_id": self.organisation_id, "id": self.import_id}
        if connection.execute(_KEEP, asdict(counts) | whose).rowcount != 1:
            raise Cancelled

    def present(self, connection: psycopg.Connection[Any], ids: list[uuid.UUID]) -> int:
        """How many responses of these ids there are."""
        row = connection.execute(_PRESENT, (self.organisation_id, ids)).fetchone()
        return 0 if row is None else int(row[0])

    def fail(self, code: str, detail: str) -> None:
        """End it: it cannot be done, or not further."""
        with self.connection.transaction():
            if self._end(self.connection, "failed", code, detail):
                self._tell(self.connection, self._of(), "fail")

    def finish(self, connection: psycopg.Connection[Any], of: Import) -> bool:
        """End it as done, in the transaction of what it wrote last; not where it was cancelled meanwhile."""
        if not self._end(connection, "finished", None, None):
            return False
        self._tell(connection, of, "finish")
        return True

    def clear(self) -> None:
        """Remove what is left of the file, for whoever has cancelled it."""
        with self.connection.transaction():
            self.connection.execute(_CLEAR, self._key)
            self.connection.execute(_UNWRAPPED, self._key)

    def _end(self, connection: psycopg.Connection[Any], state: str, code: str | None, detail: str | None) -> bool:
        if connection.execute(_END, (state, code, detail, *self._key)).rowcount != 1:
            return False
        connection.execute(_CLEAR, self._key)
        return True

    def _tell(self, connection: psycopg.Connection[Any], of: Import, action: str) -> None:
        at = now()
        connection.execute(EVENT, event(of, at, action, RESOURCE, self.import_id))
        connection.execute(_OUTBOX, (self.organisation_id, new_id(), FINISHED, self.import_id, at))

    def _of(self) -> Import:
        row = self.row
        return Import(*self._key, row["subject"], row["role"], row["request_id"], row["alerts"] == "raise")
