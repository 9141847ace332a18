"""Where people land after they have signed in."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from api.db import SessionDep
from api.pages.access import HOME, NAVIGATION, VisitDep
from api.pages.render import page, redirect
from api.records.audit import AuditDep

router = APIRouter(include_in_schema=False)

CARE: Final = "clinician"


@router.get(HOME)
async def home(request: Request, visit: VisitDep, session: SessionDep, audit: AuditDep) -> Response:
    """Clinicians see who needs them; others what they may do here, and where the rest is."""
    if visit.principal.role == CARE:
        return redirect(NAVIGATION[0].path)
    audit.record(session, "view", "page", None)
    return page("home.html", visit=visit, scopes=sorted(visit.principal.scopes), base=str(request.base_url).rstrip("/"))


@router.get(HOME + "/")
async def slash(_: VisitDep) -> Response:
    """The same, as some people type it."""
    return redirect(HOME)
