"""Wording, forms and licences over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from api.catalogue.library import LibraryDep
from api.catalogue.service import PATH
from api.conditional import IfMatch, IfNoneMatch, holds
from api.db import SessionDep
from api.lane import Lane
from api.openapi import declare
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import (
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    RequestInvalid,
    problems,
)
from api.records.audit import AuditDep
from api.security.principal import Principal, require
from api.wordings import schemas, service
from api.wordings.problems import LicenceExpired, LicenceNotYetValid, WordingInvalid, WordingMissing
from api.wordings.repository import State, WordingRepository
from api.wordings.service import Named, Wordings
from api.wordings.submission import Wording, read_submission

router = APIRouter(tags=["wordings"])

OF_VERSION: Final = PATH + "/{code}/versions/{version}/wordings/{language}"
OF_NEWEST: Final = PATH + "/{code}/wordings/{language}"
FORM: Final = PATH + "/{code}/form"
LICENCES: Final = "/v1/licences"
YAML_PATH: Final = re.compile(rf"{PATH}/[^/]+(?:/versions/[^/]+)?/wordings/[^/]+")
"""Where a body may be YAML."""

Reader = Annotated[Principal, Depends(require("licences:read"))]
Writer = Annotated[Principal, Depends(require("wordings:write"))]
FormReader = Annotated[Principal, Depends(require("instruments:read"))]

Code = Annotated[str, Path(max_length=40, description="Code of the instrument, such as `fsfi`")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Version of the instrument")]
Language = Annotated[str, Path(max_length=35, description="Language tag (BCP 47), such as `pt-BR`, in any case")]
Variant = Annotated[
    str | None,
    Query(max_length=40, description="Way to score, where the definition prints several; the default one unless given"),
]

_ETAG: Final[dict[str, Any]] = {"ETag": {"description": "Version of the wording", "schema": {"type": "string"}}}
_LOCATION: Final[dict[str, Any]] = {"Location": {"description": "Where the wording is", "schema": {"type": "string"}}}
_LINK: Final[dict[str, Any]] = {
    "Link": {
        "description": 'The next page as `rel="next"` (RFC 8288), where there is one',
        "schema": {"type": "string"},
    }
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": declare(Wording, "validation", prefix="Written")}
            for media_type in ("application/json", "application/fhir+json", "application/yaml")
        },
    }
}


async def _of_version(code: Code, version: Version, language: Language, variant: Variant = None) -> Named:
    return Named(code, version, language, variant)


async def _of_newest(code: Code, language: Language, variant: Variant = None) -> Named:
    return Named(code, None, language, variant)


def _wordings(principal: Principal, session: SessionDep, library: LibraryDep, audit: AuditDep) -> Wordings:
    return Wordings(WordingRepository(session, principal.organisation_id), library, audit)


async def _for_writers(principal: Writer, session: SessionDep, library: LibraryDep, audit: AuditDep) -> Wordings:
    return _wordings(principal, session, library, audit)


async def _for_readers(principal: Reader, session: SessionDep, library: LibraryDep, audit: AuditDep) -> Wordings:
    return _wordings(principal, session, library, audit)


async def _for_forms(principal: FormReader, session: SessionDep, library: LibraryDep, audit: AuditDep) -> Wordings:
    return _wordings(principal, session, library, audit)


ForWriters = Annotated[Wordings, Depends(_for_writers)]
ForReaders = Annotated[Wordings, Depends(_for_readers)]
ForForms = Annotated[Wordings, Depends(_for_forms)]
OfVersion = Annotated[Named, Depends(_of_version)]
OfNewest = Annotated[Named, Depends(_of_newest)]

_PUT: Final[dict[str, Any]] = {
    "response_class": Response,
    "openapi_extra": _BODY,
    "responses": problems(NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid, WordingInvalid)
    | {
        200: {
            "description": "A further version",
            "model": schemas.WordingRead,
            "headers": _ETAG | _LOCATION,
        },
        201: {
            "description": "The first version, or the first since a withdrawal",
            "model": schemas.WordingRead,
            "headers": _ETAG | _LOCATION,
        },
    },
}
_READ: Final[dict[str, Any]] = {
    "responses": problems(NotFound, RequestInvalid) | {200: {"headers": _ETAG}, 304: {"description": "Unchanged"}},
    "response_model": schemas.WordingRead,
}
_WITHDRAW: Final[dict[str, Any]] = {
    "responses": problems(NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid),
    "status_code": status.HTTP_204_NO_CONTENT,
}


@router.put(OF_VERSION, operation_id="putWording", **_PUT)
async def put(request: Request, wordings: ForWriters, named: OfVersion, if_match: IfMatch = None) -> Response:
    """Load the wording of a version of an instrument, with the attestation that it may be used."""
    return await _put(request, wordings, named, if_match)


@router.put(OF_NEWEST, operation_id="putNewestWording", **_PUT)
async def put_newest(request: Request, wordings: ForWriters, named: OfNewest, if_match: IfMatch = None) -> Response:
    """The same for the newest version of the instrument."""
    return await _put(request, wordings, named, if_match)


async def _put(request: Request, wordings: Wordings, named: Named, if_match: str | None) -> Response:
    given = request.scope["state"].get("json")
    instrument, key = await wordings.find(named)
    # in a thread: looking through a megabyte of text would keep all others waiting
    reading: Lane = request.app.state.reading
    organisation_id = wordings.repository.organisation_id
    submission = await reading.run(organisation_id, read_submission, instrument, key.variant, key.language, given)
    row = await wordings.put(key, submission, if_match)
    made = status.HTTP_201_CREATED if if_match is None else status.HTTP_200_OK
    headers = {"ETag": service.tag_of(row), "Location": service.url_of(row)}
    return Response(service.wording(row), made, headers, media_type="application/json")


@router.get(OF_VERSION, operation_id="readWording", **_READ)
async def read(wordings: ForReaders, named: OfVersion, if_none_match: IfNoneMatch = None) -> Response:
    """The newest version of a wording, with its texts as they came."""
    return await _read(wordings, named, if_none_match)


@router.get(OF_NEWEST, operation_id="readNewestWording", **_READ)
async def read_newest(wordings: ForReaders, named: OfNewest, if_none_match: IfNoneMatch = None) -> Response:
    """The same of the newest version of the instrument."""
    return await _read(wordings, named, if_none_match)


async def _read(wordings: Wordings, named: Named, if_none_match: str | None) -> Response:
    row = await wordings.get(named)
    headers = {"ETag": service.tag_of(row)}
    if holds(if_none_match, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(service.wording(row), media_type="application/json", headers=headers)


@router.delete(OF_VERSION, operation_id="withdrawWording", **_WITHDRAW)
async def withdraw(wordings: ForWriters, named: OfVersion, if_match: IfMatch = None) -> None:
    """Stop using a wording: no more forms are made of it. Its history stays, and so does all that was answered."""
    await wordings.withdraw(named, if_match)


@router.delete(OF_NEWEST, operation_id="withdrawNewestWording", **_WITHDRAW)
async def withdraw_newest(wordings: ForWriters, named: OfNewest, if_match: IfMatch = None) -> None:
    """The same of the newest version of the instrument."""
    await wordings.withdraw(named, if_match)


@router.get(
    OF_VERSION + "/versions",
    operation_id="listWordingVersions",
    responses=problems(NotFound, RequestInvalid) | {200: {"headers": _LINK}},
)
async def history(
    wordings: ForReaders,
    named: OfVersion,
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.WordingHistory:
    """Every version of a wording and every withdrawal, newest first, without the texts."""
    page = await wordings.history(named, cursor, limit)
    if page.next is not None:
        path = OF_VERSION.format(**named._asdict()) + "/versions"
        response.headers.update(next_link(path, {"variant": named.variant, "limit": limit}, page.next))
    return page


@router.get(
    OF_VERSION + "/versions/{pack_version}",
    operation_id="readWordingVersion",
    response_class=Response,
    responses=problems(NotFound, RequestInvalid) | {200: {"model": schemas.WordingRead}},
)
async def read_version(
    wordings: ForReaders, named: OfVersion, pack_version: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> Response:
    """One version of a wording, also where it was replaced or withdrawn since."""
    return Response(service.wording(await wordings.version(named, pack_version)), media_type="application/json")


@router.get(
    FORM,
    operation_id="readForm",
    responses=problems(NotFound, RequestInvalid, WordingMissing, LicenceExpired, LicenceNotYetValid)
    | {
        200: {"headers": {"Content-Language": {"description": "Of the texts", "schema": {"type": "string"}}}},
    },
)
async def form(
    request: Request,
    wordings: ForForms,
    code: Code,
    response: Response,
    language: Annotated[
        str | None,
        Query(max_length=100, description="Tag (BCP 47); `fr-CA` falls back to `fr`. Unless given, the original one"),
    ] = None,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of the instrument; the newest")] = None,
    form: Annotated[str | None, Query(max_length=40, description="Which form by anatomy, where there are any")] = None,
    variant: Variant = None,
) -> schemas.FormRead:
    """A form to show, where the organisation has loaded its wording and the licence holds today."""
    outcome = "failed"
    try:
        made = await wordings.form(code, version, language=language, form=form, variant=variant)
        outcome = "shown"
    except Problem as problem:
        outcome = problem.slug
        raise
    finally:
        request.app.state.metrics.forms.labels(outcome).inc()
    response.headers["Content-Language"] = made.language
    return made


@router.get(LICENCES, operation_id="listLicences", responses=problems(RequestInvalid) | {200: {"headers": _LINK}})
async def licences(
    wordings: ForReaders,
    response: Response,
    expiring_within: Annotated[
        int | None,
        Query(
            ge=0, le=36_500, description="Days: alone, only what runs out by then; with `state`, what counts as soon"
        ),
    ] = None,
    state: Annotated[State | None, Query(description="Only those that are in this state today")] = None,
    instrument: Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.LicencePage:
    """What the organisation holds, and what is running out, soonest first."""
    page = await wordings.licences(
        within=expiring_within, state=state, instrument=instrument, cursor=cursor, limit=limit
    )
    if page.next is not None:
        query = {"expiring_within": expiring_within, "state": state, "instrument": instrument, "limit": limit}
        response.headers.update(next_link(LICENCES, query, page.next))
    return page
