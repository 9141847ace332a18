"""What a caseload looks like from outside. Answers are written without these models; a test holds them to these."""

from __future__ import annotations

import datetime as days
import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from api.alerts.schemas import Severity
from api.care.schemas import Clinician
from api.caseload.attention import Reason
from api.clients.codes import Attendance, EpisodeFormat, Modality
from api.paging import DEFAULT_PAGE, Cursor, Limit
from api.progress.schemas import Category, Code, HigherIs, MeasurementRead
from instruments.concerns import vocabulary

ALL: Final = "all"
"""In the place of a clinician: everybody's. No clinician's id, as those have a digit."""
NOT_AVAILABLE: Final = "not-available"
CategoryOrNone = Literal["recovered", "improved", "unchanged", "deteriorated", "harmed", "not-available"]
CATEGORIES: Final[tuple[CategoryOrNone, ...]] = get_args(CategoryOrNone)
"""By `scoring.caseload`'s ranks from 1 on; the last is that of rank 0."""


def _concern(code: str) -> str:
    if code not in vocabulary():
        raise PydanticCustomError("unknown_concern", "is an id of /v1/concerns")
    return code


def _all_or(given: object, clinician: ValidatorFunctionWrapHandler) -> Any:
    return given if given == ALL else clinician(given)


class Closed(BaseModel):
    """Base of what is answered and asked: no member beyond those named."""

    model_config = ConfigDict(extra="forbid")


class CaseloadQuery(Closed):
    """Whose clients, which of them, and by which measure."""

    clinician: Annotated[Clinician, WrapValidator(_all_or)] | None = Field(
        default=None,
        description="Clients with an open episode of this clinician; `all`: of anybody or nobody. Unless given: for a "
        "caller in the role `clinician` the clinician whose id is the token's subject, for others `all`",
    )
    instrument: Code | None = Field(
        default=None,
        description="The measure to go by for every client; unless given, what the rule of docs/caseload.md takes",
    )
    scale: Code | None = Field(
        default=None, description="One of its scales; without it `total`, or the first where there is no `total`"
    )
    category: list[CategoryOrNone] | None = Field(
        default=None, min_length=1, description="Only clients of these categories"
    )
    concern: Annotated[str, AfterValidator(_concern)] | None = Field(
        default=None, description="Only clients with an open episode of this concern"
    )
    has_alerts: bool | None = Field(default=None, description="Only clients with an open alert, or without")
    overdue: bool | None = Field(default=None, description="Only clients with something overdue, or without")
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor = None


class CaseloadEpisode(Closed):
    """An open episode."""

    id: uuid.UUID
    started_on: days.date
    modality: Modality | None
    format: EpisodeFormat
    concerns: list[str] = Field(description="Ids of /v1/concerns, the foremost first")
    clinician: str | None


class LastSession(Closed):
    """The last session of these episodes that has been."""

    id: uuid.UUID
    episode_id: uuid.UUID
    held_at: datetime
    attendance: Attendance | None
    modality: Modality | None


class LastAnswer(Closed):
    """The newest response that holds, of any instrument."""

    response_id: uuid.UUID
    instrument: str
    answered_at: datetime


class CaseloadChange(Closed):
    """The last measurement against the first that is used."""

    available: Literal[True]
    since: datetime
    days: float
    points: float = Field(description="Last minus first")
    direction: Literal["better", "worse", "same"] | None = Field(description="Null where the scale has no direction")
    rci: float | None = Field(description="Reliable change index, signed as `points`; null without parameters")
    p_value: float | None = Field(
        description="Two-sided: how often measurement error alone gives a difference at least as large"
    )
    category: Category | None


class ChangeUnavailable(Closed):
    """Why there is no change."""

    available: Literal[False]
    code: str
    detail: str


class OnTrack(Closed):
    """Whether the client is where the reference expects somebody with this first score."""

    available: Literal[True]
    status: Literal["on-track", "watch", "not-on-track"] | None = Field(
        description="Null where the last score lies beyond the last week that the reference speaks of"
    )
    since: datetime | None
    reference_id: uuid.UUID
    reference_version: int
    reference_n: int


class MeasureRead(Closed):
    """A measure that stands for a client: what `GET /v1/clients/{id}/progress` tells of the scale, in short."""

    instrument: str
    instrument_name: str
    version: int = Field(description="Of the definition that the figures are from")
    variant: str
    scale: str
    scale_name: str
    higher_is: HigherIs
    chosen_by: Literal["asked", "concern", "newest"]
    concerns: list[str] = Field(description="Those of the client's concerns that it stands for")
    baseline: MeasurementRead | None
    last: MeasurementRead | None
    change: CaseloadChange | ChangeUnavailable = Field(description="The last against the first")
    needs_review: list[str] = Field(description="What the judgement rests on that is from memory and has to be checked")
    on_track: OnTrack | ChangeUnavailable


class AlertsRead(Closed):
    """Open alerts of the client, whichever response raised them."""

    open: int
    severity: Severity | None = Field(description="The highest")


class CaseloadRow(Closed):
    """A client."""

    client_id: uuid.UUID
    attention: list[Reason] = Field(description="Why the client needs attention, the foremost reason first")
    category: Category | None = Field(description="Of several measures that which calls for most attention")
    episodes: list[CaseloadEpisode] = Field(description="Open ones of the clinician, the newest first")
    last_session: LastSession | None
    last_answer: LastAnswer | None
    measures: list[MeasureRead]
    due: int = Field(description="Waiting to be answered and not overdue, as `GET /v1/due` of the clinician has it")
    overdue: int
    alerts: AlertsRead


class CategoryTotals(Closed):
    """Clients of each category."""

    recovered: int
    improved: int
    unchanged: int
    deteriorated: int
    harmed: int
    not_available: int


class CaseloadTotals(Closed):
    """Of all pages; the filters hold, but for `category`."""

    clients: int
    by_category: CategoryTotals
    with_alerts: int
    overdue: int
    not_on_track: int


class CaseloadPage(Closed):
    """Clients, those who need attention first."""

    clinician: str | None = Field(description="Whose; null: all")
    date: days.date = Field(description="The day (UTC) by which something is due or overdue")
    totals: CaseloadTotals
    items: list[CaseloadRow]
    next: str | None = Field(description="Cursor of the next page; null on the last")
