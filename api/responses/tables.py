"""The tables of completed forms. All but alerts and keys are append-only: a trigger refuses any change.

An amended response is a further row of `response`. Its public id stays that of its first row, the **root**, and
`superseded` names each row that no longer holds. So what holds now is every row that is not in it.

Keys begin with the organisation, further indexes do not: a look-up by (organisation, id) that is planned while a table
is empty costs the same by any index that begins so, and may keep one that reads all of the organisation.

Few checks: PostgreSQL reads the text of each anew in every statement that writes, and `record_response` has a statement
for each table. Those that are left hold what other code relies on.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from api.db import JSONText


class ResponseRow(SQLModel, table=True):
    """One completed form, as recorded or as amended. Rows are added, never changed."""

    __tablename__ = "response"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        ForeignKeyConstraint(["organisation_id", "episode_id"], ["episode.organisation_id", "episode.id"]),
        # A client's series of one instrument in time order.
        Index("ix_response_series", "client_id", "instrument", "answered_at"),
        # The further versions of a response. Only amendments are in it: recording a new response writes no entry.
        Index(
            "ix_response_root_id_revision",
            "root_id",
            "revision",
            unique=True,
            postgresql_where=text("root_id is not null"),
        ),
        # For removing an episode: without it each looks through all responses of the organisation.
        Index(None, "episode_id", postgresql_where=text("episode_id is not null")),
        CheckConstraint("jsonb_typeof(answers) = 'object'", name="answers_object"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    instrument: str = Field(sa_type=Text)
    instrument_version: int
    definition_checksum: str = Field(sa_type=Text)
    variant: str = Field(sa_type=Text)
    answers: dict[str, Any] = Field(sa_type=JSONB)
    setting: str | None = Field(default=None, sa_type=Text)
    answered_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_by: str = Field(sa_type=Text)
    document: str = Field(sa_type=JSONText)
    """The exact text of the 201 body, which a replay and a later GET give again."""
    valid: bool
    episode_id: uuid.UUID | None = None
    root_id: uuid.UUID | None = None
    """The first row of the response that this one amends; none where it is that itself.

    Without a foreign key: its trigger would be called for each new response, and `superseded` has one that leads there.
    """
    revision: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    """1 as recorded; each correction counts on."""


class SupersededRow(SQLModel, table=True):
    """A row of `response` that no longer holds: since when, by whom, why, and which one holds in its place, if any.

    Its key is what lets one of several concurrent corrections win.
    """

    __tablename__ = "superseded"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation_id", "response_id"],
            ["response.organisation_id", "response.id"],
            name="fk_superseded_response",
        ),
        ForeignKeyConstraint(
            ["organisation_id", "by_response_id"],
            ["response.organisation_id", "response.id"],
            name="fk_superseded_response_by",
            # The row that is replaced is taken first; that which replaces it is written after it, once it is ours.
            initially="DEFERRED",
            deferrable=True,
        ),
        Index(None, "by_response_id", postgresql_where=text("by_response_id is not null")),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID = Field(primary_key=True)
    root_id: uuid.UUID
    by_response_id: uuid.UUID | None = None
    """None: the response was entered in error and has no version that holds."""
    reason_code: str = Field(sa_type=Text)
    reason_sealed: bytes | None = None
    """What was written about it, sealed with the client's key."""
    at: datetime = Field(sa_type=DateTime(timezone=True))
    by: str = Field(sa_type=Text)


class ScoreRow(SQLModel, table=True):
    """The value of one scale of one response.

    Only `record_response`, `record_responses` and `amend_response` may write one, together with its response; that is
    why there is no foreign key to it, which would be checked for each scale anew.
    """

    __tablename__ = "score"
    __table_args__ = (
        CheckConstraint("(value is not null) = (status in ('complete', 'prorated'))", name="value_by_status"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID = Field(primary_key=True)
    scale: str = Field(primary_key=True, sa_type=Text)
    value: float | None = None
    status: str = Field(sa_type=Text)
    valid: bool


class AlertRow(SQLModel, table=True):
    """Something in a response that somebody has to see, and what became of that.

    Its status is all that changes, by functions of the database in the transaction that says why: `superseded` with the
    response that raised it, `acknowledged` with a row of `alert_acknowledgement`. An alert of imported answers may be
    `historic` from the start: kept, and waiting for nobody.
    """

    __tablename__ = "alert"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "response_id"], ["response.organisation_id", "response.id"]),
        ForeignKeyConstraint(["organisation_id", "client_id"], ["client.organisation_id", "client.id"]),
        Index(None, "client_id"),
        Index(None, "response_id"),
        # In the order of lists; `urgent` comes after `notice` in the alphabet too.
        Index("ix_alert_listed", "severity", "organisation_id", "created_at", "id"),
        Index(
            "ix_alert_open",
            "severity",
            "organisation_id",
            "created_at",
            "id",
            postgresql_where=text("status = 'open'"),
        ),
        CheckConstraint("status in ('open', 'acknowledged', 'superseded', 'historic')", name="status"),
        CheckConstraint("kind in ('answers', 'threshold', 'worsening')", name="kind"),
        CheckConstraint("origin in ('recorded', 'import')", name="origin"),
        CheckConstraint("(kind = 'worsening') = (baseline_id is not null)", name="baseline_of_worsening"),
        CheckConstraint("(kind = 'worsening') = (change is not null)", name="change_of_worsening"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    response_id: uuid.UUID
    """The row of `response` that raised it: an amendment raises its own."""
    client_id: uuid.UUID
    kind: str = Field(default="answers", sa_type=Text, sa_column_kwargs={"server_default": text("'answers'")})
    """By a rule of the definition (`answers`), one of the organisation (`threshold`), or by change (`worsening`)."""
    rule: str = Field(sa_type=Text)
    """Id of the definition's rule, of the row of `alert_rule`, or of the method."""
    item: str = Field(sa_type=Text)
    """Items that the rule looks at, separated by commas."""
    scale: str | None = Field(default=None, sa_type=Text)
    """Of worsening, and of a rule that looks at one scale and nothing else."""
    severity: str = Field(sa_type=Text)
    status: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    origin: str = Field(default="recorded", sa_type=Text, sa_column_kwargs={"server_default": text("'recorded'")})
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    baseline_id: uuid.UUID | None = None
    """Of worsening: the public id of the response that it was held against."""
    change: float | None = None
    """Of worsening: score less baseline, in points."""


class IdempotencyKeyRow(SQLModel, table=True):
    """Which response a caller's `Idempotency-Key` made, and the hash of the request that made it.

    Written before the response inside one transaction (it is what serialises concurrent duplicates), hence no foreign
    key to it. Forgotten when old, by a job (see `api.jobs`).
    """

    __tablename__ = "idempotency_key"
    organisation_id: uuid.UUID = Field(primary_key=True)
    subject: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    request_hash: bytes
    response_id: uuid.UUID
    created_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
