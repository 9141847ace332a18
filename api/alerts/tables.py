"""The tables of an organisation's own thresholds, of its guidance, and of acknowledgements.

Alerts themselves lie beside the responses that raise them: see `api.responses.tables`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class AcknowledgementRow(SQLModel, table=True):
    """That somebody has seen to an alert. Append-only, and written by `acknowledge_alert` alone.

    Its key is what lets one of several at once win.
    """

    __tablename__ = "alert_acknowledgement"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "alert_id"], ["alert.organisation_id", "alert.id"]),
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        Index(None, "client_id"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    alert_id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    at: datetime = Field(sa_type=DateTime(timezone=True))
    by: str = Field(sa_type=Text)
    note_sealed: bytes | None = None
    """What was written about it, sealed with the client's key."""


class AlertRuleRow(SQLModel, table=True):
    """A threshold of an organisation's own. Nothing of it changes but that it is retired, once."""

    __tablename__ = "alert_rule"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint("severity in ('urgent', 'notice')", name="severity"),
        CheckConstraint("(retired_at is null) = (retired_by is null)", name="retired_both"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    instrument: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    severity: str = Field(sa_type=Text)
    condition: dict[str, Any] = Field(sa_type=JSONB)
    """In the language of the alerts of a definition: see `instruments.conditions`."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    created_by: str = Field(sa_type=Text)
    retired_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    retired_by: str | None = Field(default=None, sa_type=Text)


class AlertGuidanceRow(SQLModel, table=True):
    """What an organisation tells whoever sees an alert: all its texts, with what each is for."""

    __tablename__ = "alert_guidance"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    entries: list[dict[str, Any]] = Field(sa_type=JSONB)
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_by: str = Field(sa_type=Text)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
