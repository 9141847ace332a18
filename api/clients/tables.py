"""The tables of clients: the client, and what was said of research with its answers."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class ClientRow(SQLModel, table=True):
    """One person, known by no name: the EHR's identifier is sealed, and looked up by a keyed hash."""

    __tablename__ = "client"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        # The organisation last, as in all further indexes: see api/responses/tables.py.
        UniqueConstraint("external_id_hash", "organisation_id"),
        CheckConstraint("octet_length(external_id_hash) = 32", name="external_id_hash"),
        CheckConstraint("(external_id_hash is null) = (external_id_sealed is null)", name="external_id_both"),
        CheckConstraint("birth_year between 1850 and 2200", name="birth_year"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    external_id_hash: bytes | None = None
    external_id_sealed: bytes | None = None
    key_wrapped: bytes
    birth_year: int | None = None
    gender: str | None = Field(default=None, sa_type=Text)
    organs: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    partnered: bool | None = None
    sex_registered_at_birth: str | None = Field(default=None, sa_type=Text)
    orientation: str | None = Field(default=None, sa_type=Text)
    relationship_structure: str | None = Field(default=None, sa_type=Text)
    neurodivergence: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    languages: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    menopausal_stage: str | None = Field(default=None, sa_type=Text)
    research_consent: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class ResearchConsentRow(SQLModel, table=True):
    """That a client consented to research, or withdrew that. Append-only; the last one is what the client tells."""

    __tablename__ = "research_consent"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        CheckConstraint("sequence >= 1", name="sequence"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID = Field(primary_key=True)
    sequence: int = Field(primary_key=True)
    """Counts what was said, from 1."""
    given: bool
    stated_on: date
    """The day on which it was said, or signed."""
    text_version: str | None = Field(default=None, sa_type=Text)
    """Which wording of the consent was put to the client: a code of the organisation's own."""
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
