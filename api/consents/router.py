"""Consent to research over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response, status

from api.conditional import etag
from api.consents import schemas
from api.consents.repository import ResearchConsentRepository
from api.consents.service import ResearchConsents
from api.db import SessionDep
from api.declared import ADDED, LISTED
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["clients"])

CONSENT: Final = "/v1/clients/{client_id}/research-consent"
Reader = Annotated[Principal, Depends(require("clients:read"))]
Writer = Annotated[Principal, Depends(require("clients:write"))]


async def _for_readers(principal: Reader, session: SessionDep, audit: AuditDep) -> ResearchConsents:
    return ResearchConsents(ResearchConsentRepository(session, principal.organisation_id), Steps(audit, session))


async def _for_writers(principal: Writer, session: SessionDep, audit: AuditDep) -> ResearchConsents:
    return ResearchConsents(ResearchConsentRepository(session, principal.organisation_id), Steps(audit, session))


@router.post(CONSENT, status_code=status.HTTP_201_CREATED, operation_id="stateResearchConsent", responses=ADDED)
async def state(
    client_id: uuid.UUID,
    body: schemas.ResearchConsentCreate,
    consents: Annotated[ResearchConsents, Depends(_for_writers)],
    response: Response,
) -> schemas.ResearchConsentRead:
    """Record that a client consents to research, or withdraws: the next release is made without the answers."""
    made, version = await consents.state(client_id, body)
    response.headers["ETag"] = etag(version)
    return made


@router.get(CONSENT, operation_id="listResearchConsents", responses=LISTED)
async def stated(
    client_id: uuid.UUID,
    consents: Annotated[ResearchConsents, Depends(_for_readers)],
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ResearchConsentPage:
    """All that a client said about research, oldest first, and whether the client consents now."""
    page = await consents.page(client_id, cursor, limit)
    if page.next is not None:
        response.headers.update(next_link(CONSENT.format(client_id=client_id), {"limit": limit}, page.next))
    return page
