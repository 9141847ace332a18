"""The tables of couples. What one member does changes no row of another, nor of the couple."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class CoupleRow(SQLModel, table=True):
    """Two or more clients; who they are is told by their memberships, never changed once it was made."""

    __tablename__ = "couple"

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class MembershipRow(SQLModel, table=True):
    """That a client is, or was, one of a couple. ``version`` counts changes of its days and consents alike.

    Its id is random, not a UUIDv7: those of partners, made in the same millisecond, would tell who belong together.
    """

    __tablename__ = "couple_member"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "couple_id"], ["couple.organisation_id", "couple.id"]),
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        # The organisation not first, as in all further indexes: see api/responses/tables.py.
        UniqueConstraint("couple_id", "client_id", "organisation_id"),
        Index(None, "client_id"),
        CheckConstraint("left_on >= joined_on", name="days_in_order"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    couple_id: uuid.UUID
    client_id: uuid.UUID
    joined_on: date
    left_on: date | None = None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class ConsentRow(SQLModel, table=True):
    """One member's consent to the joint view, given or withdrawn. Append-only; the one of the last version holds."""

    __tablename__ = "couple_consent"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "member_id"], ["couple_member.organisation_id", "couple_member.id"]),
        CheckConstraint("version >= 2", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    member_id: uuid.UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    """The version of the membership that it made."""
    given: bool
    stated_on: date
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
