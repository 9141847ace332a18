"""The audit trail over HTTP, for administrators."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Response

from api.audit import schemas
from api.audit.repository import AuditRepository, Wanted
from api.audit.service import Trail
from api.db import SessionDep
from api.paging import next_link
from api.problems import NotFound, RequestInvalid, problems
from api.records.audit import AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["audit"])

PATH: Final = "/v1/audit"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_CHAIN_PAGE: Final = 1_000
Reader = Annotated[Principal, Depends(require("audit:read"))]
_LINK: Final[dict[str, Any]] = {
    "Link": {"description": 'The next page as `rel="next"` (RFC 8288), if any', "schema": {"type": "string"}}
}


async def _trail(principal: Reader, session: SessionDep, audit: AuditDep) -> Trail:
    return Trail(AuditRepository(session, principal.organisation_id), audit)


TrailDep = Annotated[Trail, Depends(_trail)]
QueryOf = Annotated[schemas.AuditQuery, Query()]


def _json(document: Any, headers: dict[str, str] | None = None) -> Response:
    """As it is: times in events are written the way they are hashed."""
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)


def _page(path: str, query: schemas.AuditQuery, found: tuple[list[dict[str, Any]], str | None]) -> Response:
    items, more = found
    given = query.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"cursor"})
    return _json({"items": items, "next": more}, None if more is None else next_link(path, given, more))


@router.get(
    PATH,
    operation_id="listAudit",
    response_class=Response,
    responses=problems(RequestInvalid) | {200: {"model": schemas.AuditPage, "headers": _LINK}},
)
async def listed(trail: TrailDep, query: QueryOf) -> Response:
    """What was done in the organisation, newest first. That it was read is itself put on record."""
    return _page(PATH, query, await trail.page(_wanted(query), query.cursor, query.limit))


@router.get(
    PATH + "/chain",
    operation_id="readAuditChain",
    response_class=Response,
    responses=problems(RequestInvalid) | {200: {"model": schemas.AuditChain}},
)
async def links(
    trail: TrailDep,
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="Number of the last link that is known")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_CHAIN_PAGE, description="Links of a page")] = LARGEST_CHAIN_PAGE,
) -> Response:
    """The sealed events in the order of the chain, for whoever verifies it without this service."""
    items, more = await trail.links(after, limit)
    return _json({"items": items, "next": more})


@router.get(
    PATH + "/head",
    operation_id="readAuditHead",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid) | {200: {"model": schemas.AuditSignedHead}},
)
async def head(trail: TrailDep) -> Response:
    """The end of the chain, signed. Kept elsewhere, it shows later whether anything before it was taken back."""
    return _json(await trail.head())


@router.get(
    "/v1/clients/{client_id}/audit",
    operation_id="listClientAudit",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid) | {200: {"model": schemas.AuditPage, "headers": _LINK}},
)
async def of_client(client_id: uuid.UUID, trail: TrailDep, query: QueryOf) -> Response:
    """Who has seen or changed the record of a client: what was done to the client and to anything of theirs."""
    found = await trail.of_client(client_id, _wanted(query), query.cursor, query.limit)
    return _page(f"/v1/clients/{client_id}/audit", query, found)


def _wanted(query: schemas.AuditQuery) -> Wanted:
    """Before the first time that an id can hold there is no event."""
    times = {name: at and max(at, EPOCH) for name, at in (("since", query.since), ("until", query.until))}
    return Wanted(query.subject, query.role, query.action, query.resource, query.outcome, **times)
