"""What a response looks like from outside."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

from api.catalogue.schemas import ANSWERS_SCHEMA, AlertRead, ProvenanceRead, ResultRead
from api.clients.codes import Setting
from api.protocols.schemas import StandingRead
from api.responses.recording import EPISODE_MARGIN
from api.times import PastTime


class ResponseCreate(BaseModel):
    """A form that was filled in."""

    model_config = ConfigDict(extra="forbid")

    client_id: uuid.UUID
    instrument: StrictStr = Field(description="Code of the instrument, such as `fsfi`")
    version: StrictInt | None = Field(default=None, ge=1, description="The newest unless given")
    variant: StrictStr | None = Field(default=None, description="The definition's default unless given")
    answered_at: PastTime
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


class CorrectionRead(BaseModel):
    """When, by whom and why a response was put right."""

    at: datetime
    by: str = Field(description="Subject of the token")
    reason_code: str = Field(description="A code of `correction` in /v1/codes")
    reason: str | None = Field(description="In the words of who did it")


class SupersededRead(CorrectionRead):
    """Why a version no longer holds, and which one does in its place."""

    revision: int = Field(description="The version that followed")
    status: Literal["amended", "entered-in-error"] = Field(description="Of that version")


class AlertRaised(AlertRead):
    """An alert of the response, as it was when that was recorded; `/v1/alerts/{id}` says what became of it.

    In responses that were recorded before alerts had ids of their own, `id` is the rule's and the other members are
    absent.
    """

    id: str = Field(description="Of the alert, in /v1/alerts and in webhooks")
    kind: Literal["answers", "threshold", "worsening"] | None = Field(
        default=None,
        description="By a rule of the definition, by one of the organisation, or by change beyond measurement error",
    )
    rule: str | None = Field(default=None, description="Id of the rule; of worsening, the method")
    scale: str | None = Field(default=None, description="Of worsening, and of a rule that looks at one scale only")
    status: Literal["open", "historic"] | None = Field(default=None, description="That it began with")
    guidance: str | None = Field(default=None, description="What the organisation has to say about such alerts")
    baseline_response_id: uuid.UUID | None = Field(default=None, description="Of worsening: what it was held against")
    change: float | None = Field(default=None, description="Of worsening: score less baseline, in points")


class RescoringOfResponse(BaseModel):
    """The run that has made the current scores in place of the recorded ones."""

    id: uuid.UUID
    applied_at: datetime = Field(description="From when on its scores are the current ones")
    recorded_version: int = Field(description="Of the instrument, when the response was recorded")
    recorded: str = Field(description="Path of the response as it was recorded")


class ResponseRead(ResultRead):
    """A response as it was recorded: scores with all they rest on."""

    alerts: list[AlertRaised]  # type: ignore[assignment]  # a list of more than a result has, and never appended to
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
    status: Literal["completed", "amended"]
    revision: int = Field(description="Of the response: 1 as recorded; each correction counts on. Its `ETag`")
    amended: bool = Field(description="This version was made by putting an earlier one right")
    current: bool = Field(description="This version holds: it was neither amended nor found to be void since")
    superseded: SupersededRead | None = Field(description="What became of it; null where it is current")
    rescoring: RescoringOfResponse | None = Field(
        description="Where `version`, `scores` and what they are read as come from a later run: that. `alerts` are "
        "those of the day on which the response was recorded"
    )


class ResponseFound(ResponseRead):
    """A response as it holds now, and what it is to the client's protocols, which may change with each further one."""

    schedule: list[StandingRead] | None = Field(
        default=None,
        description="Which slot of each protocol it fills and whether in time; one entry that says `outside` where it "
        "lies in no window; left out where no protocol of the client asks for it",
    )


class ResponseVoid(BaseModel):
    """A response that was entered in error. It says nothing any more: no scores, no answers."""

    id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    version: int
    variant: str
    answered_at: datetime
    status: Literal["entered-in-error"]
    revision: int
    amended: bool
    current: Literal[True]
    voided: CorrectionRead


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
    revision: int
    instrument: str
    version: int
    variant: str
    provenance: ProvenanceRead = Field(description="What the response was scored with")
    steps: list[StepRead]
