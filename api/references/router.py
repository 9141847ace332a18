"""References over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response, status

from api.catalogue.library import LibraryDep
from api.db import SessionDep
from api.declared import FOUND, LISTED, LOCATION
from api.inline import inline
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, RequestInvalid, problems
from api.records.audit import AuditDep
from api.references import schemas
from api.references.active import OrganisationReferences, organisation_references
from api.references.problems import ReferenceState, TooManyReferences
from api.references.repository import ReferenceRepository
from api.references.service import ReferenceService
from api.security.principal import Principal, require

router = APIRouter(tags=["references"])

PATH: Final = "/v1/references"
ONE: Final = PATH + "/{reference_id}"

Reader = Annotated[Principal, Depends(require("references:read"))]
Writer = Annotated[Principal, Depends(require("references:write"))]
InUse = Annotated[OrganisationReferences, Depends(inline(organisation_references))]


async def _for_readers(
    principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep, in_use: InUse
) -> ReferenceService:
    return ReferenceService(ReferenceRepository(session, principal.organisation_id), audit, library, in_use)


async def _for_writers(
    principal: Writer, session: SessionDep, audit: AuditDep, library: LibraryDep, in_use: InUse
) -> ReferenceService:
    return ReferenceService(ReferenceRepository(session, principal.organisation_id), audit, library, in_use)


ForReaders = Annotated[ReferenceService, Depends(_for_readers)]
ForWriters = Annotated[ReferenceService, Depends(_for_writers)]
_QUEUED: Final[dict[int | str, dict[str, Any]]] = {202: {"headers": LOCATION}}
_CHANGED: Final = problems(NotFound, RequestInvalid, ReferenceState)


@router.post(
    PATH,
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="createReference",
    responses=problems(RequestInvalid, TooManyReferences) | _QUEUED,
)
async def create(body: schemas.ReferenceCreate, references: ForWriters, response: Response) -> schemas.ReferenceRead:
    """A further version of the reference for a scale and stratum: fitted, by a worker, or taken in.

    Earlier versions stay as they are. Clients are held against it once it is activated.
    """
    made = await references.create(body)
    response.headers["Location"] = ONE.format(reference_id=made.id)
    return made


@router.get(PATH, operation_id="listReferences", responses=LISTED)
async def listed(
    references: ForReaders,
    response: Response,
    instrument: Annotated[
        str | None, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Only of this instrument")
    ] = None,
    active: Annotated[bool | None, Query(description="Only those in use, or only those that are not")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ReferencePage:
    """References, newest first, with their parameters and how the fits went."""
    items, more = await references.page(instrument, active, cursor, limit)
    if more is not None:
        asked = {"instrument": instrument, "active": active, "limit": limit}
        response.headers.update(next_link(PATH, asked, more))
    return schemas.ReferencePage(items=items, next=more)


@router.get(ONE, operation_id="readReference", responses=FOUND)
async def read(reference_id: uuid.UUID, references: ForReaders) -> schemas.ReferenceDetail:
    """One reference, and when it was in use."""
    return await references.get(reference_id)


@router.post(ONE + "/activate", operation_id="activateReference", responses=_CHANGED)
async def activate(reference_id: uuid.UUID, references: ForWriters) -> schemas.ReferenceDetail:
    """Hold clients against this one from now on, in place of the version that was in use."""
    return await references.activate(reference_id)


@router.post(ONE + "/withdraw", operation_id="withdrawReference", responses=_CHANGED)
async def withdraw(reference_id: uuid.UUID, references: ForWriters) -> schemas.ReferenceDetail:
    """Hold nobody against this one any more. It stays in the list. Final."""
    return await references.withdraw(reference_id)
