"""Instruments over HTTP. Everything is read from memory; nothing is kept."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Response, status

import instruments
from api.authoring.listing import draft_entries
from api.catalogue import finding, schemas, service
from api.catalogue.library import LibraryDep
from api.conditional import IfNoneMatch, etag, holds
from api.db import DatabaseDep
from api.openapi import declare
from api.problems import AnswersInvalid, NotFound, RequestInvalid, problems
from api.security.principal import Principal, require
from instruments import Instrument
from instruments.writer import to_yaml
from scoring.situation import Situation, outside

router = APIRouter(tags=["instruments"])

Reader = Annotated[Principal, Depends(require("instruments:read"))]
Code = Annotated[str, Path(max_length=40, description="Code of the instrument, such as `fsfi`")]
CONCERNS: Final = "/v1/concerns"
DRAFTS: Final = "instruments:write"
"""Scope of those who see drafts."""
YAML: Final = "application/yaml"
FHIR: Final = "application/fhir+json"

_MADE_OF: Final[dict[str, Any]] = {
    "checksum": {"type": "string", "description": "SHA-256 of the definition's content; also the ETag"},
    "needs_review": {"type": "array", "items": {"type": "string"}, "description": "Rules that rest on memory"},
}
_DEFINITION: Final = declare(Instrument, "serialization", prefix="Definition", **_MADE_OF)


@router.get(service.PATH, operation_id="listInstruments", responses=problems(RequestInvalid))
async def listed(
    principal: Reader,
    library: LibraryDep,
    database: DatabaseDep,
    query: Annotated[schemas.InstrumentQuery, Query()],
) -> schemas.InstrumentList:
    """The newest version of each instrument, and what is listed although it cannot be scored.

    The organisation's own are among them, and for those who write them also drafts.
    """
    entries = list(await asyncio.to_thread(finding.shipped))
    for own, version in await library.own_newest(principal.organisation_id, finding.entry):
        entries.append(finding.retired(own) if version.retired else own)
    if DRAFTS in principal.scopes:
        entries += await draft_entries(database, principal.organisation_id)
    return schemas.InstrumentList(items=finding.select(entries, query))


@router.get(CONCERNS, operation_id="listConcerns", responses=problems(RequestInvalid))
async def concerns(principal: Reader) -> schemas.ConcernList:
    """What clients come with: the recommended measures, why, and what to use for whom they were not validated in."""
    return await asyncio.to_thread(finding.vocabulary)


@router.get(service.PATH + "/{code}", operation_id="readInstrument", responses=problems(NotFound, RequestInvalid))
async def read(principal: Reader, library: LibraryDep, code: Code) -> schemas.InstrumentRead:
    """One instrument: its newest version in short, and where every version's definition is; or why there is none."""
    described = instruments.catalogue().listed.get(code) or await library.of_path(principal.organisation_id, code)
    versions = await library.published(principal.organisation_id, code)
    retired = isinstance(described, Instrument) and all(one.retired for one in versions)
    return service.detail(finding.summary(described, "retired" if retired else None), described, versions)


@router.get(
    service.PATH + "/{code}/versions/{version}",
    operation_id="readDefinition",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {
        200: {
            "description": "The definition; decimals are written exactly",
            "content": {"application/json": {"schema": _DEFINITION}, YAML: {"schema": {"type": "string"}}},
            "headers": {"ETag": {"description": "The checksum", "schema": {"type": "string"}}},
        },
        304: {"description": "Unchanged"},
    },
)
async def read_definition(
    principal: Reader,
    library: LibraryDep,
    code: Code,
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    accept: Annotated[str | None, Header(max_length=1000, description="`application/yaml` for a file")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The whole definition of a version: items, scales, rules and figures, each with its source and evidence.

    As YAML it is the file that it can be made of again, with the same checksum.
    """
    instrument = await library.of_path(principal.organisation_id, code, version)
    as_yaml = service.prefers_yaml(accept)
    headers = {
        "ETag": etag(f"{instrument.checksum}.yaml" if as_yaml else instrument.checksum),
        "Cache-Control": "private, max-age=3600",
        "Vary": "Accept",
    }
    if holds(if_none_match, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if as_yaml:
        return Response(await asyncio.to_thread(to_yaml, instrument), media_type=YAML, headers=headers)
    text = await asyncio.to_thread(service.definition, instrument)
    return Response(text, media_type="application/json", headers=headers)


@router.get(
    service.PATH + "/{code}/versions/{version}/questionnaire",
    operation_id="readQuestionnaire",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid)
    | {
        200: {
            "description": "A FHIR R4 Questionnaire (Structured Data Capture) that a renderer scores by itself",
            "content": {FHIR: {"schema": {"type": "object", "description": "Questionnaire"}}},
            "headers": {"ETag": {"description": "SHA-256 of the content", "schema": {"type": "string"}}},
        },
        304: {"description": "Unchanged"},
    },
)
async def read_questionnaire(
    principal: Reader,
    library: LibraryDep,
    code: Code,
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    variant: Annotated[str | None, Query(max_length=40, description="The definition's default unless given")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The instrument as a form: weights on the options, scores and caseness rules as calculated FHIRPath.

    Its texts are our own topics, never the published wording. What FHIR has no place for is in the definition.
    """
    instrument = await library.of_path(principal.organisation_id, code, version)
    text = await asyncio.to_thread(service.questionnaire, instrument, variant)
    headers = {"ETag": etag(hashlib.sha256(text).hexdigest()), "Cache-Control": "private, max-age=3600"}
    if holds(if_none_match, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(text, media_type=FHIR, headers=headers)


@router.post(
    service.PATH + "/{code}/score",
    operation_id="scoreAnswers",
    response_model=schemas.ScoringRead,
    responses=problems(NotFound, RequestInvalid, AnswersInvalid),
)
async def score(principal: Reader, library: LibraryDep, code: Code, body: schemas.ScoringRequest) -> dict[str, Any]:
    """Score answers and keep nothing."""
    instrument = await library.of_path(principal.organisation_id, code)
    if body.version is not None:
        instrument = await library.of_body(principal.organisation_id, code, body.version)
    document = service.score(instrument, body.answers, body.variant).document()
    if body.situation is not None:
        flags = outside(instrument, Situation(**body.situation.model_dump()))
        document["flags"] += [flag.document() for flag in flags]
    return document | {"provenance": service.provenance(instrument)}
