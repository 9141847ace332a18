"""The table of who is signed in to the pages."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, Text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class PageSessionRow(SQLModel, table=True):
    """One browser in which somebody is signed in. Gone once they sign out, or the time is over and another signs in.

    The browser holds a secret; here is its hash, from which the secret cannot be had.
    """

    __tablename__ = "page_session"
    __table_args__ = (
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
        CheckConstraint("started_at <= seen_at and started_at < ends_at", name="order"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    secret_hash: bytes = Field(primary_key=True)
    id: uuid.UUID
    """What the audit trail calls it."""
    subject: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    started_at: datetime = Field(sa_type=DateTime(timezone=True))
    seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    """When a page was last asked for, to the minute."""
    ends_at: datetime = Field(sa_type=DateTime(timezone=True))
    """In any case, however busy it is."""
