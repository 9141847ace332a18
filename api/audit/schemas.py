"""The trail on the wire. Events are written as they are hashed, to the letter."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.paging import DEFAULT_PAGE, Cursor, Limit
from api.times import Moment

LONGEST_SUBJECT = 255
_WORD = r"^[A-Za-z][A-Za-z0-9-]*$"


class AuditQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    subject: Annotated[str | None, Query(min_length=1, max_length=LONGEST_SUBJECT)] = Field(
        default=None, description="Only what this subject did: the `sub` of their token"
    )
    role: str | None = Field(default=None, max_length=40, pattern=_WORD, description="Only what was done in this role")
    action: str | None = Field(default=None, max_length=60, pattern=_WORD, description="Only this action, say `read`")
    resource: str | None = Field(
        default=None, max_length=60, pattern=_WORD, description="Only about this kind of thing, say `response`"
    )
    outcome: str | None = Field(
        default=None, max_length=60, pattern=_WORD, description="Only with this outcome, say `forbidden`"
    )
    since: Moment | None = Field(default=None, alias="from", description="Only events made then or later")
    until: Moment | None = Field(default=None, alias="to", description="Only events made before")
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor = None


class AuditEvent(BaseModel):
    """Who did what to which resource. No content."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    at: str = Field(description="UTC, always with six decimals", json_schema_extra={"format": "date-time"})
    subject: str = Field(description="The `sub` of the token that it was done with")
    role: str
    action: str
    resource: str = Field(description="The kind of thing that it was done to")
    resource_id: uuid.UUID | None = Field(description="Which one; null for a list, and where there is none")
    request_id: str = Field(description="`X-Request-Id` of the request, as in the log")
    outcome: str = Field(description="`done` or `created`; else why it was refused")


class AuditEventListed(AuditEvent):
    """An event and its place in the chain."""

    sequence: int | None = Field(description="Its number in the chain; null until it is sealed")


class AuditPage(BaseModel):
    """Events, newest first."""

    items: list[AuditEventListed]
    next: str | None = Field(description="`cursor` of the next page; null on the last")


class AuditLink(BaseModel):
    """A link of the chain."""

    sequence: int = Field(ge=1)
    hash: str = Field(description="SHA-256 of the event with its number and the hash before it, in hex")
    event: AuditEvent | None = Field(description="The event; null where it is not there any more")


class AuditChain(BaseModel):
    """Links in the order of the chain."""

    items: list[AuditLink]
    next: int | None = Field(description="`after` of the next page; null on the last")


class AuditHead(BaseModel):
    """The end of the chain, as it is signed."""

    form: str
    organisation_id: uuid.UUID
    sequence: int
    previous: int = Field(description="Number of the head before; 0 for the first")
    hash: str
    sealed_at: str = Field(json_schema_extra={"format": "date-time"})
    complete_until: str = Field(
        description="Everything made until then that could be seen had been sealed",
        json_schema_extra={"format": "date-time"},
    )
    key_id: uuid.UUID


class AuditSignedHead(BaseModel):
    """A head to be kept elsewhere, against which the chain can be verified later."""

    head: AuditHead
    signature: str = Field(description="Ed25519 over the head as canonical JSON (RFC 8785), base64url")
    public_key: dict[str, Any] = Field(description="The key that it is signed by, as a JWK (RFC 8037)")
