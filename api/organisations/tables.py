"""The table of organisations."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class OrganisationRow(SQLModel, table=True):
    """One tenant. Every other table's primary key begins with its id."""

    __tablename__ = "organisation"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
        CheckConstraint("name <> ''", name="name"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    slug: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})


class OrganisationKeyRow(SQLModel, table=True):
    """The key that an organisation's external identifiers are hashed with, wrapped under the master key.

    It is made once and never replaced: another master key wraps it anew, and every hash stays as it is.
    """

    __tablename__ = "organisation_key"
    __table_args__ = (ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),)

    organisation_id: uuid.UUID = Field(primary_key=True)
    lookup_wrapped: bytes
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})
