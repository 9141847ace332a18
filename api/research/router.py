"""Research output over HTTP."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from api.catalogue.library import LibraryDep
from api.db import SessionDep
from api.problems import RequestInvalid, problems
from api.records.audit import AuditDep
from api.research import schemas, service
from api.research.protection import Protections
from api.research.repository import ResearchRepository
from api.security.principal import Principal, require

router = APIRouter(tags=["research"])

PATH: Final = "/v1/research/aggregates"
Reader = Annotated[Principal, Depends(require("research:read"))]
_PROTECTIONS: Final = Protections()


async def _research(request: Request, principal: Reader, session: SessionDep, audit: AuditDep) -> service.Research:
    return service.Research(
        ResearchRepository(session, principal.organisation_id),
        audit,
        _PROTECTIONS,
        request.app.state.settings.smallest_cell,
    )


@router.get(PATH, operation_id="readAggregates", responses=problems(RequestInvalid))
async def aggregates(
    principal: Reader,
    library: LibraryDep,
    research: Annotated[service.Research, Depends(_research)],
    instrument: Annotated[str, Query(max_length=40, description="Code of the instrument")],
    scale: Annotated[str, Query(max_length=40, description="One of its scales")],
    measure: Annotated[
        schemas.Measure,
        Query(
            description="`level`: scores; `change`: last minus first; `reliable_change`: rates of reliable "
            "improvement, no reliable change and reliable deterioration"
        ),
    ] = "level",
    group_by: Annotated[
        list[str] | None,
        Query(
            max_length=10,
            description="Up to three of `calendar_year`, `age_band`, `gender_group`, repeated or with commas between; "
            "none: everybody together",
        ),
    ] = None,
) -> schemas.AggregateRead:
    """Aggregates over a fixed lattice, of clients who consented to research. Small groups are suppressed, and with
    them what would give them back: `null` with a reason, never 0."""
    shelf = await library.shelf(principal.organisation_id, [instrument])
    return await research.aggregates(service.question(shelf, instrument, scale, measure, group_by or ()))
