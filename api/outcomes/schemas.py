"""What outcomes of an organisation look like from outside."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.clients.codes import EpisodeFormat, Modality
from api.times import Day

LONGEST_WINDOW = 92


class OutcomesQuery(BaseModel):
    """What is asked: which scale, of which ended episodes, divided by what."""

    model_config = ConfigDict(extra="forbid")

    instrument: str = Field(max_length=40, description="Code of the instrument")
    scale: str | None = Field(default=None, max_length=40, description="One of its scales; by default the total")
    variant: str | None = Field(default=None, max_length=40, description="One of its variants; by default the first")
    group_by: Literal["modality", "format", "concern", "year", "quarter"] | None = Field(
        default=None,
        description="Divide by this; `year` and `quarter` are those of the end. Groups by concern overlap",
    )
    modality: Modality | None = Field(default=None, description="Only episodes of this modality")
    format: EpisodeFormat | None = Field(default=None, description="Only episodes of this format")
    concern: str | None = Field(default=None, max_length=40, description="Only episodes with this concern")
    since: Day | None = Field(default=None, alias="from", description="Only episodes that ended on or after this day")
    until: Day | None = Field(default=None, alias="to", description="Only episodes that ended on or before this day")
    window: int = Field(
        default=14,
        ge=0,
        le=LONGEST_WINDOW,
        description="Days before the start and after the end whose scores count too",
    )
    reliability: bool = Field(default=True, description="Whether to work out the scale's reliability in this sample")


class UnavailableRead(BaseModel):
    """A figure that is not there, and why."""

    available: Literal[False]
    code: str
    detail: str


class RateRead(BaseModel):
    """A share with Wilson's interval; null where the denominator is empty."""

    measure: str
    denominator: str = Field(description="Of whom: see `denominators`")
    count: int
    n: int
    rate: float | None
    low: float | None
    high: float | None


class MeaningRateRead(RateRead):
    """A rate of a definition, with what it means."""

    meaning: str


class MomentsRead(BaseModel):
    """Scores in points; null where there are too few."""

    n: int
    mean: float | None
    sd: float | None = Field(description="With n - 1")


class EffectRead(BaseModel):
    """A standardised change with its interval."""

    available: Literal[True]
    effect: str
    of: str
    name: str
    formula: str
    n: int = Field(description="Pairs")
    estimate: float
    low: float | None
    high: float | None
    confidence: float
    interval: str | None
    interval_method: str | None = Field(description="How the limits were made")
    correction: float = Field(description="Hedges' factor that estimate and limits were multiplied by")


class NoEffectRead(UnavailableRead):
    """An effect that does not exist for this group."""

    effect: str
    of: str


class RatesRead(BaseModel):
    """What became of those with both scores, and every rate over every denominator that it means something of."""

    available: Literal[True]
    categories: dict[str, int]
    clinical_at_start: int | None
    clinical_at_start_completers: int | None
    rates: list[RateRead]


class RetentionRead(BaseModel):
    """The share that had not dropped out by the end of a week, by Kaplan and Meier."""

    week: int
    at_risk: int
    retention: float


class ComparisonRead(BaseModel):
    """First scores of those who stayed against those who dropped out."""

    available: Literal[True]
    n_stayed: int
    n_left: int
    mean_stayed: float
    mean_left: float
    difference: float = Field(description="Stayed minus left, in pooled standard deviations")
    t: float = Field(description="Welch's")
    df: float
    p_value: float


class AttritionRead(BaseModel):
    """How episodes ended."""

    end_reasons: dict[str, int] = Field(description="Codes; see /v1/codes")
    dropped_out: RateRead
    ended_as_agreed: RateRead
    retention: list[RetentionRead]
    stayed_against_dropped_out: ComparisonRead | UnavailableRead


class ServiceRead(BaseModel):
    """The figures of one named definition of a service."""

    available: Literal[True]
    id: str
    name: str
    meaning: str
    source: str
    evidence: Literal["read", "memory", "derived"] = Field(description="`memory`: from memory, to be checked")
    note: str | None
    started: int
    too_few_sessions: int
    not_measured: int
    denominators: dict[str, str]
    rates: list[MeaningRateRead]


class NoServiceRead(UnavailableRead):
    """A definition that cannot be applied to the scale."""

    id: str


class CountsRead(BaseModel):
    """How many episodes."""

    ended: int
    not_taken_up: int = Field(description="Assessed only; in nothing else here")
    started: int
    with_first_score: int
    completers: int = Field(description="With a score before and a score after")


