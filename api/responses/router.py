"""Responses over HTTP.

Recording is the hot path: its route takes the request as it is. FastAPI's dependencies, its reading of the body and
its writing of the answer would cost more than all that is done here, so the operation is declared by hand; a test holds
the declaration to what is really taken and answered.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from api.alerts.settings import alerts_of
from api.catalogue.library import InstrumentRetired, LibraryDep, library_of
from api.conditional import etag
from api.db import SessionDep, get_database
from api.erasure.problems import ClientErased
from api.erasure.service import erased_before
from api.openapi import declare
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import AnswersInvalid, IdempotencyKeyReused, NotFound, RequestInvalid, problems
from api.query import only_known_parameters
from api.records.audit import AuditDep, audit_of
from api.responses import schemas, service
from api.responses.idempotency import IdempotencyKeyInvalid, fingerprint, key_of
from api.responses.recording import EPISODE_MARGIN, Recorded, recorded_before
from api.responses.repository import ResponseRepository, Wanted
from api.responses.together import recorder_of
from api.responses.versions import MOST_REVISIONS, as_recorded
from api.security.principal import Principal, authenticate, require
from api.times import PastTime


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response, with nothing of FastAPI in between.

    FastAPI's own path enters three exit stacks and resolves dependencies, for an endpoint that has none. What is raised
    is answered by the handlers of the application, as everywhere.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; methods that the route does not take are left to FastAPI."""
        if self.methods and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


router = APIRouter(tags=["responses"])
recording = APIRouter(tags=["responses"], route_class=DirectRoute)
"""Apart from the others, to stand before them: routes are tried one after the other."""

PATH: Final = "/v1/responses"
SCOPE: Final = "responses:write"
Reader = Annotated[Principal, Depends(require("responses:read"))]
_ABSENT: Final = object()
_FIRST: Final = {"ETag": etag(1)}
ETAG: Final[dict[str, Any]] = {"ETag": {"description": "Revision of the response", "schema": {"type": "string"}}}
_NOT_OF_EPISODE: Final[dict[str, tuple[str, str, str]]] = {
    "episode_unknown": ("unknown-episode", "is the id of an episode of this client", "/episode_id"),
    "outside_episode": (
        "outside-episode",
        f"is from {EPISODE_MARGIN} days before the first to {EPISODE_MARGIN} days after the last day of the episode; "
        "leave episode_id out to keep the answers outside of any",
        "/answered_at",
    ),
}

_DECLARED: Final[dict[str, Any]] = {
    "x-scope": SCOPE,
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A random string for each form, quoted or bare; the same one repeats the request safely. "
            "Kept for at least 30 days, unless the operator has set another time (`FATHOMLINE_IDEMPOTENCY_DAYS`); "
            "after it, and without a key, a repetition is recorded as another response.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 257},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": declare(schemas.ResponseCreate, "validation")}},
    },
}
_CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {
        "description": "Recorded durably, now or by an earlier request with the same key",
        "model": schemas.ResponseRead,
        "headers": {
            **ETAG,
            "Location": {"description": "Path of the response", "schema": {"type": "string"}},
            "Idempotent-Replayed": {
                "description": "`true` where an earlier request recorded it",
                "schema": {"type": "string", "enum": ["true"]},
            },
        },
    }
}


@recording.post(
    PATH,
    status_code=status.HTTP_201_CREATED,
    operation_id="recordResponse",
    response_class=Response,
    openapi_extra=_DECLARED,
    responses=problems(
        AnswersInvalid,
        ClientErased,
        IdempotencyKeyInvalid,
        IdempotencyKeyReused,
        InstrumentRetired,
        NotFound,
        RequestInvalid,
    )
    | _CREATED,
)
async def record_response(request: Request) -> Response:
    """Score one completed form and keep it. The answer comes after the form has been stored durably."""
    principal = await authenticate(request)
    principal.allow(SCOPE)
    if request.scope["query_string"]:
        await only_known_parameters(request)
    key = key_of(request.scope["headers"])
    given = request.scope["state"].get("json", _ABSENT)
    body = _validated(given)
    recorded = await keep(request, principal, body, key=key, request_hash=fingerprint(given))
    headers = {"Location": f"{PATH}/{recorded.response_id}"}
    if recorded.outcome == "replayed":
        headers["Idempotent-Replayed"] = "true"
    document = as_recorded(recorded.document or "")
    return Response(document, status.HTTP_201_CREATED, headers | _FIRST, media_type="application/json")


async def keep(
    request: Request, principal: Principal, body: schemas.ResponseCreate, *, key: str | None, request_hash: bytes
) -> Recorded:
    """Score a form and record it durably, or find what an earlier request with its key has recorded.

    Parameters
    ----------
    key
        Idempotency key, or None: then a repetition is another response.
    request_hash
        Of what was sent (:func:`api.responses.idempotency.fingerprint`): a key stands for one form.

    Returns
    -------
    Recorded
        With ``outcome`` `created` or `replayed`.

    Raises
    ------
    AnswersInvalid, ClientErased, IdempotencyKeyReused, InstrumentRetired, NotFound, RequestInvalid
        Nothing was recorded.
    """
    library, organisation_id = library_of(request), principal.organisation_id
    try:
        instrument = await library.to_record(organisation_id, body.instrument, body.version)
    except InstrumentRetired:
        pool = get_database(request).pool
        before = (
            None if key is None else await recorded_before(pool, organisation_id, principal.subject, key, request_hash)
        )
        if before is None:
            raise
        return await _not_created(request, before, body.client_id)
    response = service.prepare(
        principal,
        body,
        instrument,
        key=key,
        request_hash=request_hash,
        request_id=request.scope["state"]["request_id"],
        settings=await alerts_of(request).of(organisation_id),
        versions=await library.comparable(organisation_id, instrument),
    )
    recorded = await recorder_of(request).record(response)
    return recorded if recorded.outcome == "created" else await _not_created(request, recorded, body.client_id)


