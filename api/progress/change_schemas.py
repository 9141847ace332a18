"""What amounts of change look like on the wire: measurement error, detectable, minimal important, in percent."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Evidence = Literal["read", "memory", "derived"]
Method = Literal[
    "jacobson-truax",
    "gulliksen-lord-novick",
    "hsu-linn-nord",
    "edwards-nunnally",
    "nunnally-kotsch",
    "hageman-arrindell",
    "published-threshold",
]
ErrorWarning = Literal["threshold-exceeds-scale", "reliability-of-another-sample", "mean-of-another-sample"]


class Closed(BaseModel):
    """Base of what is answered and asked: no member beyond those named."""

    model_config = ConfigDict(extra="forbid")


class ProgressUnavailable(Closed):
    """A figure that is not there, and why."""

    available: Literal[False]
    code: Literal[
        "no-direction",
        "no-parameters",
        "no-published-threshold",
        "no-clinical-sample",
        "no-moments-after",
        "no-published-amount",
        "no-measurement",
        "one-measurement",
        "no-episode",
        "no-measurement-before-episode",
        "nothing-after-baseline",
        "baseline-without-score",
        "baseline-not-used",
        "baseline-at-minimum",
    ]
    detail: str


class SampleSpread(Closed):
    """Standard deviation in points, and the sample it was found in."""

    value: float
    sample: str


class ReliabilityUsed(Closed):
    """Reliability of the scale, 0 to 1."""

    value: float
    kind: Literal["cronbach-alpha", "omega", "test-retest", "icc", "spearman-brown"]
    sample: str


class SampleMean(Closed):
    """Mean in points of the clinical sample that regression goes towards."""

    value: float
    norm: str
    sample: str
    source: str
    evidence: Evidence
    note: str | None


class PublishedThreshold(Closed):
    """A published amount of change that the variant is judged by."""

    id: str
    method: str


class ReliableChangeRead(Closed):
    """What tells change from measurement error, in points, with the figures it rests on.

    By `jacobson-truax` a change has to exceed the threshold; by the methods that expect regression to the mean the
    distance from the expected score has to; a `published-threshold` has to be reached, and comes without errors of
    measurement: what is not known of it is null.
    """

    available: Literal[True]
    method: Method
    formula: str
    significance: float | None = Field(description="Two-sided")
    critical: float | None = Field(description="What the reliable change index has to exceed")
    standard_error_of_measurement: float | None
    standard_error_of_difference: float | None
    threshold: float
    sd: SampleSpread | None
    reliability: ReliabilityUsed | None
    mean: SampleMean | None = Field(description="Of the methods that expect regression to it")
    published: PublishedThreshold | None
    source: str
    evidence: Evidence
    note: str | None
    warnings: list[ErrorWarning]


class DetectableChangeRead(Closed):
    """The smallest changes outside measurement error, in points, of one person."""

    available: Literal[True]
    formula: str
    mdc_90: float = Field(description="Error alone gives less nine times of ten")
    mdc_95: float = Field(description="Error alone gives less nineteen times of twenty")
    standard_error_of_measurement: float
    standard_error_of_difference: float
    sd: SampleSpread
    reliability: ReliabilityUsed
    source: str
    evidence: Evidence
    note: str | None
    warnings: list[ErrorWarning]


class AmountRange(Closed):
    """Where the source gives a range, its ends; its larger end has to be reached."""

    min: float
    max: float


class AmountBaseline(Closed):
    """The scores at the start that an amount holds for, both ends with it."""

    severity: str
    at_least: float | None
    at_most: float | None
    evidence: Evidence = Field(description="Of the limits")


class MinimalAmount(Closed):
    """A published minimal important change, in points, and whether the change from the baseline reaches it."""

    id: str
    value: float = Field(description="What a change has to reach")
    range: AmountRange | None
    baseline: AmountBaseline | None = Field(description="Null: it holds for every score at the start")
    method: str = Field(description="How it was found")
    source: str
    evidence: Evidence
    note: str | None
    warnings: list[Literal["below-detectable-change"]] = Field(
        description="`below-detectable-change`: it is smaller than MDC95, so in one person it classifies noise"
    )
    applies: bool | None = Field(description="To the baseline at hand; null without one")
    decides: bool = Field(description="The change is held against this one")
    reached: Literal["better", "worse"] | None = Field(
        description="The direction in which the change is at least that large; null where it is smaller or not known"
    )


class MinimalChangeRead(Closed):
    """What people notice at least, as published."""

    available: Literal[True]
    formula: str
    amounts: list[MinimalAmount]


class PercentageRead(Closed):
    """Change from the baseline in percent, the scale's lowest score subtracted first."""

    available: Literal[True]
    formula: str
    value: float = Field(description="Signed as `points`")
    minimum: float = Field(description="The lowest score of the scale, which is subtracted from the baseline")
