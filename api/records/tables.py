"""Audit trail and outbox.

Neither refers to `organisation` by a foreign key: its check would lock that one row in every transaction of the
tenant. Row-level security already holds `organisation_id` to the caller's.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import DateTime, Index, Text, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class AuditEventRow(SQLModel, table=True):
    """Who did what to which resource. Append-only; no answer and no identifier of a person in it."""

    __tablename__ = "audit_event"

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    subject: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    resource: str = Field(sa_type=Text)
    resource_id: uuid.UUID | None = None
    request_id: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)


class OutboxRow(SQLModel, table=True):
    """A message to deliver after the transaction that wrote it; `delivered_at` is all that changes."""

    __tablename__ = "outbox"
    __table_args__ = (
        # Only what waits is in the index, so it stays small however much has been delivered.
        Index("ix_outbox_waiting", "organisation_id", "id", postgresql_where=text("delivered_at is null")),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    topic: str = Field(sa_type=Text)
    resource_id: uuid.UUID
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    delivered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
