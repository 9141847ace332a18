"""What instruments and results of scoring look like from outside."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ANSWERS_SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["integer", "null"]}}
"""Answers: item id to the value of the chosen option; null and absent are both unanswered."""


class ReasonRead(BaseModel):
    """Why a score is not complete."""

    code: Literal["items-unanswered", "items-not-applicable", "scales-without-value", "scales-prorated"]
    parts: list[str] = Field(description="Items or scales that it is about")


class CutoffOutcome(BaseModel):
    """A published cutoff, and whether the score lies on its clinical side."""

    id: str
    crossed: bool
    meaning: str


class ScoreRead(BaseModel):
    """One scale of one form."""

    value: float | None = Field(description="In the scale's points; null where the status says that there is none")
    status: Literal["complete", "prorated", "insufficient", "not_applicable"]
    reason: ReasonRead | None
    answered: int
    missing: int
    not_applicable: int
    band: str | None
    band_set: str | None
    cutoffs: list[CutoffOutcome]
    flags: list[str] = Field(description="Validity rules that hold for this scale")
    valid: bool = Field(description="False where a validity rule holds back the interpretation")


class FlagRead(BaseModel):
    """A validity rule that holds: what the scores named in it do not mean."""

    id: str
    meaning: str
    scales: list[str]
    suppress: bool


class AlertRead(BaseModel):
    """A raw answer that somebody has to see now."""

    id: str
    meaning: str
    severity: str
    items: list[str]


class ResultRead(BaseModel):
    """All scores of one form."""

    instrument: str
    version: int
    variant: str
    scores: dict[str, ScoreRead]
    caseness: dict[str, bool | None] = Field(description="Rule to met, not met, or null: the answers do not decide it")
    flags: list[FlagRead]
    alerts: list[AlertRead]
    needs_review: list[str] = Field(
        description="Rules behind this result that rest on memory and are to be checked, such as `variant prorated`"
    )


class ProvenanceRead(BaseModel):
    """What the scores rest on."""

    definition: str = Field(description="SHA-256 of the definition's content")
    definition_url: str
    software: str


class ScoringRead(ResultRead):
    """A result that was not kept."""

    provenance: ProvenanceRead


class ScoringRequest(BaseModel):
    """Answers to score and forget."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answers: dict[str, Any] = Field(json_schema_extra=ANSWERS_SCHEMA)
    version: int | None = Field(default=None, ge=1, description="The newest unless given")
    variant: str | None = Field(default=None, max_length=40, description="The definition's default unless given")


class LicenceSummary(BaseModel):
    """Who owns the wording."""

    status: str
    holder: str


class ApplicabilityRead(BaseModel):
    """Whom the instrument was made for."""

    organs: list[str] = Field(description="At least one of these is presumed; empty: any anatomy")
    partner: str
    activity: str
    note: str | None


class InstrumentSummary(BaseModel):
    """One instrument, its newest version."""

    code: str
    version: int
    name: str
    measures: str
    concerns: list[str]
    licence: LicenceSummary
    applicability: ApplicabilityRead
    minutes: int | None
    recall_days: int | None
    items: int
    scales: list[str]
    variants: list[str] = Field(description="Ways to score, the default first")
    needs_review: list[str] = Field(description="Rules that rest on memory, those of every variant")
    definition_url: str


class InstrumentList(BaseModel):
    """Instruments by code."""

    items: list[InstrumentSummary]


class VersionRead(BaseModel):
    """One version of an instrument. What is published never changes."""

    version: int
    definition: str = Field(description="SHA-256 of the definition's content")
    definition_url: str


class ScaleSummary(BaseModel):
    """One scale."""

    id: str
    name: str
    min: float
    max: float
    higher_is: str


class InstrumentRead(InstrumentSummary):
    """One instrument with its scales and versions."""

    population: str
    recall: str
    scale_details: list[ScaleSummary]
    versions: list[VersionRead] = Field(description="Oldest first")
