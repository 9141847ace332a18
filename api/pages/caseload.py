"""The caseload: who needs attention comes first."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from api.caseload.schemas import ALL, CaseloadQuery
from api.caseload.service import Caseloads
from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.db import DatabaseDep
from api.pages.access import VisitDep
from api.pages.names import SHAPES, TONES, called
from api.pages.render import page
from api.pages.whose import Whose, has_clients
from api.pages.whose import chosen as whose_is_shown
from api.paging import Cursor
from api.records.audit import AuditDep
from api.references.active import organisation_references
from scoring.progress_words import HEADLINES

router = APIRouter(include_in_schema=False)

CASELOAD: Final = "/app/caseload"
ROWS: Final = 25
Shown = Literal["everybody", "worse", "alerts", "overdue"]
_FILTERS: Final[dict[Shown, dict[str, Any]]] = {
    "everybody": {},
    "worse": {"category": ["deteriorated", "harmed"]},
    "alerts": {"has_alerts": True},
    "overdue": {"overdue": True},
}
WHY: Final = {
    "urgent-alert": "urgent alert",
    "alert": "open alert",
    "harmed": "worse, now clinical",
    "deteriorated": "worse",
    "not-on-track": "not on track",
    "overdue": "overdue",
}
"""Why somebody needs attention, in words; a reason without words here is shown as it is."""


@router.get(CASELOAD)
async def caseload(
    request: Request,
    visit: VisitDep,
    audit: AuditDep,
    library: LibraryDep,
    database: DatabaseDep,
    clients: ClientsDep,
    whose: Annotated[Whose | None, Query()] = None,
    show: Annotated[Shown, Query()] = "everybody",
    cursor: Cursor = None,
) -> Response:
    """Clients with an open episode: what became of each, what is due, and what alerts there are."""
    visit.principal.allow("progress:read")
    whose = whose_is_shown(visit, whose)
    clinician = visit.principal.subject if whose == "mine" else ALL
    asked = CaseloadQuery(clinician=clinician, limit=ROWS, cursor=cursor, **_FILTERS[show])
    caseloads = Caseloads(database, library, organisation_references(request), visit.principal, audit.request_id)
    found = await caseloads.page(asked)
    names = await clients.named({uuid.UUID(str(row["client_id"])) for row in found["items"]})
    return page(
        "caseload.html",
        visit=visit,
        rows=[(row, called(row["client_id"], names.get(uuid.UUID(str(row["client_id"]))))) for row in found["items"]],
        totals=found["totals"],
        day=found["date"],
        words=HEADLINES,
        tones=TONES,
        shapes=SHAPES,
        why=WHY,
        whose=whose,
        own=has_clients(visit),
        show=show,
        more=found["next"],
        cursor=cursor,
    )
