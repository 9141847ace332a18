"""Signing in and out. Nothing is kept of an attempt but a secret in the browser, for ten minutes.

State, nonce and PKCE verifier are derived from it, so an answer of the provider is only taken by the browser that
asked, once: the cookie goes with the first answer, and the provider gives for a code only once.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api.db import RawConnection, confine, get_database
from api.organisations.repository import find_organisation
from api.pages import provider as openid
from api.pages.access import (
    HOME,
    SIGN_IN,
    FormDep,
    VisitDep,
    check_host,
    check_sent_from_here,
    check_token,
    form_of,
    own_path,
    session_of,
    sessions_of,
)
from api.pages.provider import Provider, ProviderRefused, ProviderUnreachable, TokenInvalid
from api.pages.render import page, query, redirect
from api.pages.sessions import COOKIE, SECRET_BYTES, Session, derived, same
from api.problems import NotFound, request_id
from api.records.audit import Audit
from api.security.principal import ROLES, Principal
from api.security.tokens import LONGEST_SUBJECT
from api.startup import DEVELOPMENT_ORGANISATION

router = APIRouter(include_in_schema=False)

ATTEMPT: Final = "__Host-fathomline-sign-in"
ATTEMPT_SECONDS: Final = 600
_ATTRIBUTES: Final = "; Path=/; Secure; HttpOnly; SameSite=Lax"
_ABSENT: Final = "none"
"""What stands for a role that nobody has here, in the audit trail."""

Next = Annotated[str | None, Query(alias="next", max_length=2000)]
Given = Annotated[str | None, Query(max_length=4000)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to sign in, as the browser holds it: a secret, and where to go afterwards."""

    secret: bytes = field(repr=False)
    path: str

    @classmethod
    def new(cls, path: str | None) -> Attempt:
        """Another one."""
        return cls(secrets.token_bytes(SECRET_BYTES), own_path(path) or HOME)

    @classmethod
    def of(cls, request: Request) -> Attempt | None:
        """The one that the browser holds."""
        try:
            secret, _, path = base64.b64decode(
                request.cookies.get(ATTEMPT, ""), altchars=b"-_", validate=True
            ).partition(b"/")
            read = bytes.fromhex(secret.decode("ascii"))
            back = own_path("/" + path.decode("ascii"))
        except ValueError:
            return None
        return None if len(read) != SECRET_BYTES or back is None else cls(read, back)

    @property
    def cookie(self) -> str:
        """The header that gives it to the browser."""
        value = base64.urlsafe_b64encode(f"{self.secret.hex()}{self.path}".encode()).decode("ascii")
        return f"{ATTEMPT}={value}; Max-Age={ATTEMPT_SECONDS}{_ATTRIBUTES}"


