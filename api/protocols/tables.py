"""The tables of protocols: what is asked when, which episodes it was assigned to, and each time that it falls due.

Which response fills a slot is nowhere stored: see docs/decisions, "What fills a slot".
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class ProtocolRow(SQLModel, table=True):
    """A protocol by its code. ``version`` is its newest; ``revision`` counts every change, a retirement too."""

    __tablename__ = "protocol"
    __table_args__ = (
        UniqueConstraint("code", "organisation_id"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1 and revision >= version", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    code: str = Field(sa_type=Text)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    retired_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    revision: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class ProtocolVersionRow(SQLModel, table=True):
    """What a protocol says in one version. Append-only: episodes that it was assigned to keep theirs."""

    __tablename__ = "protocol_version"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "protocol_id"], ["protocol.organisation_id", "protocol.id"]),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    protocol_id: uuid.UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    entries: list[dict[str, Any]] = Field(sa_type=JSONB)
    made_at: datetime = Field(sa_type=DateTime(timezone=True))
    made_by: str = Field(sa_type=Text)


class EpisodeProtocolRow(SQLModel, table=True):
    """That an episode follows one version of a protocol, from a day on and perhaps to a day."""

    __tablename__ = "episode_protocol"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        ForeignKeyConstraint(["organisation_id", "episode_id"], ["episode.organisation_id", "episode.id"]),
        ForeignKeyConstraint(
            ["organisation_id", "protocol_id", "protocol_version"],
            ["protocol_version.organisation_id", "protocol_version.protocol_id", "protocol_version.version"],
        ),
        # The organisation not first, as in all further indexes: see api/responses/tables.py.
        Index(None, "episode_id", "id"),
        # Those whose slots have to be planned further, the most pressing first.
        Index(None, "planned_until", "id", postgresql_where=text("planned_until is not null")),
        CheckConstraint("(ended_on is null) = (end_reason is null)", name="end_with_reason"),
        CheckConstraint("end_reason in ('removed', 'moved')", name="end_reason"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    episode_id: uuid.UUID
    protocol_id: uuid.UUID
    protocol_version: int
    follows: uuid.UUID | None = None
    """The assignment of another version that it takes the place of: what had opened before stays with that one."""
    starts_on: date
    ended_on: date | None = None
    end_reason: str | None = Field(default=None, sa_type=Text)
    planned_until: date | None = None
    """Every slot that opens by this day is there. None: there are none to come but by what happens in the episode."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class SlotRow(SQLModel, table=True):
    """One time that an instrument is to be answered. Made from the episode's facts, and made anew when they change."""

    __tablename__ = "protocol_slot"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        ForeignKeyConstraint(
            ["organisation_id", "episode_protocol_id"], ["episode_protocol.organisation_id", "episode_protocol.id"]
        ),
        UniqueConstraint(
            "episode_protocol_id", "entry", "occurrence", "organisation_id", name="uq_protocol_slot_occurrence"
        ),
        # Of a client and an instrument, in the order of their windows: what a response may fill.
        Index(None, "client_id", "instrument", "opens_on"),
        # What is open on a day is one range of days for each shape of window; what is closed is one range. Both for an
        # organisation and for a clinician, and those apart that are known to be answered. The partial ones may begin
        # with the organisation: no look-up by key has their condition.
        Index(
            "ix_protocol_slot_open", "organisation_id", "answered", "shape", "overdue_on", "id",
            postgresql_where=text("not cancelled"),
        ),
        Index(
            "ix_protocol_slot_closed", "organisation_id", "answered", "last_on", "id",
            postgresql_where=text("not cancelled"),
        ),
        Index(
            "ix_protocol_slot_clinician_open", "clinician", "answered", "shape", "overdue_on", "id",
            postgresql_where=text("not cancelled and clinician is not null"),
        ),
        Index(
            "ix_protocol_slot_clinician_closed", "clinician", "answered", "last_on", "id",
            postgresql_where=text("not cancelled and clinician is not null"),
        ),
        CheckConstraint("opens_on <= due_on and due_on < overdue_on and due_on <= closes_on", name="days_in_order"),
        CheckConstraint("opens_on <= last_on and last_on <= closes_on", name="last_in_window"),
    )  # fmt: skip

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    episode_id: uuid.UUID
    episode_protocol_id: uuid.UUID
    clinician: str | None = Field(default=None, sa_type=Text)
    """The episode's, so that a clinician's slots are found by an index of their own."""
    entry: str = Field(sa_type=Text)
    occurrence: int
    instrument: str = Field(sa_type=Text)
    instrument_version: int | None = None
    variant: str | None = Field(default=None, sa_type=Text)
    opens_on: date
    due_on: date
    overdue_on: date
    """The first day on which it is overdue."""
    closes_on: date
    """The last day of its window as planned."""
    last_on: date
    """The last day on which it can be answered: before ``closes_on`` where episode or assignment ended first."""
    cancelled: bool
    """It does not fall due any more: what it hung on changed, or ended before it opened."""
    shape: int
    """The lengths of its window, which many slots share: see `api.protocols.planning.shape`."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    answered: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Known to be filled since a day that is over or goes on. False says nothing. See `api.protocols.settling`."""
