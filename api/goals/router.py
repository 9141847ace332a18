"""Goals and their ratings over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response, status

from api.conditional import IfMatch, etag
from api.db import SessionDep
from api.declared import CHANGED, FOUND, LISTED, MADE, READ
from api.goals import schemas
from api.goals.repository import GoalRepository
from api.goals.service import Goals
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["goals"])

GOALS: Final = "/v1/clients/{client_id}/goals"
PROGRESS: Final = GOALS + "/progress"
GOAL: Final = GOALS + "/{goal_id}"
RATINGS: Final = GOAL + "/ratings"
Wording = Annotated[bool, Query(description="The words of each goal too; they stay sealed without this")]
Reader = Annotated[Principal, Depends(require("care:read"))]
Writer = Annotated[Principal, Depends(require("care:write"))]


async def _for_readers(request: Request, principal: Reader, session: SessionDep, audit: AuditDep) -> Goals:
    repository = GoalRepository(session, principal.organisation_id)
    return Goals(repository, request.app.state.keys, Steps(audit, session))


async def _for_writers(request: Request, principal: Writer, session: SessionDep, audit: AuditDep) -> Goals:
    repository = GoalRepository(session, principal.organisation_id)
    return Goals(repository, request.app.state.keys, Steps(audit, session))


ForReaders = Annotated[Goals, Depends(_for_readers)]
ForWriters = Annotated[Goals, Depends(_for_writers)]


def _tagged(read: schemas.GoalRead, response: Response) -> schemas.GoalRead:
    response.headers["ETag"] = etag(read.version)
    return read


@router.post(GOALS, status_code=status.HTTP_201_CREATED, operation_id="createGoal", responses=MADE)
async def create(
    client_id: uuid.UUID, body: schemas.GoalCreate, goals: ForWriters, response: Response
) -> schemas.GoalRead:
    """Set a goal: five described levels with a weight (goal attainment scaling), or a target from 0 to 10."""
    made = await goals.set(client_id, body)
    response.headers["Location"] = f"{GOALS.format(client_id=client_id)}/{made.id}"
    return _tagged(made, response)


@router.get(GOALS, operation_id="listGoals", responses=LISTED)
async def listed(
    client_id: uuid.UUID, goals: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.GoalPage:
    """Goals of a client, dropped ones too, in the order in which they were recorded."""
    items, more = await goals.goals(client_id, cursor, limit)
    if more is not None:
        response.headers.update(next_link(GOALS.format(client_id=client_id), {"limit": limit}, more))
    return schemas.GoalPage(items=items, next=more)


@router.get(PROGRESS, operation_id="readGoalProgress", responses=FOUND)
async def progress(client_id: uuid.UUID, goals: ForReaders, wording: Wording = False) -> schemas.GoalProgress:
    """T scores over time of the goals in levels, with their change from the start, and every goal's series."""
    return await goals.progress(client_id, wording=wording)


@router.get(GOAL, operation_id="readGoal", responses=READ)
async def read(client_id: uuid.UUID, goal_id: uuid.UUID, goals: ForReaders, response: Response) -> schemas.GoalRead:
    """One goal."""
    return _tagged(await goals.goal(client_id, goal_id), response)


@router.patch(GOAL, operation_id="changeGoal", responses=CHANGED)
async def change(
    client_id: uuid.UUID,
    goal_id: uuid.UUID,
    body: schemas.GoalPatch,
    goals: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.GoalRead:
    """Change a goal that has not been rated, or drop one. `If-Match` is needed."""
    return _tagged(await goals.change(client_id, goal_id, body, if_match), response)


@router.post(RATINGS, status_code=status.HTTP_201_CREATED, operation_id="rateGoal", responses=FOUND)
async def rate(
    client_id: uuid.UUID, goal_id: uuid.UUID, body: schemas.RatingCreate, goals: ForWriters
) -> schemas.RatingRead:
    """Rate how far a goal was reached on a day. A wrong rating is corrected by another that names it."""
    return await goals.rate(client_id, goal_id, body)


@router.get(RATINGS, operation_id="listRatings", responses=LISTED)
async def ratings(
    client_id: uuid.UUID,
    goal_id: uuid.UUID,
    goals: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.RatingPage:
    """Ratings of a goal in the order in which they were recorded, corrected ones too."""
    items, more = await goals.ratings(client_id, goal_id, cursor, limit)
    if more is not None:
        path = RATINGS.format(client_id=client_id, goal_id=goal_id)
        response.headers.update(next_link(path, {"limit": limit}, more))
    return schemas.RatingPage(items=items, next=more)
