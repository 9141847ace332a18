"""The tables of completed forms. `response` and `score` are append-only: a trigger refuses any change.

Keys begin with the organisation, further indexes do not: a look-up by (organisation, id) that is planned while a table
is empty costs the same by any index that begins so, and may keep one that reads all of the organisation.

Few checks: PostgreSQL reads the text of each anew in every statement that writes, and `record_response` has a statement
for each table. Those that are left hold what other code relies on.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from api.db import JSONText


class ResponseRow(SQLModel, table=True):
    """One completed form. Rows are added, never changed."""

    __tablename__ = "response"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        ForeignKeyConstraint(["organisation_id", "episode_id"], ["episode.organisation_id", "episode.id"]),
        # A client's series of one instrument in time order.
        Index("ix_response_series", "client_id", "instrument", "answered_at"),
        CheckConstraint("jsonb_typeof(answers) = 'object'", name="answers_object"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    instrument: str = Field(sa_type=Text)
    instrument_version: int
    definition_checksum: str = Field(sa_type=Text)
    variant: str = Field(sa_type=Text)
    answers: dict[str, Any] = Field(sa_type=JSONB)
    setting: str | None = Field(default=None, sa_type=Text)
    answered_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
    document: str = Field(sa_type=JSONText)
    """The exact text of the 201 body, which a replay and a later GET give again."""
    valid: bool
    episode_id: uuid.UUID | None = None


class ScoreRow(SQLModel, table=True):
    """The value of one scale of one response.

    Only `record_response` may write one, together with its response; that is why there is no foreign key to it, which
    would be checked for each scale anew.
    """

    __tablename__ = "score"
    __table_args__ = (
        CheckConstraint("(value is not null) = (status in ('complete', 'prorated'))", name="value_by_status"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID = Field(primary_key=True)
    scale: str = Field(primary_key=True, sa_type=Text)
    value: float | None = None
    status: str = Field(sa_type=Text)
    valid: bool


class AlertRow(SQLModel, table=True):
    """A rule on the raw answers that fired and waits for a person. Only its status may change."""

    __tablename__ = "alert"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "response_id"], ["response.organisation_id", "response.id"]),
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        Index(None, "client_id"),
        Index(None, "response_id"),
        CheckConstraint("status in ('open', 'acknowledged')", name="status"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID
    client_id: uuid.UUID
    rule: str = Field(sa_type=Text)
    item: str = Field(sa_type=Text)
    severity: str = Field(sa_type=Text)
    status: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class IdempotencyKeyRow(SQLModel, table=True):
    """Which response a caller's `Idempotency-Key` made, and the hash of the request that made it.

    Written before the response inside one transaction (it is what serialises concurrent duplicates), hence no foreign
    key to it. Forgotten when old, by a job (see `api.jobs`).
    """

    __tablename__ = "idempotency_key"
    organisation_id: uuid.UUID = Field(primary_key=True)
    subject: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    request_hash: bytes
    response_id: uuid.UUID
    created_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
