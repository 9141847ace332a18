"""What of each table is handed out, and how its values are written: read off the metadata, so nothing is forgotten.

A table of an organisation is carried unless `LEFT_OUT` or `EVIDENCE` says why not, and a column unless `OMITTED` does.
What is sealed goes out opened; a test fails for a sealed column that `SEALED` does not know.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from api.db import JSONText
from api.security import crypto
from api.tables import CLIENT_TABLES

ORGANISATION: Final = "organisation_id"
"""In every table, and in no row that is handed out: another installation has its own."""

LEFT_OUT: Final[dict[str, str]] = {
    "organisation_key": "each installation makes keys of its own",
    "organisation": "the manifest says whose archive it is; the organisation that takes it in is its own",
    "erasure_backup": "which folders of backups of this installation know of an erasure",
    "import_run": "work of this installation; the responses that it wrote are carried",
    "import_chunk": "what was sent for that work",
    "import_fault": "what was wrong with it",
    "page_session": "who is signed in to the pages of this installation",
    "outbox": "messages of this installation; sent again by another they would come twice",
    "webhook": "an endpoint's secret is shared between its receiver and this installation",
    "webhook_delivery": "what became of messages of this installation",
}
"""Tables of an organisation that are in no archive, and why."""

EVIDENCE: Final[dict[str, str]] = {
    "audit_key": "the public half of the key that signed the chain",
    "audit_seal": "the chain that the events were sealed into; another installation seals them into its own",
    "audit_head": "the signed ends of that chain",
    "erasure_certificate": "signed with that key; that somebody was erased is taken in, from another table",
}
"""Tables that are in the archive to be shown, and are not taken in."""

OMITTED: Final[dict[tuple[str, str], str]] = {
    ("client", "key_wrapped"): "each installation makes keys of its own",
    ("client", "external_id_hash"): "computed anew from the identifier, under the other master key",
    ("protocol_slot", "answered"): "a mark for finding what is due quickly, which a job sets anew",
    ("audit_key", "private_sealed"): "whoever held it could sign for this installation",
}
"""Columns that are handed out nowhere, and why."""


@dataclass(frozen=True)
class Sealed:
    """A column that is sealed with the key of the client whose row it is in."""

    opened: str
    """The member that its text goes out as."""
    purpose: bytes
    row_id: Callable[[Mapping[str, Any]], uuid.UUID]
    """What the text is bound to besides the client, from the row's other members, by their names and as ids."""

    def open(self, key: bytes, sealed: bytes, organisation_id: uuid.UUID, client_id: uuid.UUID, row: Any) -> str:
        """The text; :class:`api.security.crypto.Unreadable` where it is not this row's."""
        if not self.purpose:
            return crypto.open_external_id(key, sealed, organisation_id=organisation_id, client_id=client_id)
        return crypto.open_text(
            key,
            sealed,
            purpose=self.purpose,
            organisation_id=organisation_id,
            client_id=client_id,
            row_id=self.row_id(row),
        )

    def seal(self, key: bytes, text: str, organisation_id: uuid.UUID, client_id: uuid.UUID, row: Any) -> bytes:
        """The text as it is stored under the client's key."""
        if not self.purpose:
            return crypto.seal_external_id(key, text, organisation_id=organisation_id, client_id=client_id)
        return crypto.seal_text(
            key,
            text,
            purpose=self.purpose,
            organisation_id=organisation_id,
            client_id=client_id,
            row_id=self.row_id(row),
        )


def _of(member: str) -> Callable[[Mapping[str, Any]], uuid.UUID]:
    return lambda row: row[member]


SEALED: Final[dict[tuple[str, str], Sealed]] = {
    ("client", "external_id_sealed"): Sealed("external_id", b"", _of("id")),
    ("goal", "words_sealed"): Sealed("words", b"goal", _of("id")),
    ("assignment", "note_sealed"): Sealed("note", b"assignment", _of("id")),
    ("assignment_completion", "note_sealed"): Sealed(
        "note", b"assignment", lambda row: uuid.uuid5(row["assignment_id"], str(row["version"]))
    ),
    ("superseded", "reason_sealed"): Sealed("reason", b"correction", _of("response_id")),
    ("alert_acknowledgement", "note_sealed"): Sealed("note", b"alert", _of("alert_id")),
}
"""Every sealed column of a table of clients; the purposes are those of the features that seal."""


class Unwritable(Exception):
    """A stored value that no archive can hold."""


