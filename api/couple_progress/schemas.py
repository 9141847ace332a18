"""What the progress of a couple looks like on the wire."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.progress.schemas import Code, EpisodeOfProgress, HigherIs, ProgressSeries
from api.times import PastTime
from scoring.dyads.described import WINDOW

WIDEST: Final = 90


class Closed(BaseModel):
    """Base of what is answered and asked: no member beyond those named."""

    model_config = ConfigDict(extra="forbid")


class CoupleProgressQuery(Closed):
    """Which series, and which occasions belong together."""

    instrument: Code | None = Field(
        default=None, description="Code of an instrument; without it, every one that a member has answered"
    )
    scale: Code | None = Field(default=None, description="One of its scales; without it, all of them")
    window_days: int = Field(
        default=WINDOW, ge=0, le=WIDEST, description="How far apart two forms may be to belong together, in days"
    )
    as_of: PastTime | None = Field(
        default=None, description="As of progress: what was recorded then. Who consents is asked of now all the same"
    )


class CoupleUnavailable(Closed):
    """A figure that is not there, and why."""

    available: Literal[False]
    code: Literal["no-occasions", "one-occasion", "few-occasions", "no-error", "no-profile"]
    detail: str


class Measured(Closed):
    """One measurement of one member."""

    response_id: uuid.UUID
    answered_at: datetime
    value: float


class OccasionRead(Closed):
    """One measurement of each, that belong together."""

    first: Measured
    second: Measured
    days_apart: float
    discrepancy: float = Field(description="The first's score less the second's")
    absolute: float
    standardised: float | None = Field(
        description="Each by the functional sample in `norms`, and the one less the other; null without one for both"
    )
    beyond_error: bool | None = Field(description="Larger than errors of measurement explain (5 %); null without them")
    better_off: Literal["first", "second", "same"] | None = Field(description="Null where the scale has no direction")


class UnpairedRead(Closed):
    """Usable measurements that nothing of the partner lies near enough to."""

    first: list[Measured]
    second: list[Measured]


class DiscrepancyError(Closed):
    """Measurement error of one discrepancy: both scores have theirs."""

    available: Literal[True]
    formula: str
    standard_errors_of_measurement: list[float]
    standard_error: float
    threshold: float = Field(description="What a discrepancy has to exceed")
    significance: float


class NormOfOne(Closed):
    """The sample that a member's score is standardised by."""

    id: str
    sample: str
    source: str
    evidence: Literal["read", "memory", "derived"]


class NormsOfTwo(Closed):
    """Of each member."""

    first: NormOfOne
    second: NormOfOne


class DiscrepancyChange(Closed):
    """The last discrepancy against the first."""

    available: Literal[True]
    since: datetime
    from_: float = Field(alias="from")
    to: float
    points: float = Field(description="`to` less `from`, signed as they are")
    narrowed: float = Field(description="By how much they have come closer, in points; negative: further apart")
    direction: Literal["closer", "further-apart", "same"]
    error: float | None = Field(description="Standard error of `points`: four scores take part")
    index: float | None
    p_value: float | None
    reliable: bool | None


class SeriesAgreement(Closed):
    """Both series over the occasions that belong together."""

    available: Literal[True]
    n: int
    mean: float = Field(description="Of the discrepancies")
    mean_absolute: float
    sd: float
    low: float = Field(description="Limits of agreement: mean -+ 1.96 sd")
    high: float
    icc: float | None = Field(description="Pairwise, ICC(1,1): level and course; null where nothing differs")
    double_entry: float | None
    pearson: float | None = Field(description="The course alone; null where a series does not move")


class ComparedScale(Closed):
    """How far apart two members are on one scale."""

    instrument: str
    scale: str
    scale_name: str
    higher_is: HigherIs
    error: DiscrepancyError | CoupleUnavailable
    norms: NormsOfTwo | None
    occasions: list[OccasionRead] = Field(description="In order of time; the nearest belong together, each once")
    unpaired: UnpairedRead
    change: DiscrepancyChange | CoupleUnavailable
    agreement: SeriesAgreement | CoupleUnavailable


class CoupleForm(Closed):
    """A form of one member."""

    response_id: uuid.UUID
    answered_at: datetime


class ProfileRead(Closed):
    """How alike the newest forms are, over the separate scales of one instrument."""

    available: Literal[True]
    first: CoupleForm
    second: CoupleForm
    scales: list[str]
    unit: Literal["percent of the range"]
    n: int
    pearson: float | None = Field(description="Shape alone; null where a profile is flat")
    spearman: float | None
    double_entry: float | None = Field(description="Level, spread and shape in one number")
    squared_distance: float = Field(description="`elevation` + `scatter` + `shape`")
    elevation: float
    scatter: float
    shape: float
    elevation_difference: float
    scatter_ratio: float | None
    mean_absolute: float
    root_mean_square: float
    distinctive: float | None = Field(
        description="Shape without what functional people look like; null without such a sample for every scale"
    )


class InstrumentProfile(Closed):
    """Of one instrument."""

    instrument: str
    profile: ProfileRead | CoupleUnavailable


class NotCompared(Closed):
    """A scale that is not put side by side, and why."""

    instrument: str
    scale: str | None = Field(description="Null: none of its scales")
    code: Literal["one-member-only", "other-variant", "other-version"]
    detail: str


class PairRead(Closed):
    """Two members side by side."""

    first: uuid.UUID = Field(description="Id of the client")
    second: uuid.UUID
    scales: list[ComparedScale]
    profiles: list[InstrumentProfile]
    not_compared: list[NotCompared]


class MemberProgress(Closed):
    """The progress of one member, as that client's own path gives it."""

    client_id: uuid.UUID
    episodes: list[EpisodeOfProgress]
    series: list[ProgressSeries]
    without_definition: list[str]


class CoupleProgressRead(Closed):
    """The progress of a couple, while everybody in it consents."""

    couple_id: uuid.UUID
    as_of: datetime | None
    window_days: int
    members: list[MemberProgress] = Field(description="In the order of the joint view")
    pairs: list[PairRead] = Field(description="Of two members one pair, of three three")
