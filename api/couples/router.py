"""Couples over HTTP: the joint view under a path of its own, and each member's part under that client's."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response, status

from api.conditional import IfMatch, etag
from api.couples import schemas
from api.couples.problems import JointViewClosed
from api.couples.repository import CoupleRepository
from api.couples.service import Couples
from api.db import SessionDep
from api.declared import ADDED, CHANGED, LISTED, LOCATION, READ
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, RequestInvalid, problems
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["couples"])

COUPLES: Final = "/v1/couples"
COUPLE: Final = COUPLES + "/{couple_id}"
MEMBERSHIPS: Final = "/v1/clients/{client_id}/couples"
MEMBERSHIP: Final = MEMBERSHIPS + "/{membership_id}"
CONSENTS: Final = MEMBERSHIP + "/consents"
Reader = Annotated[Principal, Depends(require("care:read"))]
Writer = Annotated[Principal, Depends(require("care:write"))]


async def _for_readers(principal: Reader, session: SessionDep, audit: AuditDep) -> Couples:
    return Couples(CoupleRepository(session, principal.organisation_id), Steps(audit, session))


async def _for_writers(principal: Writer, session: SessionDep, audit: AuditDep) -> Couples:
    return Couples(CoupleRepository(session, principal.organisation_id), Steps(audit, session))


ForReaders = Annotated[Couples, Depends(_for_readers)]
ForWriters = Annotated[Couples, Depends(_for_writers)]


def _tagged(read: schemas.MembershipRead, response: Response) -> schemas.MembershipRead:
    response.headers["ETag"] = etag(read.version)
    return read


@router.post(
    COUPLES,
    status_code=status.HTTP_201_CREATED,
    operation_id="createCouple",
    responses=problems(RequestInvalid) | {201: {"headers": LOCATION}},
)
async def make(body: schemas.CoupleCreate, couples: ForWriters, response: Response) -> schemas.CoupleMade:
    """Make a couple of two or more clients. The joint view stays closed until each of them has consented."""
    made = await couples.make(body)
    response.headers["Location"] = f"{COUPLES}/{made.id}"
    return made


@router.get(COUPLES, operation_id="listCouples", responses=problems(RequestInvalid) | {200: LISTED[200]})
async def listed(
    couples: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.CouplePage:
    """Couples whose joint view is open, and whose members all have an open episode of the caller as clinician.

    The caller is the clinician whose id is the token's subject: there is no asking for another's.
    """
    items, more = await couples.listed(cursor, limit)
    if more is not None:
        response.headers.update(next_link(COUPLES, {"limit": limit}, more))
    return schemas.CouplePage(items=items, next=more)


@router.get(COUPLE, operation_id="readCouple", responses=problems(NotFound, JointViewClosed, RequestInvalid))
async def joint_view(couple_id: uuid.UUID, couples: ForReaders) -> schemas.JointView:
    """The joint view: who is in the couple. Open only while everybody in it consents."""
    return await couples.joint_view(couple_id)


@router.get(MEMBERSHIPS, operation_id="listMemberships", responses=LISTED)
async def memberships(
    client_id: uuid.UUID, couples: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.MembershipPage:
    """The couples that a client is or was in, with that client's own days and consents and nobody else's."""
    items, more = await couples.memberships(client_id, cursor, limit)
    if more is not None:
        response.headers.update(next_link(MEMBERSHIPS.format(client_id=client_id), {"limit": limit}, more))
    return schemas.MembershipPage(items=items, next=more)


@router.get(MEMBERSHIP, operation_id="readMembership", responses=READ)
async def membership(
    client_id: uuid.UUID, membership_id: uuid.UUID, couples: ForReaders, response: Response
) -> schemas.MembershipRead:
    """A client's own part in a couple."""
    return _tagged(await couples.membership(client_id, membership_id), response)


@router.patch(MEMBERSHIP, operation_id="changeMembership", responses=CHANGED)
async def change(
    client_id: uuid.UUID,
    membership_id: uuid.UUID,
    body: schemas.MembershipPatch,
    couples: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.MembershipRead:
    """Change a client's days in a couple, such as to leave it, which takes the consent back. Needs `If-Match`."""
    return _tagged(await couples.change(client_id, membership_id, body, if_match), response)


@router.post(CONSENTS, status_code=status.HTTP_201_CREATED, operation_id="recordConsent", responses=ADDED)
async def consent(
    client_id: uuid.UUID, membership_id: uuid.UUID, body: schemas.ConsentCreate, couples: ForWriters, response: Response
) -> schemas.ConsentRead:
    """Record that a client consents to the joint view, or withdraws: that closes it at once, also for the past."""
    made = await couples.consent(client_id, membership_id, body)
    response.headers["ETag"] = etag(made.version)
    return made


@router.get(CONSENTS, operation_id="listConsents", responses=LISTED)
async def consents(
    client_id: uuid.UUID,
    membership_id: uuid.UUID,
    couples: ForReaders,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.ConsentPage:
    """All that a client said about the joint view of a couple, oldest first."""
    items, more = await couples.consents(client_id, membership_id, cursor, limit)
    if more is not None:
        path = CONSENTS.format(client_id=client_id, membership_id=membership_id)
        response.headers.update(next_link(path, {"limit": limit}, more))
    return schemas.ConsentPage(items=items, next=more)
