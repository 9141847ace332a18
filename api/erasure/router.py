"""Erasing a client over HTTP, for administrators, and the certificates of it."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.clients.codes import ErasureReason
from api.declared import LISTED
from api.erasure import schemas
from api.erasure.problems import ClientErased
from api.erasure.reading import as_text
from api.erasure.service import Erasures, erased_before
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, Problem, RequestInvalid, problems
from api.records.audit import AuditDep, audit_of
from api.security.principal import Principal, require

router = APIRouter(tags=["erasure"])

CLIENT: Final = "/v1/clients/{client_id}"
ERASURES: Final = "/v1/erasures"
ERASURE: Final = ERASURES + "/{erasure_id}"
Eraser = Annotated[Principal, Depends(require("clients:erase"))]


async def _erasures(request: Request, principal: Eraser, audit: AuditDep) -> Erasures:
    return Erasures(audit, request.app.state.keys, request.app.state.settings)


ErasuresDep = Annotated[Erasures, Depends(_erasures)]


@router.delete(CLIENT, operation_id="eraseClient", responses=problems(NotFound, ClientErased, RequestInvalid))
async def erase(
    client_id: uuid.UUID,
    erasures: ErasuresDep,
    reason: Annotated[ErasureReason, Query(description="Why; it is certified")],
    confirm: Annotated[
        Literal["no-duty-to-keep"],
        Query(description="States that nothing obliges the organisation to keep the record, which is gone for good"),
    ],
) -> schemas.ErasureRead:
    """Erase a client for good: the key is destroyed and every row removed. Nothing brings it back; docs/erasure.md."""
    return await erasures.erase(client_id, reason)


@router.get(ERASURES, operation_id="listErasures", responses=LISTED)
async def listed(
    erasures: ErasuresDep,
    response: Response,
    client_id: Annotated[uuid.UUID | None, Query(description="Only that of this client")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ErasurePage:
    """Erasures of the organisation with their certificates, in the order in which they were made."""
    items, more = await erasures.page(client_id, cursor, limit)
    if more is not None:
        given = {"limit": limit} | ({} if client_id is None else {"client_id": str(client_id)})
        response.headers.update(next_link(ERASURES, given, more))
    return schemas.ErasurePage(items=items, next=more)


@router.get(ERASURE, operation_id="readErasure", responses=problems(NotFound, RequestInvalid))
async def read(erasure_id: uuid.UUID, erasures: ErasuresDep) -> schemas.ErasureRead:
    """One erasure with its certificate, and which backups it has reached by now."""
    return await erasures.read(erasure_id)


@router.get(
    ERASURE + "/certificate.txt",
    operation_id="readErasureCertificate",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {200: {"description": "The certificate, to be read by people", "content": {"text/plain": {}}}},
)
async def certificate(erasure_id: uuid.UUID, erasures: ErasuresDep) -> Response:
    """The same to be read by people."""
    return Response(as_text(await erasures.read(erasure_id)), media_type="text/plain; charset=utf-8")


async def gone_instead(request: Request, problem: Problem) -> Problem:
    """For what is not found under the path of a client: that the client was erased, where that is why."""
    client_id = request.path_params.get("client_id")
    if not isinstance(problem, NotFound) or client_id is None or request.scope["state"].get("principal") is None:
        return problem
    return await erased_before(audit_of(request), uuid.UUID(str(client_id))) or problem
