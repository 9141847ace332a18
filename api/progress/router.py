"""Progress of a client over HTTP. Its pictures are those of :mod:`api.charts`."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.catalogue.library import LibraryDep
from api.problems import NotFound, RequestInvalid, problems
from api.progress import reading, schemas, service
from api.references.active import NONE, organisation_references
from api.security.principal import Principal, require
from scoring.progress import PARTS

router = APIRouter(tags=["progress"])

PATH: Final = "/v1/clients/{client_id}/progress"
Reader = Annotated[Principal, Depends(require("progress:read"))]

_PROBLEMS: Final = problems(NotFound, RequestInvalid)


@router.get(
    PATH,
    operation_id="readProgress",
    response_model=schemas.ProgressRead,
    responses=_PROBLEMS,
)
async def read(
    request: Request,
    principal: Reader,
    library: LibraryDep,
    client_id: uuid.UUID,
    query: Annotated[schemas.ReadQuery, Query()],
) -> Response:
    """Every series of a client: change, how sure it is, and the figures and sources that rests on."""
    shelf = await library.shelf(principal.organisation_id, [query.instrument or ""])
    choice = service.choose(shelf, query)
    found = await reading.found(request, principal, client_id, query, query.scale)
    shelf = await library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
    parts = query.include or PARTS
    references = NONE
    if "expected" in parts:
        references = await organisation_references(request).of(principal.organisation_id)
    said = {
        "client_id": client_id,
        "as_of": query.as_of,
        **service.document(shelf, choice, found, parts, references),
    }
    return Response(orjson.dumps(said, option=orjson.OPT_UTC_Z), media_type="application/json")
