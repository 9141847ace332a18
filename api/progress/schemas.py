"""What progress looks like on the wire. Answers are written without these models; a test holds them to each other."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.charts.series import NARROWEST, USUAL, WIDEST
from api.progress.change_schemas import (
    Closed,
    DetectableChangeRead,
    Evidence,
    Method,
    MinimalChangeRead,
    PercentageRead,
    ProgressUnavailable,
    ReliableChangeRead,
)
from api.progress.expected_schemas import ExpectedRead, ExpectedUnavailable
from api.progress.trend_schemas import MilestonesRead, NonOverlapRead, SeriesUnavailable, TrendRead
from api.times import PastTime

HigherIs = Literal["better", "worse", "neither"]
Category = Literal["recovered", "improved", "unchanged", "deteriorated", "harmed"]
Reason = Literal["no-value", "validity-rule-failed", "other-version", "other-variant"]
Side = Literal["clinical", "functional", "on-cutoff"]
ChosenBy = Literal["definition", "rule", "caller"]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
BaselineChosen = Annotated[
    str, StringConstraints(pattern=r"^(first|last-before-episode|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
]
Part = Literal["points", "trend", "expected"]
NormId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]


class ProgressQuery(Closed):
    """Which series."""

    instrument: Code | None = Field(
        default=None, description="Code of an instrument; without it, every one that the client has answered"
    )
    scale: Code | None = Field(default=None, description="One of its scales; without it, all of them")
    variant: Code | None = Field(
        default=None,
        description="Whose scores are compared and whose bands and thresholds judge them; without it, that of the "
        "newest usable measurement",
    )
    norm: NormId | None = Field(
        default=None,
        description="A norm sample of the scale to hold the client against; without it, the one that the definition "
        "names, or else the one that the rule of docs/progress.md finds",
    )
    method: Method | None = Field(
        default=None,
        description="Of reliable change; without it Jacobson and Truax's, or the published amount that the variant is "
        "tied to",
    )
    baseline: BaselineChosen = Field(
        default="first",
        description="What change is measured from: the first measurement that is used; the last one before the episode "
        "(the one that is asked for, else the newest); or that of a response, by its id, which needs `instrument`",
    )
    episode: uuid.UUID | None = Field(
        default=None,
        description="Only responses of this episode of the client, so the baseline is the first of them; and one from "
        "elsewhere, where it is chosen",
    )
    as_of: PastTime | None = Field(
        default=None,
        description="What was recorded, amended and void at this time, and nothing later: the measurements that this "
        "read gave then. Judged by the figures of today's definitions",
    )


class ReadQuery(ProgressQuery):
    """Which series, and which of their parts."""

    include: list[Part] | None = Field(
        default=None,
        description="Of the parts that can be left out only these, each by a parameter of its own; others are null. "
        "`trend` has non-overlap and milestones with it. Without this parameter all are there",
        min_length=1,
    )


class ChartQuery(ProgressQuery):
    """Which series, and how large."""

    instrument: Code = Field(description="Code of an instrument")
    scale: Code | None = Field(
        default=None, description="One of its scales; without it `total`, or the first where there is no `total`"
    )
    width: int = Field(default=USUAL, ge=NARROWEST, le=WIDEST, description="Of the picture, in pixels, about")


class ScoreRange(Closed):
    """Lowest and highest possible score, in points."""

    min: float
    max: float


class NormUsed(Closed):
    """Mean and standard deviation of a sample, in points."""

    id: str
    chosen_by: ChosenBy
    population: Literal["functional", "clinical", "community", "mixed"]
    sample: str
    n: int | None
    mean: float | None
    sd: float | None
    source: str
    evidence: Evidence
    note: str | None


class NormChosen(Closed):
    """The sample that a role is filled by, and who chose it."""

    role: Literal["clinical", "functional"]
    norm: str
    chosen_by: ChosenBy
    why: str
    others: list[str] = Field(description="Samples that `norm` could name instead")


class ProgressCutoff(Closed):
    """A cutoff between clinical and functional, in points: computed from norms, or published."""

    id: str
    kind: Literal["jacobson-truax", "published"]
    value: float
    clinical_side: Literal["at_least", "at_most", "above", "below"]
    decides: bool = Field(description="The category goes by this one")
    meaning: str
    group: str | None = Field(description="Whom a published one holds for, where there are others for other people")
    formula: str | None
    warnings: list[Literal["outside-scale", "populations-reversed", "against-direction"]]
    norms: list[NormUsed]
    sample: str | None
    n: int | None
    sensitivity: float | None
    specificity: float | None
    accuracy_evidence: Evidence | None = Field(description="Of sensitivity and specificity")
    source: str = Field(description="Of a published one; of one from norms, the norms' sources")
    evidence: Evidence = Field(description="`memory` also where a norm is from memory; `derived` from other norms")
    note: str | None


class ReliableChangeBand(Closed):
    """Scores that do not differ reliably from the baseline, cut off at the ends of the scale."""

    low: float
    high: float
    can_improve: bool = Field(description="Some possible score would be a reliable improvement")
    can_worsen: bool = Field(description="Some possible score would be a reliable worsening")


class MeasurementRead(Closed):
    """The first or last measurement that is used."""

    response_id: uuid.UUID
    answered_at: datetime
    value: float
    side: Side | None = Field(description="Of the deciding cutoff; null without one")


class ChangeSince(Closed):
    """The last measurement against an earlier one."""

    available: Literal[True]
    since: datetime
    days: float
    points: float = Field(description="Last minus earlier")
    direction: Literal["better", "worse", "same"] | None = Field(description="Null where the scale has no direction")
    rci: float | None = Field(
        description="Reliable change index, signed as scores are; null without parameters. By a method that expects "
        "regression to the mean it is of the distance from the expected score, as are `p_value` and `probability`"
    )
    p_value: float | None = Field(
        description="Two-sided: how often measurement error alone gives a difference at least as large"
    )
    probability: float | None = Field(description="How sure the change is, one-sided: 0.5 for none, towards 1")
    beyond_mdc_90: bool | None = Field(description="More than measurement error makes nine times of ten")
    beyond_mdc_95: bool | None
    category: Category | None


class ProgressChanges(Closed):
    """From the first and from the last but one."""

    from_baseline: ChangeSince | ProgressUnavailable
    from_previous: ChangeSince | ProgressUnavailable


class LeftOutRead(Closed):
    """Measurements that are shown but not used."""

    reason: Reason
    measurements: int
    detail: str


class ProgressPoint(Closed):
    """One measurement; what follows `reason` is against the baseline: null on it, before it and where not used."""

    response_id: uuid.UUID
    answered_at: datetime
    version: int
    variant: str
    value: float | None
    status: Literal["complete", "prorated", "insufficient", "not_applicable"]
    amended: bool = Field(description="It was put right after it had been recorded")
    episode_id: uuid.UUID | None = Field(description="The episode that it belongs to; null outside any")
    used: bool
    reason: Reason | None
    change: float | None
    change_from_previous: float | None
    rci: float | None
    p_value: float | None
    category: Category | None


class ProgressSeries(Closed):
    """The progress on one scale."""

    instrument: str
    instrument_name: str
    version: int = Field(description="Of the definition that the figures are from")
    variant: str = Field(description="Whose scores are compared")
    scale: str
    scale_name: str
    higher_is: HigherIs
    range: ScoreRange
    reliable_change: ReliableChangeRead | ProgressUnavailable
    detectable_change: DetectableChangeRead | ProgressUnavailable
    cutoffs: list[ProgressCutoff]
    norms: list[NormChosen] = Field(description="Samples that the cutoffs between populations are computed from")
    needs_review: list[str] = Field(
        description="What the judgement rests on that is from memory and has to be checked: `variant …`, `scale …`, "
        "`skip …`, `reliable-change`, `cutoff …` (the deciding one)"
    )
    band: ReliableChangeBand | None
    baseline: MeasurementRead | None
    last: MeasurementRead | None
    change: ProgressChanges
    minimal_change: MinimalChangeRead | ProgressUnavailable
    percentage: PercentageRead | ProgressUnavailable
    left_out: list[LeftOutRead]
    points: list[ProgressPoint] | None = Field(
        description="In order of time, and of recording where times are equal; null where left out"
    )
    expected: ExpectedRead | ExpectedUnavailable | None
    trend: TrendRead | SeriesUnavailable | None
    non_overlap: NonOverlapRead | SeriesUnavailable | None
    milestones: MilestonesRead | None
    headline: str | None = Field(description="The verdict in a few words")
    summary: str = Field(description="What a clinician should see; the text alternative of the picture")


class EpisodeOfProgress(Closed):
    """A course of therapy of the client."""

    id: uuid.UUID
    started_on: date
    ended_on: date | None
    format: str
    modality: str | None
    first_session_at: datetime | None = Field(description="Of the sessions that took place")
    sessions: int = Field(description="How many took place")


class ProgressRead(Closed):
    """The progress of a client."""

    client_id: uuid.UUID
    as_of: datetime | None = Field(description="The time that was asked for; null is now")
    episodes: list[EpisodeOfProgress] = Field(description="All of the client's, in order of their start")
    series: list[ProgressSeries]
    without_definition: list[str] = Field(
        description="Instruments that the client has answered and that this release does not define"
    )
