"""Every response of a client, with what was corrected, by whom and why."""

from __future__ import annotations

import uuid
from typing import Final

import orjson
from fastapi import APIRouter, Response

from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.pages.access import VisitDep
from api.pages.names import called, meaning
from api.pages.render import page
from api.paging import Cursor
from api.responses.repository import Wanted
from api.responses.router import ResponsesDep
from instruments import UnknownInstrument

router = APIRouter(include_in_schema=False)

HISTORY: Final = "/app/clients/{client_id}/history"
ROWS: Final = 50


@router.get(HISTORY)
async def history(
    client_id: uuid.UUID,
    visit: VisitDep,
    library: LibraryDep,
    clients: ClientsDep,
    responses: ResponsesDep,
    cursor: Cursor = None,
) -> Response:
    """All versions, newest answers first; what no longer holds says why."""
    about = await clients.get(client_id)
    text, more = await responses.page(client_id, Wanted(history=True), cursor, ROWS)
    items = orjson.loads(text)["items"]
    for item in items:
        if item["superseded"] is not None:
            item["superseded"]["why"] = meaning("correction", item["superseded"]["reason_code"])
    own = visit.principal.organisation_id
    names = await library.names(own, {item["instrument"] for item in items})
    scales: dict[tuple[str, int], dict[str, str]] = {}
    for code, version in {(item["instrument"], item["version"]) for item in items}:
        try:
            instrument = await library.get(own, code, version)
        except UnknownInstrument:  # a newer release's: what was recorded is shown all the same
            scales[code, version] = {}
            continue
        scales[code, version] = {scale.id: scale.name for scale in instrument.scales}
    return page(
        "history.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        items=items,
        instruments=names,
        scales=scales,
        more=more,
        cursor=cursor,
    )
