"""Outcomes of an organisation over HTTP."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from api.catalogue.library import LibraryDep
from api.outcomes import schemas, service
from api.problems import RequestInvalid, ServiceUnavailable, problems
from api.records.audit import AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["outcomes"])

PATH: Final = "/v1/organisation/outcomes"
Reader = Annotated[Principal, Depends(require("outcomes:read"))]


async def _outcomes(request: Request, _: Reader, library: LibraryDep, audit: AuditDep) -> service.Outcomes:
    state = request.app.state
    return service.Outcomes(audit, library, state.outcomes, state.settings.smallest_cell)


@router.get(
    PATH,
    operation_id="readOutcomes",
    response_model=schemas.OutcomesRead,
    responses=problems(RequestInvalid, ServiceUnavailable),
)
async def read(
    principal: Reader,
    library: LibraryDep,
    outcomes: Annotated[service.Outcomes, Depends(_outcomes)],
    query: Annotated[schemas.OutcomesQuery, Query()],
) -> schemas.OutcomesRead:
    """Effect sizes, rates, attrition and service figures of ended episodes, in groups. Every figure says how many it
    rests on; small groups are marked and not hidden, so an answer is for the organisation and not for publication."""
    shelf = await library.shelf(principal.organisation_id, [query.instrument])
    return await outcomes.read(service.question(shelf, query))
