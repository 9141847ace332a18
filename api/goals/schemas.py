"""What goals and their ratings look like from outside."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from api.clients.codes import GoalDropReason
from api.clients.texts import SealedText
from api.times import Been

T = TypeVar("T")
HEAVIEST: Final = 10


Whole = Annotated[int, Field(strict=True)]
Levels = Annotated[list[SealedText], Field(min_length=5, max_length=5)]
Weight = Annotated[Whole, Field(ge=0, le=HEAVIEST)]
TenPoints = Annotated[Whole, Field(ge=0, le=10)]
Start = Annotated[Whole, Field(ge=-2, le=10)]

_LEVELS: Final = "Of `levels`: what each of the five looks like, from much less than expected (-2) to much more (2)"
_WEIGHT: Final = "Of `levels`: often importance times difficulty; 1 for all where they count alike, 0 counts nothing"
_BASELINE: Final = "Where the client stands at the start: -2 to 2 of `levels`, 0 to 10 of `target`"
_TARGET: Final = "Of `target`: what is to be reached on a scale from 0 to 10; above or below the start"


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GoalCreate(_Write):
    """A goal that client and clinician have agreed on."""

    kind: Literal["levels", "target"]
    wording: SealedText
    levels: Levels | None = Field(default=None, description=_LEVELS)
    weight: Weight | None = Field(default=None, description=_WEIGHT + "; 1 unless it is said")
    target: TenPoints | None = Field(default=None, description=_TARGET)
    baseline: Start = Field(description=_BASELINE)
    set_on: Been


class GoalPatch(_Write):
    """Changes (RFC 7396): members not given stay as they are, null clears. A rated goal can only be dropped."""

    wording: SealedText | None = None
    levels: Levels | None = Field(default=None, description=_LEVELS)
    weight: Weight | None = Field(default=None, description=_WEIGHT)
    target: TenPoints | None = Field(default=None, description=_TARGET)
    baseline: Start | None = Field(default=None, description=_BASELINE)
    set_on: Been | None = None
    dropped_on: Been | None = Field(default=None, description="First day on which it is pursued no more")
    drop_reason: GoalDropReason | None = Field(default=None, description="Given with `dropped_on`, cleared with it")

    @field_validator("wording", "levels", "weight", "target", "baseline", "set_on")
    @classmethod
    def _stays(cls, value: T | None) -> T | None:
        if value is None:
            raise PydanticCustomError("not_cleared", "can be changed, not cleared")
        return value


class GoalRead(BaseModel):
    """A goal as it is kept."""

    id: uuid.UUID
    client_id: uuid.UUID
    kind: str = Field(description="`levels` (goal attainment scaling) or `target` (0 to 10)")
    wording: str
    levels: list[str] | None = Field(description="From much less than expected to much more; null of a `target`")
    weight: int | None
    target: int | None
    baseline: int
    set_on: date
    dropped_on: date | None
    drop_reason: str | None = Field(description="Code; see /v1/codes, `goal_drop_reason`")
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class GoalPage(BaseModel):
    """Goals of a client, in the order in which they were recorded."""

    items: list[GoalRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class RatingCreate(_Write):
    """How far a goal was reached on a day, or what was right instead of an earlier rating."""

    rated_on: Been | None = Field(default=None, description="Of a correction: the day of what it corrects unless said")
    value: Start | None = Field(
        default=None, description="-2 to 2 of `levels`, 0 to 10 of `target`; null in a correction: entered in error"
    )
    corrects: uuid.UUID | None = Field(default=None, description="The rating that this one stands in for")


class RatingRead(BaseModel):
    """A rating as it is kept."""

    id: uuid.UUID
    rated_on: date
    value: int | None = Field(description="null: what it corrects was entered in error")
    corrects: uuid.UUID | None
    current: bool = Field(description="Whether it counts: neither corrected nor an error taken back")
    recorded_at: datetime
    recorded_by: str = Field(description="Subject of the token that it was recorded with")


class RatingPage(BaseModel):
    """Ratings of a goal, in the order in which they were recorded; corrected ones too."""

    items: list[RatingRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class FormulaRead(BaseModel):
    """Which definition the formula of the T score is taken from."""

    instrument: str
    version: int
    scale: str


class AttainmentPoint(BaseModel):
    """Where the goals in levels stood at the end of a day."""

    day: date
    t: float | None = Field(description="Kiresuk-Sherman T: 50 where all is as expected")
    t_baseline: float | None = Field(description="T at the start, of the same goals")
    change: float | None = Field(description="`t` less `t_baseline`")
    t_first: float | None = Field(description="T of the same goals, each as it was rated first")
    change_from_first: float | None = Field(description="`t` less `t_first`")
    status: str = Field(description="`complete`, `prorated` (a goal has no rating), `insufficient`, `not_applicable`")
    rated: list[uuid.UUID]
    unrated: list[uuid.UUID] = Field(description="Left out with their weights: not rated until then")
    unweighted: list[uuid.UUID] = Field(description="Left out: of weight 0")
    dropped: list[uuid.UUID] = Field(description="Left out with their weights: pursued no more")


class SeriesPoint(BaseModel):
    """One current rating."""

    rated_on: date
    value: int


class GoalSeries(BaseModel):
    """The current ratings of one goal, oldest first."""

    goal_id: uuid.UUID
    kind: str
    wording: str | None = Field(description="Only where it was asked for (`wording=true`)")
    levels: list[str] | None = Field(description="Only where it was asked for, of `levels`")
    weight: int | None
    target: int | None
    baseline: int
    set_on: date
    dropped_on: date | None
    ratings: list[SeriesPoint]
    change: int | None = Field(description="The newest value less the one at the start; null without a rating")
    change_from_first: int | None = Field(description="The newest less the first rating; null without a rating")
    way: float | None = Field(
        description="Of a `target`: the share of the way from the start that the newest has gone; below 0 away from "
        "it, above 1 beyond it. Null of `levels` and without a rating"
    )
    reached: bool | None = Field(description="By the newest: level 0 or above, or the target; null without a rating")


class GoalProgress(BaseModel):
    """How a client's goals have been reached over time."""

    client_id: uuid.UUID
    formula: FormulaRead
    attainment: list[AttainmentPoint] = Field(description="On each day on which a goal in levels was rated or dropped")
    goals: list[GoalSeries]
