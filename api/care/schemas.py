"""What episodes and sessions look like from outside."""

from __future__ import annotations

import re
import uuid
from datetime import date, datetime, timedelta
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from api.clients.codes import Attendance, EndReason, EpisodeFormat, Modality
from api.clients.schemas import once_each
from api.times import EARLIEST, Day, Moment, today
from instruments.concerns import vocabulary

T = TypeVar("T")
FARTHEST: Final = timedelta(days=366)
"""How far ahead the start of an episode, or a session, may be planned."""
LONGEST_CLINICIAN: Final = 64

_OPAQUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:|/=~-]*")
_PERSONAL: Final = re.compile(
    r".*[@\s].*"  # an address, or words
    r"|[^0-9]*"  # one word, or several
    r"|(?:[A-Z][a-z]+[._~-]?){2,}[0-9]*"  # AnnaExample7
    r"|[A-Za-z]{2,}(?:\.[A-Za-z]{2,})+[0-9]{0,4}"  # anna.example7
    r"|(?=.*[/-])(?=(?:[^0-9]*[0-9]){7})[0-9/-]+"  # a telephone number
)


def _planned(day: date) -> date:
    if not EARLIEST.date() <= day <= today() + FARTHEST:
        raise PydanticCustomError("day_implausible", "is a day from 1900 on, and at most a year ahead")
    return day


def _been(day: date) -> date:
    if not EARLIEST.date() <= day <= today():
        raise PydanticCustomError("day_implausible", "is a day from 1900 on, and not in the future")
    return day


def _planned_moment(moment: datetime) -> datetime:
    _planned(moment.date())
    return moment


def _opaque(text: str) -> str:
    """An id that says nothing about who it stands for; what looks like a name, an address or a number is refused."""
    if not 1 <= len(text) <= LONGEST_CLINICIAN:
        raise PydanticCustomError("length", f"has 1 to {LONGEST_CLINICIAN} characters")
    if _PERSONAL.fullmatch(text):
        raise PydanticCustomError(
            "personal_data",
            "is an opaque id with a digit in it, never a name, an address or a telephone number; "
            "the record system keeps those",
        )
    if _OPAQUE.fullmatch(text) is None:
        raise PydanticCustomError("id_format", "is made of letters, digits and . _ : | / = ~ -")
    return text


def _concern(code: str) -> str:
    if code not in vocabulary():
        raise PydanticCustomError("unknown_concern", "is an id of /v1/concerns")
    return code


Started = Annotated[Day, AfterValidator(_planned), Field(description="First day; at most a year ahead")]
Ended = Annotated[Day, AfterValidator(_been), Field(description="Last day; not in the future")]
Held = Annotated[
    Moment,
    AfterValidator(_planned_moment),
    Field(description="When it is held; its day is the one at the offset that is sent"),
]
Clinician = Annotated[
    str,
    AfterValidator(_opaque),
    Field(
        description="Opaque id of the clinician in the record system; never a name or an address",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_CLINICIAN},
    ),
]
Concerns = Annotated[
    list[Annotated[str, AfterValidator(_concern)]],
    AfterValidator(once_each),
    Field(max_length=20, description="Ids of /v1/concerns, the foremost first"),
]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EpisodeCreate(_Write):
    """A course of therapy that begins, or one that has been."""

    started_on: Started
    ended_on: Ended | None = None
    end_reason: EndReason | None = Field(default=None, description="Given with `ended_on`, and only then")
    modality: Modality | None = None
    format: EpisodeFormat
    concerns: Concerns = []
    clinician: Clinician | None = None


class EpisodePatch(_Write):
    """Changes (RFC 7396): members not given stay as they are, null clears."""

    started_on: Started | None = None
    ended_on: Ended | None = None
    end_reason: EndReason | None = Field(default=None, description="Given with `ended_on`, and cleared with it")
    modality: Modality | None = None
    format: EpisodeFormat | None = None
    concerns: Concerns | None = None
    clinician: Clinician | None = None

    @field_validator("started_on", "format")
    @classmethod
    def _stays(cls, value: date | str | None) -> date | str | None:
        return _not_cleared(value)


class EpisodeRead(BaseModel):
    """An episode as it is kept."""

    id: uuid.UUID
    client_id: uuid.UUID
    started_on: date
    ended_on: date | None
    end_reason: str | None = Field(description="Code; see /v1/codes")
    modality: str | None = Field(description="Code; see /v1/codes")
    format: str = Field(description="Code; see /v1/codes, `episode_format`")
    concerns: list[str]
    clinician: str | None
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class EpisodePage(BaseModel):
    """Episodes of a client, in the order in which they began."""

    items: list[EpisodeRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class SessionCreate(_Write):
    """A session that is planned, or has been."""

    held_at: Held
    attendance: Attendance | None = Field(default=None, description="What became of it; null while that is not known")
    modality: Modality | None = None


class SessionPatch(_Write):
    """Changes (RFC 7396): members not given stay as they are, null clears."""

    held_at: Held | None = None
    attendance: Attendance | None = None
    modality: Modality | None = None

    @field_validator("held_at")
    @classmethod
    def _stays(cls, value: datetime | None) -> datetime | None:
        return _not_cleared(value)


class SessionRead(BaseModel):
    """A session as it is kept."""

    id: uuid.UUID
    episode_id: uuid.UUID
    held_at: datetime
    held_on: date = Field(description="Its day, at the offset that `held_at` was sent with")
    attendance: str | None = Field(description="Code; see /v1/codes")
    modality: str | None = Field(description="Code; see /v1/codes")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class SessionPage(BaseModel):
    """Sessions of an episode, in the order of their times."""

    items: list[SessionRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


def _not_cleared(value: T) -> T:
    if value is None:
        raise PydanticCustomError("not_cleared", "can be changed, not cleared")
    return value
