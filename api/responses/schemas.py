"""What a response looks like from outside."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)
from pydantic_core import PydanticCustomError

from api.catalogue.schemas import ANSWERS_SCHEMA, ProvenanceRead, ResultRead
from api.clients.codes import Setting
from api.responses.recording import EPISODE_MARGIN
from api.times import EARLIEST, Moment

SKEW: Final = timedelta(minutes=5)
"""How far the caller's clock may be ahead of ours."""


def _plausible(value: datetime) -> datetime:
    if value < EARLIEST:
        raise PydanticCustomError("time_implausible", "is not before 1900")
    if value > datetime.now(UTC) + SKEW:
        raise PydanticCustomError("time_implausible", "is not in the future")
    return value.astimezone(UTC)


class ResponseCreate(BaseModel):
    """A form that was filled in."""

    model_config = ConfigDict(extra="forbid")

    client_id: uuid.UUID
    instrument: StrictStr = Field(description="Code of the instrument, such as `fsfi`")
    version: StrictInt | None = Field(default=None, ge=1, description="The newest unless given")
    variant: StrictStr | None = Field(default=None, description="The definition's default unless given")
    answered_at: Annotated[Moment, AfterValidator(_plausible)]
    answers: dict[str, Any] = Field(
        description="Item to the value of the chosen option; null and absent are both unanswered",
        json_schema_extra=ANSWERS_SCHEMA,
    )
    setting: Setting | None = Field(default=None, description="Where and how; see /v1/codes")
    episode_id: uuid.UUID | None = Field(
        default=None,
        description="The client's episode that it belongs to: it was answered from "
        f"{EPISODE_MARGIN} days before the first to {EPISODE_MARGIN} days after the last day of that",
    )
    partnered: StrictBool | None = Field(
        default=None, description="Has a partner, as of these answers; goes before what is recorded of the client"
    )
    active: StrictBool | None = Field(
        default=None, description="Whether there was sexual activity in the instrument's recall period"
    )


class ResponseRead(ResultRead):
    """A response as it was recorded: scores with all they rest on."""

    id: uuid.UUID
    client_id: uuid.UUID
    episode_id: uuid.UUID | None
    outside_episode: bool = Field(description="It was recorded as belonging to no episode; none is guessed")
    setting: str | None
    partnered: bool | None = Field(description="As told with these answers; null: not told")
    active: bool | None = Field(description="In the recall period, as told with these answers; null: not told")
    answered_at: datetime
    recorded_at: datetime
    provenance: ProvenanceRead


class ResponseListed(ResponseRead):
    """A response with its answers, as they were sent."""

    answers: dict[str, Any] = Field(json_schema_extra=ANSWERS_SCHEMA)


class ResponsePage(BaseModel):
    """Responses of a client, newest answers first."""

    items: list[ResponseListed]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class StepRead(BaseModel):
    """One step of the arithmetic."""

    about: str = Field(description="The scale or rule; of a conversion, the item")
    kind: Literal[
        "conversion", "skip", "answers", "combine", "transform", "missing", "status", "reading", "rule", "source"
    ]
    text: str = Field(description="One readable line")
    value: float | bool | None
    inputs: dict[str, Any]


class ExplanationRead(BaseModel):
    """How the scores of a response came about, from its answers."""

    id: uuid.UUID
    instrument: str
    version: int
    variant: str
    provenance: ProvenanceRead = Field(description="What the response was scored with")
    steps: list[StepRead]
