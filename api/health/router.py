"""What machines ask: liveness, readiness, metrics, the development key, and the pages of the problem types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from api.metrics import CONTENT_TYPE, Metrics
from api.problems import NotFound, ServiceUnavailable, catalogue, problems
from api.security.issuer import DevelopmentIssuer

router = APIRouter(tags=["operation"])

READY_TIMEOUT: Final = 2.0
"""Seconds the database has for its answer before the service calls itself not ready."""
PAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "problems"

_log = structlog.get_logger(__name__)


class Health(BaseModel):
    """The state of one service process."""

    status: Literal["ok"]


class KeySet(BaseModel):
    """A JWK Set (RFC 7517)."""

    keys: list[dict[str, Any]]


@router.get("/health/live", operation_id="checkAlive", responses=problems(public=True))
async def live() -> Health:
    """Answer as long as the process runs; asks nobody else, so a slow database gets no process killed."""
    return Health(status="ok")


@router.get("/health/ready", operation_id="checkReady", responses=problems(public=True))
async def ready(request: Request) -> Health:
    """Answer when requests can be served, that is, when the database answers."""
    try:
        async with request.app.state.database.pool.acquire(timeout=READY_TIMEOUT) as connection:
            await connection.fetchval("select 1", timeout=READY_TIMEOUT)
    except Exception as error:  # whatever it is, this process cannot serve now
        _log.warning("not_ready", error=type(error).__name__)
        raise ServiceUnavailable("The database does not answer.", retry_after=1) from None
    return Health(status="ok")


@router.get(
    "/metrics",
    operation_id="readMetrics",
    response_class=Response,
    responses=problems(public=True)
    | {200: {"description": "Prometheus metrics of this process", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format, of this service process."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=CONTENT_TYPE)


@router.get("/.well-known/jwks.json", operation_id="readDevelopmentKeys", responses=problems(public=True))
async def key_set(request: Request) -> KeySet:
    """The public key of the development issuer; none where that issuer is off."""
    issuer: DevelopmentIssuer | None = request.app.state.development_issuer
    return KeySet(keys=[] if issuer is None else issuer.key_set()["keys"])


@router.get(
    "/problems/{slug}",
    operation_id="readProblem",
    response_class=Response,
    responses=problems(NotFound, public=True)
    | {200: {"description": "The page, in Markdown", "content": {"text/plain": {}}}},
)
async def problem_page(slug: Annotated[str, PathParameter(max_length=64)]) -> Response:
    """What a type of problem means and what to do about it; problems point here with their `type`."""
    kind = catalogue().get(slug)
    if kind is None:
        raise NotFound("There is no problem type of that name.")
    page = PAGES / f"{kind.slug}.md"
    # An installation from a wheel has no docs folder; the summary is better than nothing.
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# {kind.title}\n\n{kind.status}. {kind.__doc__}\n"
    return Response(text, media_type="text/plain; charset=utf-8")
