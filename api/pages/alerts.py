"""Alerts: which are open, what each is about, and that somebody has seen to it."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from api.alerts.problems import AlertNotOpen
from api.alerts.router import ForReaders, ForWriters
from api.alerts.schemas import AlertAcknowledge, AlertFilters, KeptAlert, Status
from api.alerts.service import Alerts
from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.pages.access import FormDep, FormRoute, Visit, VisitDep
from api.pages.names import called
from api.pages.render import page, redirect
from api.pages.whose import Whose, has_clients
from api.pages.whose import chosen as whose_is_shown
from api.paging import Cursor

router = APIRouter(route_class=FormRoute, include_in_schema=False)

ALERTS: Final = "/app/alerts"
ALERT: Final = ALERTS + "/{alert_id}"
ROWS: Final = 25
SEVERITIES: Final = {"urgent": "Urgent", "notice": "Notice"}
STATUSES: Final = {
    "open": "Open",
    "acknowledged": "Acknowledged",
    "superseded": "Superseded by a correction",
    "historic": "Imported, never open",
}


@router.get(ALERTS)
async def listed(
    visit: VisitDep,
    library: LibraryDep,
    alerts: ForReaders,
    clients: ClientsDep,
    status: Annotated[Status | Literal["any"], Query()] = "open",
    whose: Annotated[Whose | None, Query()] = None,
    cursor: Cursor = None,
) -> Response:
    """Alerts, urgent ones first: those of one's own clients, or of everybody's."""
    whose = whose_is_shown(visit, whose)
    wanted = AlertFilters(
        status=None if status == "any" else status, clinician=visit.principal.subject if whose == "mine" else None
    )
    items, more = await alerts.page(wanted, cursor, ROWS)
    names = await clients.named({alert.client_id for alert in items})
    return page(
        "alerts.html",
        visit=visit,
        alerts=[(alert, called(alert.client_id, names.get(alert.client_id))) for alert in items],
        instruments=await library.names(visit.principal.organisation_id, {alert.instrument for alert in items}),
        severities=SEVERITIES,
        statuses=STATUSES,
        chosen=status,
        whose=whose,
        own=has_clients(visit),
        more=more,
        cursor=cursor,
    )


@router.get(ALERT)
async def one(
    alert_id: uuid.UUID,
    visit: VisitDep,
    library: LibraryDep,
    alerts: ForReaders,
    clients: ClientsDep,
    said: Annotated[Literal["acknowledged"] | None, Query()] = None,
) -> Response:
    """One alert: what was answered, what the organisation has to say, and who has seen to it."""
    return await _shown(visit, library, clients, await alerts.alert(alert_id), said=said)


async def _shown(
    visit: Visit,
    library: LibraryDep,
    clients: Clients,
    alert: KeptAlert,
    *,
    status: int = 200,
    said: str | None = None,
    faults: dict[str, str] | None = None,
    note: str = "",
    too_late: bool = False,
) -> Response:
    about = await clients.get(alert.client_id)
    names = await library.names(visit.principal.organisation_id, {alert.instrument})
    return page(
        "alert.html",
        status=status,
        visit=visit,
        alert=alert,
        called=called(about.id, about.external_id),
        instrument=names[alert.instrument],
        severities=SEVERITIES,
        statuses=STATUSES,
        may=("alerts:write" in visit.principal.scopes),
        said=said,
        faults=faults or {},
        note=note,
        too_late=too_late,
    )


@router.post(ALERT + "/acknowledge")
async def acknowledge(
    alert_id: uuid.UUID, visit: VisitDep, form: FormDep, library: LibraryDep, alerts: ForWriters, clients: ClientsDep
) -> Response:
    """Say that it has been seen to. Of two at once one does; the other is told who, and when."""
    note = form.get("note", "").replace("\r\n", "\n")
    try:
        body = AlertAcknowledge(note=note.strip() or None)
    except ValidationError as error:
        faults = {"note": str(error.errors()[0]["msg"])}
        return await _again(visit, library, alerts, clients, alert_id, faults, note)
    try:
        await alerts.acknowledge(alert_id, body)
    except AlertNotOpen:  # nothing was written but who tried
        found = await alerts.alert(alert_id)
        return await _shown(visit, library, clients, found, status=409, note=note, too_late=True)
    return redirect(f"{ALERTS}/{alert_id}?said=acknowledged")


async def _again(
    visit: Visit,
    library: LibraryDep,
    alerts: Alerts,
    clients: Clients,
    alert_id: uuid.UUID,
    faults: dict[str, str],
    note: str,
) -> Response:
    found = await alerts.alert(alert_id)
    return await _shown(visit, library, clients, found, status=422, faults=faults, note=note)
