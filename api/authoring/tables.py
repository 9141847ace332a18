"""The tables of an organisation's own instruments. Drafts change; what was published and what was retired never does.

A version is in use from its row in `own_instrument` until its row in `own_instrument_retirement`: a change of state is
a row more. `id` is what the audit trail names; a draft hands it on to what is published of it.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Text
from sqlmodel import Field, SQLModel

from api.db import JSONText

_CODE = "code ~ '^own-[a-z0-9][a-z0-9_-]{0,35}$'"


class InstrumentDraftRow(SQLModel, table=True):
    """A definition that is being written; it may be wrong, and nothing is recorded with it."""

    __tablename__ = "instrument_draft"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint(_CODE, name="code"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("revision >= 1", name="revision"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    code: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: uuid.UUID
    revision: int
    definition: str = Field(sa_type=JSONText)
    golden: str = Field(sa_type=JSONText)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_by: str = Field(sa_type=Text)


class OwnInstrumentRow(SQLModel, table=True):
    """A published version: its definition as the checksum is made of, and the golden cases that it passed."""

    __tablename__ = "own_instrument"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        CheckConstraint(_CODE, name="code"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("checksum ~ '^[0-9a-f]{64}$'", name="checksum"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    code: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: uuid.UUID
    checksum: str = Field(sa_type=Text)
    definition: str = Field(sa_type=JSONText)
    golden: str = Field(sa_type=JSONText)
    published_at: datetime = Field(sa_type=DateTime(timezone=True))
    published_by: str = Field(sa_type=Text)


class OwnInstrumentRetirementRow(SQLModel, table=True):
    """From when on a version takes no new responses."""

    __tablename__ = "own_instrument_retirement"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation_id", "code", "version"],
            ["own_instrument.organisation_id", "own_instrument.code", "own_instrument.version"],
        ),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    code: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    retired_at: datetime = Field(sa_type=DateTime(timezone=True))
    retired_by: str = Field(sa_type=Text)
