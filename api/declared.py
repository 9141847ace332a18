"""What operations on things that are made, listed, read and changed declare in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid, problems

Responses = dict[int | str, dict[str, Any]]


def _header(name: str, description: str) -> dict[str, Any]:
    return {name: {"description": description, "schema": {"type": "string"}}}


_ETAG: Final = _header("ETag", "The version that is answered")
_LINK: Final = _header("Link", 'The next page as `rel="next"` (RFC 8288), where there is one')

LOCATION: Final = _header("Location", "Path of what was made")
FOUND: Final[Responses] = problems(NotFound, RequestInvalid)
MADE: Final[Responses] = FOUND | {201: {"headers": _ETAG | LOCATION}}
ADDED: Final[Responses] = FOUND | {201: {"headers": _ETAG}}
LISTED: Final[Responses] = FOUND | {200: {"headers": _LINK}}
READ: Final[Responses] = FOUND | {200: {"headers": _ETAG}}
CHANGED: Final[Responses] = problems(NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid) | {
    200: {"headers": _ETAG}
}
