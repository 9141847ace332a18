"""Corrections over HTTP: a response put right or found void, and its versions."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from fastapi import Request as HttpRequest

from api.alerts.settings import alerts_of
from api.catalogue.library import LibraryDep
from api.conditional import IfMatch, etag
from api.corrections import schemas
from api.corrections.service import PATH, Answered, Corrections, Request
from api.db import SessionDep
from api.problems import (
    AnswersInvalid,
    IdempotencyKeyReused,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    RequestInvalid,
    problems,
)
from api.records.audit import AuditDep
from api.responses.idempotency import IdempotencyKeyInvalid, key_of
from api.responses.router import ETAG, SCOPE, ResponsesDep, responses_of
from api.responses.schemas import ResponseListed, ResponseRead, ResponseVoid
from api.responses.service import ResponseIsVoid
from api.responses.versions import MOST_REVISIONS
from api.security.principal import Principal, require

router = APIRouter(tags=["responses"])

Writer = Annotated[Principal, Depends(require(SCOPE))]
_REPLAYED: Final[dict[str, Any]] = {
    "Idempotent-Replayed": {
        "description": "`true` where an earlier request did it",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_PROBLEMS: Final = (
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    RequestInvalid,
    ResponseIsVoid,
)


async def _corrections(
    request: HttpRequest, principal: Writer, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> Corrections:
    return Corrections(responses_of(request, principal, session, audit, library), alerts_of(request))


async def _key(
    request: HttpRequest,
    _: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A random string for each correction, as for recording; the same one repeats it safely",
        ),
    ] = None,
) -> str | None:
    return key_of(request.scope["headers"])


CorrectionsDep = Annotated[Corrections, Depends(_corrections)]
Key = Annotated[str | None, Depends(_key)]


def _answer(done: Answered) -> Response:
    headers = {"ETag": etag(done.revision)} | ({"Idempotent-Replayed": "true"} if done.replayed else {})
    return Response(done.text, media_type="application/json", headers=headers)


@router.post(
    PATH + "/{response_id}/amend",
    operation_id="amendResponse",
    response_class=Response,
    responses=problems(AnswersInvalid, *_PROBLEMS) | {200: {"model": ResponseRead, "headers": ETAG | _REPLAYED}},
)
async def amend(
    request: HttpRequest,
    response_id: uuid.UUID,
    body: Annotated[schemas.ResponseAmend, Body()],
    corrections: CorrectionsDep,
    key: Key,
    if_match: IfMatch = None,
) -> Response:
    """Put a response right: a new version, scored afresh, holds from now on. What it said before stays readable.

    It keeps its id. Client and instrument stay: a form under the wrong client is void, and recorded anew.
    """
    sent = Request("amend", response_id, request.scope["state"].get("json"), key, if_match)
    return _answer(await corrections.amend(body, sent))


@router.post(
    PATH + "/{response_id}/void",
    operation_id="voidResponse",
    response_class=Response,
    responses=problems(*_PROBLEMS) | {200: {"model": ResponseVoid, "headers": ETAG | _REPLAYED}},
)
async def void(
    request: HttpRequest,
    response_id: uuid.UUID,
    body: Annotated[schemas.ResponseVoidRequest, Body()],
    corrections: CorrectionsDep,
    key: Key,
    if_match: IfMatch = None,
) -> Response:
    """Say that a response was entered in error. It counts nowhere from now on; its versions stay readable. Final."""
    sent = Request("void", response_id, request.scope["state"].get("json"), key, if_match)
    return _answer(await corrections.void(body, sent))


@router.get(
    PATH + "/{response_id}/versions",
    operation_id="listResponseVersions",
    response_model=schemas.HistoryRead,
    responses=problems(NotFound, RequestInvalid) | {200: {"headers": ETAG}},
)
async def versions(
    request: HttpRequest, response_id: uuid.UUID, responses: ResponsesDep, response: Response
) -> dict[str, Any]:
    """The history of a response, oldest version first: when each came about, by whom, and why."""
    found, tag = await Corrections(responses, alerts_of(request)).history(response_id)
    response.headers["ETag"] = etag(tag)
    return found


@router.get(
    PATH + "/{response_id}/versions/{revision}",
    operation_id="readResponseVersion",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid) | {200: {"model": ResponseListed | ResponseVoid}},
)
async def version(
    response_id: uuid.UUID,
    revision: Annotated[int, Path(ge=1, le=MOST_REVISIONS)],
    responses: ResponsesDep,
    rescoring: Annotated[
        uuid.UUID | None, Query(description="With the scores of this run, in place of the recorded ones")
    ] = None,
) -> Response:
    """One version as it was recorded, with its answers; `current` and `superseded` say whether it still holds."""
    return Response(await responses.version(response_id, revision, rescoring), media_type="application/json")
