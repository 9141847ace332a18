"""The table of wording packs. Append-only: a change is a further row, and so is a withdrawal."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from api.db import JSONText


class WordingPackRow(SQLModel, table=True):
    """One version of one pack with its attestation, or its withdrawal, which repeats the attestation it ends.

    Versions count from 1 for each organisation, instrument version, language and printed variant. The unique
    constraint decides between two writers: the one that comes second finds its number taken.
    """

    __tablename__ = "wording_pack"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        # The organisation last, as in all further indexes: see api/responses/tables.py.
        UniqueConstraint(
            "instrument", "instrument_version", "language", "variant", "pack_version", "organisation_id",
            name="uq_wording_pack_pack_version",
        ),
        CheckConstraint("pack_version >= 1", name="pack_version"),
        CheckConstraint("valid_until >= valid_from", name="valid_in_order"),
        CheckConstraint("withdrawn = (pack is null)", name="pack_unless_withdrawn"),
    )  # fmt: skip

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    instrument: str = Field(sa_type=Text)
    instrument_version: int
    language: str = Field(sa_type=Text)
    variant: str = Field(sa_type=Text)
    pack_version: int
    withdrawn: bool
    pack: str | None = Field(default=None, sa_type=JSONText)
    """The texts, as they came, in the service's own format; null in a withdrawal."""
    holder: str = Field(sa_type=Text)
    licence_reference: str = Field(sa_type=Text)
    statement: str = Field(sa_type=Text)
    """The words that were accepted, kept because the service may ask for others later."""
    valid_from: date
    valid_until: date | None = None
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
    """Subject of the token: who attested, or who withdrew."""
