"""What drafts, and what became of them, look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.catalogue.schemas import ANSWERS_SCHEMA
from instruments import Instrument
from scoring.golden import GoldenCase


class InstrumentWrite(BaseModel):
    """A definition, ours or as a FHIR Questionnaire, and the golden cases that it has to pass to be published.

    Only described by this model: a draft may still be wrong, and is read by :mod:`api.authoring.submission`.
    """

    model_config = ConfigDict(extra="forbid")

    definition: Instrument | None = Field(default=None, description="Its code begins with `own-`")
    questionnaire: dict[str, Any] | None = Field(default=None, description="A FHIR R4 Questionnaire instead")
    golden: list[GoldenCase] = Field(
        default=[], description="Answers with the scores that they have to give, worked out by hand"
    )


class FaultRead(BaseModel):
    """One thing wrong."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into `{definition, golden}`")
    code: str
    detail: str
    line: int | None = Field(default=None, description="Where the submission was YAML")
    expected: Any = Field(default=None, description="In a golden case, what it says")
    actual: Any = Field(default=None, description="And what the definition gives")


class NoteRead(BaseModel):
    """Something that a Questionnaire could not say, or that a definition cannot hold."""

    pointer: str = Field(description="JSON Pointer into the definition; of what was dropped, into the Questionnaire")
    kind: Literal["missing", "assumed", "dropped"]
    detail: str


class ValidationRead(BaseModel):
    """What is wrong with a definition, all of it at once."""

    publishable: bool = Field(description="Nothing is wrong, and every golden case passes")
    checksum: str | None = Field(description="SHA-256 of the definition's content; null while it cannot be used")
    faults: list[FaultRead]
    golden_failures: list[FaultRead] = Field(description="Tried only with a definition without faults")
    needs_review: list[str] = Field(description="Rules that rest on memory")
    notes: list[NoteRead] = Field(description="Where it came as a FHIR Questionnaire")


class DraftRead(ValidationRead):
    """A definition that is being written. Nothing can be recorded with it."""

    code: str
    version: int
    status: Literal["draft"]
    definition: Any
    golden: list[Any]
    updated_at: datetime
    updated_by: str


class PreviewRequest(BaseModel):
    """Answers to score with the draft, and forget."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answers: dict[str, Any] = Field(json_schema_extra=ANSWERS_SCHEMA)
    variant: str | None = Field(default=None, max_length=40, description="The definition's default unless given")


class PublishedRead(BaseModel):
    """A published version. It never changes."""

    code: str
    version: int
    status: Literal["published", "retired"]
    definition: str = Field(description="SHA-256 of the definition's content")
    definition_url: str
    published_at: datetime
    published_by: str
    retired_at: datetime | None = Field(description="From when on it takes no new responses")
    golden: list[Any] = Field(description="The cases that it passed")
