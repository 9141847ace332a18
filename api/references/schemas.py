"""What references look like on the wire."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from scoring.growth import Clock, Origin

LARGEST_VERSION = 2**31 - 1
LONGEST_WORDS = 500
LONGEST_DATA = 900_000
"""Characters of data that are taken in: the body of a request is limited to little more."""

Code = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Number = Annotated[StrictFloat, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
State = Literal["queued", "running", "ready", "refused", "failed", "withdrawn"]
Evidence = Literal["read", "derived", "memory"]
Pair = tuple[Number, Number]


def _written(text: str) -> str:
    text = text.strip()
    if not text:
        raise PydanticCustomError("words_empty", "says something")
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise PydanticCustomError("words_unprintable", "is text without control characters")
    return text


Words = Annotated[
    StrictStr,
    Field(max_length=LONGEST_WORDS, json_schema_extra={"minLength": 1}),
    AfterValidator(_written),
]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Stratum(_Closed):
    """Whom a reference holds for. What is null may be any."""

    format: Code | None = Field(default=None, description="Code of `episode_format` of /v1/codes")
    modality: Code | None = Field(default=None, description="Code of `modality`")
    severity: Annotated[StrictStr, Field(min_length=1, max_length=60)] | None = Field(
        default=None, description="Label of the definition's band in which the first score lies"
    )


class Parameters(_Closed):
    """A growth model, in points and the clock's unit of time since the first score."""

    clock: Clock = Field(
        default="weeks",
        description="What time is counted in: weeks, or the natural logarithm of weeks and one",
    )
    intercept: Number
    slope: Number = Field(description="Points a unit of the clock")
    fixed_covariance: tuple[Pair, Pair] = Field(description="Of intercept and slope: how well they are known")
    random_covariance: tuple[Pair, Pair] = Field(description="Of persons' own intercepts and slopes")
    residual_variance: Annotated[Number, Field(gt=0)]


class ReferenceCreate(_Closed):
    """A reference to be fitted on own closed episodes, on data that are sent along, or taken in as parameters."""

    instrument: Code
    version: Annotated[StrictInt, Field(ge=1, le=LARGEST_VERSION)] | None = Field(
        default=None, description="Of the definition; without it the newest"
    )
    variant: Code | None = Field(default=None, description="Without it the definition's first")
    scale: Code
    stratum: Stratum = Stratum()
    origin: Origin
    source: Words | None = Field(
        default=None,
        description="Where data or parameters come from, so that anybody can look it up. Nothing about a client. "
        "Of own episodes it is worded by the service",
    )
    evidence: Evidence | None = Field(
        default=None, description="How well data or parameters are known: read there, derived, or from memory"
    )
    data: Annotated[StrictStr, Field(max_length=LONGEST_DATA)] | None = Field(
        default=None,
        description="With `data`: CSV with the header `id,weeks,score`, a row a score, an empty score where one is "
        "missing. Ids are replaced by numbers as they are read, and the rows are removed once they are fitted",
    )
    parameters: Parameters | None = Field(default=None, description="With `parameters`")
    persons: Annotated[StrictInt, Field(ge=1, le=LARGEST_VERSION)] | None = Field(
        default=None, description="With `parameters`: how many they were estimated from"
    )
    observations: Annotated[StrictInt, Field(ge=1, le=LARGEST_VERSION)] | None = Field(
        default=None, description="With `parameters`: from how many scores of theirs"
    )
    horizon_weeks: Annotated[StrictFloat, Field(gt=0, le=1040)] | None = Field(
        default=None, description="With `parameters`: the last week that they speak of"
    )


class HoldingRead(BaseModel):
    """Shares of the fit's own later scores within the bands."""

    within_68: float
    within_80: float
    by_third: list[float] = Field(description="Within the 80 % band: of the earliest, middle and latest third")


class FitRead(BaseModel):
    """How the fit went."""

    method: Literal["reml"]
    log_likelihood: float
    singular: bool = Field(description="Persons' slopes or intercepts do not vary, or go together wholly")
    slope_of_likelihood: float = Field(description="The largest that is left where the search ended; 0 at the top")
    statsmodels_short: float | None = Field(
        description="By how much statsmodels' own answer is less likely than this one; null where it gave none"
    )
    log_likelihood_by_clock: dict[str, float] = Field(description="Full log-likelihood by each; the larger was taken")
    holding: HoldingRead
    left_out: int = Field(description="Persons with one score only")


class ParametersRead(BaseModel):
    """A growth model."""

    clock: Clock
    intercept: float
    slope: float
    fixed_covariance: list[list[float]]
    random_covariance: list[list[float]]
    residual_variance: float


class StratumRead(BaseModel):
    """Whom a reference holds for. What is null may be any."""

    format: str | None
    modality: str | None
    severity: str | None


class Use(BaseModel):
    """That a reference was taken into use, or out of it."""

    effect: Literal["activated", "replaced", "withdrawn"]
    at: datetime
    by: str


class ReferenceRead(BaseModel):
    """One version of the reference for a scale and stratum."""

    id: uuid.UUID
    instrument: str
    version: int = Field(description="Of the definition")
    variant: str
    scale: str
    stratum: StratumRead
    number: int = Field(description="The reference's own version: 1, 2, ... for this scale and stratum")
    origin: Origin
    source: str
    evidence: Evidence
    requested_by: str
    created_at: datetime
    state: State
    active: bool = Field(description="Whether clients are held against it")
    failure: str | None = Field(description="Why there is no model: a stable code")
    failure_detail: str | None
    started_at: datetime | None
    ended_at: datetime | None
    persons: int | None = Field(description="With a first and a later score")
    observations: int | None
    horizon_weeks: float | None = Field(description="The last week that it speaks of")
    parameters: ParametersRead | None
    fit: FitRead | None = Field(description="Null for parameters that were taken in")


class ReferenceDetail(ReferenceRead):
    """One version, and when it was in use."""

    uses: list[Use]


class ReferencePage(BaseModel):
    """References, newest first."""

    items: list[ReferenceRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
