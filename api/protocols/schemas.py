"""What protocols, the episodes that follow them, and slots look like from outside."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from api.care.schemas import Clinician
from api.paging import DEFAULT_PAGE, Cursor, Limit
from api.times import EARLIEST, Been, Day, today

MOST_ENTRIES: Final = 40
AHEAD: Final = timedelta(days=28)
"""How far ahead what falls due can be asked for: slots are always planned further than that."""
SINCE: Final = timedelta(days=90)
"""How far back what was not answered is listed unless asked for otherwise."""

Whole = Annotated[StrictInt, Field(ge=1, le=1_000)]
Code = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Name = Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Status = Literal["due", "overdue", "missed", "expired"]
STATUSES: Final[tuple[Status, ...]] = ("overdue", "due", "missed", "expired")


def _planned(day: date) -> date:
    if not EARLIEST.date() <= day <= today() + timedelta(days=366):
        raise PydanticCustomError("day_implausible", "is a day from 1900 on, and at most a year ahead")
    return day


def _near(day: date) -> date:
    if not EARLIEST.date() <= day <= datetime.now(UTC).date() + AHEAD:
        raise PydanticCustomError("day_implausible", f"is a day from 1900 on, and at most {AHEAD.days} days ahead")
    return day


NearDay = Annotated[Day, AfterValidator(_near)]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Baseline(_Write):
    """On the first day of the episode."""

    kind: Literal["baseline"]


class Weeks(_Write):
    """Every so many weeks after the first day of the episode, as long as it goes on."""

    kind: Literal["weeks"]
    every: Annotated[StrictInt, Field(ge=1, le=104)]
    count: Whole | None = Field(default=None, description="How many at most; null: without end")
    until_week: Whole | None = Field(default=None, description="None is due later than so many weeks after that day")


class Sessions(_Write):
    """On the day of every so manyth session that was attended."""

    kind: Literal["sessions"]
    every: Annotated[StrictInt, Field(ge=1, le=100)]
    count: Whole | None = Field(default=None, description="How many at most; null: without end")
    until_week: Whole | None = Field(
        default=None, description="None is due later than so many weeks after the first day of the episode"
    )


class End(_Write):
    """On the last day of the episode, once that is known."""

    kind: Literal["end"]


class FollowUp(_Write):
    """So many weeks after the last day of the episode."""

    kind: Literal["follow-up"]
    weeks: Annotated[StrictInt, Field(ge=1, le=520)]


class Window(_Write):
    """Days around the day on which it is due."""

    opens_before: Annotated[StrictInt, Field(ge=0, le=28)] = Field(description="Days before it that are in time")
    overdue_after: Annotated[StrictInt, Field(ge=0, le=182)] = Field(
        description="Days after it that are still in time; on the next it is overdue"
    )
    closes_after: Annotated[StrictInt, Field(ge=0, le=182)] = Field(
        description="Days after it on which it can still be answered, late; at least `overdue_after`"
    )


class Entry(_Write):
    """One instrument, and when it is to be answered."""

    id: Code = Field(description="Its name within the protocol")
    instrument: StrictStr = Field(description="Code of the instrument, such as `fsfi`")
    version: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Only this version fills it; null: any"
    )
    variant: StrictStr | None = Field(default=None, description="Only this variant fills it; null: any")
    when: Annotated[Baseline | Weeks | Sessions | End | FollowUp, Field(discriminator="kind")]
    window: Window


class ProtocolWrite(_Write):
    """What a protocol says."""

    name: Name
    entries: list[Entry] = Field(min_length=1, max_length=MOST_ENTRIES)


class ProtocolCreate(ProtocolWrite):
    """A new protocol, in its first version."""

    code: Code


class ProtocolVersionRead(BaseModel):
    """One version of a protocol. It never changes."""

    id: uuid.UUID
    code: str
    version: int
    name: str
    entries: list[Entry]
    made_at: datetime
    made_by: str = Field(description="Subject of the token")


class ProtocolRead(ProtocolVersionRead):
    """A protocol in its newest version."""

    retired_at: datetime | None = Field(description="Since when it is not assigned any more; null: in use")
    created_at: datetime
    updated_at: datetime
    revision: int = Field(description="Counts the changes from 1; also the ETag")


class ProtocolPage(BaseModel):
    """Protocols of an organisation, in the order in which they were made."""

    items: list[ProtocolRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class ProtocolVersionPage(BaseModel):
    """Versions of a protocol, oldest first."""

    items: list[ProtocolVersionRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


Version = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class Assign(_Write):
    """That an episode follows a protocol from now on."""

    protocol: StrictStr = Field(description="Code of the protocol")
    version: Version | None = Field(default=None, description="The newest unless given; later ones change nothing")
    starts_on: Annotated[Day, AfterValidator(_planned)] | None = Field(
        default=None, description="What closes before this day is not asked for; today (UTC) unless given"
    )


class EndFollowing(_Write):
    """That an episode does not follow a protocol any more. One that was ended before may get another last day."""

    ended_on: Been | None = Field(default=None, description="The last day; today (UTC) unless given")


class Move(_Write):
    """To another version of the same protocol."""

    version: Version | None = Field(default=None, description="The newest unless given")


class EpisodeProtocolRead(BaseModel):
    """That an episode follows one version of a protocol."""

    id: uuid.UUID
    client_id: uuid.UUID
    episode_id: uuid.UUID
    protocol_id: uuid.UUID
    protocol_version: int
    follows: uuid.UUID | None = Field(description="Of another version, which this took the place of")
    starts_on: date
    ended_on: date | None
    end_reason: Literal["removed", "moved"] | None
    planned_until: date | None = Field(
        description="Every slot that opens by this day is planned, and further ones will be; null: no further ones "
        "but by what happens in the episode"
    )
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class EpisodeProtocolPage(BaseModel):
    """Protocols that an episode follows or followed, in the order in which they were assigned."""

    items: list[EpisodeProtocolRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class SlotRead(BaseModel):
    """One time that an instrument is to be answered."""

    id: uuid.UUID
    episode_protocol_id: uuid.UUID
    entry: str
    occurrence: int = Field(description="Of the entry, from 1")
    instrument: str
    version: int | None
    variant: str | None
    opens_on: date
    due_on: date
    overdue_on: date = Field(description="The first day on which it is overdue")
    closes_on: date = Field(description="The last day of its window as planned")
    last_on: date = Field(
        description="The last day on which it can be answered; before `closes_on` where episode or protocol ended first"
    )


class AnswerRead(BaseModel):
    """A response to a slot, or to none."""

    response_id: uuid.UUID
    answered_at: datetime


class FilledBy(AnswerRead):
    """The response that fills a slot."""

    timing: Literal["on-time", "late"]


class ScheduledSlot(SlotRead):
    """A slot as it stands on a day."""

    status: Literal["upcoming", "due", "overdue", "done", "missed", "expired", "cancelled"]
    filled_by: FilledBy | None
    duplicates: list[AnswerRead] = Field(description="Further responses in its window, which fill no other slot")


class OutsideRead(AnswerRead):
    """A response of the episode that lies outside of every window of its instrument."""

    instrument: str


class Schedule(BaseModel):
    """All slots of an episode as they stand on a day, the first due first."""

    client_id: uuid.UUID
    episode_id: uuid.UUID
    date: date
    slots: list[ScheduledSlot]
    outside: list[OutsideRead]


class StandingRead(BaseModel):
    """What a response is to one of the client's protocols, or to all of them where it is outside."""

    timing: Literal["on-time", "late", "duplicate", "outside"] = Field(
        description="`duplicate`: another response fills the slot; `outside`: of every window"
    )
    slot: SlotRead | None = Field(description="The slot that it fills, or would have filled; null where it is outside")


class DueQuery(_Write):
    """What falls due, of whom."""

    clinician: Clinician | None = Field(default=None, description="Only of episodes of this clinician")
    client_id: uuid.UUID | None = Field(default=None, description="Only of this client")
    date: NearDay | None = Field(
        default=None, description="As it stands on this day, by what was answered until then; today (UTC) unless given"
    )
    status: list[Status] = Field(default=list(STATUSES), min_length=1, description="One or more; all unless given")
    since: NearDay | None = Field(
        default=None,
        description="Missed and expired ones only if they closed on this day or later; "
        f"{SINCE.days} days before `date` unless given",
    )
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor = None


class DueRead(SlotRead):
    """A slot that nobody has answered."""

    client_id: uuid.UUID
    episode_id: uuid.UUID
    clinician: str | None
    status: Status


class DuePage(BaseModel):
    """Slots that nobody has answered: the longest overdue first, then what is overdue soonest, then the last closed."""

    date: date
    items: list[DueRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
