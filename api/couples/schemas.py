"""What couples look like from outside: one member's own membership, and the joint view."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from api.times import Been

MOST_MEMBERS: Final = 10


def _each_once(ids: list[uuid.UUID]) -> list[uuid.UUID]:
    if len(set(ids)) != len(ids):
        raise PydanticCustomError("duplicate_client", "names each client once")
    return ids


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CoupleCreate(_Write):
    """Clients who are a couple from a day on."""

    clients: Annotated[list[uuid.UUID], AfterValidator(_each_once)] = Field(
        min_length=2, max_length=MOST_MEMBERS, description="Ids of the clients; who they are is never changed later"
    )
    joined_on: Been = Field(description="First day of it, for each of them; not in the future")


class MemberMade(BaseModel):
    """A client who was named, and the id of that client's own part in the couple."""

    client_id: uuid.UUID
    membership_id: uuid.UUID


class CoupleMade(BaseModel):
    """A couple that was made. Keep its id: no client's own path leads back to it."""

    id: uuid.UUID = Field(description="For the joint view; no client's own path tells it")
    created_at: datetime
    members: list[MemberMade] = Field(description="In the order in which they were named")


class MembershipPatch(_Write):
    """Changes (RFC 7396): members not given stay as they are; null for `left_on` says that the client is back."""

    joined_on: Been | None = None
    left_on: Been | None = Field(default=None, description="Last day; it takes the consent to the joint view back")

    @field_validator("joined_on")
    @classmethod
    def _stays(cls, value: date | None) -> date | None:
        if value is None:
            raise PydanticCustomError("not_cleared", "can be changed, not cleared")
        return value


class MembershipRead(BaseModel):
    """One client's own part in a couple. Nothing in it depends on anybody else, or is the same for a partner."""

    id: uuid.UUID
    joined_on: date
    left_on: date | None
    consent: bool | None = Field(
        description="To the joint view: given, or withdrawn or refused; null where nothing was said"
    )
    version: int = Field(description="Counts the changes and consents of this client from 1; also the ETag")


class MembershipPage(BaseModel):
    """A client's memberships, in the order of their ids."""

    items: list[MembershipRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class ConsentCreate(_Write):
    """What the client said about the joint view."""

    given: bool = Field(strict=True, description="false withdraws, or refuses")
    stated_on: Been = Field(description="The day on which the client said so; what was recorded last holds")


class ConsentRead(BaseModel):
    """One statement about the joint view, as it is kept."""

    given: bool
    stated_on: date
    recorded_at: datetime
    recorded_by: str = Field(description="Subject of the token that it was recorded with")
    version: int = Field(description="The version of the membership that it made")


class ConsentPage(BaseModel):
    """All that a client said about one joint view, oldest first."""

    items: list[ConsentRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class JointMember(BaseModel):
    """One of those who are in the couple."""

    client_id: uuid.UUID
    joined_on: date
    consent_stated_on: date


class JointView(BaseModel):
    """The couple, seen together. There is one only while everybody in it consents."""

    id: uuid.UUID
    created_at: datetime
    members: list[JointMember]


class CouplePage(BaseModel):
    """Couples whose joint view is open, in the order of their ids, which is that in which they were made."""

    items: list[JointView]
    next: str | None = Field(description="Cursor of the next page; null on the last")
