"""What is made of audit events in the background: the chain that they are sealed into, and how they are found.

All of it is written by the job that seals, so that a request pays the one row of its event and no index of it. Sealing
may run long after the event; nothing here says when something happened, only in which order it was sealed.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made

DONE = ("done", "created")
"""Outcomes of what was done as asked, which is nearly all there is. Others are found by an index of their own."""


class AuditKeyRow(SQLModel, table=True):
    """The key that signs an organisation's heads; its private half is sealed under the master key."""

    __tablename__ = "audit_key"
    __table_args__ = (CheckConstraint("octet_length(public_key) = 32", name="ed25519"),)

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    public_key: bytes
    private_sealed: bytes
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class AuditSealRow(SQLModel, table=True):
    """One link of the chain, append-only: the event that is the organisation's ``sequence``-th, and the hash up to it.

    The columns after the hash repeat the event's, to be searched by. An index has the organisation second: first, it
    could be mistaken for the key (see `api.responses.tables`); last, others' events would be read to be passed over.
    """

    __tablename__ = "audit_seal"
    __table_args__ = (
        UniqueConstraint("event_id", "organisation_id"),  # no event twice
        Index("ix_audit_seal_subject", "subject", "organisation_id", "event_id"),
        Index("ix_audit_seal_role", "role", "organisation_id", "event_id"),
        Index("ix_audit_seal_action", "action", "organisation_id", "event_id"),
        Index("ix_audit_seal_resource", "resource", "organisation_id", "event_id"),
        Index(
            "ix_audit_seal_outcome",
            "outcome",
            "organisation_id",
            "event_id",
            postgresql_where=text("outcome not in ('done', 'created')"),
        ),
        CheckConstraint("sequence >= 1", name="sequence"),
        CheckConstraint("octet_length(hash) = 32", name="sha256"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    event_id: uuid.UUID
    hash: bytes
    subject: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    resource: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)


class AuditHeadRow(SQLModel, table=True):
    """The end of the chain after a batch was sealed, signed. Append-only."""

    __tablename__ = "audit_head"
    __table_args__ = (
        CheckConstraint("previous >= 0 and previous < sequence", name="previous"),
        CheckConstraint("octet_length(hash) = 32", name="sha256"),
        CheckConstraint("octet_length(signature) = 64", name="ed25519"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    """That of the last link of the batch."""
    previous: int = Field(sa_type=BigInteger)
    """That of the head before, 0 for the first."""
    hash: bytes
    sealed_at: datetime = Field(sa_type=DateTime(timezone=True))
    complete_until: datetime = Field(sa_type=DateTime(timezone=True))
    """Every event made until then that could be seen had been sealed. Where the next batch begins to look."""
    key_id: uuid.UUID
    signature: bytes


class AuditClientRow(SQLModel, table=True):
    """That an event concerns a client: whether it names them or something of theirs. Append-only."""

    __tablename__ = "audit_client"

    organisation_id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID = Field(primary_key=True)
    event_id: uuid.UUID = Field(primary_key=True)