def _validated(given: Any) -> schemas.ResponseCreate:
    try:
        if given is _ABSENT:
            raise RequestInvalid(errors=[{"pointer": "", "code": "missing", "detail": "is required"}])
        return schemas.ResponseCreate.model_validate(given)
    except ValidationError as error:
        found = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(found, body=given) from None


async def _not_created(request: Request, recorded: Recorded, client_id: uuid.UUID) -> Recorded:
    audit = audit_of(request)
    if recorded.outcome == "replayed":
        await audit.refused("record", "response", recorded.response_id, "replayed")
        return recorded
    if recorded.outcome == "conflict":
        await audit.refused("record", "response", None, "idempotency-key-reused")
        raise IdempotencyKeyReused("Use a new key for another form.")
    if recorded.outcome in _NOT_OF_EPISODE:
        code, detail, pointer = _NOT_OF_EPISODE[recorded.outcome]
        await audit.refused("record", "client", client_id, code)
        refused = RequestInvalid(errors=[{"pointer": pointer, "code": code, "detail": detail}])
        raise await erased_before(audit, client_id) or refused
    await audit.refused("record", "client", client_id, "not-found")
    raise await erased_before(audit, client_id) or NotFound(
        service.UNKNOWN_CLIENT,
        errors=[{"pointer": "/client_id", "code": "unknown-client", "detail": "is the id of a client"}],
    )


def responses_of(
    request: Request, principal: Principal, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> service.Responses:
    """The responses of the principal's organisation."""
    repository = ResponseRepository(session, principal.organisation_id)
    return service.Responses(repository, audit, library, request.app.state.keys)


async def _responses(
    request: Request, principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> service.Responses:
    return responses_of(request, principal, session, audit, library)


ResponsesDep = Annotated[service.Responses, Depends(_responses)]


@router.get(
    PATH + "/{response_id}",
    operation_id="readResponse",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {200: {"model": schemas.ResponseFound | schemas.ResponseVoid, "headers": ETAG}},
)
async def read(response_id: uuid.UUID, responses: ResponsesDep) -> Response:
    """What a response says now: byte for byte what recording it was answered with, or its last amendment.

    Where a protocol of the client asks for its instrument, `schedule` follows: which slots it fills, whether in time.

    Once a run has scored it anew, with the scores of that run; `rescoring` names it, and where the recorded ones are.

    One that was entered in error says so, by `status`, and has neither scores nor answers.
    """
    text, tag = await responses.document(response_id)
    return Response(text, media_type="application/json", headers={"ETag": etag(tag)})


@router.get(
    PATH + "/{response_id}/explain",
    operation_id="explainResponse",
    response_model=schemas.ExplanationRead,
    responses=problems(NotFound, RequestInvalid, service.ResponseIsVoid),
)
async def explain(
    response_id: uuid.UUID,
    responses: ResponsesDep,
    revision: Annotated[
        int | None, Query(ge=1, le=MOST_REVISIONS, description="The one that holds unless given")
    ] = None,
) -> dict[str, Any]:
    """How each score of a response came about, step by step from its answers."""
    return await responses.explanation(response_id, revision)


@router.get(
    "/v1/clients/{client_id}/responses",
    operation_id="listResponses",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {
        200: {
            "model": schemas.ResponsePage,
            "headers": {"Link": {"description": 'The next page as `rel="next"`, if any', "schema": {"type": "string"}}},
        }
    },
)
async def listed(
    client_id: uuid.UUID,
    responses: ResponsesDep,
    instrument: Annotated[
        str | None, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Only responses to this instrument")
    ] = None,
    episode: Annotated[uuid.UUID | None, Query(description="Only responses of this episode of the client")] = None,
    history: Annotated[bool, Query(description="Also versions that no longer hold, and void responses")] = False,
    as_of: Annotated[
        PastTime | None,
        Query(description="What was recorded, amended and void at this time, and nothing later: what was listed then"),
    ] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> Response:
    """Responses of a client with their answers, newest answers first: those that hold, each as last amended."""
    text, more = await responses.page(client_id, Wanted(instrument, episode, history, as_of), cursor, limit)
    headers: dict[str, str] = {}
    if more is not None:
        path = f"/v1/clients/{client_id}/responses"
        asked = {
            "instrument": instrument,
            "episode": str(episode) if episode else None,
            "history": "true" if history else None,
            "as_of": as_of.isoformat().replace("+00:00", "Z") if as_of else None,
            "limit": limit,
        }
        headers = next_link(path, asked, more)
    return Response(text, media_type="application/json", headers=headers)