_FORGET_ATTEMPT: Final = f"{ATTEMPT}=; Max-Age=0{_ATTRIBUTES}"
_FORGET_SESSION: Final = f"{COOKIE}=; Max-Age=0{_ATTRIBUTES}"


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody as whom the development issuer lets one look around."""

    role: str
    subject: str
    words: str


def provider_of(request: Request) -> Provider | None:
    """The provider of the settings, if there is one."""
    found: Provider | None = request.app.state.sign_in
    return found


def _development(request: Request) -> bool:
    return request.app.state.development_issuer is not None


def _refused(title: str, words: str, *, status: int = 400, over: bool = True, **context: Any) -> Response:
    """Why somebody is not signed in. The attempt is over, unless the answer was not to it."""
    shown = {"visit": None, "title": title, "words": words, "error": None, "description": None, **context}
    headers = {"Set-Cookie": _FORGET_ATTEMPT} if over else None
    return page("sign_in_refused.html", status=status, headers=headers, **shown)


def _unreachable(provider: Provider, error: ProviderUnreachable) -> Response:
    words = f"Sign-in happens at {provider.name}, which cannot be used at the moment. {error} Try again in a minute."
    return _refused("The sign-in service cannot be reached", words, status=503)


@router.get(SIGN_IN)
async def choose(request: Request, back: Next = None) -> Response:
    """Where to sign in: at the provider; with the development issuer on, also as one of its personas."""
    check_host(request)
    attempt = Attempt.new(back)
    personas = await _personas(request) if _development(request) else []
    return page(
        "sign_in.html",
        headers={"Set-Cookie": attempt.cookie} if personas else None,
        visit=None,
        provider=provider_of(request),
        start=query(SIGN_IN + "/start", next=None if attempt.path == HOME else attempt.path),
        personas=personas,
        token=derived(attempt.secret, "csrf"),
        organisation=DEVELOPMENT_ORGANISATION,
        wanted=attempt.path != HOME,
    )


@router.get(SIGN_IN + "/start")
async def start(request: Request, back: Next = None) -> Response:
    """To the provider."""
    check_host(request)
    provider = provider_of(request)
    if provider is None:
        raise NotFound
    attempt = Attempt.new(back)
    try:
        url = await provider.authorization_url(attempt.secret)
    except ProviderUnreachable as error:
        return _unreachable(provider, error)
    return redirect(url, headers={"Set-Cookie": attempt.cookie})


@router.get(SIGN_IN + "/callback")
async def callback(
    request: Request,
    state: Given = None,
    code: Given = None,
    iss: Given = None,
    error: Given = None,
    error_description: Given = None,
) -> Response:
    """Back from the provider, with a code or with its reason why there is none."""
    check_host(request)
    provider = provider_of(request)
    if provider is None:
        raise NotFound
    attempt = Attempt.of(request)
    if attempt is None or state is None or not same(state, derived(attempt.secret, "state")):
        words = "This browser has no such sign-in under way: it took longer than ten minutes, or it was done already."
        return _refused("This sign-in cannot be finished", words, over=False)
    try:
        known = await provider.metadata()
        if (iss is not None or known.names_itself) and iss != provider.settings.issuer:
            words = "The answer comes from another sign-in service than the one that was asked."
            return _refused("This sign-in cannot be finished", words)
        if error is not None:
            raise ProviderRefused(error, error_description)
        if code is None:
            raise TokenInvalid("The sign-in service sent no code.")
        claims = await provider.claims(code, attempt.secret)
    except ProviderUnreachable as fault:
        return _unreachable(provider, fault)
    except ProviderRefused as fault:
        words = f"{provider.name} did not let this sign-in happen. Its own words:"
        return _refused("Sign-in was refused", words, error=fault.error, description=fault.description)
    except TokenInvalid as fault:
        return _refused("This sign-in cannot be finished", f"What {provider.name} sent cannot be accepted. {fault}")
    return await _admit(request, provider, claims, attempt.path)


async def _admit(request: Request, provider: Provider, claims: dict[str, Any], path: str) -> Response:
    """Let somebody in whom the provider vouches for, if there is a role and an organisation for them."""
    settings = provider.settings
    subject = next(iter(openid.said(claims, settings.subject_claim)), "")
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        return _refused("This sign-in cannot be finished", "The name that the sign-in service gave cannot be used.")
    slug = settings.organisation
    if settings.organisation_claim is not None:
        named = openid.said(claims, settings.organisation_claim)
        found = {settings.organisations.get(text) if settings.organisations else text for text in named} - {None}
        slug = found.pop() if len(found) == 1 else None
    organisation_id = None if slug is None else await _organisation(request, slug)
    if organisation_id is None or slug is None:
        words = "The sign-in service does not say to which organisation of this service you belong. Ask who runs it."
        return _refused("You have no place here", words, status=403)
    theirs = openid.said(claims, settings.role_claim)
    role = next((meant for text, meant in settings.roles.items() if text in theirs), None)
    if role is None:
        nobody = Principal(organisation_id, slug, subject, _ABSENT, frozenset())
        await _trail(request, nobody).refused("sign-in", "page-session", None, "no-role")
        words = "You are known, but you have no role here that pages exist for. Ask who runs the service for one."
        return _refused("You have no role here", words, status=403)
    return await _let_in(request, Principal(organisation_id, slug, subject, role, ROLES[role]), path)


async def _organisation(request: Request, slug: str) -> uuid.UUID | None:
    async with get_database(request).pool.acquire() as connection:
        return await find_organisation(connection, slug)


def _trail(request: Request, principal: Principal) -> Audit:
    return Audit(principal, request_id(request) or "", get_database(request), request.scope["state"])


async def _let_in(request: Request, principal: Principal, path: str) -> Response:
    """A new session, under a new secret whatever the browser held; one that it held before is over."""
    before = await session_of(request)
    sessions, trail = sessions_of(request), _trail(request, principal)
    async with get_database(request).pool.acquire() as connection, connection.transaction():
        await confine(connection, principal.organisation_id)
        made = await sessions.start(connection, principal)
        await trail.keep(connection, trail.event("sign-in", "page-session", made.id))
    if before is not None:
        await _end(request, before)
    response = redirect(query(SIGN_IN + "/done", next=None if path == HOME else path))
    response.headers.append("Set-Cookie", f"{COOKIE}={made.cookie}{_ATTRIBUTES}")
    response.headers.append("Set-Cookie", _FORGET_ATTEMPT)
    return response


async def _end(request: Request, session: Session) -> None:
    trail = _trail(request, session.principal)
    async with get_database(request).pool.acquire() as connection, connection.transaction():
        await confine(connection, session.principal.organisation_id)
        await sessions_of(request).end(connection, session)
        await trail.keep(connection, trail.event("sign-out", "page-session", session.id))


@router.get(SIGN_IN + "/done")
async def done(request: Request, back: Next = None) -> Response:
    """On to the page that was wanted, unless the browser did not keep the cookie."""
    check_host(request)
    if await session_of(request) is None:
        words = (
            "This browser keeps no cookie of this site. Allow it, and sign in again. Some browsers take it only over "
            "https, also on one's own machine."
        )
        return _refused("You are not signed in", words)
    return redirect(own_path(back) or HOME)


@router.post("/app/sign-out")
async def sign_out(request: Request, visit: VisitDep, _: FormDep) -> Response:
    """End the session, here and for whoever else holds its cookie."""
    await _end(request, visit.session)
    return redirect("/app/signed-out", headers={"Set-Cookie": _FORGET_SESSION})


@router.get("/app/signed-out")
async def signed_out(request: Request) -> Response:
    """That it is over; and on to the provider, to sign out there too, where it has a place for that.

    By a header and not by a redirect of the form, which the page's policy would stop.
    """
    provider = provider_of(request)
    elsewhere = None if provider is None else await provider.end_session_url()
    headers = None if elsewhere is None else {"Refresh": f"0; url={elsewhere}"}
    return page("signed_out.html", headers=headers, visit=None, provider=provider, elsewhere=elsewhere)


async def _personas(request: Request) -> list[Persona]:
    """Of the development organisation: some clinicians with clients, or one without, an administrator, a researcher."""
    async with get_database(request).pool.acquire() as connection:
        organisation_id = await find_organisation(connection, DEVELOPMENT_ORGANISATION)
        names = [] if organisation_id is None else await _clinicians(connection, organisation_id)
    return [
        *(Persona("clinician", name, f"Clinician {name}") for name in names or ["clinician"]),
        Persona("admin", "admin", "Administrator"),
        Persona("researcher", "researcher", "Researcher"),
    ]


async def _clinicians(connection: RawConnection, organisation_id: uuid.UUID) -> list[str]:
    asked = "select distinct clinician from episode where organisation_id = $1 and clinician <> '' order by 1 limit 5"
    async with connection.transaction():
        await confine(connection, organisation_id)
        return [row[0] for row in await connection.fetch(asked, organisation_id)]


@router.post(SIGN_IN + "/persona")
async def persona(request: Request) -> Response:
    """Sign in as somebody whom the development issuer vouches for: with that issuer on, anybody may."""
    if not _development(request):
        raise NotFound
    check_host(request)
    check_sent_from_here(request)
    form, attempt = form_of(request), Attempt.of(request)
    if attempt is None:
        return _refused("This sign-in cannot be finished", "The sign-in page was open for more than ten minutes.")
    check_token(form, derived(attempt.secret, "csrf"))
    role, _, subject = form.get("persona", "").partition(":")
    slug = form.get("organisation", "").strip()
    usable = 0 < len(subject) <= LONGEST_SUBJECT and subject.isprintable()
    organisation_id = await _organisation(request, slug)
    if role not in ("clinician", "admin", "researcher") or not usable or organisation_id is None:
        return _refused("There is nobody like that", "Choose somebody of an organisation that exists.", status=422)
    return await _let_in(request, Principal(organisation_id, slug, subject, role, ROLES[role]), attempt.path)
