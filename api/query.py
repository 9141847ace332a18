"""Query strings read strictly: what an operation does not know, or knows once and is given twice, is refused.

A misspelt `external_id` that is overlooked would answer with all clients, and the first of them be taken for the one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Header, Path
from fastapi.routing import APIRoute

from api.middleware import PROTECTED
from api.problems import RequestInvalid
from api.security.principal import authenticate


async def only_known_parameters(request: Request) -> None:
    """Dependency of every route of the API. Whoever has no accepted token learns that first.

    Raises
    ------
    RequestInvalid
        With every parameter that is unknown, given twice, not UTF-8, or has a NUL character, which no database holds.
    """
    query: bytes = request.scope["query_string"]
    route = request.scope["route"]
    if not query or not isinstance(route, APIRoute) or not request.scope["path"].startswith(PROTECTED):
        return
    await authenticate(request)
    if found := _faults(query, _parameters(route)):
        raise RequestInvalid(errors=found)


_KNOWN: Final[WeakKeyDictionary[Callable[..., Any], dict[str, bool]]] = WeakKeyDictionary()


def _parameters(route: APIRoute) -> dict[str, bool]:
    """The names that a route knows, and whether each may be given more than once; found out once an endpoint."""
    known = _KNOWN.get(route.endpoint)
    if known is None:
        known = _KNOWN[route.endpoint] = _declared(route)
    return known


def _declared(route: APIRoute) -> dict[str, bool]:
    return {
        field.alias: list in {get_origin(kind) for kind in (annotation, *get_args(annotation))}
        for field in get_flat_params(route.dependant)
        if not isinstance(field.field_info, Path | Header)
        for annotation in [field.field_info.annotation]
    }


def _faults(query: bytes, known: dict[str, bool]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"):
        if name not in known:
            shown = name.encode("utf-8", "replace").decode("utf-8")
            found[name] = _fault(shown, "extra-forbidden", "is not a parameter that this operation knows")
        elif name in seen and not known[name]:
            found[name] = _fault(name, "repeated", "is given once")
        elif not _is_text(value):
            found[name] = _fault(name, "not-utf-8", "is percent-encoded UTF-8")
        elif "\0" in value:
            found[name] = _fault(name, "nul-character", "text has no NUL character")
        seen.add(name)
    return list(found.values())


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _fault(name: str, code: str, detail: str) -> dict[str, Any]:
    return {"parameter": name, "in": "query", "code": code, "detail": detail}
