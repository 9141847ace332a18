"""Progress of a client over HTTP: as data, as a Vega-Lite specification, and as a picture."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.catalogue.library import Library, LibraryDep
from api.charts.render import Renderer
from api.charts.series import series_chart
from api.db import get_database
from api.problems import NotFound, RequestInvalid, problems, request_id
from api.progress import schemas, service
from api.progress.repository import Found, measurements
from api.security.principal import Principal, require

router = APIRouter(tags=["progress"])

PATH: Final = "/v1/clients/{client_id}/progress"
Reader = Annotated[Principal, Depends(require("progress:read"))]
ChartOf = Annotated[schemas.ChartQuery, Query()]

VEGA_LITE: Final = "application/vnd.vegalite.v6+json"
SVG: Final = "image/svg+xml"
_PROBLEMS: Final = problems(NotFound, RequestInvalid)


def _content(media_type: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": schema}}}}


async def _rows(
    request: Request, principal: Principal, client_id: uuid.UUID, query: schemas.ProgressQuery, scale: str | None
) -> Found:
    pool, instrument = get_database(request).pool, query.instrument
    try:
        return await measurements(
            pool, principal, request_id(request) or "", client_id, instrument, scale, query.episode, query.as_of
        )
    except NotFound:
        request.scope["state"]["refusal_kept"] = True  # in the one call that looked
        raise


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
    query: Annotated[schemas.ProgressQuery, Query()],
) -> Response:
    """Every series of a client: change, how sure it is, and the figures and sources that rests on."""
    shelf = await library.shelf(principal.organisation_id, [query.instrument or ""])
    choice = service.choose(shelf, query)
    found = await _rows(request, principal, client_id, query, query.scale)
    shelf = await library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
    said = {"client_id": client_id, "as_of": query.as_of, **service.document(shelf, choice, found, query.episode)}
    return Response(orjson.dumps(said, option=orjson.OPT_UTC_Z), media_type="application/json")


async def _chart(
    request: Request, principal: Principal, library: Library, client_id: uuid.UUID, query: ChartOf
) -> dict[str, Any]:
    shelf = await library.shelf(principal.organisation_id, [query.instrument])
    instrument, choice = service.choose_one(shelf, query)
    found = await _rows(request, principal, client_id, query, choice.scale)
    shelf = await library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
    (series,) = service.series(shelf, instrument, choice, found.rows.get(instrument.code, {}))
    return series_chart(series, width=query.width, as_of=query.as_of)


@router.get(
    PATH + ".vl.json",
    operation_id="readProgressSpecification",
    response_class=Response,
    responses=_PROBLEMS | _content(VEGA_LITE, {"type": "object"}),
)
async def specification(
    request: Request, principal: Reader, library: LibraryDep, client_id: uuid.UUID, query: ChartOf
) -> Response:
    """The picture of one series as a Vega-Lite specification, with its data. It holds no identifier."""
    spec = await _chart(request, principal, library, client_id, query)
    return Response(orjson.dumps(spec), media_type=VEGA_LITE)


@router.get(
    PATH + ".svg",
    operation_id="drawProgress",
    response_class=Response,
    responses=_PROBLEMS | _content(SVG, {"type": "string"}),
)
async def picture(
    request: Request, principal: Reader, library: LibraryDep, client_id: uuid.UUID, query: ChartOf
) -> Response:
    """The picture of one series, with a text alternative. It holds no identifier and fetches nothing."""
    spec = await _chart(request, principal, library, client_id, query)
    renderer: Renderer = request.app.state.renderer
    return Response(await renderer.svg(spec), media_type=SVG)
