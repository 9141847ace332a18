"""The tables of webhooks: where messages go, and what became of each.

A message is a row of the outbox; `webhook_delivery` has a row for each endpoint that it goes to, with the message's own
id, which is also the `webhook-id` that the receiver sees. The lease (`busy_until`) and the pause of an endpoint belong
to the workers and make no new version of it.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class WebhookRow(SQLModel, table=True):
    """An endpoint. Its secret is sealed under the master key; during a rotation the former one signs too."""

    __tablename__ = "webhook"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint("enabled = (disabled_because is null)", name="disabled_because"),
        CheckConstraint("disabled_because in ('administrator', 'gone', 'failing')", name="disabled_reason"),
        CheckConstraint("(previous_sealed is null) = (previous_until is null)", name="previous_both"),
        CheckConstraint("cardinality(types) > 0", name="types"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    url: str = Field(sa_type=Text)
    description: str | None = Field(default=None, sa_type=Text)
    types: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    """Event types that it gets; null is all, also those to come."""
    enabled: bool
    disabled_because: str | None = Field(default=None, sa_type=Text)
    secret_sealed: bytes
    previous_sealed: bytes | None = None
    previous_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    failing_since: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """The first failure since anything was last taken."""
    paused_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """It asked to be left alone until then (429, 502 to 504, `Retry-After`)."""
    busy_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """A worker is sending to it; once this has passed, that worker is dead."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class WebhookDeliveryRow(SQLModel, table=True):
    """One message to one endpoint. No content but ids, and of the answers to it no more than a status."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "webhook_id"], ["webhook.organisation_id", "webhook.id"]),
        CheckConstraint("state in ('pending', 'delivered', 'failed', 'disabled')", name="state"),
        CheckConstraint("(state = 'pending') = (next_attempt_at is not null)", name="next_while_pending"),
        # Only what waits, and only what went wrong: both stay small however much has been delivered.
        Index("ix_webhook_delivery_due", "webhook_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index(
            "ix_webhook_delivery_undelivered",
            "webhook_id",
            "id",
            postgresql_where=text("state in ('failed', 'disabled')"),
        ),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    webhook_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    type: str = Field(sa_type=Text)
    resource_id: uuid.UUID
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    state: str = Field(sa_type=Text)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    next_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_attempt_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_status: int | None = None
    last_error: str | None = Field(default=None, sa_type=Text)
    """Why there was no status: see `api.webhooks.sending`."""
