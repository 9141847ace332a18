"""The service: `create_app(settings)` puts middleware, routes and the things they share together."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter, Depends, FastAPI

import api.logging
from api import problems
from api.alerts.router import router as alerts
from api.alerts.settings import OrganisationAlerts
from api.assignments.router import router as assignments
from api.audit.router import router as audit
from api.authoring.router import YAML_PATH as DRAFTS
from api.authoring.router import router as authoring
from api.care.router import router as care
from api.caseload.router import router as caseload
from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.catalogue.router import router as catalogue
from api.charts.render import Renderer
from api.charts.router import router as charts
from api.clients.router import router as clients
from api.consents.router import router as consents
from api.corrections.router import router as corrections
from api.couple_progress.router import router as couple_progress
from api.couples.router import router as couples
from api.erasure.router import gone_instead
from api.erasure.router import router as erasure
from api.exports import service as exporting
from api.exports.router import router as exports
from api.goals.router import router as goals
from api.health.router import router as health
from api.imports.router import STREAMS
from api.imports.router import router as imports
from api.lane import Lane
from api.metrics import Metrics
from api.middleware import BodyGuard, Shell
from api.openapi import Application
from api.organisations.repository import find_organisation
from api.outcomes import service as outcome_service
from api.outcomes.router import router as outcomes
from api.pages.provider import Provider
from api.pages.render import problem_page
from api.pages.routers import ROUTERS as PAGES
from api.pages.sessions import Sessions
from api.progress.router import router as progress
from api.protocols.router import router as protocols
from api.query import only_known_parameters
from api.records.refusals import keep_refusal
from api.references.active import OrganisationReferences
from api.references.router import router as references
from api.report.router import router as report
from api.rescoring.router import router as rescoring
from api.research.router import router as research
from api.responses.router import recording
from api.responses.router import router as responses
from api.responses.together import Recorder
from api.security import issuer, keys, tokens
from api.security.principal import Authenticator, RateLimit
from api.settings import Settings, SettingsError
from api.startup import derived_keys, service_database
from api.webhooks.router import router as webhooks
from api.wordings.router import YAML_PATH as WORDINGS
from api.wordings.router import router as wordings
from api.work.router import router as work

ROUTERS: Final[tuple[APIRouter, ...]] = (
    progress,
    health,
    catalogue,
    clients,
    consents,
    care,
    couples,
    couple_progress,
    charts,  # before the goals: a path of theirs has room for anything
    goals,
    assignments,
    protocols,
    responses,
    imports,
    corrections,
    alerts,
    report,
    work,
    caseload,
    research,
    outcomes,
    wordings,
    authoring,
    audit,
    exports,
    erasure,
    webhooks,
    rescoring,
    references,
)
"""Each feature's routes, with their whole paths: log lines and metrics name a route by the path it declares.
Those that are asked most come first: they are tried in this order."""

MOST_CHECKS: Final = 16
MOST_CHECKS_OF_ONE: Final = 2
"""Definitions being checked at once in this process: in all, and of one organisation."""
MOST_READ: Final = 64
MOST_READ_OF_ONE: Final = 16
"""Large bodies and YAML being read, and wording being looked through: the largest take half a second."""

_DESCRIPTION: Final = (
    "Outcome measurement for therapy: validated questionnaires scored as published, and their progress."
)


def create_app(settings: Settings) -> FastAPI:
    """The application. It opens nothing before it is started, so its OpenAPI document needs no database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(app, settings, stack)
            yield

    app = Application(
        title="Fathomline",
        version=version("fathomline"),
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        dependencies=[Depends(only_known_parameters)],
        docs_url=None,  # FastAPI's pages load their scripts from a CDN; the document itself is at /openapi.json
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the path, ids and all, in a header that proxies log
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's spans hold whole paths, ids and all
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.keep_refusal = keep_refusal
    app.state.gone_instead = gone_instead
    problems.install(app)
    app.state.problem_page = problem_page
    app.router.routes.extend(recording.routes)  # not included as the others are: its path would be matched three times
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    yaml = {WORDINGS: "wordings:write", DRAFTS: "instruments:write"}
    limits = {"largest": settings.max_body, "deepest": settings.max_json_depth}
    app.add_middleware(BodyGuard, yaml=yaml, streams=STREAMS, **limits)
    # added last, so it is the outermost
    app.add_middleware(Shell, metrics=app.state.metrics, problem_page=problem_page)
    return app


async def _open(app: FastAPI, settings: Settings, stack: AsyncExitStack) -> None:
    api.logging.configure(settings.log_level)
    app.state.keys = derived_keys(settings)
    app.state.development_issuer = _development_issuer(settings)
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=keys.FETCH_TIMEOUT, follow_redirects=False))
    issuer_named = trusted_issuers(settings, app.state.development_issuer, http)
    app.state.sign_in = _provider(settings, http)
    app.state.renderer = await stack.enter_async_context(Renderer())
    database = await stack.enter_async_context(service_database(settings, app.state.keys))
    app.state.database = database
    app.state.recorder = Recorder(database.pool)
    app.state.sessions = Sessions(
        database.pool, timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours)
    )
    own = OwnInstruments(database.pool)
    stack.callback(own.close)
    app.state.library = Library(own)
    app.state.alerts = OrganisationAlerts(database.pool)
    app.state.references = OrganisationReferences(database.pool)
    app.state.authoring = Lane("authoring", most=MOST_CHECKS, most_of_one=MOST_CHECKS_OF_ONE)
    stack.callback(app.state.authoring.close)
    app.state.reading = Lane("reading", most=MOST_READ, most_of_one=MOST_READ_OF_ONE)
    stack.callback(app.state.reading.close)
    app.state.records = Lane("records", most=exporting.MOST_RECORDS, most_of_one=exporting.MOST_RECORDS_OF_ONE)
    stack.callback(app.state.records.close)
    app.state.exports = Lane("exports", most=exporting.MOST_EXPORTS, most_of_one=exporting.MOST_EXPORTS_OF_ONE)
    stack.callback(app.state.exports.close)
    app.state.outcomes = Lane("outcomes", most=outcome_service.MOST, most_of_one=outcome_service.MOST_OF_ONE)
    stack.callback(app.state.outcomes.close)

    async def organisation_id(slug: str) -> uuid.UUID | None:
        async with database.pool.acquire() as connection:
            return await find_organisation(connection, slug)

    limit = RateLimit(settings.rate_limit, settings.rate_burst)
    app.state.authenticator = Authenticator(issuer_named, organisation_id, limit)


