"""Work beside outcome over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Response

from api.assignments.repository import AssignmentRepository
from api.catalogue.library import LibraryDep
from api.db import SessionDep
from api.declared import FOUND
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require
from api.work.schemas import WorkProgress, WorkQuery
from api.work.service import WorkBesideOutcome

router = APIRouter(tags=["progress"])

PATH: Final = "/v1/clients/{client_id}/work/progress"
SCOPE: Final = "progress:read"
"""Needed besides that of the assignments."""
Reader = Annotated[Principal, Depends(require("care:read"))]


async def _work(principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep) -> WorkBesideOutcome:
    principal.allow(SCOPE)
    return WorkBesideOutcome(AssignmentRepository(session, principal.organisation_id), library, Steps(audit, session))


ForWorkReaders = Annotated[WorkBesideOutcome, Depends(_work)]


@router.get(PATH, operation_id="readWorkProgress", response_model=WorkProgress, responses=FOUND)
async def read(client_id: uuid.UUID, work: ForWorkReaders, query: Annotated[WorkQuery, Query()]) -> Response:
    """The work between sessions in each stretch between two measurements of one series. It has no notes."""
    return Response(
        orjson.dumps(await work.read(client_id, query), option=orjson.OPT_UTC_Z), media_type="application/json"
    )
