"""Who is asking: roles, their scopes, and the check that every protected route goes through."""

from __future__ import annotations

import hashlib
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from fastapi import Request

from api.problems import Forbidden, ServiceUnavailable, TooManyRequests, Unauthenticated
from api.security import tokens
from api.security.keys import KeysUnavailable

_READ_CARE: Final = frozenset(
    {
        "alert-rules:read",
        "alerts:read",
        "clients:read",
        "records:read",
        "care:read",
        "protocols:read",
        "responses:read",
        "instruments:read",
        "progress:read",
        "references:read",
    }
)
_WRITE_CARE: Final = frozenset({"alerts:write", "clients:write", "care:write"})

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ehr": _READ_CARE | _WRITE_CARE | {"responses:write", "imports:read", "imports:write"},
        "clinician": _READ_CARE | _WRITE_CARE | {"protocols:write", "responses:write", "licences:read"},
        "researcher": frozenset({"research:read"}),
        "admin": _READ_CARE
        | _WRITE_CARE
        | {
            "alert-rules:write",
            "research:read",
            "outcomes:read",
            "licences:read",
            "wordings:write",
            "instruments:write",
            "audit:read",
            "exports:read",
        }
        | {"protocols:write", "webhooks:read", "webhooks:write", "imports:read", "imports:write"}
        | {"rescorings:read", "rescorings:write", "references:write", "clients:erase"},
    }
)
"""Role to scopes. Researchers reach nothing but research output."""

SCOPES: Final = frozenset().union(*ROLES.values())
MOST_TOKENS: Final = 10_000
"""Verified tokens kept; each is about 1 KiB with its principal."""
LONGEST_TRUST: Final = 900.0
"""Seconds a verified token is believed without looking at its issuer's keys again, so that withdrawing a key works."""
MOST_PRINCIPALS: Final = 10_000
"""Principals whose rate is watched; the one seen longest ago is forgotten first, and starts afresh."""

Scope = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody with an accepted token: of which organisation, in which role."""

    organisation_id: uuid.UUID
    organisation: str
    subject: str
    role: str
    scopes: frozenset[str]

    def allow(self, scope: str) -> None:
        """Raise :class:`Forbidden` unless the role has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"The role '{self.role}' does not have the scope '{scope}'.")


class RateLimit:
    """Requests a second of each principal, with a burst, in this process (the generic cell rate algorithm)."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / rate if rate > 0 else 0.0
        self._tolerance = self._interval * max(burst - 1, 0)
        self._clock = clock
        self._due: OrderedDict[tuple[uuid.UUID, str], float] = OrderedDict()

    def take(self, principal: Principal) -> None:
        """Count one request. Raises :class:`TooManyRequests` where it comes too early; that one is not counted."""
        if not self._interval:
            return
        key = (principal.organisation_id, principal.subject)
        now = self._clock()
        due = max(self._due.get(key, now), now)
        if due - now > self._tolerance:
            raise TooManyRequests(max(1, math.ceil(due - now - self._tolerance)))
        self._due[key] = due + self._interval
        self._due.move_to_end(key)
        if len(self._due) > MOST_PRINCIPALS:
            self._due.popitem(last=False)


class Authenticator:
    """Turns the `Authorization` header into a :class:`Principal`.

    A token is verified once and then known by its SHA-256 until it expires, so that the cost of a signature is not paid
    by every request. The cache is bounded in number (the one used longest ago goes) and in time (`LONGEST_TRUST`).
    """

    def __init__(
        self,
        issuer_named: Callable[[str], tokens.Issuer | None],
        organisation_id: Callable[[str], Awaitable[uuid.UUID | None]],
        limit: RateLimit,
        *,
        clock: Callable[[], float] = time.time,
        most_tokens: int = MOST_TOKENS,
    ) -> None:
        self._issuer_named = issuer_named
        self._organisation_id = organisation_id
        self._limit = limit
        self._clock = clock
        self._most_tokens = most_tokens
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._organisations: dict[str, uuid.UUID] = {}

    async def authenticate(self, scope: Scope) -> Principal:
        """The principal of a request. Remembered in the request's state, so a second call costs nothing.

        Raises
        ------
        Unauthenticated, TooManyRequests
            What the caller has to change.
        ServiceUnavailable
            The issuer's keys or the database cannot be reached.
        """
        state: dict[str, Any] = scope["state"]
        principal: Principal | None = state.get("principal")
        if principal is None:
            token = _bearer(scope["headers"])
            principal = self.recall(token) or await self._verify(token)
            self.admit(scope, principal)
        return principal

    def admit(self, scope: Scope, principal: Principal) -> None:
        """Let a request go on as somebody's, and count it. Raises :class:`TooManyRequests`."""
        scope["state"]["principal"] = principal
        scope["state"]["organisation_id"] = principal.organisation_id  # what sessions are confined to
        self._limit.take(principal)

    def recall(self, token: bytes) -> Principal | None:
        """The principal of a token that was verified before and has not expired."""
        digest = hashlib.sha256(token).digest()
        entry = self._known.get(digest)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return entry[1]

    async def _verify(self, token: bytes) -> Principal:
        try:
            claims = await tokens.verify(token.decode("latin-1"), self._issuer_named)
        except tokens.TokenRefused as error:
            raise Unauthenticated(str(error)) from None
        except KeysUnavailable:
            raise ServiceUnavailable("The keys of the token's issuer cannot be fetched.", retry_after=60) from None
        scopes = ROLES.get(claims.role)
        if scopes is None:
            raise Unauthenticated("The token's role is unknown.")
        organisation_id = self._organisations.get(claims.organisation)
        if organisation_id is None:
            organisation_id = await self._organisation_id(claims.organisation)
            if organisation_id is None:
                raise Unauthenticated("The organisation of the token's issuer does not exist here.")
            # An organisation never changes its id, and there are only as many as issuers were configured for.
            self._organisations[claims.organisation] = organisation_id
        principal = Principal(organisation_id, claims.organisation, claims.subject, claims.role, scopes)
        self._remember(token, claims.expires, principal)
        return principal

    def _remember(self, token: bytes, expires: float, principal: Principal) -> None:
        until = min(expires, self._clock() + LONGEST_TRUST)
        self._known[hashlib.sha256(token).digest()] = (until, principal)
        if len(self._known) > self._most_tokens:
            self._known.popitem(last=False)


def _bearer(headers: list[tuple[bytes, bytes]]) -> bytes:
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        raise Unauthenticated("Send the token as: Authorization: Bearer <token>", token_given=False)
    if len(found) > 1:
        raise Unauthenticated("The request has more than one Authorization header.")
    scheme, _, token = found[0].partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise Unauthenticated("Send the token as: Authorization: Bearer <token>")
    return token


async def authenticate(request: Request) -> Principal:
    """The principal of a request, for code that does without FastAPI's dependencies; then ask it to `allow` a scope."""
    authenticator: Authenticator = request.scope["app"].state.authenticator
    return await authenticator.authenticate(request.scope)


class Require:
    """Dependency that lets a request pass only with a token whose role has the scope. Made by :func:`require`."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Principal:
        principal = await authenticate(request)
        principal.allow(self.scope)
        return principal


@cache
def require(scope: str) -> Require:
    """The dependency for a scope: ``principal: Annotated[Principal, Depends(require("clients:read"))]``.

    The operation's `x-scope` in the OpenAPI document comes from it. One object a scope, so FastAPI calls it once.
    """
    if scope not in SCOPES:
        raise ValueError(f"no role has the scope {scope!r}; the scopes are {sorted(SCOPES)}")
    return Require(scope)
