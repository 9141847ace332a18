"""The report of a client over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.alerts.repository import AlertRepository
from api.alerts.service import Alerts
from api.alerts.settings import alerts_of
from api.assignments.router import ForReaders as Work
from api.catalogue.library import LibraryDep
from api.charts.schemas import Language
from api.db import SessionDep
from api.goals.router import ForReaders as Goals
from api.problems import NotFound, RequestInvalid, ServiceUnavailable, problems
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.report.service import Reports

router = APIRouter(tags=["progress"])

REPORT: Final = "/v1/clients/{client_id}/report.pdf"
PDF: Final = "application/pdf"
SCOPES: Final = ("progress:read", "alerts:read")
"""Needed besides that of goals and work."""
_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file"}
}


class ReportQuery(BaseModel):
    """In which language."""

    model_config = ConfigDict(extra="forbid")

    language: Language = Field(default="en", description="Of all but names, codes and what people wrote")


async def _reports(
    request: Request, goals: Goals, work: Work, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> Reports:
    for scope in SCOPES:
        audit.principal.allow(scope)
    repository = AlertRepository(session, audit.principal.organisation_id)
    alerts = Alerts(repository, library, alerts_of(request), request.app.state.keys, Steps(audit, session))
    return Reports(request, library, goals, work, alerts, request.app.state.records)


ForReaders = Annotated[Reports, Depends(_reports)]


@router.get(
    REPORT,
    operation_id="printReport",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid, ServiceUnavailable) | _CONTENT,
)
async def report(client_id: uuid.UUID, reports: ForReaders, query: Annotated[ReportQuery, Query()]) -> Response:
    """Two pages at most for a session: where the client stands, goals, work, open alerts, what is due, and sources."""
    made = await reports.report(client_id, query.language)
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'inline; filename="report.pdf"'}
    return Response(made, media_type=PDF, headers=headers)
