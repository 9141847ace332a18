"""Refusals in the audit trail: whoever was refused access to clients' data has tried, and that is kept too.

What a service refuses by a rule of its own it keeps by itself, with the words of that rule (`Audit.refused`). The rest,
a role without the scope or a request that does not have the right shape, is kept here, for every operation alike.
"""

from __future__ import annotations

import uuid
from typing import Final

from fastapi import Request
from fastapi.routing import APIRoute

from api.middleware import FORMS, PROTECTED
from api.openapi import scope_of
from api.problems import Forbidden, Problem, TooManyRequests, Unauthenticated
from api.records.audit import audit_of

NOT_OF_CLIENTS: Final = frozenset(
    {"alert-rules:read", "alert-rules:write"}
    | {"instruments:read", "instruments:write", "licences:read", "protocols:read", "protocols:write", "wordings:write"}
)
"""Scopes of operations that no client's data come from or go to: of these only the lack of the scope is kept."""


async def keep_refusal(request: Request, problem: Problem) -> None:
    """Keep, before it is answered, that somebody with an accepted token is refused.

    The action is the operation's id, the outcome the type of problem. Nothing is kept of who has no accepted token,
    which belongs to no organisation, and of who comes too often, which would let them fill the trail.
    """
    state, route = request.scope["state"], request.scope.get("route")
    if (
        not 400 <= problem.status < 500
        or isinstance(problem, Unauthenticated | TooManyRequests)
        or state.get("principal") is None
        or state.get("refusal_kept")
        or not isinstance(route, APIRoute)
        or not route.path_format.startswith((PROTECTED, FORMS))
        or (scope_of(route) in NOT_OF_CLIENTS and not isinstance(problem, Forbidden))
    ):
        return
    resource, resource_id = _named(route.path_format, request.path_params)
    await audit_of(request).refused(route.operation_id or route.name, resource, resource_id, problem.slug)


def _named(template: str, given: dict[str, str]) -> tuple[str, uuid.UUID | None]:
    """The innermost thing that a path names by its id; without one, what the path is about."""
    for name, value in reversed(given.items()):
        try:
            return name.removesuffix("_id"), uuid.UUID(str(value))
        except ValueError:
            continue
    about = template.removeprefix(PROTECTED).removeprefix(FORMS).partition("/")[0].partition(".")[0]
    return about.removesuffix("s"), None
