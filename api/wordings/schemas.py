"""What wording, forms and licences look like from outside."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.wordings.repository import State
from instruments.wording import Pack

DaysLeft = Annotated[
    int | None, Field(description="Days until the last day of use: 0 on it, below 0 after it; null is without an end")
]


class LicenceRead(BaseModel):
    """The attestation of a pack, and what it is worth today."""

    instrument: str
    version: int = Field(description="Of the instrument")
    language: str
    variant: str = Field(description="The first of the ways to score that print the same form")
    pack_version: int = Field(description="Counts the versions of the pack, and its withdrawals, from 1")
    state: State
    days_left: DaysLeft
    holder: str
    licence_reference: str
    statement: str = Field(description="The words that were accepted")
    valid_from: date
    valid_until: date | None
    recorded_at: datetime
    recorded_by: str = Field(description="Subject of the token that attested, or of the one that withdrew")
    wording_url: str


class LicencePage(BaseModel):
    """Licences in the order in which they run out; those without an end come last."""

    items: list[LicenceRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class WordingRead(LicenceRead):
    """One version of a pack."""

    pack: Pack | None = Field(description="The texts as they came; null where this version withdraws them")


class WordingHistory(BaseModel):
    """Versions of a pack without their texts, newest first."""

    items: list[LicenceRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class FormOption(BaseModel):
    """One answer that may be chosen."""

    value: int
    label: str
    not_applicable: str | None = Field(description="What it says where the question does not apply; null for the rest")


class FormStep(BaseModel):
    """One half of a two-step item, answered under an id of its own."""

    id: str
    text: str
    options: list[FormOption]


class FormItem(BaseModel):
    """One item, in print order. Text is data: show it as it is, never as markup."""

    id: str = Field(description="What the answer is given under")
    text: str
    options: list[FormOption] = Field(description="In print order")
    gate: FormStep | None = Field(description="Of a two-step item: the question whose yes (1) leads to the rating")
    rating: FormStep | None = Field(description="Of a two-step item: asked only where the gate's answer is 1")


class FormSkip(BaseModel):
    """Items that may be passed over where a condition on earlier answers holds; they then count with `answer`."""

    id: str
    meaning: str
    when: dict[str, Any] = Field(description="A condition as in the definition")
    items: list[str]
    answer: int


class FormLicence(BaseModel):
    """Whose wording this is, and until when the organisation may use it."""

    status: str
    holder: str
    terms: str
    url: str | None
    licence_reference: str = Field(description="As the organisation attested it")
    attested_holder: str
    valid_until: date | None
    days_left: DaysLeft


class FormRead(BaseModel):
    """A form to show: everything that is printed, in order, and what leads past a question."""

    instrument: str
    version: int
    variant: str
    form: str | None = Field(description="Which form by anatomy, where there are several")
    language: str = Field(description="Of the texts; the one asked for, or what that falls back to")
    direction: str = Field(description="`ltr` or `rtl`")
    pack_version: int
    title: str
    instructions: str | None
    items: list[FormItem]
    skips: list[FormSkip]
    licence: FormLicence
