"""What is due: whose forms wait to be filled in."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.db import DatabaseDep
from api.pages.access import VisitDep
from api.pages.names import called
from api.pages.render import page
from api.pages.whose import Whose, has_clients
from api.pages.whose import chosen as whose_is_shown
from api.paging import Cursor
from api.protocols.due import due_page
from api.protocols.schemas import DueQuery, Status
from api.records.audit import AuditDep

router = APIRouter(include_in_schema=False)

DUE: Final = "/app/due"
ROWS: Final = 50
Shown = Literal["waiting", "past"]
STATUSES: Final = {"overdue": "Overdue", "due": "Due", "missed": "Missed", "expired": "Ended unanswered"}
_SHOWN: Final[dict[Shown, list[Status]]] = {"waiting": ["overdue", "due"], "past": ["missed", "expired"]}


@router.get(DUE)
async def due(
    visit: VisitDep,
    audit: AuditDep,
    library: LibraryDep,
    database: DatabaseDep,
    clients: ClientsDep,
    whose: Annotated[Whose | None, Query()] = None,
    show: Annotated[Shown, Query()] = "waiting",
    cursor: Cursor = None,
) -> Response:
    """What nobody has answered: the longest overdue first."""
    visit.principal.allow("care:read")
    whose = whose_is_shown(visit, whose)
    clinician = visit.principal.subject if whose == "mine" else None
    query = DueQuery(clinician=clinician, status=_SHOWN[show], limit=ROWS, cursor=cursor)
    day, items, more = await due_page(database, visit.principal, audit.request_id, query)
    names = await clients.named({uuid.UUID(item["client_id"]) for item in items})
    return page(
        "due.html",
        visit=visit,
        day=day,
        items=[(item, called(item["client_id"], names.get(uuid.UUID(item["client_id"])))) for item in items],
        instruments=await library.names(visit.principal.organisation_id, {item["instrument"] for item in items}),
        statuses=STATUSES,
        whose=whose,
        own=has_clients(visit),
        show=show,
        more=more,
        cursor=cursor,
    )
