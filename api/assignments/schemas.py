"""What work between sessions looks like from outside."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from api.clients.codes import AssignmentKind, AssignmentOutcome
from api.clients.texts import SealedText
from api.times import EARLIEST, Been, Day, today

FARTHEST: Final = timedelta(days=366)
LONGEST: Final = 7 * 24 * 60
"""Minutes of a week."""


def _planned(day: date) -> date:
    if not EARLIEST.date() <= day <= today() + FARTHEST:
        raise PydanticCustomError("day_implausible", "is a day from 1900 on, and at most a year ahead")
    return day


Due = Annotated[Day, AfterValidator(_planned), Field(description="Last day for it; at most a year ahead")]
Whole = Annotated[int, Field(strict=True)]
Distress = Annotated[Whole, Field(ge=0, le=10)]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssignmentCreate(_Write):
    """Work that was agreed on."""

    kind: AssignmentKind
    set_on: Been
    due_on: Due
    note: SealedText | None = None


class AssignmentPatch(_Write):
    """Changes (RFC 7396): members not given stay as they are, null clears. None once its outcome is recorded."""

    due_on: Due | None = None
    withdrawn_on: Been | None = Field(
        default=None, description="Day on which it was taken back; it counts nowhere then"
    )
    note: SealedText | None = None

    @field_validator("due_on")
    @classmethod
    def _stays(cls, value: date | None) -> date | None:
        if value is None:
            raise PydanticCustomError("not_cleared", "can be changed, not cleared")
        return value


class CompletionCreate(_Write):
    """What became of it. What is recorded last holds."""

    outcome: AssignmentOutcome | None = Field(
        description="null: what was recorded before was entered in error, and the assignment is open again"
    )
    completed_on: Been | None = Field(
        default=None, description="Day on which it was done, or was clear not to be; given unless `outcome` is null"
    )
    minutes: Annotated[Whole, Field(ge=0, le=LONGEST)] | None = None
    distress_before: Distress | None = Field(default=None, description="0 none to 10 the most imaginable")
    distress_after: Distress | None = Field(default=None, description="0 none to 10 the most imaginable")
    note: SealedText | None = None


class CompletionRead(BaseModel):
    """What was recorded of an assignment, as it is kept."""

    outcome: str | None = Field(description="Code; see /v1/codes, `assignment_outcome`")
    completed_on: date | None
    minutes: int | None
    distress_before: int | None
    distress_after: int | None
    note: str | None
    recorded_at: datetime
    recorded_by: str = Field(description="Subject of the token that it was recorded with")
    version: int = Field(description="The version of the assignment that it made")


class CompletionPage(BaseModel):
    """All that was recorded of an assignment, oldest first."""

    items: list[CompletionRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class AssignmentRead(BaseModel):
    """An assignment as it is kept."""

    id: uuid.UUID
    client_id: uuid.UUID
    kind: str = Field(description="Code; see /v1/codes, `assignment_kind`")
    set_on: date
    due_on: date
    withdrawn_on: date | None
    note: str | None
    completion: CompletionRead | None = Field(description="What was recorded last; null while nothing holds")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes and what was recorded from 1; also the ETag")


class AssignmentPage(BaseModel):
    """Assignments of a client, in the order in which they were recorded."""

    items: list[AssignmentRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class TallyRead(BaseModel):
    """Counts of assignments; `set` is the sum of the five after it."""

    model_config = ConfigDict(from_attributes=True)

    set: int = Field(description="Due then, and not withdrawn")
    done: int
    partly: int
    not_done: int
    overdue: int = Field(description="The last day for it is over everywhere on earth, and nothing is recorded")
    open: int = Field(description="Nothing is recorded, and the last day for it is not over")
    late: int = Field(description="Of those done and partly done: after the day on which they were due")
    withdrawn: int
    minutes: int = Field(description="Sum of those recorded")
    rate: float | None = Field(description="`done` / (`set` - `open`); null where nothing is decided yet")
    rate_with_partly: float | None = Field(description="(`done` + `partly`) / (`set` - `open`)")


class WeekRead(TallyRead):
    """What was due in one week."""

    week: date = Field(description="Its Monday (ISO 8601)")


class Adherence(BaseModel):
    """How much of the work between sessions was done."""

    client_id: uuid.UUID
    weeks: list[WeekRead] = Field(description="Weeks in which something was due, oldest first")
    total: TallyRead
