"""What the expected course of a client looks like on the wire."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scoring.growth import Origin, Status


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExpectedUnavailable(_Closed):
    """That nothing can be expected, and why."""

    available: Literal[False]
    code: Literal[
        "no-reference",
        "no-direction",
        "no-measurement",
        "one-measurement",
        "reference-too-small",
        "reference-of-another-scale",
    ]
    detail: str


class ReferenceStratum(_Closed):
    """Whom the reference holds for. What is null may be any."""

    format: str | None
    modality: str | None
    severity: str | None


class ReferenceUsed(_Closed):
    """What the course is held against; the parameters are at `/v1/references/{id}`."""

    id: uuid.UUID
    version: int = Field(description="Of the reference")
    n: int = Field(description="Persons that it was fitted on")
    observations: int
    horizon_weeks: float = Field(description="The last week that it speaks of")
    stratum: ReferenceStratum
    origin: Origin
    source: str
    evidence: Literal["read", "derived", "memory"]
    singular: bool


class SignalRule(_Closed):
    """When a client is told of, and how well that rule is known."""

    watch: str
    not_on_track: str
    unless: str
    evidence: Literal["memory"]
    note: str


class ExpectedAt(_Closed):
    """Prediction and bands at a week, in points within the scale; null beyond the horizon."""

    weeks: float = Field(description="Since the first measurement")
    predicted: float | None
    low_68: float | None
    high_68: float | None
    low_80: float | None
    high_80: float | None


class ExpectedPoint(ExpectedAt):
    """One later measurement, held against what the first predicts."""

    answered_at: datetime
    response_id: uuid.UUID
    z: float | None = Field(description="From the prediction, in standard deviations of a score; below 0 is worse")
    status: Status | None = Field(description="What this measurement calls for; null beyond the horizon")


class ExpectedRead(_Closed):
    """The course that is expected from the first measurement on, and whether the client is on it."""

    available: Literal[True]
    reference: ReferenceUsed
    rule: SignalRule
    status: Status | None = Field(description="By the newest measurement; null where that lies beyond the horizon")
    since: datetime | None = Field(description="From which measurement on it has been so, or worse; null on track")
    points: list[ExpectedPoint]
    curve: list[ExpectedAt]
