"""The tables of goals and their ratings. What a goal says in words is sealed with the client's key."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class GoalRow(SQLModel, table=True):
    """One goal of a client. Its figures and words stay as they are once it was rated."""

    __tablename__ = "goal"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        # The organisation not first, as in all further indexes: see api/responses/tables.py.
        Index(None, "client_id", "set_on"),
        CheckConstraint("kind in ('levels', 'target')", name="kind"),
        CheckConstraint("(kind = 'levels') = (weight is not null)", name="weight_of_levels"),
        CheckConstraint("(kind = 'target') = (target is not null)", name="target_of_target"),
        CheckConstraint("weight between 0 and 10", name="weight"),
        CheckConstraint("target between 0 and 10", name="target"),
        CheckConstraint(
            "case kind when 'levels' then baseline between -2 and 2 else baseline between 0 and 10 end", name="baseline"
        ),
        CheckConstraint("dropped_on >= set_on", name="days_in_order"),
        CheckConstraint("(dropped_on is null) = (drop_reason is null)", name="drop_with_reason"),
        CheckConstraint("updated_at >= created_at", name="updated_after_created"),
        CheckConstraint("version >= 1", name="version"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    kind: str = Field(sa_type=Text)
    weight: int | None = Field(default=None, sa_type=SmallInteger)
    target: int | None = Field(default=None, sa_type=SmallInteger)
    baseline: int = Field(sa_type=SmallInteger)
    words_sealed: bytes
    set_on: date
    dropped_on: date | None = None
    drop_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class RatingRow(SQLModel, table=True):
    """How far a goal was reached on a day. Append-only: a correction is a row that names the one it stands for."""

    __tablename__ = "goal_rating"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "goal_id"], ["goal.organisation_id", "goal.id"]),
        ForeignKeyConstraint(["organisation_id", "corrects"], ["goal_rating.organisation_id", "goal_rating.id"]),
        UniqueConstraint("corrects", "organisation_id"),  # of two corrections of one row, none would be the current
        Index(None, "goal_id", "rated_on"),
        CheckConstraint("value between -2 and 10", name="value"),
        CheckConstraint("value is not null or corrects is not null", name="void_corrects"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    goal_id: uuid.UUID
    corrects: uuid.UUID | None = None
    rated_on: date
    value: int | None = Field(default=None, sa_type=SmallInteger)
    """None: the row that is corrected was entered in error."""
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
