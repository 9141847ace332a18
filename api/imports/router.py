"""Imports over HTTP. The file passes through in parts: neither here nor in the middleware is it ever whole."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status
from starlette.responses import StreamingResponse

from api.db import DatabaseDep
from api.declared import LISTED, LOCATION
from api.imports import schemas
from api.imports.problems import ImportEnded, TooManyImports, UploadConflict
from api.imports.service import Imports, Wanted
from api.openapi import declare
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import BodyTooLarge, MediaTypeUnsupported, NotFound, RequestInvalid, RequestTimeout, problems
from api.records.audit import Audit, AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["imports"])

PATH: Final = "/v1/imports"
ONE: Final = PATH + "/{import_id}"
CONTENT: Final = ONE + "/content"
STREAMS: Final = (("POST", re.compile(PATH)), ("PATCH", re.compile(PATH + "/[^/]+/content")))
"""What the middleware leaves to this module."""
MEDIA_TYPES: Final = (
    "text/csv",
    "application/x-ndjson",
    "application/jsonl",
    "application/octet-stream",
    "application/partial-upload",
)

Reader = Annotated[Principal, Depends(require("imports:read"))]
Writer = Annotated[Principal, Depends(require("imports:write"))]

_FILE: Final[dict[str, Any]] = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES
}
_OFFSET: Final[dict[str, Any]] = {
    "Upload-Offset": {"description": "Bytes received: where the next part begins", "schema": {"type": "integer"}}
}
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "Upload-Complete",
        "in": "header",
        "required": False,
        "description": "`?0`: further parts follow; `?1`, and without it: the file ends with this body",
        "schema": {"type": "string", "enum": ["?0", "?1"], "default": "?1"},
    },
]
_TAKING: Final = (BodyTooLarge, ImportEnded, MediaTypeUnsupported, NotFound, RequestInvalid, RequestTimeout)


def _imports(request: Request, database: DatabaseDep, audit: Audit) -> Imports:
    state = request.app.state
    return Imports(database, state.keys, audit, state.settings.import_max_bytes)


async def _for_readers(request: Request, principal: Reader, database: DatabaseDep, audit: AuditDep) -> Imports:
    return _imports(request, database, audit)


async def _for_writers(request: Request, principal: Writer, database: DatabaseDep, audit: AuditDep) -> Imports:
    return _imports(request, database, audit)


ForReaders = Annotated[Imports, Depends(_for_readers)]
ForWriters = Annotated[Imports, Depends(_for_writers)]


@router.post(
    PATH,
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="createImport",
    openapi_extra={"requestBody": {"required": False, "content": _FILE}, "parameters": _PARAMETERS},
    responses=problems(*_TAKING, TooManyImports, UploadConflict) | {202: {"headers": LOCATION | _OFFSET}},
)
async def create(
    request: Request,
    imports: ForWriters,
    response: Response,
    format: Annotated[schemas.Format, Query(description="Of the file")],
    layout: Annotated[
        schemas.Layout, Query(description="Of CSV: `wide` has a row a response, `long` a row an answer")
    ] = "wide",
    instrument: Annotated[
        str | None, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Of all rows; else each row names its own")
    ] = None,
    on_error: Annotated[
        schemas.OnError, Query(description="Whether the good rows are written where others are bad")
    ] = "all-or-nothing",
    dry_run: Annotated[bool, Query(description="Check everything, store nothing but the report")] = False,
    alerts: Annotated[
        schemas.Alerts, Query(description="`keep`: alerts are on record and wait for nobody; `raise`: they are open")
    ] = "keep",
    create_clients: Annotated[
        bool, Query(description="Make a client of each external id that is not known, instead of refusing its rows")
    ] = False,
) -> schemas.ImportRead:
    """Import responses from a file of up to 10 million rows: check, score and store them in the background.

    The file may come in parts: send `Upload-Complete: ?0` with the first (which may be empty), and the others to
    `PATCH …/content`. The same file again adds nothing.
    """
    if layout == "long" and format != "csv":
        detail = "is for CSV; a line of NDJSON is a response"
        raise RequestInvalid(errors=[{"parameter": "layout", "in": "query", "code": "not-of-csv", "detail": detail}])
    complete = _complete(request)
    _check_media_type(request)
    compressed = _compressed(request)
    wanted = Wanted(format, layout, compressed, instrument, on_error, dry_run, alerts, create_clients)
    import_id = await imports.create(wanted)
    made = await imports.receive(import_id, 0, request.stream(), complete=complete)
    response.headers.update({"Location": f"{PATH}/{import_id}", "Upload-Offset": str(made.bytes_received)})
    return made


@router.patch(
    CONTENT,
    operation_id="appendImport",
    openapi_extra={"requestBody": {"required": True, "content": _FILE}, "parameters": _PARAMETERS},
    responses=problems(*_TAKING, UploadConflict) | {200: {"headers": _OFFSET}},
)
async def append(
    import_id: uuid.UUID,
    request: Request,
    imports: ForWriters,
    response: Response,
    upload_offset: Annotated[int, Header(ge=0, lt=1 << 62, description="Where the part begins, in bytes of the file")],
) -> schemas.ImportRead:
    """Send a further part of an import's file. Where an upload broke off, `bytes_received` tells where to go on."""
    complete = _complete(request)
    _check_media_type(request)
    made = await imports.receive(import_id, upload_offset, request.stream(), complete=complete)
    response.headers["Upload-Offset"] = str(made.bytes_received)
    return made


