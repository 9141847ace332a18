"""A client's whole record, and an organisation's archive, over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from api.catalogue.library import LibraryDep
from api.exports import pdf, record, schemas
from api.exports.service import Exports, Records, RecordTooLarge
from api.problems import NotFound, RequestInvalid, ServiceUnavailable, problems
from api.records.audit import AuditDep
from api.security.principal import Principal, require

router = APIRouter(tags=["exports"])

RECORD: Final = "/v1/clients/{client_id}/record"
EXPORTS: Final = "/v1/exports"
PDF: Final = "application/pdf"
ARCHIVE: Final = "application/octet-stream"
_NEVER_KEPT: Final = {"Cache-Control": "no-store"}
_PROBLEMS: Final = problems(NotFound, RecordTooLarge, RequestInvalid, ServiceUnavailable)

Reader = Annotated[Principal, Depends(require("records:read"))]
Exporter = Annotated[Principal, Depends(require("exports:read"))]


async def _records(request: Request, _: Reader, audit: AuditDep) -> Records:
    return Records(audit, request.app.state.keys, request.app.state.records)


async def _exports(request: Request, _: Exporter, audit: AuditDep) -> Exports:
    return Exports(audit, request.app.state.keys, request.app.state.exports)


def _content(media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "format": "binary"}
    return {200: {"content": {media_type: {"schema": schema}}, "description": "The file"}}


@router.get(RECORD, operation_id="readRecord", response_model=schemas.RecordRead, responses=_PROBLEMS)
async def read(client_id: uuid.UUID, records: Annotated[Records, Depends(_records)]) -> Response:
    """Everything that is kept of a client, for that client: the right of access. Nothing of a partner is in it."""
    found = await records.record(client_id)
    return Response(record.text(found), media_type="application/json", headers=_NEVER_KEPT)


@router.get(RECORD + ".pdf", operation_id="printRecord", response_class=Response, responses=_PROBLEMS | _content(PDF))
async def printed(
    client_id: uuid.UUID, records: Annotated[Records, Depends(_records)], library: LibraryDep
) -> Response:
    """The same to be read on paper, in plain words. Questions are named by topics, never by published wording."""
    found = await records.record(client_id)
    organisation_id = records.audit.principal.organisation_id
    shelf = await library.shelf(organisation_id, pdf.instruments_of(found))
    made = await records.lane.run(organisation_id, pdf.written, found, shelf)
    return Response(
        made, media_type=PDF, headers=_NEVER_KEPT | {"Content-Disposition": 'attachment; filename="record.pdf"'}
    )


@router.post(
    EXPORTS,
    operation_id="exportOrganisation",
    response_class=Response,
    responses=problems(RequestInvalid, ServiceUnavailable) | _content(ARCHIVE),
)
async def export(body: schemas.ExportCreate, exports: Annotated[Exports, Depends(_exports)]) -> Response:
    """Everything of the organisation as one encrypted file, written while it is sent; see docs/exports.md.

    An archive that was broken off is refused by whoever takes it in.
    """
    parts = await exports.archive(body.passphrase)
    headers = _NEVER_KEPT | {"Content-Disposition": 'attachment; filename="organisation.fathomline"'}
    return StreamingResponse(parts, media_type=ARCHIVE, headers=headers)
