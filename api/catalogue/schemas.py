"""What instruments and results of scoring look like from outside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

import instruments
from api.clients.codes import Organ
from instruments.languages import canonical

InstrumentStatus = Literal["published", "listed", "draft", "retired"]
LicenceStatus = Literal["public-domain", "free-to-use", "free-with-attribution", "permission-required", "commercial"]


def _concern(value: str) -> str:
    if value not in instruments.vocabulary():
        raise PydanticCustomError("unknown_code", "is an id of /v1/concerns")
    return value


def _language(value: str) -> str:
    try:
        return canonical(value)
    except ValueError:
        raise PydanticCustomError("language_tag", "is a language tag (BCP 47), such as pt-BR") from None


ConcernId = Annotated[str, AfterValidator(_concern), Field(json_schema_extra={"enum": list(instruments.vocabulary())})]
LanguageTag = Annotated[str, AfterValidator(_language)]

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
    """A validity rule that holds: what the scores named in it do not mean.

    Also where an instrument was not made for somebody in the client's situation: `outside-organs`, `outside-partner`,
    `outside-activity`.
    """

    id: str
    meaning: str
    scales: list[str]
    suppress: bool


class AlertRead(BaseModel):
    """An answer, or a score, that somebody has to see now; ``items`` are those that the rule looks at."""

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
    alerts_undecided: list[AlertRead] = Field(
        description="What the unanswered items could still raise: silence about them is no all-clear"
    )
    needs_review: list[str] = Field(
        description="Rules behind this result that rest on memory and are to be checked, such as `variant prorated`"
    )
    skipped: list[str] = Field(description="Items that an earlier answer let pass over, and that count as answered")


class ProvenanceRead(BaseModel):
    """What the scores rest on."""

    definition: str = Field(description="SHA-256 of the definition's content")
    definition_url: str
    software: str


class ScoringRead(ResultRead):
    """A result that was not kept."""

    provenance: ProvenanceRead


class SituationGiven(BaseModel):
    """What is known of the person; absent and null are not known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    organs: list[Organ] | None = Field(default=None, description="Present organs, codes of `/v1/codes`")
    partnered: bool | None = None
    active: bool | None = Field(default=None, description="Sexually, within the recall period")


class ScoringRequest(BaseModel):
    """Answers to score and forget."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answers: dict[str, Any] = Field(json_schema_extra=ANSWERS_SCHEMA)
    version: int | None = Field(default=None, ge=1, description="The newest unless given")
    variant: str | None = Field(default=None, max_length=40, description="The definition's default unless given")
    situation: SituationGiven | None = Field(
        default=None, description="Flags say where the instrument was not made for it; kept no more than the answers"
    )


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


class InstrumentQuery(BaseModel):
    """Which instruments; conditions narrow the list."""

    model_config = ConfigDict(extra="forbid")

    concern: ConcernId | None = Field(
        default=None, description="An id of `/v1/concerns`; what is recommended for it comes first"
    )
    anatomy: Organ | None = Field(
        default=None, description="An organ of `/v1/codes`: what applies to those who have it"
    )
    partnered: bool | None = Field(default=None, description="false: only what needs and presumes no partner")
    active: bool | None = Field(
        default=None, description="false: only what needs and presumes no sexual activity in the recall period"
    )
    language: LanguageTag | None = Field(
        default=None, description="BCP 47; what was validated in it, in one of its regions or in what it falls back to"
    )
    licence: LicenceStatus | None = None
    max_minutes: int | None = Field(
        default=None, ge=1, le=600, description="Leaves out what takes longer or is not known"
    )
    status: InstrumentStatus | None = Field(default=None, description="`listed` cannot be scored and says why")
    q: str | None = Field(
        default=None, max_length=100, description="Words that all occur in code, name, description or concern"
    )


class InstrumentSummary(BaseModel):
    """One instrument, its newest version; or one that is listed although it cannot be scored."""

    code: str
    version: int | None = Field(description="Null where it cannot be scored")
    status: InstrumentStatus
    name: str
    measures: str
    concerns: list[str]
    licence: LicenceSummary
    applicability: ApplicabilityRead
    languages: list[str] = Field(description="BCP 47; those it was validated in, the original first")
    minutes: int | None
    recall_days: int | None
    items: int | None
    scales: list[str]
    variants: list[str] = Field(description="Ways to score, the default first")
    needs_review: list[str] = Field(description="Rules that rest on memory, those of every variant")
    missing: list[str] = Field(description="What is not known, where it cannot be scored for that")
    definition_url: str | None


class InstrumentList(BaseModel):
    """Instruments by code; for a concern those recommended for it first."""

    items: list[InstrumentSummary]


class VersionRead(BaseModel):
    """One version of an instrument. What is published never changes."""

    version: int
    status: Literal["published", "retired"] = Field(description="A retired version takes no new responses")
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
    languages_validated: str | None
    terms: str = Field(description="On what terms the wording may be used")
    licence_url: str | None
    known: str | None = Field(description="What is known of the scores of one that cannot be scored")
    open_questions: list[str] = Field(description="Conflicts and gaps that a user should know")
    scale_details: list[ScaleSummary]
    versions: list[VersionRead] = Field(description="Oldest first")


class RecommendationRead(BaseModel):
    """A measure for a concern."""

    instrument: str
    name: str
    why: str
    licence: LicenceSummary
    applicability: ApplicabilityRead
    minutes: int | None


class AlternativeRead(BaseModel):
    """What to use for people whom the recommended measures were not validated in."""

    who: str
    use: list[str]
    why: str


class ConcernRead(BaseModel):
    """One concern of therapy."""

    id: str
    name: str
    meaning: str
    terms: list[str] = Field(description="Further words that a search finds it by")
    recommended: list[RecommendationRead] = Field(description="Most fitting first")
    otherwise: list[AlternativeRead]
    instruments: list[str] = Field(description="Every shipped one for this concern, those that cannot be scored too")


class ConcernList(BaseModel):
    """The controlled vocabulary of concerns."""

    items: list[ConcernRead]
