"""Clients over HTTP, and the code lists their members come from."""

from __future__ import annotations

import hashlib
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response, status
from pydantic import AfterValidator

from api.clients import schemas
from api.clients.codes import CODES, CodeLists
from api.clients.repository import ClientRepository
from api.clients.service import Clients
from api.conditional import IfMatch, IfNoneMatch, etag, holds
from api.db import SessionDep
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import ExternalIdTaken, NotFound, PreconditionFailed, RequestInvalid, problems
from api.records.audit import AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["clients"])

PATH: Final = "/v1/clients"
Reader = Annotated[Principal, Depends(require("clients:read"))]
Writer = Annotated[Principal, Depends(require("clients:write"))]

_ETAG: Final[dict[str, Any]] = {"ETag": {"description": "Version of the client", "schema": {"type": "string"}}}
_LOCATION: Final[dict[str, Any]] = {"Location": {"description": "Path of the new client", "schema": {"type": "string"}}}
_LINK: Final[dict[str, Any]] = {
    "Link": {
        "description": 'The next page as `rel="next"` (RFC 8288), where there is one',
        "schema": {"type": "string"},
    }
}


def _clients(request: Request, principal: Principal, session: SessionDep, audit: AuditDep) -> Clients:
    keys = request.app.state.keys
    return Clients(ClientRepository(session, principal.organisation_id), keys, principal.organisation_id, audit)


async def _for_readers(request: Request, principal: Reader, session: SessionDep, audit: AuditDep) -> Clients:
    return _clients(request, principal, session, audit)


async def _for_writers(request: Request, principal: Writer, session: SessionDep, audit: AuditDep) -> Clients:
    return _clients(request, principal, session, audit)


ForReaders = Annotated[Clients, Depends(_for_readers)]


@router.post(
    PATH,
    status_code=status.HTTP_201_CREATED,
    operation_id="createClient",
    responses=problems(ExternalIdTaken, RequestInvalid) | {201: {"headers": _ETAG | _LOCATION}},
)
async def create(
    body: schemas.ClientCreate, clients: Annotated[Clients, Depends(_for_writers)], response: Response
) -> schemas.ClientRead:
    """Make a client. No name and no contact is taken: the record system keeps those."""
    made = await clients.create(body)
    response.headers["Location"] = f"{PATH}/{made.id}"
    response.headers["ETag"] = etag(made.version)
    return made


@router.get(PATH, operation_id="listClients", responses=problems(RequestInvalid) | {200: {"headers": _LINK}})
async def listed(
    clients: Annotated[Clients, Depends(_for_readers)],
    response: Response,
    external_id: Annotated[
        str | None,
        AfterValidator(lambda text: None if text is None else schemas.clean_external_id(text)),
        Query(max_length=4 * schemas.LONGEST_EXTERNAL_ID, description="Only the client with this identifier, if any"),
    ] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ClientPage:
    """Clients in the order in which they were made, or the one with an external identifier."""
    if external_id is not None:
        return schemas.ClientPage(items=await clients.find(external_id), next=None)
    items, more = await clients.page(cursor, limit)
    if more is not None:
        response.headers.update(next_link(PATH, {"limit": limit}, more))
    return schemas.ClientPage(items=items, next=more)


@router.get(
    PATH + "/{client_id}",
    operation_id="readClient",
    responses=problems(NotFound, RequestInvalid) | {200: {"headers": _ETAG}},
)
async def read(
    client_id: uuid.UUID, clients: Annotated[Clients, Depends(_for_readers)], response: Response
) -> schemas.ClientRead:
    """One client."""
    found = await clients.get(client_id)
    response.headers["ETag"] = etag(found.version)
    return found


@router.patch(
    PATH + "/{client_id}",
    operation_id="changeClient",
    responses=problems(NotFound, PreconditionFailed, ExternalIdTaken, RequestInvalid) | {200: {"headers": _ETAG}},
)
async def change(
    client_id: uuid.UUID,
    body: schemas.ClientPatch,
    clients: Annotated[Clients, Depends(_for_writers)],
    response: Response,
    if_match: IfMatch = None,
) -> schemas.ClientRead:
    """Change members of a client; those not given stay, null clears."""
    changed = await clients.change(client_id, body, if_match)
    response.headers["ETag"] = etag(changed.version)
    return changed


_CODES: Final = CODES.model_dump_json().encode("utf-8")
_CODES_TAG: Final = etag(hashlib.sha256(_CODES).hexdigest())


@router.get(
    "/v1/codes",
    operation_id="listCodes",
    response_model=CodeLists,
    responses=problems() | {304: {"description": "Unchanged"}},
    dependencies=[Depends(require("instruments:read"))],
)
async def codes(if_none_match: IfNoneMatch = None) -> Response:
    """Every code list that members of clients, episodes and responses come from; genders with research's groups."""
    headers = {"ETag": _CODES_TAG, "Cache-Control": "private, max-age=3600"}
    if holds(if_none_match, _CODES_TAG):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(_CODES, media_type="application/json", headers=headers)
