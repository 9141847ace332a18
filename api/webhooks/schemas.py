"""What webhooks and their deliveries look like from outside."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.clients.codes import EVENTS, Event
from api.times import Moment
from api.webhooks.addresses import LONGEST_URL

LONGEST_DESCRIPTION: Final = 200
LONGEST_OVERLAP: Final = 168
OVERLAP: Final = 24

T = TypeVar("T")
State = Literal["pending", "delivered", "failed", "disabled"]


def _once_each(types: list[str]) -> list[str]:
    if len(set(types)) != len(types):
        raise PydanticCustomError("duplicate_code", "names each type once")
    return sorted(types, key=EVENTS.index)


def _given(value: T | None) -> T:
    if value is None:
        raise PydanticCustomError("null", "has to be given, or left out")
    return value


Types = Annotated[
    Annotated[list[Event], Field(min_length=1), AfterValidator(_once_each)] | None,
    Field(description="Types of event that are told, see /v1/codes; null is all, also those to come"),
]
Description = Annotated[str | None, Field(max_length=LONGEST_DESCRIPTION, description="For people; may be null")]
Target = Annotated[
    str,
    Field(
        max_length=LONGEST_URL, description="Where messages are posted to: https, at an address of the public internet"
    ),
]


class WebhookCreate(BaseModel):
    """A new webhook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Target
    description: Description = None
    types: Types = None
    enabled: bool = True


class WebhookPatch(BaseModel):
    """Changes (RFC 7396): members not given stay as they are. Enabling forgets that it was failing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[Target | None, AfterValidator(_given)] = None
    description: Description = None
    types: Types = None
    enabled: Annotated[bool | None, AfterValidator(_given)] = None


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_hours: int = Field(
        default=OVERLAP, ge=0, le=LONGEST_OVERLAP, description="Hours in which messages are signed with both secrets"
    )


class Since(BaseModel):
    """From when on deliveries are meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    since: Moment = Field(strict=False, description="Time of the event, in RFC 3339")


class WebhookRead(BaseModel):
    """A webhook as it is kept, without its secret."""

    id: uuid.UUID
    url: str
    description: str | None
    types: list[str] | None = Field(description="Types of event that are told; null is all")
    enabled: bool
    disabled_because: Literal["administrator", "gone", "failing"] | None = Field(
        description="gone: it answered 410; failing: nothing was taken for five days"
    )
    failing_since: datetime | None = Field(description="The first failure since anything was last taken")
    paused_until: datetime | None = Field(description="It asked to be left alone until then")
    rotating_until: datetime | None = Field(description="Until then messages are signed with the former secret too")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class WebhookWithSecret(WebhookRead):
    """A webhook with its new secret, which is shown this once."""

    secret: str = Field(description="Verifies the messages, as libraries of Standard Webhooks take it: whsec_…")


class WebhookPage(BaseModel):
    """Webhooks in the order in which they were made."""

    items: list[WebhookRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class DeliveryRead(BaseModel):
    """What became of one message to one webhook."""

    id: uuid.UUID = Field(description="The `webhook-id` that the receiver sees, the same at each attempt")
    type: str
    resource_id: uuid.UUID = Field(description="What the event is about")
    occurred_at: datetime
    state: State = Field(
        description="pending: it will be tried (again); failed: it was tried ten times; disabled: the webhook was"
    )
    attempts: int = Field(description="Since it was made or last replayed")
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None = Field(description="Status of the last answer; only 2xx is success")
    last_error: str | None = Field(
        description="Why there was none: timeout, unreachable, tls, address-refused, answer-malformed"
    )


class DeliveryPage(BaseModel):
    """Deliveries, the newest first."""

    items: list[DeliveryRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class Replayed(BaseModel):
    """How many deliveries will be tried again."""

    replayed: int
