"""Episodes and their sessions over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response, status

from api.care import schemas
from api.care.repository import CareRepository
from api.care.service import Care
from api.care.tables import EpisodeRow, SessionRow
from api.conditional import IfMatch, etag
from api.db import SessionDep
from api.declared import CHANGED, LISTED, MADE, READ
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["care"])

EPISODES: Final = "/v1/clients/{client_id}/episodes"
EPISODE: Final = EPISODES + "/{episode_id}"
SESSIONS: Final = EPISODE + "/sessions"
SESSION: Final = SESSIONS + "/{session_id}"
Reader = Annotated[Principal, Depends(require("care:read"))]
Writer = Annotated[Principal, Depends(require("care:write"))]


async def _for_readers(principal: Reader, session: SessionDep, audit: AuditDep) -> Care:
    return Care(CareRepository(session, principal.organisation_id), Steps(audit, session))


async def _for_writers(principal: Writer, session: SessionDep, audit: AuditDep) -> Care:
    return Care(CareRepository(session, principal.organisation_id), Steps(audit, session))


ForReaders = Annotated[Care, Depends(_for_readers)]
ForWriters = Annotated[Care, Depends(_for_writers)]


def _episode(row: EpisodeRow, response: Response) -> schemas.EpisodeRead:
    response.headers["ETag"] = etag(row.version)
    return schemas.EpisodeRead.model_validate(row, from_attributes=True)


def _session(row: SessionRow, response: Response) -> schemas.SessionRead:
    response.headers["ETag"] = etag(row.version)
    return schemas.SessionRead.model_validate(row, from_attributes=True)


@router.post(EPISODES, status_code=status.HTTP_201_CREATED, operation_id="createEpisode", responses=MADE)
async def begin(
    client_id: uuid.UUID, body: schemas.EpisodeCreate, care: ForWriters, response: Response
) -> schemas.EpisodeRead:
    """Begin a course of therapy. Of one format a client has one at a time; docs/care.md has the rules."""
    row = await care.begin(client_id, body)
    response.headers["Location"] = f"{EPISODES.format(client_id=client_id)}/{row.id}"
    return _episode(row, response)


@router.get(EPISODES, operation_id="listEpisodes", responses=LISTED)
async def episodes(
    client_id: uuid.UUID, care: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.EpisodePage:
    """Episodes of a client, in the order in which they began."""
    rows, more = await care.episodes(client_id, cursor, limit)
    if more is not None:
        response.headers.update(next_link(EPISODES.format(client_id=client_id), {"limit": limit}, more))
    items = [schemas.EpisodeRead.model_validate(row, from_attributes=True) for row in rows]
    return schemas.EpisodePage(items=items, next=more)


@router.get(EPISODE, operation_id="readEpisode", responses=READ)
async def episode(
    client_id: uuid.UUID, episode_id: uuid.UUID, care: ForReaders, response: Response
) -> schemas.EpisodeRead:
    """One episode."""
    return _episode(await care.episode(client_id, episode_id), response)


@router.patch(EPISODE, operation_id="changeEpisode", responses=CHANGED)
async def change(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    body: schemas.EpisodePatch,
    care: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.EpisodeRead:
    """Change members of an episode, such as to end it; those not given stay, null clears. `If-Match` is needed."""
    return _episode(await care.change(client_id, episode_id, body, if_match), response)


@router.post(SESSIONS, status_code=status.HTTP_201_CREATED, operation_id="createSession", responses=MADE)
async def plan(
    client_id: uuid.UUID, episode_id: uuid.UUID, body: schemas.SessionCreate, care: ForWriters, response: Response
) -> schemas.SessionRead:
    """Plan a session, or record one that has been."""
    row = await care.plan(client_id, episode_id, body)
    response.headers["Location"] = f"{SESSIONS.format(client_id=client_id, episode_id=episode_id)}/{row.id}"
    return _session(row, response)


@router.get(SESSIONS, operation_id="listSessions", responses=LISTED)
async def sessions(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    care: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.SessionPage:
    """Sessions of an episode, in the order of their times."""
    rows, more = await care.sessions(client_id, episode_id, cursor, limit)
    if more is not None:
        path = SESSIONS.format(client_id=client_id, episode_id=episode_id)
        response.headers.update(next_link(path, {"limit": limit}, more))
    items = [schemas.SessionRead.model_validate(row, from_attributes=True) for row in rows]
    return schemas.SessionPage(items=items, next=more)


@router.get(SESSION, operation_id="readSession", responses=READ)
async def session(
    client_id: uuid.UUID, episode_id: uuid.UUID, session_id: uuid.UUID, care: ForReaders, response: Response
) -> schemas.SessionRead:
    """One session."""
    return _session(await care.session(client_id, episode_id, session_id), response)


@router.patch(SESSION, operation_id="changeSession", responses=CHANGED)
async def change_session(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    session_id: uuid.UUID,
    body: schemas.SessionPatch,
    care: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.SessionRead:
    """Change members of a session, such as what became of it; those not given stay, null clears. Needs `If-Match`."""
    return _session(await care.change_session(client_id, episode_id, session_id, body, if_match), response)
