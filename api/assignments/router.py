"""Work between sessions over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response, status

from api.assignments import schemas
from api.assignments.repository import AssignmentRepository
from api.assignments.service import Assignments
from api.conditional import IfMatch, etag
from api.db import SessionDep
from api.declared import ADDED, CHANGED, FOUND, LISTED, MADE, READ
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["assignments"])

ASSIGNMENTS: Final = "/v1/clients/{client_id}/assignments"
ADHERENCE: Final = ASSIGNMENTS + "/adherence"
ASSIGNMENT: Final = ASSIGNMENTS + "/{assignment_id}"
COMPLETIONS: Final = ASSIGNMENT + "/completions"
Reader = Annotated[Principal, Depends(require("care:read"))]
Writer = Annotated[Principal, Depends(require("care:write"))]


async def _for_readers(request: Request, principal: Reader, session: SessionDep, audit: AuditDep) -> Assignments:
    repository = AssignmentRepository(session, principal.organisation_id)
    return Assignments(repository, request.app.state.keys, Steps(audit, session))


async def _for_writers(request: Request, principal: Writer, session: SessionDep, audit: AuditDep) -> Assignments:
    repository = AssignmentRepository(session, principal.organisation_id)
    return Assignments(repository, request.app.state.keys, Steps(audit, session))


ForReaders = Annotated[Assignments, Depends(_for_readers)]
ForWriters = Annotated[Assignments, Depends(_for_writers)]


def _tagged(read: schemas.AssignmentRead, response: Response) -> schemas.AssignmentRead:
    response.headers["ETag"] = etag(read.version)
    return read


@router.post(ASSIGNMENTS, status_code=status.HTTP_201_CREATED, operation_id="createAssignment", responses=MADE)
async def create(
    client_id: uuid.UUID, body: schemas.AssignmentCreate, assignments: ForWriters, response: Response
) -> schemas.AssignmentRead:
    """Set a piece of work between sessions."""
    made = await assignments.set(client_id, body)
    response.headers["Location"] = f"{ASSIGNMENTS.format(client_id=client_id)}/{made.id}"
    return _tagged(made, response)


@router.get(ASSIGNMENTS, operation_id="listAssignments", responses=LISTED)
async def listed(
    client_id: uuid.UUID,
    assignments: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.AssignmentPage:
    """Assignments of a client with what became of them, in the order in which they were recorded."""
    items, more = await assignments.assignments(client_id, cursor, limit)
    if more is not None:
        response.headers.update(next_link(ASSIGNMENTS.format(client_id=client_id), {"limit": limit}, more))
    return schemas.AssignmentPage(items=items, next=more)


@router.get(ADHERENCE, operation_id="readAdherence", responses=FOUND)
async def adherence(client_id: uuid.UUID, assignments: ForReaders) -> schemas.Adherence:
    """How much of the work was done, for each week in which some was due, and in all."""
    return await assignments.adherence(client_id)


@router.get(ASSIGNMENT, operation_id="readAssignment", responses=READ)
async def read(
    client_id: uuid.UUID, assignment_id: uuid.UUID, assignments: ForReaders, response: Response
) -> schemas.AssignmentRead:
    """One assignment."""
    return _tagged(await assignments.assignment(client_id, assignment_id), response)


@router.patch(ASSIGNMENT, operation_id="changeAssignment", responses=CHANGED)
async def change(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    body: schemas.AssignmentPatch,
    assignments: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.AssignmentRead:
    """Change an assignment of which nothing is recorded, or withdraw it. `If-Match` is needed."""
    return _tagged(await assignments.change(client_id, assignment_id, body, if_match), response)


@router.post(COMPLETIONS, status_code=status.HTTP_201_CREATED, operation_id="recordCompletion", responses=ADDED)
async def complete(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    body: schemas.CompletionCreate,
    assignments: ForWriters,
    response: Response,
) -> schemas.CompletionRead:
    """Record what became of an assignment. It holds in place of what was recorded before, which is kept."""
    made = await assignments.complete(client_id, assignment_id, body)
    response.headers["ETag"] = etag(made.version)
    return made


@router.get(COMPLETIONS, operation_id="listCompletions", responses=LISTED)
async def completions(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    assignments: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.CompletionPage:
    """All that was recorded of an assignment, oldest first."""
    items, more = await assignments.completions(client_id, assignment_id, cursor, limit)
    if more is not None:
        path = COMPLETIONS.format(client_id=client_id, assignment_id=assignment_id)
        response.headers.update(next_link(path, {"limit": limit}, more))
    return schemas.CompletionPage(items=items, next=more)
