"""An organisation's own instruments over HTTP: from a draft to a published version, and to its retirement."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response, status

from api.authoring import schemas
from api.authoring.checking import Checked, Submission
from api.authoring.problems import DefinitionInvalid, GoldenCasesFailed, TooManyInstruments, VersionTaken
from api.authoring.service import Authoring, submission_of, tag_of
from api.authoring.submission import read_submission
from api.authoring.tables import InstrumentDraftRow, OwnInstrumentRetirementRow, OwnInstrumentRow
from api.catalogue.library import library_of
from api.catalogue.schemas import ResultRead
from api.catalogue.service import PATH, definition_url
from api.conditional import IfMatch
from api.db import DatabaseDep
from api.lane import Lane
from api.openapi import declare
from api.problems import (
    AnswersInvalid,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    RequestInvalid,
    problems,
)
from api.records.audit import AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["own instruments"])

VALIDATE: Final = PATH + "/validate"
OF_VERSION: Final = PATH + "/{code}/versions/{version}"
DRAFT: Final = OF_VERSION + "/draft"
YAML_PATH: Final = re.compile(rf"{PATH}(?:/validate|/[^/]+/versions/[^/]+/draft)?")
"""Where a body may be YAML."""

Writer = Annotated[Principal, Depends(require("instruments:write"))]
Code = Annotated[str, Path(max_length=40, description="Code of the instrument; own ones begin with `own-`")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Version of the instrument")]

_HEADERS: Final[dict[str, Any]] = {
    "ETag": {"description": "Of the draft, for If-Match", "schema": {"type": "string"}},
    "Location": {"description": "Where it is", "schema": {"type": "string"}},
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": declare(schemas.InstrumentWrite, "validation", prefix="Written")}
            for media_type in ("application/json", "application/fhir+json", "application/yaml")
        },
    }
}
_STALE: Final = (NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid)


async def _authoring(request: Request, principal: Writer, database: DatabaseDep, audit: AuditDep) -> Authoring:
    return Authoring(database, audit, request.app.state.authoring, library_of(request).own.changed)


AuthoringDep = Annotated[Authoring, Depends(_authoring)]


async def _submission(request: Request, principal: Writer) -> Submission:
    """What the body says; declared after the scope, so that nobody else's is looked at."""
    given = request.scope["state"].get("json")
    text = await request.body() if request.scope["state"].get("yaml") else None
    lane: Lane = request.app.state.authoring
    return await lane.run(principal.organisation_id, read_submission, given, text)


Notes = tuple[dict[str, Any], ...]
SubmissionDep = Annotated[Submission, Depends(_submission)]


@router.post(
    PATH,
    status_code=status.HTTP_201_CREATED,
    operation_id="createDraft",
    response_model=schemas.DraftRead,
    openapi_extra=_BODY,
    responses=problems(DefinitionInvalid, VersionTaken, TooManyInstruments, RequestInvalid)
    | {201: {"headers": _HEADERS}},
)
async def create(authoring: AuthoringDep, given: SubmissionDep) -> Response:
    """Keep a definition as a draft, with all that is still wrong with it."""
    row, checked = await authoring.create(given)
    return _draft(row, checked, given.notes, status.HTTP_201_CREATED)


@router.post(
    VALIDATE,
    operation_id="validateInstrument",
    response_model=schemas.ValidationRead,
    openapi_extra=_BODY,
    responses=problems(RequestInvalid),
)
async def validate(authoring: AuthoringDep, given: SubmissionDep) -> Response:
    """Everything that is wrong with a definition and its golden cases, at once. Nothing is kept."""
    return _json(_validation(await authoring.check(given), given.notes))


@router.get(
    DRAFT,
    operation_id="readDraft",
    response_model=schemas.DraftRead,
    responses=problems(NotFound, RequestInvalid) | {200: {"headers": _HEADERS}},
)
async def read(authoring: AuthoringDep, code: Code, version: Version) -> Response:
    """A draft as it was submitted, with what is wrong with it."""
    row = await authoring.draft(code, version)
    return _draft(row, await authoring.check(submission_of(row)))


@router.put(
    DRAFT,
    operation_id="replaceDraft",
    response_model=schemas.DraftRead,
    openapi_extra=_BODY,
    responses=problems(DefinitionInvalid, *_STALE) | {200: {"headers": _HEADERS}},
)
async def replace(
    authoring: AuthoringDep, code: Code, version: Version, given: SubmissionDep, if_match: IfMatch = None
) -> Response:
    """Put another definition, with other golden cases, in a draft's place."""
    row, checked = await authoring.replace(code, version, given, if_match)
    return _draft(row, checked, given.notes)


