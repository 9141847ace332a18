"""What a `PUT` of wording brings: texts in one of three formats, and the attestation around them.

FHIR and YAML have no place for an attestation, so in every format the body is an object of two members: the
`attestation`, and the texts as `pack`, `questionnaire` or `questionnaires`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from api import problems
from api.problems import RequestInvalid
from api.wordings.problems import WordingInvalid
from instruments import Instrument
from instruments.languages import canonical
from instruments.wording import Pack, Source, WordingError, WordingFault, read, text_fault
from instruments.wording_fhir import read_questionnaire, read_questionnaires

STATEMENT: Final = (
    "This organisation holds the right to use this wording of the questionnaire in this language, from its holder or "
    "under its terms, for the time given, and answers for it."
)
"""What whoever sends `statement_accepted: true` says. The words are kept with the attestation."""
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BREAKS: Final = frozenset("\n\u2028\u2029")


def _day(value: object) -> object:
    # pydantic would also take a number of seconds, and a time
    if isinstance(value, str) and _DAY.fullmatch(value):
        return value
    raise PydanticCustomError("date_format", "is a day such as 2026-12-31")


def _true(value: object) -> object:
    # pydantic would also take 1, which nobody accepts a statement by
    if value is True:
        return value
    raise PydanticCustomError("literal_error", "is true")


def _line(text: str) -> str:
    fault = ("control-character", "is one line") if _BREAKS & set(text) else text_fault(text, 500)
    if fault is not None:
        raise PydanticCustomError(fault[0], fault[1])
    return text


Day = Annotated[date, BeforeValidator(_day)]
Line = Annotated[
    str, Field(strict=True), AfterValidator(_line), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 500})
]


class Attestation(BaseModel):
    """Who allows the organisation to use the wording, by what, and for how long. The token's subject attests it."""

    model_config = ConfigDict(extra="forbid")

    holder: Line = Field(description="Who owns the wording, as the licence names them")
    licence_reference: Line = Field(
        description="The licence: its number, the date of a letter, or the terms that allow it"
    )
    statement_accepted: Annotated[Literal[True], BeforeValidator(_true)] = Field(description=STATEMENT)
    valid_from: Day = Field(description="First day of use, in UTC")
    valid_until: Day | None = Field(default=None, description="Last day of use, in UTC; null is without an end")

    @model_validator(mode="after")
    def _in_order(self) -> Attestation:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise PydanticCustomError("days_out_of_order", "valid_until is not before valid_from")
        return self


class Wording(BaseModel):
    """Texts, in exactly one of three formats, and the attestation."""

    model_config = ConfigDict(extra="forbid")

    attestation: Attestation
    pack: Pack | None = None
    questionnaire: dict[str, Any] | None = Field(
        default=None, description="A FHIR R4 Questionnaire; its texts are kept, nothing else"
    )
    questionnaires: dict[str, dict[str, Any]] | None = Field(
        default=None, description="For an instrument with forms by anatomy: a form's id to its Questionnaire"
    )


class _Envelope(Wording):
    """What is around the texts: those are checked against the definition, and their faults told together."""

    pack: Any = None
    questionnaire: Any = None
    questionnaires: Any = None


FORMATS: Final = ("pack", "questionnaire", "questionnaires")


class Submission(NamedTuple):
    """What was sent, found good."""

    attestation: Attestation
    pack: Pack


def read_submission(instrument: Instrument, variant: str, language: str, given: Any) -> Submission:
    """Check a body in full.

    Raises
    ------
    RequestInvalid
        The attestation, or the object around everything, is wrong.
    WordingInvalid
        The texts are, and perhaps the attestation too: with every fault of both.
    """
    if isinstance(given, dict) and "resourceType" in given:
        detail = "is an object with attestation and questionnaire: a Questionnaire alone attests nothing"
        raise RequestInvalid(errors=[{"pointer": "", "code": "attestation-missing", "detail": detail}])
    around: list[dict[str, Any]] = []
    envelope: _Envelope | None = None
    try:
        envelope = _Envelope.model_validate(given)
    except ValidationError as error:
        found = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        around = problems.faults(RequestValidationError(found, body=given))
    sent = [name for name in FORMATS if isinstance(given, dict) and given.get(name) is not None]
    if isinstance(given, dict) and len(sent) != 1:
        detail = f"has exactly one of {', '.join(FORMATS)}"
        around.append({"pointer": "", "code": "one-format", "detail": detail})
    pack: Pack | None = None
    within: list[dict[str, Any]] = []
    if len(sent) == 1:
        (name,) = sent
        try:
            pack = read(instrument, _source(name, instrument, language, given[name]), variant)
        except WordingError as error:
            within = [_fault(name, fault) for fault in error.faults]
    if within:
        raise WordingInvalid(errors=around + within)
    if envelope is None or pack is None or around:
        raise RequestInvalid(errors=around)
    return Submission(envelope.attestation, pack)


def _source(name: str, instrument: Instrument, language: str, value: Any) -> Source:
    if name == "pack":
        return Source(value)
    source = (read_questionnaire if name == "questionnaire" else read_questionnaires)(instrument, value)
    parts = [((), value)] if name == "questionnaire" else [((form,), part) for form, part in value.items()]
    return Source(source.value, source.places, (*source.faults, *_other_languages(parts, language)))


def _other_languages(parts: Sequence[tuple[tuple[str, ...], Any]], language: str) -> Iterator[WordingFault]:
    """A Questionnaire may say what language it is in; then it is that of the path."""
    for path, questionnaire in parts:
        stated = questionnaire.get("language")
        try:
            same = stated is None or (isinstance(stated, str) and canonical(stated) == language)
        except ValueError:
            same = False
        if not same:
            yield WordingFault((*path, "language"), "other-language", f"is {language}, or left out")


def _fault(name: str, fault: WordingFault) -> dict[str, Any]:
    return {"pointer": problems.pointer((name, *fault.path)), "code": fault.code, "detail": fault.detail}
