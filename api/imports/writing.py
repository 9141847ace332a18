"""Writing a batch: its rows by COPY into a table of the transaction, and from there, by one database function, into
those that the service may not write itself. The lines are made here, in PostgreSQL's text format."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from api.imports.faults import RowFault
from api.imports.people import NewClient
from api.imports.rows import Row
from api.imports.scoring import Scored, Scorer, states_of
from api.records.tables import AuditEventRow
from api.responses.recording import EPISODE_MARGIN, AlertToRecord

CHANGED: Final = "FL003"
"""What the function says where a client or an episode is no longer as it was when the rows were checked."""

_COPY: Final = """
copy pg_temp.import_stage (row_no, id, client_id, instrument, instrument_version, definition_checksum, variant, answers,
  setting, answered_at, document, valid, episode_id, scales, vals, statuses, valids,
  alert_ids, kinds, rules, items, alert_scales, severities)
from stdin
"""
_WRITE: Final = """
select written, present, taken from import_responses(%s, %s, %s, %s, %s, %s, %s, %s)
"""
_CLIENT: Final = """
insert into client (organisation_id, id, external_id_hash, external_id_sealed, key_wrapped, created_at, updated_at)
values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""
NULL: Final = r"\N"
_NO_ALERTS: Final = "\t".join([NULL] * 6)
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Changed(Exception):
    """What the batch rests on is no longer so: it has to be made anew."""


@dataclass(slots=True)
class Batch:
    """What is to be written of some rows, and what is wrong with the others."""

    recorded_at: datetime
    rows_read: int = 0
    """Rows of the file up to the end of this batch."""
    bytes_read: int = 0
    rows: int = 0
    lines: list[str] = field(default_factory=list)
    ids: list[uuid.UUID] = field(default_factory=list)
    """Of the rows that are to be written."""
    by_row: dict[int, int] = field(default_factory=dict)
    """The line of the file for each row that is written."""
    repeated: int = 0
    """Rows that are equal to an earlier one of this batch."""
    clients: list[NewClient] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """Rows with faults."""
        return len({fault.row for fault in self.faults})


@dataclass(frozen=True, slots=True)
class Import:
    """What all batches of an import have in common."""

    organisation_id: uuid.UUID
    id: uuid.UUID
    subject: str
    role: str
    request_id: str
    raise_alerts: bool


@dataclass(slots=True)
class Written:
    """What became of a batch."""

    written: int
    present: int
    faults: list[RowFault]


def line_of(row: Row, client_id: uuid.UUID, response_id: uuid.UUID, scorer: Scorer, scored: Scored) -> str:
    """A row of the stage, with the end of its line."""
    given = row.given
    values = ",".join(["NULL" if value is None else repr(value) for value in scored.values])
    usual = scored.statuses is scorer.complete
    states = scorer.states if usual else states_of(scored.statuses, scored.valids)
    alerts = _alerts(scored.alerts) if scored.alerts else _NO_ALERTS
    document = scored.document.replace("\\", "\\\\")
    answers = scored.answers.replace("\\", "\\\\")
    return (
        f"{row.row}\t{response_id}\t{client_id}\t{scorer.by}\t{answers}\t{given.setting or NULL}\t"
        f"{given.answered_at.isoformat()}\t{document}\t{'t' if scored.valid else 'f'}\t{given.episode_id or NULL}\t"
        f"{scorer.names}\t{{{values}}}\t{states}\t{alerts}\n"
    )


def _alerts(alerts: Sequence[AlertToRecord]) -> str:
    rows = [(alert.id, alert.kind, alert.rule, alert.item, alert.scale, alert.severity) for alert in alerts]
    return "\t".join(array(column) for column in zip(*rows, strict=True))


def array(texts: Iterable[object]) -> str:
    """An array of texts, as a cell of COPY."""
    quoted = ",".join(
        "NULL" if text is None else '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts
    )
    return f"{{{quoted}}}".translate(_ESCAPED)


def write(connection: psycopg.Connection[Any], of: Import, batch: Batch) -> Written:
    """Write a batch, in the transaction of ``connection``, which has to be confined to the organisation.

    Raises
    ------
    Changed
        A client or an episode was changed or removed since the batch was made.
    """
    try:
        _write_clients(connection, of, batch)
        if not batch.lines:
            return Written(0, batch.repeated, [])
        connection.execute("select open_import_stage()")
        with connection.cursor().copy(_COPY) as copy:
            copy.write("".join(batch.lines))
        row = connection.execute(
            _WRITE,
            (
                of.organisation_id,
                of.id,
                of.subject,
                of.role,
                of.request_id,
                batch.recorded_at,
                of.raise_alerts,
                EPISODE_MARGIN,
            ),
        ).fetchone()
    except psycopg.errors.ForeignKeyViolation:
        raise Changed from None
    except psycopg.DatabaseError as error:
        if error.sqlstate != CHANGED:
            raise
        raise Changed from None
    if row is None:
        raise RuntimeError("the function that writes gave no row")
    written, present, taken = row
    detail = "is the id of another response already; leave it out to have one made"
    faults = [RowFault(number, batch.by_row[number], "/response_id", "response-id-taken", detail) for number in taken]
    return Written(written, present + batch.repeated, faults)


def _write_clients(connection: psycopg.Connection[Any], of: Import, batch: Batch) -> None:
    if not batch.clients:
        return
    now = batch.recorded_at
    with connection.cursor() as cursor:
        cursor.executemany(
            _CLIENT,
            [
                (
                    of.organisation_id,
                    made.id,
                    made.external_id_hash,
                    made.external_id_sealed,
                    made.key_wrapped,
                    now,
                    now,
                )
                for made in batch.clients
            ],
        )
        if cursor.rowcount != len(batch.clients):
            raise Changed  # somebody else has made one of them
        cursor.executemany(EVENT, [event(of, now, "create", "client", made.id) for made in batch.clients])


_EVENT_COLUMNS: Final = tuple(AuditEventRow.model_fields)
EVENT: Final = (
    f"insert into audit_event ({', '.join(_EVENT_COLUMNS)}) "  # noqa: S608  - names of columns and placeholders
    f"values ({', '.join(['%s'] * len(_EVENT_COLUMNS))})"
)


def event(of: Import, at: datetime, action: str, resource: str, resource_id: uuid.UUID) -> Sequence[object]:
    """The values of an audit event of an import."""
    from api.ids import new_id

    return (
        of.organisation_id,
        new_id(),
        at,
        of.subject,
        of.role,
        action,
        resource,
        resource_id,
        of.request_id,
        "done",
    )


def now() -> datetime:
    """The time of a batch; one for all its rows."""
    return datetime.now(UTC)
