"""Who asks for a page, and whether a form came from one of ours."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.pages.render import query
from api.pages.sessions import COOKIE, Session, Sessions, same
from api.problems import Forbidden, PreconditionFailed, RequestInvalid
from api.records.refusals import keep_refusal
from api.security.principal import Authenticator, Principal
from api.settings import Settings

HOME: Final = "/app"
SIGN_IN: Final = "/app/sign-in"
CSRF: Final = "csrf"
_PATH: Final = re.compile(r"/app(?:/[A-Za-z0-9][A-Za-z0-9._~-]*)*(?:\?[A-Za-z0-9._~=&%+-]*)?")
"""A page of ours as a path: no host, no scheme, nothing that a browser could read as either."""
LONGEST_PATH: Final = 400
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REFUSED: Final = {409: PreconditionFailed, 422: RequestInvalid}
"""What a form that is shown again says that its sending was, by the page's status."""


class FormRoute(APIRoute):
    """Route of pages with forms: one that is shown again, with its faults, has been refused, and that is kept.

    The API raises what it refuses, which is kept where it is answered; a page is an answer like another.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # as Starlette's is
        """The endpoint, and after it what is to be kept before anybody is answered."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            response = await handle(request)
            if request.method == "POST" and (refusal := _REFUSED.get(response.status_code)) is not None:
                await keep_refusal(request, refusal())
            return response

        return handled


class SignInNeeded(HTTPException):
    """Nobody is signed in; afterwards the same page is shown."""

    def __init__(self, request: Request) -> None:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = own_path(asked) if request.method == "GET" else None
        super().__init__(303, headers={"Location": query(SIGN_IN, next=None if back == HOME else back)})


def own_path(given: str | None) -> str | None:
    """A path to one of our pages as it was given, or nothing: nobody is sent elsewhere after signing in.

    Examples
    --------
    >>> own_path("/app/alerts?status=open"), own_path("//evil.example"), own_path("/app//evil"), own_path("/apple")
    ('/app/alerts?status=open', None, None, None)
    """
    if given is None or len(given) > LONGEST_PATH or _PATH.fullmatch(given) is None:
        return None
    return given


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the navigation, shown to who has the scope, and the role where it is of one role only."""

    path: str
    words: str
    scope: str
    role: str | None = None


NAVIGATION: Final = (
    Entry("/app/caseload", "Caseload", "clients:read"),
    Entry("/app/alerts", "Alerts", "alerts:read"),
    Entry("/app/due", "Due", "care:read"),
    Entry("/app/couples", "Couples", "care:read", "clinician"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in, as templates see it."""

    session: Session
    path: str

    @property
    def principal(self) -> Principal:
        """On whose behalf services are called."""
        return self.session.principal

    @property
    def csrf(self) -> str:
        """For the forms of the page."""
        return self.session.csrf

    @property
    def navigation(self) -> list[Entry]:
        """Where they may go."""
        own = self.principal
        return [one for one in NAVIGATION if one.scope in own.scopes and one.role in (None, own.role)]


def sessions_of(request: Request) -> Sessions:
    """The sessions of the application that serves this request (`app.state.sessions`)."""
    found: Sessions = request.app.state.sessions
    return found


async def session_of(request: Request) -> Session | None:
    """The session that the request's cookie names, if it goes on."""
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else await sessions_of(request).find(cookie)


async def visiting(request: Request) -> Visit:
    """Dependency of every page but those of signing in: from here on services know on whose behalf they work.

    Declare it first: FastAPI resolves dependencies in the order of the parameters.

    Raises
    ------
    SignInNeeded
        Nobody is signed in, or not any more.
    TooManyRequests
    """
    state: dict[str, Any] = request.scope["state"]
    found: Visit | None = state.get("visit")
    if found is None:
        check_host(request)
        session = await session_of(request)
        if session is None:
            raise SignInNeeded(request)
        found = state["visit"] = Visit(session, request.url.path)
        authenticator: Authenticator = request.app.state.authenticator
        authenticator.admit(request.scope, session.principal)
    return found


VisitDep = Annotated[Visit, Depends(visiting)]


def origin_of(request: Request) -> str:
    """Scheme, host and port that our pages have: of the setting, or of this machine's own address.

    Raises
    ------
    Forbidden
        There is no setting, and the address is not one of this machine: a name that a stranger points here.
    """
    settings: Settings = request.app.state.settings
    if settings.public_url is not None:
        return settings.public_url.rstrip("/").lower()
    host = request.headers.get("host", "")
    try:
        named = urlsplit(f"//{host}")
        name, _ = named.hostname, named.port  # of `127.0.0.1:80.evil.example` the port is none
    except ValueError:
        name = None
    if name not in _LOOPBACK and name != settings.host:
        raise Forbidden("Open the pages under the address that FATHOMLINE_PUBLIC_URL names, or under 127.0.0.1.")
    return f"http://{host}".lower()


def check_host(request: Request) -> None:
    """Refuse an address that is not this service's."""
    expected = urlsplit(origin_of(request)).netloc
    if request.headers.get("host", "").lower() != expected:
        raise Forbidden("Open the pages under the address that FATHOMLINE_PUBLIC_URL names.")


def check_sent_from_here(request: Request) -> None:
    """Refuse a form that another site's page has sent, by what the browser says of where it comes from.

    Raises
    ------
    Forbidden
        It comes from elsewhere, or the browser does not say.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in (None, "same-origin") or (origin is not None and origin.lower() != origin_of(request)):
        raise Forbidden("The form was sent from another site.")
    if site is None and origin is None:
        raise Forbidden("The browser does not say from which site the form was sent.")


def form_of(request: Request) -> dict[str, str]:
    """What a form has sent, as the body's guard has read it; a field that came twice is refused."""
    given: list[tuple[str, str]] = request.scope["state"].get("form", [])
    names = [name for name, _ in given]
    if len(set(names)) < len(names):
        raise RequestInvalid("A field of the form was sent twice.")
    return dict(given)


def check_token(form: dict[str, str], expected: str) -> None:
    """Refuse a form without the token of the session that it was made for."""
    if not same(form.pop(CSRF, ""), expected):
        raise Forbidden("The form is not from a page of this session. Open the page again, and send it from there.")


async def sent(request: Request, visit: VisitDep) -> dict[str, str]:
    """Dependency of whatever a form does: its fields, once it is known to come from a page of this session."""
    check_sent_from_here(request)
    form = form_of(request)
    check_token(form, visit.csrf)
    return form


FormDep = Annotated[dict[str, str], Depends(sent)]
