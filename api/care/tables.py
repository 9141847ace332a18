"""The tables of episodes and their sessions."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class EpisodeRow(SQLModel, table=True):
    """One course of therapy of one client. Its days are calendar days where the practice is."""

    __tablename__ = "episode"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        # The organisation not first, as in all further indexes: see api/responses/tables.py.
        Index(None, "client_id", "started_on"),
        # Caseloads, of a clinician and of all. A partial one may begin so: no look-up by key has its condition.
        Index(
            "ix_episode_open",
            "organisation_id",
            "clinician",
            "client_id",
            postgresql_where=text("ended_on is null"),
        ),
        CheckConstraint("ended_on >= started_on", name="days_in_order"),
        CheckConstraint("(ended_on is null) = (end_reason is null)", name="end_with_reason"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    started_on: date
    ended_on: date | None = None
    end_reason: str | None = Field(default=None, sa_type=Text)
    modality: str | None = Field(default=None, sa_type=Text)
    format: str = Field(sa_type=Text)
    concerns: list[str] = Field(sa_type=ARRAY(Text))
    clinician: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class SessionRow(SQLModel, table=True):
    """One appointment of an episode. ``held_on`` is the calendar day of ``held_at`` at the offset it was sent with."""

    __tablename__ = "care_session"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "episode_id"], ["episode.organisation_id", "episode.id"]),
        Index(None, "episode_id", "held_at"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    episode_id: uuid.UUID
    held_at: datetime = Field(sa_type=DateTime(timezone=True))
    held_on: date
    attendance: str | None = Field(default=None, sa_type=Text)
    modality: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
