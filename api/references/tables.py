"""The tables of references: every fit with its parameters, and the history of which one is in use.

A row is one version. What it was made of and what came of it is written once; that it is in use changes, and each such
change is a row of `reference_use`. It holds parameters of a model and counts, and nothing that is one person's: what is
sent in to be fitted is staged without its ids and removed with the fit.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from api.db import JSONText

KEY = ("instrument", "instrument_version", "variant", "scale", "format", "modality", "severity")
"""What the versions of a reference are counted within, and one of them may be in use."""


class ReferenceRow(SQLModel, table=True):
    """One version of the reference for a scale and stratum."""

    __tablename__ = "reference_set"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        Index(
            "ix_reference_set_number",
            *KEY,
            "number",
            "organisation_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(
            "ix_reference_set_active",
            *KEY,
            "organisation_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("active"),
        ),
        CheckConstraint("state in ('queued', 'running', 'ready', 'refused', 'failed', 'withdrawn')", name="state"),
        CheckConstraint("origin in ('episodes', 'data', 'parameters')", name="origin"),
        CheckConstraint("(state in ('refused', 'failed')) = (failure is not null)", name="failure"),
        CheckConstraint("state not in ('ready', 'withdrawn') or model is not null", name="model"),
        CheckConstraint("not active or state = 'ready'", name="active"),
        CheckConstraint("staged is null or state in ('queued', 'running')", name="staged"),
        CheckConstraint("number >= 1", name="number"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    instrument: str = Field(sa_type=Text)
    instrument_version: int
    variant: str = Field(sa_type=Text)
    scale: str = Field(sa_type=Text)
    format: str | None = Field(default=None, sa_type=Text)
    """Whom it holds for, here and in the two below; none: any."""
    modality: str | None = Field(default=None, sa_type=Text)
    severity: str | None = Field(default=None, sa_type=Text)
    """Label of the definition's band in which the first score lies."""
    number: int
    """Its version: 1, 2, ... within `KEY`."""
    origin: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    evidence: str = Field(sa_type=Text)
    requested_by: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    state: str = Field(sa_type=Text)
    active: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    failure: str | None = Field(default=None, sa_type=Text)
    failure_detail: str | None = Field(default=None, sa_type=Text)
    started_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    persons: int | None = None
    observations: int | None = None
    horizon: float | None = None
    model: str | None = Field(default=None, sa_type=JSONText)
    """The text of `GrowthModel.document`."""
    report: str | None = Field(default=None, sa_type=JSONText)
    """How the fit went: see `scoring.growth.fit.Fit.document`."""
    staged: str | None = Field(default=None, sa_type=JSONText)
    """Until it is fitted: persons by number, weeks and scores, of what was sent in."""


class ReferenceUseRow(SQLModel, table=True):
    """From when on a reference was in use, or no longer. Append-only."""

    __tablename__ = "reference_use"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation_id", "reference_id"], ["reference_set.organisation_id", "reference_set.id"]
        ),
        Index(None, "reference_id", "at"),
        CheckConstraint("effect in ('activated', 'replaced', 'withdrawn')", name="effect"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    reference_id: uuid.UUID
    effect: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    by: str = Field(sa_type=Text)