def _development_issuer(settings: Settings) -> issuer.DevelopmentIssuer | None:
    try:
        return issuer.load(settings.data, create=True) if settings.development_issuer else None
    except issuer.IssuerError as error:
        raise SettingsError(str(error)) from None


def _provider(settings: Settings, http: httpx.AsyncClient) -> Provider | None:
    if settings.sign_in is None:
        return None
    if settings.public_url is None:
        raise SettingsError("FATHOMLINE_SIGN_IN needs FATHOMLINE_PUBLIC_URL: the provider sends people back there")
    return Provider(settings.sign_in, settings.public_url, http)


def trusted_issuers(
    settings: Settings, development: issuer.DevelopmentIssuer | None, http: httpx.AsyncClient
) -> Callable[[str], tokens.Issuer | None]:
    """How to find a trusted issuer by the name in a token.

    Raises
    ------
    SettingsError
        An issuer named twice, keys that cannot be used, or a key address that others could answer for.
    """
    found: dict[str, tokens.Issuer] = {}
    for given in settings.issuers:
        if given.issuer in found or given.issuer.startswith(issuer.PREFIX):
            raise SettingsError(f"issuer {given.issuer!r} is named twice, or is the development issuer's name")
        if given.jwks_uri is not None and not _unforgeable(given.jwks_uri):
            raise SettingsError(f"issuer {given.issuer!r}: jwks_uri has to be https (http only on this machine)")
        source: keys.KeySource
        try:
            source = keys.FetchedKeys(given.jwks_uri, http) if given.jwks_uri else keys.PinnedKeys(given.jwks)
        except keys.KeySetInvalid as error:
            raise SettingsError(f"issuer {given.issuer!r}: {error}") from None
        found[given.issuer] = tokens.Issuer(
            given.issuer, given.organisation, given.audience, frozenset(given.algorithms), source
        )
    fallback = development.trusted() if development is not None else None

    def issuer_named(name: str) -> tokens.Issuer | None:
        return found.get(name) or (fallback(name) if fallback is not None else None)

    return issuer_named


def _unforgeable(uri: str) -> bool:
    parsed = urlsplit(uri)
    return parsed.scheme == "https" or parsed.hostname in ("localhost", "127.0.0.1", "::1")
