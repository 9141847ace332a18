"""What a correction looks like from outside."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from api.catalogue.schemas import ANSWERS_SCHEMA
from api.clients.codes import Correction, Setting
from api.times import PastTime

LONGEST_REASON: Final = 1000


def _written(text: str) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    # Line breaks and tabs are part of a text; other control characters, lone surrogates and no characters are not.
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in "\n\r\t" for char in text):
        raise PydanticCustomError("control_character", "has no control characters besides line breaks")
    if not 1 <= len(text) <= LONGEST_REASON:
        raise PydanticCustomError("length", f"has 1 to {LONGEST_REASON} characters besides surrounding space")
    return text


class _Correction(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        StrictStr,
        AfterValidator(_written),
        Field(
            description="Why, for whoever reads the history; kept encrypted with the client's key",
            json_schema_extra={"minLength": 1, "maxLength": LONGEST_REASON},
        ),
    ]
    reason_code: Correction = Field(default="another", description="The kind of reason; see /v1/codes")


class ResponseVoidRequest(_Correction):
    """That a response was entered in error."""


class ResponseAmend(_Correction):
    """What a response should have said. Members that are not given stay as they were."""

    answers: dict[str, Any] | None = Field(
        default=None, description="All of them: the form as it should have been", json_schema_extra=ANSWERS_SCHEMA
    )
    answered_at: PastTime | None = None
    version: StrictInt | None = Field(default=None, ge=1, description="Of the instrument, to score by")
    variant: StrictStr | None = None
    setting: Setting | None = Field(default=None, description="Null clears")
    episode_id: uuid.UUID | None = Field(default=None, description="Null: it belongs to no episode")
    partnered: StrictBool | None = Field(default=None, description="Null clears")
    active: StrictBool | None = Field(default=None, description="Null clears")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set - {"reason", "reason_code"}:
            raise PydanticCustomError("nothing_amended", "says what is to be otherwise: answers, answered_at, …")
        return self


class ScoringRead(BaseModel):
    """Scores that a version has: as it was recorded, or by a run that came later."""

    rescoring: uuid.UUID | None = Field(description="The run; null for the recorded ones")
    version: int = Field(description="Of the instrument")
    definition: str = Field(description="Checksum of the definition")
    at: datetime = Field(description="From when on they counted")
    withdrawn_at: datetime | None = Field(description="Since when the run no longer counts")
    current: bool = Field(description="They are those of this version that count")


class VersionRead(BaseModel):
    """One version in the history: what it was made by, and why."""

    revision: int
    status: Literal["completed", "amended", "entered-in-error"]
    current: bool
    at: datetime = Field(description="When it was recorded")
    by: str = Field(description="Subject of the token")
    reason_code: str | None = Field(description="Null for the first, which corrects nothing")
    reason: str | None
    answered_at: datetime
    version: int = Field(description="Of the instrument")
    variant: str
    url: str = Field(description="Path of the whole version")
    scorings: list[ScoringRead] = Field(
        description="Its scores, oldest first; none of a void one. The version's path with `rescoring` gives a run's"
    )


class HistoryRead(BaseModel):
    """All versions of a response, oldest first."""

    id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    revision: int = Field(description="Of the last version, which is the current one")
    versions: list[VersionRead]
