"""Protocols, the episodes that follow them, and what falls due, over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response, status

from api.catalogue.library import LibraryDep
from api.conditional import IfMatch, etag
from api.db import DatabaseDep, SessionDep
from api.declared import CHANGED, LISTED, LOCATION, MADE, READ
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import RequestInvalid, problems
from api.protocols import schemas
from api.protocols.due import due_page
from api.protocols.following import Following, today
from api.protocols.repository import Both, ProtocolRepository
from api.protocols.service import ProtocolRetired, Protocols
from api.protocols.tables import EpisodeProtocolRow
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["protocols"])

PROTOCOLS: Final = "/v1/protocols"
PROTOCOL: Final = PROTOCOLS + "/{protocol_id}"
VERSIONS: Final = PROTOCOL + "/versions"
EPISODE: Final = "/v1/clients/{client_id}/episodes/{episode_id}"
FOLLOWED: Final = EPISODE + "/protocols"
ONE_FOLLOWED: Final = FOLLOWED + "/{episode_protocol_id}"
DUE: Final = "/v1/due"

Reader = Annotated[Principal, Depends(require("protocols:read"))]
Writer = Annotated[Principal, Depends(require("protocols:write"))]
CareReader = Annotated[Principal, Depends(require("care:read"))]
CareWriter = Annotated[Principal, Depends(require("care:write"))]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Version of the protocol")]


async def _for_readers(principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep) -> Protocols:
    return Protocols(ProtocolRepository(session, principal.organisation_id), library, Steps(audit, session))


async def _for_writers(principal: Writer, session: SessionDep, audit: AuditDep, library: LibraryDep) -> Protocols:
    return Protocols(ProtocolRepository(session, principal.organisation_id), library, Steps(audit, session))


async def _care_for_readers(principal: CareReader, session: SessionDep, audit: AuditDep) -> Following:
    return Following(ProtocolRepository(session, principal.organisation_id), Steps(audit, session))


async def _care_for_writers(principal: CareWriter, session: SessionDep, audit: AuditDep) -> Following:
    return Following(ProtocolRepository(session, principal.organisation_id), Steps(audit, session))


ForReaders = Annotated[Protocols, Depends(_for_readers)]
ForWriters = Annotated[Protocols, Depends(_for_writers)]
CareForReaders = Annotated[Following, Depends(_care_for_readers)]
CareForWriters = Annotated[Following, Depends(_care_for_writers)]


def _version(found: Both) -> dict[str, Any]:
    row, version = found
    return {"id": row.id, "code": row.code, **version.model_dump(exclude={"organisation_id", "protocol_id"})}


def _read(found: Both) -> schemas.ProtocolRead:
    return schemas.ProtocolRead.model_validate(
        found[0].model_dump(exclude={"organisation_id", "version"}) | _version(found)
    )


def _tagged(found: Both, response: Response) -> schemas.ProtocolRead:
    response.headers["ETag"] = etag(found[0].revision)
    return _read(found)


def _followed(row: EpisodeProtocolRow, response: Response) -> schemas.EpisodeProtocolRead:
    response.headers["ETag"] = etag(row.version)
    return schemas.EpisodeProtocolRead.model_validate(row, from_attributes=True)


@router.post(PROTOCOLS, status_code=status.HTTP_201_CREATED, operation_id="createProtocol", responses=MADE)
async def create(body: schemas.ProtocolCreate, protocols: ForWriters, response: Response) -> schemas.ProtocolRead:
    """Make a protocol: which instruments are to be answered when. Every fault of every entry is told at once."""
    made = await protocols.create(body)
    response.headers["Location"] = f"{PROTOCOLS}/{made[0].id}"
    return _tagged(made, response)


@router.get(PROTOCOLS, operation_id="listProtocols", responses=LISTED)
async def listed(
    protocols: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.ProtocolPage:
    """Protocols of the organisation in their newest versions, retired ones too."""
    found, more = await protocols.protocols(cursor, limit)
    if more is not None:
        response.headers.update(next_link(PROTOCOLS, {"limit": limit}, more))
    return schemas.ProtocolPage(items=[_read(one) for one in found], next=more)


@router.get(PROTOCOL, operation_id="readProtocol", responses=READ)
async def read(protocol_id: uuid.UUID, protocols: ForReaders, response: Response) -> schemas.ProtocolRead:
    """One protocol in its newest version."""
    return _tagged(await protocols.protocol(protocol_id), response)


@router.put(PROTOCOL, operation_id="replaceProtocol", responses=CHANGED | problems(ProtocolRetired))
async def replace(
    protocol_id: uuid.UUID,
    body: schemas.ProtocolWrite,
    protocols: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.ProtocolRead:
    """Make a further version. Episodes keep the version that they follow. `If-Match` is needed."""
    return _tagged(await protocols.replace(protocol_id, body, if_match), response)


@router.post(PROTOCOL + "/retire", operation_id="retireProtocol", responses=CHANGED)
async def retire(
    protocol_id: uuid.UUID, protocols: ForWriters, response: Response, if_match: IfMatch = None
) -> schemas.ProtocolRead:
    """Assign it no more; episodes that follow it go on. `If-Match` is needed."""
    return _tagged(await protocols.retire(protocol_id, if_match), response)


@router.get(VERSIONS, operation_id="listProtocolVersions", responses=LISTED)
async def versions(
    protocol_id: uuid.UUID,
    protocols: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ProtocolVersionPage:
    """All versions of a protocol, oldest first."""
    found, more = await protocols.versions(protocol_id, cursor, limit)
    if more is not None:
        response.headers.update(next_link(VERSIONS.format(protocol_id=protocol_id), {"limit": limit}, more))
    items = [schemas.ProtocolVersionRead.model_validate(_version(one)) for one in found]
    return schemas.ProtocolVersionPage(items=items, next=more)


@router.get(VERSIONS + "/{version}", operation_id="readProtocolVersion", responses=problems(RequestInvalid) | READ)
async def version(protocol_id: uuid.UUID, version: Number, protocols: ForReaders) -> schemas.ProtocolVersionRead:
    """One version of a protocol, as it will always be."""
    return schemas.ProtocolVersionRead.model_validate(_version(await protocols.version(protocol_id, version)))


@router.post(
    FOLLOWED,
    status_code=status.HTTP_201_CREATED,
    operation_id="assignProtocol",
    responses=MADE | problems(ProtocolRetired),
)
async def assign(
    client_id: uuid.UUID, episode_id: uuid.UUID, body: schemas.Assign, following: CareForWriters, response: Response
) -> schemas.EpisodeProtocolRead:
    """Let an episode follow a protocol."""
    made = await following.assign(client_id, episode_id, body)
    path = FOLLOWED.format(client_id=client_id, episode_id=episode_id)
    response.headers["Location"] = f"{path}/{made.id}"
    return _followed(made, response)


@router.get(FOLLOWED, operation_id="listEpisodeProtocols", responses=LISTED)
async def followed(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    following: CareForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.EpisodeProtocolPage:
    """Protocols that an episode follows or followed, in the order of their assignment."""
    rows, more = await following.listed(client_id, episode_id, cursor, limit)
    if more is not None:
        path = FOLLOWED.format(client_id=client_id, episode_id=episode_id)
        response.headers.update(next_link(path, {"limit": limit}, more))
    items = [schemas.EpisodeProtocolRead.model_validate(row, from_attributes=True) for row in rows]
    return schemas.EpisodeProtocolPage(items=items, next=more)


@router.get(ONE_FOLLOWED, operation_id="readEpisodeProtocol", responses=READ)
async def one_followed(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    episode_protocol_id: uuid.UUID,
    following: CareForReaders,
    response: Response,
) -> schemas.EpisodeProtocolRead:
    """That an episode follows a protocol."""
    return _followed(await following.one(client_id, episode_id, episode_protocol_id), response)


@router.post(ONE_FOLLOWED + "/end", operation_id="endEpisodeProtocol", responses=CHANGED)
async def end(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    episode_protocol_id: uuid.UUID,
    body: schemas.EndFollowing,
    following: CareForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.EpisodeProtocolRead:
    """Let an episode follow a protocol no more. What was asked and answered stays. `If-Match` is needed."""
    return _followed(await following.end(client_id, episode_id, episode_protocol_id, body, if_match), response)


@router.post(
    ONE_FOLLOWED + "/change",
    status_code=status.HTTP_201_CREATED,
    operation_id="moveEpisodeProtocol",
    responses={code: answer for code, answer in CHANGED.items() if code != status.HTTP_200_OK}
    | {201: {"headers": {**LOCATION, **CHANGED[200]["headers"]}}},
)
async def move(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    episode_protocol_id: uuid.UUID,
    body: schemas.Move,
    following: CareForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.EpisodeProtocolRead:
    """Follow another version from tomorrow on; what has opened by today stays as it is. `If-Match` is needed."""
    made = await following.move(client_id, episode_id, episode_protocol_id, body, if_match)
    path = FOLLOWED.format(client_id=client_id, episode_id=episode_id)
    response.headers["Location"] = f"{path}/{made.id}"
    return _followed(made, response)


@router.get(EPISODE + "/schedule", operation_id="readSchedule", responses=problems(RequestInvalid) | READ)
async def schedule(
    client_id: uuid.UUID,
    episode_id: uuid.UUID,
    following: CareForReaders,
    date: Annotated[
        schemas.NearDay | None,
        Query(description="As it stood on this day, by what was answered until then; today (UTC) unless given"),
    ] = None,
) -> schemas.Schedule:
    """All that was, is and will be asked in an episode, with the responses that fill it, and those that do not."""
    return await following.schedule(client_id, episode_id, date or today())


@router.get(
    DUE,
    operation_id="listDue",
    response_class=Response,
    responses={**problems(RequestInvalid), 200: {"model": schemas.DuePage, "headers": LISTED[200]["headers"]}},
)
async def due(
    principal: CareReader, audit: AuditDep, database: DatabaseDep, query: Annotated[schemas.DueQuery, Query()]
) -> Response:
    """What nobody has answered: the longest overdue first, then what is overdue soonest, then the last closed."""
    day, items, more = await due_page(database, principal, audit.request_id, query)
    headers: dict[str, str] = {}
    if more is not None:
        headers = next_link(DUE, query.model_dump(mode="json", exclude_unset=True, exclude={"cursor"}), more)
    text = orjson.dumps({"date": day, "items": items, "next": more})
    return Response(text, media_type="application/json", headers=headers)
