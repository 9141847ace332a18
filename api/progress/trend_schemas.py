"""What a series says besides its change, on the wire: trend, non-overlap, milestones."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SeriesUnavailable(_Closed):
    """A figure that is not there, and why."""

    available: Literal[False]
    code: Literal[
        "no-direction",
        "no-parameters",
        "no-measurement",
        "one-measurement",
        "one-time",
        "too-many",
        "no-start-of-care",
        "none-before",
        "none-after",
        "short-baseline",
        "no-cutoff",
        "began-functional",
    ]
    detail: str


class TheilSenRead(_Closed):
    """The median slope of all pairs of measurements, in points per week."""

    available: Literal[True]
    slope: float
    low: float | None = Field(description="Sen's interval; null of two measurements")
    high: float | None
    level_reached: bool = Field(description="Whether there are enough pairs for an interval of that confidence")
    intercept: float = Field(description="At the first measurement")
    intercept_definition: Literal["median(y - slope * t)"]
    pairs: int


class LeastSquaresRead(_Closed):
    """The straight line by least squares, in points per week; without errors where there are two measurements."""

    slope: float
    low: float | None
    high: float | None
    standard_error: float | None
    intercept: float = Field(description="At the first measurement")
    residual_sd: float | None
    r_squared: float | None = Field(description="Null where all scores are equal, and of two measurements")


class NextRead(_Closed):
    """One more measurement by the line of least squares, after the usual distance. Not what is expected of others."""

    at: datetime
    value: float
    low: float = Field(description="Where one new measurement lies with that confidence")
    high: float
    outside_scale: bool = Field(description="The line leads to a value that the scale does not have")


class KendallRead(_Closed):
    """Whether scores go with time at all: the test of Mann and Kendall over real dates."""

    available: Literal[True]
    tau_b: float | None = Field(description="Null where all scores are equal")
    s: int = Field(description="Pairs that rise less pairs that fall")
    z: float = Field(description="Corrected for continuity")
    p_value: float
    p_method: Literal["exact", "normal"]


class TrendRead(_Closed):
    """The slope of what is used from the baseline on, by the dates of answering."""

    available: Literal[True]
    n: int
    since: datetime
    until: datetime
    weeks: float
    confidence: float
    theil_sen: TheilSenRead | SeriesUnavailable
    least_squares: LeastSquaresRead
    next: NextRead | None = Field(description="Null of two measurements")
    kendall: KendallRead | SeriesUnavailable
    direction: Literal["better", "worse", "not-distinguishable"] | None = Field(
        description="Where the whole interval of Theil and Sen's slope lies, if it has its level; "
        "null without an interval or a direction"
    )


class CareStart(_Closed):
    """What divides the series in before and after."""

    at: datetime = Field(description="What was answered earlier is before")
    by: Literal["session", "episode"] = Field(
        description="The first session that took place, or the end of the episode's first day where none did"
    )


class NapErrors(_Closed):
    """Three standard errors of the same figure."""

    unbiased: float | None = Field(description="Null where a side has one measurement")
    hanley: float
    null: float


class NapRead(_Closed):
    """Non-overlap of all pairs: the share in which the later is better, ties half."""

    value: float
    low: float
    high: float
    standard_errors: NapErrors


class TauRead(_Closed):
    """Tau of non-overlap, 2 NAP - 1."""

    value: float
    low: float
    high: float


class TauUVariant(_Closed):
    """One of the statistics that are called Tau-U in print."""

    variant: Literal[
        "parker-minus-trend-a",
        "tau-a-minus-trend-a",
        "tau-b-minus-trend-a",
        "tau-a-plus-trend-b",
        "tau-b-plus-trend-b",
        "tau-a-plus-trend-b-minus-trend-a",
        "tau-b-plus-trend-b-minus-trend-a",
    ]
    formula: str
    value: float | None = Field(description="Above 0 the later are better; null where its denominator is 0")


class BaselineCorrected(_Closed):
    """Tau-b of phase with what is left above the line through what was before."""

    available: Literal[True]
    method: Literal["tarlow-2017"]
    value: float
    standard_error: float
    slope_before: float = Field(description="Of that line, in points per week")


class NonOverlapRead(_Closed):
    """How much what was answered after care started differs from what was answered before, towards better."""

    available: Literal[True]
    start: CareStart
    before: int
    after: int
    confidence: float
    nap: NapRead
    tau: TauRead
    tau_u: list[TauUVariant]
    baseline_corrected: BaselineCorrected | SeriesUnavailable


class LostRead(_Closed):
    """The first later measurement at which it held no more."""

    response_id: uuid.UUID
    answered_at: datetime
    days: float = Field(description="From the baseline")


class MilestoneRead(_Closed):
    """The first measurement of a kind, from the baseline; censored at the last one where it was not reached."""

    available: Literal[True]
    reached: bool
    censored: bool
    days: float = Field(description="From the baseline to it, or to the last measurement")
    measurements: int = Field(description="After the baseline up to it, or up to the last one")
    response_id: uuid.UUID | None
    answered_at: datetime | None
    stability: Literal["kept", "lost", "regained", "not-known"] | None = Field(
        description="At every later measurement; null where it was not reached, `not-known` where none is later"
    )
    measurements_since: int
    lost: LostRead | None


class MilestonesRead(_Closed):
    """When change was reached, against the baseline, and whether it lasted."""

    reliable_improvement: MilestoneRead | SeriesUnavailable
    recovery: MilestoneRead | SeriesUnavailable = Field(description="Clinically significant change")
    reliable_worsening: MilestoneRead | SeriesUnavailable
