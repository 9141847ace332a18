"""From a template to an answer: headers that hold a page together, static files by the hash of what is in them.

What the browser is allowed, and nothing else (`default-src 'none'`): our own style sheet (`style-src 'self'`), our own
pictures (`img-src 'self'`), and forms to ourselves (`form-action 'self'`). There is no script at all, no inline style,
and no frame. The policy on a base element says that there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.problems import NotFound, Problem
from scoring.progress_words import day, number, points

FOLDER: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # `no-referrer` would make a browser say `Origin: null` of our own forms, and a stranger's could not be told from it
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Static(NamedTuple):
    """A file that is served as it is."""

    content: bytes
    media_type: str


def _static() -> tuple[dict[str, Static], dict[str, str]]:
    """The static files by the name that they are served under, and that name by the one they have here."""
    files, names = {}, {}
    for path in sorted((FOLDER / "static").iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            served = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
            files[served], names[path.name] = Static(content, _TYPES[path.suffix]), served
    return files, names


_FILES, _NAMES = _static()
STATIC: Final = "/app/static/{name}"

router = APIRouter(include_in_schema=False)


@router.get(STATIC)
async def static(name: str) -> Response:
    """A static file, which under its name never changes."""
    found = _FILES.get(name)
    if found is None:
        raise NotFound
    return Response(found.content, media_type=found.media_type, headers={**HEADERS, "Cache-Control": _FOR_EVER})


def moment(at: datetime | str) -> str:
    """A time with the zone that it is told in."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{day(at)}, {at:%H:%M} UTC"


def _day(at: datetime | date | str) -> str:
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return day(at if isinstance(at, datetime) else datetime(at.year, at.month, at.day))  # noqa: DTZ001  - only its day is read


def _machine(at: datetime | date | str) -> str:
    return at if isinstance(at, str) else at.isoformat()


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def query(path: str, **asked: object) -> str:
    """A path with a query; what is None is left out."""
    given = {name: str(value) for name, value in asked.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name is a failure, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": moment,
        "day": _day,
        "machine": _machine,
        "number": number,
        "points": points,
        "signed": _signed,
    }
    made.globals |= {"static": lambda name: STATIC.format(name=_NAMES[name]), "query": query}
    return made


ENVIRONMENT: Final = _environment()


def page(template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any) -> Response:
    """A page, by the name of its template and what stands in it. All text is escaped."""
    text = ENVIRONMENT.get_template(template).render(context)
    return HTMLResponse(text, status, headers={**HEADERS, **(headers or {})})


def redirect(path: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """To another page, which is then asked for by GET."""
    return Response(status_code=303, headers={**HEADERS, "Location": path, **(headers or {})})


def problem_page(request: Request, problem: Problem) -> Response | None:
    """What went wrong, as a page, where a page was asked for; None for the API."""
    if not f"{request.url.path}/".startswith("/app/"):
        return None
    if 300 <= problem.status < 400:
        return redirect(problem.headers["Location"])
    state = request.scope.get("state", {})
    kept = {name: value for name, value in problem.headers.items() if name in ("Retry-After", "Allow")}
    return page(
        "problem.html",
        status=problem.status,
        headers=kept,
        visit=state.get("visit"),
        problem=problem,
        request_id=state.get("request_id"),
    )
