"""One client's whole record, for that client: everything that is kept of them, opened, and nothing of anybody else.

Every table with rows of clients is in it, under the member that `MEMBERS` names, unless `NOT_IN_RECORD` says why not;
a new table is in it under its own name until somebody decides. A test walks over all of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlmodel import SQLModel

from api.audit.related import CLIENTS_OF
from api.exports.columns import form_of
from api.exports.rows import Reader, connected, within
from api.security import crypto
from api.tables import CLIENT_TABLES

FORM: Final = "fathomline-record-1"
LARGEST: Final = 64 << 20
"""Bytes of JSON. A client who fills in ten forms a week for a hundred years has less."""

MEMBERS: Final[dict[str, str]] = {
    "client": "client",
    "research_consent": "research_consents",
    "episode": "episodes",
    "care_session": "sessions",
    "couple_member": "couples",
    "couple_consent": "couple_consents",
    "goal": "goals",
    "goal_rating": "goal_ratings",
    "assignment": "assignments",
    "assignment_completion": "assignment_completions",
    "episode_protocol": "protocols",
    "protocol_slot": "due",
    "response": "responses",
    "score": "scores",
    "superseded": "corrections",
    "rescored": "rescored",
    "alert": "alerts",
    "alert_acknowledgement": "alert_acknowledgements",
    "audit_event": "seen",
}
"""Under which member of the record the rows of a table are."""

_ERASED: Final = "whoever was erased has no record"
NOT_IN_RECORD: Final[dict[str, str]] = {
    "idempotency_key": "that a caller repeated a request; the response that it made is in the record",
    "outbox": "a message with the id of something that is in the record",
    "webhook_delivery": "what became of such a message",
    "audit_client": "which events concern the client: those are in the record",
    "audit_seal": "the hash of an event that is in the record",
    "erasure": _ERASED,
    "erasure_certificate": _ERASED,
    "erasure_backup": _ERASED,
}
"""Tables with rows of clients that are not in the record, and why."""


class TooLarge(Exception):
    """The record has more than `LARGEST` bytes."""


Row = dict[str, Any]
Record = dict[str, Any]


def _response(row: Row) -> Row:
    """The documents themselves, rather than their text."""
    return row | {name: orjson.Fragment(row[name]) for name in ("answers", "document")}


def _goal(row: Row) -> Row:
    wording, levels = orjson.loads(row.pop("words"))
    return row | {"wording": wording, "levels": levels}


def _membership(row: Row) -> Row:
    """Without the couple's id, which is the partner's too."""
    del row["couple_id"]
    return row


def _event(row: Row) -> Row:
    if row["resource"] == "couple":
        row["resource_id"] = None
    return row


_SHOWN: Final[dict[str, Callable[[Row], Row]]] = {
    "response": _response,
    "goal": _goal,
    "couple_member": _membership,
    "audit_event": _event,
}


def in_record() -> list[str]:
    """The tables that are in a record."""
    return [name for name in CLIENT_TABLES if name not in NOT_IN_RECORD]


def read(url: str, keys: crypto.Keys, organisation_id: uuid.UUID, client_id: uuid.UUID) -> Record:
    """The record, read at one moment over a connection of its own. A client who is not there has an empty one.

    Raises
    ------
    TooLarge
        See `LARGEST`.
    """
    with connected(url) as connection, within(connection, organisation_id, read_only=True):
        reader = Reader(connection, keys, organisation_id, only=client_id)
        record: Record = {"form": FORM, "client_id": str(client_id), "written_at": _now()}
        size = 0
        for table in in_record():
            rows = []
            for row in _events(reader, client_id) if table == "audit_event" else reader.rows(table):
                shown = _SHOWN.get(table, _as_it_is)(row)
                size += len(orjson.dumps(shown))
                if size > LARGEST:
                    raise TooLarge
                rows.append(shown)
            record[MEMBERS.get(table, table)] = rows
        record["client"] = record["client"][0] if record["client"] else None
        return record


def text(record: Record) -> bytes:
    """The record as JSON."""
    return orjson.dumps(record)


def _as_it_is(row: Row) -> Row:
    return row


def _now() -> str:
    written: str = form_of(SQLModel.metadata.tables["client"].columns["created_at"]).write(datetime.now(UTC))
    return written


# Whatever is sealed is found by the links that were made when it was; the rest is looked through: minutes.
_EVENTS: Final = f"""
with floor as (
  select coalesce((select first_uuid_at(h.complete_until) from audit_head h where h.organisation_id = %(organisation)s
                   order by h.sequence desc limit 1), '00000000-0000-0000-0000-000000000000'::uuid) as id
)
select l.event_id from audit_client l where l.organisation_id = %(organisation)s and l.client_id = %(client)s
union
select s.event_id from audit_seal s where s.resource = 'organisation' and s.organisation_id = %(organisation)s
union
select e.id from audit_event e
where e.organisation_id = %(organisation)s and e.id >= (select id from floor)
  and not exists (select from audit_seal s where s.organisation_id = e.organisation_id and s.event_id = e.id)
  and (e.resource = 'organisation' or exists (select from ({CLIENTS_OF}) c where c.id = %(client)s))
"""  # noqa: S608  - nothing but the constant above
"""Ids of the events that concern the client: what was done with anything of theirs, or with the whole organisation."""


def _events(reader: Reader, client_id: uuid.UUID) -> list[Row]:
    found = reader.connection.execute(_EVENTS, {"organisation": reader.organisation_id, "client": client_id}).fetchall()
    every = Reader(reader.connection, reader.keys, reader.organisation_id)
    return list(every.rows("audit_event", further="row_.id = any(%(ids)s)", ids=[row[0] for row in found]))