class ScoresRead(BaseModel):
    """Scores before and after, in points."""

    first_of_all: MomentsRead
    first_of_completers: MomentsRead
    last_of_completers: MomentsRead
    change: MomentsRead = Field(description="Last minus first")


class LeftOutRead(BaseModel):
    """Scores that are not used."""

    reason: str
    scores: int
    detail: str


class GroupRead(BaseModel):
    """One group of ended episodes."""

    levels: dict[str, str]
    n: CountsRead
    small: bool = Field(description="Fewer have started than `smallest_cell`: not to be published")
    scores: ScoresRead
    effect_sizes: list[EffectRead | NoEffectRead]
    rates: RatesRead | UnavailableRead
    attrition: AttritionRead
    services: list[ServiceRead | NoServiceRead]
    left_out: list[LeftOutRead]


class DifferenceRead(BaseModel):
    """A rate minus that of the other group, with Newcombe's interval."""

    available: Literal[True]
    measure: str
    denominator: str
    n: int
    n_against: int
    difference: float
    low: float
    high: float


class ContrastRead(BaseModel):
    """One group against the one with the most completers. People were not put into groups at random."""

    levels: dict[str, str]
    against: dict[str, str]
    reliably_improved: DifferenceRead | UnavailableRead
    effect_sizes: list[EffectRead | NoEffectRead]


class AlphaRead(BaseModel):
    """Cronbach's alpha with Feldt's interval."""

    available: Literal[True]
    n: int = Field(description="Forms without a gap")
    left_out: int
    k: int
    alpha: float
    low: float
    high: float
    confidence: float
    interval_method: str
    standardised: float | None
    sd: float
    error: float | None = Field(description="Standard error of measurement, in points: sd x sqrt(1 - alpha)")


class OmegaRead(BaseModel):
    """McDonald's omega total."""

    available: Literal[True]
    n: int
    left_out: int
    k: int
    omega: float
    method: str
    warnings: list[str]


class IccRead(BaseModel):
    """An intraclass correlation."""

    form: str
    value: float | None
    low: float | None
    high: float | None


class RetestRead(BaseModel):
    """Scores of the same persons before therapy began."""

    available: Literal[True]
    n: int
    left_out: int
    k: int
    confidence: float
    iccs: list[IccRead]
    sd: float
    error_consistency: float = Field(description="Standard error of measurement, in points: sqrt(MSE)")
    error_agreement: float
    error_from_icc: float


class OwnSampleRead(BaseModel):
    """Reliability of the scale in the organisation's own sample."""

    alpha: AlphaRead | UnavailableRead
    omega: OmegaRead | UnavailableRead
    retest: RetestRead | UnavailableRead


class SelectionRead(BaseModel):
    """Which episodes and scores count."""

    since: date | None = Field(alias="from")
    until: date | None = Field(alias="to")
    modality: str | None
    format: str | None
    concern: str | None
    window_days: int
    unit: str
    pre: str
    post: str
    comparable_versions: list[int]
    comparable_variants: list[str]
    still_open: int = Field(description="Episodes of the kind that have not ended and are in none of the figures")


class ProvenanceRead(BaseModel):
    """What scored the answers."""

    definition: str = Field(description="SHA-256 of the definition")
    definition_url: str
    software: str


class OutcomesRead(BaseModel):
    """What became of the people whose episodes have ended, on one scale."""

    instrument: str
    version: int
    variant: str
    scale: str
    scale_name: str
    higher_is: Literal["better", "worse", "neither"]
    selection: SelectionRead
    group_by: str | None
    confidence: float = Field(description="Of all intervals")
    sign: Literal["benefit", "change"] = Field(
        description="Of effect sizes: `benefit` is positive where people got better, `change` is last minus first"
    )
    denominators: dict[str, str]
    total: GroupRead
    groups: list[GroupRead]
    contrasts: list[ContrastRead] = Field(
        description="Of groups by modality or format; others overlap or have an order"
    )
    own_sample: OwnSampleRead | None
    own_sample_of: str
    reliable_change: dict[str, Any] = Field(description="As in a client's progress")
    cutoff: dict[str, Any] | None = Field(description="The one that decides, as in a client's progress")
    needs_review: list[str] = Field(description="What of this is from memory and has to be checked")
    smallest_cell: int
    provenance: ProvenanceRead