@router.delete(
    DRAFT,
    operation_id="deleteDraft",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*_STALE),
)
async def delete(authoring: AuthoringDep, code: Code, version: Version, if_match: IfMatch = None) -> None:
    """Throw a draft away."""
    await authoring.delete(code, version, if_match)


@router.post(
    DRAFT + "/validate",
    operation_id="validateDraft",
    response_model=schemas.ValidationRead,
    responses=problems(NotFound, RequestInvalid),
)
async def validate_draft(authoring: AuthoringDep, code: Code, version: Version) -> Response:
    """Everything that is wrong with a draft and its golden cases, at once."""
    return _json(_validation(await authoring.check(submission_of(await authoring.draft(code, version)))))


@router.post(
    DRAFT + "/preview",
    operation_id="previewDraft",
    response_model=ResultRead,
    responses=problems(NotFound, DefinitionInvalid, AnswersInvalid, RequestInvalid),
)
async def preview(
    authoring: AuthoringDep, code: Code, version: Version, body: schemas.PreviewRequest
) -> dict[str, Any]:
    """Score answers with a draft. Neither the answers nor the scores are kept."""
    row = await authoring.draft(code, version)
    return (await authoring.preview(row, body.answers, body.variant)).document()


@router.post(
    OF_VERSION + "/publish",
    operation_id="publishInstrument",
    status_code=status.HTTP_201_CREATED,
    response_model=schemas.PublishedRead,
    responses=problems(DefinitionInvalid, GoldenCasesFailed, VersionTaken, TooManyInstruments, *_STALE)
    | {201: {"headers": {"Location": _HEADERS["Location"]}}},
)
async def publish(authoring: AuthoringDep, code: Code, version: Version, if_match: IfMatch = None) -> Response:
    """Make a draft a version that never changes, if its golden cases pass."""
    row = await authoring.publish(code, version, if_match)
    answer = _json(_published(row, None), status.HTTP_201_CREATED)
    answer.headers["Location"] = definition_url(code, version)
    return answer


@router.post(
    OF_VERSION + "/retire",
    operation_id="retireInstrument",
    response_model=schemas.PublishedRead,
    responses=problems(NotFound, RequestInvalid),
)
async def retire(authoring: AuthoringDep, code: Code, version: Version) -> Response:
    """Let a version take no new responses. Those that there are, and their progress, stay."""
    return _json(_published(*await authoring.retire(code, version)))


def _json(document: dict[str, Any], status_code: int = status.HTTP_200_OK) -> Response:
    return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), status_code, media_type="application/json")


def _validation(checked: Checked, notes: Notes = ()) -> dict[str, Any]:
    instrument = checked.instrument
    return {
        "publishable": checked.publishable,
        "checksum": None if instrument is None else instrument.checksum,
        "faults": [_fault(fault) for fault in checked.faults],
        "golden_failures": [_fault(fault) for fault in checked.failures],
        "needs_review": [] if instrument is None else list(instrument.needs_review),
        "notes": list(notes),
    }


def _fault(fault: dict[str, Any]) -> dict[str, Any]:
    return {"line": None, "expected": None, "actual": None} | fault


def _draft(
    row: InstrumentDraftRow,
    checked: Checked,
    notes: Notes = (),
    status_code: int = status.HTTP_200_OK,
) -> Response:
    document = _validation(checked, notes) | {
        "code": row.code,
        "version": row.version,
        "status": "draft",
        "definition": json.loads(row.definition),
        "golden": json.loads(row.golden),
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
    }
    answer = _json(document, status_code)
    answer.headers["ETag"] = tag_of(row)
    answer.headers["Location"] = DRAFT.format(code=row.code, version=row.version)
    return answer


def _published(row: OwnInstrumentRow, retirement: OwnInstrumentRetirementRow | None) -> dict[str, Any]:
    return {
        "code": row.code,
        "version": row.version,
        "status": "published" if retirement is None else "retired",
        "definition": row.checksum,
        "definition_url": definition_url(row.code, row.version),
        "published_at": row.published_at,
        "published_by": row.published_by,
        "retired_at": None if retirement is None else retirement.retired_at,
        "golden": json.loads(row.golden),
    }
