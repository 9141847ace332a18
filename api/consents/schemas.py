"""What consent to research looks like from outside."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from api.times import Been

TEXT_VERSION = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class ResearchConsentCreate(BaseModel):
    """What a client said about research with the answers."""

    model_config = ConfigDict(extra="forbid")

    given: bool = Field(strict=True, description="false withdraws, or refuses")
    stated_on: Been = Field(description="The day on which the client said so; what was recorded last holds")
    text_version: str | None = Field(
        default=None,
        pattern=TEXT_VERSION,
        description="Which wording was put to the client: a code of the organisation's own, never the wording",
    )


class ResearchConsentRead(BaseModel):
    """One statement about research, as it is kept."""

    sequence: int = Field(description="Counts the client's statements from 1")
    given: bool
    stated_on: date
    text_version: str | None
    recorded_at: datetime
    recorded_by: str = Field(description="Subject of the token that it was recorded with")


class ResearchConsentPage(BaseModel):
    """All that a client said about research, oldest first; the last of all is what holds."""

    research_consent: bool = Field(description="Whether the client consents now; the same as in the client")
    items: list[ResearchConsentRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
