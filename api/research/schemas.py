"""What research output looks like from outside. Nothing here is about one person."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Measure = Literal["level", "change", "reliable_change"]


class DimensionRead(BaseModel):
    """A dimension that the answer divides by."""

    name: str
    levels: list[str] = Field(description="All levels, those without anybody too")
    derived: str = Field(description="How a level comes about")


class RateRead(BaseModel):
    """The people of one category among those of the cell; all null where it is suppressed."""

    suppressed: bool
    reason: str | None
    n: int | None = Field(description="People in this category")
    rate: float | None = Field(description="Share of `n_people`")
    low: float | None = Field(description="Lower end of Wilson's interval")
    high: float | None


class CategoriesRead(BaseModel):
    """Rates of the three categories of change. A suppressed one may leave the others."""

    improved: RateRead
    no_reliable_change: RateRead
    deteriorated: RateRead


class CellRead(BaseModel):
    """One group. Where it is suppressed, every figure is null: nothing is known of it, which is not 0."""

    levels: dict[str, str] = Field(description="Dimension to level")
    suppressed: bool
    reason: str | None = Field(description="`disclosure-control`, whether the group is small or protects another one")
    n_people: int | None
    n_scores: int | None = Field(description="Values that mean and SD are over")
    mean: float | None = Field(description="In the scale's points; null also where there are no values")
    sd: float | None = Field(description="Sample standard deviation; null also for fewer than two values")
    rounded_to: float | None = Field(description="Mean and SD are multiples of this many points")
    categories: CategoriesRead | None = Field(description="Of `reliable_change` only")


class DisclosureRead(BaseModel):
    """How people are protected in this answer."""

    threshold: int = Field(description="Fewest people that a published group has, unless it is empty")
    method: str
    rounding: str
    residual: str = Field(description="What is not protected against yet")


class UnavailableRead(BaseModel):
    """Why a measure cannot be had."""

    code: str
    detail: str


class ProvenanceRead(BaseModel):
    """What the figures rest on."""

    definition: str = Field(description="SHA-256 of the definition")
    definition_url: str
    software: str
    selection: str = Field(description="Whose answers count, and which of them")
    unit: str = Field(description="What one value of `mean` is")
    reliable_change: dict[str, Any] | None = Field(
        description="Parameters of reliable change with sample, source and evidence; null for other measures"
    )
    confidence: float | None = Field(description="Of the intervals of rates; null for other measures")


class AggregateRead(BaseModel):
    """Aggregates of one measure of one scale, a cell for each combination of levels."""

    instrument: str
    version: int
    variant: str
    scale: str
    scale_name: str
    higher_is: Literal["better", "worse", "neither"]
    measure: Measure
    available: bool
    unavailable: UnavailableRead | None
    group_by: list[DimensionRead]
    cells: list[CellRead]
    disclosure: DisclosureRead
    provenance: ProvenanceRead