@router.get(PATH, operation_id="listImports", responses=LISTED)
async def listed(
    imports: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.ImportPage:
    """Imports, the newest first."""
    items, more = await imports.page(cursor, limit)
    if more is not None:
        response.headers.update(next_link(PATH, {"limit": limit}, more))
    return schemas.ImportPage(items=items, next=more)


@router.get(ONE, operation_id="readImport", responses=problems(NotFound, RequestInvalid) | {200: {"headers": _OFFSET}})
async def read(import_id: uuid.UUID, imports: ForReaders, response: Response) -> schemas.ImportRead:
    """One import and how far it is."""
    found = await imports.get(import_id)
    response.headers["Upload-Offset"] = str(found.bytes_received)
    return found


@router.get(
    ONE + "/errors",
    operation_id="readImportErrors",
    response_class=StreamingResponse,
    responses=problems(NotFound, RequestInvalid)
    | {
        200: {
            "description": "One line a fault; `Faults-Total` tells how many there are, kept or not",
            "headers": {"Faults-Total": {"description": "Faults in all", "schema": {"type": "integer"}}},
            "content": {
                "application/x-ndjson": {"schema": declare(schemas.ImportFaultRead, "serialization")},
                "text/csv": {"schema": {"type": "string"}},
            },
        }
    },
)
async def errors(
    import_id: uuid.UUID,
    imports: ForReaders,
    format: Annotated[schemas.Format, Query(description="Of the report")] = "ndjson",
) -> StreamingResponse:
    """What is wrong with which row. It names places and rules, and never says what was given."""
    total, report = await imports.report(import_id, format == "csv")
    media_type = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    disposition = f'attachment; filename="import-{import_id}-errors.{format}"'
    headers = {"Faults-Total": str(total), "Content-Disposition": disposition}
    return StreamingResponse(report, media_type=media_type, headers=headers)


@router.post(ONE + "/cancel", operation_id="cancelImport", responses=problems(ImportEnded, NotFound, RequestInvalid))
async def cancel(import_id: uuid.UUID, imports: ForWriters) -> schemas.ImportRead:
    """End an import that has not ended. What was written stays, unless it was to be all or nothing."""
    return await imports.cancel(import_id)


def _complete(request: Request) -> bool:
    given = request.headers.get("upload-complete", "?1").strip()
    if given not in ("?0", "?1"):
        fault = {"parameter": "Upload-Complete", "in": "header", "code": "not-a-boolean", "detail": "is ?0 or ?1"}
        raise RequestInvalid(errors=[fault])
    return given == "?1"


def _check_media_type(request: Request) -> None:
    """Of a body, where there is one."""
    headers = request.headers
    if headers.get("content-length", "0").strip() == "0" and "transfer-encoding" not in headers:
        return
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in MEDIA_TYPES:
        raise MediaTypeUnsupported(f"Send the file as {MEDIA_TYPES[0]} or {MEDIA_TYPES[1]}.")


def _compressed(request: Request) -> bool:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise MediaTypeUnsupported("Send the file as it is, or as gzip.", headers={"Accept-Encoding": "gzip, identity"})
    return coding == "gzip"
