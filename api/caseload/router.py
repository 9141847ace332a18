"""The caseload of a clinician over HTTP."""

from __future__ import annotations

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.caseload.schemas import CaseloadPage, CaseloadQuery
from api.caseload.service import Caseloads
from api.catalogue.library import LibraryDep
from api.db import DatabaseDep
from api.declared import LISTED
from api.paging import next_link
from api.problems import RequestInvalid, problems
from api.records.audit import AuditDep
from api.references.active import organisation_references
from api.security.principal import Principal, require

router = APIRouter(tags=["progress"])

CASELOAD: Final = "/v1/caseload"
Reader = Annotated[Principal, Depends(require("progress:read"))]


@router.get(
    CASELOAD,
    operation_id="readCaseload",
    response_class=Response,
    responses={**problems(RequestInvalid), 200: {"model": CaseloadPage, "headers": LISTED[200]["headers"]}},
)
async def read(
    request: Request,
    principal: Reader,
    audit: AuditDep,
    database: DatabaseDep,
    library: LibraryDep,
    query: Annotated[CaseloadQuery, Query()],
) -> Response:
    """A clinician's clients with what became of each, what is due and what alerts: who needs attention comes first."""
    caseloads = Caseloads(database, library, organisation_references(request), principal, audit.request_id)
    page = await caseloads.page(query)
    headers: dict[str, str] = {}
    if page["next"] is not None:
        asked = query.model_dump(mode="json", exclude_unset=True, exclude={"cursor"})
        given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
        headers = next_link(CASELOAD, given, page["next"])
    return Response(orjson.dumps(page, option=orjson.OPT_UTC_Z), media_type="application/json", headers=headers)
