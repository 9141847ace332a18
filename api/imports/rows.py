"""Checking bodies as `POST /v1/responses` checks its own, but for what only the database knows."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic import Field as PydanticField

from api.clients.codes import Setting
from api.clients.schemas import clean_external_id
from api.imports.faults import LONGEST_POINTER, RowFault
from api.imports.formats import Given
from api.problems import faults as pydantic_faults
from api.times import PastTime

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION: Final = 7 << 76 | 2 << 62
_FREE: Final = (1 << 80) - 1 & ~(15 << 76 | 3 << 62)
"""The bits of a UUIDv7 that are neither time nor version."""
_UNCLEAR: Final = frozenset({float, type(None)})
"""Types of answers that may say the same as another."""
_PURPOSE: Final = b"fathomline/1/import-id\0"


class ImportedResponse(BaseModel):
    """One line of an import: the body of `POST /v1/responses`, by either id of the client."""

    model_config = ConfigDict(extra="forbid")

    client_id: uuid.UUID | None = None
    external_id: Annotated[str, AfterValidator(clean_external_id)] | None = None
    instrument: StrictStr
    version: StrictInt | None = PydanticField(default=None, ge=1)
    variant: StrictStr | None = None
    answered_at: PastTime
    answers: dict[str, Any]
    setting: Setting | None = None
    episode_id: uuid.UUID | None = None
    partnered: StrictBool | None = None
    active: StrictBool | None = None
    response_id: uuid.UUID | None = None


@dataclass(slots=True)
class Row:
    """A row whose form is right."""

    row: int
    line: int
    given: ImportedResponse

    def fault(self, pointer: str, code: str, detail: str) -> RowFault:
        """Something wrong with it."""
        return RowFault(self.row, self.line, pointer[:LONGEST_POINTER], code, detail)


def checked(given: Iterable[Given], instrument: str | None) -> tuple[list[Row], list[RowFault]]:
    """The rows whose form is right, and what is wrong with the others."""
    rows: list[Row] = []
    found: list[RowFault] = []
    for one in given:
        if one.fault is not None:
            found.append(one.fault._replace(pointer=one.fault.pointer[:LONGEST_POINTER]))
            continue
        if instrument is not None:
            one.body.setdefault("instrument", instrument)
        try:
            row = Row(one.row, one.line, ImportedResponse.model_validate(one.body))
        except ValidationError as error:
            found += _of_form(one, error)
            continue
        fault = _of_choice(row, instrument)
        if fault is None:
            rows.append(row)
        else:
            found.append(fault)
    return rows, found


def _of_form(given: Given, error: ValidationError) -> list[RowFault]:
    errors = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
    return [
        RowFault(given.row, given.line, str(fault["pointer"])[:LONGEST_POINTER], fault["code"], fault["detail"])
        for fault in pydantic_faults(RequestValidationError(errors, body=given.body))
    ]


def _of_choice(row: Row, instrument: str | None) -> RowFault | None:
    given = row.given
    if (given.client_id is None) == (given.external_id is None):
        return row.fault("/client_id", "client-unclear", "one of client_id and external_id is given")
    if instrument is not None and given.instrument != instrument:
        return row.fault("/instrument", "other-instrument", f"is {instrument}, as the import was told, or left out")
    return None


def id_key(client_key: bytes) -> bytes:
    """What the ids of a client's imported responses are made with: they tell nothing of answers to who has it not.

    Of the client's own key, so that it stays the same under another master key, and goes with the client.
    """
    return hmac.digest(client_key, _PURPOSE, "sha256")


def response_id(key: bytes, client_id: uuid.UUID, given: ImportedResponse) -> uuid.UUID:
    """The id of a response, always the same for the same answers of the same client at the same time.

    A UUIDv7 like all others: the milliseconds of ``answered_at`` first, so that rows lie side by side in an index.
    Unanswered items do not count, and 3.0 is 3. ``version`` and ``variant`` count as they were given.
    """
    if given.response_id is not None:
        return given.response_id
    answers = given.answers
    if not _UNCLEAR.isdisjoint(map(type, answers.values())):
        answers = {
            name: int(value) if type(value) is float and value.is_integer() else value
            for name, value in answers.items()
            if value is not None
        }
    told = orjson.dumps(
        [client_id, given.instrument, given.version, given.variant, given.answered_at, answers],
        option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z,
    )
    return made_id(given.answered_at, hmac.digest(key, told, "sha256"))


def made_id(at: datetime, digest: bytes) -> uuid.UUID:
    """A UUIDv7 of a time (from 1970 on; earlier ones as 1970) and a digest of at least 10 bytes."""
    milliseconds = max(0, int((at - _EPOCH).total_seconds() * 1000))
    return uuid.UUID(int=milliseconds << 80 | int.from_bytes(digest[:10], "big") & _FREE | _VERSION)
