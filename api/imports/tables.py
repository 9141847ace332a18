"""The tables of imports: what was asked for and how far it is, the file while it waits, and what was wrong with rows.

The file holds health data, so its parts are sealed with a key of the import, and both go when the import ends.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made

_COUNT = {"server_default": text("0")}


class ImportRow(SQLModel, table=True):
    """One import: what was asked for, its state, and its counts."""

    __tablename__ = "import_run"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint("state in ('uploading', 'queued', 'running', 'finished', 'failed', 'cancelled')", name="state"),
        CheckConstraint("format in ('csv', 'ndjson') and layout in ('wide', 'long')", name="format"),
        CheckConstraint("on_error in ('all-or-nothing', 'skip-bad')", name="on_error"),
        CheckConstraint("alerts in ('keep', 'raise')", name="alerts"),
        CheckConstraint(
            "(finished_at is not null) = (state in ('finished', 'failed', 'cancelled'))", name="finished_at_end"
        ),
        CheckConstraint("(failure_code is not null) = (state = 'failed')", name="failure_where_failed"),
        # Few imports are under way at any time, and workers look for them every second.
        Index(
            "ix_import_run_under_way",
            "created_at",
            postgresql_where=text("state in ('uploading', 'queued', 'running')"),
        ),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    state: str = Field(sa_type=Text)
    format: str = Field(sa_type=Text)
    layout: str = Field(sa_type=Text)
    compressed: bool = False
    """The file is gzip."""
    instrument: str | None = Field(default=None, sa_type=Text)
    """Of all rows; none: each row names its own."""
    on_error: str = Field(sa_type=Text)
    dry_run: bool
    alerts: str = Field(sa_type=Text)
    create_clients: bool
    spooled: bool
    """Whether the file lies in `import_chunk`, where any worker can take it; otherwise whoever has it reads it."""
    key_wrapped: bytes | None = None
    """What the parts are sealed with, under the master key; gone with them."""
    bytes_received: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    bytes_read: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    rows_read: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    rows_bad: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    rows_present: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    """Good rows that are stored already, or occur before in the file."""
    rows_written: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    """Good rows that are new; in a dry run those that would be written."""
    clients_created: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    faults: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_COUNT)
    """Faults found; at most so many are kept as `api.imports.faults.MOST_KEPT` says."""
    attempts: int = Field(default=0, sa_column_kwargs=_COUNT)
    """How often somebody began, or began again, to run it."""
    failure_code: str | None = Field(default=None, sa_type=Text)
    failure_detail: str | None = Field(default=None, sa_type=Text)
    subject: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    request_id: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    changed_at: datetime = Field(sa_type=DateTime(timezone=True))
    """When the upload last went on, or the run last gave a sign of life."""
    started_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    finished_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class ImportChunkRow(SQLModel, table=True):
    """A part of the file as it was sent, sealed; ``start`` is its place in the file, in bytes."""

    __tablename__ = "import_chunk"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "import_id"], ["import_run.organisation_id", "import_run.id"]),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    import_id: uuid.UUID = Field(primary_key=True)
    start: int = Field(primary_key=True, sa_type=BigInteger)
    sealed: bytes


class ImportFaultRow(SQLModel, table=True):
    """One thing wrong with one row: where and what, never the value."""

    __tablename__ = "import_fault"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "import_id"], ["import_run.organisation_id", "import_run.id"]),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    import_id: uuid.UUID = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger)
    row: int = Field(sa_type=BigInteger)
    line: int = Field(sa_type=BigInteger)
    pointer: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)
