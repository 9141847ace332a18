"""What runs look like on the wire."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

LONGEST_REASON = 500
LARGEST_VERSION = 2**31 - 1

Code = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Version = Annotated[StrictInt, Field(ge=1, le=LARGEST_VERSION)]
State = Literal["queued", "running", "stopped", "done", "failed", "withdrawn"]


def _written(text: str) -> str:
    text = text.strip()
    if not text:
        raise PydanticCustomError("reason_empty", "says why")
    if len(text) > LONGEST_REASON:
        raise PydanticCustomError("reason_long", f"has at most {LONGEST_REASON} characters")
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise PydanticCustomError("reason_unprintable", "is text without control characters")
    return text


Reason = Annotated[
    StrictStr,
    AfterValidator(_written),
    Field(
        description="Why, for whoever reads the history. Nothing about a client: it is not sealed",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_REASON},
    ),
]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RescoringCreate(_Closed):
    """Which responses to score anew, and by what."""

    instrument: Code
    from_version: Version = Field(description="Responses whose current scores were made by it")
    to_version: Version
    reason: Reason
    from_checksum: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="Of these, only those scored by this very definition (`provenance.definition` of a response). "
        "Needed where both versions are the same one, whose definition was corrected in place",
    )
    variant: Code | None = Field(default=None, description="Of these, only those of this variant")
    dry_run: StrictBool = Field(
        default=False, description="Work out what would change, and store no score. The run is kept with its report"
    )


class RescoringWithdraw(_Closed):
    """That the scores of a run no longer count."""

    reason: Reason


class Flip(BaseModel):
    """How many responses went from one to the other. Null: none, as where there is no score to read."""

    from_: str | None = Field(alias="from")
    to: str | None
    responses: int


class SizeOfChange(BaseModel):
    """Of the values that are others than they were, in points of the scale, without sign."""

    responses: int
    mean: float
    median: float
    median_within: float = Field(description="How far the median may be off: 0, unless very many sizes occur")
    largest: float


class ScaleChanges(BaseModel):
    """What became of one scale."""

    compared: int = Field(description="Responses with the scale before, after, or both")
    changed: int = Field(description="Of these, those with another value or status, or held back where it was not")
    change: SizeOfChange | None = Field(description="Null where no value is another one")
    statuses: list[Flip] = Field(description="Null: the definition does not have the scale")
    bands: list[Flip] = Field(description="Severity bands that the value lies in, by the definition of each side")
    cutoffs: dict[str, list[Flip]] = Field(description="By cutoff, from and to `crossed` and `not-crossed`")
    held_back: int = Field(description="A validity rule now holds back what the score was read as")
    released: int = Field(description="A validity rule no longer does")


class Refused(BaseModel):
    """Responses whose answers are none to the definition; their scores stay as they are."""

    responses: int
    first: list[uuid.UUID] = Field(description="The first of them")


class RescoringReport(BaseModel):
    """What has changed so far."""

    scored: int
    changed: int = Field(description="Responses of which any scale has changed")
    refused: dict[str, Refused] = Field(description="By the code of what is wrong with the answers")
    scales: dict[str, ScaleChanges]
    alerts_not_raised: dict[str, int] = Field(
        description="By rule of the definition, responses that would alert now and did not when they were recorded. "
        "None is raised: the answers are old. Whoever wants them looked at looks for them"
    )
    alerts_no_longer: dict[str, int] = Field(
        description="By rule, responses that alerted and would not now. What was raised stays"
    )


class Remaining(BaseModel):
    """Responses that a further run would score: those recorded since, by whoever named the old version."""

    responses: int
    complete: bool = Field(description="Whether all that was recorded since has been counted")


class RescoringRead(BaseModel):
    """A run: what was asked for, how far it is, and what it has changed."""

    id: uuid.UUID
    instrument: str
    variant: str | None
    from_version: int
    from_checksum: str | None
    to_version: int
    to_checksum: str
    reason: str
    dry_run: bool
    requested_by: str
    created_at: datetime = Field(description="Responses recorded later are left to a further run")
    state: State
    failure: Literal["definition-missing", "definition-changed", "internal-error"] | None
    started_at: datetime | None
    ended_at: datetime | None
    total: int | None = Field(description="Responses to score; null until they have been counted")
    done: int = Field(description="Of these, those that were scored or refused")
    applied_at: datetime | None = Field(description="From when on its scores are the current ones, all at once")
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None
    report: RescoringReport | None


class RescoringDetail(RescoringRead):
    """A run, and what it has left."""

    remaining: Remaining | None = Field(description="Of a run that counts; null of any other")


class RescoringPage(BaseModel):
    """Runs, newest first."""

    items: list[RescoringRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
