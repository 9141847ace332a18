"""What a certificate of an erasure looks like from outside."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field


class Remaining(BaseModel):
    """What is kept of an erased client, and why."""

    table: str
    rows: int
    why: str


class BackupReached(BaseModel):
    """A folder of backups, and since when none in it can be opened for the client."""

    folder: str
    reached_at: datetime | None = Field(description="null: not yet; a worker that reaches the folder does it")


class Certificate(BaseModel):
    """The exact text that was signed, and what it takes to check the signature (Ed25519 over its UTF-8)."""

    statement: str = Field(description="JSON in the form of RFC 8785, with the members of the erasure")
    signature: str = Field(description="Base64 for URLs, without padding")
    public_key: dict[str, Any] = Field(description="A JSON Web Key; its kid is that of the organisation's audit key")


class ErasureRead(BaseModel):
    """An erasure, with its certificate."""

    id: uuid.UUID
    client_id: uuid.UUID
    erased_at: datetime
    erased_by: str
    reason: str = Field(description="Code; see /v1/codes")
    key_fingerprint: str | None = Field(
        description="SHA-256, in hex, of a constant and the key that was destroyed; null: it could not be opened"
    )
    removed: dict[str, int] = Field(description="By table: rows that were removed")
    remains: list[Remaining]
    backups: list[BackupReached]
    log_days: int | None = Field(
        description="Days for which the operator says that archives of the server's log and copies of its disk are "
        "kept; null: the operator did not say"
    )
    log_until: date | None = Field(description="The last day on which such a copy may still hold rows of the client")
    certificate: Certificate


class ErasurePage(BaseModel):
    """Erasures, in the order in which they were made."""

    items: list[ErasureRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
