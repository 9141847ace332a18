"""The tables that remain of an erased client: that there was one, the signed certificate, and which backups know.

None refers to the client, whose row is gone. All are append-only, and only `erase_client` writes the first.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

import api.db  # noqa: F401  - sets the naming convention before the first table is made


class ErasureRow(SQLModel, table=True):
    """That a client was erased. No client is ever made again under that id: a trigger refuses it."""

    __tablename__ = "erasure"
    __table_args__ = (
        UniqueConstraint("client_id", "organisation_id"),
        CheckConstraint("octet_length(key_fingerprint) = 32", name="sha256"),
        CheckConstraint("jsonb_typeof(removed) = 'object'", name="removed_object"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = Field(primary_key=True)
    client_id: uuid.UUID
    erased_at: datetime = Field(sa_type=DateTime(timezone=True))
    erased_by: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    key_fingerprint: bytes | None = None
    """Of the key that was destroyed; none where it could not be opened any more."""
    removed: dict[str, Any] = Field(sa_type=JSONB)
    """By table: how many rows."""


class ErasureCertificateRow(SQLModel, table=True):
    """What is certified of an erasure, as the exact text that was signed."""

    __tablename__ = "erasure_certificate"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "erasure_id"], ["erasure.organisation_id", "erasure.id"]),
        CheckConstraint("octet_length(signature) = 64", name="ed25519"),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    erasure_id: uuid.UUID = Field(primary_key=True)
    statement: str = Field(sa_type=Text)
    key_id: uuid.UUID
    signature: bytes


class ErasureBackupRow(SQLModel, table=True):
    """That the key was taken out of a folder of backups, since when they cannot be opened for this client any more."""

    __tablename__ = "erasure_backup"
    __table_args__ = (
        ForeignKeyConstraint(["organisation_id", "erasure_id"], ["erasure.organisation_id", "erasure.id"]),
    )

    organisation_id: uuid.UUID = Field(primary_key=True)
    erasure_id: uuid.UUID = Field(primary_key=True)
    folder: str = Field(primary_key=True, sa_type=Text)
    reached_at: datetime = Field(sa_type=DateTime(timezone=True))
