"""Pictures over HTTP: each as a Vega-Lite specification, SVG, PNG and PDF, at the path of its data."""

# Annotations are read as they stand: those below are made of what `pictures` is given.
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.caseload.router import CASELOAD
from api.caseload.router import Reader as CaseloadReader
from api.caseload.service import Caseloads
from api.catalogue.library import LibraryDep
from api.charts import service
from api.charts.render import Renderer
from api.charts.schemas import (
    CaseloadChartQuery,
    CoupleChartQuery,
    LookQuery,
    ScalesQuery,
    SeriesQuery,
    fineness,
)  # fmt: skip
from api.charts.style import Spec
from api.couple_progress.router import PATH as COUPLE
from api.couple_progress.router import ForCoupleReaders
from api.couples.problems import JointViewClosed
from api.db import DatabaseDep
from api.goals.router import PROGRESS as GOALS
from api.goals.router import ForReaders as GoalReaders
from api.problems import NotFound, RequestInvalid, ServiceUnavailable, problems
from api.progress.router import PATH as PROGRESS
from api.progress.router import Reader
from api.records.audit import AuditDep
from api.references.active import organisation_references

router = APIRouter(tags=["progress"])

VEGA_LITE: Final = "application/vnd.vegalite.v6+json"
SVG, PNG, PDF = "image/svg+xml", "image/png", "application/pdf"
_NOT_FOUND: Final = problems(NotFound, RequestInvalid)
_DRAWN: Final = problems(ServiceUnavailable)


@dataclass(frozen=True)
class Drawn:
    """What was asked for: a specification, and how fine its pixels are to be."""

    spec: Spec
    ppi: int


def _content(media_type: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": schema}}}}


def pictures(
    path: str, name: str, what: str, drawn: Callable[..., Any], refusals: dict[int | str, dict[str, Any]]
) -> None:
    """The four forms of one kind of picture. ``drawn`` is the dependency that makes it, ``what`` says what it is."""
    asked = Annotated[Drawn, Depends(drawn)]
    binary = {"type": "string", "format": "binary"}

    @router.get(
        path + ".vl.json",
        operation_id=f"read{name}Specification",
        response_class=Response,
        responses=refusals | _content(VEGA_LITE, {"type": "object"}),
        description=f"{what} as a Vega-Lite specification, with its data. It holds no identifier.",
        summary=f"{name} as a specification",
    )
    async def specification(found: asked) -> Response:
        return Response(orjson.dumps(found.spec), media_type=VEGA_LITE)

    @router.get(
        path + ".svg",
        operation_id=f"draw{name}",
        response_class=Response,
        responses=refusals | _DRAWN | _content(SVG, {"type": "string"}),
        description=f"{what} as SVG, with a text alternative. It holds no identifier and fetches nothing.",
        summary=f"{name} as SVG",
    )
    async def svg(request: Request, found: asked) -> Response:
        renderer: Renderer = request.app.state.renderer
        return Response(await renderer.svg(found.spec, of=request.state.organisation_id), media_type=SVG)

    @router.get(
        path + ".png",
        operation_id=f"draw{name}AsPng",
        response_class=Response,
        responses=refusals | _DRAWN | _content(PNG, binary),
        description=f"{what} as PNG, with its text alternative in the file. It holds no identifier.",
        summary=f"{name} as PNG",
    )
    async def png(request: Request, found: asked) -> Response:
        renderer: Renderer = request.app.state.renderer
        return Response(await renderer.png(found.spec, ppi=found.ppi, of=request.state.organisation_id), media_type=PNG)

    @router.get(
        path + ".pdf",
        operation_id=f"draw{name}AsPdf",
        response_class=Response,
        responses=refusals | _DRAWN | _content(PDF, binary),
        description=f"{what} on a page of its own size, with its text alternative among the file's properties.",
        summary=f"{name} as PDF",
    )
    async def pdf(request: Request, found: asked) -> Response:
        renderer: Renderer = request.app.state.renderer
        return Response(await renderer.pdf(found.spec, of=request.state.organisation_id), media_type=PDF)


async def _series(
    request: Request,
    principal: Reader,
    library: LibraryDep,
    client_id: uuid.UUID,
    query: Annotated[SeriesQuery, Query()],
) -> Drawn:
    ppi = fineness(query)
    return Drawn(await service.series_spec(request, principal, library, client_id, query), ppi)


async def _scales(
    request: Request,
    principal: Reader,
    library: LibraryDep,
    client_id: uuid.UUID,
    query: Annotated[ScalesQuery, Query()],
) -> Drawn:
    ppi = fineness(query)
    return Drawn(await service.scales_spec(request, principal, library, client_id, query), ppi)


async def _goals(client_id: uuid.UUID, goals: GoalReaders, query: Annotated[LookQuery, Query()]) -> Drawn:
    ppi = fineness(query)
    return Drawn(await service.client_goals_spec(goals, client_id, query), ppi)


async def _couple(
    couple_id: uuid.UUID, progress: ForCoupleReaders, query: Annotated[CoupleChartQuery, Query()]
) -> Drawn:
    ppi = fineness(query)
    return Drawn(await service.couple_spec(progress, couple_id, query), ppi)


async def _caseload(
    request: Request,
    principal: CaseloadReader,
    audit: AuditDep,
    database: DatabaseDep,
    library: LibraryDep,
    query: Annotated[CaseloadChartQuery, Query()],
) -> Drawn:
    ppi = fineness(query)
    caseloads = Caseloads(database, library, organisation_references(request), principal, audit.request_id)
    return Drawn(service.caseload_spec(await caseloads.page(query), query), ppi)


pictures(PROGRESS, "Progress", "One series of a client", _series, _NOT_FOUND)
pictures(PROGRESS + "/scales", "Scales", "Every scale that a client has answered, small", _scales, _NOT_FOUND)
pictures(GOALS, "GoalProgress", "A client's own goals, by number", _goals, _NOT_FOUND)
pictures(
    COUPLE,
    "CoupleProgress",
    "Two of a couple on one scale, as A and B, while everybody consents",
    _couple,
    problems(NotFound, JointViewClosed, RequestInvalid),
)
pictures(CASELOAD, "Caseload", "A page of a caseload, a row a client, by number", _caseload, problems(RequestInvalid))
