"""Instruments over HTTP. Everything is read from memory; nothing is kept."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response, status

from api.catalogue import schemas, service
from api.clients.codes import Organ
from api.conditional import IfNoneMatch, etag, holds
from api.openapi import declare
from api.problems import AnswersInvalid, NotFound, RequestInvalid, problems
from api.security.principal import require
from instruments import Instrument, UnknownInstrument

router = APIRouter(tags=["instruments"], dependencies=[Depends(require("instruments:read"))])

Code = Annotated[str, Path(max_length=40, description="Code of the instrument, such as `fsfi`")]
Filter = Annotated[str | None, Query(max_length=100)]

_MADE_OF: Final[dict[str, Any]] = {
    "checksum": {"type": "string", "description": "SHA-256 of the definition's content; also the ETag"},
    "needs_review": {"type": "array", "items": {"type": "string"}, "description": "Rules that rest on memory"},
}
_DEFINITION: Final = declare(Instrument, "serialization", prefix="Definition", **_MADE_OF)


@router.get(service.PATH, operation_id="listInstruments", responses=problems(RequestInvalid))
async def listed(
    concern: Filter = None,
    anatomy: Annotated[
        Organ | None, Query(description="An organ of /v1/codes: what applies to those who have it")
    ] = None,
    licence: Filter = None,
    q: Annotated[
        str | None, Query(max_length=100, description="Words that all occur in name, code or description")
    ] = None,
) -> schemas.InstrumentList:
    """The newest version of each instrument; conditions narrow the list."""
    return schemas.InstrumentList(items=service.select(concern=concern, anatomy=anatomy, licence=licence, q=q))


@router.get(service.PATH + "/{code}", operation_id="readInstrument", responses=problems(NotFound, RequestInvalid))
async def read(code: Code) -> schemas.InstrumentRead:
    """One instrument: its newest version in short, and where every version's definition is."""
    return service.detail(service.of_path(code))


@router.get(
    service.PATH + "/{code}/versions/{version}",
    operation_id="readDefinition",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {
        200: {
            "description": "The definition; decimals are written exactly",
            "content": {"application/json": {"schema": _DEFINITION}},
            "headers": {"ETag": {"description": "The checksum", "schema": {"type": "string"}}},
        },
        304: {"description": "Unchanged"},
    },
)
async def read_definition(
    code: Code, version: Annotated[int, Path(ge=1, le=2**31 - 1)], if_none_match: IfNoneMatch = None
) -> Response:
    """The whole definition of a version: items, scales, rules and figures, each with its source and evidence."""
    try:
        checksum, text = service.definition(code, version)
    except UnknownInstrument:
        raise NotFound("There is no such instrument, or no such version of it.") from None
    headers = {"ETag": etag(checksum), "Cache-Control": "private, max-age=3600"}
    if holds(if_none_match, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


@router.post(
    service.PATH + "/{code}/score",
    operation_id="scoreAnswers",
    response_model=schemas.ScoringRead,
    responses=problems(NotFound, RequestInvalid, AnswersInvalid),
)
async def score(code: Code, body: schemas.ScoringRequest) -> dict[str, Any]:
    """Score answers and keep nothing."""
    instrument = service.of_path(code)
    if body.version is not None:
        instrument = service.of_body(code, body.version)
    result = service.score(instrument, body.answers, body.variant)
    return result.document() | {"provenance": service.provenance(instrument)}
