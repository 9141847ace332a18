"""What a client looks like from outside."""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.clients.codes import (
    NEURODIVERGENCES,
    ORGANS,
    Gender,
    MenopausalStage,
    Neurodivergence,
    Organ,
    Orientation,
    Relationship,
    Sex,
)
from api.security.crypto import normalise_external_id
from instruments.languages import canonical

LONGEST_EXTERNAL_ID: Final = 200
MOST_LANGUAGES: Final = 20
OLDEST: Final = 120
"""Years of age beyond which a year of birth is taken for a typing mistake."""

_NOT_KEPT: Final = (
    "The service keeps no name, contact, address, full date of birth or number of a person; "
    "leave it in the record system and send its own identifier as external_id"
)
_PERSONAL: Final = re.compile(
    r"name|mail|phone|mobile|fax|contact|address|street|city|town|zip|post_?code|postal|county"
    r"|birth_?da|date_?of_?birth|^dob$|^tel$|ssn|social|insurance|passport|photo|picture|kin|nick|title|salutation",
    re.IGNORECASE,
)


def clean_external_id(text: str) -> str:
    """The one spelling under which an external identifier is kept.

    Raises
    ------
    PydanticCustomError
        Empty or too long, or with characters that are no printed text.
    """
    # Not isprintable(): an identifier may contain a no-break space. Cs are lone surrogates, Co and Cn no characters; Cf
    # are seen by nobody (zero width, marks of byte order and direction): with one, a client would be made anew.
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in text):
        raise PydanticCustomError("control_character", "has no invisible or control characters and no line breaks")
    text = normalise_external_id(text)
    if not 1 <= len(text) <= LONGEST_EXTERNAL_ID:
        raise PydanticCustomError("length", f"has 1 to {LONGEST_EXTERNAL_ID} characters besides surrounding space")
    return text


def _plausible_year(year: int) -> int:
    this_year = datetime.now(UTC).year
    if not this_year - OLDEST <= year <= this_year:
        raise PydanticCustomError("year_implausible", f"is a year from {this_year - OLDEST} to {this_year}")
    return year


def once_each(codes: list[str]) -> list[str]:
    """A list as it is, in which nothing occurs twice.

    Raises
    ------
    PydanticCustomError
        Something does.
    """
    if len(set(codes)) != len(codes):
        raise PydanticCustomError("duplicate_code", "names each once")
    return codes


def _organs_in_order(organs: list[str]) -> list[str]:
    return sorted(once_each(organs), key=ORGANS.index)


def _neurodivergence_in_order(codes: list[str]) -> list[str]:
    return sorted(once_each(codes), key=NEURODIVERGENCES.index)


def _language(tag: str) -> str:
    try:
        return canonical(tag)
    except ValueError:
        raise PydanticCustomError("unknown_language", "is a language tag (BCP 47), such as en or pt-BR") from None


ExternalId = Annotated[
    str,
    AfterValidator(clean_external_id),
    Field(
        description="The record system's own identifier; kept encrypted, compared after Unicode NFC and trimming",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_EXTERNAL_ID},
    ),
]
BirthYear = Annotated[int, AfterValidator(_plausible_year), Field(description="Year only")]
Organs = Annotated[list[Organ], AfterValidator(_organs_in_order)]
Languages = Annotated[
    list[Annotated[str, AfterValidator(_language)]], AfterValidator(once_each), Field(max_length=MOST_LANGUAGES)
]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    external_id: ExternalId | None = None
    birth_year: BirthYear | None = None
    gender: Gender | None = None
    organs: Organs | None = Field(default=None, description="Present organs; null is not known, [] is none of the list")
    partnered: bool | None = None
    sex_registered_at_birth: Sex | None = None
    orientation: Orientation | None = None
    relationship_structure: Relationship | None = None
    neurodivergence: Annotated[list[Neurodivergence], AfterValidator(_neurodivergence_in_order)] | None = Field(
        default=None, description="Diagnosed or self-identified; null is not known, [] is none"
    )
    languages: Languages | None = Field(default=None, description="BCP 47 tags, the preferred one first")
    menopausal_stage: MenopausalStage | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_is_not_kept(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """An unknown member that looks like a person's particulars is refused with the reason, not as a mere typo."""
        try:
            return handler(value)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
            if not any(_personal(fault) for fault in faults):
                raise
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError("personal_data", _NOT_KEPT)
                        if _personal(fault)
                        else PydanticCustomError(fault["type"], fault["msg"].replace("{", "(").replace("}", ")")),
                        loc=fault["loc"],
                        input=None,
                    )
                    for fault in faults
                ],
            ) from None


def _personal(fault: Any) -> bool:
    return fault["type"] == "extra_forbidden" and bool(_PERSONAL.search(str(fault["loc"][-1])))


class ClientCreate(_Write):
    """A new client. Everything is optional: the service needs no more than an id."""

    research_consent: bool = Field(
        default=False, description="Recorded consent to de-identified use of the answers in research"
    )


class ClientPatch(_Write):
    """Changes (RFC 7396): members not given stay as they are, null clears, and turns consent to false."""

    research_consent: bool | None = None


class ClientRead(BaseModel):
    """A client as it is kept."""

    id: uuid.UUID
    external_id: str | None
    birth_year: int | None
    gender: str | None = Field(description="Code; see /v1/codes")
    organs: list[str] | None = Field(description="Codes; see /v1/codes")
    partnered: bool | None
    sex_registered_at_birth: str | None = Field(description="Code; see /v1/codes")
    orientation: str | None = Field(description="Code; see /v1/codes")
    relationship_structure: str | None = Field(description="Code; see /v1/codes")
    neurodivergence: list[str] | None = Field(description="Codes; see /v1/codes")
    languages: list[str] | None = Field(description="BCP 47 tags, the preferred one first")
    menopausal_stage: str | None = Field(description="Code; see /v1/codes")
    research_consent: bool
    created_at: datetime
    updated_at: datetime
    version: int = Field(description="Counts the changes from 1; also the ETag")


class ClientPage(BaseModel):
    """Clients in the order in which they were made."""

    items: list[ClientRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")