@dataclass(frozen=True)
class Form:
    """How values of one type are written in JSON and read again."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    """Raises :class:`ValueError` for what `write` does not give."""
    select: str = "{}"
    """SQL of the column, so that the driver gives what `write` takes."""


_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _read_moment(value: Any) -> datetime:
    if _MOMENT.fullmatch(_typed(str)(value)) is None:
        raise ValueError
    return datetime.fromisoformat(value)


def _read_id(value: Any) -> uuid.UUID:
    found = uuid.UUID(_typed(str)(value))
    if str(found) != value:
        raise ValueError
    return found


def _read_day(value: Any) -> date:
    found = date.fromisoformat(_typed(str)(value))
    if found.isoformat() != value:
        raise ValueError
    return found


def _read_bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_typed(str)(value), validate=True)
    except binascii.Error:
        raise ValueError from None


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise Unwritable("a number that is not finite")
    return value


def _read_number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError
    return float(value)


def _typed(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError
        return value

    return read


def _same(value: Any) -> Any:
    return value


def _list_of(one: Form) -> Form:
    return Form(
        lambda values: [one.write(value) for value in values],
        lambda values: [one.read(value) for value in _typed(list)(values)],
        one.select,
    )


_FORMS: Final[tuple[tuple[type[Any], Form], ...]] = (
    # JSON goes out as text, to the letter: numbers in it are not read and written again.
    (JSONText, Form(_same, _typed(str), "{}::text")),
    (JSONB, Form(_same, _typed(str), "{}::text")),
    (sa.Uuid, Form(str, _read_id)),
    (sa.DateTime, Form(_moment, _read_moment)),
    (sa.Date, Form(date.isoformat, _read_day)),
    (sa.Boolean, Form(_same, _typed(bool))),
    (sa.Float, Form(_number, _read_number)),
    (sa.Integer, Form(_same, _typed(int))),
    (sa.String, Form(_same, _typed(str))),
    (sa.LargeBinary, Form(lambda value: base64.b64encode(value).decode("ascii"), _read_bytes)),
)


def form_of(column: sa.Column[Any]) -> Form:
    """How the column's values are written; :class:`TypeError` for a type that has no form yet."""
    kind = column.type
    if isinstance(kind, sa.ARRAY):
        return _list_of(form_of(sa.Column(column.name, kind.item_type)))
    for known, form in _FORMS:
        if isinstance(kind, known):
            return form
    raise TypeError(f"{column} has a type that is not exported yet: {kind!r}")


@dataclass(frozen=True)
class Plan:
    """What of one table is handed out."""

    table: str
    columns: tuple[tuple[str, Form], ...]
    """Plain columns, in the order of their names."""
    sealed: tuple[tuple[str, Sealed], ...]
    order: str
    """SQL of the order of the rows, by which one archive of the same rows is like another."""

    @property
    def members(self) -> list[str]:
        """The members of a row, sorted."""
        return sorted([name for name, _ in self.columns] + [sealed.opened for _, sealed in self.sealed])


@cache
def plan_of(name: str) -> Plan:
    """What of a table is handed out."""
    table = SQLModel.metadata.tables[name]
    columns = sorted((column for column in table.columns if column.name != ORGANISATION), key=lambda one: one.name)
    key = [column for column in table.primary_key.columns if column.name != ORGANISATION]
    return Plan(
        table=name,
        columns=tuple(
            (column.name, form_of(column))
            for column in columns
            if (name, column.name) not in OMITTED and (name, column.name) not in SEALED
        ),
        sealed=tuple((column.name, SEALED[name, column.name]) for column in columns if (name, column.name) in SEALED),
        order=", ".join(
            f'row_.{column.name} collate "C"' if isinstance(column.type, sa.String) else f"row_.{column.name}"
            for column in key
        )
        or f"row_.{ORGANISATION}",  # a table of one row
    )


def carried() -> list[str]:
    """The tables that are taken in by another installation, each after those that its rows refer to."""
    return [
        table.name
        for table in SQLModel.metadata.sorted_tables
        if ORGANISATION in table.columns and table.name not in LEFT_OUT and table.name not in EVIDENCE
    ]


def owner_of(table: str, alias: str = "row_") -> str:
    """SQL of the id of the client whose row ``alias`` of ``table`` is.

    Examples
    --------
    >>> owner_of("goal")
    'row_.client_id'
    """
    owned = CLIENT_TABLES[table]
    if not owned.parents:
        return f"{alias}.{owned.column}"
    (parent,) = owned.parents
    return (
        f"(select {owner_of(parent, parent + '_')} from {parent} {parent}_ "  # noqa: S608  - names of tables and columns
        f"where {parent}_.organisation_id = {alias}.organisation_id "
        f"and {parent}_.{owned.parent_key} = {alias}.{owned.column})"
    )
