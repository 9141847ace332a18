"""What work beside an outcome looks like on the wire."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from api.progress.schemas import Code, HigherIs


class Closed(BaseModel):
    """Base of what is answered and asked: no member beyond those named."""

    model_config = ConfigDict(extra="forbid")


class WorkQuery(Closed):
    """Beside which series."""

    instrument: Code = Field(description="Code of an instrument")
    scale: Code | None = Field(
        default=None, description="One of its scales; without it `total`, or the first where there is no `total`"
    )


class DistressRead(Closed):
    """Means over the work of which distress was recorded both before and after, 0 to 10."""

    n: int
    before: float
    after: float
    fell_by: float


class WorkTally(Closed):
    """Counts of assignments that were not withdrawn; `set` is the sum of the five after it."""

    set: int
    done: int
    partly: int
    not_done: int
    overdue: int
    open: int
    rate: float | None = Field(description="`done` / (`set` - `open`); null where nothing is decided yet")
    rate_with_partly: float | None = Field(description="(`done` + `partly`) / (`set` - `open`)")
    minutes: int = Field(description="Sum of those recorded")
    minutes_of: int = Field(description="Of how many they were recorded")
    distress: DistressRead | None


class WorkMeasurement(Closed):
    """A measurement that a stretch begins or ends with."""

    response_id: uuid.UUID
    answered_at: datetime
    value: float


class Stretch(Closed):
    """The time between two used measurements, and the work that was decided within it."""

    since: WorkMeasurement
    until: WorkMeasurement
    days: float
    change: float = Field(description="The later score less the earlier one")
    benefit: float | None = Field(description="The same, positive where that is better; null without a direction")
    work: WorkTally


class WorkProgress(Closed):
    """Work beside one outcome series. Neither is corrected for the other, and neither explains the other."""

    client_id: uuid.UUID
    instrument: str
    version: int
    variant: str
    scale: str
    scale_name: str
    higher_is: HigherIs
    stretches: list[Stretch] = Field(description="In order of time")
    before: WorkTally | None = Field(description="Decided before the first measurement; null without one")
    after: WorkTally | None = Field(description="Decided after the last one; null without one")
    total: WorkTally
