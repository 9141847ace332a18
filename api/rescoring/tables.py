"""The tables of re-scoring: the runs, from when until when their scores count, and the scores.

What was recorded stays as it is. The current scores of a response are those of the run that was applied last and not
withdrawn, among those that scored it; or, without such a run, those that it was recorded with. So a run counts whole or
not at all, from one moment on, and what was read before that moment can be read again `as_of` then.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from api.db import JSONText

UNFINISHED = "state in ('queued', 'running', 'stopped') and not dry_run"


class RescoringRow(SQLModel, table=True):
    """A run: what was asked for, which never changes, and how far it has come, which does."""

    __tablename__ = "rescoring"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
        # One run of an instrument at a time; whoever starts a second one fails at this.
        Index(
            "ix_rescoring_unfinished",
            "instrument",
            "organisation_id",
            unique=True,
            postgresql_where=text(UNFINISHED),
        ),
        CheckConstraint("state in ('queued', 'running', 'stopped', 'done', 'failed', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'failed') = (failure is not null)", name="failure"),
        CheckConstraint("done >= 0 and total >= 0", name="counts"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    instrument: str = Field(sa_type=Text)
    variant: str | None = Field(default=None, sa_type=Text)
    """Only responses of this one; none: of any."""
    from_version: int
    from_checksum: str | None = Field(default=None, sa_type=Text)
    """Only responses scored by this definition; none: by any of the version."""
    to_version: int
    to_checksum: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    dry_run: bool
    requested_by: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    """Responses recorded later are left to a further run."""
    state: str = Field(sa_type=Text)
    failure: str | None = Field(default=None, sa_type=Text)
    started_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    cursor: uuid.UUID | None = None
    """The last response that was looked at, in the order of ids."""
    total: int | None = None
    """Responses to score, as counted when it began; none before that."""
    done: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """Of these, those scored or refused."""
    report: str | None = Field(default=None, sa_type=JSONText)
    """What has changed so far: the text of `api.rescoring.report.Report`."""


class RescoringEffectRow(SQLModel, table=True):
    """From when on a finished run counts, or no longer does. Append-only; each happens once."""

    __tablename__ = "rescoring_effect"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "rescoring_id"], ["rescoring.organisation_id", "rescoring.id"]),
        CheckConstraint("effect in ('applied', 'withdrawn')", name="effect"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    rescoring_id: uuid.UUID = Field(primary_key=True)
    effect: str = Field(primary_key=True, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    by: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)


class RescoredRow(SQLModel, table=True):
    """The value of one scale of one response by a run. Append-only.

    Without foreign keys, as `score`: they would be checked for each scale anew, and only the run's own transactions
    write here.
    """

    __tablename__ = "rescored"
    __table_args__ = (
        CheckConstraint("(value is not null) = (status in ('complete', 'prorated'))", name="value_by_status"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID = Field(primary_key=True)
    rescoring_id: uuid.UUID = Field(primary_key=True)
    scale: str = Field(primary_key=True, sa_type=Text)
    value: float | None = None
    status: str = Field(sa_type=Text)
    valid: bool
