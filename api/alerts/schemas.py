"""What alerts, thresholds and guidance look like from outside."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.clients.texts import SealedText
from instruments.conditions import Condition

Kind = Literal["answers", "threshold", "worsening"]
Severity = Literal["urgent", "notice"]
Status = Literal["open", "acknowledged", "superseded", "historic"]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]

LONGEST_NAME: Final = 160
LONGEST_GUIDANCE: Final = 2000
MOST_GUIDANCE: Final = 200
MOST_COMPARISONS: Final = 50


def _plain(longest: int, lines: str) -> Any:
    """A validator of plain text: no control characters but those of ``lines``, and so many characters at most."""

    def clean(text: str) -> str:
        if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in lines for char in text):
            raise PydanticCustomError("control_character", "is plain text, without control characters")
        text = unicodedata.normalize("NFC", text).strip()
        if not 1 <= len(text) <= longest:
            raise PydanticCustomError("length", f"has 1 to {longest} characters besides surrounding space")
        return text

    return AfterValidator(clean)


Name = Annotated[str, _plain(LONGEST_NAME, ""), Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME})]
GuidanceText = Annotated[
    str, _plain(LONGEST_GUIDANCE, "\n\t"), Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_GUIDANCE})
]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filters(BaseModel):
    """Which alerts; conditions narrow the list."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = None
    severity: Severity | None = None
    kind: Kind | None = None


class AlertFilters(Filters):
    """The same of all clients."""

    client_id: uuid.UUID | None = None
    clinician: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Of the episode that the response belongs to; of one outside any, of an episode that goes on",
    )


class AlertAcknowledge(_Write):
    """That somebody has seen to an alert."""

    note: SealedText | None = None


class AlertAcknowledgement(BaseModel):
    """Who has seen to an alert, and what they wrote."""

    at: datetime
    by: str = Field(description="Subject of the token")
    note: str | None


class KeptAlert(BaseModel):
    """An alert as it stands."""

    id: uuid.UUID
    client_id: uuid.UUID
    response_id: uuid.UUID
    revision: int = Field(description="Of the response: the version that raised it")
    episode_id: uuid.UUID | None
    instrument: str
    version: int = Field(description="Of the instrument")
    kind: Kind = Field(
        description="By a rule of the definition (`answers`), by one of the organisation (`threshold`), or by change "
        "beyond measurement error (`worsening`)"
    )
    rule: str = Field(description="Id of the rule; of worsening, the method")
    meaning: str | None = Field(description="Null where the definition is no longer there")
    severity: str
    items: list[str] = Field(description="Those that the rule looks at")
    scale: str | None = Field(description="Of worsening, and of a rule that looks at one scale only")
    status: Status = Field(
        description="`superseded`: what raised it was amended or found void. `historic`: imported, and never open"
    )
    origin: Literal["recorded", "import"]
    raised_at: datetime
    baseline_response_id: uuid.UUID | None = Field(description="Of worsening: what it was held against")
    change: float | None = Field(description="Of worsening: score less baseline, in points")
    guidance: str | None = Field(description="What the organisation has to say about such alerts now")
    acknowledgement: AlertAcknowledgement | None = Field(description="Also of one that was superseded since")


class AlertPage(BaseModel):
    """Alerts, urgent ones first, and of one severity the newest first."""

    items: list[KeptAlert]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class AlertRuleCreate(_Write):
    """A threshold of the organisation's own."""

    instrument: Code = Field(description="Code of the instrument")
    name: Name = Field(description="What it means, as it is shown with an alert")
    severity: Severity
    when: Condition = Field(
        description="In the language of the alerts of a definition: comparisons of an item's raw answer or of a "
        "scale's value, counts of items, joined by all, any and not"
    )


class AlertRuleRead(BaseModel):
    """A threshold as it is kept. It never changes, but it can be retired."""

    id: uuid.UUID
    instrument: str
    name: str
    severity: str
    when: dict[str, Any]
    created_at: datetime
    created_by: str = Field(description="Subject of the token")
    retired_at: datetime | None = Field(description="From when on it raises nothing")
    retired_by: str | None


class AlertRulePage(BaseModel):
    """Thresholds in the order in which they were made."""

    items: list[AlertRuleRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class GuidanceEntry(_Write):
    """A text and the alerts that it is for; a member that is absent is any. The most particular text is shown."""

    kind: Kind | None = None
    severity: Severity | None = None
    instrument: Code | None = None
    rule: str | None = Field(default=None, min_length=1, max_length=60, description="Needs the instrument")
    text: GuidanceText

    @model_validator(mode="after")
    def _rule_of_an_instrument(self) -> Self:
        if self.rule is not None and self.instrument is None:
            raise PydanticCustomError("missing_instrument", "names the instrument that the rule is one for")
        return self

    @property
    def of(self) -> tuple[str | None, ...]:
        """What it is for."""
        return self.kind, self.severity, self.instrument, self.rule


class GuidancePut(_Write):
    """All texts of the organisation; none at all is an empty list."""

    entries: list[GuidanceEntry] = Field(max_length=MOST_GUIDANCE)


class GuidanceRead(BaseModel):
    """All texts of the organisation."""

    entries: list[GuidanceEntry]
    updated_at: datetime | None = Field(description="Null where none was ever written")
    updated_by: str | None
    version: int = Field(description="Counts the changes; 0 where none was ever written. Also the ETag")
