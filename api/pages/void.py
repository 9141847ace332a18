"""That a response was entered in error: said once, with a reason, and final. Its versions stay in the history."""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response
from pydantic import ValidationError

from api.catalogue.library import Library, LibraryDep
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.conditional import etag
from api.corrections.router import CorrectionsDep
from api.corrections.schemas import ResponseVoidRequest
from api.corrections.service import Request
from api.pages.access import FormDep, FormRoute, Visit
from api.pages.amend import TAG
from api.pages.entry import KEY, EnteringDep
from api.pages.names import called
from api.pages.render import page, redirect
from api.pages.told import faults_of
from api.problems import PreconditionFailed
from api.responses.router import ResponsesDep

router = APIRouter(route_class=FormRoute, include_in_schema=False)

VOID: Final = "/app/responses/{response_id}/void"


@router.get(VOID)
async def ask(
    response_id: uuid.UUID, visit: EnteringDep, library: LibraryDep, clients: ClientsDep, responses: ResponsesDep
) -> Response:
    """Which response it is, and the form. Of one that is void already the history tells."""
    text, tag = await responses.document(response_id)
    return await _shown(visit, library, clients, orjson.loads(text), tag, uuid.uuid4().hex, {})


@router.post(VOID)
async def void(
    response_id: uuid.UUID,
    visit: EnteringDep,
    form: FormDep,
    library: LibraryDep,
    clients: ClientsDep,
    corrections: CorrectionsDep,
) -> Response:
    """Find it void, by what `POST /v1/responses/{id}/void` does."""
    key = form.get("key", "")
    key = key if KEY.fullmatch(key) else uuid.uuid4().hex
    given = {"reason": form.get("reason", "").replace("\r\n", "\n"), "reason_code": form.get("reason_code", "")}
    tag = form.get("tag", "")
    try:
        body = ResponseVoidRequest.model_validate(given)
        meant = etag(tag if TAG.fullmatch(tag) else "none")
        done = await corrections.void(body, Request("void", response_id, given, f"page-{key}", meant))
        return redirect(f"/app/clients/{orjson.loads(done.text)['client_id']}/history")
    except ValidationError as error:
        faults, status = faults_of(error), 422
    except PreconditionFailed:
        faults, status = {}, 409
    text, current = await corrections.responses.document(response_id)
    shown = tag if status == 422 else current
    return await _shown(visit, library, clients, orjson.loads(text), shown, key, form, faults, status)


async def _shown(
    visit: Visit,
    library: Library,
    clients: Clients,
    told: dict[str, Any],
    tag: str,
    key: str,
    values: dict[str, str],
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    about = await clients.get(uuid.UUID(told["client_id"]))
    if told["status"] == "entered-in-error":
        return redirect(f"/app/clients/{about.id}/history")
    names = await library.names(visit.principal.organisation_id, {told["instrument"]})
    return page(
        "void.html",
        status=status,
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        response=told,
        instrument=names[told["instrument"]],
        reasons=[(one.code, one.meaning) for one in CODES.correction],
        tag=tag,
        key=key,
        values=values,
        faults=faults or {},
        too_late=status == 409,
    )
