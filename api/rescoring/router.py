"""Re-scoring over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response, status

from api.catalogue.library import LibraryDep
from api.db import SessionDep
from api.declared import FOUND, LISTED, LOCATION
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, RequestInvalid, problems
from api.records.audit import AuditDep
from api.rescoring import schemas
from api.rescoring.problems import RescoringState, RescoringUnfinished
from api.rescoring.repository import RescoringRepository
from api.rescoring.service import Rescorings
from api.security.principal import Principal, require

router = APIRouter(tags=["rescorings"])

PATH: Final = "/v1/rescorings"
ONE: Final = PATH + "/{rescoring_id}"

Reader = Annotated[Principal, Depends(require("rescorings:read"))]
Writer = Annotated[Principal, Depends(require("rescorings:write"))]


async def _for_readers(principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep) -> Rescorings:
    return Rescorings(RescoringRepository(session, principal.organisation_id), audit, library)


async def _for_writers(principal: Writer, session: SessionDep, audit: AuditDep, library: LibraryDep) -> Rescorings:
    return Rescorings(RescoringRepository(session, principal.organisation_id), audit, library)


ForReaders = Annotated[Rescorings, Depends(_for_readers)]
ForWriters = Annotated[Rescorings, Depends(_for_writers)]
_QUEUED: Final[dict[int | str, dict[str, Any]]] = {202: {"headers": LOCATION}}


@router.post(
    PATH,
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="startRescoring",
    responses=problems(RequestInvalid, RescoringUnfinished) | _QUEUED,
)
async def start(body: schemas.RescoringCreate, rescorings: ForWriters, response: Response) -> schemas.RescoringRead:
    """Score what was recorded by one version of an instrument by another, beside the scores that there are.

    A worker does it, batch by batch. Its scores are the current ones from the moment in which it is done.
    """
    made = await rescorings.start(body)
    response.headers["Location"] = ONE.format(rescoring_id=made.id)
    return made


@router.get(PATH, operation_id="listRescorings", responses=LISTED)
async def listed(
    rescorings: ForReaders,
    response: Response,
    instrument: Annotated[
        str | None, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Only runs of this instrument")
    ] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.RescoringPage:
    """Runs, newest first, each with what it has changed."""
    items, more = await rescorings.page(instrument, cursor, limit)
    if more is not None:
        response.headers.update(next_link(PATH, {"instrument": instrument, "limit": limit}, more))
    return schemas.RescoringPage(items=items, next=more)


@router.get(ONE, operation_id="readRescoring", responses=FOUND)
async def read(rescoring_id: uuid.UUID, rescorings: ForReaders) -> schemas.RescoringDetail:
    """One run: how far it is, and what it has changed."""
    return await rescorings.get(rescoring_id)


@router.post(ONE + "/stop", operation_id="stopRescoring", responses=problems(NotFound, RequestInvalid, RescoringState))
async def stop(rescoring_id: uuid.UUID, rescorings: ForWriters) -> schemas.RescoringRead:
    """Let a run do no more for now. What it has scored stays, and counts only once all is done."""
    return await rescorings.stop(rescoring_id)


@router.post(
    ONE + "/resume",
    operation_id="resumeRescoring",
    responses=problems(NotFound, RequestInvalid, RescoringState, RescoringUnfinished),
)
async def resume(rescoring_id: uuid.UUID, rescorings: ForWriters) -> schemas.RescoringRead:
    """Let a run that was stopped, or that failed, go on where it was."""
    return await rescorings.resume(rescoring_id)


@router.post(
    ONE + "/withdraw",
    operation_id="withdrawRescoring",
    responses=problems(NotFound, RequestInvalid, RescoringState),
)
async def withdraw(
    rescoring_id: uuid.UUID, body: schemas.RescoringWithdraw, rescorings: ForWriters
) -> schemas.RescoringRead:
    """Let the scores of a run count no more: those before it are current again. Nothing is deleted. Final."""
    return await rescorings.withdraw(rescoring_id, body)
