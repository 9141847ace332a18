"""What is asked for when something is handed out whole, and what a record looks like."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.security.envelope import LEAST_PASSPHRASE


class ExportCreate(BaseModel):
    """How the archive is to be protected."""

    model_config = ConfigDict(extra="forbid", strict=True)

    passphrase: str | None = Field(
        default=None,
        min_length=LEAST_PASSPHRASE,
        max_length=1_000,
        description="What the file is encrypted under; it is not kept, and without it the file cannot be read",
        json_schema_extra={"format": "password", "writeOnly": True},
    )
    plain: bool = Field(default=False, description="Do not encrypt: whoever has the file can read it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.plain == (self.passphrase is not None):
            raise PydanticCustomError("one_protection", "has either a passphrase, or plain as true")
        return self


class RecordRead(BaseModel):
    """Everything that is kept of one client, and nothing of anybody else; what is sealed is opened."""

    model_config = ConfigDict(extra="allow")

    form: str
    client_id: uuid.UUID
    written_at: datetime
    client: dict[str, Any] = Field(description="What is kept of the person")
    research_consents: list[dict[str, Any]] = Field(default=[], description="What was said of research, with dates")
    episodes: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    couples: list[dict[str, Any]] = Field(description="The client's own part in couples; nothing of a partner")
    couple_consents: list[dict[str, Any]] = Field(description="What the client said of joint views")
    goals: list[dict[str, Any]]
    goal_ratings: list[dict[str, Any]]
    assignments: list[dict[str, Any]]
    assignment_completions: list[dict[str, Any]]
    responses: list[dict[str, Any]] = Field(
        description="Every version of every form: `answers` as given, `document` with scores and what they rest on"
    )
    scores: list[dict[str, Any]] = Field(description="Every score, by the `id` of the version in `responses`")
    corrections: list[dict[str, Any]] = Field(description="Which versions hold no more, since when, and why")
    alerts: list[dict[str, Any]]
    seen: list[dict[str, Any]] = Field(
        description="Who read or changed what, and when; with exports of the whole organisation"
    )
