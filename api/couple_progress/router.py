"""The progress of a couple over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.catalogue.library import LibraryDep
from api.couple_progress.schemas import CoupleProgressQuery, CoupleProgressRead
from api.couple_progress.service import CoupleProgress
from api.couples.problems import JointViewClosed
from api.couples.router import COUPLE, ForReaders
from api.problems import NotFound, RequestInvalid, problems
from api.references.active import organisation_references

router = APIRouter(tags=["couples"])

PATH: Final = COUPLE + "/progress"
SCOPE: Final = "progress:read"
"""Needed besides that of the joint view."""


async def _progress(request: Request, couples: ForReaders, library: LibraryDep) -> CoupleProgress:
    couples.steps.audit.principal.allow(SCOPE)
    return CoupleProgress(couples, library, organisation_references(request))


ForCoupleReaders = Annotated[CoupleProgress, Depends(_progress)]


@router.get(
    PATH,
    operation_id="readCoupleProgress",
    response_model=CoupleProgressRead,
    responses=problems(NotFound, JointViewClosed, RequestInvalid),
)
async def read(
    couple_id: uuid.UUID, progress: ForCoupleReaders, query: Annotated[CoupleProgressQuery, Query()]
) -> Response:
    """The progress of each member, and of every two how far apart they are. Open only while everybody consents."""
    found = await progress.read(couple_id, query)
    return Response(orjson.dumps(found.document(), option=orjson.OPT_UTC_Z), media_type="application/json")
