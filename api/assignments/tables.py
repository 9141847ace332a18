"""The tables of work between sessions. Notes are sealed with the client's key."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, SmallInteger, Text, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class AssignmentRow(SQLModel, table=True):
    """One piece of work that a client was given. ``version`` counts changes and reports alike."""

    __tablename__ = "assignment"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        # The organisation not first, as in all further indexes: see api/responses/tables.py.
        Index(None, "client_id", "due_on"),
        CheckConstraint("due_on >= set_on", name="due_after_set"),
        CheckConstraint("withdrawn_on >= set_on", name="withdrawn_after_set"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    kind: str = Field(sa_type=Text)
    set_on: date
    due_on: date
    withdrawn_on: date | None = None
    note_sealed: bytes | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class CompletionRow(SQLModel, table=True):
    """What became of an assignment. Append-only; the one of the last version holds."""

    __tablename__ = "assignment_completion"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "assignment_id"], ["assignment.organisation_id", "assignment.id"]),
        CheckConstraint("version >= 2", name="version"),
        CheckConstraint("outcome in ('done', 'partly', 'not-done')", name="outcome"),
        CheckConstraint("(outcome is null) = (completed_on is null)", name="outcome_with_day"),
        CheckConstraint("minutes between 0 and 10080", name="minutes"),
        CheckConstraint("distress_before between 0 and 10", name="distress_before"),
        CheckConstraint("distress_after between 0 and 10", name="distress_after"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    assignment_id: uuid.UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    """The version of the assignment that it made."""
    outcome: str | None = Field(default=None, sa_type=Text)
    """None: what was recorded before was entered in error, and the assignment is open again."""
    completed_on: date | None = None
    minutes: int | None = None
    distress_before: int | None = Field(default=None, sa_type=SmallInteger)
    distress_after: int | None = Field(default=None, sa_type=SmallInteger)
    note_sealed: bytes | None = None
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
